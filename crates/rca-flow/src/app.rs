//! Connecting as an app: made at the forge from a manifest, installed by a person, or given with its key.

#![expect(clippy::disallowed_methods, reason = "the keys of an app are sealed and handed to the forge here")]

use forge_core::{AppAddresses, AppKey, AppSetup, CsrfState, ForgeKind};
use jiff::SignedDuration;
use rca_store::{HookChange, Integration, NewHook, OauthState};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use url::Url;

use crate::{
    connect::{AppHook, NewCredential, Place, Settings, check_settings, hash, value},
    credentials::{ConnectionData, PRIVATE_KEY},
    error::{FlowError, FlowErrorKind, Result},
    flow::{Caller, Flow, now},
    types::{AppRequest, AppStartRequest, AppStarted, IntegrationView},
    wide_hooks::is_of_app,
};

/// How long a person may take for each of the two steps. GitHub's code lives as long (docs: "Registering a GitHub App
/// from a manifest").
const STEP_LIFE: SignedDuration = SignedDuration::from_hours(1);

/// What the forge sends the browser back with after an app was made.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct AppCreatedParameters {
    /// As it was given at the start.
    #[cfg_attr(feature = "openapi", param(value_type = Option<String>))]
    pub state: Option<SecretString>,
    /// The code, which is turned into the app's keys.
    #[cfg_attr(feature = "openapi", param(value_type = Option<String>))]
    pub code: Option<SecretString>,
}

/// What the forge sends the browser back with after an app was installed.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub struct AppInstalledParameters {
    /// As the way to the installation carried it.
    #[cfg_attr(feature = "openapi", param(value_type = Option<String>))]
    pub state: Option<SecretString>,
    /// The installation.
    pub installation_id: Option<String>,
    /// `install`, `update` or `request`.
    pub setup_action: Option<String>,
}

/// Between the start and the making of the app. Sealed while it waits.
#[derive(Serialize, Deserialize)]
struct ToCreate {
    base_url: String,
    api_base_url: Option<String>,
    oauth_base_url: Option<String>,
    hook: String,
    settings: Settings,
    actor: String,
}

/// Between the making of the app and its installation. Sealed while it waits.
#[derive(Serialize, Deserialize)]
struct ToInstall {
    start: ToCreate,
    app_id: String,
    private_key: String,
    webhook_secret: String,
}

/// Which step a state is of: one cannot stand in for the other.
#[derive(Clone, Copy)]
enum Step {
    Create,
    Install,
}

impl Step {
    fn kind(self, forge: ForgeKind) -> String {
        match self {
            Self::Create => format!("{forge}:app"),
            Self::Install => format!("{forge}:installation"),
        }
    }
}

impl Flow {
    /// Begins to make an app: the browser posts the manifest to the given address.
    ///
    /// # Errors
    /// `app_unsupported`, `invalid_field`, `address_not_allowed`.
    pub async fn start_app(
        &self,
        caller: &Caller,
        forge: ForgeKind,
        request: AppStartRequest,
        browser: Option<&SecretString>,
    ) -> Result<AppStarted> {
        let place = self.place(
            forge,
            request.base_url.as_deref(),
            request.api_base_url.as_deref(),
            request.oauth_base_url.as_deref(),
        )?;
        let setup = self.app_setup(forge, &place)?;
        let settings = Settings {
            mode: request.mode,
            perimeter: request.perimeter,
            backfill: request.backfill,
            feedback: request.feedback,
        };
        check_settings(&settings)?;
        let hook = new_hook_id();
        let addresses = AppAddresses {
            homepage: self.config().public_url.clone(),
            webhook: self.hook_url(forge.as_str(), &hook)?,
            created: self.app_url(forge, "callback")?,
            installed: self.app_url(forge, "installed")?,
        };
        let state = CsrfState::from_entropy(&rand::random());
        // Names of apps are unique at the forge; the person may change it there.
        let name = format!("Forge RCA {}", hex::encode(rand::random::<[u8; 3]>()));
        let manifest = setup.manifest(&name, &addresses, request.organization.as_deref(), &state)?;
        let pending = ToCreate {
            base_url: place.base_url,
            api_base_url: place.api_base_url,
            oauth_base_url: place.oauth_base_url,
            hook,
            settings,
            actor: caller.name.clone(),
        };
        let expires_at = self
            .put_step(&caller.workspace, forge, Step::Create, &state, browser.map(hash), value(&pending))
            .await?;
        Ok(AppStarted {
            state: state.as_secret().expose_secret().to_owned(),
            manifest: manifest.manifest,
            create_url: manifest.create_url.into(),
            expires_at,
        })
    }

