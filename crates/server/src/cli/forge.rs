//! `repos`, `hooks`, `runs`, `jobs`, `log`: one adapter by hand, as JSON lines; the quickest way to see what a token
//! can do.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use forge_core::{
    AppKey, BoxStream, Credential, CredentialKind, CredentialProvider, ForgeClient, ForgeClientExt as _,
    ForgeKind, Instance, LogOptions, StaticCredential,
    model::{RepoRef, RunRef},
};
use forge_http::HttpClient;
use futures_util::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::Serialize;

use super::Failure;
use crate::{
    config::{LogSource, LogSourceKind},
    providers,
};

/// Where to ask and as whom.
#[derive(Debug, Args)]
pub(super) struct Connection {
    /// gitlab, github, bitbucket-cloud, bitbucket-dc or gitflic.
    #[arg(long)]
    forge: ForgeKind,
    /// The web address of the instance, e.g. https://gitlab.example.com; the forge's own cloud when left out.
    #[arg(long)]
    base_url: Option<String>,
    /// The root of the REST API, where it does not follow from the base URL.
    #[arg(long)]
    api_base_url: Option<String>,
    /// The access token. The environment variable or --token-file keep it out of the process list.
    #[arg(long, env = "FORGE_RCA_FORGE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A file that holds the access token.
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// The account's mail address, for tokens that are sent together with one (Atlassian API tokens).
    #[arg(long)]
    email: Option<String>,
    /// A GitHub App instead of a token: its id or client id.
    #[arg(long, requires = "private_key_file", requires = "installation", conflicts_with_all = ["token", "token_file"])]
    app_id: Option<String>,
    /// The file with the app's private key, PEM.
    #[arg(long, value_name = "FILE", requires = "app_id")]
    private_key_file: Option<PathBuf>,
    /// The app's installation.
    #[arg(long, value_name = "ID", requires = "app_id")]
    installation: Option<String>,
    /// Where the logs of Bitbucket Data Center's builds lie: jenkins=URL, bamboo=URL or teamcity=URL.
    #[arg(long, value_name = "KIND=URL", value_parser = log_source)]
    log_source: Option<(LogSourceKind, url::Url)>,
    /// The user of the log source's token, where it goes as a password.
    #[arg(long, value_name = "USER", requires = "log_source")]
    log_source_user: Option<String>,
    /// The log source's token.
    #[arg(long, env = "FORGE_RCA_LOG_SOURCE_TOKEN", hide_env_values = true)]
    log_source_token: Option<String>,
    /// Networks beside public ones that may be reached, e.g. 10.0.0.0/8; may be repeated.
    #[arg(long = "allow-network", value_name = "CIDR")]
    allowed_networks: Vec<forge_http::IpNetwork>,
    /// Allow http:// addresses: the token can be read on the way.
    #[arg(long)]
    dangerous_allow_http: bool,
}

/// A repository of the connection.
#[derive(Debug, Args)]
pub(super) struct InRepository {
    #[command(flatten)]
    connection: Connection,
    /// The repository: its full name or the forge's id.
    #[arg(long)]
    repo: String,
}

#[derive(Debug, Args)]
pub(super) struct RunsArguments {
    #[command(flatten)]
    repository: InRepository,
    /// One run; without it the runs that failed lately.
    #[arg(long)]
    run: Option<String>,
    /// How many days back to look for failed runs.
    #[arg(long, default_value_t = 7)]
    days: u32,
}

#[derive(Debug, Args)]
pub(super) struct JobsArguments {
    #[command(flatten)]
    repository: InRepository,
    /// The run whose jobs to list.
    #[arg(long)]
    run: String,
    /// Which attempt of the run; the latest when left out.
    #[arg(long)]
    attempt: Option<u32>,
    /// Only jobs that failed.
    #[arg(long)]
    failed: bool,
}

#[derive(Debug, Args)]
pub(super) struct LogArguments {
    #[command(flatten)]
    repository: InRepository,
    /// The job whose log to print.
    #[arg(long)]
    job: String,
    /// Stop after so many bytes.
    #[arg(long, default_value_t = LogOptions::default().max_bytes)]
    max_bytes: u64,
}

pub(super) fn repos(connection: &Connection) -> Result<(), Failure> {
    block_on(async {
        let client = connection.client()?;
        tell_identity(&*client).await?;
        print_all(client.repos().list_repos(), "repositories").await
    })
}

