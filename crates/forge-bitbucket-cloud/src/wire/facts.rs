use forge_core::model::{self, FileChange, ReportedTest};
use serde::Deserialize;
use serde_json::Value;

use super::{Links, html_link, non_empty, time};

/// The longest message of a test that is taken over, in characters.
const MAX_MESSAGE_CHARS: usize = 4000;

/// One file of a change.
#[derive(Debug, Deserialize)]
pub(crate) struct ChangedPath {
    status: Option<String>,
    old: Option<PathAnswer>,
    new: Option<PathAnswer>,
}

#[derive(Debug, Deserialize)]
struct PathAnswer {
    path: Option<String>,
}

impl ChangedPath {
    /// `None` where no path is said.
    pub(crate) fn into_model(self) -> Option<model::ChangedFile> {
        let old = self.old.and_then(|side| non_empty(side.path));
        let new = self.new.and_then(|side| non_empty(side.path));
        let is_moved = matches!((&old, &new), (Some(old), Some(new)) if old != new);
        let change = match self.status.as_deref().unwrap_or_default() {
            "added" => FileChange::Added,
            "removed" => FileChange::Removed,
            _ if is_moved => FileChange::Renamed,
            // "merge conflict", "rename/delete conflict" and the like say what would become of it.
            _ if old.is_none() && new.is_some() => FileChange::Added,
            _ if new.is_none() => FileChange::Removed,
            _ => FileChange::Modified,
        };
        let old_path = old.clone().filter(|_| change == FileChange::Renamed);
        let mut file = model::ChangedFile::new(new.or(old)?, change);
        file.old_path = old_path;
        Some(file)
    }
}

/// A branch, and the commit that it stands at.
#[derive(Debug, Deserialize)]
pub(crate) struct Branch {
    pub(crate) target: Head,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Head {
    pub(crate) hash: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct CommitAnswer {
    hash: String,
    message: Option<String>,
    date: Option<String>,
    author: Option<CommitAuthor>,
    links: Option<Links>,
}

#[derive(Debug, Deserialize)]
struct CommitAuthor {
    raw: Option<String>,
    user: Option<CommitUser>,
}

#[derive(Debug, Deserialize)]
struct CommitUser {
    display_name: Option<String>,
}

impl CommitAnswer {
    pub(crate) fn into_model(self) -> model::Commit {
        let mut commit = model::Commit::new(self.hash, self.message.as_deref().unwrap_or_default());
        commit.author = self.author.and_then(|author| {
            // `raw` is `Name <address>`; the address is nobody's business here.
            let raw = || non_empty(Some(author.raw?.split('<').next()?.trim().to_owned()));
            author.user.and_then(|user| non_empty(user.display_name)).or_else(raw)
        });
        commit.committed_at = time(self.date.as_deref());
        commit.web_url = html_link(self.links);
        commit
    }
}

/// How many tests of a step ended how.
#[derive(Debug, Deserialize)]
pub(crate) struct TestSummary {
    number_of_failed_test_cases: Option<u64>,
    number_of_error_test_cases: Option<u64>,
}

impl TestSummary {
    /// `None` where it does not say.
    pub(crate) fn failing(&self) -> Option<usize> {
        let failed = self.number_of_failed_test_cases?;
        usize::try_from(failed + self.number_of_error_test_cases.unwrap_or(0)).ok()
    }
}

/// One test, in whatever words: the answer has no schema.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct TestCase(Value);

impl TestCase {
    fn text(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.0.get(name)?.as_str()).filter(|text| !text.is_empty())
    }

    pub(crate) fn is_failing(&self) -> bool {
        let status = self.text(&["status", "result", "state"]).unwrap_or_default();
        ["FAILED", "FAILURE", "ERROR"].iter().any(|word| status.eq_ignore_ascii_case(word))
    }

    pub(crate) fn uuid(&self) -> Option<&str> {
        self.text(&["uuid", "test_case_uuid"])
    }

    pub(crate) fn message(&self) -> Option<&str> {
        self.text(&["message", "failure_message", "stack_trace"])
    }

    pub(crate) fn into_model(self) -> ReportedTest {
        let full = self.text(&["fully_qualified_name"]);
        let mut test =
            ReportedTest::new(self.text(&["name", "test_name"]).or(full).unwrap_or("unnamed test"));
        test.suite = self.text(&["class_name", "test_suite", "suite", "package_name"]).map(str::to_owned);
        test.file = self.text(&["file", "file_path"]).map(str::to_owned);
        test.message = self.message().map(cut);
        test
    }
}

/// Why one test failed: a list of reasons, or a page of them.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct TestReasons(Value);

impl TestReasons {
    pub(crate) fn into_text(self) -> Option<String> {
        let all = self.0.get("values").unwrap_or(&self.0);
        let reasons = match all {
            Value::Array(reasons) => reasons.as_slice(),
            one => std::slice::from_ref(one),
        };
        let mut parts: Vec<&str> = Vec::new();
        for reason in reasons {
            for name in ["message", "stack_trace", "output"] {
                let text = reason.get(name).and_then(Value::as_str).unwrap_or_default().trim();
                // A trace usually begins with the message.
                if !text.is_empty() && !parts.iter().any(|part| part.contains(text)) {
                    parts.retain(|part| !text.contains(part));
                    parts.push(text);
                }
            }
        }
        let text = parts.join("\n");
        (!text.is_empty()).then(|| cut(&text))
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_MESSAGE_CHARS).collect()
}
