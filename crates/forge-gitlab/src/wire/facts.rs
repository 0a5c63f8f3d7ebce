//! Changes, commits, test reports, past deliveries: docs api/merge_requests.md, api/repositories.md, api/pipelines.md,
//! api/project_webhooks.md.

use std::collections::HashMap;

use forge_core::model::{self, ChangedFile, FileChange, HookDelivery, ReportedTest};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::moment;

/// How much of a test's message is kept, in characters.
const MESSAGE_CHARS: usize = 4_000;

/// One file of a diff, the same for merge requests, commits and comparisons.
#[derive(Debug, Deserialize)]
pub(crate) struct FileDiff {
    #[serde(default)]
    old_path: String,
    #[serde(default)]
    new_path: String,
    #[serde(default)]
    new_file: bool,
    #[serde(default)]
    renamed_file: bool,
    #[serde(default)]
    deleted_file: bool,
    diff: Option<String>,
    too_large: Option<bool>,
    collapsed: Option<bool>,
}

impl FileDiff {
    pub(crate) fn into_file(self) -> ChangedFile {
        let change = if self.new_file {
            FileChange::Added
        } else if self.deleted_file {
            FileChange::Removed
        } else if self.renamed_file {
            FileChange::Renamed
        } else {
            FileChange::Modified
        };
        let path = if change == FileChange::Removed { &self.old_path } else { &self.new_path };
        let mut file = ChangedFile::new(path.clone(), change);
        file.old_path = (change == FileChange::Renamed).then(|| self.old_path.clone());
        let is_cut = self.too_large == Some(true) || self.collapsed == Some(true);
        // Old versions leave the text out without a flag, and a binary file has one sentence in place of hunks.
        match self.diff.filter(|diff| !is_cut && (diff.starts_with("@@ ") || diff.contains("\n@@ "))) {
            Some(diff) => file.with_patch(&diff),
            None => file,
        }
    }
}

/// `GET /projects/:id/repository/compare`.
#[derive(Debug, Deserialize)]
pub(crate) struct Comparison {
    #[serde(default)]
    pub(crate) commits: Vec<ListedCommit>,
    #[serde(default)]
    pub(crate) diffs: Vec<FileDiff>,
    #[serde(default)]
    pub(crate) compare_timeout: bool,
}

/// A commit of a list.
#[derive(Debug, Deserialize)]
pub(crate) struct ListedCommit {
    id: String,
    title: Option<String>,
    message: Option<String>,
    author_name: Option<String>,
    #[serde(default, deserialize_with = "moment")]
    pub(crate) committed_date: Option<Timestamp>,
    web_url: Option<String>,
}

impl ListedCommit {
    pub(crate) fn into_commit(self) -> model::Commit {
        // GitLab cuts long titles with an ellipsis of its own; the message has them whole.
        let text = self.message.or(self.title).unwrap_or_default();
        let mut commit = model::Commit::new(self.id, &text);
        commit.author = self.author_name.filter(|name| !name.is_empty());
        commit.committed_at = self.committed_date;
        commit.web_url = self.web_url;
        commit
    }
}

/// `GET /projects/:id/pipelines/:pipeline_id/test_report`.
#[derive(Debug, Deserialize)]
pub(crate) struct TestReport {
    #[serde(default)]
    pub(crate) test_suites: Vec<TestSuite>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TestSuite {
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) test_cases: Vec<TestCase>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TestCase {
    #[serde(default)]
    status: String,
    #[serde(default)]
    name: String,
    classname: Option<String>,
    file: Option<String>,
    /// Text, or an object where the report's XML has elements inside the failure.
    system_output: Option<Value>,
    stack_trace: Option<String>,
}

impl TestCase {
    pub(crate) fn is_failing(&self) -> bool {
        matches!(self.status.as_str(), "failed" | "error")
    }

    pub(crate) fn into_test(self) -> ReportedTest {
        let said = |text: String| (!text.trim().is_empty()).then_some(text);
        let mut test = ReportedTest::new(self.name);
        test.suite = self.classname.and_then(said);
        test.file = self.file.and_then(said);
        let output = match self.system_output {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => said(text),
            Some(Value::Object(fields)) => match fields.get("message") {
                Some(Value::String(text)) => said(text.clone()),
                _ => Some(Value::Object(fields).to_string()),
            },
            Some(other) => Some(other.to_string()),
        };
        test.message = output
            .or_else(|| self.stack_trace.and_then(said))
            .map(|text| text.chars().take(MESSAGE_CHARS).collect());
        test
    }
}

/// An event of a hook: what GitLab calls a delivery.
#[derive(Debug, Deserialize)]
pub(crate) struct HookEvent {
    id: u64,
    #[serde(default)]
    trigger: String,
    #[serde(default)]
    request_headers: HashMap<String, Value>,
    #[serde(default)]
    response_headers: HashMap<String, Value>,
    /// A number as text, or `internal error`.
    response_status: Option<Value>,
    #[serde(default, deserialize_with = "moment")]
    created_at: Option<Timestamp>,
}

impl HookEvent {
    /// The delivery; `newer` is when the one before it in the list was sent, which is newer.
    pub(crate) fn into_delivery(self, newer: Timestamp) -> HookDelivery {
        // The event has no time of its own (docs of 19.x): our answer's date tells, the signed time, or its neighbour.
        let answered = header(&self.response_headers, "date")
            .and_then(|text| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok());
        let signed = header(&self.request_headers, "webhook-timestamp")
            .and_then(|text| Timestamp::from_second(text.parse().ok()?).ok());
        let sent_at = self.created_at.or(signed).or(answered).unwrap_or(newer);
        let mut delivery = HookDelivery::new(self.id.to_string(), self.trigger, sent_at);
        delivery.event_id = header(&self.request_headers, "webhook-id")
            .or_else(|| header(&self.request_headers, "idempotency-key"))
            .map(str::to_owned);
        delivery.status = match &self.response_status {
            Some(Value::String(text)) => text.parse().ok(),
            Some(Value::Number(number)) => number.as_u64().and_then(|status| u16::try_from(status).ok()),
            _ => None,
        };
        delivery
    }
}

fn header<'a>(headers: &'a HashMap<String, Value>, name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?.1.as_str()
}
