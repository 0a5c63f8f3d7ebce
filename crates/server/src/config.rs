//! Settings: the compiled-in defaults, a file over them, the environment over both. All faults are reported at once.

#![expect(
    clippy::disallowed_methods,
    reason = "the secret is used here, where it goes into a request, a cipher or a hash"
)]

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use forge_core::ForgeKind;
use forge_http::IpNetwork;
pub use rca_flow::{settings::LogSource, types::LogSourceKind};
use rca_store::Retention;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use crate::middleware::quota::Limits;

mod language_model;

pub use language_model::LanguageModel;

/// The commented defaults, which are also the documentation of every setting.
pub const DEFAULTS: &str = include_str!("../config.default.toml");

/// Names of the environment that belong to the command line, not to the server.
const CLIENT_NAMES: [&str; 6] = [
    "FORGE_RCA_CONFIG",
    "FORGE_RCA_FORGE_TOKEN",
    "FORGE_RCA_HOOK_SECRET",
    "FORGE_RCA_LOG_SOURCE_TOKEN",
    "FORGE_RCA_TOKEN",
    "FORGE_RCA_URL",
];

/// The checked settings of a server.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the API and the webhooks are served.
    pub listen: SocketAddr,
    /// Where metrics are served.
    pub admin_listen: SocketAddr,
    /// The address by which others reach us, without a trailing slash; `None` until the listener's port is known.
    pub public_url: Option<Url>,
    /// Where the database and the master key live.
    pub data_dir: PathBuf,
    /// `postgres://...`, or `None` for SQLite in the data directory.
    pub database_url: Option<SecretString>,
    /// The file of the master key.
    pub master_key_file: PathBuf,
    /// The first owner token, where the operator chose it.
    pub owner_token: Option<SecretString>,
    /// Networks that outgoing requests may reach besides public ones.
    pub allowed_networks: Vec<IpNetwork>,
    /// Whether plain http is allowed to forges.
    pub dangerous_allow_http: bool,
    /// Proxy for outgoing requests.
    pub proxy: Option<Url>,
    /// Further certificate authorities, PEM.
    pub root_certificates: Vec<PathBuf>,
    /// Seconds between two polls.
    pub poll_interval: u64,
    /// Tasks worked on at once.
    pub worker_concurrency: usize,
    /// Seconds after which a dead process's task is taken up.
    pub worker_lease: u64,
    /// Bytes of a log that are read from a forge.
    pub log_max_bytes: u64,
    /// Bytes of request bodies held at once.
    pub body_budget_bytes: usize,
    /// Connections served at once.
    pub max_connections: usize,
    /// How long what has ended is kept.
    pub retention: Retention,
    /// How much may be asked for.
    pub quotas: Limits,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which log lines are written.
    pub log_level: String,
    /// The collector that traces are sent to.
    pub otlp_endpoint: Option<Url>,
    /// Mail server.
    pub smtp_url: Option<SecretString>,
    /// Mail sender.
    pub smtp_from: Option<String>,
    /// The operator's OAuth applications.
    pub platform_apps: BTreeMap<ForgeKind, PlatformApp>,
    /// Callback paths that differ from the default.
    pub callback_paths: BTreeMap<ForgeKind, String>,
    /// CI servers that hold the logs of forges without CI.
    pub log_sources: Vec<LogSource>,
    /// Who may say explanations in other words.
    pub language_model: Option<LanguageModel>,
}

