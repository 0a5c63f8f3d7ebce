//! GitHub Apps: manifests, installations, tokens (GitHub REST docs, "GitHub Apps").

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::{Answer, access::Caller, json as shape, page, refuse, unknown};
use crate::{
    dialect::Outcome,
    spec::TokenKind,
    wire::{Incoming, Reply},
    world::{Repo, Token, World, random_hex, shift},
};

/// The key of every app of every fake. A test key: it opens nothing.
const KEY: &str = include_str!("test-app-key.pem");
/// What GitHub allows a signature to be valid for.
const LONGEST_SIGNATURE: i64 = 600;

/// What the fake knows of apps and their check runs.
#[derive(Debug, Default)]
pub(crate) struct State {
    apps: Vec<App>,
    installations: Vec<Installation>,
    /// Codes of manifests, each good once.
    codes: Vec<(String, u64)>,
    /// Which installation a token is of.
    tokens: Vec<(String, u64)>,
    token_seconds: Option<i64>,
    pub(super) check_runs: Vec<super::checks::FakeCheckRun>,
}

#[derive(Debug, Clone)]
struct App {
    id: u64,
    slug: String,
    name: String,
    client_id: String,
    webhook_secret: String,
    permissions: Value,
    events: Value,
}

/// An app on an account.
#[derive(Debug, Clone)]
pub(super) struct Installation {
    id: u64,
    app_id: u64,
    account: String,
    is_suspended: bool,
    is_deleted: bool,
    permissions: Value,
}

impl Installation {
    pub(super) fn is_suspended(&self) -> bool {
        self.is_suspended
    }

    /// The installation sees the repositories of its account, and no public ones of others.
    pub(super) fn sees(&self, repo: &Repo) -> bool {
        repo.owner().eq_ignore_ascii_case(&self.account)
    }
}

/// An app of a fake GitHub.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FakeApp {
    /// Its id.
    pub app_id: String,
    /// The id that may stand in place of it in signatures.
    pub client_id: String,
    /// Its name in addresses; it writes as `{slug}[bot]`.
    pub slug: String,
    /// The private key as PEM, PKCS#1.
    pub private_key: SecretString,
}

impl App {
    fn shown(self) -> FakeApp {
        FakeApp {
            app_id: self.id.to_string(),
            client_id: self.client_id,
            slug: self.slug,
            private_key: SecretString::from(KEY.to_owned()),
        }
    }
}

fn default_permissions() -> Value {
    json!({
        "actions": "read", "checks": "write", "contents": "read", "issues": "write", "metadata": "read",
        "pull_requests": "write", "statuses": "read",
    })
}

impl World {
    pub(super) fn add_app(&mut self, slug: &str) -> FakeApp {
        self.make_app(slug, slug, default_permissions(), json!([])).shown()
    }

    pub(super) fn find_app(&self, slug: &str) -> Option<FakeApp> {
        self.github.apps.iter().find(|app| app.slug == slug).cloned().map(App::shown)
    }

    fn make_app(&mut self, slug: &str, name: &str, permissions: Value, events: Value) -> App {
        let app = App {
            id: self.next_id(),
            slug: slug.to_owned(),
            name: name.to_owned(),
            client_id: format!("Iv23{}", random_hex(8)),
            webhook_secret: random_hex(20),
            permissions,
            events,
        };
        self.github.apps.push(app.clone());
        app
    }

    pub(super) fn install_app(&mut self, app_id: &str, account: &str) -> String {
        let id = self.next_id();
        let app = self.github.apps.iter().find(|app| app.id.to_string() == app_id);
        let permissions = app.map_or(Value::Null, |app| app.permissions.clone());
        self.github.installations.push(Installation {
            id,
            app_id: app_id.parse().unwrap_or(0),
            account: account.to_owned(),
            is_suspended: false,
            is_deleted: false,
            permissions,
        });
        id.to_string()
    }

    fn installation_mut(&mut self, id: &str) -> Option<&mut Installation> {
        self.github.installations.iter_mut().find(|installation| installation.id.to_string() == id)
    }

    pub(super) fn suspend_installation(&mut self, id: &str, is_suspended: bool) {
        if let Some(installation) = self.installation_mut(id) {
            installation.is_suspended = is_suspended;
        }
    }

    /// Its tokens die with it.
    pub(super) fn delete_installation(&mut self, id: &str) {
        if let Some(installation) = self.installation_mut(id) {
            installation.is_deleted = true;
        }
        for (text, installation) in &self.github.tokens {
            if installation.to_string() == id
                && let Some(token) = self.tokens.get_mut(text)
            {
                token.is_revoked = true;
            }
        }
    }

    pub(super) fn set_installation_permissions(&mut self, id: &str, permissions: &[(&str, &str)]) {
        if let Some(installation) = self.installation_mut(id) {
            installation.permissions =
                permissions.iter().map(|(name, level)| ((*name).to_owned(), json!(level))).collect();
        }
    }

