//! Who asks, and what they may do.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{Answer, json as shape, refuse};
use crate::{
    dialect::Outcome,
    spec::TokenKind,
    wire::{Incoming, Reply},
    world::{Repo, Token, World},
};

#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) user_id: u64,
    pub(super) token: Token,
}

/// OAuth tokens and access tokens go as Bearer, API tokens as Basic with the account's mail address; neither the other
/// way round, and no token in the query since 2026.
pub(super) fn authenticate(world: &World, request: &Incoming) -> Result<Caller, Box<Reply>> {
    let refused = || refuse(401, "Token is invalid, expired, or not supported for this endpoint.");
    let header = request.header("authorization").ok_or_else(refused)?;
    let token = if let Some(text) = header.strip_prefix("Bearer ") {
        world.tokens.get(text).filter(|token| token.kind != TokenKind::Personal)
    } else {
        let basic = header.strip_prefix("Basic ").and_then(|text| STANDARD.decode(text).ok());
        let basic = basic.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(refused)?;
        let (user, text) = basic.split_once(':').ok_or_else(refused)?;
        world.tokens.get(text).filter(|token| {
            token.kind == TokenKind::Personal && user == format!("{}@example.com", world.login(token.user_id))
        })
    };
    let token = token.filter(|token| !token.is_revoked && token.expires_at.is_none_or(|at| at > world.now()));
    let token = token.ok_or_else(refused)?;
    Ok(Caller { user_id: token.user_id, token: token.clone() })
}

impl Caller {
    /// An access token of a repository, project or workspace: a bot without a user.
    pub(super) fn is_bot(&self) -> bool {
        self.token.kind == TokenKind::FineGrained
    }

    pub(super) fn can_see(&self, repo: &Repo) -> bool {
        !repo.is_private || repo.access_of(self.user_id) > 0
    }

    /// `oauth` is the name for OAuth and access tokens, `api` the one for API tokens.
    pub(super) fn require(&self, oauth: &str, api: &str) -> Result<(), Box<Reply>> {
        let is_api = self.token.kind == TokenKind::Personal;
        let wanted = if is_api { api } else { oauth };
        let has = self.token.scopes.iter().any(|scope| {
            scope == wanted
                || (!is_api
                    && (scope.strip_suffix(":write") == Some(wanted)
                        || (wanted == "repository" && scope.starts_with("pullrequest"))))
        });
        if has {
            return Ok(());
        }
        // The detail is an object here, although the API description says that it is a string.
        Err(Box::new(Reply::json(
            403,
            &json!({ "type": "error", "error": {
                "message": "Your credentials lack one or more required privilege scopes.",
                "detail": { "granted": self.token.scopes, "required": [wanted] },
            } }),
        )))
    }

    pub(super) fn with_scopes(&self, outcome: Outcome) -> Outcome {
        let add = |reply: Reply| reply.with_header("x-oauth-scopes", &self.token.scopes.join(", "));
        match outcome {
            Outcome::Reply(reply) => Outcome::Reply(add(reply)),
            Outcome::Unknown(reply) => Outcome::Unknown(add(reply)),
            other => other,
        }
    }
}

pub(super) fn user(world: &World, caller: &Caller) -> Answer {
    if caller.is_bot() {
        return Err(refuse(403, "This API is only accessible with user credentials."));
    }
    caller.require("account", "read:user:bitbucket")?;
    Ok(Reply::json(200, &shape::user(world, caller.user_id)).into())
}
