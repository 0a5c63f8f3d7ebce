//! Commits with failed builds, for polling.

use std::collections::{HashMap, HashSet};

use forge_core::{
    ErrorKind, Result,
    model::{RepoRef, Run},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};

use crate::{
    client::{DcClient, repo_path, shown},
    wire::{self, BuildCounts},
};

/// Branches whose heads are looked at, the latest changed first.
const MAX_BRANCHES: usize = 1000;
/// Branches whose commits below the head are looked at.
const MAX_WALKED: usize = 50;
/// Commits of one branch.
const MAX_COMMITS: usize = 200;
/// Open pull requests, the newest first.
const MAX_PULLS: usize = 200;
/// How long before `since` a commit may have been made whose build failed after it. A head may be older still.
const BEFORE: SignedDuration = SignedDuration::from_hours(48);
/// Commits that are asked about at a time.
const BULK: usize = 100;
/// Commits that are read at a time. Servers allow sixty requests at once and five per second after that.
const AT_A_TIME: usize = 4;

/// The failed ones that changed since `since`, each once.
pub(super) async fn find(client: &DcClient, repo: &RepoRef, since: Timestamp) -> Result<Vec<Run>> {
    let candidates = candidates(client, repo, since).await?;
    let mut failing = Vec::new();
    for chunk in candidates.chunks(BULK) {
        failing.extend(with_failures(client, repo, chunk).await?);
    }
    let runs: Vec<Option<Run>> = stream::iter(failing)
        .map(|candidate| async move {
            let operation = format!("read the build statuses of {} in {}", candidate.sha, shown(repo));
            let statuses = client.statuses(repo, &candidate.sha, &operation).await?;
            let mut run = client.assemble(repo, &candidate.sha, &statuses);
            run.git_ref = statuses.iter().find_map(|status| status.git_ref.clone()).or(candidate.git_ref);
            if let Some(full) = run.git_ref.take() {
                let (name, kind) = wire::stripped_ref(&full);
                (run.git_ref, run.ref_type) = (Some(name), Some(kind));
            }
            let is_new = run.updated_at.is_none_or(|at| at >= since);
            Ok::<_, forge_core::Error>((run.is_failed() && is_new).then_some(run))
        })
        .buffered(AT_A_TIME)
        .try_collect()
        .await?;
    Ok(runs.into_iter().flatten().collect())
}

#[derive(Clone)]
struct Candidate {
    sha: String,
    git_ref: Option<String>,
}

async fn candidates(client: &DcClient, repo: &RepoRef, since: Timestamp) -> Result<Vec<Candidate>> {
    let path = repo_path(repo)?;
    let operation = |what: &str| format!("list {what} of {}", shown(repo));
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut add = |sha: String, git_ref: Option<String>| {
        if seen.insert(sha.clone()) {
            found.push(Candidate { sha, git_ref });
        }
    };
    let query = [("orderBy", "MODIFICATION"), ("limit", "100")];
    let branches: Vec<wire::Branch> = client
        .list(Ok(format!("{path}/branches")), &query, operation("branches"))
        .take(MAX_BRANCHES)
        .try_collect()
        .await?;
    for branch in &branches {
        if let Some(sha) = &branch.latest_commit {
            add(sha.clone(), branch.id.clone());
        }
    }
    let horizon = since.checked_sub(BEFORE).unwrap_or(Timestamp::MIN);
    for branch in branches.iter().take(MAX_WALKED) {
        let Some(name) = branch.id.as_deref().or(branch.display_id.as_deref()) else { continue };
        let query = [("until", name), ("limit", "100")];
        let mut commits = client
            .list::<wire::Commit>(Ok(format!("{path}/commits")), &query, operation("commits"))
            .take(MAX_COMMITS);
        let mut is_old = true;
        loop {
            let commit = match commits.try_next().await {
                Ok(Some(commit)) => commit,
                Ok(None) => break,
                // The branch was deleted since the list was made.
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    is_old = false;
                    break;
                }
                Err(error) => return Err(error),
            };
            if wire::time(commit.committer_timestamp.as_ref()).is_some_and(|at| at < horizon) {
                break;
            }
            is_old = false;
            add(commit.id, Some(name.to_owned()));
        }
        // The list is by the time of the heads: those after an old one are older.
        if is_old {
            break;
        }
    }
    let query = [("state", "OPEN"), ("order", "NEWEST"), ("limit", "100")];
    let mut pulls = client
        .list::<wire::PullRequest>(Ok(format!("{path}/pull-requests")), &query, operation("pull requests"))
        .take(MAX_PULLS);
    while let Some(pull) = pulls.try_next().await? {
        let pull = pull.into_model(repo, &client.base_url);
        if let Some(sha) = pull.head_sha {
            add(sha, pull.source_branch.map(|name| format!("refs/heads/{name}")));
        }
    }
    Ok(found)
}

/// Those of `chunk` that have a failed build. A server without the question has all of them read.
async fn with_failures(client: &DcClient, repo: &RepoRef, chunk: &[Candidate]) -> Result<Vec<Candidate>> {
    let shas: Vec<&str> = chunk.iter().map(|candidate| candidate.sha.as_str()).collect();
    let Some(counts) = client.count_builds(repo, &shas).await? else { return Ok(chunk.to_vec()) };
    let has_failed = |candidate: &&Candidate| counts.get(&candidate.sha).is_some_and(BuildCounts::has_failed);
    Ok(chunk.iter().filter(has_failed).cloned().collect())
}

impl DcClient {
    /// How many builds of each commit ended how, in one request; `None` where the server cannot say.
    pub(crate) async fn count_builds(
        &self,
        repo: &RepoRef,
        shas: &[&str],
    ) -> Result<Option<HashMap<String, BuildCounts>>> {
        if shas.is_empty() {
            return Ok(Some(HashMap::new()));
        }
        let request = self
            .api
            .post("build-status/1.0/commits/stats")
            .json(&shas)
            // It only asks.
            .repeatable()
            .allow_status(405)
            .operation(format!("count the builds of {}", shown(repo)));
        match self.send(request).await {
            Ok(response) if response.status().is_success() => response.json().map(Some),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
