//! Who asks, and what they may do.

use super::{apps::Installation, refuse};
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
    /// Of an app, where it is not a person who asks.
    pub(super) installation: Option<Installation>,
}

/// What a request needs: classic scopes, any of which does, and the permission of a fine-grained token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Needs {
    pub(super) scopes: &'static [&'static str],
    pub(super) permission: &'static str,
    pub(super) is_write: bool,
}

/// GitHub docs, "Authenticating to the REST API": every kind of token goes as Bearer; `token` is the old alias.
pub(super) fn authenticate(world: &World, request: &Incoming) -> Result<Caller, Box<Reply>> {
    let header = request.header("authorization");
    let header = header.ok_or_else(|| refuse(401, "Requires authentication"))?;
    let text = header.strip_prefix("Bearer ").or_else(|| header.strip_prefix("token "));
    let installation = text.and_then(|text| world.installation_of(text)).cloned();
    let token = text.and_then(|text| world.tokens.get(text));
    let token = token.filter(|token| !token.is_revoked && token.expires_at.is_none_or(|at| at > world.now()));
    let token = token.ok_or_else(|| refuse(401, "Bad credentials"))?;
    if installation.as_ref().is_some_and(Installation::is_suspended) {
        return Err(refuse(403, "This installation has been suspended"));
    }
    Ok(Caller { user_id: token.user_id, token: token.clone(), installation })
}

impl Caller {
    fn has_scope(&self, scopes: &[&str]) -> bool {
        self.token.scopes.iter().any(|scope| scopes.contains(&scope.as_str()))
    }

    /// Classic tokens that may not see a private repository are told that there is none.
    pub(super) fn can_see(&self, repo: &Repo) -> bool {
        if let Some(installation) = &self.installation {
            return installation.sees(repo);
        }
        if !repo.is_private {
            return true;
        }
        let by_token = self.token.kind == TokenKind::FineGrained || self.has_scope(&["repo"]);
        by_token && repo.access_of(self.user_id) > 0
    }

    /// Refuses as GitHub does: 404 to a classic token, 403 to a fine-grained one.
    pub(super) fn require(&self, repo: &Repo, needs: Needs) -> Result<(), Box<Reply>> {
        if self.token.kind == TokenKind::FineGrained {
            let wanted = if needs.is_write { "write" } else { "read" };
            let has = |level: &str| {
                let full = format!("{}:{level}", needs.permission);
                self.token.scopes.contains(&full)
            };
            if has("write") || (!needs.is_write && has("read")) {
                return Ok(());
            }
            let accepted = format!("{}={wanted}", needs.permission);
            let who = if self.installation.is_some() { "integration" } else { "personal access token" };
            let reply = refuse(403, &format!("Resource not accessible by {who}"));
            return Err(Box::new(reply.with_header("x-accepted-github-permissions", &accepted)));
        }
        let is_public_read = !repo.is_private && !needs.is_write;
        let is_public_write = !repo.is_private && self.has_scope(&["public_repo"]);
        if self.has_scope(needs.scopes) || is_public_read || is_public_write {
            return Ok(());
        }
        let accepted = needs.scopes.join(", ");
        Err(Box::new(refuse(404, "Not Found").with_header("x-accepted-oauth-scopes", &accepted)))
    }

    /// The headers that tell of the token: scopes for classic ones only, its expiry where it has one.
    pub(super) fn with_headers(&self, outcome: Outcome) -> Outcome {
        let add = |mut reply: Reply| {
            if self.token.kind != TokenKind::FineGrained {
                reply = reply.with_header("x-oauth-scopes", &self.token.scopes.join(", "));
            }
            if let Some(at) = self.token.expires_at {
                let text = at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
                reply = reply.with_header("github-authentication-token-expiration", &text);
            }
            reply.with_header("x-github-request-id", "FAKE:0001:0002:0003")
        };
        match outcome {
            Outcome::Reply(reply) => Outcome::Reply(add(reply)),
            Outcome::Unknown(reply) => Outcome::Unknown(add(reply)),
            Outcome::ReplyThenDeliver(reply, request) => Outcome::ReplyThenDeliver(add(reply), request),
            other @ (Outcome::Deliver(..) | Outcome::Callback(_)) => other,
        }
    }
}