    /// The app was made: fetches its keys and gives where the browser installs it.
    ///
    /// # Errors
    /// `invalid_state`, `invalid_request`, and what the forge refuses.
    pub async fn app_created(
        &self,
        forge: ForgeKind,
        parameters: AppCreatedParameters,
        browser: Option<&SecretString>,
    ) -> Result<Url> {
        let (workspace, binding, start) =
            self.take_step::<ToCreate>(forge, Step::Create, parameters.state.as_ref(), browser).await?;
        let code = parameters.code.ok_or_else(|| {
            FlowError::new(
                FlowErrorKind::BadRequest,
                "invalid_request",
                "the forge sent no code; begin again",
            )
        })?;
        let place = self.place_of(forge, &start)?;
        let created = self.app_setup(forge, &place)?.convert(&code).await?;
        let pending = ToInstall {
            start,
            app_id: created.app_id,
            private_key: created.private_key.expose_secret().to_owned(),
            webhook_secret: created.webhook_secret.expose_secret().to_owned(),
        };
        let state = CsrfState::from_entropy(&rand::random());
        self.put_step(&workspace, forge, Step::Install, &state, binding, value(&pending)).await?;
        let mut install = created.install_url;
        install.query_pairs_mut().append_pair("state", state.as_secret().expose_secret());
        Ok(install)
    }

    /// The app was installed: the integration begins to work.
    ///
    /// The forge's address of the way back can be called by anybody with any installation: what counts is our state,
    /// and that the app's own key opens the installation.
    ///
    /// # Errors
    /// `invalid_state`, `invalid_request`, `installation_pending`, and what the forge refuses.
    pub async fn app_installed(
        &self,
        forge: ForgeKind,
        parameters: AppInstalledParameters,
        browser: Option<&SecretString>,
    ) -> Result<IntegrationView> {
        if parameters.setup_action.as_deref() == Some("request") {
            return Err(FlowError::new(
                FlowErrorKind::Conflict,
                "installation_pending",
                "an owner of the organization has to approve the installation first; then install the app again",
            ));
        }
        let installation_id = parameters.installation_id.unwrap_or_default();
        check_installation(&installation_id)?;
        let (workspace, _, pending) =
            self.take_step::<ToInstall>(forge, Step::Install, parameters.state.as_ref(), browser).await?;
        let place = self.place_of(forge, &pending.start)?;
        let key = AppKey {
            app_id: pending.app_id,
            private_key: SecretString::from(pending.private_key),
            installation_id,
        };
        let hook = AppHook {
            id: pending.start.hook,
            secret: SecretString::from(pending.webhook_secret),
            is_registered: true,
        };
        let ToCreate { actor, settings, .. } = pending.start;
        self.connect_installation(&workspace, &actor, forge, place, key, hook, settings).await
    }

    /// Connects an app that exists, with its key. Its webhook has to be set to the address that the integration shows.
    ///
    /// # Errors
    /// `app_unsupported`, `invalid_field`, `address_not_allowed`, and what the forge refuses.
    pub async fn connect_app(
        &self,
        caller: &Caller,
        forge: ForgeKind,
        request: AppRequest,
    ) -> Result<IntegrationView> {
        let place = self.place(
            forge,
            request.base_url.as_deref(),
            request.api_base_url.as_deref(),
            request.oauth_base_url.as_deref(),
        )?;
        self.app_setup(forge, &place)?;
        let settings = Settings {
            mode: request.mode,
            perimeter: request.perimeter,
            backfill: request.backfill,
            feedback: request.feedback,
        };
        check_settings(&settings)?;
        let app_id = request.app_id.0;
        if app_id.is_empty() || app_id.len() > 64 || !app_id.bytes().all(is_of_id) {
            return Err(FlowError::invalid_field("app_id", "is not the id of an app"));
        }
        let installation_id = request.installation_id.0;
        check_installation(&installation_id)?;
        if request.webhook_secret.expose_secret().trim().is_empty() {
            return Err(FlowError::invalid_field("webhook_secret", "is empty: deliveries need a proof"));
        }
        let key = AppKey { app_id, private_key: request.private_key, installation_id };
        let hook = AppHook { id: new_hook_id(), secret: request.webhook_secret, is_registered: false };
        self.connect_installation(&caller.workspace, &caller.name, forge, place, key, hook, settings).await
    }

    #[expect(clippy::too_many_arguments, reason = "what makes up a connection, each once")]
    async fn connect_installation(
        &self,
        workspace: &str,
        actor: &str,
        forge: ForgeKind,
        place: Place,
        key: AppKey,
        hook: AppHook,
        settings: Settings,
    ) -> Result<IntegrationView> {
        let credential = NewCredential {
            auth: "app",
            provider: self.provider(forge)?.installation(&place.instance, &key)?,
            secrets: vec![(PRIVATE_KEY, key.private_key)],
            is_refreshed: true,
            data: ConnectionData {
                app_id: Some(key.app_id),
                installation_id: Some(key.installation_id),
                ..ConnectionData::default()
            },
            hook: Some(hook),
        };
        self.connect(workspace, actor, forge, place, credential, settings).await
    }

