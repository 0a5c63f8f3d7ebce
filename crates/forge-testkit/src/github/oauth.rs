//! OAuth as GitHub does it (GitHub docs, "Authorizing OAuth apps"): errors with status 200, commas between granted
//! scopes, form-encoded answers unless JSON is asked for.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use url::Url;

use super::{Answer, message, refuse, unknown};
use crate::{
    dialect::Outcome,
    grants::{Authorize, Refused},
    wire::{Incoming, Reply},
    world::World,
};

pub(super) fn pages(world: &mut World, request: &Incoming, segments: &[&str]) -> Outcome {
    match (request.method.as_str(), segments) {
        ("GET", ["authorize"]) => authorize(world, request).into(),
        ("POST", ["access_token"]) => token(world, request).into(),
        _ => unknown(),
    }
}

fn authorize(world: &mut World, request: &Incoming) -> Reply {
    let page = |text: &str| Reply::bytes(404, "text/html", format!("<html>{text}</html>").into());
    let client_id = request.query("client_id").unwrap_or_default();
    let Some(app) = world.grants.apps.iter().find(|app| app.client_id == client_id).cloned() else {
        return page("no such application");
    };
    let redirect = request.query("redirect_uri").map(str::to_owned);
    let redirect = redirect.or_else(|| app.redirects.first().cloned()).unwrap_or_default();
    let Ok(mut target) = Url::parse(&redirect) else { return page("bad redirect_uri") };
    let state = request.query("state").map(str::to_owned);
    let is_registered = app.redirects.iter().any(|known| is_below(known, &target));
    let mut back = |pairs: &[(&str, &str)]| {
        target.query_pairs_mut().extend_pairs(pairs);
        if let Some(state) = &state {
            target.query_pairs_mut().append_pair("state", state);
        }
        Reply::redirect(302, target.as_str())
    };
    if !is_registered {
        return page("The redirect_uri is not associated with this application.");
    }
    let challenge = request.query("code_challenge");
    if challenge.is_some() && request.query("code_challenge_method") != Some("S256") {
        return back(&[("error", "invalid_request")]);
    }
    if app.requires_pkce && challenge.is_none() {
        return back(&[("error", "invalid_request")]);
    }
    let Some(user_id) = world.grants.approver else {
        let text = "The user has denied your application access.";
        return back(&[("error", "access_denied"), ("error_description", text)]);
    };
    // Scopes that the forge does not know are dropped without a word; an application registers none at GitHub.
    let scopes = request.query("scope").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let asked = Authorize { client_id, redirect: &redirect, scopes, challenge };
    let code = world.make_code(&asked, user_id);
    back(&[("code", &code)])
}

/// Same host and port (any port on loopback), path at or below the registered one.
fn is_below(registered: &str, given: &Url) -> bool {
    let Ok(registered) = Url::parse(registered) else { return false };
    let is_loopback = given.host_str() == Some("127.0.0.1");
    registered.host_str() == given.host_str()
        && (is_loopback || registered.port_or_known_default() == given.port_or_known_default())
        && given.path().starts_with(registered.path())
}

