//! Language and appearance: in cookies, so that they hold on every page, also before signing in.

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Redirect, Response},
    routing::post,
};
use http::{HeaderValue, header};

use super::sign_in::inner_address;
use crate::{
    Dashboard,
    error::PageError,
    fields::Posted,
    frame::{LANGUAGE_COOKIE, THEME_COOKIE},
    locale::Locale,
};

const YEAR_SECONDS: u32 = 31_536_000;

pub(super) fn router() -> Router<Dashboard> {
    Router::new().route("/preferences", post(change))
}

async fn change(State(state): State<Dashboard>, posted: Posted) -> Result<Response, PageError> {
    let secure = if state.is_https() { "; Secure" } else { "" };
    let mut response = Redirect::to(inner_address(&posted.fields.text("next"))).into_response();
    let language = posted.fields.get("language").and_then(Locale::from_code).map(Locale::code);
    let theme = posted.fields.get("theme").and_then(|word| match word {
        "light" => Some("light"),
        "dark" => Some("dark"),
        "system" => Some(""),
        _ => None,
    });
    for (name, value) in [(LANGUAGE_COOKIE, language), (THEME_COOKIE, theme)] {
        let Some(value) = value else { continue };
        let line = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={YEAR_SECONDS}{secure}");
        if let Ok(line) = HeaderValue::from_str(&line) {
            response.headers_mut().append(header::SET_COOKIE, line);
        }
    }
    Ok(response)
}
