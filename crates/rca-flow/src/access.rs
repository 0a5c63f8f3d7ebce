//! Who may do what: scopes, roles, and the tokens and sessions that carry them.

use rand::Rng as _;
use rca_store::{Session, SignedIn};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use crate::error::{FlowError, FlowErrorKind, Result};

/// What every token of ours begins with, so that people and scanners recognise it.
pub const TOKEN_PREFIX: &str = "frca_";

/// The roles, the mightiest first.
pub const ROLES: [&str; 4] = ["owner", "admin", "member", "viewer"];

/// What a token may do. `Read` < `Write` < `Admin` is a ladder; `Ingest` stands apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Send logs, and nothing else.
    Ingest,
    /// Look at everything but secrets.
    Read,
    /// Change what is watched and said.
    Write,
    /// Connect forges, make tokens.
    Admin,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 4] = [Self::Ingest, Self::Read, Self::Write, Self::Admin];

    /// The word for it in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    fn is_granted_by(self, held: &str) -> bool {
        match self {
            Self::Ingest => held == "ingest",
            Self::Read => matches!(held, "read" | "write" | "admin"),
            Self::Write => matches!(held, "write" | "admin"),
            Self::Admin => held == "admin",
        }
    }
}

/// What a role allows at most; nothing where the role is not one of [`ROLES`].
#[must_use]
pub fn scopes_of(role: &str) -> &'static [Scope] {
    match role {
        // They differ in one thing: only an owner makes, changes and removes owners.
        "owner" | "admin" => &Scope::ALL,
        "member" => &[Scope::Ingest, Scope::Read, Scope::Write],
        "viewer" => &[Scope::Read],
        _ => &[],
    }
}

/// Whether somebody with these scopes and this role may do something. No role limits nothing; no scopes are all that
/// the role allows.
#[must_use]
pub fn is_allowed(scopes: Option<&[String]>, role: Option<&str>, scope: Scope) -> bool {
    role.is_none_or(|role| scopes_of(role).contains(&scope))
        && scopes.is_none_or(|held| held.iter().any(|held| scope.is_granted_by(held)))
}

/// What somebody holds, who asks for something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// A token's scopes; none for whom the role alone counts.
    pub scopes: Option<Vec<String>>,
    /// The role; none for a token without one.
    pub role: Option<String>,
}

impl Holder {
    /// What the holder of a session may do now.
    #[must_use]
    pub fn of_session(session: &Session) -> Self {
        // A member without a role would be somebody without limits.
        let role = match session.holder {
            SignedIn::Member(_) => Some(session.role.clone().unwrap_or_default()),
            SignedIn::Token(_) => session.role.clone(),
        };
        Self { scopes: session.scopes.clone(), role }
    }

    /// Whether it is allowed by the scopes, and by the role where there is one.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        is_allowed(self.scopes.as_deref(), self.role.as_deref(), scope)
    }

    /// # Errors
    /// `role_missing`, which says what only an owner can do.
    pub fn require_owner(&self, to: &str) -> Result<()> {
        if self.role.as_deref() == Some("owner") {
            return Ok(());
        }
        Err(FlowError::new(
            FlowErrorKind::Forbidden,
            "role_missing",
            format!("only an owner can {to}: use a token with the role 'owner'"),
        ))
    }

    /// # Errors
    /// `role_missing` where an owner is made by somebody who is none.
    pub fn require_may_give(&self, role: &str) -> Result<()> {
        if role == "owner" { self.require_owner("make another owner") } else { Ok(()) }
    }
}

/// What is stored of a token or a session's id. Their 256 random bits need no slow hash.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "hashing is how a token is stored")]
pub fn hash(token: &SecretString) -> String {
    hex::encode(Sha256::digest(token.expose_secret().as_bytes()))
}

/// 256 random bits in hexadecimal, after `prefix`.
#[must_use]
pub fn random_token(prefix: &str) -> SecretString {
    let mut random = [0_u8; 32];
    rand::rng().fill_bytes(&mut random);
    SecretString::from(format!("{prefix}{}", hex::encode(random)))
}

/// Whether the holder of a session may do something.
#[must_use]
pub fn session_allows(session: &Session, scope: Scope) -> bool {
    Holder::of_session(session).may(scope)
}

/// How the audit names the holder of a session.
#[must_use]
pub fn actor(session: &Session) -> String {
    match &session.holder {
        SignedIn::Token(id) => format!("token:{id}"),
        SignedIn::Member(_) => format!("member:{}", session.name),
    }
}
