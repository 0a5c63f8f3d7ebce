//! Runs, jobs, logs, pull requests.

use std::{collections::HashSet, time::Duration};

use forge_core::{
    ErrorKind, ForgeClient, ForgeKind, LogOptions,
    model::{Conclusion, Job, Run, Status},
};
use futures_util::TryStreamExt;
use jiff::SignedDuration;

use super::{Harness, assert_no_unknown_request, requests, shop};
use crate::{JobSpec, Listener, Log, PullSpec, RepoHandle, RunHandle, RunSpec, State};

/// Whether the adapter reads CI; where it does not, nothing is sent.
fn is_claimed<H: Harness>(harness: &H) -> bool {
    let claimed = harness.provider().capabilities().ci;
    assert_eq!(harness.client().ci().is_some(), claimed, "facet and capability differ");
    assert_eq!(requests(harness.fake()), 0);
    claimed
}

async fn get_run(client: &dyn ForgeClient, repo: &RepoHandle, run: &RunHandle) -> Run {
    client.ci().expect("claimed").get_run(&repo.repo_ref(), &run.run_ref()).await.expect("the run is there")
}

async fn list_jobs(client: &dyn ForgeClient, repo: &RepoHandle, run: &RunHandle) -> Vec<Job> {
    let jobs = client.ci().expect("claimed").list_jobs(&repo.repo_ref(), &run.run_ref());
    jobs.try_collect().await.expect("the jobs can be listed")
}

async fn read_log(
    client: &dyn ForgeClient,
    repo: &RepoHandle,
    job: &Job,
    max_bytes: u64,
) -> forge_core::Result<(Vec<u8>, bool)> {
    let options = LogOptions::new(max_bytes);
    client.ci().expect("claimed").job_log(&repo.repo_ref(), job, options).await?.read_to_end().await
}

/// A run of one failed job with this log, and the job as the adapter sees it.
async fn one_job<H: Harness>(harness: &H, spec: &RunSpec) -> (RepoHandle, RunHandle, Job) {
    let repo = shop(harness.fake());
    let run = harness.fake().add_run(&repo, spec);
    let jobs = list_jobs(harness.client().as_ref(), &repo, &run).await;
    let job = jobs.into_iter().next().expect("the run has one job");
    (repo, run, job)
}

/// A failed run with its commit, branch and how it ended.
pub async fn gets_a_failed_run<H: Harness>() {
    let harness = H::start().await;
    if !is_claimed(&harness) {
        return;
    }
    let repo = shop(harness.fake());
    let spec = RunSpec::new(vec![JobSpec::failed("test", "boom\n")]).with_branch("feature/a b#1");
    let run = harness.fake().add_run(&repo, &spec);
    let found = get_run(harness.client().as_ref(), &repo, &run).await;
    assert_eq!((&found.id, found.attempt), (&run.forge_id, 1));
    assert_eq!((found.status, found.conclusion), (Status::Completed, Some(Conclusion::Failure)));
    assert_eq!(found.sha.as_deref(), Some(run.sha.as_str()));
    assert_eq!(found.git_ref.as_deref(), Some("feature/a b#1"));
    assert!(found.is_failed() && found.web_url.is_some() && found.updated_at.is_some());
    let missing = forge_core::model::RunRef::new("987654321");
    let client = harness.client();
    let error = client.ci().expect("claimed").get_run(&repo.repo_ref(), &missing).await;
    assert_eq!(error.expect_err("there is no such run").kind(), ErrorKind::NotFound);
    assert_no_unknown_request(harness.fake());
}

/// A refused configuration: a failed run that says why, and has no jobs.
pub async fn refused_configuration_has_no_jobs<H: Harness>() {
    let harness = H::start().await;
    // Whoever has no CI of its own knows of jobs that were started, and of nothing else.
    if !is_claimed(&harness) || !harness.fake().tells_runs() {
        return;
    }
    let repo = shop(harness.fake());
    let run = harness.fake().add_run(&repo, &RunSpec::config_error("jobs:test config should be a hash"));
    let client = harness.client();
    let found = get_run(client.as_ref(), &repo, &run).await;
    assert!(found.is_failed());
    let says_why = found.config_error.is_some() || found.conclusion == Some(Conclusion::StartupFailure);
    assert!(says_why, "{found:?}");
    assert!(list_jobs(client.as_ref(), &repo, &run).await.is_empty());
}

