//! Connecting an integration: by OAuth or by a token.

#![expect(clippy::disallowed_methods, reason = "secrets of a connection are sealed and sent here")]

use std::sync::Arc;

use forge_core::{
    Credential, CredentialKind, CredentialProvider, CsrfState, ForgeKind, Instance, OAuthApp, Pkce,
    StaticCredential, TokenSet,
};
use jiff::{SignedDuration, Timestamp};
use rca_store::{Integration, IntegrationChange, NewAudit, NewIntegration, OauthState, Write};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use crate::{
    credentials::{ACCESS_TOKEN, CLIENT_SECRET, ConnectionData, secrets_of, token_credential},
    error::{FlowError, FlowErrorKind, Result},
    flow::{Caller, Flow, instance, now},
    health,
    integrations::health_incidents,
    jobs,
    types::{
        AuthorizeRequest, Backfill, BackfillChange, FeedbackChange, Health, IntegrationView, Mode, Perimeter,
        PerimeterMode, StartRequest, Started, TokenRequest,
    },
};

/// How long a started flow can be ended.
const STATE_LIFE: SignedDuration = SignedDuration::from_mins(10);

/// What a browser brings back.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct CallbackParameters {
    /// As it was given at the start.
    #[cfg_attr(feature = "openapi", param(value_type = Option<String>))]
    pub state: Option<SecretString>,
    /// The code.
    #[cfg_attr(feature = "openapi", param(value_type = Option<String>))]
    pub code: Option<SecretString>,
    /// The forge's refusal.
    pub error: Option<String>,
    /// Who answers (RFC 9207).
    pub iss: Option<String>,
}

/// What the end of a flow needs to know. Sealed while it waits.
#[derive(Serialize, Deserialize)]
struct Pending {
    base_url: String,
    api_base_url: Option<String>,
    oauth_base_url: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    verifier: String,
    redirect_uri: Url,
    settings: Settings,
    actor: String,
}

/// What the user chose beside the credential.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) mode: Option<Mode>,
    pub(crate) perimeter: Option<Perimeter>,
    pub(crate) backfill: Option<BackfillChange>,
    pub(crate) feedback: Option<FeedbackChange>,
}

/// A place that was checked, as it is stored.
pub(crate) struct Place {
    pub(crate) instance: Instance,
    pub(crate) base_url: String,
    pub(crate) api_base_url: Option<String>,
    pub(crate) oauth_base_url: Option<String>,
}

