//! The one object that the HTTP layer and the worker share.

use std::{collections::BTreeMap, fmt, sync::Arc};

use forge_core::{ForgeKind, Instance, OAuthApp, Provider};
use jiff::Timestamp;
use rca_notify::Outlets;
use rca_store::{ErrorKind as StoreErrorKind, Integration, Repository, Retention, Store};
use url::Url;

use crate::{
    admission::Admission,
    baselines::Asked,
    credentials::Clients,
    error::{FlowError, FlowErrorKind, Result},
    measures::{Measured, Measures},
    rewording::Rewording,
    rules::RuleFiles,
    settings::LogSourceAdapter,
    turns::Turns,
    types::FeedbackChange,
};

/// What the operator decides.
#[derive(Debug, Clone)]
pub struct FlowConfig {
    /// Where people and forges reach us; redirect addresses and hook addresses come from it and from nothing else.
    pub public_url: Url,
    /// Whether instances may be spoken to over plain http.
    pub allow_http: bool,
    /// The path that the browser comes back to, where it is not `/v1/integrations/{forge}/callback`.
    pub callback_paths: BTreeMap<ForgeKind, String>,
    /// How much of a job's log is read [256 MiB].
    pub log_max_bytes: u64,
    /// The longest log that can be sent to us [10 MiB].
    pub ingest_max_bytes: usize,
    /// How often a polled integration is asked, in milliseconds [60 000].
    pub poll_interval_ms: i64,
    /// Whether pages for people are served at the public URL, so that comments can link to them.
    pub has_pages: bool,
    /// What is said at the forge where nobody has decided otherwise.
    pub feedback: FeedbackChange,
    /// How long what has ended is kept.
    pub retention: Retention,
    /// Who makes the adapter of a forge whose logs lie in the log sources of a workspace.
    pub log_sources: Option<Arc<dyn LogSourceAdapter>>,
    /// How channels are reached; without it there are none.
    pub outlets: Option<Outlets>,
    /// Who may say explanations in other words; without it the engine's stand.
    pub rewording: Option<Rewording>,
    /// Who counts deliveries; without it all are taken.
    pub admission: Option<Arc<dyn Admission>>,
}

impl FlowConfig {
    /// The defaults, at `public_url`.
    #[must_use]
    pub fn new(public_url: Url) -> Self {
        Self {
            public_url,
            allow_http: false,
            callback_paths: BTreeMap::new(),
            log_max_bytes: 256 * 1024 * 1024,
            ingest_max_bytes: 10 * 1024 * 1024,
            poll_interval_ms: 60_000,
            has_pages: false,
            feedback: FeedbackChange::default(),
            retention: Retention::default(),
            log_sources: None,
            outlets: None,
            rewording: None,
            admission: None,
        }
    }
}

/// The adapters that this installation has, by forge.
pub type Providers = BTreeMap<ForgeKind, Arc<dyn Provider>>;

/// On whose behalf something is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The workspace: nothing outside it is seen or changed.
    pub workspace: String,
    /// Who it is, for the audit: a token's or a member's name.
    pub name: String,
}

impl Caller {
    /// Somebody in a workspace.
    #[must_use]
    pub fn new(workspace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { workspace: workspace.into(), name: name.into() }
    }
}

/// The use cases. Cheap to clone.
#[derive(Clone)]
pub struct Flow(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) config: FlowConfig,
    pub(crate) store: Store,
    pub(crate) providers: Providers,
    pub(crate) platform_apps: BTreeMap<ForgeKind, OAuthApp>,
    pub(crate) clients: Clients,
    /// For what must not be done twice at once for one repository.
    pub(crate) turns: Turns,
    pub(crate) measures: Measures,
    pub(crate) rule_files: RuleFiles,
    pub(crate) asked: Asked,
    pub(crate) logs: crate::logs::Logs,
}