    pub(super) fn set_installation_token_seconds(&mut self, seconds: i64) {
        self.github.token_seconds = Some(seconds);
    }

    pub(super) fn minted_tokens(&self) -> usize {
        self.github.tokens.len()
    }

    /// The installation that a token is of.
    pub(super) fn installation_of(&self, token: &str) -> Option<&Installation> {
        let (_, id) = self.github.tokens.iter().find(|(text, _)| text == token)?;
        self.github.installations.iter().find(|installation| installation.id == *id)
    }

    /// The app that writes as this user.
    pub(super) fn app_of_bot(&self, user_id: u64) -> Value {
        let login = self.login(user_id);
        let app =
            login.strip_suffix("[bot]").and_then(|slug| self.github.apps.iter().find(|app| app.slug == slug));
        app.map_or(Value::Null, |app| show_app(self, app))
    }
}

fn show_app(world: &World, app: &App) -> Value {
    json!({
        "id": app.id,
        "node_id": format!("A_{}", app.id),
        "slug": app.slug,
        "client_id": app.client_id,
        "name": app.name,
        "owner": shape::user(world, world.users.first().map_or(1, |user| user.id)),
        "description": "",
        "external_url": "https://rca.example.com",
        // An Enterprise Server's apps do not lie where github.com's do.
        "html_url": format!("{}/github-apps/{}", world.base_url, app.slug),
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "permissions": app.permissions,
        "events": app.events,
    })
}

/// Whether this call is one that only an app's signature, or nobody's, opens.
pub(super) fn is_for_apps(segments: &[&str]) -> bool {
    matches!(segments, ["app", ..] | ["app-manifests", ..])
}

pub(super) fn route(world: &mut World, request: &Incoming, segments: &[&str]) -> Answer {
    if let ("POST", ["app-manifests", code, "conversions"]) = (request.method.as_str(), segments) {
        return convert(world, code);
    }
    let app = signed_by(world, request)?;
    match (request.method.as_str(), segments) {
        ("GET", ["app"]) => Ok(Reply::json(200, &show_app(world, &app)).into()),
        (method, ["app", "installations", id, rest @ ..]) => {
            let found = world.installation_mut(id).cloned();
            let found =
                found.filter(|installation| installation.app_id == app.id && !installation.is_deleted);
            let installation = found.ok_or_else(|| refuse(404, "Not Found"))?;
            match (method, rest) {
                ("GET", []) => Ok(Reply::json(200, &show_installation(world, &app, &installation)).into()),
                ("POST", ["access_tokens"]) => mint(world, &app, &installation),
                _ => Ok(unknown()),
            }
        }
        _ => Ok(unknown()),
    }
}

fn show_installation(world: &World, app: &App, installation: &Installation) -> Value {
    json!({
        "id": installation.id,
        "account": { "login": installation.account, "id": 9, "type": "Organization" },
        "app_id": app.id,
        "app_slug": app.slug,
        "client_id": app.client_id,
        "target_type": "Organization",
        "repository_selection": "all",
        "permissions": installation.permissions,
        "events": app.events,
        "html_url": format!("{}/settings/installations/{}", world.base_url, installation.id),
        "suspended_at": installation.is_suspended.then_some("2026-02-01T00:00:00Z"),
    })
}

/// Long and with a signed statement inside, as GitHub's are since 2026.
fn mint(world: &mut World, app: &App, installation: &Installation) -> Answer {
    if installation.is_suspended {
        return Err(refuse(403, "This installation has been suspended"));
    }
    let text = format!("ghs_{}_{}.{}.{}", app.id, random_hex(30), random_hex(150), random_hex(171));
    let user_id = world.add_user(&format!("{}[bot]", app.slug));
    let (id, created_at) = (world.next_id(), world.now());
    let expires_at = shift(created_at, world.github.token_seconds.unwrap_or(3600));
    let scopes = installation.permissions.as_object().into_iter().flatten();
    let scopes =
        scopes.map(|(name, level)| format!("{name}:{}", level.as_str().unwrap_or_default())).collect();
    let token = Token {
        id,
        kind: TokenKind::FineGrained,
        user_id,
        scopes,
        created_at,
        expires_at: Some(expires_at),
        is_revoked: false,
        client_id: None,
    };
    world.tokens.insert(text.clone(), token);
    world.github.tokens.push((text.clone(), installation.id));
    let body = json!({
        "token": text,
        "expires_at": shape::time(expires_at),
        "permissions": installation.permissions,
        "repository_selection": "all",
    });
    Ok(Reply::json(201, &body).into())
}

/// `GET /installation/repositories`, and what else only an installation's token opens.
pub(super) fn as_installation(world: &World, request: &Incoming, caller: &Caller) -> Answer {
    let Some(installation) = &caller.installation else {
        return Err(refuse(
            403,
            "You must authenticate with an installation access token in order to list repositories for an installation.",
        ));
    };
    let repos: Vec<&Repo> = world.repos.values().filter(|repo| installation.sees(repo)).collect();
    Ok(page(world, request, &repos, Some("repositories"), |repo| shape::repo(world, repo, caller.user_id))
        .into())
}