/// What was run again is the second attempt, of the run or of the job.
pub async fn attempts_are_told_apart<H: Harness>() {
    let harness = H::start().await;
    if !is_claimed(&harness) {
        return;
    }
    let repo = shop(harness.fake());
    // A status that is set again leaves no trace of what it said before: the job has a new id then.
    let keeps_attempts = harness.fake().tells_runs();
    let first = harness.fake().add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", "one\n")]));
    let second = harness.fake().rerun(&first, &[JobSpec::failed("test", "two\n")]);
    let client = harness.client();
    assert_eq!(get_run(client.as_ref(), &repo, &second).await.attempt, second.attempt);
    let jobs = list_jobs(client.as_ref(), &repo, &second).await;
    let latest: Vec<_> = jobs.iter().filter(|job| !job.is_retried).collect();
    let [job] = latest.as_slice() else { panic!("one job that counts, not {}", latest.len()) };
    assert_eq!((Some(&job.id), job.attempt), (second.job_ids.first(), if keeps_attempts { 2 } else { 1 }));
    let (log, _) = read_log(client.as_ref(), &repo, job, 1000).await.expect("its log");
    assert_eq!(log, b"two\n");
    if harness.provider().capabilities().run_attempts {
        let old = list_jobs(client.as_ref(), &repo, &first).await;
        assert_eq!(old.iter().map(|job| job.attempt).collect::<Vec<_>>(), [1]);
    }
}

/// Every job with how it ended; one that may fail says so.
pub async fn lists_failed_and_green_jobs<H: Harness>() {
    let harness = H::start().await;
    if !is_claimed(&harness) {
        return;
    }
    let repo = shop(harness.fake());
    let jobs = vec![
        JobSpec::green("lint"),
        JobSpec::failed("unit (ubuntu, 1.80)", "boom\n"),
        JobSpec::failed("integration", "boom\n"),
        JobSpec::new("deploy", State::Skipped, Log::None),
    ];
    let run = harness.fake().add_run(&repo, &RunSpec::new(jobs));
    let found = list_jobs(harness.client().as_ref(), &repo, &run).await;
    let failed: HashSet<_> =
        found.iter().filter(|job| job.is_failed()).map(|job| job.name.as_str()).collect();
    assert_eq!(failed, HashSet::from(["unit (ubuntu, 1.80)", "integration"]));
    let others: HashSet<_> = found.iter().map(|job| (job.name.as_str(), job.conclusion)).collect();
    assert!(others.contains(&("lint", Some(Conclusion::Success))));
    assert!(found.iter().all(|job| job.run_id == run.forge_id));
    assert_no_unknown_request(harness.fake());
}

/// 120 jobs come over two pages, each once.
pub async fn lists_many_jobs<H: Harness>() {
    let harness = H::start().await;
    if !is_claimed(&harness) {
        return;
    }
    let repo = shop(harness.fake());
    let jobs = (0..120).map(|number| JobSpec::failed(&format!("job {number}"), "boom\n")).collect();
    let run = harness.fake().add_run(&repo, &RunSpec::new(jobs));
    let found = list_jobs(harness.client().as_ref(), &repo, &run).await;
    let ids: HashSet<_> = found.iter().map(|job| job.id.clone()).collect();
    assert_eq!((found.len(), ids.len()), (120, 120));
}

/// Jobs of child runs are listed with the parent's, each naming the run and repository that it ran in.
pub async fn child_runs_are_walked<H: Harness>() {
    let harness = H::start().await;
    if !is_claimed(&harness) || !harness.provider().capabilities().child_runs {
        return;
    }
    let repo = shop(harness.fake());
    let other = harness.fake().add_repo("acme/library");
    let child = RunSpec::new(vec![JobSpec::failed("inner", "inner boom\n")]).with_name("inner");
    let far = RunSpec::new(vec![JobSpec::failed("far", "far boom\n")]).with_name("far");
    let spec = RunSpec::new(vec![JobSpec::green("outer")]).with_child(child).with_child_in(&other, far);
    let run = harness.fake().add_run(&repo, &spec);
    let client = harness.client();
    let jobs = list_jobs(client.as_ref(), &repo, &run).await;
    let children: Vec<_> = run.children.iter().map(u64::to_string).collect();
    for name in ["inner", "far"] {
        let job = jobs.iter().find(|job| job.name == name).expect("the child's job is listed");
        assert!(job.is_failed() && children.contains(&job.run_id), "{job:?}");
        let place = job.repo.clone().unwrap_or_else(|| repo.repo_ref());
        assert_eq!(place.id, if name == "far" { &other } else { &repo }.forge_id);
        let log = client.ci().expect("claimed").job_log(&place, job, LogOptions::default()).await;
        let (log, _) = log.expect("its log").read_to_end().await.expect("its log");
        assert_eq!(log, format!("{name} boom\n").into_bytes());
    }
    // A repository that may not be seen is left out, not an error.
    harness.fake().set_access(&other, "rca-bot", 0);
    let jobs = list_jobs(client.as_ref(), &repo, &run).await;
    assert!(jobs.iter().any(|job| job.name == "inner"));
    assert_no_unknown_request(harness.fake());
}

