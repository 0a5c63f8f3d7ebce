//! GitHub's shapes.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::API;
use crate::{
    spec::State,
    world::{FakeComment, FakeIssue, FakeStatus, Hook, Job, Pull, Repo, Run, Sent, World, shift},
};

/// ISO 8601 to the second.
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(super) fn user(world: &World, user_id: u64) -> Value {
    let login = world.login(user_id);
    json!({
        "id": user_id,
        "node_id": format!("U_{user_id}"),
        "login": login,
        "type": if login.ends_with("[bot]") { "Bot" } else { "User" },
        "site_admin": false,
        "name": login,
        "html_url": format!("{}/{login}", world.base_url),
        "url": format!("{}{API}/users/{login}", world.base_url),
    })
}

fn api_url(world: &World, repo: &Repo) -> String {
    format!("{}{API}/repos/{}", world.base_url, repo.full_name)
}

fn web_url(world: &World, repo: &Repo) -> String {
    format!("{}/{}", world.base_url, repo.full_name)
}

pub(super) fn repo(world: &World, repo: &Repo, user_id: u64) -> Value {
    let level = repo.access_of(user_id);
    let mut value = minimal_repo(world, repo);
    let more = json!({
        "visibility": if repo.is_private { "private" } else { "public" },
        "default_branch": "main",
        "archived": repo.is_archived,
        "disabled": false,
        "has_issues": repo.has_issues,
        "size": if repo.is_empty { 0 } else { 12 },
        "created_at": time(repo.created_at),
        "updated_at": time(repo.created_at),
        "pushed_at": if repo.is_empty { Value::Null } else { json!(time(repo.created_at)) },
        "permissions": {
            "admin": level >= 40, "maintain": level >= 40, "push": level >= 30,
            "triage": level >= 20, "pull": level > 0,
        },
    });
    merge(&mut value, more);
    value
}

fn minimal_repo(world: &World, repo: &Repo) -> Value {
    json!({
        "id": repo.id,
        "node_id": format!("R_{}", repo.id),
        "name": repo.name(),
        "full_name": repo.full_name,
        "private": repo.is_private,
        "owner": { "login": repo.owner(), "id": 9, "type": "Organization" },
        "html_url": web_url(world, repo),
        "url": api_url(world, repo),
        "fork": repo.forked_from.is_some(),
    })
}

fn merge(value: &mut Value, more: Value) {
    if let (Some(object), Value::Object(more)) = (value.as_object_mut(), more) {
        object.extend(more);
    }
}

pub(super) fn hook_config(hook: &Hook) -> Value {
    let mut config = json!({
        "url": hook.url,
        "content_type": hook.content_type,
        "insecure_ssl": if hook.verifies_tls { "0" } else { "1" },
    });
    if let (Some(object), Some(_)) = (config.as_object_mut(), &hook.secret) {
        object.insert("secret".to_owned(), json!("********"));
    }
    config
}

pub(super) fn hook(world: &World, hook: &Hook) -> Value {
    let last = match hook.last_status {
        Some(code) => json!({
            "code": code,
            "status": if (200..300).contains(&code) { "active" } else { "misconfigured" },
            "message": if (200..300).contains(&code) { "OK" } else { "Invalid HTTP Response" },
        }),
        None => json!({ "code": null, "status": "unused", "message": null }),
    };
    let base = world.repo(hook.repo_id).map(|repo| api_url(world, repo)).unwrap_or_default();
    json!({
        "type": "Repository",
        "id": hook.id,
        "name": "web",
        "active": hook.is_active,
        "events": hook.events,
        "config": hook_config(hook),
        "created_at": time(hook.created_at),
        "updated_at": time(hook.created_at),
        "url": format!("{base}/hooks/{}", hook.id),
        "ping_url": format!("{base}/hooks/{}/pings", hook.id),
        "last_response": last,
    })
}

pub(super) fn delivery(sent: &Sent) -> Value {
    json!({
        "id": sent.id,
        "guid": sent.request.delivery_id,
        "delivered_at": time(sent.at),
        "redelivery": false,
        "duration": 0.1,
        "status": if sent.outcome.is_success() { "OK" } else { "Invalid HTTP Response" },
        "status_code": sent.outcome.status.unwrap_or(502),
        "event": sent.request.message.event,
        "action": null,
        "installation_id": null,
        "repository_id": null,
        "throttled_at": null,
    })
}

pub(super) fn status(state: State) -> &'static str {
    match state {
        State::Queued => "queued",
        State::Running => "in_progress",
        _ => "completed",
    }
}

