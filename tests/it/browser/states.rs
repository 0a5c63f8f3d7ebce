//! What is under way turns by itself, a log can be dropped anywhere, and a stranger finds the way to the first report.

use forge_testkit::{FakeGitLab, JobSpec, PullSpec, RunSpec};
use secrecy::ExposeSecret as _;

use super::Browser;
use crate::{
    support::{TestServer, eventually, pytest_log},
    web_report::{ingest, red},
};

async fn execute(server: &TestServer, statement: &str) {
    let database = format!("sqlite://{}", server.folder.path().join("forge-rca.db").display());
    rca_store::testing::execute(&database, statement).await;
}

#[tokio::test]
async fn a_report_and_long_work_turn_by_themselves() {
    let server = TestServer::start().await;
    let Some(browser) = Browser::start(&server).await else { return };
    let sent = ingest(&server, "project=shop&job_name=unit", pytest_log()).await;
    let id = sent["id"].as_str().unwrap();
    let set = async |state: &str| {
        execute(&server, &format!("UPDATE analysis SET state = '{state}' WHERE id = '{id}'")).await;
    };
    execute(&server, "CREATE TABLE kept AS SELECT id, report FROM analysis").await;
    execute(&server, "UPDATE analysis SET report = NULL").await;
    set("queued").await;
    browser.sign_in().await;
    browser.goto("/failures?status=queued").await;
    assert!(browser.text("#rows").await.contains("The log waits to be read"));
    browser.goto(&format!("/analyses/{id}")).await;
    assert!(browser.text(".answer").await.contains("Waiting"));
    browser.check("report-queued").await;
    set("running").await;
    browser
        .until(
            "it is being read",
            "return document.querySelector('.answer').textContent.includes('is being read')",
        )
        .await;
    browser.check("report-running").await;
    browser.run("window.stayed = true").await;
    execute(&server, "UPDATE analysis SET report = (SELECT report FROM kept WHERE kept.id = analysis.id)")
        .await;
    set("done").await;
    browser
        .until(
            "the report is there",
            "return document.querySelector('.proof .line.focus') !== null && window.stayed",
        )
        .await;
    assert!(!browser.has("#report[hx-trigger]").await, "what has ended is not asked for again");

    let mark = |done: u32, end: &str| {
        format!(
            "INSERT OR REPLACE INTO mark SELECT id, 'operation:long', \
             '{{\"kind\":\"monitor\",\"total\":40,\"done\":{done},\"end\":{end},\"asked\":1}}', 0 FROM workspace"
        )
    };
    execute(&server, &mark(12, "null")).await;
    browser.goto("/operations/long").await;
    assert!(browser.text("#progress").await.contains("12 of 40"));
    // Left, and come back to.
    browser.goto("/failures").await;
    execute(&server, &mark(31, "null")).await;
    browser.page.back().await.unwrap();
    browser
        .until("it goes on", "return document.querySelector('#progress')?.textContent.includes('31 of 40')")
        .await;
    execute(&server, &mark(40, "\"done\"")).await;
    browser
        .until("it has ended", "return !document.querySelector('#progress').hasAttribute('hx-trigger')")
        .await;
    browser.close().await;
}

#[tokio::test]
async fn a_log_can_be_dropped_on_any_page() {
    let server = TestServer::start().await;
    let Some(browser) = Browser::start(&server).await else { return };
    browser.sign_in().await;
    let drop = |target: &str, name: &str, log: &str| {
        format!(
            "const data = new DataTransfer(); data.items.add(new File([{}], {})); \
             for (const kind of ['dragenter', 'dragover', 'drop']) document.querySelector('{target}') \
                 .dispatchEvent(new DragEvent(kind, {{dataTransfer: data, bubbles: true, cancelable: true}}));",
            serde_json::Value::from(log),
            serde_json::Value::from(name)
        )
    };
    for page in ["/", "/settings"] {
        browser.goto(page).await;
        browser.run(&drop("main", "build.log", &pytest_log())).await;
        eventually("the report opens", async || {
            browser.address().await.starts_with("/analyses/").then_some(())
        })
        .await;
        assert!(browser.text(".answer").await.contains("Test failure"));
    }
    // What cannot be read says so, where the log was dropped.
    browser.goto("/clusters").await;
    browser.run(&drop("main", "empty.log", "")).await;
    browser
        .until(
            "it is refused",
            "return document.querySelector('main').textContent.includes('Choose a file or paste a log')",
        )
        .await;
    browser.until("and the page is free", "return document.getElementById('drop-anywhere').hidden").await;

    browser.goto("/send").await;
    browser.run(&drop("form[data-drop]", "job.log", &pytest_log())).await;
    let chosen = browser.run("return document.getElementById('file').files[0].name").await;
    assert_eq!(chosen, "job.log");
    browser.check("send-dropped").await;
    browser.click("form[action='/send'] button.primary").await;
    eventually("the report opens", async || browser.address().await.starts_with("/analyses/").then_some(()))
        .await;
    browser.close().await;
}

/// Clicks, counted.
struct Stranger<'b> {
    browser: &'b Browser,
    clicks: usize,
}

