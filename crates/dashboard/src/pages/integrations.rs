//! Integrations: health at a glance, and everything that can be changed of one.

mod change;
mod disconnect;
mod hook;

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    routing::{get, post},
};
use rca_flow::{
    Caller, FlowError,
    access::Scope,
    numbers::IntegrationNumbers,
    types::{Health, HealthStatus, IntegrationView, RepositoryFilter, RepositoryView},
};
use serde_json::Value;
use url::form_urlencoded;

use super::{Page, html, problem::Problem};
use crate::{
    Dashboard,
    error::PageError,
    frame::{Frame, Nav, outer_link},
    session::Viewer,
};

pub(super) use hook::{SecretPage, steps as hook_steps};

/// Repositories on the page of an integration; the rest is a link away.
const SHOWN: u32 = 25;

pub(super) fn router() -> Router<Dashboard> {
    Router::new()
        .route("/integrations", get(list))
        .route("/integrations/{id}", get(show).post(change::change))
        .route("/integrations/{id}/check", post(change::check))
        .route("/integrations/{id}/sync", post(change::sync))
        .route("/integrations/{id}/backfill", post(change::backfill))
        .route("/integrations/{id}/token", post(change::replace_token))
        .route("/integrations/{id}/disconnect", get(disconnect::ask).post(disconnect::disconnect))
        .route("/integrations/{id}/repositories/{repository}", get(hook::show))
        .route("/integrations/{id}/repositories/{repository}/secret", post(hook::new_secret))
}

/// A problem of an integration with the way to repair it.
struct Trouble {
    title: String,
    message: String,
    remedy: String,
    since: String,
    href: String,
    label: String,
}

/// An integration as a card.
struct Card {
    view: IntegrationView,
    name: &'static str,
    host: String,
    account: String,
    /// The class of its badge.
    colour: &'static str,
    status: &'static str,
    numbers: IntegrationNumbers,
    troubles: Vec<Trouble>,
    /// A state of hooks that needs attention, and how many.
    hooks: Vec<(String, i64)>,
}

impl Card {
    fn new(f: &Frame, view: IntegrationView, numbers: IntegrationNumbers) -> Self {
        let (colour, status) = match view.health.status {
            _ if !view.enabled => ("", "off"),
            HealthStatus::Healthy => ("green", "healthy"),
            HealthStatus::Degraded => ("amber", "degraded"),
            HealthStatus::Broken => ("red", "broken"),
        };
        let troubles = view.health.problems.iter().map(|problem| {
            let (href, label) = repair(&view, &problem.code);
            Trouble {
                title: f
                    .find(&format!("trouble.{}", problem.code))
                    .map_or_else(|| f.said(&problem.message).into_owned(), str::to_owned),
                message: f.said(&problem.message).into_owned(),
                remedy: f
                    .find(&format!("trouble_remedy.{}", problem.code))
                    .map_or_else(|| f.said(&problem.remedy).into_owned(), str::to_owned),
                since: problem.since.clone(),
                href,
                label: f.t(label),
            }
        });
        let needs_attention = ["unhealthy", "lost", "disabled", "pending_manual"];
        let hooks = needs_attention
            .iter()
            .filter_map(|state| numbers.hooks.get(*state).map(|count| ((*state).to_owned(), *count)))
            .collect();
        Self {
            troubles: troubles.collect(),
            name: view.forge.display_name(),
            host: host(&view.base_url),
            account: account(&view),
            colour,
            status,
            numbers,
            hooks,
            view,
        }
    }

    fn forge(&self) -> &'static str {
        self.view.forge.as_str()
    }

    /// The credential in words: "expires in 12 d".
    fn credential(&self, f: &Frame) -> String {
        let Health { credential, expires_at, .. } = &self.view.health;
        let word = f.word("credentials", &word(credential));
        match expires_at {
            Some(at) if self.view.auth == "token" => {
                format!("{word} · {}", f.t1("integration.expires", f.ago(at)))
            }
            _ => word,
        }
    }

    fn mode(&self) -> String {
        word(&self.view.mode)
    }

    fn link(&self) -> Option<&str> {
        outer_link(&self.view.base_url)
    }
}

/// The word that the API uses for a value.
pub(super) fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}

fn host(address: &str) -> String {
    address.split_once("://").map_or(address, |(_, rest)| rest).to_owned()
}

pub(super) fn account(view: &IntegrationView) -> String {
    let text = |name: &str| view.account.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    text("login").or_else(|| text("display_name")).unwrap_or("–").to_owned()
}

/// Where a problem is repaired, and the key of the words on the button.
fn repair(view: &IntegrationView, code: &str) -> (String, &'static str) {
    let id = &view.id;
    let is_credential = code.starts_with("credential") || code == "scope_missing" || code == "no_credential";
    match view.auth.as_str() {
        "token" if is_credential => (format!("/integrations/{id}#token"), "integration.replace_token"),
        _ if is_credential => (again(view), "integration.connect_again"),
        _ if code == "hook_pending" => (format!("/integrations/{id}#hooks"), "integration.look_at_hooks"),
        _ => (format!("/integrations/{id}"), "integration.open"),
    }
}

