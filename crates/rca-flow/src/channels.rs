//! Channels: where people are told, which of it, and whether that works.

use rca_notify::{ChannelConfig, ChannelKind, Message, Notifier, Outlets, Tone, new_signing_secret};
use rca_store::{Channel, Notification, SecretOwner, Write, new_id};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::{
    analyses::one_of,
    connect::value,
    error::{FlowError, FlowErrorKind, Result},
    flow::{Caller, Flow},
    integrations::audit,
    jobs::{Told, digest_task, incident_code, is_lost, lost, notification, notify_task},
    types::{
        ChannelFilters, ChannelMade, ChannelPatch, ChannelRequest, ChannelView, List, NotificationView, page,
        time,
    },
};

/// The names under which a channel's secrets are sealed.
pub(crate) const CONFIG: &str = "config";
const SIGNING: &str = "signing_secret";
/// The most globs of one filter, and their longest.
const GLOBS: (usize, usize) = (100, 500);
/// When a test that was left in the middle is brought to its end: no request takes as long.
const TEST_ENDS_MS: i64 = 120_000;
/// The longest configuration, in bytes of JSON.
const CONFIG_BYTES: usize = 16 * 1024;

impl Flow {
    /// Channels, the newest first.
    ///
    /// # Errors
    /// `invalid_field`.
    pub async fn list_channels(
        &self,
        caller: &Caller,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<List<ChannelView>> {
        let page = self.store().list_channels(&caller.workspace, &page(limit, cursor)?).await?;
        Ok(List { items: page.items.into_iter().map(view).collect(), next_cursor: page.next_cursor })
    }

    /// One channel.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn get_channel(&self, caller: &Caller, id: &str) -> Result<ChannelView> {
        Ok(view(self.channel(&caller.workspace, id).await?))
    }

    /// Makes a channel. Nothing is sent to it yet.
    ///
    /// # Errors
    /// `invalid_field`, `address_not_allowed`.
    pub async fn add_channel(&self, caller: &Caller, request: ChannelRequest) -> Result<ChannelMade> {
        check_name(&request.name)?;
        let filters = request.filters.unwrap_or_default();
        check_filters(&filters)?;
        let kinds = ChannelKind::ALL.map(ChannelKind::as_str);
        one_of("kind", Some(&request.kind), &kinds)?;
        let signing = (request.kind == ChannelKind::Webhook.as_str())
            .then(|| new_signing_secret(&rand::random::<[u8; 32]>()));
        let config = Value::Object(request.config.clone());
        let is_waiting = is_without_chat(&request.kind, &config);
        if is_waiting {
            self.check_linkable(&config)?;
        } else {
            self.check_config(&request.kind, &config, signing.as_ref())?;
        }
        let channel = Channel {
            id: new_id(),
            workspace: caller.workspace.clone(),
            kind: request.kind,
            name: request.name,
            config: ChannelConfig::shown(&config),
            incidents: request.incidents.unwrap_or(filters.repositories.is_empty()),
            filters: value(&filters),
            digest: request.digest.unwrap_or(false),
            enabled: request.enabled.unwrap_or(true),
            disabled_reason: None,
            refusals: 0,
            created_at: self.store().now().await?,
        };
        let mut writes =
            vec![Write::PutChannel(channel.clone()), self.secret(&channel, CONFIG, &config_text(&config))];
        if let Some(signing) = &signing {
            writes.push(self.secret(&channel, SIGNING, signing));
        }
        writes.push(audit(
            caller,
            "channel.add",
            &channel.id,
            json!({ "kind": channel.kind, "name": channel.name }),
        ));
        self.store().write(writes).await?;
        let link = if is_waiting { Some(self.first_link(&channel, &config).await?) } else { None };
        #[expect(clippy::disallowed_methods, reason = "the person who set the channel up sees it here, once")]
        let signing_secret = signing.map(|secret| secret.expose_secret().to_owned());
        Ok(ChannelMade { channel: view(channel), signing_secret, link })
    }

