//! Who asks, and what they may do.

use serde_json::json;

use super::{Answer, json as shape, refuse, unknown};
use crate::{
    spec::TokenKind,
    wire::{Incoming, Reply},
    world::{Token, World},
};

#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) user_id: u64,
    pub(super) token: Token,
    pub(super) token_text: String,
}

impl Caller {
    pub(super) fn require_any(&self, scopes: &[&str]) -> Result<(), Box<Reply>> {
        if self.token.scopes.iter().any(|scope| scopes.contains(&scope.as_str())) {
            return Ok(());
        }
        Err(Box::new(Reply::json(
            403,
            &json!({
                "error": "insufficient_scope",
                "error_description": "The request requires higher privileges than provided by the access token.",
                "scope": scopes.join(" "),
            }),
        )))
    }

    pub(super) fn require_for(&self, method: &str) -> Result<(), Box<Reply>> {
        if method == "GET" { self.require_any(&["api", "read_api"]) } else { self.require_any(&["api"]) }
    }
}

/// GitLab docs, api/rest/authentication.md: OAuth tokens go as Bearer only, access tokens in either header.
pub(super) fn authenticate(world: &World, request: &Incoming) -> Result<Caller, Box<Reply>> {
    let bearer = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let private = request.header("private-token");
    let text = bearer.or(private).ok_or_else(|| refuse(401, "401 Unauthorized"))?;
    let token = world.tokens.get(text).ok_or_else(|| refuse(401, "401 Unauthorized"))?;
    if bearer.is_none() && token.kind == TokenKind::OAuth {
        return Err(refuse(401, "401 Unauthorized"));
    }
    let invalid = |description: &str| {
        Box::new(Reply::json(401, &json!({ "error": "invalid_token", "error_description": description })))
    };
    if token.is_revoked {
        return Err(invalid("Token was revoked. You have to re-authorize from the user."));
    }
    if token.expires_at.is_some_and(|at| at <= world.now()) {
        return Err(invalid("Token is expired. You can either do re-authorization or token refresh."));
    }
    Ok(Caller { user_id: token.user_id, token: token.clone(), token_text: text.to_owned() })
}

/// `/personal_access_tokens/self` knows access tokens only, not OAuth tokens.
pub(super) fn own_token(world: &mut World, request: &Incoming, caller: &Caller) -> Answer {
    if caller.token.kind == TokenKind::OAuth {
        return Err(refuse(404, "404 Not Found"));
    }
    match request.method.as_str() {
        "GET" => {
            let token = &caller.token;
            let expires = token.expires_at.map(|at| at.strftime("%Y-%m-%d").to_string());
            Ok(Reply::json(
                200,
                &json!({
                    "id": token.id,
                    "name": "forge-rca",
                    "revoked": false,
                    "active": true,
                    "created_at": shape::time(token.created_at),
                    "last_used_at": shape::time(world.now()),
                    "scopes": token.scopes,
                    "user_id": token.user_id,
                    "expires_at": expires,
                }),
            )
            .into())
        }
        "DELETE" => {
            if let Some(token) = world.tokens.get_mut(&caller.token_text) {
                token.is_revoked = true;
            }
            Ok(Reply::empty(204).into())
        }
        _ => Ok(unknown()),
    }
}