pub(super) fn hooks(arguments: &InRepository) -> Result<(), Failure> {
    block_on(async {
        let (client, repo) = arguments.resolve().await?;
        print_all(client.require_hooks().map_err(Failure::input)?.list_hooks(&repo), "hooks").await
    })
}

pub(super) fn runs(arguments: &RunsArguments) -> Result<(), Failure> {
    block_on(async {
        let (client, repo) = arguments.repository.resolve().await?;
        let ci = client.require_ci().map_err(Failure::input)?;
        if let Some(run) = &arguments.run {
            return print_line(&ci.get_run(&repo, &RunRef::new(run.clone())).await.map_err(check_failed)?);
        }
        let since = Timestamp::now() - SignedDuration::from_hours(24 * i64::from(arguments.days));
        print_all(ci.list_failed_runs(&repo, since), "failed runs").await
    })
}

pub(super) fn jobs(arguments: &JobsArguments) -> Result<(), Failure> {
    block_on(async {
        let (client, repo) = arguments.repository.resolve().await?;
        let ci = client.require_ci().map_err(Failure::input)?;
        let run = RunRef::new(arguments.run.clone()).with_attempt(arguments.attempt);
        let only_failed = arguments.failed;
        let jobs = ci
            .list_jobs(&repo, &run)
            .try_filter(move |job| std::future::ready(!only_failed || job.is_failed()));
        print_all(Box::pin(jobs), "jobs").await
    })
}

pub(super) fn log(arguments: &LogArguments) -> Result<(), Failure> {
    block_on(async {
        let (client, repo) = arguments.repository.resolve().await?;
        let ci = client.require_ci().map_err(Failure::input)?;
        let job = ci.get_job(&repo, &arguments.job).await.map_err(check_failed)?;
        let mut log =
            ci.job_log(&repo, &job, LogOptions::new(arguments.max_bytes)).await.map_err(check_failed)?;
        while let Some(chunk) = log.bytes.try_next().await.map_err(check_failed)? {
            io::stdout().write_all(&chunk)?;
        }
        if log.is_truncated() {
            writeln!(io::stderr(), "forge-rca: the log is longer; --max-bytes reads more")?;
        }
        Ok(())
    })
}

impl Connection {
    fn client(&self) -> Result<Arc<dyn ForgeClient>, Failure> {
        let base = match (&self.base_url, cloud_address(self.forge)) {
            (Some(base), _) => base.as_str(),
            (None, Some(cloud)) => cloud,
            (None, None) => return Err(Failure::input(format!("--base-url is needed for {}", self.forge))),
        };
        let mut instance = Instance::new(base).map_err(Failure::input)?;
        if let Some(api) = &self.api_base_url {
            instance = instance.with_api_base_url(api).map_err(Failure::input)?;
        }
        let http = HttpClient::builder()
            .with_allowed_networks(self.allowed_networks.iter().copied())
            .with_http_allowed(self.dangerous_allow_http)
            .build()
            .map_err(Failure::input)?;
        let provider = providers::all(&http, &self.log_sources()?)
            .map_err(Failure::input)?
            .into_iter()
            .find(|provider| provider.kind() == self.forge)
            .ok_or_else(|| Failure::input(format!("this build has no adapter for {}", self.forge)))?;
        let credentials: Arc<dyn CredentialProvider> = match &self.app_id {
            Some(app_id) => {
                provider.installation(&instance, &self.app_key(app_id)?).map_err(Failure::input)?
            }
            None => Arc::new(StaticCredential::new(self.credential()?)),
        };
        provider.connect(&instance, credentials).map_err(Failure::input)
    }

    fn app_key(&self, app_id: &str) -> Result<AppKey, Failure> {
        let path = self.private_key_file.as_deref().unwrap_or_else(|| Path::new("-"));
        let key = std::fs::read_to_string(path)
            .map_err(|error| Failure::input(format!("cannot read {}: {error}", path.display())))?;
        Ok(AppKey {
            app_id: app_id.to_owned(),
            private_key: SecretString::from(key),
            installation_id: self.installation.clone().unwrap_or_default(),
        })
    }

