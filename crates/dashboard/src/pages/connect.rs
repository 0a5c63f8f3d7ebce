//! Connecting a forge: which, where, by which way, and what to click there. What was chosen stands in the address.

pub(super) mod back;
mod submit;
mod ways;

use askama::Template;
use axum::{
    Router,
    extract::{Path, RawQuery, State},
    routing::{get, post},
};
use forge_core::ForgeKind;
use rca_flow::{FlowError, access::Scope};
use url::{Host, Url, form_urlencoded};

use self::ways::{Input, Kind, Way};
use super::{Page, html, problem::Problem};
use crate::{
    Dashboard,
    error::PageError,
    fields::Fields,
    frame::{Frame, Nav, outer_link},
    session::Viewer,
};

pub(super) fn router() -> Router<Dashboard> {
    Router::new()
        .route("/connect", get(choose))
        .route("/connect/done", get(done))
        .route("/connect/gitflic/waiting", get(back::waiting))
        .route("/connect/{forge}", get(show).post(submit::submit))
        .route("/connect/{forge}/reach", post(submit::reach))
}

/// A forge to choose.
struct ForgeChoice {
    id: &'static str,
    name: &'static str,
    /// How many integrations there are already.
    connected: usize,
}

#[derive(Template)]
#[template(path = "connect/choose.html")]
struct ChoosePage {
    f: Frame,
    step: usize,
    forges: Vec<ForgeChoice>,
    warnings: Vec<&'static str>,
    public_url: String,
}

async fn choose(State(state): State<Dashboard>, viewer: Viewer) -> Page {
    let caller = viewer.require(Scope::Admin)?;
    let connected = state.flow.list_integrations(&caller).await?;
    let forges = ForgeKind::ALL
        .into_iter()
        .filter(|forge| state.flow.providers().contains_key(forge))
        .map(|forge| ForgeChoice {
            id: forge.as_str(),
            name: forge.display_name(),
            connected: connected.iter().filter(|integration| integration.forge == forge).count(),
        })
        .collect();
    let f = Frame::inside(&state, &viewer, Nav::Integrations).await?;
    let public_url = &state.flow.config().public_url;
    html(&ChoosePage { f, step: 1, forges, warnings: warnings(public_url), public_url: plain(public_url) })
}

#[derive(Template)]
#[template(path = "connect/done.html")]
struct DonePage {
    f: Frame,
    step: usize,
    integration: String,
}

async fn done(State(state): State<Dashboard>, viewer: Viewer, RawQuery(query): RawQuery) -> Page {
    let query = Fields::parse(query.unwrap_or_default().as_bytes());
    let f = Frame::inside(&state, &viewer, Nav::Integrations).await?;
    html(&DonePage { f, step: 6, integration: query.text("integration") })
}

/// A way to choose.
struct WayLink {
    id: &'static str,
    title: String,
    lead: String,
    href: String,
    is_chosen: bool,
}

/// A field of the form.
struct InputView {
    name: &'static str,
    kind: &'static str,
    is_required: bool,
    label: String,
    hint: Option<String>,
    value: String,
}

#[derive(Template)]
#[template(path = "connect/forge.html")]
struct ForgePage {
    f: Frame,
    step: usize,
    forge: &'static str,
    name: &'static str,
    cloud: Option<&'static str>,
    /// `cloud` or `own`.
    at: &'static str,
    base_url: String,
    is_reached: bool,
    version: String,
    way: &'static str,
    way_title: String,
    button: &'static str,
    /// The operator's application can be used: no client has to be given.
    has_platform_app: bool,
    ways: Vec<WayLink>,
    steps: Vec<String>,
    copies: Vec<(String, String)>,
    scopes: &'static [&'static str],
    page: Option<String>,
    inputs: Vec<InputView>,
    mode: String,
    backfill: bool,
    runs: String,
    /// Where they do not follow from the address.
    api_base_url: String,
    oauth_base_url: String,
    problem: Option<Problem>,
    warnings: Vec<&'static str>,
    public_url: String,
}

