//! Runs, jobs, logs and pull requests.

use forge_core::{
    ErrorKind, LogOptions,
    model::{Conclusion, Job, RefType, Run, RunRef, Status},
};
use futures_util::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::server::{Forge, fixture, json as answer, repo};

const SHA: &str = "5f0c1e2d3b4a59687766554433221100ffeeddcc";
const LOGS: &str = "/repos/northwind/shop/actions/jobs/21000000000456/logs";

#[tokio::test]
async fn a_run_is_read_by_attempt() {
    let forge = Forge::start().await;
    let path = "/repos/northwind/shop/actions/runs/7300000000123";
    forge.on("GET", path, answer(200, &fixture("run.json"))).await;
    forge.on("GET", &format!("{path}/attempts/2"), answer(200, &fixture("run_startup_failure.json"))).await;
    let ci = forge.client.ci().unwrap();

    let run = ci.get_run(&repo(), &RunRef::new("7300000000123")).await.unwrap();
    assert!(run.is_failed());
    assert_eq!((run.attempt, run.number.as_deref(), run.name.as_deref()), (1, Some("412"), Some("CI")));
    assert_eq!((run.git_ref.as_deref(), run.ref_type), (Some("feature/basket"), Some(RefType::Branch)));
    assert_eq!(run.pull_requests, ["88"]);
    assert_eq!((run.head_repo_id, run.head_owner.as_deref()), (None, Some("northwind")));
    assert_eq!((run.config_error, run.finished_at), (None, run.updated_at));

    let run = ci.get_run(&repo(), &RunRef::new("7300000000123").with_attempt(Some(2))).await.unwrap();
    assert_eq!(run.conclusion, Some(Conclusion::StartupFailure));
    assert!(run.config_error.unwrap().contains(".github/workflows/broken.yml is not a valid workflow"));
}

#[tokio::test]
async fn jobs_are_listed_by_attempt_over_all_pages() {
    let forge = Forge::start().await;
    let path = "/repos/northwind/shop/actions/runs/7300000000123/attempts/2/jobs";
    let page = |count: usize| json!({"total_count": 120, "jobs": vec![fixture("job.json"); count]});
    let next = format!("<{}>; rel=\"next\"", forge.url(&format!("{path}?per_page=100&page=2")));
    let first = answer(200, &page(100)).insert_header("link", next.as_str());
    forge.on("GET", &format!("{path}?per_page=100"), first).await;
    forge.on("GET", &format!("{path}?per_page=100&page=2"), answer(200, &page(20))).await;
    let run = RunRef::new("7300000000123").with_attempt(Some(2));
    let jobs: Vec<Job> = forge.client.ci().unwrap().list_jobs(&repo(), &run).try_collect().await.unwrap();
    assert_eq!(jobs.len(), 120);
    let job = &jobs[0];
    assert!(job.is_failed());
    assert_eq!(
        (job.run_id.as_str(), job.attempt, job.runner.as_deref()),
        ("7300000000123", 2, Some("GitHub Actions 4"))
    );
    assert_eq!(job.steps[1].conclusion, Some(Conclusion::Failure));
    assert_eq!(job.steps[2].number, 7, "numbers are GitHub's, with gaps");
}

fn run_at(id: u64, created: &str, updated: &str, conclusion: &str) -> Value {
    let mut run = fixture("run.json");
    run["id"] = json!(id);
    run["created_at"] = json!(created);
    run["updated_at"] = json!(updated);
    run["conclusion"] = json!(conclusion);
    run
}

