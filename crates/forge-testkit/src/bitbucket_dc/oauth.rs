//! The OAuth 2.0 provider, for incoming application links.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use url::Url;

use super::{Answer, unknown};
use crate::{
    grants::{Authorize, Issued, Refused},
    wire::{Incoming, Reply},
    world::World,
};

pub(super) fn route(world: &mut World, request: &Incoming, segments: &[&str]) -> Answer {
    match (request.method.as_str(), segments) {
        ("GET", ["authorize"]) => Ok(authorize(world, request).into()),
        ("POST", ["token"]) => Ok(token(world, request).into()),
        ("POST", ["revoke"]) => Ok(revoke(world, request).into()),
        _ => Ok(unknown()),
    }
}

fn authorize(world: &mut World, request: &Incoming) -> Reply {
    let page = |text: &str| Reply::bytes(400, "text/html", format!("<html>{text}</html>").into());
    let client_id = request.query("client_id").unwrap_or_default();
    let Some(app) = world.grants.apps.iter().find(|app| app.client_id == client_id).cloned() else {
        return page("Client authentication failed due to unknown client");
    };
    let redirect = request.query("redirect_uri").unwrap_or_default();
    let Ok(mut target) = Url::parse(redirect) else { return page("The redirect URI is not valid") };
    if !app.redirects.iter().any(|known| known == redirect) {
        return page("The redirect URI included is not valid");
    }
    let state = request.query("state").map(str::to_owned);
    let mut back = |pairs: &[(&str, &str)]| {
        target.query_pairs_mut().extend_pairs(pairs);
        if let Some(state) = &state {
            target.query_pairs_mut().append_pair("state", state);
        }
        Reply::redirect(302, target.as_str())
    };
    let asked: Vec<String> =
        request.query("scope").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let challenge = request.query("code_challenge");
    let has_bad_method = challenge.is_some() && request.query("code_challenge_method") != Some("S256");
    if request.query("response_type") != Some("code") || has_bad_method {
        return back(&[("error", "invalid_request")]);
    }
    if app.requires_pkce && challenge.is_none() {
        return back(&[("error", "invalid_request"), ("error_description", "code challenge required")]);
    }
    if asked.is_empty() || asked.iter().any(|scope| !app.scopes.contains(scope)) {
        return back(&[("error", "invalid_scope"), ("error_description", "The requested scope is invalid")]);
    }
    let Some(user_id) = world.grants.approver else {
        return back(&[
            ("error", "access_denied"),
            ("error_description", "The resource owner or authorization server denied the request."),
        ]);
    };
    let asked = Authorize { client_id, redirect, scopes: asked, challenge };
    let code = world.make_code(&asked, user_id);
    back(&[("code", &code)])
}

fn token(world: &mut World, request: &Incoming) -> Reply {
    let body = request.json();
    let (id, secret) = client(request, &body);
    let client = (id.as_str(), secret.as_str());
    let field = |name: &str| body.get(name).and_then(Value::as_str);
    let result = match field("grant_type") {
        Some("authorization_code") => world.exchange_code(
            client,
            field("code").unwrap_or_default(),
            Some(field("redirect_uri").unwrap_or_default()),
            field("code_verifier"),
            ("", ""),
        ),
        Some("refresh_token") => world.refresh_grant(
            client,
            field("refresh_token").unwrap_or_default(),
            field("redirect_uri"),
            ("", ""),
        ),
        _ => {
            let text = "The authorization grant type is not supported by the authorization server.";
            return error(400, "unsupported_grant_type", text);
        }
    };
    match result {
        Ok(issued) => Reply::json(200, &issued_json(&issued)),
        Err(Refused::Client) => error(
            401,
            "invalid_client",
            "Client authentication failed due to unknown client, no client authentication included, or unsupported \
             authentication method.",
        ),
        Err(Refused::Grant | Refused::Redirect) => error(
            400,
            "invalid_grant",
            "The provided authorization grant is invalid, expired, revoked, does not match the redirection URI used \
             in the authorization request, or was issued to another client.",
        ),
    }
}

fn issued_json(issued: &Issued) -> Value {
    let mut body = json!({
        "access_token": issued.access_token,
        "token_type": "Bearer",
        "scope": issued.scopes.join(" "),
        "created_at": issued.created_at.as_second(),
    });
    if let (Some(object), Some(seconds)) = (body.as_object_mut(), issued.expires_in) {
        object.insert("expires_in".to_owned(), json!(seconds));
        object.insert("refresh_token".to_owned(), json!(issued.refresh_token));
    }
    body
}

fn revoke(world: &mut World, request: &Incoming) -> Reply {
    let body = request.json();
    let (id, secret) = client(request, &body);
    if world.app(&id, &secret).is_none() {
        return error(403, "unauthorized_client", "You are not authorized to revoke this token");
    }
    // An unknown token is fine too: RFC 7009, 2.2.
    world.revoke_by_token(body.get("token").and_then(Value::as_str).unwrap_or_default());
    Reply::json(200, &json!({}))
}

/// Client id and secret, from the body or from HTTP Basic.
fn client(request: &Incoming, body: &Value) -> (String, String) {
    let basic = request
        .header("authorization")
        .and_then(|value| value.strip_prefix("Basic "))
        .and_then(|text| STANDARD.decode(text).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok());
    if let Some((id, secret)) = basic.as_deref().and_then(|text| text.split_once(':')) {
        return (id.to_owned(), secret.to_owned());
    }
    let field = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    (field("client_id"), field("client_secret"))
}

fn error(status: u16, name: &str, description: &str) -> Reply {
    Reply::json(status, &json!({ "error": name, "error_description": description }))
}