impl ForgePage {
    fn is_mode(&self, mode: &str) -> bool {
        self.mode == mode
    }
}

async fn show(
    State(state): State<Dashboard>,
    Path(forge): Path<String>,
    viewer: Viewer,
    RawQuery(query): RawQuery,
) -> Page {
    viewer.require(Scope::Admin)?;
    let forge = known(&state, &forge)?;
    let fields = Fields::parse(query.unwrap_or_default().as_bytes());
    html(&forge_page(&state, &viewer, forge, &fields, None).await?)
}

fn known(state: &Dashboard, forge: &str) -> Result<ForgeKind, PageError> {
    let forge = state.flow.forge(forge).map_err(|_| PageError::not_found())?;
    if ways::of(forge).is_empty() { Err(PageError::not_found()) } else { Ok(forge) }
}

/// The way that the fields name; the best one without.
fn chosen(forge: ForgeKind, fields: &Fields) -> Result<&'static Way, PageError> {
    let ways = ways::of(forge);
    let wanted = fields.text("way");
    ways.iter().find(|way| way.id == wanted).or(ways.first()).ok_or_else(PageError::not_found)
}

async fn forge_page(
    state: &Dashboard,
    viewer: &Viewer,
    forge: ForgeKind,
    fields: &Fields,
    problem: Option<&FlowError>,
) -> Result<ForgePage, PageError> {
    let f = Frame::inside(state, viewer, Nav::Integrations).await?;
    let config = state.flow.config();
    let cloud = ways::cloud(forge);
    let base_url = fields.text("base_url");
    let at =
        if cloud.is_none() || fields.text("at") == "own" || !base_url.is_empty() { "own" } else { "cloud" };
    let way = chosen(forge, fields)?;
    let has_platform_app = way.kind == Kind::OAuth && at == "cloud" && state.flow.has_platform_app(forge);
    let message = |part: &str| f.t(&format!("way.{forge}.{}.{part}", way.id));
    let places = [("at", at), ("base_url", &base_url), ("reached", &fields.text("reached"))];
    let ways = ways::of(forge)
        .iter()
        .map(|other| WayLink {
            id: other.id,
            title: f.t(&format!("way.{forge}.{}.title", other.id)),
            lead: f.t(&format!("way.{forge}.{}.lead", other.id)),
            href: address(forge, &places, other.id),
            is_chosen: other.id == way.id,
        })
        .collect();
    let root = if base_url.is_empty() { cloud.unwrap_or_default() } else { base_url.trim_end_matches('/') };
    let page =
        if way.page.starts_with("https:") { way.page.to_owned() } else { format!("{root}{}", way.page) };
    let fresh = !fields.is_on("sent");
    let warnings = warnings(&config.public_url);
    let mode = match fields.get("mode") {
        Some(mode) => mode.to_owned(),
        None if warnings.contains(&"connect.warn_local") => "polling".to_owned(),
        None => "hybrid".to_owned(),
    };
    Ok(ForgePage {
        step: if at == "own" && base_url.is_empty() { 2 } else { 3 },
        forge: forge.as_str(),
        name: forge.display_name(),
        cloud,
        at,
        is_reached: fields.is_on("reached"),
        version: fields.text("version"),
        way: way.id,
        way_title: message("title"),
        button: button(way.kind),
        has_platform_app,
        ways,
        steps: steps(&f, forge, way, has_platform_app),
        copies: if has_platform_app { Vec::new() } else { copies(state, &f, forge, way)? },
        scopes: way.scopes,
        page: (!has_platform_app && !way.page.is_empty())
            .then_some(page)
            .filter(|page| outer_link(page).is_some()),
        inputs: if has_platform_app { Vec::new() } else { inputs(&f, way.inputs, fields) },
        mode,
        backfill: fresh || fields.is_on("backfill"),
        runs: fields.get("runs").unwrap_or("20").to_owned(),
        api_base_url: fields.text("api_base_url"),
        oauth_base_url: fields.text("oauth_base_url"),
        problem: problem.map(|error| Problem::new(&f, error)),
        warnings,
        public_url: plain(&config.public_url),
        base_url,
        f,
    })
}

