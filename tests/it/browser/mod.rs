//! The dashboard in a real browser.
//!
//! A test begins with `let Some(browser) = Browser::start(&server).await else { return };`: where no browser is
//! installed it says so and is left out; with `CI` set that is a failure. Pictures of the pages go to
//! `target/screenshots/`.

mod connect;
mod copy;
mod driver;
mod filled;
mod hostile;
mod pages;
mod report;
mod runs;
mod sign_in;
mod states;
mod used;
mod webdriver;

use std::{path::PathBuf, sync::Arc};

use serde_json::{Value, json};

use self::{
    driver::Driver,
    webdriver::{WebDriver, WebElement},
};
use crate::support::{OWNER, TestServer, eventually};

/// The width of a common phone, in the browser's pixels.
const PHONE: u32 = 390;

/// A browser of its own, on the pages of one server.
pub(crate) struct Browser {
    pub(crate) page: WebDriver,
    base: String,
    // The browser of a test that failed ends with the driver: asking for it then would need the runtime that ends as well.
    _driver: Arc<Driver>,
}

impl Browser {
    /// A new browser in which nobody is signed in.
    pub(crate) async fn start(server: &TestServer) -> Option<Self> {
        Self::open(server, true).await
    }

    /// One that runs no scripts.
    pub(crate) async fn start_without_scripts(server: &TestServer) -> Option<Self> {
        Self::open(server, false).await
    }

    async fn open(server: &TestServer, with_scripts: bool) -> Option<Self> {
        let driver = Driver::shared()?;
        let page = driver.open(with_scripts).await;
        Some(Self { page, base: server.base.clone(), _driver: driver })
    }

    /// Ends the browser, after a last look at what it complained about.
    pub(crate) async fn close(self) {
        self.assert_clean().await;
        self.page.quit().await.unwrap();
    }

    pub(crate) async fn goto(&self, path: &str) {
        self.page.goto(format!("{}{path}", self.base)).await.unwrap();
    }

    /// Signs in as the owner, by the form.
    pub(crate) async fn sign_in(&self) {
        self.sign_in_with(OWNER).await;
        self.find(".side").await;
    }

    /// Sends the form of `/sign-in`.
    pub(crate) async fn sign_in_with(&self, token: &str) {
        self.goto("/sign-in").await;
        self.fill("#token", token).await;
        self.click("form[action='/sign-in'] button").await;
    }

    /// Path and query that the browser is at.
    pub(crate) async fn address(&self) -> String {
        let url = self.page.current_url().await.unwrap();
        url.strip_prefix(&self.base).unwrap_or(&url).to_owned()
    }

    /// Waits until the browser is there.
    pub(crate) async fn arrive(&self, address: &str) {
        eventually(&format!("the browser is at {address}"), async || {
            (self.address().await == address).then_some(())
        })
        .await;
    }

    /// The first element that the selector finds, waiting for it.
    pub(crate) async fn find(&self, css: &str) -> WebElement {
        eventually(&format!("{css} is on the page"), async || self.page.find(css).await.ok()).await
    }

    pub(crate) async fn has(&self, css: &str) -> bool {
        !self.page.find_all(css).await.unwrap().is_empty()
    }

    /// The text that a person sees in the element.
    pub(crate) async fn text(&self, css: &str) -> String {
        // What renews itself may be gone in the moment that it was found.
        eventually(&format!("{css} is read"), async || self.find(css).await.text().await.ok()).await
    }

    pub(crate) async fn click(&self, css: &str) {
        let element = self.find(css).await;
        element.scroll_into_view().await.unwrap();
        element.click().await.unwrap_or_else(|error| panic!("{css} cannot be clicked: {error}"));
    }

    /// Replaces what is in a field.
    pub(crate) async fn fill(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Presses keys, wherever the focus is.
    pub(crate) async fn press(&self, keys: &str) {
        self.page.press(keys).await.unwrap();
    }

    /// The value of a script's `return`, run beside the page's own scripts and untouched by its policy.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.page.execute(script).await.unwrap()
    }

    /// Waits until the script's value is true.
    pub(crate) async fn until(&self, what: &str, script: &str) {
        eventually(what, async || (self.run(script).await == true).then_some(())).await;
    }

