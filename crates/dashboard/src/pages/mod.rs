//! The pages, by area. Each reads the request, calls the use case and renders; nothing is decided here.

mod overview;
mod preferences;
mod sign_in;

use askama::Template;
use axum::{Router, extract::DefaultBodyLimit, response::Html};

use crate::{Dashboard, assets, error::PageError};

/// Forms are small; what takes a log says so itself.
const FORM_LIMIT: usize = 256 * 1024;

pub(crate) type Page = Result<Html<String>, PageError>;

pub(crate) fn router() -> Router<Dashboard> {
    Router::new()
        .merge(sign_in::router())
        .merge(preferences::router())
        .merge(overview::router())
        .layer(DefaultBodyLimit::max(FORM_LIMIT))
        .merge(assets::router())
}

pub(crate) fn html(page: &impl Template) -> Page {
    Ok(Html(page.render()?))
}
