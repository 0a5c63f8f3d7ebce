//! Runs, what analysing again changed, statistics, and the audit with its filters: accessible, in light, dark and on a
//! phone.

use forge_testkit::{FakeGitLab, JobSpec, RunSpec};
use serde_json::json;

use super::Browser;
use crate::support::{TestServer, cargo_log, pytest_log};

#[tokio::test]
async fn a_run_is_analysed_followed_and_counted() {
    let server = TestServer::start().await;
    let Some(browser) = Browser::start(&server).await else { return };
    let fake = FakeGitLab::start().await;
    let repo = fake.add_repo("acme/a-repository-with-a-rather-long-name");
    let integration = server.connect(&fake).await;
    server.monitor(&integration, &repo).await;
    let jobs = vec![
        JobSpec::failed("test 3.12", pytest_log()),
        JobSpec::failed("build", cargo_log()),
        JobSpec::failed("test 3.13", pytest_log()),
    ];
    let run = fake.add_run(&repo, &RunSpec::new(jobs));
    browser.sign_in().await;
    browser.goto("/analyse").await;
    browser.check("analyse").await;
    browser.fill("#repository", &repo.full_name).await;
    browser.fill("#run", &run.forge_id).await;
    browser.click("form[action='/analyse'] button.primary").await;
    browser.until("the run is open", "return location.pathname === '/run'").await;
    let found = server.analyses("", 3).await;
    browser.until("all is read", "return document.querySelectorAll('#run [data-row]').length === 2 && !document.querySelector('#run[hx-get]')").await;
    browser.check("run").await;

    let of = |name: &str| {
        found.iter().find(|it| it["job_name"] == name).unwrap()["id"].as_str().unwrap().to_owned()
    };
    fake.set_log(run.jobs[0], cargo_log());
    browser.goto(&format!("/analyses/{}", of("test 3.12"))).await;
    browser.click("form[action$='/rerun'] button").await;
    browser.find("#rerun ins").await;
    browser.check("report-rerun").await;
    browser.goto("/statistics").await;
    assert!(browser.has("main svg rect").await, "the chart is drawn");
    browser.check("statistics").await;
    server.put("/v1/settings", json!({"digest": {"hour": 7}})).await.expect(200);
    browser.goto("/audit?action=settings").await;
    browser.check("audit-filtered").await;
    browser.goto("/failures").await;
    browser.check("failures-filters").await;
    browser.goto(&format!("/integrations/{integration}")).await;
    browser.check("integration-switches").await;
    browser.goto("/send").await;
    browser.click("#ci-jenkins > summary").await;
    browser.check("send-snippets").await;
    browser.close().await;
}
