//! The settings of the workspace, each part a form of its own.

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use http::StatusCode;
use rca_flow::{
    FlowError,
    access::Scope,
    types::{
        Digest, FeedbackPatch, LogSourceChange, LogSourceKind, LogSourceView, RateCaps, RetentionDays,
        SettingsChange, SettingsView, TimeZone,
    },
};
use secrecy::SecretString;

use super::{Page, html, manage::is_mendable};
use crate::{
    Dashboard,
    error::PageError,
    fields::{Fields, Posted},
    frame::{Frame, Nav},
    session::Viewer,
};

pub(super) fn router() -> Router<Dashboard> {
    Router::new().route("/settings", get(show)).route("/settings/{part}", post(change))
}

#[derive(Template)]
#[template(path = "settings/show.html")]
struct SettingsPage {
    f: Frame,
    settings: SettingsView,
    public_url: String,
    /// Name, and what is wished; none is as the forge's default.
    switches: Vec<(&'static str, Option<bool>)>,
    /// Name and days; empty is as the operator's.
    days: Vec<(&'static str, String)>,
    /// Name and number; empty is no limit.
    caps: Vec<(&'static str, String)>,
    /// What stands in the field, right or wrong.
    rules: String,
    /// The part whose form was wrong, and what was.
    part: String,
    problem: String,
}

impl SettingsPage {
    async fn new(state: &Dashboard, viewer: &Viewer) -> Result<Self, PageError> {
        let settings = state.flow.get_settings(&viewer.caller()).await?;
        let number = |number: Option<u32>| number.map(|it| it.to_string()).unwrap_or_default();
        let (feedback, kept, caps) = (&settings.feedback, &settings.retention, &settings.rate_caps);
        Ok(Self {
            f: Frame::inside(state, viewer, Nav::Settings).await?,
            switches: vec![
                ("pr_comment", feedback.pr_comment),
                ("commit_comment", feedback.commit_comment),
                ("issue", feedback.issue),
                ("status", feedback.status),
            ],
            days: vec![
                ("analyses", number(kept.analyses)),
                ("deliveries", number(kept.deliveries)),
                ("dead", number(kept.dead)),
                ("tasks", number(kept.tasks)),
                ("incidents", number(kept.incidents)),
            ],
            caps: vec![
                ("pull_request_per_hour", number(caps.pull_request_per_hour)),
                ("repository_per_hour", number(caps.repository_per_hour)),
            ],
            rules: settings.rules.clone().unwrap_or_default(),
            part: String::new(),
            problem: String::new(),
            public_url: state.flow.config().public_url.as_str().trim_end_matches('/').to_owned(),
            settings,
        })
    }

    fn is_wrong(&self, part: &str) -> bool {
        self.part == part
    }

    fn is_digest_hour(&self, hour: &u8) -> bool {
        self.settings.digest.is_some_and(|digest| digest.hour == *hour)
    }

    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    fn kind_of(source: &LogSourceView) -> &'static str {
        KINDS.iter().find(|(_, kind)| *kind == source.kind).map_or("", |(word, _)| word)
    }
}

async fn show(State(state): State<Dashboard>, viewer: Viewer) -> Page {
    html(&SettingsPage::new(&state, &viewer).await?)
}

async fn change(
    State(state): State<Dashboard>,
    Path(part): Path<String>,
    posted: Posted,
) -> Result<Response, PageError> {
    let Posted { viewer, fields } = posted;
    let caller = viewer.require(Scope::Admin)?;
    let known = state.flow.get_settings(&caller).await?;
    let done = match change_of(&part, &fields, known) {
        Some(Ok(change)) => state.flow.change_settings(&caller, change).await.map(drop),
        Some(Err(error)) => Err(error),
        None => return Err(PageError::not_found()),
    };
    match done {
        Ok(()) => Ok(Redirect::to(&format!("/settings?said=saved#{part}")).into_response()),
        Err(error) if is_mendable(&error) => {
            let mut page = SettingsPage::new(&state, &viewer).await?;
            if part == "rules" {
                page.rules = fields.text("rules");
            }
            let page = SettingsPage { part, problem: error.message, ..page };
            Ok((StatusCode::UNPROCESSABLE_ENTITY, html(&page)?).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

/// What the form of a part asks for; nothing where there is no such part.
fn change_of(part: &str, fields: &Fields, known: SettingsView) -> Option<Result<SettingsChange, FlowError>> {
    let mut change = SettingsChange::default();
    let wish = |name| wish(fields, name);
    let done = match part {
        "feedback" => {
            change.feedback = Some(FeedbackPatch {
                pr_comment: wish("pr_comment"),
                commit_comment: wish("commit_comment"),
                issue: wish("issue"),
                status: wish("status"),
            });
            Ok(())
        }
        "rules" => {
            change.rules = Some(Some(fields.text("rules")));
            Ok(())
        }
        "retention" => days_of(fields).map(|days| change.retention = Some(Some(days))),
        "rate-caps" => caps_of(fields).map(|caps| change.rate_caps = Some(Some(caps))),
        "digest" => hour_of(fields).map(|digest| change.digest = Some(digest)),
        "log-source" => source_of(fields).map(|source| {
            // One of the same address is replaced: that is how it gets another token.
            let same = |it: &LogSourceView| {
                it.base_url.trim_end_matches('/') == source.base_url.trim_end_matches('/')
            };
            let known = known.log_sources.into_iter().filter(|it| !same(it)).map(kept);
            let mut all: Vec<LogSourceChange> = known.collect();
            all.push(source);
            change.log_sources = Some(all);
        }),
        "log-source-removed" => {
            let gone = fields.text("base_url");
            let left = known.log_sources.into_iter().filter(|source| source.base_url != gone);
            change.log_sources = Some(left.map(kept).collect());
            Ok(())
        }
        _ => return None,
    };
    Some(done.map(|()| change))
}

/// A switch of three positions: on, off, and as it is without a wish. One that was not sent stays.
pub(super) fn wish(fields: &Fields, name: &str) -> Option<Option<bool>> {
    match fields.all(name).first()?.as_str() {
        "on" => Some(Some(true)),
        "off" => Some(Some(false)),
        _ => Some(None),
    }
}

fn days_of(fields: &Fields) -> Result<RetentionDays, FlowError> {
    Ok(RetentionDays {
        deliveries: number(fields, "deliveries")?,
        dead: number(fields, "dead")?,
        tasks: number(fields, "tasks")?,
        analyses: number(fields, "analyses")?,
        incidents: number(fields, "incidents")?,
    })
}

fn caps_of(fields: &Fields) -> Result<RateCaps, FlowError> {
    Ok(RateCaps {
        pull_request_per_hour: number(fields, "pull_request_per_hour")?,
        repository_per_hour: number(fields, "repository_per_hour")?,
    })
}

fn hour_of(fields: &Fields) -> Result<Option<Digest>, FlowError> {
    let hour = number(fields, "hour")?;
    let hour = hour.map(|hour| u8::try_from(hour).unwrap_or(u8::MAX));
    Ok(hour.map(|hour| Digest { hour, timezone: TimeZone::Utc }))
}

fn number(fields: &Fields, name: &str) -> Result<Option<u32>, FlowError> {
    let Some(text) = fields.get(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| FlowError::invalid_field(name, "is no whole number"))
}

const KINDS: [(&str, LogSourceKind); 3] = [
    ("Jenkins", LogSourceKind::Jenkins),
    ("Bamboo", LogSourceKind::Bamboo),
    ("TeamCity", LogSourceKind::TeamCity),
];

fn source_of(fields: &Fields) -> Result<LogSourceChange, FlowError> {
    let kind = fields.text("kind");
    let known = KINDS.into_iter().find(|(word, _)| *word == kind);
    let (_, kind) = known.ok_or_else(|| FlowError::invalid_field("kind", "is none of those offered"))?;
    Ok(LogSourceChange {
        kind,
        base_url: fields.text("base_url"),
        username: fields.get("username").map(str::to_owned),
        token: fields.get("token").map(SecretString::from),
    })
}

/// Stays as it is: known by kind, address and user, it keeps its token.
fn kept(source: LogSourceView) -> LogSourceChange {
    LogSourceChange { kind: source.kind, base_url: source.base_url, username: source.username, token: None }
}
