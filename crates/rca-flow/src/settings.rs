//! The settings of a workspace: what is said by default, and where logs lie of forges that have no CI.

#![expect(clippy::disallowed_methods, reason = "the fingerprint of a token is made here")]

use std::{fmt, sync::Arc};

use forge_core::{ForgeKind, Provider};
use rca_store::{SecretOwner, Store};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use crate::{
    connect::value,
    error::{FlowError, FlowErrorKind, Result},
    flow::{Caller, Flow},
    integrations::{audit, merge},
    types::{LogSourceChange, LogSourceKind, LogSourceView, SettingsChange, SettingsView},
};

mod wishes;

pub(crate) use wishes::{rate_caps, retention, rules};

/// So many log sources a workspace has at most.
const MOST_SOURCES: usize = 50;
/// How often a change is tried again that another one came before.
const TRIES: usize = 5;

/// A CI server that holds logs, with its token.
#[derive(Debug, Clone)]
pub struct LogSource {
    /// Which one it is.
    pub kind: LogSourceKind,
    /// Its address.
    pub base_url: Url,
    /// The user of the token.
    pub username: Option<String>,
    /// The token.
    pub token: SecretString,
}

/// Makes the adapter of a forge whose logs lie elsewhere.
///
/// The sources of a workspace are given to the clients of that workspace's integrations and to no others.
pub trait LogSourceAdapter: fmt::Debug + Send + Sync {
    /// The forge.
    fn forge(&self) -> ForgeKind;

    /// Whether a source may be spoken to.
    ///
    /// # Errors
    /// When its address cannot be one, or lies where the operator does not allow.
    fn check(&self, source: &LogSource) -> forge_core::Result<()>;

    /// The adapter with these sources, and those of the operator.
    ///
    /// # Errors
    /// As [`LogSourceAdapter::check`].
    fn provider(&self, sources: &[LogSource]) -> forge_core::Result<Arc<dyn Provider>>;
}

/// A log source as it is stored; its token is sealed under its id.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoredSource {
    id: String,
    kind: LogSourceKind,
    base_url: String,
    username: Option<String>,
    fingerprint: String,
}

impl StoredSource {
    fn secret_name(&self) -> String {
        format!("log_source:{}", self.id)
    }
}

