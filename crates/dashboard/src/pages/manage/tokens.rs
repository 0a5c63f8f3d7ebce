//! Tokens of the API: made, shown once, ended.

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use http::StatusCode;
use rca_flow::{
    access::{Holder, ROLES, Scope},
    types::{NewTokenRequest, TokenMade, TokenView},
};

use super::members::is_mendable;
use crate::{
    Dashboard,
    error::PageError,
    fields::Posted,
    frame::{Frame, Nav},
    pages::{Page, html},
    session::Viewer,
};

pub(super) fn router() -> Router<Dashboard> {
    Router::new().route("/tokens", get(show).post(make)).route("/tokens/{id}/revoke", post(revoke))
}

#[derive(Template)]
#[template(path = "manage/tokens.html")]
struct TokensPage {
    f: Frame,
    tokens: Vec<TokenView>,
    /// Those that the viewer may give.
    scopes: Vec<&'static str>,
    roles: Vec<&'static str>,
    is_owner: bool,
    made: Option<TokenMade>,
    /// What was wrong with the form, and what was in it.
    problem: String,
    wanted: NewTokenRequest,
    /// The day on which the wanted token ends.
    day: String,
}

impl TokensPage {
    async fn new(state: &Dashboard, viewer: &Viewer) -> Result<Self, PageError> {
        let caller = viewer.require(Scope::Admin)?;
        let is_owner = viewer.session.role.as_deref() == Some("owner");
        let scopes = Scope::ALL.into_iter().filter(|scope| viewer.may(*scope)).map(Scope::as_str);
        Ok(Self {
            f: Frame::inside(state, viewer, Nav::Tokens).await?,
            tokens: state.flow.list_tokens(&caller).await?.items,
            scopes: scopes.collect(),
            roles: ROLES.into_iter().filter(|role| is_owner || *role != "owner").collect(),
            is_owner,
            made: None,
            problem: String::new(),
            wanted: NewTokenRequest { scopes: vec!["ingest".to_owned()], ..NewTokenRequest::default() },
            day: String::new(),
        })
    }

    /// Only an owner ends the token of an owner.
    fn may_revoke(&self, token: &TokenView) -> bool {
        self.is_owner || token.role.as_deref() != Some("owner")
    }

    fn is_wanted(&self, scope: &str) -> bool {
        self.wanted.scopes.iter().any(|wanted| wanted == scope)
    }
}

async fn show(State(state): State<Dashboard>, viewer: Viewer) -> Page {
    html(&TokensPage::new(&state, &viewer).await?)
}

/// Shows the token in the answer itself: it is nowhere else, and an address must not carry it.
async fn make(State(state): State<Dashboard>, posted: Posted) -> Result<Response, PageError> {
    let Posted { viewer, fields } = posted;
    let caller = viewer.require(Scope::Admin)?;
    let day = fields.text("expires_on");
    let request = NewTokenRequest {
        name: fields.text("name"),
        scopes: fields.all("scope"),
        role: fields.get("role").map(str::to_owned),
        // To the end of the day, wherever on earth it is read.
        expires_at: (!day.is_empty()).then(|| format!("{day}T23:59:59Z")),
    };
    match state.flow.make_token(&caller, &Holder::of_session(&viewer.session), &request).await {
        Ok(made) => {
            let page = TokensPage { made: Some(made), ..TokensPage::new(&state, &viewer).await? };
            Ok((StatusCode::CREATED, html(&page)?).into_response())
        }
        Err(error) if is_mendable(&error) => {
            let problem = error.message;
            let page =
                TokensPage { problem, wanted: request, day, ..TokensPage::new(&state, &viewer).await? };
            Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&page)?).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

async fn revoke(
    State(state): State<Dashboard>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Redirect, PageError> {
    let caller = posted.viewer.require(Scope::Admin)?;
    state.flow.revoke_token(&caller, &Holder::of_session(&posted.viewer.session), &id).await?;
    Ok(Redirect::to("/tokens?said=token_revoked"))
}
