//! What is red now.

use askama::Template;
use axum::{Router, extract::State, routing::get};

use super::{Page, html};
use crate::{
    Dashboard,
    frame::{Frame, Nav},
    session::Viewer,
};

pub(super) fn router() -> Router<Dashboard> {
    Router::new().route("/", get(show))
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    f: Frame,
}

async fn show(State(state): State<Dashboard>, viewer: Viewer) -> Page {
    html(&OverviewPage { f: Frame::inside(&state, &viewer, Nav::Overview).await? })
}