/// A credential on its way into the store.
pub(crate) struct NewCredential {
    pub(crate) auth: &'static str,
    pub(crate) provider: Arc<dyn CredentialProvider>,
    pub(crate) secrets: Vec<(&'static str, SecretString)>,
    pub(crate) is_refreshed: bool,
    pub(crate) data: ConnectionData,
    /// The hook that came with an app.
    pub(crate) hook: Option<AppHook>,
}

/// The hook of an app: its id in our address, and the secret that the forge signs with.
pub(crate) struct AppHook {
    pub(crate) id: String,
    pub(crate) secret: SecretString,
    /// Whether the forge was told our address.
    pub(crate) is_registered: bool,
}

impl Flow {
    /// Begins an OAuth flow. `browser` is a secret that only the browser that begins it holds, e.g. a cookie; without
    /// it the state is bound to the caller's workspace alone.
    ///
    /// # Errors
    /// `invalid_field`, `address_not_allowed`, `no_oauth_app`, `oauth_unsupported`.
    pub async fn start_oauth(
        &self,
        caller: &Caller,
        forge: ForgeKind,
        request: StartRequest,
        browser: Option<&SecretString>,
    ) -> Result<Started> {
        let provider = self.provider(forge)?;
        let place = self.place(
            forge,
            request.base_url.as_deref(),
            request.api_base_url.as_deref(),
            request.oauth_base_url.as_deref(),
        )?;
        let app =
            self.app_for(forge, &place, request.client_id.as_deref(), request.client_secret.as_ref())?;
        let flow = provider.oauth(&place.instance, &app)?.ok_or_else(|| {
            FlowError::new(
                FlowErrorKind::Unprocessable,
                "oauth_unsupported",
                format!("{} is connected with a token: give one instead", forge.display_name()),
            )
        })?;
        let settings = Settings {
            mode: request.mode,
            perimeter: request.perimeter,
            backfill: request.backfill,
            feedback: request.feedback,
        };
        check_settings(&settings)?;
        let state = CsrfState::from_entropy(&rand::random());
        let pkce = Pkce::from_entropy(&rand::random());
        let redirect_uri = self.redirect_uri(forge)?;
        let expires_at = now() + STATE_LIFE;
        let pending = Pending {
            base_url: place.base_url,
            api_base_url: place.api_base_url,
            oauth_base_url: place.oauth_base_url,
            client_id: request.client_id,
            client_secret: request.client_secret.map(|secret| secret.expose_secret().to_owned()),
            verifier: pkce.verifier().expose_secret().to_owned(),
            redirect_uri: redirect_uri.clone(),
            settings,
            actor: caller.name.clone(),
        };
        let authorize_url = flow.authorize_url(&redirect_uri, &state, Some(&pkce));
        self.store()
            .put_oauth_state(OauthState {
                state_hash: hash(state.as_secret()),
                workspace: caller.workspace.clone(),
                forge: forge.as_str().to_owned(),
                browser_binding: browser.map(hash),
                data: serde_json::to_value(pending).unwrap_or_default(),
                expires_at: expires_at.as_millisecond(),
            })
            .await?;
        Ok(Started {
            state: state.as_secret().expose_secret().to_owned(),
            authorize_url: authorize_url.into(),
            redirect_uri: redirect_uri.into(),
            expires_at: expires_at.to_string(),
        })
    }

    /// Ends an OAuth flow with the code that a program fetched.
    ///
    /// # Errors
    /// `invalid_state`, and what the forge refuses.
    pub async fn authorize(
        &self,
        caller: &Caller,
        forge: ForgeKind,
        request: AuthorizeRequest,
    ) -> Result<IntegrationView> {
        let pending = self.take_state(forge, &request.state, Some(caller), None).await?;
        self.finish_oauth(forge, pending, &request.code).await
    }

    /// Ends an OAuth flow with what the browser brought. `browser` is the secret that was given at the start.
    ///
    /// # Errors
    /// `invalid_state`, `authorization_denied`, and what the forge refuses. Without a good state nothing is sent
    /// anywhere.
    pub async fn callback(
        &self,
        forge: ForgeKind,
        parameters: CallbackParameters,
        browser: Option<&SecretString>,
    ) -> Result<IntegrationView> {
        let state = parameters.state.as_ref().ok_or_else(FlowError::invalid_state)?;
        let (workspace, pending) = self.take_state(forge, state, None, browser).await?;
        if let Some(issuer) = &parameters.iss {
            check_issuer(issuer, &pending)?;
        }
        if let Some(error) = &parameters.error {
            return Err(denied(forge, error));
        }
        let code = parameters.code.as_ref().ok_or_else(|| {
            FlowError::new(
                FlowErrorKind::BadRequest,
                "invalid_request",
                "the forge sent no code; begin again",
            )
        })?;
        self.finish_oauth(forge, (workspace, pending), code).await
    }

