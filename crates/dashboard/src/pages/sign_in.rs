//! Signing in with a token, and signing out.

use askama::Template;
use axum::{
    Router,
    body::Bytes,
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use http::{HeaderMap, StatusCode, header};
use rca_flow::access::{self, Scope};
use rca_store::SignedIn;
use secrecy::SecretString;
use serde::Deserialize;

use super::{Page, html};
use crate::{
    Dashboard,
    error::PageError,
    fields::{Fields, Posted, check_origin},
    frame::{Frame, Nav, Taste},
    session::{clear_cookie, session_of, set_cookie},
};

pub(super) fn router() -> Router<Dashboard> {
    Router::new().route("/sign-in", get(show).post(sign_in)).route("/sign-out", post(sign_out))
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    f: Frame,
    next: String,
    is_refused: bool,
}

#[derive(Debug, Default, Deserialize)]
struct Wanted {
    #[serde(default)]
    next: String,
}

async fn show(headers: HeaderMap, Query(wanted): Query<Wanted>) -> Page {
    html(&SignInPage {
        f: Frame::outside(Taste::of(&headers), Nav::None),
        next: inner_address(&wanted.next).to_owned(),
        is_refused: false,
    })
}

async fn sign_in(
    State(state): State<Dashboard>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, PageError> {
    // Nobody is signed in yet, so there is no token of ours in the form; another site must not sign people in either.
    check_origin(&headers, &state.flow.config().public_url)?;
    let fields = Fields::parse(&body);
    let token = SecretString::from(fields.text("token"));
    let next = inner_address(&fields.text("next")).to_owned();
    let store = state.flow.store();
    let found = store.find_api_token(&access::hash(&token)).await.map_err(PageError::from_store)?;
    let found =
        found.filter(|token| access::is_allowed(Some(&token.scopes), token.role.as_deref(), Scope::Read));
    let Some(token) = found else {
        tracing::info!("a sign-in was refused: the token is unknown or may not read");
        let f = Frame::outside(Taste::of(&headers), Nav::None);
        return Ok(
            (StatusCode::UNAUTHORIZED, html(&SignInPage { f, next, is_refused: true })?).into_response()
        );
    };
    open(&state, &headers, &token.workspace, &SignedIn::Token(token.id), &next).await
}

/// Opens a session under a new id (an id that was there before never becomes a signed-in one) and goes on.
pub(crate) async fn open(
    state: &Dashboard,
    headers: &HeaderMap,
    workspace: &str,
    holder: &SignedIn,
    next: &str,
) -> Result<Response, PageError> {
    let store = state.flow.store();
    if let Some(earlier) = session_of(headers, &state.flow.config().public_url) {
        store.close_session(&access::hash(&earlier)).await.map_err(PageError::from_store)?;
    }
    let id = access::random_token("");
    store.open_session(&access::hash(&id), workspace, holder).await.map_err(PageError::from_store)?;
    let mut response = Redirect::to(next).into_response();
    if let Some(cookie) = set_cookie(state, &id) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

async fn sign_out(
    State(state): State<Dashboard>,
    headers: HeaderMap,
    _: Posted,
) -> Result<Response, PageError> {
    if let Some(id) = session_of(&headers, &state.flow.config().public_url) {
        state.flow.store().close_session(&access::hash(&id)).await.map_err(PageError::from_store)?;
    }
    let mut response = Redirect::to("/sign-in").into_response();
    if let Some(cookie) = clear_cookie(&state) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// The address to go on to, where it is one of ours; a link must not use our sign-in to lead elsewhere.
pub(crate) fn inner_address(next: &str) -> &str {
    let is_ours = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains('\\')
        && !next.chars().any(char::is_control);
    if is_ours { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::inner_address;

    #[test]
    fn only_our_own_addresses_are_gone_to() {
        assert_eq!(inner_address("/analyses/1?line=3"), "/analyses/1?line=3");
        for foreign in
            ["//evil.test", "https://evil.test", "/\\evil.test", "javascript:alert(1)", "", "/a\nb"]
        {
            assert_eq!(inner_address(foreign), "/", "{foreign}");
        }
    }
}