/// One job by its id.
pub async fn gets_a_job<H: Harness>() {
    let harness = H::start().await;
    if !is_claimed(&harness) {
        return;
    }
    let (repo, run, job) = one_job(&harness, &RunSpec::new(vec![JobSpec::failed("test", "boom\n")])).await;
    let client = harness.client();
    let found = client.ci().expect("claimed").get_job(&repo.repo_ref(), &job.id).await.expect("the job");
    assert_eq!((found.id, found.name, found.run_id), (job.id, job.name, run.forge_id.clone()));
    let error = client.ci().expect("claimed").get_job(&repo.repo_ref(), "1").await;
    assert_eq!(error.expect_err("there is no such job").kind(), ErrorKind::NotFound);
}

/// The log arrives byte for byte, whatever bytes they are.
pub async fn log_is_exact<H: Harness>() {
    let harness = H::start().await;
    if !is_claimed(&harness) {
        return;
    }
    let mut bytes =
        b"\xef\xbb\xbfline\r\n\x1b[31mred\x1b[0m\rover\n\xff\xfe\x00 end without newline".to_vec();
    bytes.extend((0..=255).cycle().take(100_000));
    let spec = RunSpec::new(vec![JobSpec::failed("test", bytes.clone())]);
    let (repo, _, job) = one_job(&harness, &spec).await;
    let (log, is_truncated) =
        read_log(harness.client().as_ref(), &repo, &job, 1_000_000).await.expect("the log");
    assert!(log == bytes, "{} bytes instead of {}", log.len(), bytes.len());
    assert!(!is_truncated);
    assert_no_unknown_request(harness.fake());
}

/// The limit cuts to the byte and says so; a log of exactly that length is not cut.
pub async fn log_is_capped<H: Harness>() {
    let harness = H::start().await;
    if !is_claimed(&harness) {
        return;
    }
    let bytes: Vec<u8> = b"0123456789".repeat(1000);
    let spec = RunSpec::new(vec![JobSpec::failed("test", bytes.clone())]);
    let (repo, _, job) = one_job(&harness, &spec).await;
    let client = harness.client();
    for (max, length, cut) in [(9_999, 9_999, true), (10_000, 10_000, false), (10_001, 10_000, false)] {
        let (log, is_truncated) = read_log(client.as_ref(), &repo, &job, max).await.expect("the log");
        assert_eq!((log.len(), is_truncated), (length, cut), "limit {max}");
        assert_eq!(Some(log.as_slice()), bytes.get(..length));
    }
}

/// A long log need not be read to its end.
pub async fn long_log_is_streamed<H: Harness>() {
    let harness = H::start().await;
    if !is_claimed(&harness) {
        return;
    }
    let spec = RunSpec::new(vec![JobSpec::failed("test", Log::Generated(2_000_000_000))]);
    let (repo, _, job) = one_job(&harness, &spec).await;
    let (log, is_truncated) =
        read_log(harness.client().as_ref(), &repo, &job, 1_000_000).await.expect("the log");
    assert_eq!((log.len(), is_truncated), (1_000_000, true));
}

/// While the forge is still writing it, the log is not ready; then it is there.
pub async fn log_that_is_not_ready<H: Harness>() {
    let harness = H::start().await;
    if !is_claimed(&harness) {
        return;
    }
    let spec = RunSpec::new(vec![JobSpec::failed("test", "boom\n").with_log_delay(1)]);
    let (repo, _, job) = one_job(&harness, &spec).await;
    let client = harness.client();
    let error = read_log(client.as_ref(), &repo, &job, 1000).await.expect_err("it is not there yet");
    assert_eq!(error.kind(), ErrorKind::NotReady, "{error}");
    let (log, _) = read_log(client.as_ref(), &repo, &job, 1000).await.expect("now it is");
    assert_eq!(log, b"boom\n");
}

