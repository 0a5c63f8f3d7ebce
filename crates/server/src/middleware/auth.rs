//! Who calls: an API token or the session of a browser, and what it may do.

use axum::extract::FromRequestParts;
use http::{Method, StatusCode, header, request::Parts};
use rca_flow::access::{self, Holder};
use rca_store::{NewApiToken, SignedIn, Store};
use secrecy::SecretString;

use crate::{app::AppState, error::ApiError};

pub use rca_flow::access::{Scope, TOKEN_PREFIX};
pub use rca_flow::tokens::describe;

/// The holder of a valid token or session.
#[derive(Debug, Clone)]
pub struct Caller {
    workspace: String,
    /// For the audit.
    actor: String,
    /// Of the token or the member, for what is counted.
    id: String,
    holder: Holder,
}

impl Caller {
    /// The workspace that everything the caller sees and does is in.
    #[must_use]
    pub fn workspace(&self) -> &str {
        &self.workspace
    }

    /// Who it is, for the audit.
    #[must_use]
    pub fn actor(&self) -> String {
        self.actor.clone()
    }

    /// As the use cases know callers.
    #[must_use]
    pub fn as_flow(&self) -> rca_flow::Caller {
        rca_flow::Caller::new(self.workspace(), self.actor())
    }

    /// The id of the token or the member, for what is counted.
    #[must_use]
    pub fn token_id(&self) -> &str {
        &self.id
    }

    /// What the caller may do.
    #[must_use]
    pub fn holder(&self) -> &Holder {
        &self.holder
    }

    /// Whether the caller may do this: by the token's scopes, and by the role where there is one.
    #[must_use]
    pub fn has(&self, scope: Scope) -> bool {
        self.holder.may(scope)
    }

    /// The caller, if it may give `role` to somebody.
    ///
    /// # Errors
    /// 403 where an owner is made by somebody who is none.
    pub fn require_may_give(self, role: &str) -> Result<Self, ApiError> {
        self.holder.require_may_give(role)?;
        Ok(self)
    }

    /// The caller, if it is an owner.
    ///
    /// # Errors
    /// 403 that says what only an owner can do.
    pub fn require_owner(self, to: &str) -> Result<Self, ApiError> {
        self.holder.require_owner(to)?;
        Ok(self)
    }

    /// The caller, if it may do this.
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

    async fn by_token(token: &SecretString, state: &AppState) -> Result<Self, ApiError> {
        let found = state.store.find_api_token(&access::hash(token)).await.map_err(|error| {
            tracing::warn!(%error, "cannot look up an API token");
            ApiError::unavailable("the database does not answer: try again")
        })?;
        let token = found.ok_or_else(ApiError::unauthorized)?;
        state.quotas.request(&token.workspace, &token.id)?;
        if let Err(error) = state.store.touch_api_token(&token.id).await {
            tracing::debug!(%error, "cannot note the use of an API token");
        }
        Ok(Self {
            actor: format!("token:{}", token.id),
            workspace: token.workspace,
            id: token.id,
            holder: Holder { scopes: Some(token.scopes), role: token.role },
        })
    }

    /// A browser sends its cookie with whatever another site makes it ask for. So what changes something must also
    /// carry what only our own pages know.
    async fn by_session(parts: &Parts, state: &AppState) -> Result<Self, ApiError> {
        let id = dashboard::session_of(&parts.headers, &state.about.public_url)
            .ok_or_else(ApiError::unauthorized)?;
        let found = state.store.find_session(&access::hash(&id)).await.map_err(|error| {
            tracing::warn!(%error, "cannot look up a session");
            ApiError::unavailable("the database does not answer: try again")
        })?;
        let session = found.ok_or_else(ApiError::unauthorized)?;
        let changes_nothing = matches!(parts.method, Method::GET | Method::HEAD);
        if !changes_nothing && !dashboard::is_from_our_page(&parts.headers, &id, &state.about.public_url) {
            return Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "csrf_token_missing",
                "with a session's cookie, send the page's X-CSRF-Token from our own origin, or use an API token",
            ));
        }
        let id = match &session.holder {
            SignedIn::Token(id) | SignedIn::Member(id) => id.clone(),
        };
        state.quotas.request(&session.workspace, &id)?;
        Ok(Self {
            actor: access::actor(&session),
            id,
            holder: Holder::of_session(&session),
            workspace: session.workspace,
        })
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        if parts.headers.contains_key(header::AUTHORIZATION) {
            let token = bearer(parts).ok_or_else(ApiError::unauthorized)?;
            return Self::by_token(&token, state).await;
        }
        Self::by_session(parts, state).await
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