pub(super) fn conclusion(state: State) -> Value {
    let word = match state {
        State::Queued | State::Running => return Value::Null,
        State::Success => "success",
        State::Failed => "failure",
        State::Cancelled => "cancelled",
        State::TimedOut => "timed_out",
        State::Skipped => "skipped",
    };
    json!(word)
}

pub(super) fn run_conclusion(run: &Run) -> Value {
    if run.config_error.is_some() { json!("startup_failure") } else { conclusion(run.state) }
}

pub(super) fn workflow_id(run: &Run) -> u64 {
    // The same workflow of the same repository has the same number.
    run.name.bytes().fold(run.repo_id, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)))
        % 100_000_000
}

/// A run as its given attempt; earlier attempts keep how they ended, which is a failure.
pub(super) fn run(world: &World, run: &Run, attempt: u32) -> Value {
    let Some(repo) = world.repo(run.repo_id) else { return Value::Null };
    let api = api_url(world, repo);
    let pull = run.pull.and_then(|(number, repo_id)| world.pull(repo_id, number));
    let head_repo = pull.and_then(|pull| world.repo(pull.source_repo_id)).unwrap_or(repo);
    // Only open pull requests whose head is in the same repository are named.
    let pulls: Vec<Value> = pull
        .filter(|pull| pull.is_open && pull.source_repo_id == repo.id)
        .map(|pull| {
            let side = |name: &str, sha: &str| {
                json!({ "ref": name, "sha": sha, "repo": { "id": repo.id, "url": api, "name": repo.name() } })
            };
            json!({
                "id": pull.id,
                "number": pull.number,
                "url": format!("{api}/pulls/{}", pull.number),
                "head": side(&pull.source_branch, &pull.sha),
                "base": side(&pull.target_branch, "ba5e000000000000000000000000000000000000"),
            })
        })
        .into_iter()
        .collect();
    let is_latest = attempt == run.attempt;
    let actor = user(world, world.users.first().map_or(1, |user| user.id));
    let previous = (attempt > 1).then(|| format!("{api}/actions/runs/{}/attempts/{}", run.id, attempt - 1));
    json!({
        "id": run.id,
        "node_id": format!("WFR_{}", run.id),
        "name": run.name,
        "path": format!(".github/workflows/{}.yml", run.name),
        "display_title": "Change something",
        "run_number": run.number,
        "run_attempt": attempt,
        "event": run.trigger,
        "status": if is_latest { status(run.state) } else { "completed" },
        "conclusion": if is_latest { run_conclusion(run) } else { json!("failure") },
        "workflow_id": workflow_id(run),
        "check_suite_id": run.id + 1,
        "head_branch": run.branch,
        "head_sha": run.sha,
        "head_commit": {
            "id": run.sha, "tree_id": run.sha, "message": "Change something", "timestamp": time(run.created_at),
            "author": { "name": "Robin Example", "email": "robin@example.com" },
            "committer": { "name": "Robin Example", "email": "robin@example.com" },
        },
        "created_at": time(run.created_at),
        "updated_at": time(run.updated_at),
        "run_started_at": time(shift(run.updated_at, -60)),
        "actor": actor,
        "triggering_actor": actor,
        "pull_requests": pulls,
        "html_url": format!("{}/actions/runs/{}", web_url(world, repo), run.id),
        "url": format!("{api}/actions/runs/{}", run.id),
        "jobs_url": format!("{api}/actions/runs/{}/jobs", run.id),
        "logs_url": format!("{api}/actions/runs/{}/logs", run.id),
        "rerun_url": format!("{api}/actions/runs/{}/rerun", run.id),
        "previous_attempt_url": previous,
        "repository": minimal_repo(world, repo),
        "head_repository": minimal_repo(world, head_repo),
    })
}