/// An expired or erased log is gone. Where a forge does not tell the expired from the never written, it is not found.
pub async fn log_that_is_gone<H: Harness>() {
    let harness = H::start().await;
    if !is_claimed(&harness) {
        return;
    }
    let old = Duration::from_secs(200 * 86_400);
    let client = harness.client();
    let repo = shop(harness.fake());
    let spec = RunSpec::new(vec![JobSpec::failed("one", "boom\n"), JobSpec::failed("two", "boom\n")]);
    let run = harness.fake().add_run(&repo, &spec.with_age(old));
    let [expired, erased] = *run.jobs.as_slice() else { panic!("two jobs") };
    harness.fake().expire_log(expired);
    harness.fake().erase_log(erased);
    let jobs = list_jobs(client.as_ref(), &repo, &run).await;
    for job in &jobs {
        let error = read_log(client.as_ref(), &repo, job, 1000).await.expect_err("there is none any more");
        let is_right = match error.kind() {
            ErrorKind::Gone => true,
            ErrorKind::NotFound => Some(&job.id) == run.job_ids.first(),
            _ => false,
        };
        assert!(is_right, "{}: {error:?}", job.name);
    }
}

/// A job that ended long ago without a log has none: there is nothing to wait for.
pub async fn log_that_never_was<H: Harness>() {
    let harness = H::start().await;
    if !is_claimed(&harness) {
        return;
    }
    let spec = RunSpec::new(vec![JobSpec::failed("test", Log::None)]).with_age(Duration::from_secs(86_400));
    let (repo, _, job) = one_job(&harness, &spec).await;
    let error = read_log(harness.client().as_ref(), &repo, &job, 1000).await.expect_err("there is none");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

/// Where the forge sends us to another origin for the log, the credential stays behind.
pub async fn log_redirect_carries_no_credential<H: Harness>() {
    let harness = H::start().await;
    if !is_claimed(&harness) {
        return;
    }
    harness.fake().set_log_redirect(true);
    let spec = RunSpec::new(vec![JobSpec::failed("test", "boom\n")]);
    let (repo, _, job) = one_job(&harness, &spec).await;
    let (log, _) = read_log(harness.client().as_ref(), &repo, &job, 1000).await.expect("the log");
    assert_eq!(log, b"boom\n");
    let stored: Vec<_> =
        harness.fake().requests().into_iter().filter(|it| it.listener == Listener::BlobStore).collect();
    assert!(!stored.is_empty(), "the storage was never asked");
    super::errors::assert_nothing_leaked(&harness);
    harness.fake().set_blobs_missing(true);
    let error = read_log(harness.client().as_ref(), &repo, &job, 1000).await.expect_err("not stored yet");
    assert_eq!(error.kind(), ErrorKind::NotReady, "{error}");
}

/// Failed runs since a time, each once; green and older ones not.
pub async fn lists_failed_runs_since<H: Harness>() {
    let harness = H::start().await;
    if !is_claimed(&harness) {
        return;
    }
    let repo = shop(harness.fake());
    let failed = || RunSpec::new(vec![JobSpec::failed("test", "boom\n")]);
    harness.fake().add_run(&repo, &failed().with_age(Duration::from_secs(20 * 86_400)));
    let mut expected = HashSet::new();
    for _ in 0..3 {
        harness.fake().add_run(&repo, &RunSpec::new(vec![JobSpec::green("test")]));
        expected.insert(harness.fake().add_run(&repo, &failed()).forge_id);
    }
    let client = harness.client();
    let since = harness.fake().now().checked_sub(SignedDuration::from_hours(1)).expect("a time");
    let runs = client.ci().expect("claimed").list_failed_runs(&repo.repo_ref(), since);
    let runs: Vec<Run> = runs.try_collect().await.expect("the runs");
    assert!(runs.iter().all(Run::is_failed));
    let found: HashSet<_> = runs.iter().map(|run| run.id.clone()).collect();
    assert_eq!(found, expected);
    assert_no_unknown_request(harness.fake());
}

/// A run of long ago that was run again and failed is listed.
pub async fn rerun_of_an_old_run_is_listed<H: Harness>() {
    let harness = H::start().await;
    if !is_claimed(&harness) {
        return;
    }
    let repo = shop(harness.fake());
    let spec = RunSpec::new(vec![JobSpec::failed("test", "boom\n")]);
    let old = harness.fake().add_run(&repo, &spec.with_age(Duration::from_secs(3 * 86_400)));
    harness.fake().rerun(&old, &[JobSpec::failed("test", "boom again\n")]);
    let since = harness.fake().now().checked_sub(SignedDuration::from_hours(1)).expect("a time");
    let client = harness.client();
    let runs = client.ci().expect("claimed").list_failed_runs(&repo.repo_ref(), since);
    let runs: Vec<Run> = runs.try_collect().await.expect("the runs");
    assert!(runs.iter().any(|run| run.id == old.forge_id), "the re-run is not listed");
}

/// The pull request that a run is for.
pub async fn finds_the_pull_request<H: Harness>() {
    let harness = H::start().await;
    if !is_claimed(&harness) {
        return;
    }
    let repo = shop(harness.fake());
    harness.fake().open_pull(&repo, &PullSpec::new("Other", "other"));
    let pull = harness.fake().open_pull(&repo, &PullSpec::new("Fix it", "fix/it"));
    let client = harness.client();
    let jobs = || vec![JobSpec::failed("test", "boom\n")];
    let for_pull = RunSpec::new(jobs()).for_pull(&pull);
    let by_push = RunSpec::new(jobs()).with_branch("fix/it").with_sha(&pull.sha);
    for spec in [for_pull, by_push] {
        let run = harness.fake().add_run(&repo, &spec);
        let run = get_run(client.as_ref(), &repo, &run).await;
        let found = client.ci().expect("claimed").find_pull_requests(&repo.repo_ref(), &run).await;
        let found = found.expect("the look-up works");
        let numbers: Vec<_> = found.iter().map(|pull| (pull.number.clone(), pull.repo.id.clone())).collect();
        assert_eq!(numbers, [(pull.number.to_string(), repo.forge_id.clone())]);
        assert!(found.iter().all(|pull| pull.is_open));
    }
    let alone = harness.fake().add_run(&repo, &RunSpec::new(jobs()).with_branch("lonely"));
    let alone = get_run(client.as_ref(), &repo, &alone).await;
    let found = client.ci().expect("claimed").find_pull_requests(&repo.repo_ref(), &alone).await;
    assert_eq!(found.expect("the look-up works"), []);
    assert_no_unknown_request(harness.fake());
}

/// The pull request of a fork's branch is found in the repository that it goes to.
pub async fn finds_the_pull_request_of_a_fork<H: Harness>() {
    let harness = H::start().await;
    if !is_claimed(&harness) {
        return;
    }
    let repo = shop(harness.fake());
    let fork = harness.fake().add_fork("robin/shop", &repo);
    let pull = harness.fake().open_pull(&repo, &PullSpec::new("Fix it", "patch-1").from_fork(&fork));
    let jobs = vec![JobSpec::failed("test", "boom\n")];
    // GitHub and GitFlic run it in the repository that the pull request goes to, GitLab in the fork.
    let (place, spec) = if matches!(harness.fake().kind(), ForgeKind::GITHUB | ForgeKind::GITFLIC) {
        (&repo, RunSpec::new(jobs).for_pull(&pull))
    } else {
        (&fork, RunSpec::new(jobs).with_branch("patch-1").with_sha(&pull.sha))
    };
    let run = harness.fake().add_run(place, &spec);
    let client = harness.client();
    let run = get_run(client.as_ref(), place, &run).await;
    let found = client.ci().expect("claimed").find_pull_requests(&place.repo_ref(), &run).await;
    let found = found.expect("the look-up works");
    let numbers: Vec<_> = found.iter().map(|pull| (pull.number.clone(), pull.repo.id.clone())).collect();
    assert_eq!(numbers, [(pull.number.to_string(), repo.forge_id.clone())]);
}

/// Nobody reads a comment on a closed pull request.
pub async fn finds_no_closed_pull_request<H: Harness>() {
    let harness = H::start().await;
    if !is_claimed(&harness) {
        return;
    }
    let repo = shop(harness.fake());
    let pull = harness.fake().open_pull(&repo, &PullSpec::new("Fix it", "fix/it"));
    harness.fake().close_pull(&pull);
    let spec = RunSpec::new(vec![JobSpec::failed("test", "boom\n")]).for_pull(&pull);
    let run = harness.fake().add_run(&repo, &spec);
    let client = harness.client();
    let run = get_run(client.as_ref(), &repo, &run).await;
    let found = client.ci().expect("claimed").find_pull_requests(&repo.repo_ref(), &run).await;
    assert_eq!(found.expect("the look-up works"), []);
}
