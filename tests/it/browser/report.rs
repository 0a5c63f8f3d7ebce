//! From a red build to its cause: the report, its log, lists, and a log that is sent by hand.

use forge_testkit::{
    FakeGitHub, FakeGitLab, JobSpec, RunSpec,
    logs::{self, Framing},
};

use super::Browser;
use crate::{
    support::{TestServer, eventually, pytest_log},
    web_report::{HOSTILE, ingest, red},
};

fn text(log: logs::SampleLog) -> String {
    String::from_utf8(log.bytes).unwrap()
}

#[tokio::test]
async fn a_report_is_read_judged_and_followed_to_its_log() {
    let server = TestServer::start().await;
    let Some(browser) = Browser::start(&server).await else { return };
    let fake = FakeGitLab::start().await;
    let id = red(&server, &fake).await;
    browser.goto(&format!("/analyses/{id}")).await;
    browser.sign_in_with(crate::support::OWNER).await;
    browser.goto(&format!("/analyses/{id}")).await;
    assert!(browser.text(".answer .badge").await.contains("Test failure"));
    browser.check("report").await;

    browser.fill("#note", "the clock of the runner").await;
    // Who writes what it was instead, and presses Enter, says that it was wrong.
    browser.press("\u{e007}").await;
    browser.arrive(&format!("/analyses/{id}?said=verdict")).await;
    assert!(browser.text(".verdict").await.contains("the clock of the runner"));

    // A line's number leads to the log, opened there.
    browser.click(".proof .line.focus .n").await;
    browser.until("the log is open", "return location.pathname.endsWith('/log')").await;
    browser.until("the line is chosen", "return document.querySelector('.line.selected') !== null").await;
    browser.check("log").await;
    // Shift and another number choose all between, and the address says so.
    let choose = "const all = document.querySelectorAll('.log.whole .n'); \
        all[2].dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true})); \
        all[5].dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true, shiftKey: true})); \
        return [document.querySelectorAll('.line.selected').length, /lines=\\d+-\\d+/.test(location.search)]";
    assert_eq!(browser.run(choose).await, serde_json::json!([4, true]));
    browser.close().await;
}

#[tokio::test]
async fn a_long_log_loads_as_it_is_scrolled() {
    let server = TestServer::start().await;
    let Some(browser) = Browser::start(&server).await else { return };
    let fake = FakeGitHub::start().await;
    let repo = fake.add_repo("acme/a-repository-with-a-rather-long-name-that-goes-on-and-on");
    let integration = server.connect(&fake).await;
    server.monitor(&integration, &repo).await;
    let green: String = (1..=2000).map(|number| format!("setting up part {number}\n")).collect();
    let log = format!("{green}password=hunter2hunter2\n{}", pytest_log());
    let go = text(logs::go(Framing::GitHubActions));
    let jobs = vec![JobSpec::failed("test", log), JobSpec::failed("go", go)];
    let run = fake.add_run(&repo, &RunSpec::new(jobs));
    for outcome in fake.deliver(&run).await {
        assert!(outcome.is_success(), "{outcome:?}");
    }
    let analyses = server.analyses("forge=github", 2).await;
    let of = |job: &str| {
        let found = analyses.iter().find(|item| item["job_name"] == job).unwrap();
        found["id"].as_str().unwrap().to_owned()
    };
    browser.sign_in().await;
    browser.goto(&format!("/analyses/{}", of("go"))).await;
    browser.check("report-go").await;
    browser.goto(&format!("/analyses/{}/log?lines=100", of("test"))).await;
    browser.until("the first part is there", "return document.getElementById('L60') !== null").await;
    browser.run("document.querySelector('.chunk > .more:last-child').scrollIntoView()").await;
    browser.until("the next part came", "return document.getElementById('L900') !== null").await;
    browser.click(".chunk > .more:first-child").await;
    browser.until("the part above came", "return document.getElementById('L1') !== null").await;
    let in_order = "const all = [...document.querySelectorAll('.log.whole .line')].map((line) => Number(line.id.slice(1))); \
        return all.every((number, index) => number === index + 1)";
    assert_eq!(browser.run(in_order).await, true, "each line once, in order");
    browser.fill("#q", "part 1999").await;
    browser.click(".log-search button").await;
    browser.until("it is found", "return document.querySelector('mark')?.textContent === 'part 1999'").await;
    browser.check("log-search").await;
    browser.close().await;
}

#[tokio::test]
async fn lists_show_what_is_red() {
    let server = TestServer::start().await;
    let Some(browser) = Browser::start(&server).await else { return };
    let first = ingest(&server, "project=shop&job_name=unit&branch=main", pytest_log()).await;
    ingest(&server, "project=till&job_name=unit&branch=main", pytest_log()).await;
    ingest(&server, "project=mail&job_name=nightly", text(logs::npm(Framing::Plain))).await;
    ingest(&server, "project=mail&job_name=weekly", text(logs::out_of_memory(Framing::Plain))).await;
    let none = ingest(&server, "project=mail&job_name=quiet", "hello\nworld\nexit code 3\n".to_owned()).await;
    let hostile = format!("{}\n{HOSTILE}\n", pytest_log().replace("assert", HOSTILE));
    let hostile = ingest(&server, "project=mail&job_name=hostile", hostile).await;
    browser.sign_in().await;
    let cluster = format!("/clusters/{}", first["cluster_id"].as_str().unwrap());
    let none = format!("/analyses/{}", none["id"].as_str().unwrap());
    let hostile = format!("/analyses/{}", hostile["id"].as_str().unwrap());
    for (name, path) in [
        ("overview", "/"),
        ("failures", "/failures?since=7d"),
        ("clusters", "/clusters"),
        ("cluster", cluster.as_str()),
        ("search", "/search?q=test"),
        ("report-no-cause", none.as_str()),
        ("report-hostile", hostile.as_str()),
    ] {
        browser.goto(path).await;
        browser.check(name).await;
        assert!(!browser.has("main img, main script").await, "{path}");
    }
    browser.goto(&cluster).await;
    browser.click("button[value='acknowledged']").await;
    browser.arrive(&format!("{cluster}?said=cluster_acknowledged")).await;
    assert!(browser.text(".answer").await.contains("Somebody knows of it"));

    // The list renews itself, and the focus stays where it is.
    browser.goto("/failures").await;
    browser.press("jj").await;
    let focus = "return document.activeElement.getAttribute('href')";
    let before = browser.run(focus).await;
    ingest(&server, "project=fresh&job_name=new", pytest_log()).await;
    eventually("the new failure is listed", async || {
        browser.text("#rows").await.contains("fresh").then_some(())
    })
    .await;
    assert_eq!(browser.run(focus).await, before, "the focus was not taken away");
    browser.close().await;
}

#[tokio::test]
async fn a_pasted_log_is_a_report_at_once_without_scripts_too() {
    let server = TestServer::start().await;
    for with_scripts in [true, false] {
        let opened = if with_scripts {
            Browser::start(&server).await
        } else {
            Browser::start_without_scripts(&server).await
        };
        let Some(browser) = opened else { return };
        browser.sign_in().await;
        browser.goto("/send").await;
        browser.fill("#log", &format!("{}\nscripts: {with_scripts}\n", pytest_log())).await;
        browser.click("form[action='/send'] button.primary").await;
        eventually("the report is open", async || {
            browser.address().await.starts_with("/analyses/").then_some(())
        })
        .await;
        assert!(browser.text(".answer").await.contains("Test failure"));
        assert!(browser.page.find(".proof .line.focus").await.is_ok());
        browser.close().await;
    }
}