    /// Connects with a token.
    ///
    /// # Errors
    /// `invalid_field`, `address_not_allowed`, `token_rejected`, `forge_unreachable`, ...
    pub async fn connect_token(
        &self,
        caller: &Caller,
        forge: ForgeKind,
        request: TokenRequest,
    ) -> Result<IntegrationView> {
        let token = request.token.expose_secret();
        if token.trim().is_empty()
            || token.chars().any(|character| character.is_whitespace() || character.is_control())
        {
            return Err(FlowError::invalid_field("token", "is empty or holds spaces"));
        }
        if let Some(level) = request.level.as_deref() {
            match level {
                "instance" => {}
                "project" if request.project_key.is_some() => {}
                "repository" if request.repository.is_some() => {}
                "project" => {
                    return Err(FlowError::invalid_field("project_key", "is needed for a project's token"));
                }
                "repository" => {
                    return Err(FlowError::invalid_field("repository", "is needed for a repository's token"));
                }
                _ => {
                    return Err(FlowError::invalid_field(
                        "level",
                        "is none of instance, project, repository",
                    ));
                }
            }
        }
        let mut place = self.place(
            forge,
            request.base_url.as_deref(),
            request.api_base_url.as_deref(),
            request.oauth_base_url.as_deref(),
        )?;
        if let Some(namespace) = &request.workspace {
            place.instance = place.instance.with_namespace(namespace).map_err(|_| {
                FlowError::invalid_field(
                    "workspace",
                    "is not the name of a workspace as it stands in addresses",
                )
            })?;
        }
        let settings = Settings {
            mode: request.mode,
            perimeter: request.perimeter,
            backfill: request.backfill,
            feedback: request.feedback,
        };
        check_settings(&settings)?;
        let credential = NewCredential {
            auth: "token",
            provider: Arc::new(StaticCredential::new(token_credential(
                request.token.clone(),
                request.email.as_deref(),
            ))),
            hook: None,
            secrets: vec![(ACCESS_TOKEN, request.token)],
            is_refreshed: false,
            data: ConnectionData {
                level: request.level,
                project_key: request.project_key,
                repository: request.repository,
                email: request.email,
                workspace: request.workspace,
                ..ConnectionData::default()
            },
        };
        self.connect(&caller.workspace, &caller.name, forge, place, credential, settings).await
    }

    async fn take_state(
        &self,
        forge: ForgeKind,
        state: &SecretString,
        caller: Option<&Caller>,
        browser: Option<&SecretString>,
    ) -> Result<(String, Pending)> {
        let taken =
            self.store().take_oauth_state(&hash(state)).await?.ok_or_else(FlowError::invalid_state)?;
        let is_ours = taken.forge == forge.as_str()
            && caller.is_none_or(|caller| caller.workspace == taken.workspace)
            // A flow that a browser began is ended by that browser; a program's caller has shown who it is.
            && match (&taken.browser_binding, browser) {
                (None, _) => true,
                (Some(expected), Some(presented)) => *expected == hash(presented),
                (Some(_), None) => false,
            };
        if !is_ours {
            return Err(FlowError::invalid_state());
        }
        let pending = serde_json::from_value(taken.data).map_err(|_| FlowError::invalid_state())?;
        Ok((taken.workspace, pending))
    }

    async fn finish_oauth(
        &self,
        forge: ForgeKind,
        (workspace, pending): (String, Pending),
        code: &SecretString,
    ) -> Result<IntegrationView> {
        let place = self.place(
            forge,
            Some(&pending.base_url),
            pending.api_base_url.as_deref(),
            pending.oauth_base_url.as_deref(),
        )?;
        let client_secret = pending.client_secret.map(SecretString::from);
        let app = self.app_for(forge, &place, pending.client_id.as_deref(), client_secret.as_ref())?;
        let flow =
            self.provider(forge)?.oauth(&place.instance, &app)?.ok_or_else(FlowError::invalid_state)?;
        let pkce = Pkce::from_verifier(SecretString::from(pending.verifier));
        let tokens: TokenSet = flow.exchange_code(code, &pending.redirect_uri, Some(&pkce)).await?;
        let mut secrets = secrets_of(&tokens);
        if let Some(client_secret) = client_secret {
            secrets.push((CLIENT_SECRET, client_secret));
        }
        let credential = NewCredential {
            auth: "oauth",
            provider: Arc::new(StaticCredential::new(
                Credential::new(CredentialKind::OAuth, tokens.access_token.clone())
                    .with_expires_at(tokens.expires_at),
            )),
            hook: None,
            secrets,
            is_refreshed: tokens.refresh_token.is_some(),
            data: ConnectionData {
                client_id: pending.client_id,
                redirect_uri: Some(pending.redirect_uri.into()),
                ..ConnectionData::default()
            },
        };
        self.connect(&workspace, &pending.actor, forge, place, credential, pending.settings).await
    }

