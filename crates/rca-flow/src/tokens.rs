//! Tokens of the API: made, shown once, ended.

use rca_store::{ApiToken, ErrorKind as StoreErrorKind, NewApiToken};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use crate::{
    access::{self, Holder, Scope, TOKEN_PREFIX},
    error::{FlowError, FlowErrorKind, Result},
    flow::{Caller, Flow},
    integrations::audit,
    types::{List, NewTokenRequest, TokenMade, TokenView, time},
};

impl Flow {
    /// The tokens that were not revoked, the newest first.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn list_tokens(&self, caller: &Caller) -> Result<List<TokenView>> {
        let tokens = self.store().list_api_tokens(&caller.workspace).await?;
        let items = tokens.into_iter().filter(|token| token.revoked_at.is_none()).map(view).collect();
        Ok(List { items, next_cursor: None })
    }

    /// Makes a token that may do at most what `holder` may.
    ///
    /// # Errors
    /// `invalid_field`; `scope_missing`, `role_missing` where more is asked for than `holder` has.
    pub async fn make_token(
        &self,
        caller: &Caller,
        holder: &Holder,
        request: &NewTokenRequest,
    ) -> Result<TokenMade> {
        let name = request.name.trim();
        if name.is_empty() || name.chars().count() > 100 {
            return Err(FlowError::invalid_field("name", "must have 1 to 100 characters"));
        }
        let scopes = scopes_of(request, holder)?;
        let expires_at = request.expires_at.as_deref().map(parse_time).transpose()?;
        let token = access::random_token(TOKEN_PREFIX);
        let described = describe(&caller.workspace, name, &scopes, request.role.clone(), expires_at, &token);
        let made = self.store().create_api_token(described).await?;
        let detail = json!({ "name": made.name, "scopes": made.scopes, "role": made.role });
        self.store().write(vec![audit(caller, "token.create", &made.id, detail)]).await?;
        Ok(TokenMade {
            id: made.id,
            name: made.name,
            prefix: made.prefix,
            scopes: made.scopes,
            token: reveal(&token),
        })
    }

    /// Ends a token at once, and the sessions that were opened with it. Only an owner ends that of an owner.
    ///
    /// # Errors
    /// `not_found`; `role_missing`.
    pub async fn revoke_token(&self, caller: &Caller, holder: &Holder, id: &str) -> Result<()> {
        let tokens = self.store().list_api_tokens(&caller.workspace).await?;
        if tokens.iter().any(|token| token.id == id && token.role.as_deref() == Some("owner")) {
            holder.require_owner("end the token of an owner")?;
        }
        self.store().revoke_api_token(&caller.workspace, id).await.map_err(|error| match error.kind() {
            StoreErrorKind::NotFound => FlowError::not_found("token"),
            _ => error.into(),
        })?;
        self.store().write(vec![audit(caller, "token.revoke", id, json!({}))]).await?;
        Ok(())
    }
}

/// The scopes that the request asks for, all that its role allows where it names none.
fn scopes_of(request: &NewTokenRequest, holder: &Holder) -> Result<Vec<Scope>> {
    let mut scopes = Vec::new();
    for word in &request.scopes {
        let scope = Scope::ALL.into_iter().find(|scope| scope.as_str() == word).ok_or_else(|| {
            FlowError::invalid_field(
                "scopes",
                format!("unknown scope '{word}': use ingest, read, write, admin"),
            )
        })?;
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    if let Some(role) = request.role.as_deref() {
        if !access::ROLES.contains(&role) {
            let problem = format!("unknown role '{role}': use owner, admin, member, viewer");
            return Err(FlowError::invalid_field("role", problem));
        }
        holder.require_may_give(role)?;
        let allowed = access::scopes_of(role);
        if scopes.is_empty() {
            scopes.extend_from_slice(allowed);
        }
        if let Some(beyond) = scopes.iter().find(|scope| !allowed.contains(scope)) {
            let problem = format!("the role '{role}' does not allow the scope '{}'", beyond.as_str());
            return Err(FlowError::invalid_field("scopes", problem));
        }
    }
    if scopes.is_empty() {
        return Err(FlowError::invalid_field(
            "scopes",
            "must name at least one of ingest, read, write, admin",
        ));
    }
    // Nobody hands out more than they hold.
    if let Some(beyond) = scopes.iter().find(|scope| !holder.may(**scope)) {
        return Err(FlowError::new(
            FlowErrorKind::Forbidden,
            "scope_missing",
            format!("the token lacks the scope '{}' and cannot give it to another", beyond.as_str()),
        ));
    }
    Ok(scopes)
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

#[expect(clippy::disallowed_methods, reason = "the one answer that shows the new token")]
fn reveal(token: &SecretString) -> String {
    token.expose_secret().to_owned()
}

fn parse_time(text: &str) -> Result<i64> {
    let time: jiff::Timestamp = text
        .parse()
        .map_err(|_| FlowError::invalid_field("expires_at", "must be a time such as 2027-01-31T00:00:00Z"))?;
    Ok(time.as_millisecond())
}

fn view(token: ApiToken) -> TokenView {
    TokenView {
        id: token.id,
        name: token.name,
        prefix: token.prefix,
        scopes: token.scopes,
        role: token.role,
        created_at: time(token.created_at),
        expires_at: token.expires_at.map(time),
        last_used_at: token.last_used_at.map(time),
    }
}
