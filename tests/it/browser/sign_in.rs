//! Coming in, going out, and what is there on every page: languages, looks, keys.

use super::Browser;
use crate::support::TestServer;

#[tokio::test]
async fn people_sign_in_and_out() {
    let server = TestServer::start().await;
    let Some(browser) = Browser::start(&server).await else { return };
    browser.goto("/?from=here").await;
    browser.arrive("/sign-in?next=%2F%3Ffrom%3Dhere").await;
    browser.check("sign-in").await;

    browser.fill("#token", "frca_not_a_token").await;
    browser.click("form[action='/sign-in'] button").await;
    assert!(browser.text("#refused").await.contains("not known"), "a wrong token is refused with words");
    assert_eq!(browser.find("#token").await.attr("aria-invalid").await.unwrap().as_deref(), Some("true"));
    browser.check("sign-in-refused").await;

    browser.sign_in().await;
    browser.arrive("/").await;
    let cookies = browser.run("return document.cookie").await;
    assert_eq!(cookies, "", "no script can read the session");

    browser.click(".menu summary").await;
    browser.check("menu").await;
    browser.click("form[action='/sign-out'] button").await;
    browser.arrive("/sign-in").await;
    browser.page.back().await.unwrap();
    browser.goto("/").await;
    browser.arrive("/sign-in").await;
    browser.close().await;
}

#[tokio::test]
async fn language_and_looks_stay_chosen() {
    let server = TestServer::start().await;
    let Some(browser) = Browser::start(&server).await else { return };
    browser.sign_in().await;
    let language = "return document.documentElement.lang";
    assert_eq!(browser.run(language).await, "en");

    browser.click(".menu summary").await;
    browser.click("button[name='language'][value='ru']").await;
    browser.until("the page is Russian", "return document.documentElement.lang === 'ru'").await;
    assert_eq!(browser.text("h1").await, "Почему упала сборка?");

    browser.click(".menu summary").await;
    browser.click("button[name='theme'][value='dark']").await;
    browser.until("the page is dark", "return document.documentElement.dataset.theme === 'dark'").await;
    let page = "return getComputedStyle(document.documentElement).backgroundColor";
    let dark = browser.run(page).await;
    browser.goto("/?other").await;
    assert_eq!(browser.run(language).await, "ru");
    assert_eq!(browser.run(page).await, dark);

    browser.click(".menu summary").await;
    browser.click("button[name='theme'][value='light']").await;
    browser.until("the page is light", "return document.documentElement.dataset.theme === 'light'").await;
    assert_ne!(browser.run(page).await, dark);
    browser.close().await;
}

#[tokio::test]
async fn everything_is_reached_by_keys() {
    let server = TestServer::start().await;
    let Some(browser) = Browser::start(&server).await else { return };
    browser.sign_in().await;

    browser.press("/").await;
    browser.until("the search has the focus", "return document.activeElement.id === 'search'").await;
    // In a field, keys are text.
    browser.press("g?").await;
    assert_eq!(browser.run("return document.activeElement.value").await, "g?");

    browser.goto("/").await;
    browser.press("?").await;
    browser.until("the keys are explained", "return document.getElementById('keys').open").await;
    browser.check("keys").await;
    browser.click("#keys button").await;
    browser.until("the help is closed", "return !document.getElementById('keys').open").await;

    browser.press("gn").await;
    browser.until("g n leads to the channels", "return location.pathname === '/channels'").await;

    browser.goto("/").await;
    browser.press("\u{e004}").await;
    let first = browser.run("return document.activeElement.className").await;
    assert_eq!(first, "skip", "the first stop leads past the navigation");
    browser.press("\u{e007}").await;
    browser.until("the content has the focus", "return document.activeElement.id === 'main'").await;
    browser.close().await;
}

#[tokio::test]
async fn pages_work_without_scripts() {
    let server = TestServer::start().await;
    let Some(browser) = Browser::start_without_scripts(&server).await else { return };
    browser.sign_in().await;
    assert_eq!(browser.run("return typeof window.htmx").await, "undefined", "scripts are off");
    browser.goto("/?from=here").await;
    browser.click(".menu summary").await;
    browser.click("button[name='language'][value='ru']").await;
    browser.arrive("/?from=here").await;
    assert_eq!(browser.run("return document.documentElement.lang").await, "ru");
    browser.click(".menu summary").await;
    browser.click("form[action='/sign-out'] button").await;
    browser.arrive("/sign-in").await;
    browser.close().await;
}
