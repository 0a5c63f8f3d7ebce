//! The way back from the forge: whose browser it is, and where it goes on.

use askama::Template;
use axum::{
    extract::{FromRequestParts as _, State},
    response::Response,
};
use forge_core::ForgeKind;
use http::{HeaderMap, HeaderValue, Request};
use jiff::{SignedDuration, Timestamp};
use rca_flow::{
    Flow, FlowError,
    access::Scope,
    types::{AuditQuery, IntegrationView},
};
use secrecy::SecretString;
use url::form_urlencoded;

use super::{
    submit::{again, connected, drafted},
    ways::Input,
};
use crate::{
    Dashboard,
    fields::Fields,
    frame::{Frame, Nav},
    pages::{Page, html},
    session::{Viewer, cookie, session_of},
};

/// What was typed before the browser left for the forge, without secrets; a refusal there is shown beside it.
const DRAFT_COOKIE: &str = "forge-rca-connect";
const DRAFT_SECONDS: u32 = 900;
/// Under this name the draft holds when it was begun.
const BEGUN: &str = "begun";
/// How far back is looked where the browser does not say when it began.
const JUST_NOW: SignedDuration = SignedDuration::from_mins(15);
/// The database's clock and ours need not agree to the second.
const SKEW: SignedDuration = SignedDuration::from_secs(2);

pub(super) fn draft(state: &Dashboard, fields: &Fields, inputs: &[Input]) -> Option<HeaderValue> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for name in drafted(inputs) {
        if let Some(value) = fields.get(name) {
            query.append_pair(name, value);
        }
    }
    query.append_pair(BEGUN, &Timestamp::now().to_string());
    let secure = if state.is_https() { "; Secure" } else { "" };
    let query = query.finish();
    let line =
        format!("{DRAFT_COOKIE}={query}; Path=/; HttpOnly; SameSite=Lax; Max-Age={DRAFT_SECONDS}{secure}");
    HeaderValue::from_str(&line).ok()
}

/// The session of the browser that comes back from a forge: what a connection that it began is bound to. Nothing where
/// the session has ended or may not connect any more.
pub async fn connecting_session(flow: &Flow, headers: &HeaderMap) -> Option<SecretString> {
    let viewer = viewer(flow, headers).await?;
    if viewer.may(Scope::Admin) { session_of(headers, &flow.config().public_url) } else { None }
}

/// Where a browser goes on that has been at a forge to connect it: to choosing repositories, or to the page of the forge
/// with what went wrong. Nothing where nobody is signed in, or the connection belongs to another workspace.
pub async fn after_connecting(
    flow: &Flow,
    headers: &HeaderMap,
    forge: ForgeKind,
    outcome: Result<&IntegrationView, &FlowError>,
) -> Option<Response> {
    let viewer = viewer(flow, headers).await.filter(|viewer| viewer.may(Scope::Admin))?;
    match outcome {
        Ok(integration) => {
            let is_ours = flow.get_integration(&viewer.caller(), &integration.id).await.is_ok();
            is_ours.then(|| connected(integration))
        }
        Err(error) => {
            let state = Dashboard::new(flow.clone());
            let fields = Fields::parse(cookie(headers, DRAFT_COOKIE).unwrap_or_default().as_bytes());
            let mut response = again(&state, &viewer, forge, &fields, error).await.ok()?;
            let policy = HeaderValue::from_static(crate::policy::POLICY);
            response.headers_mut().insert(http::header::CONTENT_SECURITY_POLICY, policy);
            Some(response)
        }
    }
}

async fn viewer(flow: &Flow, headers: &HeaderMap) -> Option<Viewer> {
    let mut request = Request::builder().uri("/connect").body(()).ok()?;
    request.headers_mut().clone_from(headers);
    let (mut parts, ()) = request.into_parts();
    Viewer::from_request_parts(&mut parts, &Dashboard::new(flow.clone())).await.ok()
}

#[derive(Template)]
#[template(path = "connect/waiting.html")]
struct WaitingPage {
    f: Frame,
    step: usize,
    /// The integration that has come meanwhile.
    integration: Option<String>,
}

/// GitFlic's server hands the code over to ours; the browser comes back with nothing and waits for that.
///
/// What has come is what was connected, for the first time or again, since this browser began.
pub(super) async fn waiting(State(state): State<Dashboard>, viewer: Viewer, headers: HeaderMap) -> Page {
    let caller = viewer.require(Scope::Admin)?;
    let draft = Fields::parse(cookie(&headers, DRAFT_COOKIE).unwrap_or_default().as_bytes());
    let begun = draft.get(BEGUN).and_then(|at| at.parse::<Timestamp>().ok());
    let since = begun.map_or_else(|| Timestamp::now() - JUST_NOW, |at| at - SKEW);
    let connected = AuditQuery {
        action: Some("integration.connect".to_owned()),
        since: Some(since.to_string()),
        ..AuditQuery::default()
    };
    let connected = state.flow.list_audit(&caller, &connected).await?.items;
    let all = state.flow.list_integrations(&caller).await?;
    // The newest first, as the audit has them.
    let integration = connected
        .into_iter()
        .map(|entry| entry.target)
        .find(|id| all.iter().any(|it| it.id == *id && it.forge == ForgeKind::GITFLIC && it.auth == "oauth"));
    let f = Frame::inside(&state, &viewer, Nav::Integrations).await?;
    html(&WaitingPage { f, step: 4, integration })
}
