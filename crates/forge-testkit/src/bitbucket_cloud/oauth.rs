//! OAuth of Bitbucket Cloud: permissions are ticked at the consumer, the client proves itself by HTTP Basic, refresh
//! tokens work once.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use url::Url;

use super::{State, unknown};
use crate::{
    dialect::Outcome,
    grants::{Authorize, Refused},
    wire::{Incoming, Reply},
    world::World,
};

pub(super) fn route(world: &mut World, state: &State, request: &Incoming, segments: &[&str]) -> Outcome {
    match (request.method.as_str(), segments) {
        ("GET", ["authorize"]) => authorize(world, request).into(),
        ("POST", ["access_token"]) => token(world, state, request).into(),
        _ => unknown(),
    }
}

fn authorize(world: &mut World, request: &Incoming) -> Reply {
    let page = |text: &str| Reply::bytes(400, "text/html", format!("<html>{text}</html>").into());
    let client_id = request.query("client_id").unwrap_or_default();
    let Some(app) = world.grants.apps.iter().find(|app| app.client_id == client_id).cloned() else {
        return page("Invalid client_id");
    };
    let registered = app.redirects.first().cloned().unwrap_or_default();
    let redirect = request.query("redirect_uri").map_or_else(|| registered.clone(), str::to_owned);
    if !redirect.starts_with(&registered) {
        return page("Invalid redirect_uri");
    }
    let Ok(mut target) = Url::parse(&redirect) else { return page("Invalid redirect_uri") };
    let state = request.query("state").map(str::to_owned);
    let mut back = |pairs: &[(&str, &str)]| {
        target.query_pairs_mut().extend_pairs(pairs);
        if let Some(state) = &state {
            target.query_pairs_mut().append_pair("state", state);
        }
        Reply::redirect(302, target.as_str())
    };
    if request.query("response_type") != Some("code") {
        return back(&[("error", "unsupported_response_type")]);
    }
    let asked: Vec<&str> = request.query("scope").unwrap_or_default().split_whitespace().collect();
    let is_ticked = |scope: &&str| {
        app.scopes.iter().any(|ticked| ticked == scope || ticked.strip_suffix(":write") == Some(*scope))
    };
    if !asked.iter().all(is_ticked) {
        let text = "Your client requested scopes that are not enabled for this consumer.";
        return back(&[("error", "invalid_scope"), ("error_description", text)]);
    }
    let Some(user_id) = world.grants.approver else {
        return back(&[("error", "access_denied"), ("error_description", "The request was denied")]);
    };
    let scopes = if asked.is_empty() {
        app.scopes.clone()
    } else {
        asked.iter().map(|&scope| scope.to_owned()).collect()
    };
    let asked = Authorize { client_id, redirect: &redirect, scopes, challenge: None };
    let code = world.make_code(&asked, user_id);
    back(&[("code", &code)])
}

fn token(world: &mut World, state: &State, request: &Incoming) -> Reply {
    let error = |status: u16, name: &str| {
        Reply::json(status, &json!({ "error": name, "error_description": format!("{name} was found") }))
    };
    let basic = request.header("authorization").and_then(|value| value.strip_prefix("Basic "));
    let basic = basic.and_then(|text| STANDARD.decode(text).ok());
    let basic = basic.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    // Credentials in the body are not looked at.
    let Some(client) = basic.split_once(':') else { return error(401, "invalid_client") };
    let body = request.json();
    let field = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let result = match field("grant_type") {
        Some("authorization_code") => world.exchange_code(
            client,
            field("code").unwrap_or_default(),
            field("redirect_uri"),
            None,
            ("", ""),
        ),
        Some("refresh_token") => {
            world.refresh_grant(client, field("refresh_token").unwrap_or_default(), None, ("", ""))
        }
        _ => return error(400, "unsupported_grant_type"),
    };
    match result {
        Ok(issued) => {
            let mut answer = json!({
                "access_token": issued.access_token,
                "refresh_token": issued.refresh_token,
                "expires_in": issued.expires_in,
                "token_type": "bearer",
                "state": "authorization_code",
            });
            if let Some(fields) = answer.as_object_mut() {
                let name = if state.says_scopes { "scopes" } else { "scope" };
                fields.insert(name.to_owned(), json!(issued.scopes.join(" ")));
            }
            Reply::json(200, &answer)
        }
        Err(Refused::Client) => error(401, "invalid_client"),
        Err(Refused::Redirect | Refused::Grant) => error(400, "invalid_grant"),
    }
}
