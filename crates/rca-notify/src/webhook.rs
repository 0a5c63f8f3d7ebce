//! A request to an address of the user, signed as Standard Webhooks says.

#![expect(clippy::disallowed_methods, reason = "requests are signed here, and the address is a secret")]

use std::sync::Arc;

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use forge_core::{Credential, Error, ErrorKind, ForgeKind, Result, StaticCredential};
use forge_http::{ApiClient, HttpClient};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use sha2::Sha256;
use url::Url;

use crate::{Message, Notifier, Place, Sent, chat::Chat, config::WebhookConfig};

const KIND: ForgeKind = ForgeKind::custom("webhook");

#[derive(Debug)]
pub(crate) struct Webhook {
    api: ApiClient,
    path: SecretString,
    key: SecretString,
}

/// A new signing secret out of `entropy`, 32 bytes from a cryptographic source: `whsec_` and base64.
#[must_use]
pub fn new_signing_secret(entropy: &[u8; 32]) -> SecretString {
    SecretString::from(format!("whsec_{}", STANDARD.encode(entropy)))
}

impl Webhook {
    pub(crate) fn new(http: &HttpClient, config: &WebhookConfig, key: &SecretString) -> Result<Self> {
        let invalid = || Error::new(ErrorKind::InvalidInput, "url is not an address");
        let url = Url::parse(config.url.expose_secret()).map_err(|_| invalid())?;
        http.check_url(&url)?;
        let mut base = url.clone();
        base.set_path("");
        base.set_query(None);
        base.set_fragment(None);
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let nobody = Arc::new(StaticCredential::new(Credential::none()));
        let dialect = Arc::new(Chat { kind: KIND, read: |_| None });
        let api = ApiClient::new(http.clone(), base, nobody, dialect);
        Ok(Self { api, path: path.into(), key: key.clone() })
    }

    fn sign(&self, id: &str, time: &str, body: &[u8]) -> Result<String> {
        let unusable = || Error::new(ErrorKind::InvalidInput, "the signing secret is not whsec_ and base64");
        let encoded = self.key.expose_secret().strip_prefix("whsec_").ok_or_else(unusable)?;
        let key = STANDARD.decode(encoded).map_err(|_| unusable())?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| unusable())?;
        for part in [id.as_bytes(), b".", time.as_bytes(), b".", body] {
            mac.update(part);
        }
        Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    }
}

#[async_trait]
impl Notifier for Webhook {
    fn can_edit(&self) -> bool {
        false
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    async fn send(&self, message: &Message, _place: Place<'_>) -> Result<Sent> {
        let now = Timestamp::now();
        let value = json!({ "type": message.event, "timestamp": now.to_string(), "data": message.data });
        let time = now.as_second().to_string();
        // The request writes the same value the same way, so these are the bytes that travel.
        let body = serde_json::to_vec(&value)
            .map_err(|_| Error::new(ErrorKind::InvalidInput, "the message cannot be JSON"))?;
        let signature = self.sign(&message.key, &time, &body)?;
        let mut request = self.api.post(self.path.expose_secret()).json(&value).operation("call the webhook");
        for (name, value) in [
            ("webhook-id", message.key.as_str()),
            ("webhook-timestamp", time.as_str()),
            ("webhook-signature", signature.as_str()),
        ] {
            let value = HeaderValue::from_str(value)
                .map_err(|_| Error::new(ErrorKind::InvalidInput, "the message's key cannot be a header"))?;
            request = request.header(HeaderName::from_static(name), value);
        }
        request.send().await?;
        Ok(Sent::new(message.key.clone()))
    }
}
