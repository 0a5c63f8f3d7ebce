use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The user or bot that a credential belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Account {
    /// The forge's id.
    pub id: String,
    /// The login name.
    pub login: String,
    /// The name for people, where the forge gives one.
    pub display_name: Option<String>,
}

impl Account {
    /// An account without a display name.
    #[must_use]
    pub fn new(id: impl Into<String>, login: impl Into<String>) -> Self {
        Self { id: id.into(), login: login.into(), display_name: None }
    }
}

/// What the forge says of a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Identity {
    /// Who it is.
    pub account: Account,
    /// What kind of credential it is, in the forge's words, where that can be told: `project access token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_kind: Option<String>,
    /// The granted scopes; `None` where the forge does not tell, so that only trying shows.
    pub scopes: Option<Vec<String>>,
    /// Scopes that this product needs and that were not granted; empty where the forge does not tell.
    pub missing_scopes: Vec<String>,
    /// When the credential expires, where the forge tells.
    pub expires_at: Option<Timestamp>,
    /// The version of the installation, where it tells.
    pub server_version: Option<String>,
}

impl Identity {
    /// An identity of which nothing but the account is known.
    #[must_use]
    pub fn new(account: Account) -> Self {
        Self {
            account,
            token_kind: None,
            scopes: None,
            missing_scopes: Vec::new(),
            expires_at: None,
            server_version: None,
        }
    }
}