    /// Asks the forge who the credential is, and stores the integration when it answers.
    pub(crate) async fn connect(
        &self,
        workspace: &str,
        actor: &str,
        forge: ForgeKind,
        place: Place,
        credential: NewCredential,
        settings: Settings,
    ) -> Result<IntegrationView> {
        let client = self.provider(forge)?.connect(&place.instance, Arc::clone(&credential.provider))?;
        let identity = client.whoami().await?;
        let health = health::assess(&*client, &identity, credential.is_refreshed, now());
        let account = json!({
            "id": identity.account.id,
            "login": identity.account.login,
            "display_name": identity.account.display_name,
        });
        let known = self.known(workspace, forge, &place, &credential, &account).await?;
        let data = serde_json::to_value(&credential.data).unwrap_or_default();
        let backfill = backfill(Backfill::default(), settings.backfill);
        let integration = match known {
            Some(known) => {
                self.store().replace_credential(workspace, &known.id, &credential.secrets).await?;
                self.0.clients.forget(&known.id);
                let change = IntegrationChange {
                    account: Some(account),
                    data: Some(data),
                    mode: settings.mode.map(|mode| word(&mode)),
                    perimeter: settings.perimeter.as_ref().map(value),
                    backfill: settings.backfill.is_some().then(|| value(&backfill)),
                    feedback: settings.feedback.as_ref().map(value),
                    health: Some(value(&health)),
                    ..IntegrationChange::default()
                };
                self.store().update_integration(workspace, &known.id, change).await?
            }
            None => {
                let new = NewIntegration {
                    workspace: workspace.to_owned(),
                    forge: forge.as_str().to_owned(),
                    base_url: place.base_url,
                    api_base_url: place.api_base_url,
                    oauth_base_url: place.oauth_base_url,
                    auth: credential.auth.to_owned(),
                    account,
                    mode: word(&settings.mode.unwrap_or_default()),
                    perimeter: value(&settings.perimeter.unwrap_or_default()),
                    feedback: value(&settings.feedback.unwrap_or_default()),
                    backfill: value(&backfill),
                    data,
                    health: value(&health),
                };
                self.store().insert_integration(new, &credential.secrets).await?
            }
        };
        if let Some(hook) = &credential.hook {
            // Before anything looks for repositories: they need no hooks of their own.
            self.keep_app_hook(&integration, hook).await?;
        }
        self.after_connect(&integration, actor, &health).await?;
        self.view(&integration).await
    }

    async fn after_connect(&self, integration: &Integration, actor: &str, health: &Health) -> Result<()> {
        let mut writes = vec![
            Write::Enqueue(jobs::sync_task(integration)),
            Write::Audit(NewAudit {
                workspace: integration.workspace.clone(),
                actor: actor.to_owned(),
                action: "integration.connect".to_owned(),
                target: integration.id.clone(),
                detail: json!({ "forge": integration.forge, "base_url": integration.base_url, "auth": integration.auth }),
            }),
            Write::Enqueue(jobs::check::task(self, integration)),
        ];
        writes.extend(health_incidents(integration, health));
        if health.can.read_logs {
            writes.push(Write::Enqueue(jobs::poll_task(integration)));
        }
        Ok(self.store().write(writes).await?)
    }

