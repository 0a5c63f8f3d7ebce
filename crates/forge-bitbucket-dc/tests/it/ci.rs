//! Runs and jobs out of build statuses.

use forge_core::{
    ErrorKind, LogOptions,
    model::{Conclusion, Job, RefType, Run, RunRef, Status},
};
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::server::{Forge, REPO, SHA, answer, page, refusal, repo};

const DAY: i64 = 86_400_000;
const NOW: i64 = 1_790_928_000_000;

fn build(key: &str, state: &str, number: u32) -> Value {
    json!({"key": key, "name": key, "state": state, "dateAdded": NOW + i64::from(number),
           "url": format!("https://ci.example.com/job/{key}/{number}/display/redirect"), "description": "x"})
}

fn list(sha: &str) -> String {
    format!("/build-status/1.0/commits/{sha}?orderBy=NEWEST&limit=100")
}

fn rich(key: &str) -> String {
    format!("{REPO}/commits/{SHA}/builds?key={key}")
}

async fn run_of(builds: Value) -> Run {
    let forge = Forge::start().await;
    forge.on("GET", &list(SHA), page(&builds)).await;
    forge.client.ci().unwrap().get_run(&repo(), &RunRef::new(SHA)).await.unwrap()
}

#[tokio::test]
async fn a_commit_is_as_its_builds_are() {
    let ended = |conclusion| (Status::Completed, Some(conclusion));
    let cases = [
        (json!([build("a", "SUCCESSFUL", 1), build("b", "SUCCESSFUL", 2)]), ended(Conclusion::Success)),
        (json!([build("a", "SUCCESSFUL", 1), build("b", "INPROGRESS", 2)]), (Status::Running, None)),
        // A build that never reports its end must not hide the failure.
        (json!([build("a", "FAILED", 1), build("b", "INPROGRESS", 2)]), ended(Conclusion::Failure)),
        (json!([build("a", "SUCCESSFUL", 1), build("b", "CANCELLED", 2)]), ended(Conclusion::Cancelled)),
        (json!([build("a", "SUCCESSFUL", 1), build("b", "UNKNOWN", 2)]), (Status::Unknown, None)),
        (json!([build("a", "SUCCESSFUL", 1), build("forge-rca", "FAILED", 2)]), ended(Conclusion::Success)),
        (
            json!([build("a", "SUCCESSFUL", 1), build("forge-rca-tests", "FAILED", 2)]),
            ended(Conclusion::Failure),
        ),
    ];
    for (builds, expected) in cases {
        let run = run_of(builds.clone()).await;
        assert_eq!((run.status, run.conclusion), expected, "{builds}");
        assert_eq!((run.id.as_str(), run.sha.as_deref(), run.attempt), (SHA, Some(SHA), 1));
    }
    let run = run_of(json!([build("a", "FAILED", 7), build("b", "SUCCESSFUL", 3)])).await;
    assert_eq!(run.updated_at.unwrap().as_millisecond(), NOW + 7);
    assert_eq!(run.created_at.unwrap().as_millisecond(), NOW + 3);
    assert!(run.web_url.unwrap().ends_with(&format!("/bitbucket/projects/NW/repos/shop/commits/{SHA}")));
}

