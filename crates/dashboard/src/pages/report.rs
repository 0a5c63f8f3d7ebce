//! The report of one failed job: the answer first, then the proof, then the rest folded.

mod difference;
mod links;
mod view;

use std::{collections::BTreeMap, fmt::Write as _};

use askama::Template;
use axum::{
    Router,
    extract::{Path, Query, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use http::header;
use rca_flow::access::Scope;
use url::form_urlencoded;

use self::view::ReportView;
use super::{Page, html};
use crate::{
    Dashboard,
    error::PageError,
    fields::Posted,
    frame::{Frame, Nav},
    session::Viewer,
};

pub(super) fn router() -> Router<Dashboard> {
    Router::new()
        .route("/analyses/{id}", get(show))
        .route("/analyses/{id}/export", get(export))
        .route("/analyses/{id}/verdict", post(verdict))
        .route("/analyses/{id}/rerun", post(rerun))
}

#[derive(Template)]
#[template(path = "report/page.html")]
struct ReportPage {
    f: Frame,
    page: ReportView,
}

async fn show(State(state): State<Dashboard>, viewer: Viewer, Path(id): Path<String>) -> Page {
    let whole = state.flow.whole_analysis(&viewer.caller(), &id).await?;
    let f = Frame::inside(&state, &viewer, Nav::Failures).await?;
    let page = ReportView::of(&f, whole);
    html(&ReportPage { f, page })
}

/// The report as a file.
async fn export(
    State(state): State<Dashboard>,
    viewer: Viewer,
    Path(id): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Result<Response, PageError> {
    let analysis = state.flow.get_analysis(&viewer.caller(), &id).await?;
    let format = query.get("format").map(String::as_str).unwrap_or_default();
    let (kind, ending, text) = match (format, &analysis.report) {
        ("json", _) => {
            let mut text = serde_json::to_string_pretty(&analysis).unwrap_or_default();
            text.push('\n');
            ("application/json", "json", text)
        }
        ("markdown", Some(report)) => ("text/markdown; charset=utf-8", "md", report.to_markdown()),
        ("sarif", Some(report)) => ("application/sarif+json", "sarif.json", report.to_sarif()),
        ("junit", Some(report)) => ("application/xml; charset=utf-8", "xml", report.to_junit()),
        _ => return Err(PageError::not_found()),
    };
    // The id is in the path and was found, so it is one of ours.
    let name = format!("attachment; filename=\"report-{}.{ending}\"", analysis.id);
    Ok(([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, name)], text).into_response())
}

async fn verdict(
    State(state): State<Dashboard>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, PageError> {
    let caller = posted.viewer.require(Scope::Write)?;
    let is_right = match posted.fields.get("correct") {
        Some("yes") => true,
        Some("no") => false,
        _ => return Err(PageError::invalid("correct: is neither yes nor no")),
    };
    let note = posted.fields.get("note").filter(|_| !is_right);
    state.flow.set_verdict(&caller, &id, is_right, note).await?;
    Ok(back(&id, "verdict"))
}

async fn rerun(
    State(state): State<Dashboard>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, PageError> {
    let caller = posted.viewer.require(Scope::Write)?;
    let rerun = state.flow.rerun(&caller, &id).await?;
    Ok(back(&id, if rerun.is_same { "rerun_same" } else { "rerun_changed" }))
}

fn back(id: &str, said: &str) -> Response {
    let id: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
    let mut address = format!("/analyses/{id}");
    // Writing to a string cannot fail.
    let _ = write!(address, "?said={said}");
    Redirect::to(&address).into_response()
}
