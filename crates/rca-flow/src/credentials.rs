//! Credentials of integrations: stored sealed, refreshed once however many ask, parked when they die.

#![expect(clippy::disallowed_methods, reason = "tokens are stored sealed and loaded here")]

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use forge_core::{
    AppKey, Credential, CredentialKind, CredentialProvider, Error, ErrorKind, ForgeClient, OAuthApp, Result,
    Retry, StaticCredential, TokenSet,
};
use forge_http::{Lease, RefreshingCredential, StoredTokens, TokenStorage};
use jiff::Timestamp;
use rca_store::{Integration, RefreshLease, SecretOwner, Store, Write};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    flow::{Flow, forge_of, instance, now},
    health,
    settings::{log_sources, log_sources_version},
};

pub(crate) const ACCESS_TOKEN: &str = "access_token";
pub(crate) const REFRESH_TOKEN: &str = "refresh_token";
pub(crate) const TOKEN_FACTS: &str = "token_facts";
pub(crate) const CLIENT_SECRET: &str = "client_secret";
pub(crate) const PRIVATE_KEY: &str = "private_key";

/// Longer than a token request may take.
const LEASE_MS: i64 = 90_000;

/// Clients by integration, so that all of a process share one credential cache.
#[derive(Default)]
pub(crate) struct Clients(Mutex<HashMap<String, Cached>>);

/// A client, and the version of what it was made with: its credential, and the log sources of its workspace.
type Cached = (String, Arc<dyn ForgeClient>);

impl Clients {
    fn get(&self, id: &str, version: &str) -> Option<Arc<dyn ForgeClient>> {
        let clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clients.get(id).filter(|(known, _)| known == version).map(|(_, client)| Arc::clone(client))
    }

    fn put(&self, id: &str, version: String, client: &Arc<dyn ForgeClient>) {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        clients.insert(id.to_owned(), (version, Arc::clone(client)));
    }

    pub(crate) fn forget(&self, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

/// What belongs to a connection and is no secret.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ConnectionData {
    pub(crate) client_id: Option<String>,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) level: Option<String>,
    pub(crate) project_key: Option<String>,
    pub(crate) repository: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) workspace: Option<String>,
    pub(crate) app_id: Option<String>,
    pub(crate) installation_id: Option<String>,
}

impl ConnectionData {
    pub(crate) fn of(integration: &Integration) -> Self {
        serde_json::from_value(integration.data.clone()).unwrap_or_default()
    }
}

/// What a token set says beside the tokens. Stored with them, so that one commit replaces all.
#[derive(Debug, Serialize, Deserialize)]
struct TokenFacts {
    expires_at: Option<Timestamp>,
    scopes: Vec<String>,
}

/// The secrets to store for a token set.
pub(crate) fn secrets_of(tokens: &TokenSet) -> Vec<(&'static str, SecretString)> {
    let facts = TokenFacts { expires_at: tokens.expires_at, scopes: tokens.scopes.clone() };
    let facts = serde_json::to_string(&facts).unwrap_or_default();
    let mut secrets =
        vec![(ACCESS_TOKEN, tokens.access_token.clone()), (TOKEN_FACTS, SecretString::from(facts))];
    if let Some(refresh) = &tokens.refresh_token {
        secrets.push((REFRESH_TOKEN, refresh.clone()));
    }
    secrets
}

