//! The hook of one repository: where it sends, how to set it up by hand, and whether it has sent.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::{IntoResponse as _, Response},
};
use forge_core::ForgeKind;
use rca_flow::{hook_place::HookPlace, types::RepositoryView};

use url::form_urlencoded;

use super::{hook_colour, is_poll_only, require_admin};
use crate::{
    Dashboard,
    error::PageError,
    fields::Posted,
    frame::{Frame, Nav, outer_link},
    pages::{Page, html},
    session::Viewer,
};

#[derive(Template)]
#[template(path = "integrations/hook.html")]
struct HookPage {
    f: Frame,
    place: HookPlace,
    name: &'static str,
    steps: Vec<String>,
    /// Nothing has come yet, so the page looks again by itself.
    is_waiting: bool,
}

impl HookPage {
    fn repository(&self) -> &RepositoryView {
        &self.place.repository
    }

    fn colour(&self) -> &'static str {
        hook_colour(&self.place.repository.hook.state)
    }

    /// The repository as a filter of lists.
    fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("repository", &self.place.repository.full_name);
        query.finish()
    }

    fn is_poll_only(&self) -> bool {
        is_poll_only(&self.place.repository)
    }

    fn link(&self) -> Option<&str> {
        self.place.repository.web_url.as_deref().and_then(outer_link)
    }
}

/// What to click at the forge to make a hook by hand.
pub(crate) fn steps(f: &Frame, forge: ForgeKind) -> Vec<String> {
    (1..10).map_while(|number| f.find(&format!("hook_by_hand.{forge}.{number}"))).map(str::to_owned).collect()
}

pub(super) async fn show(
    State(state): State<Dashboard>,
    Path((id, repository)): Path<(String, String)>,
    viewer: Viewer,
) -> Page {
    let place = state.flow.hook_place(&viewer.caller(), &repository).await?;
    if place.integration_id != id {
        return Err(PageError::not_found());
    }
    let f = Frame::inside(&state, &viewer, Nav::Integrations).await?;
    let page = HookPage {
        steps: steps(&f, place.forge),
        name: place.forge.display_name(),
        is_waiting: place.webhook_url.is_some() && place.repository.hook.last_delivery_at.is_none(),
        place,
        f,
    };
    html(&page)
}

/// Address and secret of a hook, shown once.
#[derive(Template)]
#[template(path = "integrations/secret.html")]
pub(crate) struct SecretPage {
    pub(crate) f: Frame,
    pub(crate) repository: String,
    pub(crate) repository_id: String,
    pub(crate) integration: String,
    pub(crate) steps: Vec<String>,
    pub(crate) webhook_url: String,
    pub(crate) secret: String,
    /// Until when the one before works.
    pub(crate) expires_old_at: Option<String>,
}

pub(super) async fn new_secret(
    State(state): State<Dashboard>,
    Path((id, repository)): Path<(String, String)>,
    posted: Posted,
) -> Result<Response, PageError> {
    let caller = require_admin(&posted.viewer)?;
    let place = state.flow.hook_place(&caller, &repository).await?;
    if place.integration_id != id {
        return Err(PageError::not_found());
    }
    let made = state.flow.rotate_webhook_secret(&caller, &repository).await?;
    let f = Frame::inside(&state, &posted.viewer, Nav::Integrations).await?;
    let page = SecretPage {
        steps: if place.repository.hook.state == "pending_manual" {
            steps(&f, place.forge)
        } else {
            Vec::new()
        },
        f,
        repository: place.repository.full_name,
        repository_id: repository,
        integration: id,
        webhook_url: made.webhook_url,
        secret: made.secret,
        expires_old_at: Some(made.expires_old_at),
    };
    Ok(html(&page)?.into_response())
}