#[tokio::test]
async fn a_commit_without_builds_waits_and_one_that_is_not_there_is_not_found() {
    let forge = Forge::start().await;
    // The list knows nothing of repositories: it is empty for any commit.
    forge.on("GET", &list(SHA), page(&json!([]))).await;
    let commit = format!("{REPO}/commits/{SHA}");
    forge.once("GET", &commit, answer(200, &json!({"id": SHA, "committerTimestamp": NOW}))).await;
    let ci = forge.client.ci().unwrap();
    assert_eq!(ci.get_run(&repo(), &RunRef::new(SHA)).await.unwrap().status, Status::Queued);
    forge.once("GET", &commit, answer(404, &refusal("gone", "commit.NoSuchCommitException"))).await;
    let error = ci.get_run(&repo(), &RunRef::new(SHA)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let before = forge.asked().await.len();
    for short in ["1f4c8a90", "", "1", "zzzz8a90b2d3e4f50617283940a1b2c3d4e5f607"] {
        let error = ci.get_run(&repo(), &RunRef::new(short)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
    assert_eq!(forge.asked().await.len(), before, "what is no hash is not asked for");
}

#[tokio::test]
async fn the_branch_comes_from_the_rich_status_of_a_failed_build() {
    let forge = Forge::start().await;
    forge.on("GET", &list(SHA), page(&json!([build("a", "SUCCESSFUL", 1), build("b", "FAILED", 2)]))).await;
    let mut status = build("b", "FAILED", 2);
    status["ref"] = json!("refs/heads/feature/total");
    forge.once("GET", &rich("b"), answer(200, &status)).await;
    let ci = forge.client.ci().unwrap();
    let run = ci.get_run(&repo(), &RunRef::new(SHA)).await.unwrap();
    assert_eq!((run.git_ref.as_deref(), run.ref_type), (Some("feature/total"), Some(RefType::Branch)));
    // Servers before 7.14 have no such question.
    forge.on("GET", &rich("b"), ResponseTemplate::new(405)).await;
    let run = ci.get_run(&repo(), &RunRef::new(SHA)).await.unwrap();
    assert_eq!((run.git_ref.as_deref(), run.is_failed()), (None, true));
}

#[tokio::test]
async fn of_a_key_that_a_fork_has_too_only_ours_counts() {
    let forge = Forge::start().await;
    let all = json!([build("ci", "FAILED", 9), build("ci", "SUCCESSFUL", 8), build("lint", "SUCCESSFUL", 7)]);
    forge.on("GET", &list(SHA), page(&all)).await;
    forge.on("GET", &rich("ci"), answer(200, &build("ci", "SUCCESSFUL", 8))).await;
    let jobs: Vec<Job> =
        forge.client.ci().unwrap().list_jobs(&repo(), &RunRef::new(SHA)).try_collect().await.unwrap();
    let seen: Vec<_> = jobs.iter().map(|job| (job.name.as_str(), job.is_failed())).collect();
    assert_eq!(seen, [("ci", false), ("lint", false)]);
}

#[tokio::test]
async fn a_build_that_ran_again_is_another_job() {
    let forge = Forge::start().await;
    forge.once("GET", &list(SHA), page(&json!([build("ci", "FAILED", 22)]))).await;
    let ci = forge.client.ci().unwrap();
    let first: Vec<Job> = ci.list_jobs(&repo(), &RunRef::new(SHA)).try_collect().await.unwrap();
    forge.on("GET", &list(SHA), page(&json!([build("ci", "INPROGRESS", 23)]))).await;
    let second: Vec<Job> = ci.list_jobs(&repo(), &RunRef::new(SHA)).try_collect().await.unwrap();
    assert_ne!(first[0].id, second[0].id);
    assert!(first[0].id.starts_with(&format!("{SHA}:")) && first[0].id.ends_with(":ci"));
    assert_eq!(ci.get_job(&repo(), &second[0].id).await.unwrap().status, Status::Running);
    let error = ci.get_job(&repo(), &first[0].id).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("a later build has replaced"), "{error}");
}

#[tokio::test]
async fn dates_come_as_milliseconds_or_as_texts() {
    let with = |date: Value| {
        let mut status = build("a", "FAILED", 1);
        status["dateAdded"] = date;
        json!([status])
    };
    let expected: Timestamp = "2026-10-02T08:04:31Z".parse().unwrap();
    let dates = [
        json!(expected.as_millisecond()),
        json!("2026-10-02T18:04:31+1000"),
        json!("2026-10-02T08:04:31Z"),
        json!(expected.as_millisecond().to_string()),
    ];
    for date in dates {
        assert_eq!(run_of(with(date.clone())).await.updated_at, Some(expected), "{date}");
    }
    assert_eq!(run_of(with(json!("yesterday"))).await.updated_at, None);
}

#[tokio::test]
async fn failed_runs_are_found_at_heads_below_them_and_at_pull_requests() {
    let sha = |digit: char| digit.to_string().repeat(40);
    let forge = Forge::start().await;
    let branches = json!([
        {"id": "refs/heads/just-deleted", "displayId": "just-deleted", "latestCommit": sha('9')},
        {"id": "refs/heads/main", "displayId": "main", "latestCommit": sha('a')},
        {"id": "refs/heads/old", "displayId": "old", "latestCommit": sha('b')},
        {"id": "refs/heads/older", "displayId": "older", "latestCommit": sha('c')},
    ]);
    forge.on("GET", &format!("{REPO}/branches?orderBy=MODIFICATION&limit=100"), page(&branches)).await;
    let commit = |digit: char, at: i64| json!({"id": sha(digit), "committerTimestamp": at});
    let main = json!([commit('a', NOW), commit('d', NOW - 1000), commit('e', NOW - 9 * DAY)]);
    let commits = format!("{REPO}/commits?until=refs%2Fheads%2F");
    let gone = answer(404, &refusal("gone", "commit.NoSuchCommitException"));
    forge.on("GET", &format!("{commits}just-deleted&limit=100"), gone).await;
    forge.on("GET", &format!("{commits}main&limit=100"), page(&main)).await;
    forge.on("GET", &format!("{commits}old&limit=100"), page(&json!([commit('b', NOW - 9 * DAY)]))).await;
    let pull = json!([{"id": 17, "state": "OPEN", "fromRef": {"id": "refs/heads/patch-1", "latestCommit": sha('f')}}]);
    forge.on("GET", &format!("{REPO}/pull-requests?state=OPEN&order=NEWEST&limit=100"), page(&pull)).await;
    let counts = json!({
        sha('a'): {"successful": 1, "inProgress": 0, "failed": 0},
        sha('b'): {"successful": 0, "inProgress": 0, "failed": 1},
        sha('c'): {"successful": 0, "inProgress": 0, "failed": 1},
        sha('d'): {"successful": 1, "inProgress": 1, "failed": 1},
        sha('f'): {"successful": 0, "inProgress": 0, "failed": 2},
    });
    forge.on("POST", "/build-status/1.0/commits/stats", answer(200, &counts)).await;
    let old = |key: &str| {
        let mut status = build(key, "FAILED", 1);
        status["dateAdded"] = json!(NOW - 9 * DAY);
        json!([status])
    };
    forge.on("GET", &list(&sha('b')), page(&old("b"))).await;
    forge.on("GET", &list(&sha('c')), page(&json!([build("c", "FAILED", 1)]))).await;
    forge.on("GET", &list(&sha('d')), page(&json!([build("d", "FAILED", 1)]))).await;
    forge.on("GET", &list(&sha('f')), page(&json!([build("f", "FAILED", 1), build("g", "FAILED", 2)]))).await;

    let since = Timestamp::from_millisecond(NOW - 60_000).unwrap();
    let runs: Vec<Run> =
        forge.client.ci().unwrap().list_failed_runs(&repo(), since).try_collect().await.unwrap();
    let found: Vec<_> = runs.iter().map(|run| (run.id.clone(), run.git_ref.as_deref())).collect();
    // That of `old` failed long ago; `older` is an old head whose build ran again just now.
    assert_eq!(found, [(sha('c'), Some("older")), (sha('d'), Some("main")), (sha('f'), Some("patch-1"))]);
    let asked = forge.sent().await;
    assert_eq!(
        asked,
        [json!([sha('9'), sha('a'), sha('b'), sha('c'), sha('d'), sha('f')])],
        "one question for all"
    );
}

#[tokio::test]
async fn a_build_without_a_log_source_has_no_log_and_the_error_says_what_to_do() {
    let forge = Forge::start().await;
    let mut job = Job::new(format!("{SHA}:0:ci"), SHA, "ci");
    job.status = Status::Completed;
    job.conclusion = Some(Conclusion::Failure);
    let ci = forge.client.ci().unwrap();
    let error = ci.job_log(&repo(), &job, LogOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "no address at all");
    job.web_url = Some("https://ci.example.com/job/shop/22/?token=hidden".to_owned());
    let error = ci.job_log(&repo(), &job, LogOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let hint = error.hint().unwrap();
    assert!(hint.contains("https://ci.example.com ") && hint.contains("ingest"), "{hint}");
    assert!(!format!("{error:?}").contains("hidden"));
    assert!(forge.asked().await.is_empty());
}
