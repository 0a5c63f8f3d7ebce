//! What surrounds every page: navigation, language, looks, and the small functions that templates use.

use std::fmt::Display;

use http::{HeaderMap, header};
use jiff::{Timestamp, Unit};
use rca_flow::access::Scope;

use crate::{
    Dashboard, assets,
    error::PageError,
    locale::{self, Locale},
    said,
    session::{Viewer, cookie},
};

pub(crate) const LANGUAGE_COOKIE: &str = "forge-rca-language";
pub(crate) const THEME_COOKIE: &str = "forge-rca-theme";

/// How a reader wants pages: chosen by cookie, else by what the browser says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taste {
    pub(crate) locale: Locale,
    /// `light` or `dark`; empty: as the system has it.
    pub(crate) theme: &'static str,
}

impl Taste {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let locale = cookie(headers, LANGUAGE_COOKIE)
            .and_then(|code| Locale::from_code(&code))
            .unwrap_or_else(|| Locale::from_accepted(accepted.unwrap_or_default()));
        let theme = match cookie(headers, THEME_COOKIE).as_deref() {
            Some("light") => "light",
            Some("dark") => "dark",
            _ => "",
        };
        Self { locale, theme }
    }
}

/// A place of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nav {
    None,
    Overview,
    Failures,
    Clusters,
    Integrations,
    Deliveries,
    Channels,
    Settings,
    Members,
    Tokens,
    Audit,
    Incidents,
    Send,
}

/// What `layout.html` and the templates in it read, always as `f`.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) taste: Taste,
    pub(crate) nav: Nav,
    pub(crate) inside: Option<Inside>,
    /// The key of a message to show once, after something was done.
    pub(crate) notice: Option<String>,
    now: Timestamp,
}

/// What is there when somebody is signed in.
#[derive(Debug, Clone)]
pub(crate) struct Inside {
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) workspace: String,
    pub(crate) csrf: String,
    pub(crate) may_write: bool,
    pub(crate) may_send: bool,
    pub(crate) may_admin: bool,
    pub(crate) open_incidents: i64,
    /// The path and query of this page.
    pub(crate) address: String,
}

impl Frame {
    /// For somebody who is signed in.
    pub(crate) async fn inside(state: &Dashboard, viewer: &Viewer, nav: Nav) -> Result<Self, PageError> {
        let store = state.flow.store();
        let workspace = &viewer.session.workspace;
        let open_incidents = store.count_open_incidents(workspace).await.map_err(PageError::from_store)?;
        let name = store.workspace_name(workspace).await.map_err(PageError::from_store)?;
        let said = viewer.address.split_once('?').map_or("", |(_, query)| query);
        let notice = url::form_urlencoded::parse(said.as_bytes())
            .find(|(key, _)| key == "said")
            .map(|(_, value)| format!("notice.{value}"))
            // Only our own messages can be shown, whatever an address says.
            .filter(|key| viewer.taste.locale.find(key).is_some());
        Ok(Self {
            taste: viewer.taste,
            nav,
            inside: Some(Inside {
                name: viewer.session.name.clone(),
                role: viewer.role().to_owned(),
                workspace: name.unwrap_or_default(),
                csrf: viewer.csrf.clone(),
                may_write: viewer.may(Scope::Write),
                may_send: viewer.may(Scope::Ingest) || viewer.may(Scope::Write),
                may_admin: viewer.may(Scope::Admin),
                open_incidents,
                address: viewer.address.clone(),
            }),
            notice,
            now: Timestamp::now(),
        })
    }

    /// For pages before and beside signing in.
    pub(crate) fn outside(taste: Taste, nav: Nav) -> Self {
        Self { taste, nav, inside: None, notice: None, now: Timestamp::now() }
    }

