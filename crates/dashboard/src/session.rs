//! Who looks: the session behind the cookie.

use axum::extract::FromRequestParts;
use http::{HeaderMap, HeaderValue, Method, header, request::Parts};
use rca_flow::{
    Caller,
    access::{self, Scope},
};
use rca_store::Session;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use crate::{Dashboard, error::PageError, frame::Taste};

/// The cookie's name where people reach us encrypted; without encryption a browser refuses the prefix.
pub const SESSION_COOKIE: &str = "__Host-forge-rca";
const PLAIN_COOKIE: &str = "forge-rca";

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub(crate) struct Viewer {
    pub(crate) session: Session,
    /// What our forms carry.
    pub(crate) csrf: String,
    pub(crate) taste: Taste,
    /// The path and query that was asked for.
    pub(crate) address: String,
}

impl Viewer {
    pub(crate) fn caller(&self) -> Caller {
        Caller::new(&self.session.workspace, access::actor(&self.session))
    }

    pub(crate) fn may(&self, scope: Scope) -> bool {
        access::session_allows(&self.session, scope)
    }

    /// The caller, where the session allows it.
    pub(crate) fn require(&self, scope: Scope) -> Result<Caller, PageError> {
        if self.may(scope) { Ok(self.caller()) } else { Err(PageError::not_allowed()) }
    }

    /// The role in words; a token without one is named by what it may do.
    pub(crate) fn role(&self) -> &str {
        self.session.role.as_deref().unwrap_or("token")
    }
}

impl FromRequestParts<Dashboard> for Viewer {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &Dashboard) -> Result<Self, PageError> {
        let address = parts.uri.path_and_query().map_or("/", |it| it.as_str()).to_owned();
        let wanted = if parts.method == Method::GET { address.clone() } else { "/".to_owned() };
        let id = session_of(&parts.headers, &state.flow.config().public_url)
            .ok_or_else(|| PageError::sign_in(&wanted))?;
        let found = state.flow.store().find_session(&access::hash(&id)).await;
        let session = found.map_err(PageError::from_store)?.ok_or_else(|| PageError::sign_in(&wanted))?;
        let viewer = Self { session, csrf: csrf_of(&id), taste: Taste::of(&parts.headers), address };
        // Tokens that only send logs open no pages.
        if !viewer.may(Scope::Read) {
            return Err(PageError::not_allowed());
        }
        Ok(viewer)
    }
}

/// The session's id that a request brings. Where people reach us encrypted, only the cookie that no other host can have
/// set counts: a neighbour's must not sign anybody in as somebody else.
pub fn session_of(headers: &HeaderMap, public_url: &url::Url) -> Option<SecretString> {
    let name = if public_url.scheme() == "https" { SESSION_COOKIE } else { PLAIN_COOKIE };
    cookie(headers, name).map(SecretString::from)
}

/// What a request that changes something must carry besides the cookie, as field `csrf` or header `X-CSRF-Token`.
///
/// Made from the session's id, which no other site can read; nothing more has to be kept.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "a one-way derivation of the session's id")]
pub fn csrf_of(id: &SecretString) -> String {
    hex::encode(Sha256::digest(format!("forge-rca csrf {}", id.expose_secret())))
}

/// The value of a cookie.
pub(crate) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
}

/// The header that gives a browser its session. It lasts as long as the session can; idleness is counted here.
#[expect(clippy::disallowed_methods, reason = "the cookie is where a session's id belongs")]
pub(crate) fn set_cookie(state: &Dashboard, id: &SecretString) -> Option<HeaderValue> {
    let seconds = rca_store::SESSION_LIFE_MS / 1_000;
    write_cookie(state, id.expose_secret(), seconds)
}

/// The header that takes it away.
pub(crate) fn clear_cookie(state: &Dashboard) -> Option<HeaderValue> {
    write_cookie(state, "", 0)
}

fn write_cookie(state: &Dashboard, value: &str, seconds: i64) -> Option<HeaderValue> {
    let (name, secure) = if state.is_https() { (SESSION_COOKIE, "; Secure") } else { (PLAIN_COOKIE, "") };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    let mut header = HeaderValue::from_str(&text).ok()?;
    header.set_sensitive(true);
    Some(header)
}