    /// Changes a channel. A new configuration, or `enabled: true`, lets one go on that we stopped.
    ///
    /// # Errors
    /// `not_found`, `invalid_field`, `address_not_allowed`.
    pub async fn change_channel(
        &self,
        caller: &Caller,
        id: &str,
        patch: ChannelPatch,
    ) -> Result<ChannelView> {
        let mut channel = self.channel(&caller.workspace, id).await?;
        let mut writes = Vec::new();
        let mut changed = Vec::new();
        if let Some(name) = patch.name {
            check_name(&name)?;
            channel.name = name;
            changed.push("name");
        }
        if let Some(filters) = patch.filters {
            check_filters(&filters)?;
            channel.filters = value(&filters);
            changed.push("filters");
        }
        if let Some(incidents) = patch.incidents {
            channel.incidents = incidents;
            changed.push("incidents");
        }
        if let Some(digest) = patch.digest {
            channel.digest = digest;
            changed.push("digest");
            if !digest {
                writes.push(Write::Enqueue(digest_task(&channel, 0)));
            }
        }
        let is_repaired = patch.config.is_some() || patch.enabled == Some(true);
        if let Some(config) = patch.config.clone().map(Value::Object) {
            let config = &config;
            let owner = SecretOwner::channel(id);
            let signing = self.store().get_secret(&caller.workspace, &owner, SIGNING).await?;
            self.check_config(&channel.kind, config, signing.as_ref())?;
            channel.config = ChannelConfig::shown(config);
            writes.push(self.secret(&channel, CONFIG, &config_text(config)));
            changed.push("config");
        }
        if is_repaired && channel.disabled_reason.take().is_some() {
            channel.enabled = true;
            writes.extend(repaired(&channel));
        }
        if let Some(enabled) = patch.enabled {
            channel.enabled = enabled;
            changed.push("enabled");
        }
        writes.insert(0, Write::PutChannel(channel.clone()));
        writes.push(audit(caller, "channel.update", id, json!({ "changed": changed })));
        self.store().write(writes).await?;
        Ok(view(channel))
    }

    /// Removes a channel with its log; its secrets are wiped.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn remove_channel(&self, caller: &Caller, id: &str) -> Result<()> {
        let channel = self.channel(&caller.workspace, id).await?;
        self.end_updates(&channel).await;
        self.store()
            .write(vec![
                Write::DeleteChannel { workspace: caller.workspace.clone(), id: id.to_owned() },
                resolve_incident(&channel),
                audit(caller, "channel.remove", id, json!({ "kind": channel.kind, "name": channel.name })),
            ])
            .await?;
        self.store().delete_secrets(&caller.workspace, &SecretOwner::channel(id)).await?;
        Ok(())
    }

    /// What a channel was told, the newest first.
    ///
    /// # Errors
    /// `not_found`, `invalid_field`.
    pub async fn list_notifications(
        &self,
        caller: &Caller,
        id: &str,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<List<NotificationView>> {
        self.channel(&caller.workspace, id).await?;
        let page = page(limit, cursor)?;
        let page = self.store().list_notifications(&caller.workspace, id, &page).await?;
        let items = page.items.into_iter().map(shown).collect();
        Ok(List { items, next_cursor: page.next_cursor })
    }

    /// Sends a message to try the channel, at once, also to one that is switched off. When it arrives, a channel that
    /// we stopped goes on. How it went is the answer, and stands in the log.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn test_channel(&self, caller: &Caller, id: &str) -> Result<NotificationView> {
        let channel = self.channel(&caller.workspace, id).await?;
        let mut message =
            Message::new("test", Tone::Neutral, format!("Forge RCA can write to {}", channel.name));
        message.text.push("This is a test; failed pipelines will be told here.".to_owned());
        message.event = "test".to_owned();
        message.data = json!({ "channel_id": channel.id });
        let mut row = notification(&channel, format!("test:{}", new_id()), &message, &Told::default());
        "sending".clone_into(&mut row.state);
        let row_id = row.id.clone();
        let test = audit(caller, "channel.test", id, json!({}));
        // Should we not come to the end, somebody else does.
        let later = notify_task(&row.workspace, &row.id);
        let end = Write::Enqueue(later.clone().with_delay_ms(TEST_ENDS_MS));
        self.store().write(vec![Write::PutNotification(Box::new(row)), end, test]).await?;
        message.key.clone_from(&row_id);
        let result = match self.open_channel(&channel).await {
            Ok(notifier) => {
                notifier.send(&message, rca_notify::Place::New).await.map_err(|error| match is_lost(&error) {
                    true => ("unknown", lost(&error)),
                    false => ("failed", error.to_string()),
                })
            }
            Err(error) => Err(("failed", error.message)),
        };
        let (state, error, sent) = match result {
            Ok(sent) => ("sent", None, Some(value(&sent))),
            Err((state, error)) => (state, Some(error), None),
        };
        let mut writes = vec![Write::SetNotification {
            workspace: caller.workspace.clone(),
            id: row_id.clone(),
            state: state.to_owned(),
            error,
            sent,
        }];
        if state == "sent" {
            writes.extend(repaired(&channel));
        }
        // It finds the row at its end.
        writes.push(Write::Enqueue(later));
        self.store().write(writes).await?;
        let row = self.store().get_notification(&caller.workspace, &row_id).await?;
        row.map(shown).ok_or_else(|| FlowError::not_found("channel"))
    }

    pub(crate) async fn channel(&self, workspace: &str, id: &str) -> Result<Channel> {
        self.store().get_channel(workspace, id).await?.ok_or_else(|| FlowError::not_found("channel"))
    }

    /// The channel, ready to send.
    pub(crate) async fn open_channel(&self, channel: &Channel) -> Result<Box<dyn Notifier>> {
        if is_without_chat(&channel.kind, &channel.config) {
            let problem = "no chat is linked yet: open the link of POST /v1/channels/{id}/link";
            return Err(FlowError::invalid_field("config", problem.replace("{id}", &channel.id)));
        }
        let owner = SecretOwner::channel(&channel.id);
        let config = self.store().get_secret(&channel.workspace, &owner, CONFIG).await?;
        let signing = self.store().get_secret(&channel.workspace, &owner, SIGNING).await?;
        let config = config.ok_or_else(|| FlowError::not_found("channel"))?;
        #[expect(clippy::disallowed_methods, reason = "the configuration is read here, to send with it")]
        let config: Value = serde_json::from_str(config.expose_secret())
            .map_err(|_| FlowError::invalid_field("config", "is not readable; set it anew"))?;
        let config = ChannelConfig::parse(&channel.kind, &config)?;
        Ok(self.outlets()?.open(&config, signing.as_ref())?)
    }

    pub(crate) fn outlets(&self) -> Result<&Outlets> {
        self.config().outlets.as_ref().ok_or_else(|| {
            FlowError::new(
                FlowErrorKind::Unavailable,
                "no_channels",
                "this process sends no notifications; ask a server",
            )
        })
    }

    /// Refuses what could never be sent to.
    fn check_config(&self, kind: &str, config: &Value, signing: Option<&SecretString>) -> Result<()> {
        if config.to_string().len() > CONFIG_BYTES {
            return Err(FlowError::invalid_field("config", "is too long"));
        }
        let config = ChannelConfig::parse(kind, config)?;
        self.outlets()?.open(&config, signing)?;
        Ok(())
    }

    pub(crate) fn secret(&self, channel: &Channel, name: &str, secret: &SecretString) -> Write {
        Write::PutSecret {
            workspace: channel.workspace.clone(),
            owner: SecretOwner::channel(&channel.id),
            name: name.to_owned(),
            secret: secret.clone(),
        }
    }
}

