//! A member signs in with a link, once.

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, StatusCode};
use rca_store::SignedIn;
use secrecy::SecretString;

use super::{html, sign_in::open};
use crate::{
    Dashboard,
    error::PageError,
    fields::check_origin,
    frame::{Frame, Nav, Taste},
};

pub(super) fn router() -> Router<Dashboard> {
    Router::new().route("/sign-in/link/{secret}", get(show).post(use_up))
}

#[derive(Template)]
#[template(path = "sign_in_link.html")]
struct LinkPage {
    f: Frame,
    is_valid: bool,
}

/// Opening a link changes nothing: the scanners of mail servers open links too.
async fn show(
    State(state): State<Dashboard>,
    headers: HeaderMap,
    Path(secret): Path<String>,
) -> Result<Response, PageError> {
    let is_valid = state.flow.is_sign_in_link(&SecretString::from(secret)).await?;
    answer(&headers, is_valid)
}

async fn use_up(
    State(state): State<Dashboard>,
    headers: HeaderMap,
    Path(secret): Path<String>,
) -> Result<Response, PageError> {
    // Another site must not sign people in as somebody else.
    check_origin(&headers, &state.flow.config().public_url)?;
    match state.flow.use_sign_in_link(&SecretString::from(secret)).await? {
        Some((workspace, member)) => {
            open(&state, &headers, &workspace, &SignedIn::Member(member.id), "/").await
        }
        None => answer(&headers, false),
    }
}

fn answer(headers: &HeaderMap, is_valid: bool) -> Result<Response, PageError> {
    let page = html(&LinkPage { f: Frame::outside(Taste::of(headers), Nav::None), is_valid })?;
    // Who guesses links is counted with those who guess tokens.
    let status = if is_valid { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
    Ok((status, page).into_response())
}
