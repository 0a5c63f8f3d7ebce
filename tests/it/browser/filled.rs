//! Every page of a server that has been in use for a month: in light, dark and on a phone.

use serde_json::json;

use super::{Browser, used::Used};

/// What moved on the page after it was first shown, of all that is visible; browsers call less than 0.1 good.
const MOST_SHIFT: f64 = 0.01;

#[tokio::test]
async fn every_page_of_a_used_server_is_for_everybody() {
    let used = Used::start().await;
    let Some(browser) = Browser::start(&used.server).await else { return };
    browser.sign_in().await;
    for (name, path) in used.pages().await {
        browser.goto(&path).await;
        assert_steady(&browser, &name).await;
        assert_reached_by_keys(&browser, &name).await;
        browser.check(&format!("filled-{name}")).await;
    }
    // On paper: the answer and its proof, without what can only be clicked.
    browser.goto(&format!("/analyses/{}", used.analysis("test 3.12").await)).await;
    browser.print("filled-report-print").await;
    browser.close().await;
    used.stop().await;
}

/// Nothing moves under the reader's hand while the page is put together.
async fn assert_steady(browser: &Browser, name: &str) {
    let script = "const done = arguments[arguments.length - 1]; let sum = 0; \
        new PerformanceObserver((list) => { for (const it of list.getEntries()) if (!it.hadRecentInput) sum += it.value; }) \
            .observe({type: 'layout-shift', buffered: true}); \
        requestAnimationFrame(() => setTimeout(() => done(sum), 0));";
    let shift = browser.page.execute_async(script).await.unwrap().as_f64().unwrap();
    assert!(shift < MOST_SHIFT, "{name} moves by {shift}");
}

/// Every link, button and field takes the focus, in the order of the page, and each has a name to be read out.
async fn assert_reached_by_keys(browser: &Browser, name: &str) {
    let script = "const all = [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary')] \
            .filter((it) => !it.disabled && !it.closest('fieldset:disabled') && it.checkVisibility({visibilityProperty: true}) && !it.matches('.hidden')); \
        const lost = all.filter((it) => { if (it.tabIndex !== 0) return true; it.focus(); return document.activeElement !== it; }); \
        document.activeElement.blur(); window.scrollTo(0, 0); \
        return {count: all.length, lost: lost.map((it) => it.outerHTML.slice(0, 160))};";
    let found = browser.run(script).await;
    assert!(found["count"].as_u64().unwrap() > 10, "{name}: {found}");
    assert_eq!(found["lost"], json!([]), "{name}: not reached by keys");
}
