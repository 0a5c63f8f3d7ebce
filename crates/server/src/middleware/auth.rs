//! Who calls: an API token, and what it may do.

use axum::extract::FromRequestParts;
use http::{StatusCode, header, request::Parts};
use rca_flow::access;
use rca_store::{ApiToken, NewApiToken, Store};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{app::AppState, error::ApiError};

pub use rca_flow::access::{ROLES, Scope, TOKEN_PREFIX, scopes_of};

/// The holder of a valid token.
#[derive(Debug, Clone)]
pub struct Caller {
    token: ApiToken,
}

impl Caller {
    /// The workspace that everything the caller sees and does is in.
    #[must_use]
    pub fn workspace(&self) -> &str {
        &self.token.workspace
    }

    /// Who it is, for the audit.
    #[must_use]
    pub fn actor(&self) -> String {
        format!("token:{}", self.token.id)
    }

    /// As the use cases know callers.
    #[must_use]
    pub fn as_flow(&self) -> rca_flow::Caller {
        rca_flow::Caller::new(self.workspace(), self.actor())
    }

    /// The token's id, for what is counted per token.
    #[must_use]
    pub fn token_id(&self) -> &str {
        &self.token.id
    }

    /// Whether the token may do this: by its scopes, and by its role where it has one.
    #[must_use]
    pub fn has(&self, scope: Scope) -> bool {
        access::is_allowed(Some(&self.token.scopes), self.token.role.as_deref(), scope)
    }

    /// The caller, if it may give `role` to somebody.
    ///
    /// # Errors
    /// 403 where an owner is made by somebody who is none.
    pub fn require_may_give(self, role: &str) -> Result<Self, ApiError> {
        if role == "owner" { self.require_owner("make another owner") } else { Ok(self) }
    }

    /// The caller, if it is an owner.
    ///
    /// # Errors
    /// 403 that says what only an owner can do.
    pub fn require_owner(self, to: &str) -> Result<Self, ApiError> {
        if self.token.role.as_deref() == Some("owner") {
            return Ok(self);
        }
        Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "role_missing",
            format!("only an owner can {to}: use a token with the role 'owner'"),
        ))
    }

    /// The caller, if the token may do this.
    ///
    /// # Errors
    /// 403 that names the missing scope.
    pub fn require(self, scope: Scope) -> Result<Self, ApiError> {
        if self.has(scope) {
            return Ok(self);
        }
        Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "scope_missing",
            format!("the token lacks the scope '{}': use or create one that has it", scope.as_str()),
        ))
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let token = bearer(parts).ok_or_else(ApiError::unauthorized)?;
        let found = state.store.find_api_token(&access::hash(&token)).await.map_err(|error| {
            tracing::warn!(%error, "cannot look up an API token");
            ApiError::unavailable("the database does not answer: try again")
        })?;
        let token = found.ok_or_else(ApiError::unauthorized)?;
        state.quotas.request(&token.workspace, &token.id)?;
        if let Err(error) = state.store.touch_api_token(&token.id).await {
            tracing::debug!(%error, "cannot note the use of an API token");
        }
        Ok(Self { token })
    }
}

fn bearer(parts: &Parts) -> Option<SecretString> {
    let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| SecretString::from(token.trim().to_owned()))
}

/// A new random token.
#[must_use]
pub fn new_token() -> SecretString {
    access::random_token(TOKEN_PREFIX)
}

/// What is stored of a token that was just made.
#[must_use]
pub fn describe(
    workspace: &str,
    name: &str,
    scopes: &[Scope],
    role: Option<String>,
    expires_at: Option<i64>,
    token: &SecretString,
) -> NewApiToken {
    NewApiToken {
        workspace: workspace.to_owned(),
        name: name.to_owned(),
        scopes: scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
        role,
        expires_at,
        token_hash: access::hash(token),
        prefix: visible_prefix(token),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the first characters are shown so that people tell tokens apart"
)]
fn visible_prefix(token: &SecretString) -> String {
    token.expose_secret().chars().take(TOKEN_PREFIX.len() + 4).collect()
}

/// Makes a workspace and the token of its owner. Gives its id and the token: to be shown once.
///
/// # Errors
/// When the database fails.
pub async fn create_workspace(store: &Store, name: &str) -> rca_store::Result<(String, SecretString)> {
    let workspace = store.create_workspace(name).await?;
    let token = new_token();
    store.create_api_token(owner_of(&workspace, &token)).await?;
    Ok((workspace, token))
}

fn owner_of(workspace: &str, token: &SecretString) -> NewApiToken {
    describe(workspace, "owner", &Scope::ALL, Some("owner".to_owned()), None, token)
}

/// Makes sure that the owner can get in. Gives the token where it was made now: to be printed once.
///
/// # Errors
/// When the database fails.
pub async fn ensure_owner(
    store: &Store,
    chosen: Option<&SecretString>,
) -> rca_store::Result<Option<SecretString>> {
    let workspace = store.default_workspace();
    if let Some(chosen) = chosen {
        if store.find_api_token(&access::hash(chosen)).await?.is_none() {
            store.create_api_token(owner_of(workspace, chosen)).await?;
        }
        return Ok(None);
    }
    let has_owner = store
        .list_api_tokens(workspace)
        .await?
        .iter()
        .any(|token| token.role.as_deref() == Some("owner") && token.revoked_at.is_none());
    if has_owner {
        return Ok(None);
    }
    let token = new_token();
    store.create_api_token(owner_of(workspace, &token)).await?;
    Ok(Some(token))
}
