//! Members: who belongs to the workspace, as what, and the links that they sign in with.

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use http::StatusCode;
use rca_flow::{
    FlowError, FlowErrorKind, SignInLink,
    access::{Holder, ROLES, Scope},
    types::{MemberRequest, MemberView, RoleRequest},
};

use crate::{
    Dashboard,
    error::PageError,
    fields::Posted,
    frame::{Frame, Nav},
    pages::{Page, html},
    session::Viewer,
};

pub(super) fn router() -> Router<Dashboard> {
    Router::new()
        .route("/members", get(show).post(add))
        .route("/members/{id}/role", post(set_role))
        .route("/members/{id}/remove", post(remove))
        .route("/members/{id}/sign-in-link", post(make_link))
}

#[derive(Template)]
#[template(path = "manage/members.html")]
struct MembersPage {
    f: Frame,
    members: Vec<MemberView>,
    /// Those that the viewer may give.
    roles: Vec<&'static str>,
    is_owner: bool,
    link: Option<SignInLink>,
    /// What was wrong with the form, and what was in it.
    problem: String,
    email: String,
    role: String,
}

impl MembersPage {
    async fn new(state: &Dashboard, viewer: &Viewer) -> Result<Self, PageError> {
        let caller = viewer.require(Scope::Admin)?;
        let is_owner = viewer.session.role.as_deref() == Some("owner");
        Ok(Self {
            f: Frame::inside(state, viewer, Nav::Members).await?,
            members: state.flow.list_members(&caller).await?.items,
            roles: ROLES.into_iter().filter(|role| is_owner || *role != "owner").collect(),
            is_owner,
            link: None,
            problem: String::new(),
            email: String::new(),
            role: "member".to_owned(),
        })
    }

    /// Only an owner changes an owner.
    fn may_change(&self, member: &MemberView) -> bool {
        self.is_owner || member.role != "owner"
    }
}

async fn show(State(state): State<Dashboard>, viewer: Viewer) -> Page {
    html(&MembersPage::new(&state, &viewer).await?)
}

async fn add(State(state): State<Dashboard>, posted: Posted) -> Result<Response, PageError> {
    let Posted { viewer, fields } = posted;
    let caller = viewer.require(Scope::Admin)?;
    let request = MemberRequest { email: fields.text("email"), role: fields.text("role") };
    Holder::of_session(&viewer.session).require_may_give(&request.role)?;
    match state.flow.add_member(&caller, &request).await {
        Ok(_) => Ok(Redirect::to("/members?said=member_added").into_response()),
        Err(error) if is_mendable(&error) => {
            let page = MembersPage {
                problem: error.message,
                email: request.email,
                role: request.role,
                ..MembersPage::new(&state, &viewer).await?
            };
            Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&page)?).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

async fn set_role(
    State(state): State<Dashboard>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Redirect, PageError> {
    let caller = posted.viewer.require(Scope::Admin)?;
    let holder = Holder::of_session(&posted.viewer.session);
    let request = RoleRequest { role: posted.fields.text("role") };
    holder.require_may_give(&request.role)?;
    state.flow.require_may_change(&caller, &holder, &id).await?;
    state.flow.set_member_role(&caller, &id, &request).await?;
    Ok(Redirect::to("/members?said=saved"))
}

async fn remove(
    State(state): State<Dashboard>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Redirect, PageError> {
    let caller = posted.viewer.require(Scope::Admin)?;
    let holder = Holder::of_session(&posted.viewer.session);
    state.flow.require_may_change(&caller, &holder, &id).await?;
    state.flow.remove_member(&caller, &id).await?;
    Ok(Redirect::to("/members?said=removed"))
}

/// Shows the link in the answer itself: it is nowhere else, and an address must not carry it.
async fn make_link(State(state): State<Dashboard>, Path(id): Path<String>, posted: Posted) -> Page {
    let caller = posted.viewer.require(Scope::Admin)?;
    let holder = Holder::of_session(&posted.viewer.session);
    let link = state.flow.make_sign_in_link(&caller, &holder, &id).await?;
    html(&MembersPage { link: Some(link), ..MembersPage::new(&state, &posted.viewer).await? })
}

/// Whether the person can correct the form.
pub(in crate::pages) fn is_mendable(error: &FlowError) -> bool {
    matches!(error.kind, FlowErrorKind::Unprocessable | FlowErrorKind::Conflict)
}
