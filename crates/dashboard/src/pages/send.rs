//! Sending a log by hand: pasted, chosen or dropped, and read at once.

use std::{
    io::{Cursor, Read as _},
    time::Duration,
};

use askama::Template;
use axum::{
    Router,
    extract::{DefaultBodyLimit, Multipart, State},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use http::HeaderMap;
use rca_engine::archive::{self, Limits};
use rca_flow::{
    Caller,
    access::Scope,
    snippets::{self, Snippet},
    types::IngestRequest,
};
use url::form_urlencoded;

use super::{Page, html};
use crate::{
    Dashboard,
    error::PageError,
    fields::{CSRF_FIELD, check_csrf, check_origin},
    frame::{Frame, Nav},
    session::Viewer,
};

/// What stands around a log in a form.
const FORM_BYTES: usize = 256 * 1024;
/// A log that is analysed within this time is shown with its report.
const PATIENCE: Duration = Duration::from_secs(3);
/// Jobs of one archive.
const MOST_LOGS: usize = 50;

pub(super) fn router() -> Router<Dashboard> {
    // The true limit is checked while reading; this one only must not be smaller.
    let limit = DefaultBodyLimit::max(64 * 1024 * 1024);
    Router::new().route("/send", get(show).post(take)).layer(limit)
}

#[derive(Template)]
#[template(path = "report/send.html")]
struct SendPage {
    f: Frame,
    may_send: bool,
    /// In MiB.
    limit: usize,
    address: String,
    /// How each CI system sends its logs.
    snippets: Vec<Snippet>,
}

fn may_send(viewer: &Viewer) -> bool {
    viewer.may(Scope::Ingest) || viewer.may(Scope::Write)
}

async fn show(State(state): State<Dashboard>, viewer: Viewer) -> Page {
    let config = state.flow.config();
    html(&SendPage {
        may_send: may_send(&viewer),
        limit: config.ingest_max_bytes / (1024 * 1024),
        snippets: snippets::all(config.public_url.as_str()),
        address: config.public_url.as_str().trim_end_matches('/').to_owned(),
        f: Frame::inside(&state, &viewer, Nav::Send).await?,
    })
}

/// What was sent.
#[derive(Default)]
struct Sent {
    csrf: String,
    project: String,
    job: String,
    branch: String,
    pasted: Vec<u8>,
    file: Vec<u8>,
}

async fn take(
    State(state): State<Dashboard>,
    viewer: Viewer,
    headers: HeaderMap,
    form: Multipart,
) -> Result<Response, PageError> {
    if !may_send(&viewer) {
        return Err(PageError::not_allowed());
    }
    check_origin(&headers, &state.flow.config().public_url)?;
    let most = state.flow.config().ingest_max_bytes;
    let sent = read(form, most + FORM_BYTES).await?;
    check_csrf(&viewer, &sent.csrf)?;
    let bytes = if sent.file.is_empty() { sent.pasted.clone() } else { sent.file.clone() };
    if bytes.iter().all(u8::is_ascii_whitespace) {
        let words = viewer.taste.locale.text("send.nothing");
        return Err(PageError::invalid(words));
    }
    let logs = unpacked(bytes, most)?;
    let caller = viewer.caller();
    let is_one = logs.len() == 1;
    let mut last = None;
    for (job, log) in logs {
        let id = analyse(&state, &caller, &sent, job, log).await?;
        last = Some(id);
    }
    let Some(id) = last else { return Err(PageError::invalid(viewer.taste.locale.text("send.nothing"))) };
    if !is_one {
        let query: String = form_urlencoded::Serializer::new(String::new())
            .append_pair("repository", &project(&sent))
            .append_pair("said", "sent")
            .finish();
        return Ok(Redirect::to(&format!("/failures?{query}")).into_response());
    }
    state.flow.wait_for_analysis(&caller, &id, PATIENCE).await?;
    Ok(Redirect::to(&format!("/analyses/{id}")).into_response())
}

async fn read(mut form: Multipart, most: usize) -> Result<Sent, PageError> {
    let unreadable = |error: axum::extract::multipart::MultipartError| {
        if error.status() == http::StatusCode::PAYLOAD_TOO_LARGE {
            PageError::too_large()
        } else {
            PageError::invalid(error.body_text())
        }
    };
    let (mut sent, mut total) = (Sent::default(), 0);
    while let Some(mut field) = form.next_field().await.map_err(unreadable)? {
        let name = field.name().unwrap_or_default().to_owned();
        let mut value = Vec::new();
        while let Some(chunk) = field.chunk().await.map_err(unreadable)? {
            total += chunk.len();
            if total > most {
                return Err(PageError::too_large());
            }
            value.extend_from_slice(&chunk);
        }
        let text = |value: Vec<u8>| String::from_utf8_lossy(&value).trim().to_owned();
        match name.as_str() {
            CSRF_FIELD => sent.csrf = text(value),
            "project" => sent.project = text(value),
            "job" => sent.job = text(value),
            "branch" => sent.branch = text(value),
            "log" => sent.pasted = value,
            "file" => sent.file = value,
            _ => {}
        }
    }
    Ok(sent)
}

/// The logs in what was sent: one, or one per job of an archive. Unpacked they have the same limit together.
fn unpacked(bytes: Vec<u8>, most: usize) -> Result<Vec<(String, Vec<u8>)>, PageError> {
    let limits = Limits { total_bytes: most as u64 + 1, member_bytes: most as u64 + 1, ..Limits::default() };
    let broken = |error: &archive::ArchiveError| match error {
        archive::ArchiveError::Limit { .. } => PageError::too_large(),
        _ => PageError::invalid(error.to_string()),
    };
    let mut input = archive::open(Cursor::new(bytes), limits).map_err(|error| broken(&error))?;
    let (mut logs, mut total): (Vec<(String, Vec<u8>)>, usize) = (Vec::new(), 0);
    while let Some(mut member) = input.next_member().map_err(|error| broken(&error))? {
        let job = member.job().to_owned();
        let mut log = Vec::new();
        member.read_to_end(&mut log).map_err(|error| PageError::invalid(error.to_string()))?;
        total += log.len();
        let is_full = logs.len() >= MOST_LOGS;
        match logs.last_mut() {
            // The steps of one job are one log.
            Some((last, earlier)) if *last == job => earlier.extend_from_slice(&log),
            _ if is_full => break,
            _ => logs.push((job, log)),
        }
    }
    if total > most {
        return Err(PageError::too_large());
    }
    if let Some(error) = input.stopped() {
        return Err(broken(error));
    }
    Ok(logs)
}

async fn analyse(
    state: &Dashboard,
    caller: &Caller,
    sent: &Sent,
    job: String,
    log: Vec<u8>,
) -> Result<String, PageError> {
    let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let request = IngestRequest {
        provider: "generic".to_owned(),
        project: project(sent),
        status: "failed".to_owned(),
        log: String::from_utf8_lossy(&log).into_owned(),
        job_name: given(&sent.job).or_else(|| given(&job)),
        branch: given(&sent.branch),
        ..IngestRequest::default()
    };
    let answer = state.flow.ingest(caller, request, None).await?;
    answer.analysis_id.ok_or_else(|| PageError::invalid(answer.reason.unwrap_or_default()))
}

fn project(sent: &Sent) -> String {
    if sent.project.is_empty() { "default".to_owned() } else { sent.project.clone() }
}