    fn log_sources(&self) -> Result<Vec<LogSource>, Failure> {
        let Some((kind, base_url)) = &self.log_source else { return Ok(Vec::new()) };
        let token = self
            .log_source_token
            .as_deref()
            .ok_or_else(|| Failure::input("a log source needs its token: set FORGE_RCA_LOG_SOURCE_TOKEN"))?;
        Ok(vec![LogSource {
            kind: *kind,
            base_url: base_url.clone(),
            username: self.log_source_user.clone(),
            token: SecretString::from(token.trim().to_owned()),
        }])
    }

    fn credential(&self) -> Result<Credential, Failure> {
        let token = match (&self.token, &self.token_file) {
            (Some(token), _) => token.trim().to_owned(),
            (None, Some(path)) => std::fs::read_to_string(path)
                .map_err(|error| Failure::input(format!("cannot read {}: {error}", path.display())))?
                .trim()
                .to_owned(),
            (None, None) => return Ok(Credential::none()),
        };
        let token = SecretString::from(token);
        Ok(match &self.email {
            Some(email) => Credential::new(CredentialKind::ApiToken, token).with_user(email.clone()),
            None => Credential::new(CredentialKind::AccessToken, token),
        })
    }
}

impl InRepository {
    async fn resolve(&self) -> Result<(Arc<dyn ForgeClient>, RepoRef), Failure> {
        let client = self.connection.client()?;
        let repo = client.repos().get_repo(&self.repo).await.map_err(check_failed)?;
        Ok((client, repo.as_ref()))
    }
}

fn cloud_address(forge: ForgeKind) -> Option<&'static str> {
    Some(match forge {
        ForgeKind::GITLAB => "https://gitlab.com",
        ForgeKind::GITHUB => "https://github.com",
        ForgeKind::BITBUCKET_CLOUD => "https://bitbucket.org",
        ForgeKind::GITFLIC => "https://gitflic.ru",
        _ => return None,
    })
}

fn log_source(text: &str) -> Result<(LogSourceKind, url::Url), String> {
    let (kind, url) = text.split_once('=').ok_or("write jenkins=https://ci.example.com")?;
    let kind = match kind {
        "jenkins" => LogSourceKind::Jenkins,
        "bamboo" => LogSourceKind::Bamboo,
        "teamcity" => LogSourceKind::TeamCity,
        _ => return Err("the kind is jenkins, bamboo or teamcity".to_owned()),
    };
    Ok((kind, url.parse().map_err(|error| format!("the address is none: {error}"))?))
}

/// Says on standard error whose the credential is and what it lacks. Some credentials may not ask that and are good for
/// the rest all the same.
async fn tell_identity(client: &dyn ForgeClient) -> Result<(), Failure> {
    let mut error = io::stderr();
    let identity = match client.whoami().await {
        Ok(identity) => identity,
        Err(refused) => {
            writeln!(error, "cannot tell whose the token is: {refused}")?;
            return Ok(());
        }
    };
    writeln!(error, "account: {}", identity.account.login)?;
    if let Some(version) = &identity.server_version {
        writeln!(error, "version: {version}")?;
    }
    if let Some(scopes) = &identity.scopes {
        writeln!(error, "scopes: {}", scopes.join(", "))?;
    }
    if !identity.missing_scopes.is_empty() {
        writeln!(error, "missing scopes: {}", identity.missing_scopes.join(", "))?;
    }
    if let Some(expires_at) = identity.expires_at {
        writeln!(error, "expires: {expires_at}")?;
    }
    Ok(())
}

/// What the forge refuses is a failed check; what we cannot even ask is wrong input.
fn check_failed(error: forge_core::Error) -> Failure {
    Failure::Check(error.to_string())
}

async fn print_all<T: Serialize>(
    mut items: BoxStream<'_, forge_core::Result<T>>,
    what: &str,
) -> Result<(), Failure> {
    let mut count = 0_u64;
    while let Some(item) = items.try_next().await.map_err(check_failed)? {
        print_line(&item)?;
        count += 1;
    }
    writeln!(io::stderr(), "{count} {what}")?;
    Ok(())
}

fn print_line(item: &impl Serialize) -> Result<(), Failure> {
    let line = serde_json::to_string(item).map_err(Failure::input)?;
    writeln!(io::stdout(), "{line}")?;
    Ok(())
}

fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::input)?.block_on(work)
}
