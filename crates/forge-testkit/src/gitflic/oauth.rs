//! OAuth in GitFlic's own dialect: the code is POSTed to the callback as JSON.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use url::Url;

use super::{json as shape, major, message, unknown};
use crate::{
    dialect::{Callback, Outcome},
    grants::{Authorize, Issued, Refused},
    wire::{Incoming, Reply},
    world::{World, shift},
};

const SCOPES: [&str; 8] = [
    "USER_READ",
    "USER_WRITE",
    "PROJECT_READ",
    "PROJECT_WRITE",
    "PROJECT_EDIT",
    "TEAM_READ",
    "TEAM_WRITE",
    "COMPANY_READ",
];

/// All four parameters are mandatory.
pub(super) fn authorize(world: &mut World, request: &Incoming) -> Outcome {
    let page = |text: &str| Reply::bytes(400, "text/html", format!("<html>{text}</html>").into()).into();
    let names = if major(world) >= 4 { ["client_id", "redirect_url"] } else { ["clientId", "redirectUrl"] };
    let [client_id, redirect] = names.map(|name| request.query(name).unwrap_or_default());
    let state = request.query("state").unwrap_or_default();
    let Some(app) = world.grants.apps.iter().find(|app| app.client_id == client_id) else {
        return page("no such application");
    };
    if !app.redirects.iter().any(|known| known == redirect) {
        return page("this redirect_url is not registered");
    }
    let scopes: Vec<String> =
        request.query("scope").unwrap_or_default().split(',').map(str::to_owned).collect();
    if state.is_empty() || scopes.iter().any(|scope| !SCOPES.contains(&scope.as_str())) {
        return page("bad scope or state");
    }
    let (Some(user_id), Ok(callback)) = (world.grants.approver, Url::parse(redirect)) else {
        return page("the access was denied");
    };
    let asked = Authorize { client_id, redirect, scopes, challenge: None };
    let code = world.make_code(&asked, user_id);
    let mut with_code = callback.clone();
    with_code.query_pairs_mut().append_pair("code", &code).append_pair("state", state);
    Outcome::Callback(Box::new(Callback {
        url: callback.clone(),
        body: json!({ "code": code, "state": state }).to_string(),
        taken: Reply::redirect(302, callback.as_str()),
        refused: Reply::redirect(302, with_code.as_str()),
    }))
}

pub(super) fn token(world: &mut World, request: &Incoming, segments: &[&str]) -> Outcome {
    let client = basic(request).unwrap_or_default();
    let client = (client.0.as_str(), client.1.as_str());
    let prefix = ("gfo-", "gfr-");
    let result = match (request.method.as_str(), segments) {
        ("GET", ["access"]) => {
            let code = request.query("code").unwrap_or_default();
            world.exchange_code(client, code, None, None, prefix)
        }
        ("POST", ["refresh"]) => {
            let body = request.json();
            let refresh_token = body.get("refreshToken").and_then(Value::as_str).unwrap_or_default();
            world.refresh_grant(client, refresh_token, None, prefix)
        }
        _ => return unknown(),
    };
    match result {
        Ok(issued) => Reply::json(200, &tokens(world, &issued)),
        Err(Refused::Client) => message(401, "error.oauth.client"),
        Err(Refused::Grant | Refused::Redirect) => message(400, "error.oauth.code"),
    }
    .into()
}

fn basic(request: &Incoming) -> Option<(String, String)> {
    let encoded = request.header("authorization")?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    text.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned()))
}

/// Camel case; the end of life as seconds, or by older versions as a time without a zone.
fn tokens(world: &World, issued: &Issued) -> Value {
    let expires = issued.expires_in.map(|seconds| {
        let at = shift(issued.created_at, i64::try_from(seconds).unwrap_or(i64::MAX));
        if major(world) >= 4 { ("expires", json!(seconds)) } else { ("expiresAt", json!(shape::naive(at))) }
    });
    let mut value = json!({ "accessToken": issued.access_token, "refreshToken": issued.refresh_token });
    if let (Some((name, at)), Some(value)) = (expires, value.as_object_mut()) {
        value.insert(name.to_owned(), at);
    }
    value
}
