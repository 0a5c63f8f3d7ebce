//! Apps: identities of their own at the forge, installed by an owner on some of its repositories.
//!
//! Only GitHub has them. An app signs with its private key for short-lived tokens of one installation, gets the
//! deliveries of all repositories at one address, and may write check runs.

use async_trait::async_trait;
use secrecy::SecretString;
use url::Url;

use crate::{CsrfState, Result};

/// What an app authenticates with at one installation.
#[derive(Debug, Clone)]
pub struct AppKey {
    /// The app's id or client id.
    pub app_id: String,
    /// The private key as PEM, as the forge handed it out.
    pub private_key: SecretString,
    /// The installation whose repositories are worked with.
    pub installation_id: String,
}

/// An app as the forge made it from a manifest. The secrets are shown this once.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CreatedApp {
    /// The app's id.
    pub app_id: String,
    /// Its name in addresses.
    pub slug: String,
    /// The private key as PEM.
    pub private_key: SecretString,
    /// What its deliveries are signed with.
    pub webhook_secret: SecretString,
    /// Where a person installs it.
    pub install_url: Url,
}

impl CreatedApp {
    /// An app with its secrets.
    #[must_use]
    pub fn new(
        app_id: impl Into<String>,
        slug: impl Into<String>,
        private_key: SecretString,
        webhook_secret: SecretString,
        install_url: Url,
    ) -> Self {
        Self { app_id: app_id.into(), slug: slug.into(), private_key, webhook_secret, install_url }
    }
}

/// Where an app that is to be created sends people and deliveries.
#[derive(Debug, Clone)]
pub struct AppAddresses {
    /// The product's page.
    pub homepage: Url,
    /// Where deliveries go.
    pub webhook: Url,
    /// Where the browser comes back to with the code, after the app was made.
    pub created: Url,
    /// Where the browser comes back to after the app was installed.
    pub installed: Url,
}

/// What a browser posts to make an app.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AppManifest {
    /// The JSON to post as the form field `manifest`.
    pub manifest: serde_json::Value,
    /// Where to post it; holds the state.
    pub create_url: Url,
}

impl AppManifest {
    /// A manifest and where it goes.
    #[must_use]
    pub fn new(manifest: serde_json::Value, create_url: Url) -> Self {
        Self { manifest, create_url }
    }
}

/// Making an app at one instance. The source is GitHub's "Registering a GitHub App from a manifest".
#[async_trait]
pub trait AppSetup: std::fmt::Debug + Send + Sync {
    /// What the browser has to post, for the person's own account or for `organization`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidInput`] when `organization` cannot be a name.
    fn manifest(
        &self,
        name: &str,
        addresses: &AppAddresses,
        organization: Option<&str>,
        state: &CsrfState,
    ) -> Result<AppManifest>;

    /// Turns the code of the way back into the app with its secrets. A code works once, for an hour.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidGrant`] when the code is wrong, used or expired.
    async fn convert(&self, code: &SecretString) -> Result<CreatedApp>;
}
