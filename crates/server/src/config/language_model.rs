//! The section `[language_model]`: off unless an address is given.

use std::{path::Path, time::Duration};

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::optional_url;

/// A language model that may say explanations in other words.
#[derive(Debug, Clone)]
pub struct LanguageModel {
    /// Where it is, e.g. `https://llm.example.com/v1`.
    pub base_url: Url,
    /// Its name there.
    pub model: String,
    /// What it is paid with; a local one may need none.
    pub api_key: Option<SecretString>,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Requests a day; 0 is no limit.
    pub requests_per_day: u64,
    /// Tokens a day; 0 is no limit.
    pub tokens_per_day: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Section {
    base_url: String,
    model: String,
    api_key: String,
    api_key_file: String,
    timeout: u64,
    requests_per_day: u64,
    tokens_per_day: u64,
}

pub(super) fn check(section: Section, may_be_http: bool, faults: &mut Vec<String>) -> Option<LanguageModel> {
    let base_url = optional_url(&section.base_url, "language_model.base_url", faults)?;
    if base_url.scheme() == "http" && !may_be_http {
        faults.push(
            "language_model.base_url must begin with https://: plain http would show the key".to_owned(),
        );
    }
    if section.model.is_empty() {
        faults.push("language_model.model must name the model".to_owned());
    }
    if section.timeout == 0 {
        faults.push("language_model.timeout must be at least 1 second".to_owned());
    }
    let api_key = match (section.api_key.as_str(), section.api_key_file.as_str()) {
        ("", "") => None,
        (_, "") => Some(section.api_key),
        ("", path) => match std::fs::read_to_string(Path::new(path)) {
            Ok(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
            Ok(_) => {
                faults.push(format!("language_model.api_key_file {path} is empty"));
                None
            }
            Err(error) => {
                faults.push(format!("cannot read language_model.api_key_file {path}: {error}"));
                None
            }
        },
        _ => {
            faults.push("language_model needs api_key or api_key_file, not both".to_owned());
            None
        }
    };
    Some(LanguageModel {
        base_url,
        model: section.model,
        api_key: api_key.map(SecretString::from),
        timeout: Duration::from_secs(section.timeout),
        requests_per_day: section.requests_per_day,
        tokens_per_day: section.tokens_per_day,
    })
}