fn token(world: &mut World, request: &Incoming) -> Reply {
    let body = request.json();
    let field = |name: &str| {
        let in_body = body.get(name).and_then(Value::as_str);
        in_body.or_else(|| request.query(name)).unwrap_or_default().to_owned()
    };
    let (id, secret) = (field("client_id"), field("client_secret"));
    let client = (id.as_str(), secret.as_str());
    let is_refresh = field("grant_type") == "refresh_token";
    let verifier = Some(field("code_verifier")).filter(|text| !text.is_empty());
    let redirect = Some(field("redirect_uri")).filter(|text| !text.is_empty());
    let result = if is_refresh {
        world.refresh_grant(client, &field("refresh_token"), None, ("ghu_", "ghr_"))
    } else {
        world.exchange_code(
            client,
            &field("code"),
            redirect.as_deref(),
            verifier.as_deref(),
            ("gho_", "ghr_"),
        )
    };
    let error = |name: &str, text: &str| {
        vec![
            ("error".to_owned(), name.to_owned()),
            ("error_description".to_owned(), text.to_owned()),
            ("error_uri".to_owned(), "https://docs.example/oauth-errors".to_owned()),
        ]
    };
    let pairs = match result {
        Ok(issued) => {
            let mut pairs = vec![
                ("access_token".to_owned(), issued.access_token),
                ("scope".to_owned(), issued.scopes.join(",")),
                ("token_type".to_owned(), "bearer".to_owned()),
            ];
            if let (Some(seconds), Some(refresh)) = (issued.expires_in, issued.refresh_token) {
                pairs.push(("expires_in".to_owned(), seconds.to_string()));
                pairs.push(("refresh_token".to_owned(), refresh));
                pairs.push(("refresh_token_expires_in".to_owned(), "15897600".to_owned()));
            }
            pairs
        }
        Err(Refused::Client) => {
            error("incorrect_client_credentials", "The client_id and/or client_secret passed are incorrect.")
        }
        Err(Refused::Redirect) => {
            error("redirect_uri_mismatch", "The redirect_uri MUST match the registered callback URL.")
        }
        Err(Refused::Grant) if is_refresh => {
            error("bad_refresh_token", "The refresh token passed is incorrect or expired.")
        }
        Err(Refused::Grant) => error("bad_verification_code", "The code passed is incorrect or expired."),
    };
    // Errors too come with status 200.
    if request.header("accept").is_some_and(|accept| accept.contains("json")) {
        let body: Value = pairs
            .into_iter()
            .map(|(name, value)| {
                let number = name.ends_with("expires_in").then(|| value.parse::<u64>().ok()).flatten();
                (name, number.map_or_else(|| json!(value), |number| json!(number)))
            })
            .collect();
        return Reply::json(200, &body);
    }
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    Reply::bytes(200, "application/x-www-form-urlencoded; charset=utf-8", form.into())
}

/// `/applications/{client_id}/token` and `/grant`: check, reset and delete, with HTTP Basic of the application.
pub(super) fn applications(
    world: &mut World,
    request: &Incoming,
    client_id: &str,
    segments: &[&str],
) -> Answer {
    let basic = request
        .header("authorization")
        .and_then(|value| value.strip_prefix("Basic "))
        .and_then(|text| STANDARD.decode(text).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_default();
    let (id, secret) = basic.split_once(':').unwrap_or_default();
    if id != client_id || world.app(id, secret).is_none() {
        return Err(refuse(404, "Not Found"));
    }
    let body = request.json();
    let text = body.get("access_token").and_then(Value::as_str).unwrap_or_default();
    let known = world.tokens.get(text).filter(|token| !token.is_revoked).cloned();
    match (request.method.as_str(), segments) {
        ("POST", ["token"]) => {
            let token = known.ok_or_else(|| refuse(404, "Not Found"))?;
            let user = super::json::user(world, token.user_id);
            Ok(Reply::json(200, &json!({ "id": token.id, "scopes": token.scopes, "user": user })).into())
        }
        ("DELETE", ["token"]) => {
            if known.is_none() {
                return Err(Box::new(message(422, "Validation Failed")));
            }
            if let Some(token) = world.tokens.get_mut(text) {
                token.is_revoked = true;
            }
            Ok(Reply::empty(204).into())
        }
        ("DELETE", ["grant"]) => {
            let Some(token) = known else { return Err(Box::new(message(422, "Validation Failed"))) };
            for index in 0..world.grants.grants.len() {
                let is_theirs = world
                    .grants
                    .grants
                    .get(index)
                    .is_some_and(|grant| grant.client_id == client_id && grant.user_id == token.user_id);
                if is_theirs {
                    world.revoke_grant(index);
                }
            }
            Ok(Reply::empty(204).into())
        }
        _ => Ok(unknown()),
    }
}
