//! Putting the parts together, and running them until told to stop.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use clap::ValueEnum;
use forge_core::{ForgeKind, OAuthApp};
use forge_http::HttpClient;
use rca_flow::{
    Flow, FlowConfig, Worker,
    rewording::{ChatCompletions, Rewording},
};
use rca_notify::{MailServer, Outlets};
use rca_store::{KeyRing, Store};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    Config,
    body::BodyBudget,
    config::PlatformApp,
    listener,
    middleware::{auth, quota::Quotas},
    providers, routes,
};

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Serve the API and work on tasks.
    All,
    /// Serve the API only.
    Web,
    /// Work on tasks only; health is still served.
    Worker,
}

/// What every request handler can reach.
#[derive(Debug, Clone)]
pub struct AppState {
    /// The use cases.
    pub flow: Flow,
    /// The database, for tokens and health.
    pub store: Store,
    /// The memory for request bodies.
    pub budget: BodyBudget,
    /// Who has asked for how much.
    pub quotas: Quotas,
    /// What is known of this server.
    pub about: Arc<About>,
}

/// What is known of this server.
#[derive(Debug)]
pub struct About {
    /// The address by which others reach us.
    pub public_url: Url,
}

/// A server that listens but does not serve yet.
#[derive(Debug)]
pub struct Application {
    config: Config,
    role: Role,
    listener: TcpListener,
    admin_listener: TcpListener,
    address: SocketAddr,
    admin_address: SocketAddr,
    state: AppState,
}

impl Application {
    /// Opens the database, binds the addresses, wires the adapters.
    ///
    /// Prints the owner token on standard error where it was made now.
    ///
    /// # Errors
    /// Whatever keeps the server from working, with a remedy.
    pub async fn build(config: Config, role: Role) -> anyhow::Result<Self> {
        if config.dangerous_allow_http {
            tracing::warn!("dangerous_allow_http is on: forges may be spoken to without encryption");
        }
        let http = http_client(&config)?;
        let store = open_store(&config).await?;
        if let Some(token) = auth::ensure_owner(&store, config.owner_token.as_ref())
            .await
            .context("cannot make the owner token")?
        {
            announce_owner(&token);
        }
        let listener = TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("cannot listen on {}", config.listen))?;
        let admin_listener = TcpListener::bind(config.admin_listen)
            .await
            .with_context(|| format!("cannot listen on {} for metrics", config.admin_listen))?;
        let address = listener.local_addr()?;
        let admin_address = admin_listener.local_addr()?;
        let public_url = match &config.public_url {
            Some(url) => url.clone(),
            None => Url::parse(&format!("http://{address}"))?,
        };
        let about = About { public_url: public_url.clone() };
        let adapters = providers::all(&http, &config.log_sources)
            .context("cannot use a log source")?
            .into_iter()
            .map(|provider| (provider.kind(), provider))
            .collect();
        let mut flow_config = flow_config(&config, public_url);
        flow_config.has_pages = true;
        flow_config.log_sources = Some(Arc::new(providers::WithLogSources::new(&http, &config.log_sources)));
        flow_config.outlets = Some(outlets(&config, http.clone())?);
        flow_config.rewording = rewording(&config, &http)?;
        let quotas = Quotas::new(config.quotas.clone());
        flow_config.admission = Some(Arc::new(quotas.clone()));
        let flow = Flow::new(flow_config, store.clone(), adapters, platform_apps(&config));
        let state = AppState {
            flow,
            store,
            budget: BodyBudget::new(config.body_budget_bytes),
            quotas,
            about: Arc::new(about),
        };
        Ok(Self { config, role, listener, admin_listener, address, admin_address, state })
    }

    /// Where the API is served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where metrics are served.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// The address by which others reach us, without a trailing slash.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.state.about.public_url.as_str().trim_end_matches('/').to_owned()
    }

    /// The use cases, for tests that look inside.
    #[must_use]
    pub fn flow(&self) -> &Flow {
        &self.state.flow
    }

    /// Serves and works until `until` is done, then ends in order: no new connections, open requests finish, tasks in
    /// hand are settled.
    ///
    /// # Errors
    /// When the database cannot be closed.
    pub async fn run(self, until: impl Future<Output = ()>) -> anyhow::Result<()> {
        let stop = CancellationToken::new();
        tracing::info!(address = %self.address, public_url = %self.state.about.public_url, role = ?self.role, "serving");
        let mut parts = tokio::task::JoinSet::new();
        let router = routes::public(self.state.clone(), self.role);
        parts.spawn(listener::serve(self.listener, router, self.config.max_connections, stop.clone()));
        parts.spawn(listener::serve(
            self.admin_listener,
            routes::admin(self.state.clone()),
            64,
            stop.clone(),
        ));
        if self.role != Role::Web {
            let worker = Worker::new(self.state.flow.clone(), self.config.worker_concurrency)
                .with_lease(Duration::from_secs(self.config.worker_lease));
            let stop = stop.clone();
            parts.spawn(async move { worker.run(stop).await });
        }
        until.await;
        tracing::info!("stopping");
        stop.cancel();
        while let Some(ended) = parts.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a part of the server ended badly");
            }
        }
        self.state.store.close().await;
        tracing::info!("stopped");
        Ok(())
    }
}