/// The app whose key signed the statement in the request.
fn signed_by(world: &World, request: &Incoming) -> Result<App, Box<Reply>> {
    let bad = |text: &str| refuse(401, text);
    let header = request.header("authorization").unwrap_or_default();
    let text = header.strip_prefix("Bearer ").ok_or_else(|| bad("A JSON web token could not be decoded"))?;
    let parts: Vec<&str> = text.split('.').collect();
    let [head, claims, signature] = parts.as_slice() else {
        return Err(bad("A JSON web token could not be decoded"));
    };
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    let object = |part: &str| decode(part).and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let (Some(head_json), Some(claims_json), Some(signature)) =
        (object(head), object(claims), decode(signature))
    else {
        return Err(bad("A JSON web token could not be decoded"));
    };
    if head_json.get("alg").and_then(Value::as_str) != Some("RS256") {
        return Err(bad("A JSON web token could not be decoded"));
    }
    let issuer = match claims_json.get("iss") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => return Err(bad("'Issuer' claim ('iss') must be an Integer")),
    };
    let app = world.github.apps.iter().find(|app| app.id.to_string() == issuer || app.client_id == issuer);
    let app = app.ok_or_else(|| refuse(404, "Integration not found"))?;
    let key = public_key().ok_or_else(|| bad("A JSON web token could not be decoded"))?;
    let signed = format!("{head}.{claims}");
    if UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key).verify(signed.as_bytes(), &signature).is_err()
    {
        return Err(bad("A JSON web token could not be decoded"));
    }
    // By the real clock: whoever signs does not know of the fake's.
    let now = Timestamp::now().as_second();
    let time = |name: &str| claims_json.get(name).and_then(Value::as_i64);
    match (time("iat"), time("exp")) {
        (Some(issued), _) if issued > now => Err(bad(
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
        )),
        (Some(_), Some(expires)) if expires <= now => {
            Err(bad("'Expiration time' claim ('exp') must be a numeric value representing the future time"))
        }
        (Some(_), Some(expires)) if expires - now > LONGEST_SIGNATURE => {
            Err(bad("'Expiration time' claim ('exp') is too far in the future"))
        }
        (Some(_), Some(_)) => Ok(app.clone()),
        _ => Err(bad("A JSON web token could not be decoded")),
    }
}

fn public_key() -> Option<Vec<u8>> {
    let (_, rest) = KEY.split_once("KEY-----")?;
    let body: String = rest.split("-----END").next()?.split_whitespace().collect();
    let der = base64::engine::general_purpose::STANDARD.decode(body).ok()?;
    Some(RsaKeyPair::from_der(&der).ok()?.public_key().as_ref().to_vec())
}

/// `POST /settings/apps/new?state=...` of the browser: the person is asked nothing and says yes.
pub(super) fn create_page(world: &mut World, request: &Incoming) -> Outcome {
    let page = |text: &str| Reply::bytes(422, "text/html", format!("<html>{text}</html>").into()).into();
    let form = request.json();
    let manifest: Option<Map<String, Value>> =
        form.get("manifest").and_then(Value::as_str).and_then(|text| serde_json::from_str(text).ok());
    let Some(manifest) = manifest else { return page("the manifest is not JSON") };
    let text = |name: &str| manifest.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (name, back) = (text("name"), text("redirect_url"));
    let has_hook = manifest.get("hook_attributes").and_then(|hook| hook.get("url")).is_some();
    let Ok(mut back) = url::Url::parse(&back) else { return page("redirect_url is missing") };
    if name.is_empty() || text("url").is_empty() || !has_hook {
        return page("name, url and hook_attributes are needed");
    }
    let slug = name.to_lowercase().replace(' ', "-");
    let part = |name: &str| manifest.get(name).cloned().unwrap_or(Value::Null);
    let app = world.make_app(&slug, &name, part("default_permissions"), part("default_events"));
    let code = random_hex(20);
    world.github.codes.push((code.clone(), app.id));
    back.query_pairs_mut().append_pair("code", &code);
    if let Some(state) = request.query("state") {
        back.query_pairs_mut().append_pair("state", state);
    }
    Reply::redirect(302, back.as_str()).into()
}

fn convert(world: &mut World, code: &str) -> Answer {
    let position = world.github.codes.iter().position(|(known, _)| known == code);
    let position = position.ok_or_else(|| refuse(404, "Not Found"))?;
    let (_, id) = world.github.codes.remove(position);
    let app = world.github.apps.iter().find(|app| app.id == id).cloned();
    let app = app.ok_or_else(|| refuse(404, "Not Found"))?;
    let mut body = show_app(world, &app);
    if let Some(object) = body.as_object_mut() {
        object.insert("client_secret".to_owned(), json!(random_hex(20)));
        object.insert("webhook_secret".to_owned(), json!(app.webhook_secret));
        object.insert("pem".to_owned(), json!(KEY));
    }
    Ok(Reply::json(201, &body).into())
}
