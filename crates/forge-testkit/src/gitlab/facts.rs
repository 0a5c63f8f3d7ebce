//! Diffs, comparisons, files, test reports (GitLab docs, api/merge_requests.md, api/commits.md, api/repositories.md,
//! api/repository_files.md, api/pipelines.md).

use forge_core::model::FileChange;
use serde_json::{Value, json};

use super::{Answer, json as shape, projects::page, refuse};
use crate::{
    spec::{ChangeSpec, FileSpec},
    wire::{Incoming, Reply},
    world::{Job, Repo, World, shift},
};

/// GitLab looks at no more files of a change (`diff_max_files`).
const MAX_FILES: usize = 1_000;

/// `None`: not a path of this file.
pub(super) fn route(world: &World, request: &Incoming, repo: &Repo, segments: &[&str]) -> Option<Answer> {
    if request.method != http::Method::GET {
        return None;
    }
    Some(match *segments {
        ["merge_requests", number, "diffs"] => {
            let pull = number.parse().ok().and_then(|number| world.pull(repo.id, number));
            match pull {
                Some(pull) => diffs(world, request, world.change(repo.id, None, &pull.sha)),
                None => Err(refuse(404, "404 Not found")),
            }
        }
        ["repository", "commits", sha, "diff"] => match world.change(repo.id, None, sha) {
            Some(change) => diffs(world, request, Some(change)),
            None => Err(refuse(404, "404 Commit Not Found")),
        },
        ["repository", "compare"] => compare(world, request, repo),
        ["repository", "files", path, "raw"] => {
            let sha = request.query("ref").unwrap_or("HEAD");
            match world.file(repo.id, sha, path) {
                Some(text) => Ok(Reply::bytes(200, "text/plain", text.clone().into()).into()),
                None => Err(refuse(404, "404 File Not Found")),
            }
        }
        ["pipelines", id, "test_report"] => test_report(world, repo, id),
        _ => return None,
    })
}

/// What a merge request says of its files: a number as text.
pub(super) fn changes_count(change: Option<&ChangeSpec>) -> Value {
    match change.map(|change| change.files.len()) {
        None => Value::Null,
        Some(count) if count > MAX_FILES => json!(format!("{MAX_FILES}+")),
        Some(count) => json!(count.to_string()),
    }
}

fn diffs(world: &World, request: &Incoming, change: Option<&ChangeSpec>) -> Answer {
    let files: Vec<&FileSpec> = change.into_iter().flat_map(|change| &change.files).take(MAX_FILES).collect();
    Ok(page(world, request, &files, |file| diff(file)).into())
}

fn diff(file: &FileSpec) -> Value {
    let old_path = file.old_path.as_ref().unwrap_or(&file.path);
    let binary = || format!("Binary files a/{old_path} and b/{} differ\n", file.path);
    json!({
        "old_path": old_path,
        "new_path": file.path,
        "a_mode": if file.change == FileChange::Added { "0" } else { "100644" },
        "b_mode": if file.change == FileChange::Removed { "0" } else { "100644" },
        "new_file": file.change == FileChange::Added,
        "renamed_file": file.change == FileChange::Renamed,
        "deleted_file": file.change == FileChange::Removed,
        "generated_file": null,
        "collapsed": false,
        "too_large": false,
        "diff": file.patch.clone().unwrap_or_else(binary),
    })
}

/// In one piece, however long; oldest commit first.
fn compare(world: &World, request: &Incoming, repo: &Repo) -> Answer {
    let (Some(from), Some(to)) = (request.query("from"), request.query("to")) else {
        return Err(Box::new(Reply::json(400, &json!({ "error": "from is missing, to is missing" }))));
    };
    let change = world.change(repo.id, Some(from), to);
    if change.is_none() && from != to {
        return Err(refuse(404, "404 Ref Not Found"));
    }
    let count = change.map_or(0, |change| change.commits.len());
    let commits: Vec<Value> = change
        .into_iter()
        .flat_map(|change| &change.commits)
        .enumerate()
        .map(|(index, (sha, message))| {
            let age = i64::try_from(count.saturating_sub(index)).unwrap_or(0) * 60;
            let at = shape::time(shift(world.now(), -age));
            json!({
                "id": sha,
                "short_id": sha.get(..8),
                "title": message.lines().next(),
                "message": message,
                "author_name": "Robin Example",
                "author_email": "robin@example.com",
                "authored_date": at,
                "committed_date": at,
                "parent_ids": [],
                "web_url": format!("{}/-/commit/{sha}", shape::web(world, repo)),
            })
        })
        .collect();
    let files: Vec<Value> =
        change.into_iter().flat_map(|change| &change.files).take(MAX_FILES).map(diff).collect();
    let body = json!({
        "commit": commits.last(),
        "commits": commits,
        "diffs": files,
        "compare_timeout": false,
        "compare_same_ref": from == to,
        "web_url": format!("{}/-/compare/{from}...{to}", shape::web(world, repo)),
    });
    Ok(Reply::json(200, &body).into())
}

/// One suite for each job that uploaded a report.
fn test_report(world: &World, repo: &Repo, id: &str) -> Answer {
    let run = id.parse().ok().and_then(|id: u64| world.runs.get(&id)).filter(|run| run.repo_id == repo.id);
    let run = run.ok_or_else(|| refuse(404, "404 Not found"))?;
    let jobs: Vec<&Job> = world.jobs_of(run.id).filter(|job| !job.failing_tests.is_empty()).collect();
    let suites: Vec<Value> = jobs
        .iter()
        .map(|job| {
            let mut cases = vec![json!({
                "status": "success", "name": "passes", "classname": "math", "file": null, "execution_time": 0.01,
                "system_output": null, "stack_trace": null, "recent_failures": null,
            })];
            cases.extend(job.failing_tests.iter().map(|test| {
                json!({
                    "status": "failed", "name": test.name, "classname": test.suite, "file": test.file,
                    "execution_time": 0.2, "system_output": test.message, "stack_trace": null,
                    "recent_failures": { "count": 1, "base_branch": "main" },
                })
            }));
            json!({
                "name": job.name, "total_time": 0.5, "total_count": cases.len(), "success_count": 1,
                "failed_count": job.failing_tests.len(), "skipped_count": 0, "error_count": 0, "suite_error": null,
                "test_cases": cases,
            })
        })
        .collect();
    let failed: usize = jobs.iter().map(|job| job.failing_tests.len()).sum();
    let body = json!({
        "total_time": 0.5, "total_count": failed + jobs.len(), "success_count": jobs.len(), "failed_count": failed,
        "skipped_count": 0, "error_count": 0, "test_suites": suites,
    });
    Ok(Reply::json(200, &body).into())
}