    /// An OAuth grant of the same account, or the same installation of an app, at the same place: connecting again
    /// repairs it, and makes no second one with hooks of its own.
    async fn known(
        &self,
        workspace: &str,
        forge: ForgeKind,
        place: &Place,
        credential: &NewCredential,
        account: &Value,
    ) -> Result<Option<Integration>> {
        if !matches!(credential.auth, "oauth" | "app") {
            return Ok(None);
        }
        let all = self.store().list_integrations(workspace).await?;
        Ok(all.into_iter().find(|known| {
            let is_same = if credential.auth == "app" {
                let data = ConnectionData::of(known);
                (&data.app_id, &data.installation_id)
                    == (&credential.data.app_id, &credential.data.installation_id)
            } else {
                known.account.get("id") == account.get("id")
            };
            is_same
                && known.forge == forge.as_str()
                && known.base_url == place.base_url
                && known.api_base_url == place.api_base_url
                && known.oauth_base_url == place.oauth_base_url
                && known.auth == credential.auth
        }))
    }

    pub(crate) fn place(
        &self,
        forge: ForgeKind,
        base_url: Option<&str>,
        api_base_url: Option<&str>,
        oauth_base_url: Option<&str>,
    ) -> Result<Place> {
        let base_url = base_url.or_else(|| cloud(forge)).ok_or_else(|| {
            FlowError::invalid_field("base_url", format!("is needed: {} has no cloud", forge.display_name()))
        })?;
        let instance = instance(base_url, api_base_url, oauth_base_url)?;
        let urls = [Some(instance.base_url()), instance.api_base_url(), instance.oauth_base_url()];
        if !self.config().allow_http && urls.into_iter().flatten().any(|url| url.scheme() == "http") {
            return Err(FlowError::new(
                FlowErrorKind::Unprocessable,
                "address_not_allowed",
                "plain http would show the token to the network: use https, or let the operator allow http",
            ));
        }
        Ok(Place {
            base_url: text(instance.base_url()),
            api_base_url: instance.api_base_url().map(text),
            oauth_base_url: instance.oauth_base_url().map(text),
            instance,
        })
    }

    /// The web address of an instance as it is stored, where it may be spoken to.
    pub(crate) fn checked_base_url(&self, forge: ForgeKind, base_url: &str) -> Result<String> {
        Ok(self.place(forge, Some(base_url), None, None)?.base_url)
    }

    fn app_for(
        &self,
        forge: ForgeKind,
        place: &Place,
        client_id: Option<&str>,
        client_secret: Option<&SecretString>,
    ) -> Result<OAuthApp> {
        match (client_id, client_secret) {
            (Some(client_id), Some(client_secret)) if !client_id.trim().is_empty() => Ok(OAuthApp {
                client_id: client_id.trim().to_owned(),
                client_secret: client_secret.clone(),
                scopes: Vec::new(),
            }),
            (None, None) => {
                // The operator's application is registered at the cloud; its secret goes nowhere else.
                let is_cloud = cloud(forge).is_some_and(|cloud| cloud == place.base_url)
                    && place.api_base_url.is_none()
                    && place.oauth_base_url.is_none();
                let app = self.0.platform_apps.get(&forge).filter(|_| is_cloud);
                app.cloned().ok_or_else(|| {
                    FlowError::new(
                        FlowErrorKind::Unprocessable,
                        "no_oauth_app",
                        "there is no OAuth application for this instance: give client_id and client_secret",
                    )
                })
            }
            _ => Err(FlowError::invalid_field("client_id", "and client_secret belong together")),
        }
    }