pub(crate) fn config_text(config: &Value) -> SecretString {
    SecretString::from(config.to_string())
}

fn check_name(name: &str) -> Result<()> {
    if name.trim().is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err(FlowError::invalid_field("name", "needs 1 to 100 characters of one line"));
    }
    Ok(())
}

fn check_filters(filters: &ChannelFilters) -> Result<()> {
    one_of("filters.min_severity", filters.min_severity.as_deref(), &["low", "medium", "high"])?;
    let (most, longest) = GLOBS;
    for (field, globs) in
        [("filters.repositories", &filters.repositories), ("filters.branches", &filters.branches)]
    {
        if globs.len() > most || globs.iter().any(|glob| glob.is_empty() || glob.len() > longest) {
            return Err(FlowError::invalid_field(field, "takes up to 100 names of 1 to 500 characters"));
        }
    }
    Ok(())
}

/// The channel works: nothing stands against it any more.
pub(crate) fn repaired(channel: &Channel) -> Vec<Write> {
    vec![
        Write::SetChannelHealth {
            workspace: channel.workspace.clone(),
            id: channel.id.clone(),
            refusals: 0,
            disabled_reason: None,
        },
        resolve_incident(channel),
    ]
}

fn resolve_incident(channel: &Channel) -> Write {
    Write::ResolveIncident {
        workspace: channel.workspace.clone(),
        code: incident_code(&channel.id),
        integration: None,
        repository: None,
    }
}

/// A Telegram bot that no chat is linked to.
pub(crate) fn is_without_chat(kind: &str, config: &Value) -> bool {
    kind == ChannelKind::Telegram.as_str() && config.get("chat_id").is_none_or(Value::is_null)
}

fn view(channel: Channel) -> ChannelView {
    let is_waiting = is_without_chat(&channel.kind, &channel.config);
    ChannelView {
        id: channel.id,
        state: if is_waiting { "waiting" } else { "ready" }.to_owned(),
        kind: channel.kind,
        name: channel.name,
        config: channel.config,
        filters: serde_json::from_value(channel.filters).unwrap_or_default(),
        incidents: channel.incidents,
        digest: channel.digest,
        enabled: channel.enabled,
        disabled_reason: channel.disabled_reason,
        created_at: time(channel.created_at),
    }
}

fn shown(row: Notification) -> NotificationView {
    NotificationView {
        id: row.id,
        event: row.event,
        subject: row.subject,
        state: if row.state == "sending" { "pending".to_owned() } else { row.state },
        attempts: row.attempts,
        error: row.error,
        created_at: time(row.created_at),
        updated_at: time(row.updated_at),
    }
}