impl Stranger<'_> {
    async fn click(&mut self, css: &str) {
        self.clicks += 1;
        self.browser.click(css).await;
    }
}

#[tokio::test]
async fn from_an_empty_server_to_the_first_report_in_few_clicks() {
    // Who runs it on this computer is told that hooks will not arrive, and gets what is asked for instead.
    let (server, fake) =
        (TestServer::start_with(|config| config.poll_interval = 1).await, FakeGitLab::start().await);
    let Some(browser) = Browser::start(&server).await else { return };
    let repo = fake.add_repo("acme/shop");
    fake.add_repo("acme/till");

    // By a log: what the first page says is enough.
    browser.sign_in().await;
    let mut stranger = Stranger { browser: &browser, clicks: 0 };
    stranger.click("main a[href='/send']").await;
    browser.fill("#log", &pytest_log()).await;
    stranger.click("form[action='/send'] .primary").await;
    browser.find(".proof .line.focus").await;
    assert!(stranger.clicks <= 2, "{} clicks", stranger.clicks);

    // By a forge.
    browser.goto("/integrations").await;
    let mut stranger = Stranger { browser: &browser, clicks: 0 };
    stranger.click("main a[href='/connect']").await;
    stranger.click("a[href='/connect/gitlab']").await;
    // That forges cannot reach this address is said before anything is entered.
    assert!(browser.text("main").await.contains("127.0.0.1"));
    assert!(browser.has("main .warning").await, "a webhook cannot reach this computer");
    browser.check("connect-warned").await;
    stranger.click("main a[href*='at=own']").await;
    browser.fill("#base_url", fake.base_url().as_str()).await;
    stranger.click("form.inline button").await;
    browser.find("form.inline .badge.green").await;
    stranger.click("a[data-way='personal']").await;
    browser.fill("#in-token", fake.token().expose_secret()).await;
    stranger.click("#connect-form .primary").await;
    eventually("the repositories can be chosen", async || {
        if browser.has("tbody input[name=on]").await {
            return Some(());
        }
        let address = browser.address().await;
        if address.contains("/repositories") {
            browser.goto(&address).await
        }
        None
    })
    .await;
    stranger.click(&format!("tbody input[aria-label='{}']", repo.full_name)).await;
    stranger.click("#picker .bar .primary").await;
    browser.find("#saved").await;
    stranger.click("main .actions a[href^='/connect/done']").await;
    browser.check("connect-finished").await;
    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", "feature/refund"));
    fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", pytest_log())]).for_pull(&pull));
    server.analyses("repository=acme/shop", 1).await;
    stranger.click(".side a[href='/failures']").await;
    stranger.click("#rows li:first-child a.cause").await;
    browser.find(".proof .line.focus").await;
    assert!(stranger.clicks <= 12, "{} clicks", stranger.clicks);
    browser.close().await;
}

#[tokio::test]
async fn what_people_do_is_done_without_scripts_too() {
    let (server, fake) = (TestServer::start().await, FakeGitLab::start().await);
    let Some(browser) = Browser::start_without_scripts(&server).await else { return };
    let id = red(&server, &fake).await;
    let integration = server.get("/v1/integrations").await.expect(200)["items"][0]["id"].clone();
    browser.sign_in().await;

    browser.goto("/failures").await;
    browser.fill("#repository", "acme/shop").await;
    browser.click("form.filters button").await;
    eventually("the list is filtered", async || {
        browser.address().await.contains("repository=acme%2Fshop").then_some(())
    })
    .await;
    browser.click("#rows a.cause").await;
    browser.find(".proof .line.focus").await;

    browser.goto(&format!("/analyses/{id}")).await;
    browser.fill("#note", "the clock of the runner").await;
    browser.click("button[name='correct'][value='no']").await;
    browser.arrive(&format!("/analyses/{id}?said=verdict")).await;
    assert!(browser.text(".verdict").await.contains("the clock of the runner"));
    browser.click(".proof .line.focus .n").await;
    browser.find(".log.whole .line.selected").await;
    browser.fill("#q", "AssertionError").await;
    browser.click(".log-search button").await;
    browser.find(".log.whole mark").await;

    browser.goto("/clusters").await;
    browser.click(".rows.clusters a.cause").await;
    browser.click("button[value='acknowledged']").await;
    eventually("somebody knows of it", async || {
        browser.text(".answer").await.contains("Somebody knows of it").then_some(())
    })
    .await;

    browser.goto("/settings").await;
    browser.fill("#pull_request_per_hour", "5").await;
    browser.click("#rate-caps button").await;
    eventually("the cap is kept", async || {
        let settings = server.get("/v1/settings").await.expect(200);
        (settings["rate_caps"]["pull_request_per_hour"] == 5).then_some(())
    })
    .await;

    browser.goto(&format!("/integrations/{}/repositories", integration.as_str().unwrap())).await;
    browser.click("tbody input[name=on]").await;
    browser.click("#picker .bar .save").await;
    browser.find("#saved").await;
    let list = format!("/v1/integrations/{}/repositories?monitored=true", integration.as_str().unwrap());
    assert_eq!(server.get(&list).await.expect(200)["items"], serde_json::json!([]));
    browser.close().await;
}