    /// Where the forge sends the browser: from the configured public address only, never from a request's headers.
    ///
    /// # Errors
    /// When the configured path makes no address.
    pub fn redirect_uri(&self, forge: ForgeKind) -> Result<Url> {
        let path = self
            .config()
            .callback_paths
            .get(&forge)
            .cloned()
            .unwrap_or_else(|| format!("/v1/integrations/{forge}/callback"));
        forge_core::url::append(&self.config().public_url, &path).map_err(|_| {
            FlowError::new(
                FlowErrorKind::Unavailable,
                "public_url_invalid",
                "the callback path makes no address",
            )
        })
    }
}

/// The web address of the forge's own cloud.
fn cloud(forge: ForgeKind) -> Option<&'static str> {
    match forge {
        ForgeKind::GITLAB => Some("https://gitlab.com"),
        ForgeKind::GITHUB => Some("https://github.com"),
        ForgeKind::BITBUCKET_CLOUD => Some("https://bitbucket.org"),
        ForgeKind::GITFLIC => Some("https://gitflic.ru"),
        _ => None,
    }
}

pub(crate) fn text(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

pub(crate) fn hash(secret: &SecretString) -> String {
    hex::encode(Sha256::digest(secret.expose_secret().as_bytes()))
}

pub(crate) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}

pub(crate) fn value(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

pub(crate) fn backfill(known: Backfill, change: Option<BackfillChange>) -> Backfill {
    let change = change.unwrap_or_default();
    Backfill { enabled: change.enabled.unwrap_or(known.enabled), runs: change.runs.unwrap_or(known.runs) }
}

pub(crate) fn check_settings(settings: &Settings) -> Result<()> {
    if let Some(perimeter) = &settings.perimeter {
        let has_projects = !perimeter.projects.is_empty();
        if (perimeter.mode == PerimeterMode::Projects) != has_projects {
            return Err(FlowError::invalid_field(
                "perimeter",
                "names projects in mode `projects`, and only there",
            ));
        }
    }
    if settings.backfill.and_then(|backfill| backfill.runs).is_some_and(|runs| runs > 100) {
        return Err(FlowError::invalid_field("backfill.runs", "is more than 100"));
    }
    Ok(())
}

/// RFC 9207: who answers must be who was asked, or another server's code would be sent to this one.
fn check_issuer(issuer: &str, pending: &Pending) -> Result<()> {
    let issuer = Url::parse(issuer).map_err(|_| FlowError::invalid_state())?;
    let known = [Some(&pending.base_url), pending.oauth_base_url.as_ref(), pending.api_base_url.as_ref()];
    let is_known = known
        .into_iter()
        .flatten()
        .filter_map(|url| Url::parse(url).ok())
        // GitHub's issuer is `https://github.com/login/oauth`: only the origin is the same everywhere.
        .any(|url| forge_core::url::same_origin(&url, &issuer));
    if is_known { Ok(()) } else { Err(FlowError::invalid_state()) }
}

/// The forge's refusal in our words: its own text comes through a browser and is not repeated.
fn denied(forge: ForgeKind, error: &str) -> FlowError {
    let (code, message): (&str, &str) = match error {
        "access_denied" => ("access_denied", "the request for access was declined at the forge"),
        "invalid_scope" if forge == ForgeKind::BITBUCKET_CLOUD => (
            "invalid_scope",
            "the OAuth consumer lacks permissions: in the workspace's settings under OAuth consumers tick Account: Read, \
             Workspace membership: Read, Projects: Read, Repositories: Read, Pull requests: Read and Write, Webhooks: \
             Read and write, Pipelines: Read, save, and connect again",
        ),
        "invalid_scope" => {
            ("invalid_scope", "the OAuth application may not ask for the scopes that are needed")
        }
        "redirect_uri_mismatch" => {
            ("redirect_uri_mismatch", "the OAuth application is registered with another redirect address")
        }
        "server_error" | "temporarily_unavailable" => {
            (error_word(error), "the forge cannot grant access now")
        }
        _ => ("other", "the forge refused to grant access"),
    };
    FlowError::new(FlowErrorKind::BadRequest, "authorization_denied", message)
        .with_details(json!({ "error": code }))
}

fn error_word(error: &str) -> &'static str {
    if error == "server_error" { "server_error" } else { "temporarily_unavailable" }
}

/// When something was, for people.
pub(crate) fn timestamp(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}
