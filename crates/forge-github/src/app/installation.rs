//! The tokens of one installation of an app: minted when there is none, before they expire and when they are rejected.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use forge_core::{
    AppKey, Credential, CredentialKind, CredentialProvider, Error, ErrorKind, ForgeKind, Result,
    model::{Account, Identity},
};
use forge_http::{ApiClient, HttpClient};
use futures_util::lock::Mutex;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::{jwt::AppSigner, setup::PERMISSIONS};
use crate::client::{GitHubDialect, segment};

/// How long before its end a token is no longer handed out.
const EARLY: SignedDuration = SignedDuration::from_mins(5);

/// Hands out one installation's token; whoever comes while one is being minted waits for that one.
#[derive(Debug)]
pub(crate) struct InstallationTokens {
    /// Speaks as the app, not as the installation.
    app_api: ApiClient,
    installation_id: String,
    current: Mutex<Option<Minted>>,
}

#[derive(Debug)]
struct Minted {
    credential: Arc<Credential>,
    renew_at: Option<Timestamp>,
}

impl Minted {
    fn is_good(&self) -> bool {
        self.credential.expires_at().is_none_or(|at| Timestamp::now() < at)
    }
}

/// GitHub docs, rest/apps/apps, "Create an installation access token for an app".
#[derive(Deserialize)]
struct TokenAnswer {
    token: String,
    expires_at: Option<Timestamp>,
}

/// GitHub docs, rest/apps/apps, "Get the authenticated app".
#[derive(Deserialize)]
struct AppAnswer {
    id: u64,
    slug: String,
    name: Option<String>,
}

/// GitHub docs, rest/apps/apps, "Get an installation for the authenticated app".
#[derive(Deserialize)]
struct InstallationAnswer {
    permissions: Option<BTreeMap<String, String>>,
}

impl InstallationTokens {
    pub(crate) fn new(http: HttpClient, api_url: Url, key: &AppKey) -> Result<Self> {
        let signer = Arc::new(AppSigner::new(key)?);
        let installation_id = key.installation_id.trim();
        if installation_id.is_empty() || !installation_id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Error::new(ErrorKind::InvalidInput, "the installation's id is not a number")
                .with_forge(ForgeKind::GITHUB)
                .with_hint("it is the number at the end of the installation's settings page's address"));
        }
        Ok(Self {
            app_api: ApiClient::new(http, api_url, signer, Arc::new(GitHubDialect)),
            installation_id: segment(installation_id)?,
            current: Mutex::default(),
        })
    }

    fn operation(&self, what: &str) -> String {
        format!("{what} installation {} of the app", self.installation_id)
    }

    async fn mint(&self) -> Result<Minted> {
        let answer: TokenAnswer = self
            .app_api
            .post(&format!("app/installations/{}/access_tokens", self.installation_id))
            // A second token does no harm: both work, and each ends by itself.
            .repeatable()
            .operation(self.operation("get a token for"))
            .fetch()
            .await
            .map_err(|error| self.explain(error))?;
        let credential = Credential::new(CredentialKind::Installation, SecretString::from(answer.token))
            .with_expires_at(answer.expires_at);
        let renew_at = answer.expires_at.map(|expires_at| {
            // Of a short life five minutes could be all, and it would be minted without end.
            let remaining = expires_at.duration_since(Timestamp::now()).max(SignedDuration::ZERO);
            expires_at.checked_sub(EARLY.min(remaining / 10)).unwrap_or(expires_at)
        });
        Ok(Minted { credential: Arc::new(credential), renew_at })
    }

    /// What GitHub means when it does not find the installation.
    fn explain(&self, error: Error) -> Error {
        if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Gone) {
            return error;
        }
        let mut explained = Error::new(ErrorKind::InvalidGrant, "the app is no longer installed there")
            .with_forge(ForgeKind::GITHUB)
            .with_operation(self.operation("get a token for"))
            .with_hint("install the app again, and connect with the new installation");
        if let Some(status) = error.status() {
            explained = explained.with_status(status);
        }
        explained.with_source(error)
    }
}

#[async_trait]
impl CredentialProvider for InstallationTokens {
    async fn credential(&self) -> Result<Arc<Credential>> {
        let mut current = self.current.lock().await;
        if let Some(minted) = &*current
            && minted.renew_at.is_none_or(|at| Timestamp::now() < at)
        {
            return Ok(Arc::clone(&minted.credential));
        }
        match self.mint().await {
            Ok(minted) => Ok(Arc::clone(&current.insert(minted).credential)),
            // It was asked for early, so a passing fault does no harm yet.
            Err(error) => match current.as_ref().filter(|minted| minted.is_good()) {
                Some(minted) if error.kind().is_transient() => Ok(Arc::clone(&minted.credential)),
                _ => Err(error),
            },
        }
    }

    async fn refresh(&self, rejected: &Credential) -> Result<Arc<Credential>> {
        let mut current = self.current.lock().await;
        // Somebody else may have minted one meanwhile.
        if let Some(minted) = &*current
            && !minted.credential.is_same_secret(rejected)
        {
            return Ok(Arc::clone(&minted.credential));
        }
        Ok(Arc::clone(&current.insert(self.mint().await?).credential))
    }

    /// The bot as which the app writes, and the permissions that the installation's owner has granted.
    async fn identity(&self) -> Result<Option<Identity>> {
        let app: AppAnswer = self.app_api.get("app").operation("read the app").fetch().await?;
        let installation: InstallationAnswer = self
            .app_api
            .get(&format!("app/installations/{}", self.installation_id))
            .operation(self.operation("read"))
            .fetch()
            .await
            .map_err(|error| self.explain(error))?;
        let mut account = Account::new(app.id.to_string(), format!("{}[bot]", app.slug));
        account.display_name = app.name.filter(|name| !name.is_empty());
        let mut identity = Identity::new(account);
        let granted = installation.permissions.unwrap_or_default();
        identity.missing_scopes = missing_permissions(&granted);
        identity.scopes = Some(granted.iter().map(|(name, level)| format!("{name}:{level}")).collect());
        Ok(Some(identity))
    }
}

/// What the manifest asks for and the installation does not have: an owner has to accept new permissions of an app.
fn missing_permissions(granted: &BTreeMap<String, String>) -> Vec<String> {
    let rank = |level: &str| match level {
        "read" => 1,
        "write" => 2,
        "admin" => 3,
        _ => 0,
    };
    let has = |name: &str, level: &str| granted.get(name).is_some_and(|has| rank(has) >= rank(level));
    PERMISSIONS
        .iter()
        .filter(|(name, level)| !has(name, level))
        .map(|(name, level)| format!("{name}:{level}"))
        .collect()
}