impl Flow {
    /// A client of the integration's instance with its credential.
    pub(crate) async fn client(&self, integration: &Integration) -> Result<Arc<dyn ForgeClient>> {
        // A refreshed OAuth token changes the generation, but its credential reads the store again by itself.
        let generation = if integration.auth == "oauth" { 0 } else { integration.credential_generation };
        let forge = forge_of(&integration.forge)?;
        let adapter = self.0.config.log_sources.as_ref().filter(|adapter| adapter.forge() == forge);
        let settings = match adapter {
            Some(_) => self.0.store.get_settings(&integration.workspace).await.map_err(storage_error)?,
            None => Value::Null,
        };
        let version = format!("{generation} {}", log_sources_version(&settings));
        if let Some(client) = self.0.clients.get(&integration.id, &version) {
            return Ok(client);
        }
        let provider = match adapter {
            Some(adapter) => {
                let sources = log_sources(&self.0.store, &integration.workspace, &settings).await;
                &adapter.provider(&sources.map_err(storage_error)?)?
            }
            None => {
                self.provider(forge).map_err(|error| Error::new(ErrorKind::Unsupported, error.message))?
            }
        };
        let at = self.instance_of(integration)?;
        let data = ConnectionData::of(integration);
        let credentials: Arc<dyn CredentialProvider> = match integration.auth.as_str() {
            "oauth" => {
                let app = self.oauth_app(integration, &data).await?;
                let flow = provider.oauth(&at, &app)?.ok_or_else(|| {
                    Error::new(ErrorKind::Unsupported, "the forge has no OAuth that we use").with_forge(forge)
                })?;
                let redirect = data.redirect_uri.as_deref().and_then(|url| url.parse().ok());
                let redirect = redirect.unwrap_or_else(|| self.0.config.public_url.clone());
                let storage = Arc::new(StoredCredential::new(self.clone(), integration));
                Arc::new(RefreshingCredential::new(storage, Arc::from(flow), redirect, now))
            }
            "app" => {
                let private_key =
                    secret(&self.0.store, integration, PRIVATE_KEY).await?.ok_or_else(|| {
                        Error::new(ErrorKind::Unauthorized, "the integration has no private key")
                            .with_hint("connect the app again")
                    })?;
                let key = AppKey {
                    app_id: data.app_id.clone().unwrap_or_default(),
                    private_key,
                    installation_id: data.installation_id.clone().unwrap_or_default(),
                };
                provider.installation(&at, &key)?
            }
            "webhook_only" => Arc::new(StaticCredential::new(Credential::none())),
            _ => {
                let token = secret(&self.0.store, integration, ACCESS_TOKEN).await?.ok_or_else(|| {
                    Error::new(ErrorKind::Unauthorized, "the integration has no token")
                        .with_hint("replace its token")
                })?;
                Arc::new(StaticCredential::new(token_credential(token, data.email.as_deref())))
            }
        };
        let client = provider.connect(&at, credentials)?;
        self.0.clients.put(&integration.id, version, &client);
        Ok(client)
    }

    /// Whether the forge refuses the credential that the integration has now.
    ///
    /// # Errors
    /// When nothing can be said of it, because the forge does not answer.
    pub(crate) async fn is_refused(&self, integration: &Integration) -> Result<bool> {
        let asked = async { self.client(integration).await?.whoami().await };
        match asked.await {
            Ok(_) => Ok(false),
            Err(error) if health::is_lost(integration, &error) => Ok(true),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn instance_of(&self, integration: &Integration) -> Result<forge_core::Instance> {
        let instance = instance(
            &integration.base_url,
            integration.api_base_url.as_deref(),
            integration.oauth_base_url.as_deref(),
        )?;
        match ConnectionData::of(integration).workspace {
            Some(namespace) => instance.with_namespace(&namespace),
            None => Ok(instance),
        }
    }

    pub(crate) async fn oauth_app(
        &self,
        integration: &Integration,
        data: &ConnectionData,
    ) -> Result<OAuthApp> {
        if let Some(client_secret) = secret(&self.0.store, integration, CLIENT_SECRET).await? {
            let client_id = data.client_id.clone().unwrap_or_default();
            return Ok(OAuthApp { client_id, client_secret, scopes: Vec::new() });
        }
        let forge = forge_of(&integration.forge)?;
        self.0.platform_apps.get(&forge).cloned().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                "the OAuth application of this integration is not configured any more",
            )
            .with_forge(forge)
            .with_hint("configure the client id and secret again, or connect again with your own application")
        })
    }

    /// Lets the tasks of an integration wait until somebody acts, and says so where people look.
    pub(crate) fn park_writes(integration: &Integration, reason: &str) -> Vec<Write> {
        let health = health::rejected(&health::of(integration), reason, now());
        vec![
            Write::ParkIntegration {
                workspace: integration.workspace.clone(),
                id: integration.id.clone(),
                reason: reason.to_owned(),
            },
            Write::SetIntegrationHealth {
                workspace: integration.workspace.clone(),
                id: integration.id.clone(),
                health: serde_json::to_value(health).unwrap_or_default(),
            },
            Write::OpenIncident(rca_store::NewIncident {
                workspace: integration.workspace.clone(),
                code: "credential_rejected".to_owned(),
                severity: "high".to_owned(),
                message: format!("{} does not accept our credential any more", integration.base_url),
                remedy: "replace the token, or connect again; everything that waits then goes on".to_owned(),
                integration: Some(integration.id.clone()),
                repository: None,
            }),
        ]
    }
}

pub(crate) fn token_credential(token: SecretString, email: Option<&str>) -> Credential {
    match email {
        Some(email) => Credential::new(CredentialKind::ApiToken, token).with_user(email),
        None => Credential::new(CredentialKind::AccessToken, token),
    }
}

