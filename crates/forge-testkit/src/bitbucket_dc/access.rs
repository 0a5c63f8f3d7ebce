//! Who asks, and what they may do.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{bad_credentials, refuse};
use crate::{
    spec::TokenKind,
    wire::{Incoming, Reply},
    world::{Repo, Token, World},
};

#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) user_id: u64,
    pub(super) login: String,
    token: Token,
}

/// Every token goes as Bearer; a user's own also as the password of HTTP Basic, one of a project or repository not.
pub(super) fn authenticate(world: &World, request: &Incoming) -> Result<Caller, Box<Reply>> {
    let header = request.header("authorization").unwrap_or_default();
    let basic = header.strip_prefix("Basic ").and_then(|text| STANDARD.decode(text).ok());
    let basic = basic.and_then(|bytes| String::from_utf8(bytes).ok());
    let text = match &basic {
        Some(pair) => pair.split_once(':').map(|(_, password)| password),
        None => header.strip_prefix("Bearer "),
    };
    let token = text.and_then(|text| world.tokens.get(text));
    let token = token
        .filter(|token| !token.is_revoked && token.expires_at.is_none_or(|at| at > world.now()))
        .filter(|token| basic.is_none() || token.kind == TokenKind::Personal)
        .ok_or_else(|| Box::new(bad_credentials()))?;
    Ok(Caller { user_id: token.user_id, login: world.login(token.user_id), token: token.clone() })
}

impl Caller {
    fn level(&self) -> u8 {
        let level = |scope: &String| match scope.as_str() {
            "PROJECT_ADMIN" | "REPO_ADMIN" => 3,
            "REPO_WRITE" => 2,
            "REPO_READ" => 1,
            _ => 0,
        };
        self.token.scopes.iter().map(level).max().unwrap_or(0)
    }

    pub(super) fn can_see(&self, repo: &Repo) -> bool {
        !repo.is_private || (self.level() > 0 && repo.access_of(self.user_id) > 0)
    }

    pub(super) fn is_admin(&self, repo: &Repo) -> bool {
        self.level() >= 3 && repo.access_of(self.user_id) >= 40
    }

    /// A missing permission is a 401, like a bad token. Writing takes more here than a real server asks for comments.
    pub(super) fn require_write(&self) -> Result<(), Box<Reply>> {
        self.require(2)
    }

    pub(super) fn require_admin(&self, repo: &Repo) -> Result<(), Box<Reply>> {
        if self.is_admin(repo) { Ok(()) } else { self.require(9) }
    }

    /// Hooks of a project take more than hooks of all its repositories.
    pub(super) fn require_project_admin(&self) -> Result<(), Box<Reply>> {
        if self.token.scopes.iter().any(|scope| scope == "PROJECT_ADMIN") { Ok(()) } else { self.require(9) }
    }

    fn require(&self, level: u8) -> Result<(), Box<Reply>> {
        if self.level() >= level {
            return Ok(());
        }
        Err(refuse(401, "You are not permitted to access this resource", "AuthorisationException"))
    }

    /// Every answer to a known user names the user.
    pub(super) fn named(&self, reply: Reply) -> Reply {
        reply
            .with_header("x-ausername", &self.login)
            .with_header("x-auserid", &self.user_id.to_string())
            .with_header("x-arequestid", "@FAKE1x1x1x0")
    }
}