fn button(kind: Kind) -> &'static str {
    match kind {
        Kind::OAuth => "connect.approve",
        Kind::NewApp => "connect.make_app",
        Kind::Token | Kind::KnownApp => "connect.check_and_connect",
        Kind::Webhook => "connect.make_hook",
    }
}

/// The address of this page with another way chosen.
fn address(forge: ForgeKind, places: &[(&str, &str)], way: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(places.iter().filter(|(_, value)| !value.is_empty()));
    query.append_pair("way", way);
    format!("/connect/{forge}?{}", query.finish())
}

/// What to click, in order.
fn steps(f: &Frame, forge: ForgeKind, way: &Way, has_platform_app: bool) -> Vec<String> {
    if has_platform_app {
        return vec![f.t("connect.platform_app")];
    }
    (1..10)
        .map_while(|number| f.find(&format!("way.{forge}.{}.{number}", way.id)))
        .map(str::to_owned)
        .collect()
}

/// Values that the forge asks for.
fn copies(
    state: &Dashboard,
    f: &Frame,
    forge: ForgeKind,
    way: &Way,
) -> Result<Vec<(String, String)>, PageError> {
    if way.kind != Kind::OAuth {
        return Ok(Vec::new());
    }
    let callback = state.flow.redirect_uri(forge)?;
    let mut copies = vec![(f.t("connect.callback_url"), callback.to_string())];
    if forge == ForgeKind::GITHUB {
        copies.push((f.t("connect.homepage_url"), plain(&state.flow.config().public_url)));
    }
    Ok(copies)
}

fn inputs(f: &Frame, inputs: &[Input], fields: &Fields) -> Vec<InputView> {
    inputs
        .iter()
        .map(|input| InputView {
            name: input.name,
            kind: input.kind,
            is_required: input.is_required,
            label: f.t(&format!("connect_field.{}", input.name)),
            hint: f.find(&format!("connect_hint.{}", input.name)).map(str::to_owned),
            value: if input.is_secret() { String::new() } else { fields.text(input.name) },
        })
        .collect()
}

/// What keeps deliveries from reaching us, as keys of the messages.
pub(super) fn warnings(public_url: &Url) -> Vec<&'static str> {
    let mut warnings = Vec::new();
    let is_local = match public_url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(Host::Ipv6(address)) => address.is_loopback() || address.is_unspecified(),
        None => true,
    };
    if is_local {
        warnings.push("connect.warn_local");
    } else if public_url.scheme() == "http" {
        warnings.push("connect.warn_http");
    }
    warnings
}

fn plain(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::{warnings, ways};
    use crate::locale::Locale;
    use forge_core::ForgeKind;

    #[test]
    fn an_address_that_forges_cannot_reach_is_said_at_once() {
        let of = |url: &str| warnings(&url.parse().unwrap());
        assert_eq!(of("http://127.0.0.1:8787"), ["connect.warn_local"]);
        assert_eq!(of("https://localhost"), ["connect.warn_local"]);
        assert_eq!(of("http://rca.example.com"), ["connect.warn_http"]);
        assert!(of("https://rca.example.com").is_empty());
    }

    #[test]
    fn every_way_has_its_words_in_every_language() {
        for forge in ForgeKind::ALL {
            for way in ways::of(forge) {
                for locale in [Locale::En, Locale::Ru] {
                    for part in ["title", "lead", "1"] {
                        let key = format!("way.{forge}.{}.{part}", way.id);
                        assert!(locale.find(&key).is_some(), "{key}");
                    }
                    for input in way.inputs {
                        let key = format!("connect_field.{}", input.name);
                        assert!(locale.find(&key).is_some(), "{key}");
                    }
                }
            }
        }
    }
}
