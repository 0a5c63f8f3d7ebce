//! Changing one integration.

use axum::{
    extract::{Path, State},
    response::{IntoResponse as _, Redirect, Response},
};
use http::StatusCode;
use rca_flow::{
    FlowError,
    access::Scope,
    types::{
        BackfillChange, FeedbackPatch, IntegrationPatch, Mode, Perimeter, PerimeterMode, ReplaceTokenRequest,
    },
};
use secrecy::SecretString;

use super::{require_admin, show_page};
use crate::{
    Dashboard,
    error::PageError,
    fields::{Fields, Posted},
    pages::{html, settings::wish},
    session::Viewer,
};

pub(super) async fn change(
    State(state): State<Dashboard>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, PageError> {
    let caller = posted.viewer.require(Scope::Write)?;
    let done = match patch(&posted.fields) {
        Ok(patch) => state.flow.update_integration(&caller, &id, patch).await.map(drop),
        Err(error) => Err(error),
    };
    answer(&state, &posted.viewer, &id, done, "saved").await
}

/// One section of the page is sent at a time; `part` says which.
fn patch(fields: &Fields) -> Result<IntegrationPatch, FlowError> {
    let mut patch = IntegrationPatch::default();
    match fields.get("part") {
        Some("mode") => {
            patch.mode = Some(match fields.get("mode") {
                Some("webhook") => Mode::Webhook,
                Some("polling") => Mode::Polling,
                Some("hybrid") => Mode::Hybrid,
                _ => return Err(FlowError::invalid_field("mode", "is none of hybrid, webhook, polling")),
            });
        }
        Some("perimeter") => {
            let projects = fields.text("projects");
            let mode = match fields.get("perimeter") {
                Some("all") => PerimeterMode::All,
                Some("projects") => PerimeterMode::Projects,
                _ => PerimeterMode::Selected,
            };
            let projects = if mode == PerimeterMode::Projects {
                projects.split_whitespace().map(str::to_owned).collect()
            } else {
                Vec::new()
            };
            patch.perimeter = Some(Perimeter { mode, projects });
        }
        Some("feedback") => {
            // A switch that the workspace blocks is not sent, so that its own wish stays what it was.
            patch.feedback = Some(FeedbackPatch {
                pr_comment: wish(fields, "pr_comment"),
                commit_comment: wish(fields, "commit_comment"),
                issue: wish(fields, "issue"),
                status: wish(fields, "status"),
            });
        }
        Some("backfill") => {
            let runs = fields
                .text("runs")
                .parse()
                .map_err(|_| FlowError::invalid_field("runs", "is not a number up to 100"))?;
            patch.backfill =
                Some(BackfillChange { enabled: Some(fields.is_on("backfill")), runs: Some(runs) });
        }
        Some("enabled") => patch.enabled = Some(fields.is_on("enabled")),
        _ => return Err(FlowError::invalid_field("part", "says nothing that can be changed")),
    }
    Ok(patch)
}

pub(super) async fn check(
    State(state): State<Dashboard>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, PageError> {
    let caller = posted.viewer.require(Scope::Write)?;
    let done = state.flow.check_integration(&caller, &id).await.map(drop);
    answer(&state, &posted.viewer, &id, done, "checked").await
}

pub(super) async fn replace_token(
    State(state): State<Dashboard>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, PageError> {
    let caller = require_admin(&posted.viewer)?;
    let request = ReplaceTokenRequest {
        token: SecretString::from(posted.fields.text("token")),
        email: posted.fields.get("email").map(str::to_owned),
    };
    let done = state.flow.replace_token(&caller, &id, request).await.map(drop);
    answer(&state, &posted.viewer, &id, done, "token_replaced").await
}

pub(super) async fn sync(
    State(state): State<Dashboard>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, PageError> {
    let caller = posted.viewer.require(Scope::Write)?;
    let operation = state.flow.sync_integration(&caller, &id).await?;
    Ok(Redirect::to(&format!("/operations/{operation}?integration={id}")).into_response())
}

pub(super) async fn backfill(
    State(state): State<Dashboard>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, PageError> {
    let caller = posted.viewer.require(Scope::Write)?;
    match state.flow.backfill_integration(&caller, &id).await {
        Ok(operation) => {
            Ok(Redirect::to(&format!("/operations/{operation}?integration={id}")).into_response())
        }
        Err(error) => answer(&state, &posted.viewer, &id, Err(error), "").await,
    }
}

/// Back to the integration, or its page with what was refused.
async fn answer(
    state: &Dashboard,
    viewer: &Viewer,
    id: &str,
    done: Result<(), FlowError>,
    said: &str,
) -> Result<Response, PageError> {
    let error = match done {
        Ok(()) => return Ok(Redirect::to(&format!("/integrations/{id}?said={said}")).into_response()),
        Err(error) => error,
    };
    let page = show_page(state, viewer, id, Some(&error)).await?;
    let status = StatusCode::from_u16(error.kind.status()).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
    Ok((status, html(&page)?).into_response())
}
