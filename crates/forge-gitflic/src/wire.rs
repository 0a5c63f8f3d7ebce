//! Reading GitFlic's JSON, whose shapes differ between versions and between its documents and what it sends.

mod change;
mod ci;
mod repo;
mod words;

use forge_core::{Result, model::RepoRef};
use forge_http::Response;
use jiff::Timestamp;
use serde_json::Value;

pub(crate) use change::{Revision, branch, changed_file, revision};
pub(crate) use ci::{Artifact, job, number_jobs, run};
pub(crate) use repo::{User, hook, pull_request, repository, user};
pub(crate) use words::{branch_or_tag, conclusion_of, status_of};

use crate::clock::Clock;

/// A view into JSON by which nothing can fail: what is absent, null or of another type is `None`.
///
/// Read this way and not into structs because one surprising field must not cost the pipeline: `localId` is a string
/// in the documents and a number in fact, branches and statuses are words or objects, times may be placeholders.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a>(Option<&'a Value>);

impl<'a> Fields<'a> {
    pub(crate) fn new(value: &'a Value) -> Self {
        Self(Some(value))
    }

    pub(crate) fn at(self, key: &str) -> Self {
        Self(self.0.and_then(|value| value.get(key)).filter(|value| !value.is_null()))
    }

    pub(crate) fn has(self, key: &str) -> bool {
        self.at(key).0.is_some()
    }

    pub(crate) fn value(self) -> Option<&'a Value> {
        self.0
    }

    /// A non-empty string.
    pub(crate) fn text(self, key: &str) -> Option<String> {
        self.at(key).0.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// The first of `keys` that is a non-empty string.
    pub(crate) fn first_text(self, keys: &[&str]) -> Option<String> {
        keys.iter().find_map(|key| self.text(key))
    }

    /// An id or number, quoted or not.
    pub(crate) fn id(self, key: &str) -> Option<String> {
        match self.at(key).0? {
            Value::Number(number) => number.as_u64().map(|id| id.to_string()),
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            _ => None,
        }
    }

    /// A number within the project, quoted or not.
    pub(crate) fn number(self, key: &str) -> Option<String> {
        self.id(key).filter(|id| is_number(id))
    }

    pub(crate) fn flag(self, key: &str) -> Option<bool> {
        self.at(key).0.and_then(Value::as_bool)
    }

    pub(crate) fn items(self, key: &str) -> impl Iterator<Item = Self> + use<'a> {
        self.at(key).0.and_then(Value::as_array).into_iter().flatten().map(|item| Self(Some(item)))
    }

    /// The names that a word or an object stands for: itself, or its `id`, `title`, `name`. Of a list, its first's.
    pub(crate) fn names(self, key: &str) -> Vec<String> {
        let found = self.at(key);
        let found = match found.0 {
            Some(Value::Array(items)) => Self(items.first()),
            _ => found,
        };
        match found.0 {
            Some(Value::String(text)) => vec![text.clone()],
            Some(Value::Object(_)) => {
                ["id", "title", "name", "alias"].iter().filter_map(|key| found.text(key)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The word, in capitals: itself or the `id` of its object.
    pub(crate) fn word(self, key: &str) -> Option<String> {
        self.names(key).into_iter().next().map(|word| word.to_ascii_uppercase())
    }

    pub(crate) fn time(self, key: &str, clock: Clock) -> Option<Timestamp> {
        clock.read(self.at(key).0?.as_str()?)
    }
}

/// Whether `text` is a number as pipelines and jobs are addressed by.
pub(crate) fn is_number(text: &str) -> bool {
    (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What `read` makes of an answer, or an error that the answer lacks `what`.
pub(crate) fn read<T>(
    response: &Response,
    what: &str,
    read: impl FnOnce(Fields<'_>) -> Option<T>,
) -> Result<T> {
    let value: Value = response.json()?;
    read(Fields::new(&value)).ok_or_else(|| response.unexpected(format!("the answer is not {what}")))
}

/// The page of a person at the web address.
pub(crate) fn web_url(base_url: &str, repo: &RepoRef, rest: &str) -> Option<String> {
    let base = base_url.trim_end_matches('/');
    (!repo.full_name.is_empty()).then(|| format!("{base}/project/{}{rest}", repo.full_name))
}