impl Flow {
    /// Use cases over `store` with `providers`; `platform_apps` are the operator's own OAuth applications.
    #[must_use]
    pub fn new(
        config: FlowConfig,
        store: Store,
        providers: Providers,
        platform_apps: BTreeMap<ForgeKind, OAuthApp>,
    ) -> Self {
        Self(Arc::new(Inner {
            config,
            store,
            providers,
            platform_apps,
            clients: Clients::default(),
            turns: Turns::default(),
            measures: Measures::default(),
            rule_files: RuleFiles::default(),
            asked: Asked::default(),
            logs: crate::logs::Logs::default(),
        }))
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// What the operator decided.
    #[must_use]
    pub fn config(&self) -> &FlowConfig {
        &self.0.config
    }

    /// The adapters.
    #[must_use]
    pub fn providers(&self) -> &Providers {
        &self.0.providers
    }

    /// Whether the operator has an OAuth application at this forge's cloud.
    #[must_use]
    pub fn has_platform_app(&self, forge: ForgeKind) -> bool {
        self.0.platform_apps.contains_key(&forge)
    }

    /// How many tasks only wait to come again, over all workspaces: two for each integration, which look after it and its
    /// credential, one for each channel that waits for its digest, and the one that removes what is older than the
    /// retention.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn count_recurring(&self) -> Result<i64> {
        let mut count = 0;
        for kind in crate::jobs::RECURRING {
            count += self.store().count_all_ready(kind).await?;
        }
        Ok(count)
    }

    /// What this process has measured since it began.
    #[must_use]
    pub fn measures(&self) -> Measured {
        self.0.measures.read()
    }

    pub(crate) fn provider(&self, forge: ForgeKind) -> Result<&Arc<dyn Provider>> {
        self.0.providers.get(&forge).ok_or_else(|| {
            FlowError::new(
                FlowErrorKind::NotFound,
                "unknown_forge",
                format!("this installation has no adapter for {forge}"),
            )
        })
    }

    /// The forge with this id, where there is an adapter for it.
    ///
    /// # Errors
    /// `unknown_forge`.
    pub fn forge(&self, id: &str) -> Result<ForgeKind> {
        self.0.providers.keys().copied().find(|kind| kind.as_str() == id).ok_or_else(|| {
            FlowError::new(
                FlowErrorKind::NotFound,
                "unknown_forge",
                "this installation has no adapter for that forge",
            )
        })
    }

    pub(crate) async fn integration(&self, workspace: &str, id: &str) -> Result<Integration> {
        let found = self.0.store.get_integration(workspace, id).await?;
        found
            .filter(|integration| integration.removed_at.is_none())
            .ok_or_else(|| FlowError::not_found("integration"))
    }

    pub(crate) async fn repository(&self, workspace: &str, id: &str) -> Result<Repository> {
        let found = self.0.store.get_repository(workspace, id).await?;
        found.ok_or_else(|| FlowError::not_found("repository"))
    }

    /// Our address of a hook.
    pub(crate) fn hook_url(&self, forge: &str, hook: &str) -> Result<Url> {
        forge_core::url::append(&self.0.config.public_url, &format!("v1/webhooks/{forge}/{hook}")).map_err(
            |_| {
                FlowError::new(
                    FlowErrorKind::Unavailable,
                    "public_url_invalid",
                    "the public URL cannot carry a path",
                )
            },
        )
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Flow").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl From<rca_store::Error> for FlowError {
    fn from(error: rca_store::Error) -> Self {
        let (kind, code) = match error.kind() {
            StoreErrorKind::NotFound => (FlowErrorKind::NotFound, "not_found"),
            StoreErrorKind::Conflict => (FlowErrorKind::Conflict, "conflict"),
            StoreErrorKind::Invalid => (FlowErrorKind::Unprocessable, "invalid_field"),
            // Everything else is ours to repair, and trying later is the only advice.
            _ => (FlowErrorKind::Unavailable, "unavailable"),
        };
        Self::new(kind, code, error.to_string())
    }
}

pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// Where an integration's instance is. Built from what was stored when it was connected: a token never follows a
/// changed address.
pub(crate) fn instance(
    base_url: &str,
    api_base_url: Option<&str>,
    oauth_base_url: Option<&str>,
) -> forge_core::Result<Instance> {
    let mut instance = Instance::new(base_url)?;
    if let Some(url) = api_base_url {
        instance = instance.with_api_base_url(url)?;
    }
    if let Some(url) = oauth_base_url {
        instance = instance.with_oauth_base_url(url)?;
    }
    Ok(instance)
}

pub(crate) fn forge_of(text: &str) -> forge_core::Result<ForgeKind> {
    text.parse().map_err(|_| {
        forge_core::Error::new(
            forge_core::ErrorKind::InvalidInput,
            "the stored forge is unknown to this version",
        )
    })
}
