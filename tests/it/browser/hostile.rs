//! Names and logs that would like to be markup, in a real browser.

use super::Browser;
use crate::web_safety::Filled;

#[tokio::test]
async fn hostile_names_do_nothing_in_a_browser() {
    let filled = Filled::start().await;
    let Some(browser) = Browser::start(&filled.server).await else { return };
    let crawl = filled.crawl().await;
    browser.sign_in().await;
    for path in [
        "/",
        "/failures",
        "/analyses/*",
        "/analyses/*/log",
        "/clusters",
        "/clusters/*",
        "/search",
        "/integrations",
        "/integrations/*",
        "/integrations/*/repositories",
        "/deliveries",
        "/deliveries/*",
        "/channels",
        "/channels/*",
        "/incidents",
        "/settings",
        "/tokens",
        "/members",
        "/audit",
    ] {
        browser.goto(crawl.one(path)).await;
        // What is folded may hold the worst.
        browser.run("document.querySelectorAll('main details').forEach((it) => { it.open = true; })").await;
        let name = path.trim_matches('/').replace("/*", "-one").replace('/', "-");
        browser.check(&format!("hostile-{name}")).await;
        let made = browser.run("return document.querySelectorAll('[data-evil]').length").await;
        assert_eq!(made, 0, "{path}: a name became an element");
        let set = browser.run("return typeof window.evil").await;
        assert_eq!(set, "undefined", "{path}: a name was run");
        let title = browser.run("return document.title").await;
        assert!(title.as_str().unwrap().ends_with("· Forge RCA"), "{path}: {title}");
    }
    browser.close().await;
    filled.server.stop().await;
}
