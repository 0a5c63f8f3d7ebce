//! Connecting a forge, and looking after it.

use forge_testkit::{Fake, FakeBitbucketDc, FakeGitHub, FakeGitLab, JobSpec, PullSpec, RunSpec};
use secrecy::ExposeSecret as _;

use super::Browser;
use crate::support::{TestServer, eventually, pytest_log};

/// Waits until the browser is at a path that ends so.
async fn arrive_at_end(browser: &Browser, end: &str) -> String {
    eventually(&format!("the browser is at ...{end}"), async || {
        Some(browser.address().await).filter(|address| address.ends_with(end))
    })
    .await
}

/// Gives the address of a self-hosted forge and has it checked.
async fn reach(browser: &Browser, fake: &Fake) {
    browser.goto(&format!("/connect/{}?at=own", fake.kind())).await;
    browser.fill("#base_url", fake.base_url().as_str()).await;
    browser.click("form.inline button").await;
    browser.find("form.inline .badge.green").await;
}

#[tokio::test]
async fn a_forge_is_connected_by_consent_and_repositories_are_chosen() {
    let (server, fake) = (TestServer::start().await, FakeGitLab::start().await);
    let Some(browser) = Browser::start(&server).await else { return };
    fake.add_user("ada");
    fake.set_approver(Some("ada"));
    let repo = fake.add_repo("acme/shop");
    fake.add_repo("acme/till");
    let callback = format!("{}/v1/integrations/gitlab/callback", server.base);
    let app = fake.add_oauth_app(&[&callback], &["api", "read_user", "read_api"], false).oauth_app();
    browser.sign_in().await;
    browser.goto("/connect").await;
    browser.click("a[href='/connect/gitlab']").await;
    reach(&browser, &fake).await;
    browser.check("connect-way").await;
    browser.fill("#in-client_id", &app.client_id).await;
    browser.fill("#in-client_secret", app.client_secret.expose_secret()).await;
    browser.click("#connect-form summary").await;
    browser.click("#mode option[value='webhook']").await;
    browser.click("#connect-form .primary").await;
    // The page goes on to the forge by itself, which approves at once and sends the browser back.
    let address = arrive_at_end(&browser, "/repositories?step=connect").await;
    assert!(browser.requests().await.iter().any(|url| url.starts_with(fake.base_url().as_str())));
    eventually("the repositories are listed", async || {
        browser.goto(&address).await;
        (browser.run("return document.querySelectorAll('input[name=on]').length").await == 2).then_some(())
    })
    .await;
    browser.click("tbody tr:first-child input[name=on]").await;
    browser
        .until(
            "the count runs",
            "return document.querySelector('[data-running]').textContent.startsWith('1 to add')",
        )
        .await;
    browser.click("#picker .bar .primary").await;
    assert!(browser.text("#saved").await.contains("1 repository is monitored"));
    browser.check("connect-repositories").await;
    assert_eq!(fake.hooks(&repo).len(), 1);

    let integration = address.split('/').nth(2).unwrap();
    browser.click("tbody tr:first-child a").await;
    browser.find("#state[hx-trigger]").await;
    browser.check("hook-waiting").await;
    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", "feature/refund"));
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", pytest_log())]).for_pull(&pull));
    fake.deliver(&run).await;
    browser
        .until(
            "the page turns by itself",
            "return document.querySelector('#state').hasAttribute('hx-trigger') === false",
        )
        .await;
    server.idle().await;
    for (name, path) in [
        ("integrations", "/integrations".to_owned()),
        ("integration", format!("/integrations/{integration}")),
        ("disconnect", format!("/integrations/{integration}/disconnect")),
        ("operation", format!("/operations/sync-{integration}?integration={integration}")),
        ("deliveries", "/deliveries".to_owned()),
    ] {
        browser.goto(&path).await;
        browser.check(name).await;
    }
    browser.click("tbody tr:first-child a").await;
    browser.click("details summary:not(.menu summary)").await;
    browser.check("delivery").await;
    browser.goto(&format!("/integrations/{integration}/disconnect")).await;
    browser.click("main .danger").await;
    browser
        .until("it is ended", "return document.querySelector('h1').textContent.includes('is disconnected')")
        .await;
    browser.check("disconnected").await;
    assert!(fake.hooks(&repo).is_empty());
    browser.close().await;
}

#[tokio::test]
async fn a_github_app_is_posted_to_github() {
    let (server, fake) = (TestServer::start().await, FakeGitHub::start().await);
    let Some(browser) = Browser::start(&server).await else { return };
    browser.sign_in().await;
    reach(&browser, &fake).await;
    browser.click("#connect-form .primary").await;
    // Our page posts the manifest by itself, the forge sends the browser back with a code, and we send it on to install.
    eventually("the browser is to install the app", async || {
        browser.address().await.contains("/installations/new?state=").then_some(())
    })
    .await;
    browser.requests().await;
    browser.page.log("browser").await.unwrap();
    browser.goto("/integrations").await;
    browser.close().await;
}

#[tokio::test]
async fn a_hook_without_a_token_and_a_token_that_dies() {
    let (server, fake, gitlab) =
        (TestServer::start().await, FakeBitbucketDc::start().await, FakeGitLab::start().await);
    let Some(browser) = Browser::start(&server).await else { return };
    browser.sign_in().await;
    reach(&browser, &fake).await;
    browser.click("a[data-way='webhook']").await;
    browser.fill("#in-project_key", "SHOP").await;
    browser.fill("#in-repository", "till").await;
    browser.click("#connect-form .primary").await;
    assert_eq!(browser.text("#hook-secret").await.len(), 64);
    browser.check("hook-secret").await;

    reach(&browser, &gitlab).await;
    browser.click("a[data-way='personal']").await;
    browser.fill("#in-token", "glpat-nobody-knows-this").await;
    browser.click("#connect-form .primary").await;
    assert!(browser.text("#problem").await.contains("does not accept this token"));
    browser.check("connect-refused").await;
    let token = gitlab.token();
    browser.fill("#in-token", token.expose_secret()).await;
    browser.click("#connect-form .primary").await;
    let address = arrive_at_end(&browser, "/repositories?step=connect").await;
    let integration = address.split('/').nth(2).unwrap();
    gitlab.revoke_token(&token);
    browser.goto(&format!("/integrations/{integration}")).await;
    browser.click("form[action$='/check'] button").await;
    arrive_at_end(&browser, "?said=checked").await;
    browser.check("integration-broken").await;
    browser.click("a.bell").await;
    browser.check("incidents").await;
    browser.click("main .incidents .button").await;
    arrive_at_end(&browser, "#token").await;
    browser.fill("#new-token", gitlab.token().expose_secret()).await;
    browser.click("form[action$='/token'] button").await;
    arrive_at_end(&browser, "?said=token_replaced").await;
    browser.goto("/integrations").await;
    browser.check("integrations-two").await;
    browser.close().await;
}