impl Flow {
    /// The settings of the caller's workspace. Secrets are in it as fingerprints only.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn get_settings(&self, caller: &Caller) -> Result<SettingsView> {
        Ok(view(&self.store().get_settings(&caller.workspace).await?))
    }

    /// Changes the settings; it holds from the next request to a forge on, in every replica.
    ///
    /// # Errors
    /// `invalid_field`, `address_not_allowed`, `conflict` when others change them all the time.
    pub async fn change_settings(&self, caller: &Caller, change: SettingsChange) -> Result<SettingsView> {
        let wishes = wishes::checked(&change, self.config().retention)?;
        for _ in 0..TRIES {
            let known = self.store().get_settings(&caller.workspace).await?;
            let mut settings = known.as_object().cloned().unwrap_or_default();
            if let Some(feedback) = &change.feedback {
                let before = known.get("feedback").cloned().unwrap_or_default();
                settings.insert("feedback".to_owned(), merge(&before, *feedback));
            }
            let (mut secrets, mut dropped) = (Vec::new(), Vec::new());
            if let Some(wanted) = &change.log_sources {
                let before = stored_sources(&known);
                let sources = self.new_sources(&before, wanted, &mut secrets)?;
                dropped.extend(
                    before
                        .iter()
                        .filter(|old| !sources.iter().any(|new| new.id == old.id))
                        .map(StoredSource::secret_name),
                );
                settings.insert("log_sources".to_owned(), value(&sources));
                // By it every replica sees that its clients are of yesterday.
                settings.insert("log_sources_version".to_owned(), json!(rca_store::new_id()));
            }
            for (name, wish) in &wishes {
                match wish {
                    Some(wish) => settings.insert((*name).to_owned(), wish.clone()),
                    None => settings.remove(*name),
                };
            }
            let (store, settings) = (self.store(), Value::Object(settings));
            if store.change_settings(&caller.workspace, &known, &settings, &secrets, &dropped).await? {
                let changed: Vec<&str> = [
                    change.feedback.is_some().then_some("feedback"),
                    change.log_sources.is_some().then_some("log_sources"),
                ]
                .into_iter()
                .flatten()
                .chain(wishes.iter().map(|(name, _)| *name))
                .collect();
                let detail = json!({ "changed": changed });
                store.write(vec![audit(caller, "settings.update", &caller.workspace, detail)]).await?;
                return Ok(view(&settings));
            }
        }
        Err(FlowError::new(
            FlowErrorKind::Conflict,
            "conflict",
            "the settings were changed by somebody else at the same time: try again",
        ))
    }

    fn new_sources(
        &self,
        before: &[StoredSource],
        wanted: &[LogSourceChange],
        secrets: &mut Vec<(String, SecretString)>,
    ) -> Result<Vec<StoredSource>> {
        let Some(adapter) = &self.config().log_sources else {
            return Err(FlowError::invalid_field("log_sources", "no forge of this installation needs them"));
        };
        if wanted.len() > MOST_SOURCES {
            return Err(FlowError::invalid_field("log_sources", format!("are more than {MOST_SOURCES}")));
        }
        let mut sources: Vec<StoredSource> = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            let instance = forge_core::Instance::new(&wanted.base_url)
                .map_err(|error| FlowError::invalid_field("log_sources.base_url", error.message()))?;
            let base_url = instance.base_url().as_str().trim_end_matches('/').to_owned();
            let username = wanted.username.clone().filter(|name| !name.trim().is_empty());
            if sources.iter().any(|known| known.base_url == base_url) {
                return Err(FlowError::invalid_field("log_sources", format!("name {base_url} twice")));
            }
            // A token is only ever kept for the very place and user that it was given for.
            let known = before.iter().find(|known| {
                (known.kind, &known.base_url, &known.username) == (wanted.kind, &base_url, &username)
            });
            let token = wanted.token.as_ref().filter(|token| !token.expose_secret().trim().is_empty());
            let source = match (known, token) {
                (Some(known), None) => known.clone(),
                (None, None) => {
                    let problem = format!("is needed for {base_url}");
                    return Err(FlowError::invalid_field("log_sources.token", problem));
                }
                (known, Some(token)) => {
                    let id = known.map_or_else(rca_store::new_id, |known| known.id.clone());
                    let fingerprint = fingerprint(&id, token);
                    StoredSource { id, kind: wanted.kind, base_url: base_url.clone(), username, fingerprint }
                }
            };
            let checked = LogSource {
                kind: source.kind,
                base_url: instance.base_url().clone(),
                username: source.username.clone(),
                token: token.cloned().unwrap_or_default(),
            };
            adapter.check(&checked)?;
            if let Some(token) = token {
                secrets.push((source.secret_name(), token.clone()));
            }
            sources.push(source);
        }
        Ok(sources)
    }
}

/// What tells whether clients of a workspace were made with its present log sources.
pub(crate) fn log_sources_version(settings: &Value) -> &str {
    settings.get("log_sources_version").and_then(Value::as_str).unwrap_or_default()
}

/// The log sources of a workspace with their tokens.
pub(crate) async fn log_sources(
    store: &Store,
    workspace: &str,
    settings: &Value,
) -> rca_store::Result<Vec<LogSource>> {
    let owner = SecretOwner::settings(workspace);
    let mut sources = Vec::new();
    for stored in stored_sources(settings) {
        // One that was removed since the settings were read is none any more.
        let Some(token) = store.get_secret(workspace, &owner, &stored.secret_name()).await? else { continue };
        let Ok(base_url) = Url::parse(&stored.base_url) else { continue };
        sources.push(LogSource { kind: stored.kind, base_url, username: stored.username, token });
    }
    Ok(sources)
}

fn stored_sources(settings: &Value) -> Vec<StoredSource> {
    settings
        .get("log_sources")
        .and_then(|sources| serde_json::from_value(sources.clone()).ok())
        .unwrap_or_default()
}

fn view(settings: &Value) -> SettingsView {
    let feedback = settings.get("feedback").cloned().unwrap_or_default();
    SettingsView {
        feedback: serde_json::from_value(feedback).unwrap_or_default(),
        log_sources: stored_sources(settings)
            .into_iter()
            .map(|source| LogSourceView {
                kind: source.kind,
                base_url: source.base_url,
                username: source.username,
                fingerprint: source.fingerprint,
            })
            .collect(),
        rules: wishes::read(settings, "rules"),
        retention: wishes::read(settings, "retention").unwrap_or_default(),
        rate_caps: wishes::rate_caps(settings),
        digest: wishes::read(settings, "digest"),
    }
}

/// The id is random and never shown, so that a weak token cannot be guessed from it.
fn fingerprint(id: &str, token: &SecretString) -> String {
    let mut hash = Sha256::new();
    hash.update(id.as_bytes());
    hash.update([0]);
    hash.update(token.expose_secret().as_bytes());
    let mut text = hex::encode(hash.finalize());
    text.truncate(12);
    text
}