    /// Makes the window as wide and high as given; `is_phone` also reads the page's viewport as phones do.
    async fn resize(&self, width: u32, height: u32, is_phone: bool) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone});
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    async fn prefer(&self, scheme: &str) {
        let still = json!({"name": "prefers-reduced-motion", "value": "reduce"});
        let scheme = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}, still]});
        self.devtools("Emulation.setEmulatedMedia", scheme).await;
    }

    async fn devtools(&self, method: &str, parameters: Value) -> Value {
        self.page.devtools(method, parameters).await.unwrap()
    }

    /// Everything that holds for each page, in whatever state: accessible in light and dark, no wider than a phone,
    /// nothing asked of others, nothing against the policy. Leaves its pictures.
    pub(crate) async fn check(&self, name: &str) {
        for scheme in ["light", "dark"] {
            self.prefer(scheme).await;
            self.assert_accessible(&format!("{name}, {scheme}")).await;
        }
        self.screenshots(name).await;
        self.assert_fits_phone(name).await;
        self.assert_clean().await;
    }

    /// axe-core finds nothing serious or critical.
    pub(crate) async fn assert_accessible(&self, name: &str) {
        let Some(axe) = axe() else { return };
        // Run by the driver, beside the page's policy, which stays as strict as it is.
        let script = format!(
            "{axe}; const done = arguments[arguments.length - 1]; \
             axe.run(document, {{preload: false, resultTypes: ['violations']}}).then( \
                 (result) => done(result.violations), (error) => done([{{id: String(error), impact: 'serious', nodes: []}}]));"
        );
        let found = self.page.execute_async(&script).await.unwrap();
        let is_grave = |it: &&Value| matches!(it["impact"].as_str(), Some("serious" | "critical"));
        let grave: Vec<String> = found.as_array().unwrap().iter().filter(is_grave).map(describe).collect();
        assert!(grave.is_empty(), "{name}: axe finds\n{}", grave.join("\n"));
    }

    /// Pictures of the whole page in light, dark and as wide as a phone.
    pub(crate) async fn screenshots(&self, name: &str) {
        for (kind, scheme, width, is_phone) in
            [("light", "light", 1280, false), ("dark", "dark", 1280, false), ("phone", "light", PHONE, true)]
        {
            self.prefer(scheme).await;
            self.resize(width, 844, is_phone).await;
            self.picture(&format!("{name}-{kind}")).await;
        }
        self.devtools("Emulation.clearDeviceMetricsOverride", json!({})).await;
        self.prefer("light").await;
    }

    /// A picture of the page as it is printed, which shows nothing that can only be clicked.
    pub(crate) async fn print(&self, name: &str) {
        self.devtools("Emulation.setEmulatedMedia", json!({"media": "print"})).await;
        self.picture(name).await;
        let shown = "const all = [...document.querySelectorAll('nav, button, form, .menu, details:not([open])')]; \
            return all.filter((it) => it.checkVisibility()).map((it) => it.outerHTML.slice(0, 120));";
        let clickable = self.run(shown).await;
        self.devtools("Emulation.setEmulatedMedia", json!({"media": ""})).await;
        assert_eq!(clickable, json!([]), "{name}: only to be clicked, and printed");
    }

    async fn picture(&self, name: &str) {
        use base64::Engine as _;
        let shown = self.devtools("Page.captureScreenshot", json!({"captureBeyondViewport": true})).await;
        let png = base64::engine::general_purpose::STANDARD.decode(shown["data"].as_str().unwrap()).unwrap();
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{name}.png")), png).unwrap();
    }

    /// Nobody with a phone has to scroll sideways.
    pub(crate) async fn assert_fits_phone(&self, name: &str) {
        self.resize(PHONE, 844, true).await;
        let wide = self
            .run(
                "const wide = document.documentElement.scrollWidth; \
                 const who = [...document.querySelectorAll('main *')] \
                     .filter((it) => it.getBoundingClientRect().right > 391 && !it.closest('.scroll')) \
                     .map((it) => it.outerHTML.slice(0, 120)); \
                 return {wide, who: who.slice(0, 5)};",
            )
            .await;
        self.devtools("Emulation.clearDeviceMetricsOverride", json!({})).await;
        assert!(wide["wide"].as_u64().unwrap() <= u64::from(PHONE), "{name} is wider than a phone: {wide:#}");
    }

    /// Since the last time: every request went to our own server, the policy forbade nothing, no script failed.
    pub(crate) async fn assert_clean(&self) {
        let foreign: Vec<String> =
            self.requests().await.into_iter().filter(|url| !self.is_own(url)).collect();
        assert!(foreign.is_empty(), "the page asked others for {foreign:?}");
        let log = self.page.log("browser").await.unwrap();
        let complaints: Vec<&str> = log
            .iter()
            // Pages for 403, 404 and the like are told there too.
            .filter(|entry| {
                entry.level == "SEVERE" && !entry.message.contains("the server responded with a status")
            })
            .map(|entry| entry.message.as_str())
            .collect();
        assert!(complaints.is_empty(), "the browser complains: {complaints:#?}");
    }

    /// Every address that was asked for since the last time.
    pub(crate) async fn requests(&self) -> Vec<String> {
        let log = self.page.log("performance").await.unwrap();
        let asked = |text: &str| {
            let event: Value = serde_json::from_str(text).ok()?;
            let event = &event["message"];
            let url = event["params"]["request"]["url"].as_str()?;
            (event["method"] == "Network.requestWillBeSent").then(|| url.to_owned())
        };
        log.iter().filter_map(|entry| asked(&entry.message)).collect()
    }

    fn is_own(&self, url: &str) -> bool {
        // What is in the page itself, and the browser's own empty page before the first one.
        url.starts_with(&self.base) || ["data:", "about:", "chrome:"].iter().any(|own| url.starts_with(own))
    }
}

/// axe-core, that runs in the page. `None` where it is not installed, which is said; a failure in CI.
fn axe() -> Option<String> {
    use std::io::Write as _;
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("foreign/node_modules/axe-core/axe.min.js");
    if let Ok(script) = std::fs::read_to_string(file) {
        return Some(script);
    }
    let reason = "axe-core is not installed: `npm ci --ignore-scripts` in tests/foreign";
    assert!(std::env::var_os("CI").is_none(), "accessibility must be tested in CI: {reason}");
    let _ = writeln!(std::io::stderr(), "accessibility is left out: {reason}");
    None
}

fn describe(violation: &Value) -> String {
    let nodes = violation["nodes"].as_array().cloned().unwrap_or_default();
    let places: Vec<String> = nodes
        .iter()
        .take(5)
        .map(|node| format!("    {}: {}", node["html"].as_str().unwrap_or_default(), node["failureSummary"]))
        .collect();
    format!("  {}: {}\n{}", violation["id"], violation["help"], places.join("\n"))
}