pub(crate) async fn secret(
    store: &Store,
    integration: &Integration,
    name: &str,
) -> Result<Option<SecretString>> {
    store
        .get_secret(&integration.workspace, &SecretOwner::integration(&integration.id), name)
        .await
        .map_err(storage_error)
}

pub(crate) async fn stored_tokens(store: &Store, integration: &Integration) -> Result<TokenSet> {
    let access_token = secret(store, integration, ACCESS_TOKEN).await?.ok_or_else(|| {
        Error::new(ErrorKind::Unauthorized, "the integration has no token").with_hint("connect again")
    })?;
    let facts = secret(store, integration, TOKEN_FACTS).await?;
    let facts = facts.and_then(|facts| serde_json::from_str::<TokenFacts>(facts.expose_secret()).ok());
    Ok(TokenSet {
        access_token,
        refresh_token: secret(store, integration, REFRESH_TOKEN).await?,
        expires_at: facts.as_ref().and_then(|facts| facts.expires_at),
        scopes: facts.map(|facts| facts.scopes).unwrap_or_default(),
    })
}

/// A failure of the store while a credential is needed: passing, never the credential's fault.
fn storage_error(error: rca_store::Error) -> Error {
    Error::new(ErrorKind::Forge, "the stored credential cannot be read now")
        .with_retry(Retry::Backoff)
        .with_source(error)
}

/// The tokens of one integration in the store, shared by all replicas.
struct StoredCredential {
    flow: Flow,
    workspace: String,
    integration: String,
    leases: Mutex<HashMap<String, RefreshLease>>,
}

impl StoredCredential {
    fn new(flow: Flow, integration: &Integration) -> Self {
        Self {
            flow,
            workspace: integration.workspace.clone(),
            integration: integration.id.clone(),
            leases: Mutex::new(HashMap::new()),
        }
    }

    fn take(&self, lease: &Lease) -> Option<RefreshLease> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner).remove(&lease.id)
    }

    async fn row(&self) -> Result<Integration> {
        let store = self.flow.store();
        let row = store.get_integration(&self.workspace, &self.integration).await.map_err(storage_error)?;
        row.filter(|row| row.removed_at.is_none())
            .ok_or_else(|| Error::new(ErrorKind::Unauthorized, "the integration was disconnected"))
    }
}

impl fmt::Debug for StoredCredential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StoredCredential")
            .field("integration", &self.integration)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenStorage for StoredCredential {
    async fn load(&self) -> Result<StoredTokens> {
        loop {
            let before = self.row().await?;
            let tokens = stored_tokens(self.flow.store(), &before).await?;
            // The pair is read in pieces; another replica may have replaced it in between.
            let after = self.row().await?;
            if before.credential_generation == after.credential_generation {
                let generation = u64::try_from(after.credential_generation).unwrap_or(0);
                return Ok(StoredTokens { tokens, generation });
            }
        }
    }

    async fn lease(&self) -> Result<Option<Lease>> {
        let lease = self
            .flow
            .store()
            .lease_refresh(&self.workspace, &self.integration, LEASE_MS)
            .await
            .map_err(storage_error)?;
        Ok(lease.map(|lease| {
            let id = rca_store::new_id();
            self.leases.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), lease);
            Lease::new(id)
        }))
    }

    async fn commit(&self, lease: &Lease, tokens: &TokenSet) -> Result<()> {
        let mut secrets = secrets_of(tokens);
        let store = self.flow.store();
        let stored = match self.take(lease) {
            Some(held) => store.commit_refresh(held, &secrets).await,
            // A second try: the first gave the store's lease away. Nobody else can have a newer pair, because the old
            // refresh token is spent.
            None => {
                let row = self.row().await?;
                if let Some(client_secret) = secret(store, &row, CLIENT_SECRET).await? {
                    secrets.push((CLIENT_SECRET, client_secret));
                }
                store.replace_credential(&self.workspace, &self.integration, &secrets).await
            }
        };
        stored.map_err(|error| {
            let message = "the refreshed token could not be stored";
            if error.is_transient() {
                Error::new(ErrorKind::Forge, message).with_retry(Retry::Backoff).with_source(error)
            } else {
                Error::new(ErrorKind::Conflict, message).with_source(error)
            }
        })
    }

    async fn release(&self, lease: Lease) {
        if let Some(held) = self.take(&lease) {
            // A failure only means that the lease ends by its time.
            let _ = self.flow.store().release_refresh(held).await;
        }
    }

    async fn park(&self, reason: &str) -> Result<()> {
        let row = self.row().await?;
        self.flow.store().write(Flow::park_writes(&row, reason)).await.map_err(storage_error)
    }
}