    /// Stores the hook of an app, or gives the one that is known the secret that is valid now.
    pub(crate) async fn keep_app_hook(&self, integration: &Integration, hook: &AppHook) -> Result<()> {
        if let Some(known) = self.app_hook(integration).await? {
            let stored =
                self.store().get_hook(&known.id).await?.and_then(|known| known.secrets.into_iter().next());
            let is_same = stored.is_some_and(|stored| stored.expose_secret() == hook.secret.expose_secret());
            if !is_same {
                // Deliveries that were signed before it changed may still be on their way.
                let overlap = 10 * 60 * 1000;
                self.store()
                    .rotate_hook_secret(&integration.workspace, &known.id, &hook.secret, None, overlap)
                    .await?;
            }
            return Ok(());
        }
        let app_id = ConnectionData::of(integration).app_id;
        let new = NewHook {
            id: hook.id.clone(),
            workspace: integration.workspace.clone(),
            integration: integration.id.clone(),
            repository: None,
            forge: integration.forge.clone(),
            state: if hook.is_registered { "registered" } else { "pending_manual" }.to_owned(),
            secret: hook.secret.clone(),
            token_hash: None,
            data: json!({ "app": app_id }),
        };
        self.store().insert_hook(new).await?;
        if !hook.is_registered {
            let change = HookChange {
                last_error: Some(Some("the webhook of the app has to be set to our address".to_owned())),
                ..HookChange::default()
            };
            self.store().update_hook(&integration.workspace, &hook.id, change).await?;
        }
        Ok(())
    }

    /// The hook of the integration's app, whichever installation brought it.
    pub(crate) async fn app_hook(&self, integration: &Integration) -> Result<Option<rca_store::Hook>> {
        if integration.auth != "app" {
            return Ok(None);
        }
        Ok(self.serving_hooks(integration).await?.into_iter().find(is_of_app))
    }

    fn app_setup(&self, forge: ForgeKind, place: &Place) -> Result<Box<dyn AppSetup>> {
        self.provider(forge)?.app_setup(&place.instance)?.ok_or_else(|| {
            FlowError::new(
                FlowErrorKind::Unprocessable,
                "app_unsupported",
                format!("{} has no apps: connect it with a token or by OAuth", forge.display_name()),
            )
        })
    }

    fn app_url(&self, forge: ForgeKind, end: &str) -> Result<Url> {
        let path = format!("v1/integrations/{forge}/app/{end}");
        forge_core::url::append(&self.config().public_url, &path).map_err(|_| {
            FlowError::new(
                FlowErrorKind::Unavailable,
                "public_url_invalid",
                "the public URL cannot carry a path",
            )
        })
    }

    fn place_of(&self, forge: ForgeKind, start: &ToCreate) -> Result<Place> {
        self.place(
            forge,
            Some(&start.base_url),
            start.api_base_url.as_deref(),
            start.oauth_base_url.as_deref(),
        )
    }

    /// Returns when the step ends.
    async fn put_step(
        &self,
        workspace: &str,
        forge: ForgeKind,
        step: Step,
        state: &CsrfState,
        browser_binding: Option<String>,
        pending: Value,
    ) -> Result<String> {
        let expires_at = now() + STEP_LIFE;
        self.store()
            .put_oauth_state(OauthState {
                state_hash: hash(state.as_secret()),
                workspace: workspace.to_owned(),
                forge: step.kind(forge),
                browser_binding,
                data: pending,
                expires_at: expires_at.as_millisecond(),
            })
            .await?;
        Ok(expires_at.to_string())
    }

    async fn take_step<T: DeserializeOwned>(
        &self,
        forge: ForgeKind,
        step: Step,
        state: Option<&SecretString>,
        browser: Option<&SecretString>,
    ) -> Result<(String, Option<String>, T)> {
        let state = state.ok_or_else(FlowError::invalid_state)?;
        let taken =
            self.store().take_oauth_state(&hash(state)).await?.ok_or_else(FlowError::invalid_state)?;
        let is_ours = taken.forge == step.kind(forge)
            && taken.browser_binding.as_ref().is_none_or(|bound| browser.map(hash).as_ref() == Some(bound));
        if !is_ours {
            return Err(FlowError::invalid_state());
        }
        let pending = serde_json::from_value(taken.data).map_err(|_| FlowError::invalid_state())?;
        Ok((taken.workspace, taken.browser_binding, pending))
    }
}

fn new_hook_id() -> String {
    hex::encode(rand::random::<[u8; 20]>())
}

/// App ids are numbers, client ids like `Iv1.0123abcd`.
fn is_of_id(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

fn check_installation(id: &str) -> Result<()> {
    if (1..=20).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(());
    }
    Err(FlowError::invalid_field("installation_id", "is not the number of an installation"))
}
