//! Who asks, and what they may do.

use super::refuse;
use crate::{
    wire::{Incoming, Reply},
    world::{Repo, Token, World},
};

#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) user_id: u64,
    token: Token,
}

/// `Authorization: token`, for API tokens and OAuth tokens alike. A bad one is a 403, as missing rights are.
pub(super) fn authenticate(world: &World, request: &Incoming) -> Result<Caller, Box<Reply>> {
    let header = request.header("authorization").unwrap_or_default();
    let token = header.strip_prefix("token ").and_then(|text| world.tokens.get(text));
    let token = token.filter(|token| !token.is_revoked && token.expires_at.is_none_or(|at| at > world.now()));
    let token = token.ok_or_else(|| refuse(403, "error.access.denied"))?;
    Ok(Caller { user_id: token.user_id, token: token.clone() })
}

impl Caller {
    pub(super) fn require(&self, scope: &str) -> Result<(), Box<Reply>> {
        let has = self.token.scopes.iter().any(|granted| granted == scope);
        if has { Ok(()) } else { Err(refuse(403, "error.access.denied")) }
    }

    pub(super) fn can_see(&self, repo: &Repo) -> bool {
        !repo.is_private || repo.access_of(self.user_id) > 0
    }

    /// Settings are the administrators'.
    pub(super) fn require_admin(&self, repo: &Repo) -> Result<(), Box<Reply>> {
        self.require("PROJECT_EDIT")?;
        if repo.access_of(self.user_id) >= 40 { Ok(()) } else { Err(refuse(403, "error.access.denied")) }
    }
}