pub(super) fn job(world: &World, job: &Job) -> Value {
    let run = world.runs.get(&job.run_id);
    let base = world.repo(job.repo_id).map(|repo| api_url(world, repo)).unwrap_or_default();
    let web = world.repo(job.repo_id).map(|repo| web_url(world, repo)).unwrap_or_default();
    let step = |number: u32, name: &str, conclusion: Value| {
        json!({
            "number": number, "name": name, "status": status(job.state), "conclusion": conclusion,
            "started_at": job.started_at().map(time), "completed_at": job.finished_at.map(time),
        })
    };
    let steps = match job.started_at() {
        Some(_) => json!([
            step(1, "Set up job", json!("success")),
            step(2, "Run actions/checkout@v4", json!("success")),
            step(3, "Run tests", conclusion(job.state)),
            step(4, "Complete job", json!("success")),
        ]),
        None => json!([]),
    };
    json!({
        "id": job.id,
        "run_id": job.run_id,
        "run_attempt": job.attempt,
        "run_url": format!("{base}/actions/runs/{}", job.run_id),
        "node_id": format!("CR_{}", job.id),
        "head_sha": run.map(|run| run.sha.clone()),
        "head_branch": run.map(|run| run.branch.clone()),
        "workflow_name": run.map(|run| run.name.clone()),
        "url": format!("{base}/actions/jobs/{}", job.id),
        "html_url": format!("{web}/actions/runs/{}/job/{}", job.run_id, job.id),
        "status": status(job.state),
        "conclusion": conclusion(job.state),
        "created_at": time(job.created_at),
        "started_at": job.started_at().map(time),
        "completed_at": job.finished_at.map(time),
        "name": job.name,
        "steps": steps,
        "check_run_url": format!("{base}/check-runs/{}", job.id),
        "labels": ["ubuntu-latest"],
        "runner_id": job.started_at().map(|_| 7),
        "runner_name": job.started_at().map(|_| "runner-7"),
        "runner_group_id": 1,
        "runner_group_name": "Default",
    })
}

pub(super) fn pull(world: &World, pull: &Pull) -> Value {
    let base_repo = world.repo(pull.repo_id);
    let head_repo = world.repo(pull.source_repo_id);
    let side = |repo: Option<&Repo>, branch: &str, sha: &str| {
        json!({
            "label": format!("{}:{branch}", repo.map(Repo::owner).unwrap_or_default()),
            "ref": branch,
            "sha": sha,
            "user": { "login": repo.map(Repo::owner) },
            "repo": repo.map(|repo| minimal_repo(world, repo)),
        })
    };
    let web = base_repo.map(|repo| web_url(world, repo)).unwrap_or_default();
    json!({
        "id": pull.id,
        "number": pull.number,
        "state": if pull.is_open { "open" } else { "closed" },
        "locked": false,
        "draft": false,
        "title": pull.title,
        "user": user(world, world.users.first().map_or(1, |user| user.id)),
        "head": side(head_repo, &pull.source_branch, &pull.sha),
        "base": side(base_repo, &pull.target_branch, "ba5e000000000000000000000000000000000000"),
        "html_url": format!("{web}/pull/{}", pull.number),
        "created_at": time(pull.created_at),
        "updated_at": time(pull.created_at),
        "merged_at": null,
    })
}

pub(super) fn comment(world: &World, comment: &FakeComment) -> Value {
    let web = world.repo(comment.repo_id).map(|repo| web_url(world, repo)).unwrap_or_default();
    let (place, commit) = match &comment.target {
        forge_core::model::Target::Commit(sha) => {
            (format!("commit/{sha}#commitcomment-{}", comment.id), json!(sha))
        }
        forge_core::model::Target::Pull(number) => {
            (format!("pull/{number}#issuecomment-{}", comment.id), Value::Null)
        }
        _ => (String::new(), Value::Null),
    };
    let mut value = json!({
        "id": comment.id,
        "body": comment.body,
        "user": user(world, comment.author_id),
        "html_url": format!("{web}/{place}"),
        "created_at": time(comment.created_at),
        "updated_at": time(comment.updated_at),
        "author_association": "MEMBER",
        "performed_via_github_app": world.app_of_bot(comment.author_id),
    });
    if let (Some(object), Value::String(_)) = (value.as_object_mut(), &commit) {
        object.insert("commit_id".to_owned(), commit);
    }
    value
}

pub(super) fn issue(world: &World, issue: &FakeIssue) -> Value {
    let web = world.repo(issue.repo_id).map(|repo| web_url(world, repo)).unwrap_or_default();
    let labels: Vec<Value> = issue.labels.iter().map(|name| json!({ "name": name })).collect();
    json!({
        "id": issue.id,
        "number": issue.number,
        "state": if issue.is_open { "open" } else { "closed" },
        "title": issue.title,
        "body": issue.body,
        "user": user(world, issue.author_id),
        "labels": labels,
        "locked": false,
        "html_url": format!("{web}/issues/{}", issue.number),
        "created_at": time(issue.created_at),
        "updated_at": time(issue.updated_at),
        "performed_via_github_app": world.app_of_bot(issue.author_id),
    })
}

pub(super) fn commit_status(world: &World, status: &FakeStatus) -> Value {
    let base = world.repo(status.repo_id).map(|repo| api_url(world, repo)).unwrap_or_default();
    json!({
        "id": status.id,
        "state": status.state,
        "context": status.context,
        "description": status.description,
        "target_url": status.target_url,
        "url": format!("{base}/statuses/{}", status.sha),
        "creator": { "login": status.author },
        "created_at": time(world.now()),
        "updated_at": time(world.now()),
    })
}
