use forge_core::model::{Conclusion, Job, RefType, Status};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use url::Url;

/// Our own statuses are no builds: a cause that we report must not be a failure to look into.
const OUR_KEY: &str = "forge-rca";

/// A build status of a commit, from the old list or the rich interface.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct BuildStatus {
    pub(crate) key: String,
    state: Option<String>,
    name: Option<String>,
    pub(crate) url: Option<String>,
    #[serde(rename = "ref")]
    pub(crate) git_ref: Option<String>,
    #[serde(rename = "dateAdded")]
    date_added: Option<Value>,
    #[serde(rename = "createdDate")]
    created_date: Option<Value>,
    #[serde(rename = "updatedDate")]
    updated_date: Option<Value>,
    #[serde(rename = "lastUpdated")]
    last_updated: Option<Value>,
}

impl BuildStatus {
    pub(crate) fn state(&self) -> &str {
        self.state.as_deref().unwrap_or_default()
    }

    pub(crate) fn created_at(&self) -> Option<Timestamp> {
        super::time(self.created_date.as_ref()).or_else(|| self.updated_at())
    }

    pub(crate) fn updated_at(&self) -> Option<Timestamp> {
        [&self.updated_date, &self.last_updated, &self.date_added]
            .into_iter()
            .find_map(|date| super::time(date.as_ref()))
    }

    /// Where the CI server shows the build. Statuses are written by anybody who may read the repository: only what is
    /// a web address is taken for one.
    pub(crate) fn web_url(&self) -> Option<Url> {
        let url = Url::parse(self.url.as_deref()?).ok()?;
        (matches!(url.scheme(), "http" | "https") && url.host_str().is_some()).then_some(url)
    }

    pub(crate) fn job_id(&self, sha: &str) -> String {
        job_id(sha, self.url.as_deref().unwrap_or_default(), &self.key)
    }

    pub(crate) fn to_job(&self, sha: &str) -> Job {
        let name = self.name.as_deref().filter(|name| !name.is_empty()).unwrap_or(&self.key);
        let mut job = Job::new(self.job_id(sha), sha, name);
        job.status = status(self.state());
        job.conclusion = conclusion(self.state());
        job.web_url = self.web_url().map(Into::into);
        if job.status == Status::Completed {
            job.finished_at = self.updated_at();
        }
        job
    }
}

/// How many statuses of each state a commit has.
#[derive(Debug, Deserialize)]
pub(crate) struct BuildCounts {
    successful: Option<u64>,
    failed: Option<u64>,
}

impl BuildCounts {
    pub(crate) fn has_good(&self) -> bool {
        self.successful.unwrap_or(0) > 0
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.unwrap_or(0) > 0
    }
}

/// `<commit>:<12 hex digits of the SHA-256 of the build's address>:<key>`.
///
/// A build that runs again overwrites the status of its key and has another address: then it is another job.
pub(crate) fn job_id(sha: &str, url: &str, key: &str) -> String {
    let mut digest = hex::encode(Sha256::digest(url.as_bytes()));
    digest.truncate(12);
    format!("{sha}:{digest}:{key}")
}

/// Whether a status of this key came from this product.
pub(crate) fn is_our_key(key: &str) -> bool {
    key == OUR_KEY || key.strip_prefix(OUR_KEY).is_some_and(|rest| rest.starts_with([':', '/']))
}

pub(crate) fn status(state: &str) -> Status {
    match state {
        "INPROGRESS" => Status::Running,
        "SUCCESSFUL" | "FAILED" | "CANCELLED" => Status::Completed,
        _ => Status::Unknown,
    }
}

pub(crate) fn conclusion(state: &str) -> Option<Conclusion> {
    match state {
        "SUCCESSFUL" => Some(Conclusion::Success),
        "FAILED" => Some(Conclusion::Failure),
        "CANCELLED" => Some(Conclusion::Cancelled),
        _ => None,
    }
}

/// A branch's or tag's name, and which it is; a name without a prefix is a branch's.
pub(crate) fn stripped_ref(name: &str) -> (String, RefType) {
    match name.strip_prefix("refs/tags/") {
        Some(tag) => (tag.to_owned(), RefType::Tag),
        None => (name.strip_prefix("refs/heads/").unwrap_or(name).to_owned(), RefType::Branch),
    }
}