/// An OAuth application of the operator.
#[derive(Debug, Clone)]
pub struct PlatformApp {
    /// Client id.
    pub client_id: String,
    /// Client secret.
    pub client_secret: SecretString,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Everything that is wrong with the settings.
#[derive(Debug)]
pub struct ConfigError(Vec<String>);

impl ConfigError {
    /// One line per fault.
    #[must_use]
    pub fn faults(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} wrong in the configuration", self.0.len())?;
        for fault in &self.0 {
            write!(formatter, "\n  - {fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    server: Server,
    database: Database,
    secrets: Secrets,
    network: Network,
    polling: Polling,
    worker: Worker,
    limits: FileLimits,
    quotas: FileQuotas,
    retention: FileRetention,
    log: Log,
    traces: Traces,
    mail: Mail,
    platform_apps: BTreeMap<String, FileApp>,
    callback_paths: BTreeMap<String, String>,
    log_sources: BTreeMap<String, FileLogSource>,
    language_model: language_model::Section,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileLogSource {
    kind: LogSourceKind,
    base_url: String,
    #[serde(default)]
    username: String,
    token: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Server {
    listen: String,
    admin_listen: String,
    public_url: String,
    data_dir: String,
    max_connections: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Database {
    url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Secrets {
    master_key_file: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Network {
    allowed_networks: Vec<String>,
    dangerous_allow_http: bool,
    proxy: String,
    root_certificates: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Polling {
    interval: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Worker {
    concurrency: usize,
    lease: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileLimits {
    log_max_bytes: u64,
    body_budget_bytes: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileQuotas {
    requests_per_minute: u64,
    workspace_requests_per_minute: u64,
    bytes_per_day: u64,
    deliveries_per_minute: u64,
    workspace_deliveries_per_minute: u64,
    unproved_per_minute: u64,
    trusted_proxies: Vec<String>,
}

/// Days.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRetention {
    deliveries: u32,
    dead: u32,
    tasks: u32,
    analyses: u32,
    incidents: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Log {
    format: String,
    level: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Traces {
    otlp_endpoint: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mail {
    smtp_url: String,
    smtp_from: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileApp {
    client_id: String,
    client_secret: String,
}

/// Environment name, place in the file, and how its text becomes a value.
pub(crate) const ENVIRONMENT: [(&str, &str, &str, Form); 33] = [
    ("FORGE_RCA_LISTEN", "server", "listen", Form::Text),
    ("FORGE_RCA_ADMIN_LISTEN", "server", "admin_listen", Form::Text),
    ("FORGE_RCA_PUBLIC_URL", "server", "public_url", Form::Text),
    ("FORGE_RCA_DATA_DIR", "server", "data_dir", Form::Text),
    ("DATABASE_URL", "database", "url", Form::Text),
    ("FORGE_RCA_MASTER_KEY_FILE", "secrets", "master_key_file", Form::Text),
    ("FORGE_RCA_ALLOWED_NETWORKS", "network", "allowed_networks", Form::List),
    ("FORGE_RCA_DANGEROUS_ALLOW_HTTP", "network", "dangerous_allow_http", Form::Switch),
    ("FORGE_RCA_PROXY", "network", "proxy", Form::Text),
    ("FORGE_RCA_ROOT_CERTIFICATES", "network", "root_certificates", Form::List),
    ("FORGE_RCA_POLL_INTERVAL", "polling", "interval", Form::Number),
    ("FORGE_RCA_WORKER_CONCURRENCY", "worker", "concurrency", Form::Number),
    ("FORGE_RCA_WORKER_LEASE", "worker", "lease", Form::Number),
    ("FORGE_RCA_LOG_MAX_BYTES", "limits", "log_max_bytes", Form::Number),
    ("FORGE_RCA_BODY_BUDGET_BYTES", "limits", "body_budget_bytes", Form::Number),
    ("FORGE_RCA_QUOTA_REQUESTS_PER_MINUTE", "quotas", "requests_per_minute", Form::Number),
    (
        "FORGE_RCA_QUOTA_WORKSPACE_REQUESTS_PER_MINUTE",
        "quotas",
        "workspace_requests_per_minute",
        Form::Number,
    ),
    ("FORGE_RCA_QUOTA_DELIVERIES_PER_MINUTE", "quotas", "deliveries_per_minute", Form::Number),
    (
        "FORGE_RCA_QUOTA_WORKSPACE_DELIVERIES_PER_MINUTE",
        "quotas",
        "workspace_deliveries_per_minute",
        Form::Number,
    ),
    ("FORGE_RCA_QUOTA_BYTES_PER_DAY", "quotas", "bytes_per_day", Form::Number),
    ("FORGE_RCA_QUOTA_UNPROVED_PER_MINUTE", "quotas", "unproved_per_minute", Form::Number),
    ("FORGE_RCA_TRUSTED_PROXIES", "quotas", "trusted_proxies", Form::List),
    ("FORGE_RCA_RETENTION_DELIVERIES", "retention", "deliveries", Form::Number),
    ("FORGE_RCA_RETENTION_ANALYSES", "retention", "analyses", Form::Number),
    ("FORGE_RCA_LOG_FORMAT", "log", "format", Form::Text),
    ("FORGE_RCA_LOG_LEVEL", "log", "level", Form::Text),
    ("FORGE_RCA_OTLP_ENDPOINT", "traces", "otlp_endpoint", Form::Text),
    ("FORGE_RCA_SMTP_URL", "mail", "smtp_url", Form::Text),
    ("FORGE_RCA_SMTP_FROM", "mail", "smtp_from", Form::Text),
    ("FORGE_RCA_LANGUAGE_MODEL_URL", "language_model", "base_url", Form::Text),
    ("FORGE_RCA_LANGUAGE_MODEL", "language_model", "model", Form::Text),
    ("FORGE_RCA_LANGUAGE_MODEL_KEY", "language_model", "api_key", Form::Text),
    ("FORGE_RCA_LANGUAGE_MODEL_KEY_FILE", "language_model", "api_key_file", Form::Text),
];

#[derive(Clone, Copy)]
pub(crate) enum Form {
    Text,
    Number,
    Switch,
    List,
}

impl Config {
    /// Reads the settings: defaults, then `file`, then `environment`.
    ///
    /// # Errors
    /// All faults at once: unknown names in the file or of `FORGE_RCA_*`, values of the wrong form.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut faults = Vec::new();
        let mut table: toml::Table =
            DEFAULTS.parse().map_err(|error| ConfigError(vec![format!("defaults: {error}")]))?;
        if let Some(path) = file {
            match std::fs::read_to_string(path) {
                Err(error) => faults.push(format!("cannot read {}: {error}", path.display())),
                Ok(text) => match text.parse::<toml::Table>() {
                    Err(error) => faults.push(format!("{} is not TOML: {}", path.display(), error.message())),
                    Ok(over) => merge(&mut table, over, "", &mut faults),
                },
            }
        }
        let owner_token = apply_environment(&mut table, environment, &mut faults);
        let parsed: Result<File, _> = table.try_into();
        match parsed {
            Err(error) => {
                faults.push(error.message().to_owned());
                Err(ConfigError(faults))
            }
            Ok(file) => check(file, owner_token, faults),
        }
    }

    /// The settings for tests and demonstrations: loopback, port 0, everything below `data_dir`, plain http to
    /// loopback allowed.
    #[must_use]
    pub fn for_loopback(data_dir: &Path, owner_token: SecretString) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            listen: any,
            admin_listen: any,
            public_url: None,
            data_dir: data_dir.to_owned(),
            database_url: None,
            master_key_file: data_dir.join("master.key"),
            owner_token: Some(owner_token),
            allowed_networks: ["127.0.0.0/8", "::1/128"]
                .iter()
                .filter_map(|text| text.parse().ok())
                .collect(),
            dangerous_allow_http: true,
            proxy: None,
            root_certificates: Vec::new(),
            poll_interval: 60,
            worker_concurrency: 4,
            worker_lease: 60,
            log_max_bytes: 64 * 1024 * 1024,
            body_budget_bytes: 256 * 1024 * 1024,
            max_connections: 4096,
            retention: Retention::default(),
            quotas: Limits::default(),
            log_format: LogFormat::Text,
            log_level: "warn".to_owned(),
            otlp_endpoint: None,
            smtp_url: None,
            smtp_from: None,
            platform_apps: BTreeMap::new(),
            callback_paths: BTreeMap::new(),
            log_sources: Vec::new(),
            language_model: None,
        }
    }
}

/// Lays `over` upon `table`, name by name, and reports names that the defaults do not have.
fn merge(table: &mut toml::Table, over: toml::Table, place: &str, faults: &mut Vec<String>) {
    let is_open = matches!(place, "platform_apps." | "callback_paths." | "log_sources.");
    for (name, value) in over {
        match (table.get_mut(&name), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(value)) => {
                merge(inner, value, &format!("{place}{name}."), faults);
            }
            (Some(slot), value) => *slot = value,
            (None, value) if is_open => {
                table.insert(name, value);
            }
            (None, _) => faults.push(format!("unknown setting '{place}{name}'")),
        }
    }
}

fn apply_environment(
    table: &mut toml::Table,
    environment: impl IntoIterator<Item = (String, String)>,
    faults: &mut Vec<String>,
) -> Option<SecretString> {
    let mut owner_token = None;
    for (name, text) in environment {
        if let Some((_, section, key, form)) = ENVIRONMENT.iter().find(|(known, ..)| *known == name) {
            match form.read(&text) {
                Ok(value) => set(table, section, key, value),
                Err(wanted) => faults.push(format!("{name} must be {wanted}")),
            }
        } else if name == "FORGE_RCA_OWNER_TOKEN" {
            owner_token = Some(SecretString::from(text));
        } else if let Some((forge, key)) = platform_app_name(&name) {
            let apps = table.entry("platform_apps").or_insert_with(|| toml::Table::new().into());
            if let toml::Value::Table(apps) = apps {
                let app = apps.entry(forge.as_str()).or_insert_with(|| {
                    toml::Table::from_iter([
                        ("client_id".to_owned(), toml::Value::from("")),
                        ("client_secret".to_owned(), toml::Value::from("")),
                    ])
                    .into()
                });
                if let toml::Value::Table(app) = app {
                    app.insert(key.to_owned(), text.into());
                }
            }
        } else if name.starts_with("FORGE_RCA_") && !CLIENT_NAMES.contains(&name.as_str()) {
            faults.push(format!(
                "unknown environment variable {name}: see `forge-rca serve --help` for the names"
            ));
        }
    }
    owner_token
}

fn platform_app_name(name: &str) -> Option<(ForgeKind, &'static str)> {
    let rest = name.strip_prefix("FORGE_RCA_")?;
    let (forge, key) = match rest.strip_suffix("_CLIENT_ID") {
        Some(forge) => (forge, "client_id"),
        None => (rest.strip_suffix("_CLIENT_SECRET")?, "client_secret"),
    };
    let forge = forge.to_ascii_lowercase().replace('_', "-").parse().ok()?;
    Some((forge, key))
}

impl Form {
    fn read(self, text: &str) -> Result<toml::Value, &'static str> {
        match self {
            Self::Text => Ok(text.into()),
            Self::Number => text.trim().parse::<i64>().map(Into::into).map_err(|_| "a whole number"),
            Self::Switch => match text.trim() {
                "1" | "true" | "yes" | "on" => Ok(true.into()),
                "" | "0" | "false" | "no" | "off" => Ok(false.into()),
                _ => Err("true or false"),
            },
            Self::List => Ok(toml::Value::Array(
                text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(Into::into).collect(),
            )),
        }
    }
}

fn set(table: &mut toml::Table, section: &str, key: &str, value: toml::Value) {
    if let Some(toml::Value::Table(section)) = table.get_mut(section) {
        section.insert(key.to_owned(), value);
    }
}

fn check(
    file: File,
    owner_token: Option<SecretString>,
    mut faults: Vec<String>,
) -> Result<Config, ConfigError> {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let listen =
        parse(&file.server.listen, "server.listen", "an address such as 127.0.0.1:8787", &mut faults);
    let admin_listen = parse(
        &file.server.admin_listen,
        "server.admin_listen",
        "an address such as 127.0.0.1:8788",
        &mut faults,
    );
    let public_url = optional_url(&file.server.public_url, "server.public_url", &mut faults);
    if let Some(url) = &public_url
        && (url.query().is_some() || url.fragment().is_some() || !url.username().is_empty())
    {
        faults.push("server.public_url must have no user, query or fragment".to_owned());
    }
    let proxy = optional_url(&file.network.proxy, "network.proxy", &mut faults);
    let allowed_networks = file
        .network
        .allowed_networks
        .iter()
        .filter_map(|text| {
            parse::<IpNetwork>(text, "network.allowed_networks", "networks such as 10.0.0.0/8", &mut faults)
        })
        .collect();
    let log_format = match file.log.format.as_str() {
        "text" => LogFormat::Text,
        "json" => LogFormat::Json,
        _ => {
            faults.push("log.format must be text or json".to_owned());
            LogFormat::Text
        }
    };
    if file.polling.interval == 0 {
        faults.push("polling.interval must be at least 1 second".to_owned());
    }
    if file.worker.lease < 2 {
        faults.push("worker.lease must be at least 2 seconds".to_owned());
    }
    if file.worker.concurrency == 0 || file.server.max_connections == 0 {
        faults.push("worker.concurrency and server.max_connections must be at least 1".to_owned());
    }
    let trusted_proxies = file
        .quotas
        .trusted_proxies
        .iter()
        .filter_map(|text| {
            parse::<IpNetwork>(text, "quotas.trusted_proxies", "networks such as 10.0.0.0/8", &mut faults)
        })
        .collect();
    let retention = retention(&file.retention, &mut faults);
    if !file.database.url.is_empty() && !is_database_url(&file.database.url) {
        faults.push("database.url must begin with postgres://, postgresql:// or sqlite://".to_owned());
    }
    if let Some(token) = &owner_token
        && secrecy::ExposeSecret::expose_secret(token).len() < 12
    {
        faults.push("FORGE_RCA_OWNER_TOKEN must have at least 12 characters".to_owned());
    }
    let mut platform_apps = BTreeMap::new();
    for (name, app) in file.platform_apps {
        let Some(forge) = parse::<ForgeKind>(&name, "platform_apps", "a forge", &mut faults) else {
            continue;
        };
        if app.client_id.is_empty() || app.client_secret.is_empty() {
            faults.push(format!("platform_apps.{name} needs both client_id and client_secret"));
        }
        platform_apps.insert(
            forge,
            PlatformApp { client_id: app.client_id, client_secret: SecretString::from(app.client_secret) },
        );
    }
    let mut callback_paths = BTreeMap::new();
    for (name, path) in file.callback_paths {
        let Some(forge) = parse::<ForgeKind>(&name, "callback_paths", "a forge", &mut faults) else {
            continue;
        };
        if !path.starts_with('/') {
            faults.push(format!("callback_paths.{name} must begin with /"));
        }
        callback_paths.insert(forge, path);
    }
    let mut log_sources = Vec::new();
    for (name, source) in file.log_sources {
        let place = format!("log_sources.{name}.base_url");
        if source.base_url.is_empty() || source.token.is_empty() {
            faults.push(format!("log_sources.{name} needs both base_url and token"));
        }
        let Some(base_url) = optional_url(&source.base_url, &place, &mut faults) else { continue };
        if base_url.scheme() == "http" && !file.network.dangerous_allow_http {
            faults.push(format!("{place} must begin with https://: plain http would show the token"));
        }
        log_sources.push(LogSource {
            kind: source.kind,
            base_url,
            username: (!source.username.is_empty()).then_some(source.username),
            token: SecretString::from(source.token),
        });
    }
    let otlp_endpoint = optional_url(&file.traces.otlp_endpoint, "traces.otlp_endpoint", &mut faults);
    if otlp_endpoint.is_some() && !cfg!(feature = "otel") {
        faults.push("traces.otlp_endpoint needs a program built with the feature otel".to_owned());
    }
    let language_model =
        language_model::check(file.language_model, file.network.dangerous_allow_http, &mut faults);
    if file.mail.smtp_url.is_empty() != file.mail.smtp_from.is_empty() {
        faults.push("mail needs both mail.smtp_url and mail.smtp_from, or neither".to_owned());
    }
    if !faults.is_empty() {
        return Err(ConfigError(faults));
    }
    let data_dir = PathBuf::from(file.server.data_dir);
    let master_key_file = match file.secrets.master_key_file.as_str() {
        "" => data_dir.join("master.key"),
        path => PathBuf::from(path),
    };
    Ok(Config {
        listen: listen.unwrap_or(any),
        admin_listen: admin_listen.unwrap_or(any),
        public_url,
        master_key_file,
        data_dir,
        database_url: (!file.database.url.is_empty()).then(|| SecretString::from(file.database.url)),
        owner_token,
        allowed_networks,
        dangerous_allow_http: file.network.dangerous_allow_http,
        proxy,
        root_certificates: file.network.root_certificates.into_iter().map(PathBuf::from).collect(),
        poll_interval: file.polling.interval,
        worker_concurrency: file.worker.concurrency,
        worker_lease: file.worker.lease,
        log_max_bytes: file.limits.log_max_bytes,
        body_budget_bytes: file.limits.body_budget_bytes,
        max_connections: file.server.max_connections,
        retention,
        quotas: Limits {
            requests_per_minute: file.quotas.requests_per_minute,
            workspace_requests_per_minute: file.quotas.workspace_requests_per_minute,
            deliveries_per_minute: file.quotas.deliveries_per_minute,
            workspace_deliveries_per_minute: file.quotas.workspace_deliveries_per_minute,
            bytes_per_day: file.quotas.bytes_per_day,
            unproved_per_minute: file.quotas.unproved_per_minute,
            trusted_proxies,
        },
        log_format,
        log_level: file.log.level,
        otlp_endpoint,
        smtp_url: (!file.mail.smtp_url.is_empty()).then(|| SecretString::from(file.mail.smtp_url)),
        smtp_from: (!file.mail.smtp_from.is_empty()).then_some(file.mail.smtp_from),
        platform_apps,
        callback_paths,
        log_sources,
        language_model,
    })
}

fn retention(days: &FileRetention, faults: &mut Vec<String>) -> Retention {
    let milliseconds = |days: u32| i64::from(days) * 24 * 60 * 60 * 1000;
    if days.deliveries < 7 {
        let why = "forges send a delivery again for so long, and it is known by its row";
        faults.push(format!("retention.deliveries must be at least 7 days: {why}"));
    }
    if [days.dead, days.tasks, days.analyses, days.incidents].contains(&0) {
        faults.push("retention.dead, tasks, analyses and incidents must be at least 1 day".to_owned());
    }
    Retention {
        deliveries_ms: milliseconds(days.deliveries),
        dead_ms: milliseconds(days.dead),
        tasks_ms: milliseconds(days.tasks),
        analyses_ms: milliseconds(days.analyses),
        incidents_ms: milliseconds(days.incidents),
    }
}

fn is_database_url(text: &str) -> bool {
    ["postgres://", "postgresql://", "sqlite:"].iter().any(|prefix| text.starts_with(prefix))
}

fn parse<T: std::str::FromStr>(text: &str, name: &str, wanted: &str, faults: &mut Vec<String>) -> Option<T> {
    let parsed = text.trim().parse().ok();
    if parsed.is_none() {
        faults.push(format!("{name} must be {wanted}"));
    }
    parsed
}

fn optional_url(text: &str, name: &str, faults: &mut Vec<String>) -> Option<Url> {
    if text.is_empty() {
        return None;
    }
    let url: Url = parse(text, name, "a URL such as https://rca.example.com", faults)?;
    if !matches!(url.scheme(), "http" | "https") {
        faults.push(format!("{name} must begin with https:// or http://"));
        return None;
    }
    Some(url)
}
