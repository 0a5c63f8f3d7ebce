use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use rca_store::ApiToken;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::AppState,
    error::{ApiError, Errors},
    input::JsonBody,
    middleware::auth::{self, Caller, Scope},
};

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(revoke))
}

/// What a new token should be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTokenRequest {
    /// What people call it.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// Of `ingest`, `read`, `write`, `admin`. May be left out where a role is given: all that the role allows.
    #[serde(default)]
    #[schema(value_type = Vec<rca_flow::types::words::ScopeWord>)]
    scopes: Vec<String>,
    /// `owner`, `admin`, `member` or `viewer`: what the token may do at most.
    #[schema(value_type = Option<rca_flow::types::words::RoleWord>)]
    role: Option<String>,
    /// RFC 3339; never when left out.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// A token, without its secret.
#[derive(Debug, Serialize, ToSchema)]
struct TokenView {
    id: String,
    name: String,
    /// Its first characters.
    prefix: String,
    scopes: Vec<String>,
    role: Option<String>,
    created_at: String,
    expires_at: Option<String>,
    last_used_at: Option<String>,
}

/// A token that was just made. The only time that the secret is shown.
#[derive(Debug, Serialize, ToSchema)]
struct TokenMade {
    id: String,
    name: String,
    prefix: String,
    scopes: Vec<String>,
    token: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct TokenList {
    items: Vec<TokenView>,
    next_cursor: Option<String>,
}

/// The tokens that are valid.
#[utoipa::path(get, path = "/v1/tokens", tag = "tokens", responses((status = 200, body = TokenList), Errors))]
async fn list(State(state): State<AppState>, caller: Caller) -> Result<Json<TokenList>, ApiError> {
    let caller = caller.require(Scope::Admin)?;
    let tokens = state.store.list_api_tokens(caller.workspace()).await.map_err(unavailable)?;
    let items = tokens.into_iter().filter(|token| token.revoked_at.is_none()).map(view).collect();
    Ok(Json(TokenList { items, next_cursor: None }))
}

/// Make a token.
#[utoipa::path(post, path = "/v1/tokens", tag = "tokens", request_body = NewTokenRequest,
    responses((status = 201, body = TokenMade), Errors))]
async fn create(
    State(state): State<AppState>,
    caller: Caller,
    JsonBody(request): JsonBody<NewTokenRequest>,
) -> Result<(StatusCode, Json<TokenMade>), ApiError> {
    let caller = caller.require(Scope::Admin)?;
    let name = request.name.trim();
    if name.is_empty() || name.chars().count() > 100 {
        return Err(ApiError::invalid("invalid_field", "name must have 1 to 100 characters"));
    }
    let mut scopes = Vec::new();
    for word in &request.scopes {
        let scope = Scope::ALL.into_iter().find(|scope| scope.as_str() == word).ok_or_else(|| {
            ApiError::invalid(
                "invalid_field",
                format!("unknown scope '{word}': use ingest, read, write, admin"),
            )
        })?;
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    let mut caller = caller;
    if let Some(role) = request.role.as_deref() {
        if !auth::ROLES.contains(&role) {
            return Err(ApiError::invalid(
                "invalid_field",
                format!("unknown role '{role}': use owner, admin, member, viewer"),
            ));
        }
        caller = caller.require_may_give(role)?;
        let allowed = auth::scopes_of(role);
        if scopes.is_empty() {
            scopes.extend_from_slice(allowed);
        }
        if let Some(beyond) = scopes.iter().find(|scope| !allowed.contains(scope)) {
            return Err(ApiError::invalid(
                "invalid_field",
                format!("the role '{role}' does not allow the scope '{}'", beyond.as_str()),
            ));
        }
    }
    if scopes.is_empty() {
        return Err(ApiError::invalid(
            "invalid_field",
            "scopes must name at least one of ingest, read, write, admin",
        ));
    }
    // Nobody hands out more than they hold.
    if let Some(beyond) = scopes.iter().find(|scope| !caller.has(**scope)) {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "scope_missing",
            format!("the token lacks the scope '{}' and cannot give it to another", beyond.as_str()),
        ));
    }
    let expires_at = request.expires_at.as_deref().map(parse_time).transpose()?;
    let token = auth::new_token();
    let described = auth::describe(caller.workspace(), name, &scopes, request.role, expires_at, &token);
    let made = state.store.create_api_token(described).await.map_err(unavailable)?;
    Ok((
        StatusCode::CREATED,
        Json(TokenMade {
            id: made.id,
            name: made.name,
            prefix: made.prefix,
            scopes: made.scopes,
            token: reveal(&token),
        }),
    ))
}

/// End a token at once. Only an owner ends that of an owner.
#[utoipa::path(delete, path = "/v1/tokens/{id}", tag = "tokens", params(("id" = String, Path)),
    responses((status = 204), Errors))]
async fn revoke(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let caller = caller.require(Scope::Admin)?;
    let tokens = state.store.list_api_tokens(caller.workspace()).await.map_err(unavailable)?;
    let is_of_owner = tokens.iter().any(|token| token.id == id && token.role.as_deref() == Some("owner"));
    let caller = if is_of_owner { caller.require_owner("end the token of an owner")? } else { caller };
    match state.store.revoke_api_token(caller.workspace(), &id).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) if error.kind() == rca_store::ErrorKind::NotFound => Err(ApiError::not_found("token")),
        Err(error) => Err(unavailable(error)),
    }
}

fn view(token: ApiToken) -> TokenView {
    TokenView {
        id: token.id,
        name: token.name,
        prefix: token.prefix,
        scopes: token.scopes,
        role: token.role,
        created_at: show_time(token.created_at),
        expires_at: token.expires_at.map(show_time),
        last_used_at: token.last_used_at.map(show_time),
    }
}

fn show_time(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds).map(|time| time.to_string()).unwrap_or_default()
}

fn parse_time(text: &str) -> Result<i64, ApiError> {
    let time: jiff::Timestamp = text.parse().map_err(|_| {
        ApiError::invalid("invalid_field", "expires_at must be a time such as 2027-01-31T00:00:00Z")
    })?;
    Ok(time.as_millisecond())
}

#[expect(clippy::disallowed_methods, reason = "the one answer that shows the new token")]
fn reveal(token: &secrecy::SecretString) -> String {
    secrecy::ExposeSecret::expose_secret(token).to_owned()
}

fn unavailable(error: rca_store::Error) -> ApiError {
    tracing::warn!(%error, "cannot reach the tokens");
    ApiError::unavailable("the database does not answer: try again")
}
