use serde::Deserialize;
use serde_json::Value;

/// A comment on an issue, pull request or commit: they have the same form.
#[derive(Debug, Deserialize)]
pub(crate) struct PostedComment {
    pub(crate) id: u64,
    pub(crate) html_url: Option<String>,
    pub(crate) body: Option<String>,
    pub(crate) user: Option<Author>,
    pub(crate) performed_via_github_app: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct IssueAnswer {
    pub(crate) number: u64,
    pub(crate) html_url: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) body: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) user: Option<Author>,
    pub(crate) performed_via_github_app: Option<Value>,
    /// Present when it is a pull request: GitHub lists both as issues.
    pub(crate) pull_request: Option<Value>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Author {
    pub(crate) login: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct StatusAnswer {
    pub(crate) id: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct CheckRunPage {
    pub(crate) check_runs: Vec<CheckRunAnswer>,
}

/// GitHub docs, rest/checks/runs.
#[derive(Debug, Deserialize)]
pub(crate) struct CheckRunAnswer {
    pub(crate) id: u64,
    pub(crate) name: Option<String>,
    pub(crate) external_id: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) conclusion: Option<String>,
    pub(crate) details_url: Option<String>,
    pub(crate) html_url: Option<String>,
    pub(crate) output: Option<CheckOutput>,
    pub(crate) app: Option<CheckApp>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct CheckOutput {
    pub(crate) title: Option<String>,
    pub(crate) summary: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct CheckApp {
    pub(crate) slug: Option<String>,
}
