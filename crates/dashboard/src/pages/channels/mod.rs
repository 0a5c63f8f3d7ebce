//! Channels: where people are told, what of it, and whether that works.

mod form;

use askama::Template;
use axum::{
    Router,
    extract::{Path, Query, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use http::StatusCode;
use rca_flow::{
    access::Scope,
    types::{ChannelPatch, ChannelRequest, ChannelView, NotificationView, TelegramLink},
};
use serde::Deserialize;

use self::form::{Field, KINDS, Wishes, config_of, fields_of, steps_of};
use super::{Page, html, manage::is_mendable};
use crate::{
    Dashboard,
    error::PageError,
    fields::Posted,
    frame::{Frame, Nav},
    session::Viewer,
};

/// Rows of a delivery log's page, and channels of a list.
const ROWS: u32 = 50;

pub(super) fn router() -> Router<Dashboard> {
    Router::new()
        .route("/channels", get(list).post(add))
        .route("/channels/new", get(new))
        .route("/channels/{id}", get(show).post(change))
        .route("/channels/{id}/config", post(replace_config))
        .route("/channels/{id}/test", post(test))
        .route("/channels/{id}/link", post(link))
        .route("/channels/{id}/remove", post(remove))
}

#[derive(Debug, Default, Deserialize)]
struct Part {
    cursor: Option<String>,
}

#[derive(Template)]
#[template(path = "channels/list.html")]
struct ListPage {
    f: Frame,
    channels: Vec<ChannelView>,
    kinds: &'static [&'static str],
    older: Option<String>,
}

async fn list(State(state): State<Dashboard>, viewer: Viewer, Query(part): Query<Part>) -> Page {
    let list = state.flow.list_channels(&viewer.caller(), Some(ROWS), part.cursor.as_deref()).await?;
    html(&ListPage {
        f: Frame::inside(&state, &viewer, Nav::Channels).await?,
        channels: list.items,
        kinds: &KINDS,
        older: list.next_cursor,
    })
}

#[derive(Template)]
#[template(path = "channels/new.html")]
struct NewPage {
    f: Frame,
    kind: String,
    steps: Vec<&'static str>,
    fields: Vec<Field>,
    name: String,
    wishes: Wishes,
    problem: String,
}

impl NewPage {
    async fn new(state: &Dashboard, viewer: &Viewer, kind: &str) -> Result<Self, PageError> {
        viewer.require(Scope::Admin)?;
        let kind = KINDS.into_iter().find(|known| *known == kind).ok_or_else(PageError::not_found)?;
        Ok(Self {
            f: Frame::inside(state, viewer, Nav::Channels).await?,
            kind: kind.to_owned(),
            steps: steps_of(viewer.taste.locale, kind),
            fields: fields_of(kind),
            name: String::new(),
            wishes: Wishes::default(),
            problem: String::new(),
        })
    }
}

#[derive(Debug, Default, Deserialize)]
struct Wanted {
    #[serde(default)]
    kind: String,
}

async fn new(State(state): State<Dashboard>, viewer: Viewer, Query(wanted): Query<Wanted>) -> Page {
    html(&NewPage::new(&state, &viewer, &wanted.kind).await?)
}

async fn add(State(state): State<Dashboard>, posted: Posted) -> Result<Response, PageError> {
    let Posted { viewer, fields } = posted;
    let caller = viewer.require(Scope::Admin)?;
    let kind = fields.text("kind");
    let wishes = Wishes::from_fields(&fields);
    let request = ChannelRequest {
        kind: kind.clone(),
        name: fields.text("name"),
        config: config_of(&kind, &fields),
        filters: Some(wishes.filters()),
        incidents: Some(wishes.incidents),
        digest: Some(wishes.digest),
        enabled: Some(true),
    };
    match state.flow.add_channel(&caller, request).await {
        Ok(made) => {
            if made.signing_secret.is_none() && made.link.is_none() {
                let address = format!("/channels/{}?said=channel_added", made.channel.id);
                return Ok(Redirect::to(&address).into_response());
            }
            // Both are shown in the answer itself: they are nowhere else, and an address must not carry them.
            let page = ShowPage::new(&state, &viewer, made.channel, None).await?;
            let page = ShowPage { signing_secret: made.signing_secret, link: made.link, ..page };
            Ok((StatusCode::CREATED, html(&page)?).into_response())
        }
        Err(error) if is_mendable(&error) => {
            let page = NewPage {
                problem: error.message,
                name: fields.text("name"),
                wishes,
                ..NewPage::new(&state, &viewer, &kind).await?
            };
            let page = NewPage { fields: form::filled(&kind, &fields), ..page };
            Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&page)?).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

#[derive(Template)]
#[template(path = "channels/show.html")]
struct ShowPage {
    f: Frame,
    channel: ChannelView,
    /// What is known of the configuration: name, value.
    known: Vec<(String, String)>,
    wishes: Wishes,
    fields: Vec<Field>,
    steps: Vec<&'static str>,
    log: Vec<NotificationView>,
    older: Option<String>,
    signing_secret: Option<String>,
    /// How a chat is linked, when that was just asked for.
    link: Option<TelegramLink>,
    problem: String,
}

impl ShowPage {
    /// Nobody is told until a chat is linked.
    fn is_waiting(&self) -> bool {
        self.channel.state == "waiting"
    }

    /// What a person sends to the bot, where the link itself cannot be opened.
    fn command(link: &TelegramLink) -> Option<&str> {
        link.link.split_once("start=").map(|(_, code)| code)
    }

    async fn new(
        state: &Dashboard,
        viewer: &Viewer,
        channel: ChannelView,
        cursor: Option<&str>,
    ) -> Result<Self, PageError> {
        let log = state.flow.list_notifications(&viewer.caller(), &channel.id, Some(ROWS), cursor).await?;
        Ok(Self {
            f: Frame::inside(state, viewer, Nav::Channels).await?,
            known: form::shown(&channel.config),
            wishes: Wishes::of(&channel),
            fields: fields_of(&channel.kind),
            steps: steps_of(viewer.taste.locale, &channel.kind),
            channel,
            log: log.items,
            older: log.next_cursor,
            signing_secret: None,
            link: None,
            problem: String::new(),
        })
    }
}

async fn show(
    State(state): State<Dashboard>,
    viewer: Viewer,
    Path(id): Path<String>,
    Query(part): Query<Part>,
) -> Page {
    let channel = state.flow.get_channel(&viewer.caller(), &id).await?;
    html(&ShowPage::new(&state, &viewer, channel, part.cursor.as_deref()).await?)
}

async fn change(
    State(state): State<Dashboard>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, PageError> {
    let wishes = Wishes::from_fields(&posted.fields);
    let patch = ChannelPatch {
        name: Some(posted.fields.text("name")),
        filters: Some(wishes.filters()),
        incidents: Some(wishes.incidents),
        digest: Some(wishes.digest),
        enabled: Some(posted.fields.is_on("enabled")),
        config: None,
    };
    patched(&state, &posted.viewer, &id, patch).await
}

async fn replace_config(
    State(state): State<Dashboard>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, PageError> {
    let channel = state.flow.get_channel(&posted.viewer.caller(), &id).await?;
    let config = config_of(&channel.kind, &posted.fields);
    let patch = ChannelPatch { config: Some(config), ..ChannelPatch::default() };
    patched(&state, &posted.viewer, &id, patch).await
}

async fn patched(
    state: &Dashboard,
    viewer: &Viewer,
    id: &str,
    patch: ChannelPatch,
) -> Result<Response, PageError> {
    let caller = viewer.require(Scope::Admin)?;
    match state.flow.change_channel(&caller, id, patch).await {
        Ok(_) => Ok(Redirect::to(&format!("/channels/{id}?said=saved")).into_response()),
        Err(error) if is_mendable(&error) => {
            let channel = state.flow.get_channel(&caller, id).await?;
            let page = ShowPage::new(state, viewer, channel, None).await?;
            let page = ShowPage { problem: error.message, ..page };
            Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&page)?).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

/// How it went stands first in the log of the page that it leads back to.
async fn test(
    State(state): State<Dashboard>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Redirect, PageError> {
    let caller = posted.viewer.require(Scope::Write)?;
    let sent = state.flow.test_channel(&caller, &id).await?;
    let said = if sent.state == "sent" { "channel_test_sent" } else { "channel_test_failed" };
    Ok(Redirect::to(&format!("/channels/{id}?said={said}")))
}

/// A new link for a chat, shown in the answer itself.
async fn link(
    State(state): State<Dashboard>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Response, PageError> {
    let caller = posted.viewer.require(Scope::Admin)?;
    let made = state.flow.link_channel(&caller, &id).await;
    let channel = state.flow.get_channel(&caller, &id).await?;
    let page = ShowPage::new(&state, &posted.viewer, channel, None).await?;
    match made {
        Ok(link) => Ok(html(&ShowPage { link: Some(link), ..page })?.into_response()),
        Err(error) => {
            let status =
                StatusCode::from_u16(error.kind.status()).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
            Ok((status, html(&ShowPage { problem: error.message, ..page })?).into_response())
        }
    }
}

async fn remove(
    State(state): State<Dashboard>,
    Path(id): Path<String>,
    posted: Posted,
) -> Result<Redirect, PageError> {
    let caller = posted.viewer.require(Scope::Admin)?;
    state.flow.remove_channel(&caller, &id).await?;
    Ok(Redirect::to("/channels?said=removed"))
}
