//! The "chat completions" that many servers of language models understand: POST `{base}/chat/completions`.

#![expect(clippy::disallowed_methods, reason = "the key goes into the request here")]

use std::sync::Arc;

use async_trait::async_trait;
use forge_core::{Credential, CredentialKind, Error, ErrorKind, ForgeKind, Result, StaticCredential};
use forge_http::{Answer, ApiClient, Dialect, HttpClient, RateLimit};
use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::{Completion, LanguageModel};

const KIND: ForgeKind = ForgeKind::custom("language-model");
/// The longest answer that is read.
const ANSWER_BYTES: usize = 256 * 1024;
/// Enough for the two texts.
const MOST_TOKENS: u32 = 700;

/// A model behind an endpoint of that kind.
#[derive(Debug)]
pub struct ChatCompletions {
    api: ApiClient,
    model: String,
}

impl ChatCompletions {
    /// The model of that name at `base_url`, e.g. `https://llm.example.com/v1`; a local one may need no key.
    ///
    /// # Errors
    /// When `http` may not speak to that address.
    pub fn new(
        http: &HttpClient,
        base_url: &Url,
        model: impl Into<String>,
        key: Option<SecretString>,
    ) -> Result<Self> {
        http.check_url(base_url)?;
        let credential = match key {
            Some(key) => Credential::new(CredentialKind::AccessToken, key),
            None => Credential::none(),
        };
        let credential = Arc::new(StaticCredential::new(credential));
        let api = ApiClient::new(http.clone(), base_url.clone(), credential, Arc::new(Wire));
        Ok(Self { api, model: model.into() })
    }
}

#[derive(Deserialize)]
struct Response {
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    total_tokens: Option<u64>,
}

#[async_trait]
impl LanguageModel for ChatCompletions {
    fn name(&self) -> &str {
        &self.model
    }

    async fn complete(&self, system: &str, user: &str) -> Result<Completion> {
        let request = json!({
            "model": self.model,
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
            "temperature": 0,
            "max_tokens": MOST_TOKENS,
            "stream": false,
        });
        // Each is paid for, and the report does not need it: no second try.
        let request = self.api.post("/chat/completions").json(&request).once().max_body(ANSWER_BYTES);
        let answer = request.operation("ask the language model").send().await?;
        let response: Response = answer.json()?;
        let content = response.choices.into_iter().next().and_then(|choice| choice.message.content);
        let text = content.ok_or_else(|| answer.unexpected("the answer has no words"))?;
        Ok(Completion { text, tokens: response.usage.and_then(|usage| usage.total_tokens) })
    }
}

#[derive(Debug)]
struct Wire;

impl Dialect for Wire {
    fn kind(&self) -> ForgeKind {
        KIND
    }

    fn headers(&self) -> HeaderMap {
        HeaderMap::new()
    }

    fn authorize(&self, credential: &Credential, headers: &mut HeaderMap) -> Result<()> {
        if credential.kind() == CredentialKind::None {
            return Ok(());
        }
        let mut value = HeaderValue::try_from(format!("Bearer {}", credential.secret().expose_secret()))
            .map_err(|_| Error::new(ErrorKind::InvalidInput, "the key has characters that no key has"))?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
        Ok(())
    }

    /// By the status alone: such servers quote the key and the question in their messages.
    fn classify(&self, answer: &Answer<'_>) -> Error {
        let kind = match answer.status.as_u16() {
            401 => ErrorKind::Unauthorized,
            403 => ErrorKind::Forbidden,
            404 => ErrorKind::NotFound,
            429 => ErrorKind::RateLimited,
            400..=499 => ErrorKind::Invalid,
            _ => ErrorKind::Forge,
        };
        Error::new(kind, "the language model refused").with_status(answer.status.as_u16())
    }

    fn rate_limit(&self, _headers: &HeaderMap, _now: Timestamp) -> Option<RateLimit> {
        None
    }
}