/// The one client for all outgoing requests.
///
/// # Errors
/// Unreadable certificates, a proxy that is no URL, no system certificates.
pub fn http_client(config: &Config) -> anyhow::Result<HttpClient> {
    let mut builder = HttpClient::builder()
        .with_user_agent(concat!("forge-rca/", env!("CARGO_PKG_VERSION")))
        .with_allowed_networks(config.allowed_networks.iter().copied())
        .with_http_allowed(config.dangerous_allow_http);
    if let Some(proxy) = &config.proxy {
        builder = builder.with_proxy(proxy);
    }
    for path in &config.root_certificates {
        let pem =
            std::fs::read(path).with_context(|| format!("cannot read the certificate {}", path.display()))?;
        builder = builder.with_root_certificate_pem(&pem);
    }
    Ok(builder.build()?)
}

/// The ways to channels: chats over `http`, mail where a mail server is configured.
///
/// # Errors
/// When the mail server or the sender cannot be used.
pub fn outlets(config: &Config, http: HttpClient) -> anyhow::Result<Outlets> {
    let outlets = Outlets::new(http);
    let Some(url) = &config.smtp_url else { return Ok(outlets) };
    let from = config.smtp_from.as_deref().unwrap_or_default();
    Ok(outlets.with_mail(MailServer::new(url, from).context("cannot use the mail server")?))
}

/// The language model, where there is one.
fn rewording(config: &Config, http: &HttpClient) -> anyhow::Result<Option<Rewording>> {
    let Some(model) = &config.language_model else { return Ok(None) };
    let chat = ChatCompletions::new(http, &model.base_url, model.model.clone(), model.api_key.clone())
        .context("cannot use language_model.base_url")?;
    let mut rewording = Rewording::new(Arc::new(chat));
    rewording.timeout = model.timeout;
    rewording.requests_per_day = model.requests_per_day;
    rewording.tokens_per_day = model.tokens_per_day;
    Ok(Some(rewording))
}

/// Opens the database of `config`, making key and database where there are none.
///
/// # Errors
/// As [`Store::open`], and when key or folder cannot be made.
pub async fn open_store(config: &Config) -> anyhow::Result<Store> {
    private_folder(&config.data_dir)
        .with_context(|| format!("cannot make the data directory {}", config.data_dir.display()))?;
    let key_file = &config.master_key_file;
    let keys =
        if key_file.exists() { KeyRing::from_file(key_file) } else { KeyRing::generate_file(key_file) }
            .with_context(|| format!("cannot use the master key {}", key_file.display()))?;
    let sqlite = format!("sqlite://{}", config.data_dir.join("forge-rca.db").display());
    Ok(Store::open(database_url(config).unwrap_or(&sqlite), keys).await?)
}

/// The file of a SQLite database; `None` when the database is PostgreSQL.
#[must_use]
pub fn sqlite_file(config: &Config) -> Option<PathBuf> {
    let Some(url) = database_url(config) else { return Some(config.data_dir.join("forge-rca.db")) };
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    Some(PathBuf::from(path.split('?').next().unwrap_or(path)))
}

/// Makes a folder that only we can look into; one that exists is left as it is.
pub(crate) fn private_folder(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[expect(clippy::disallowed_methods, reason = "the driver needs the address with its password")]
fn database_url(config: &Config) -> Option<&str> {
    config.database_url.as_ref().map(|url| url.expose_secret())
}

fn flow_config(config: &Config, public_url: Url) -> FlowConfig {
    let mut flow = FlowConfig::new(public_url);
    flow.allow_http = config.dangerous_allow_http;
    flow.log_max_bytes = config.log_max_bytes;
    flow.ingest_max_bytes = crate::body::LOG_LIMIT;
    flow.poll_interval_ms = i64::try_from(config.poll_interval).unwrap_or(i64::MAX / 1000) * 1000;
    flow.retention = config.retention;
    flow.callback_paths = config.callback_paths.clone();
    flow
}

fn platform_apps(config: &Config) -> BTreeMap<ForgeKind, OAuthApp> {
    let app = |(forge, app): (&ForgeKind, &PlatformApp)| {
        let app = OAuthApp {
            client_id: app.client_id.clone(),
            client_secret: app.client_secret.clone(),
            scopes: Vec::new(),
        };
        (*forge, app)
    };
    config.platform_apps.iter().map(app).collect()
}

#[expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "the owner sees the token here, once, and nowhere else"
)]
fn announce_owner(token: &SecretString) {
    eprintln!("\nThe owner token, shown only this once:\n\n    {}\n", token.expose_secret());
}
