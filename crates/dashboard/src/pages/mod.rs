//! The pages, by area. Each reads the request, calls the use case and renders; nothing is decided here.

mod channels;
mod charts;
mod clusters;
mod connect;
mod deliveries;
mod failures;
mod incidents;
mod integrations;
mod log;
mod manage;
mod numbers;
mod operations;
mod overview;
mod preferences;
mod problem;
mod report;
mod repositories;
mod rows;
mod runs;
mod search;
mod send;
mod settings;
mod sign_in;
mod sign_in_link;
mod statistics;

pub(crate) use numbers::Numbers;

use askama::Template;
use axum::{Router, extract::DefaultBodyLimit, response::Html};

pub use connect::back::{after_connecting, connecting_session};

use crate::{Dashboard, assets, error::PageError};

/// Forms are small; what takes a log says so itself.
const FORM_LIMIT: usize = 256 * 1024;

pub(crate) type Page = Result<Html<String>, PageError>;

pub(crate) fn router() -> Router<Dashboard> {
    Router::new()
        .merge(sign_in::router())
        .merge(preferences::router())
        .merge(sign_in_link::router())
        .merge(channels::router())
        .merge(manage::router())
        .merge(settings::router())
        .merge(overview::router())
        .merge(connect::router())
        .merge(integrations::router())
        .merge(repositories::router())
        .merge(operations::router())
        .merge(deliveries::router())
        .merge(incidents::router())
        .merge(report::router())
        .merge(log::router())
        .merge(failures::router())
        .merge(clusters::router())
        .merge(search::router())
        .merge(runs::router())
        .merge(statistics::router())
        .layer(DefaultBodyLimit::max(FORM_LIMIT))
        .merge(send::router())
        .merge(assets::router())
}

pub(crate) fn html(page: &impl Template) -> Page {
    Ok(Html(page.render()?))
}
