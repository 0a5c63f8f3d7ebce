use super::{Deserialize, Serialize};

/// What a new token should be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewTokenRequest {
    /// What people call it.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 100))]
    pub name: String,
    /// Of `ingest`, `read`, `write`, `admin`. May be left out where a role is given: all that the role allows.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<super::words::ScopeWord>))]
    pub scopes: Vec<String>,
    /// `owner`, `admin`, `member` or `viewer`: what the token may do at most.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<super::words::RoleWord>))]
    pub role: Option<String>,
    /// RFC 3339; never when left out.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub expires_at: Option<String>,
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenView {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Its first characters.
    pub prefix: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// What it may do at most; null is no limit.
    pub role: Option<String>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339; null is never.
    pub expires_at: Option<String>,
    /// RFC 3339, to the minute.
    pub last_used_at: Option<String>,
}

/// A token that was just made. The only time that the secret is shown.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenMade {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Its first characters.
    pub prefix: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// The secret.
    pub token: String,
}

impl std::fmt::Debug for TokenMade {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TokenMade").field("id", &self.id).finish_non_exhaustive()
    }
}