    pub(crate) fn language(&self) -> &'static str {
        self.taste.locale.code()
    }

    /// A text of the messages.
    pub(crate) fn t(&self, key: &str) -> String {
        self.taste.locale.text(key)
    }

    /// A text of the messages, where there is one.
    pub(crate) fn find(&self, key: &str) -> Option<&'static str> {
        self.taste.locale.find(key)
    }

    /// A text under `group.word`; the word itself where the messages do not know it: for words of the API.
    pub(crate) fn word(&self, group: &str, word: &str) -> String {
        self.taste.locale.find(&format!("{group}.{word}")).unwrap_or(word).to_owned()
    }

    /// What a use case says in words, in the reader's language where it is known there.
    pub(crate) fn said<'t>(&self, text: &'t str) -> std::borrow::Cow<'t, str> {
        said::translated(self.taste.locale, text)
    }

    /// A text of the messages with one value in it.
    pub(crate) fn t1(&self, key: &str, value: impl Display) -> String {
        self.taste.locale.fill(key, &[&value])
    }

    /// A text of the messages with two values in it.
    pub(crate) fn t2(&self, key: &str, first: impl Display, second: impl Display) -> String {
        self.taste.locale.fill(key, &[&first, &second])
    }

    /// A number of things.
    pub(crate) fn count(&self, key: &str, number: impl Display) -> String {
        self.taste.locale.count(key, whole(number))
    }

    /// A number, with its thousands apart.
    pub(crate) fn number(&self, number: impl Display) -> String {
        locale::thousands(whole(number))
    }

    /// How long ago a time (RFC 3339) was, or how far away it is: "3 min ago", "in 12 d".
    pub(crate) fn ago(&self, time: &str) -> String {
        let Ok(time) = time.parse::<Timestamp>() else { return time.to_owned() };
        let seconds = self.now.as_second() - time.as_second();
        let (unit, number) = match seconds.unsigned_abs() {
            0..=59 => return self.t("time.now"),
            60..=3_599 => ("minutes", seconds / 60),
            3_600..=86_399 => ("hours", seconds / 3_600),
            _ => ("days", seconds / 86_400),
        };
        let amount = self.t1(&format!("time.{unit}"), number.abs());
        self.t1(if seconds < 0 { "time.ahead" } else { "time.ago" }, amount)
    }

    /// A time (RFC 3339) to the second in UTC, for the title of [`Frame::ago`].
    pub(crate) fn exactly(&self, time: &str) -> String {
        match time.parse::<Timestamp>().and_then(|time| time.round(Unit::Second)) {
            Ok(time) => time.to_string().replace('T', " ").replace('Z', " UTC"),
            Err(_) => time.to_owned(),
        }
    }

    /// Whether a time (RFC 3339) is over.
    pub(crate) fn is_past(&self, time: &str) -> bool {
        time.parse::<Timestamp>().is_ok_and(|time| time < self.now)
    }

    /// A span of seconds: "48 s", "3 min", "2 h".
    pub(crate) fn seconds(&self, seconds: i64) -> String {
        match seconds {
            ..=99 => self.t1("time.seconds", seconds),
            100..=5_999 => self.t1("time.minutes", seconds / 60),
            _ => self.t1("time.hours", seconds / 3_600),
        }
    }

    /// A span of seconds as [`Frame::seconds`] has it; what takes no time is "< 1 s".
    pub(crate) fn span(&self, seconds: f64) -> String {
        if seconds < 1.0 { self.t1("time.seconds", "< 1") } else { self.seconds(seconds.round() as i64) }
    }

    pub(crate) fn asset(&self, stem: &str, extension: &str) -> String {
        assets::address(stem, extension)
    }

    /// `page` marks the link of the page that is shown, for those who see and for those who do not.
    pub(crate) fn is_at(&self, nav: &str) -> bool {
        format!("{:?}", self.nav).eq_ignore_ascii_case(nav)
    }

    pub(crate) fn csrf(&self) -> &str {
        self.inside.as_ref().map_or("", |inside| inside.csrf.as_str())
    }

    pub(crate) fn may_write(&self) -> bool {
        self.inside.as_ref().is_some_and(|inside| inside.may_write)
    }

    pub(crate) fn may_admin(&self) -> bool {
        self.inside.as_ref().is_some_and(|inside| inside.may_admin)
    }
}

/// An address from outside as a link, where it leads to a web page: `javascript:` and its like become text, and so does
/// one that hides where it leads behind a user's name.
pub(crate) fn outer_link(address: &str) -> Option<&str> {
    let url = url::Url::parse(address).ok()?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    (is_web && url.username().is_empty() && url.password().is_none()).then_some(address)
}

/// Any kind of number, by reference or not, as templates have them.
fn whole(number: impl Display) -> i64 {
    number.to_string().parse().unwrap_or(i64::MAX)
}