#[tokio::test]
async fn failed_runs_include_the_rerun_of_an_old_one_and_reading_stops_in_time() {
    let forge = Forge::start().await;
    let path = "/repos/northwind/shop/actions/runs?per_page=100";
    let link = |page: u8| format!("<{}>; rel=\"next\"", forge.url(&format!("{path}&page={page}")));
    let first = json!({"workflow_runs": [
        run_at(5, "2026-10-02T11:00:00Z", "2026-10-02T11:05:00Z", "success"),
        run_at(4, "2026-10-02T10:30:00Z", "2026-10-02T10:31:00Z", "startup_failure"),
        run_at(3, "2026-10-02T05:00:00Z", "2026-10-02T10:40:00Z", "timed_out"),
    ]});
    let second = json!({"workflow_runs": [
        run_at(2, "2026-10-01T05:00:00Z", "2026-10-02T10:50:00Z", "failure"),
        run_at(1, "2026-10-01T04:00:00Z", "2026-10-01T04:10:00Z", "failure"),
    ]});
    let third =
        json!({"workflow_runs": [run_at(0, "2026-09-30T04:00:00Z", "2026-09-30T04:10:00Z", "failure")]});
    forge.on("GET", path, answer(200, &first).insert_header("link", link(2).as_str())).await;
    forge
        .on("GET", &format!("{path}&page=2"), answer(200, &second).insert_header("link", link(3).as_str()))
        .await;
    forge
        .on("GET", &format!("{path}&page=3"), answer(200, &third).insert_header("link", link(4).as_str()))
        .await;

    let since: Timestamp = "2026-10-02T10:00:00Z".parse().unwrap();
    let runs: Vec<Run> =
        forge.client.ci().unwrap().list_failed_runs(&repo(), since).try_collect().await.unwrap();
    let ids: Vec<_> = runs.iter().map(|run| run.id.as_str()).collect();
    assert_eq!(ids, ["4", "3", "2"]);
    assert_eq!(forge.asked().await.len(), 3, "the third page has nothing new and is old");
}

fn job(finished: Option<Timestamp>, conclusion: Conclusion) -> Job {
    let mut job = Job::new("21000000000456", "7300000000123", "test");
    job.status = if finished.is_some() { Status::Completed } else { Status::Running };
    job.conclusion = finished.map(|_| conclusion);
    job.finished_at = finished;
    job
}

#[tokio::test]
async fn a_log_is_read_to_the_byte_and_cut_at_the_limit() {
    let forge = Forge::start().await;
    let log =
        b"\xef\xbb\xbf2026-10-02T08:00:10.1234567Z ##[group]Run make\r\n\x1b[31merror\x00\xff\n".to_vec();
    forge.on("GET", LOGS, ResponseTemplate::new(200).set_body_bytes(log.clone())).await;
    let ci = forge.client.ci().unwrap();
    let job = job(Some(Timestamp::now()), Conclusion::Failure);
    let whole = ci.job_log(&repo(), &job, LogOptions::default()).await.unwrap().read_to_end().await.unwrap();
    assert_eq!(whole, (log.clone(), false));
    let part = ci.job_log(&repo(), &job, LogOptions::new(10)).await.unwrap().read_to_end().await.unwrap();
    assert_eq!(part, (log[..10].to_vec(), true));
}

#[tokio::test]
async fn a_missing_log_is_not_ready_gone_or_was_never_there() {
    let now = Timestamp::now();
    let old = now - SignedDuration::from_hours(2);
    let cases = [
        (404, job(Some(now), Conclusion::Failure), ErrorKind::NotReady),
        (404, job(Some(old), Conclusion::Failure), ErrorKind::NotFound),
        (404, job(Some(now), Conclusion::Skipped), ErrorKind::NotFound),
        (410, job(Some(old), Conclusion::Failure), ErrorKind::Gone),
        (403, job(Some(now), Conclusion::Failure), ErrorKind::Forbidden),
    ];
    for (status, job, expected) in cases {
        let forge = Forge::start().await;
        forge.on("GET", LOGS, answer(status, &json!({"message": "x"}))).await;
        let error =
            forge.client.ci().unwrap().job_log(&repo(), &job, LogOptions::default()).await.unwrap_err();
        assert_eq!(error.kind(), expected, "{status}");
        assert_eq!(error.operation(), Some("read the log of job 21000000000456 of northwind/shop"));
        assert_eq!(forge.asked().await.len(), 1, "the job is known");
    }
}

#[tokio::test]
async fn the_log_of_a_job_that_runs_is_not_ready() {
    let forge = Forge::start().await;
    forge.on("GET", LOGS, ResponseTemplate::new(404)).await;
    let mut running = fixture("job.json");
    running["status"] = json!("in_progress");
    running["conclusion"] = Value::Null;
    running["completed_at"] = Value::Null;
    forge.on("GET", "/repos/northwind/shop/actions/jobs/21000000000456", answer(200, &running)).await;
    let unknown = job(None, Conclusion::Failure);
    let error =
        forge.client.ci().unwrap().job_log(&repo(), &unknown, LogOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady);
}

