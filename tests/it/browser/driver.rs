//! Debian's chromium and chromedriver: found, started once for all tests of this process, and ended with the last.

#![expect(clippy::disallowed_methods, reason = "tests start the browser")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use serde_json::json;

use super::webdriver::WebDriver;

/// A running chromedriver.
pub(super) struct Driver {
    address: String,
    process: Child,
}

static RUNNING: Mutex<Weak<Driver>> = Mutex::new(Weak::new());

impl Drop for Driver {
    fn drop(&mut self) {
        // With it end the browsers of tests that failed.
        let _ = self.shut_down();
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Driver {
    /// The driver that runs, or a new one. `None` where no browser is installed, which is said; a failure in CI.
    pub(super) fn shared() -> Option<Arc<Self>> {
        let mut running = RUNNING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(driver) = running.upgrade() {
            return Some(driver);
        }
        if browser().is_none() || find("chromedriver").is_none() {
            let reason = "install Debian's packages chromium and chromium-driver";
            assert!(std::env::var_os("CI").is_none(), "the tests in a browser must run in CI: {reason}");
            // Past the capture of the test harness: a test that is left out must be seen.
            let _ = writeln!(std::io::stderr(), "a test in a browser is left out: {reason}");
            return None;
        }
        let driver = Arc::new(Self::start());
        *running = Arc::downgrade(&driver);
        Some(driver)
    }

    fn start() -> Self {
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        // "ChromeDriver was started successfully on port 40173."
        let port = lines
            .find_map(|line| line.split_once("successfully on port ").map(|(_, port)| port.to_owned()))
            .expect("chromedriver says on which port it listens");
        // What it says later is of no use, but must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { address: format!("127.0.0.1:{}", port.trim_end_matches('.')), process }
    }

    /// Asks chromedriver to end its browsers and itself. Without a runtime: there is none any more.
    fn shut_down(&self) -> std::io::Result<()> {
        let mut connection = TcpStream::connect(&self.address)?;
        connection.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(connection, "GET /shutdown HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address)?;
        std::io::copy(&mut connection, &mut std::io::sink())?;
        Ok(())
    }

    /// A new, empty browser.
    pub(super) async fn open(&self, with_scripts: bool) -> WebDriver {
        let browser = browser().unwrap_or_default();
        let mut arguments = vec![
            "--headless=new",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--window-size=1280,1000",
            "--no-first-run",
            // Nothing but our own server is to be asked for anything.
            "--disable-background-networking",
            "--disable-component-update",
        ];
        if is_root() {
            // Chromium's sandbox refuses to work for root, as containers of CI have it.
            arguments.push("--no-sandbox");
        }
        let mut preferences = json!({ "intl.accept_languages": "en" });
        if !with_scripts {
            preferences["profile.managed_default_content_settings.javascript"] = 2.into();
        }
        let wanted = json!({
            "browserName": "chrome",
            "goog:chromeOptions": { "binary": browser, "args": arguments, "prefs": preferences },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        });
        WebDriver::connect(&self.address, wanted).await.unwrap()
    }
}

/// Debian's chromium; elsewhere it may have its maker's name.
fn browser() -> Option<PathBuf> {
    ["chromium", "google-chrome"].into_iter().find_map(find)
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}