/// The page where the same instance is connected again.
fn again(view: &IntegrationView) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("base_url", &view.base_url);
    if view.auth == "oauth" {
        query.append_pair("way", "oauth");
    }
    format!("/connect/{}?{}", view.forge, query.finish())
}

#[derive(Template)]
#[template(path = "integrations/list.html")]
struct ListPage {
    f: Frame,
    cards: Vec<Card>,
}

async fn list(State(state): State<Dashboard>, viewer: Viewer) -> Page {
    let caller = viewer.caller();
    let f = Frame::inside(&state, &viewer, Nav::Integrations).await?;
    let mut numbers = state.flow.integration_numbers(&caller).await?;
    let views = state.flow.list_integrations(&caller).await?;
    let mut cards: Vec<Card> = views
        .into_iter()
        .map(|view| {
            let of = numbers.remove(&view.id).unwrap_or_default();
            Card::new(&f, view, of)
        })
        .collect();
    // Problems first; among equals the order in which they were connected.
    cards.sort_by_key(|card| match card.status {
        "broken" => 0,
        "degraded" => 1,
        "healthy" => 2,
        _ => 3,
    });
    html(&ListPage { f, cards })
}

/// A switch of what is said at the forge.
struct Switch {
    name: &'static str,
    /// What the integration wishes itself.
    own: Option<bool>,
    /// What holds where it wishes nothing.
    inherited: bool,
    is_blocked: bool,
}

impl Switch {
    fn is(&self, wish: Option<bool>) -> bool {
        self.own == wish
    }
}

#[derive(Template)]
#[template(path = "integrations/show.html")]
struct ShowPage {
    f: Frame,
    card: Card,
    problem: Option<Problem>,
    can: Vec<(&'static str, bool)>,
    switches: Vec<Switch>,
    perimeter: String,
    projects: String,
    repositories: Vec<RepositoryView>,
    again: String,
    /// An operation that goes on, e.g. the sync.
    sync: Option<String>,
}

impl ShowPage {
    fn is_mode(&self, mode: &str) -> bool {
        self.card.mode() == mode
    }
}

async fn show(State(state): State<Dashboard>, Path(id): Path<String>, viewer: Viewer) -> Page {
    html(&show_page(&state, &viewer, &id, None).await?)
}

async fn show_page(
    state: &Dashboard,
    viewer: &Viewer,
    id: &str,
    problem: Option<&FlowError>,
) -> Result<ShowPage, PageError> {
    let caller = viewer.caller();
    let f = Frame::inside(state, viewer, Nav::Integrations).await?;
    let card = one(state, &caller, &f, id).await?;
    let view = &card.view;
    let can = &view.health.can;
    let blocked = state.flow.workspace_feedback(&caller).await?;
    let (own, inherited) = state.flow.feedback_wishes(&caller, id).await?;
    let switch = |name, own, inherited, workspace: Option<bool>| Switch {
        name,
        own,
        inherited,
        is_blocked: workspace == Some(false),
    };
    let filter =
        RepositoryFilter { monitored: Some(true), limit: Some(SHOWN), ..RepositoryFilter::default() };
    let repositories = state.flow.list_repositories(&caller, id, &filter).await?.items;
    let sync = state.flow.get_operation(&caller, &format!("sync-{id}")).await.ok();
    Ok(ShowPage {
        can: vec![
            ("discover", can.discover),
            ("hook", can.hook),
            ("read_logs", can.read_logs),
            ("comment", can.comment),
            ("set_status", can.set_status),
        ],
        switches: vec![
            switch("pr_comment", own.pr_comment, inherited.pr_comment, blocked.pr_comment),
            switch("commit_comment", own.commit_comment, inherited.commit_comment, blocked.commit_comment),
            switch("issue", own.issue, inherited.issue, blocked.issue),
            switch("status", own.status, inherited.status, blocked.status),
        ],
        perimeter: word(&view.perimeter.mode),
        projects: view.perimeter.projects.join("\n"),
        again: again(view),
        problem: problem.map(|error| Problem::new(&f, error)),
        sync: sync.filter(|sync| sync.state == "running").map(|_| format!("sync-{id}")),
        repositories,
        card,
        f,
    })
}

/// One integration as a card.
async fn one(state: &Dashboard, caller: &Caller, f: &Frame, id: &str) -> Result<Card, PageError> {
    let view = state.flow.get_integration(caller, id).await?;
    let mut numbers = state.flow.integration_numbers(caller).await?;
    Ok(Card::new(f, view, numbers.remove(id).unwrap_or_default()))
}

/// The badge of a hook's state: colour, and the word under `hooks`.
pub(super) fn hook_colour(state: &str) -> &'static str {
    match state {
        "active" | "registered" => "green",
        "unhealthy" | "pending_manual" => "amber",
        "lost" | "disabled" => "red",
        _ => "",
    }
}

/// Whether a failure came that the hook did not tell of.
pub(super) fn is_poll_only(repository: &RepositoryView) -> bool {
    repository.hook.last_error.as_deref().is_some_and(|error| error.contains("only by poll"))
}

fn require_admin(viewer: &Viewer) -> Result<Caller, PageError> {
    viewer.require(Scope::Admin)
}
