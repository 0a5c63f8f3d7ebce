//! What holds for every page: each helper of a new page adds it to [`PAGES`].

use super::Browser;
use crate::support::TestServer;

/// Name of the pictures, and the address. Every page of the dashboard that can be opened on an empty server.
const PAGES: &[(&str, &str)] = &[
    ("overview", "/"),
    ("not-found", "/no-such-page"),
    ("connect", "/connect"),
    ("connect-gitlab", "/connect/gitlab"),
    ("connect-github", "/connect/github?way=known-app"),
    ("connect-bitbucket-cloud", "/connect/bitbucket-cloud?way=api-token"),
    ("connect-bitbucket-dc", "/connect/bitbucket-dc"),
    ("connect-gitflic", "/connect/gitflic"),
    ("connect-done", "/connect/done"),
    ("integrations", "/integrations"),
    ("deliveries", "/deliveries"),
    ("incidents", "/incidents"),
    ("failures", "/failures"),
    ("clusters", "/clusters"),
    ("search", "/search?q=shop"),
    ("send", "/send"),
    ("members", "/members"),
    ("tokens", "/tokens"),
    ("audit", "/audit"),
    ("channels", "/channels"),
    ("channel-slack", "/channels/new?kind=slack"),
    ("channel-webhook", "/channels/new?kind=webhook"),
    ("settings", "/settings"),
    ("sign-in-link-ended", "/sign-in/link/used"),
];

#[tokio::test]
async fn every_page_of_an_empty_server_is_for_everybody() {
    let server = TestServer::start().await;
    let Some(browser) = Browser::start(&server).await else { return };
    browser.sign_in().await;
    for (name, path) in PAGES {
        browser.goto(path).await;
        browser.check(&format!("empty-{name}")).await;
    }
    browser.close().await;
}