fn run(change: impl FnOnce(&mut Run)) -> Run {
    let mut run = Run::new("7300000000123");
    run.sha = Some(SHA.to_owned());
    run.git_ref = Some("feature/basket".to_owned());
    change(&mut run);
    run
}

fn pull_request(number: u64, change: impl FnOnce(&mut Value)) -> Value {
    let mut answer = fixture("pull_request.json");
    answer["number"] = json!(number);
    change(&mut answer);
    answer
}

async fn found(forge: &Forge, run: &Run) -> Vec<String> {
    let found = forge.client.ci().unwrap().find_pull_requests(&repo(), run).await.unwrap();
    found.into_iter().map(|pull_request| pull_request.number).collect()
}

#[tokio::test]
async fn pull_requests_that_the_run_names_come_first_and_only_open_ones_count() {
    let forge = Forge::start().await;
    forge.on("GET", "/repos/northwind/shop/pulls/88", answer(200, &pull_request(88, |_| ()))).await;
    let closed = pull_request(89, |answer| answer["state"] = json!("closed"));
    forge.on("GET", "/repos/northwind/shop/pulls/89", answer(200, &closed)).await;
    forge.on("GET", "/repos/northwind/shop/pulls/90", ResponseTemplate::new(404)).await;
    let named = run(|run| run.pull_requests = vec!["90".into(), "89".into(), "88".into()]);
    assert_eq!(found(&forge, &named).await, ["88"]);
    let queued = run(|run| run.git_ref = Some(format!("gh-readonly-queue/main/pr-88-{SHA}")));
    assert_eq!(found(&forge, &queued).await, ["88"]);
}

#[tokio::test]
async fn a_pull_request_that_the_run_names_is_taken_for_there_when_it_cannot_be_read() {
    let forge = Forge::start().await;
    let named = run(|run| run.pull_requests = vec!["90".into()]);
    assert_eq!(found(&forge, &named).await, ["90"]);
}

#[tokio::test]
async fn pull_requests_are_found_by_commit_best_first_and_of_this_repository_only() {
    let forge = Forge::start().await;
    let stacked = pull_request(1, |answer| answer["head"]["sha"] = json!("c".repeat(40)));
    let elsewhere = pull_request(2, |answer| answer["base"]["repo"]["id"] = json!(111));
    let merged = pull_request(3, |answer| answer["state"] = json!("closed"));
    let exact = pull_request(4, |_| ());
    let all = json!([stacked, elsewhere, merged, exact]);
    forge.on("GET", &format!("/repos/northwind/shop/commits/{SHA}/pulls"), answer(200, &all)).await;
    assert_eq!(found(&forge, &run(|_| ())).await, ["4", "1"]);
}

#[tokio::test]
async fn pull_requests_of_forks_are_found_by_their_branch() {
    let forge = Forge::start().await;
    let unknown = json!({"message": "No commit found for SHA"});
    forge.on("GET", &format!("/repos/northwind/shop/commits/{SHA}/pulls"), answer(422, &unknown)).await;
    let path = "/repos/northwind/shop/pulls?state=open&head=eve%3Apatch%2F1%26x";
    forge.on("GET", path, answer(200, &json!([pull_request(7, |_| ())]))).await;
    let fork = run(|run| {
        run.trigger = Some("pull_request".to_owned());
        run.head_repo_id = Some("55".to_owned());
        run.head_owner = Some("eve".to_owned());
        run.git_ref = Some("patch/1&x".to_owned());
    });
    assert_eq!(found(&forge, &fork).await, ["7"]);

    forge.server.reset().await;
    forge.on("GET", &format!("/repos/northwind/shop/commits/{SHA}/pulls"), answer(200, &json!([]))).await;
    assert!(found(&forge, &run(|_| ())).await.is_empty());
    assert_eq!(forge.asked().await.len(), 1, "a push to our own branch needs no second look");
}
