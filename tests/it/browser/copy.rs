//! Copying, where the browser has a clipboard for us and where it has none.

use super::Browser;
use crate::support::TestServer;

/// As on a page that came by plain http from another machine: there browsers give no clipboard.
const NO_CLIPBOARD: &str = "Object.defineProperty(navigator, 'clipboard', {value: undefined, configurable: true}); \
    document.addEventListener('copy', () => { \
        const field = document.activeElement; \
        window.copiedText = field.value ? field.value.slice(field.selectionStart, field.selectionEnd) \
            : getSelection().toString(); \
    });";

#[tokio::test]
async fn what_is_to_be_copied_is_copied_without_a_clipboard_too() {
    let server = TestServer::start().await;
    let Some(browser) = Browser::start(&server).await else { return };
    browser.sign_in().await;
    browser.goto("/connect/gitlab?way=oauth").await;
    browser.run(NO_CLIPBOARD).await;
    let wanted = browser.text("#copy-1").await;
    browser.click("[data-copy='#copy-1']").await;
    browser
        .until(
            "the button says so",
            "return document.querySelector(\"[data-copy='#copy-1']\").textContent === 'Copied'",
        )
        .await;
    assert_eq!(browser.run("return window.copiedText").await, wanted.as_str());
    let focus = "return document.activeElement === document.querySelector(\"[data-copy='#copy-1']\")";
    assert_eq!(browser.run(focus).await, true, "the focus is back at the button");

    // Where even that is refused the text is chosen, and no script fails.
    browser.run("document.execCommand = () => false").await;
    browser.run("document.activeElement.blur(); getSelection().removeAllRanges()").await;
    browser
        .until(
            "the button can be used again",
            "return document.querySelector(\"[data-copy='#copy-1']\").textContent === 'Copy'",
        )
        .await;
    browser.click("[data-copy='#copy-1']").await;
    browser
        .until("the text is chosen", &format!("return getSelection().toString().trim() === {wanted:?}"))
        .await;
    browser.close().await;
}
