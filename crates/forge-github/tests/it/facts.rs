//! Facts: what is asked, and what is made of the answer.

use forge_core::{
    ErrorKind, Facts, ForgeClientExt as _,
    model::{AnnotationLevel, Change, FileChange, Job, LineRange, Run},
};
use forge_testkit::{ChangeSpec, FakeGitHub};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::server::{Forge, fixture, json as answer, repo};

const RUNS: &str = "/repos/northwind/shop/actions/runs";
const BASE: &str = "1111111111111111111111111111111111111111";
const HEAD: &str = "5f0c1e2d3b4a59687766554433221100ffeeddcc";

fn facts(forge: &Forge) -> &dyn Facts {
    forge.client.require_facts().unwrap()
}

fn run() -> Run {
    let mut run = Run::new("7300000000123");
    run.sha = Some(HEAD.to_owned());
    run
}

fn job() -> Job {
    Job::new("21000000000456", "7300000000123", "test (ubuntu-24.04, 1.80)")
}

fn range() -> Change {
    Change::Range { base: BASE.to_owned(), head: HEAD.to_owned() }
}

fn run_of(id: u64, change: impl FnOnce(&mut Value)) -> Value {
    let mut run = fixture("run.json");
    run["id"] = json!(id);
    run["conclusion"] = json!("success");
    change(&mut run);
    run
}

fn job_of(id: u64, attempt: u64, conclusion: &str, started_at: &str) -> Value {
    let mut job = fixture("job.json");
    job["id"] = json!(id);
    job["run_attempt"] = json!(attempt);
    job["conclusion"] = json!(conclusion);
    job["started_at"] = json!(started_at);
    job
}

#[tokio::test]
async fn a_comparison_gives_files_and_lines() {
    let forge = Forge::start().await;
    let path = format!("/repos/northwind/shop/compare/{BASE}...{HEAD}?per_page=1");
    forge.on("GET", &path, answer(200, &fixture("comparison.json"))).await;
    let diff = facts(&forge).diff(&repo(), &range()).await.unwrap();
    insta::assert_json_snapshot!(diff);
    assert_eq!(forge.asked().await, [format!("GET {path}")]);
}

#[tokio::test]
async fn commits_are_newest_first_and_at_most_a_hundred() {
    let forge = Forge::start().await;
    let path = format!("/repos/northwind/shop/compare/{BASE}...{HEAD}");
    forge.once("GET", &path, answer(200, &fixture("comparison.json"))).await;
    let commits = facts(&forge).commits_between(&repo(), BASE, HEAD).await.unwrap();
    insta::assert_json_snapshot!(commits);

    let many: Vec<Value> = (0..250).map(|index| json!({"sha": format!("{index:040}")})).collect();
    let body = json!({"total_commits": 900, "commits": many});
    forge.on("GET", &path, answer(200, &body)).await;
    let commits = facts(&forge).commits_between(&repo(), BASE, HEAD).await.unwrap();
    assert_eq!((commits.items.len(), commits.is_truncated), (100, true));
    assert_eq!(commits.items[0].sha, format!("{:040}", 249));
}

#[tokio::test]
async fn a_comparison_of_three_hundred_files_may_not_be_all() {
    let forge = Forge::start().await;
    let path = format!("/repos/northwind/shop/compare/{BASE}...{HEAD}?per_page=1");
    let files = |count: usize| -> Value {
        (0..count).map(|index| json!({"filename": format!("f{index}"), "status": "added"})).collect()
    };
    for (count, is_truncated) in [(299, false), (300, true)] {
        forge.once("GET", &path, answer(200, &json!({"files": files(count)}))).await;
        let diff = facts(&forge).diff(&repo(), &range()).await.unwrap();
        assert_eq!((diff.files.len(), diff.is_truncated), (count, is_truncated));
        assert_eq!(diff.files[0].lines, None, "without a patch every line may have changed");
    }
}

#[tokio::test]
async fn the_files_of_a_large_commit_are_read_from_all_pages() {
    let fake = FakeGitHub::start().await;
    let repo = fake.add_repo("northwind/shop");
    let mut change = ChangeSpec::new(&repo, BASE, HEAD).with_commit(HEAD, "Much");
    for index in 0..650 {
        change = change.with_file(&format!("f{index}"), FileChange::Added, Some("@@ -0,0 +1 @@\n+x\n"));
    }
    fake.add_change(&change);
    let credentials = std::sync::Arc::new(forge_core::StaticCredential::token(fake.token()));
    let client = forge_core::Provider::connect(
        &forge_github::GitHub::new(crate::server::http()),
        &fake.instance(),
        credentials,
    );
    let client = client.unwrap();
    let commit = Change::Commit(HEAD.to_owned());
    let diff = client.require_facts().unwrap().diff(&repo.repo_ref(), &commit).await.unwrap();
    assert_eq!((diff.files.len(), diff.is_truncated), (650, false));
    assert_eq!(diff.files[649].lines, Some(vec![LineRange { start: 1, end: 1 }]));
    assert_eq!(fake.count("GET", "/api/v3/repos/**"), 3, "300 files a page");
}

#[tokio::test]
async fn the_last_green_job_takes_the_fewest_requests() {
    let forge = Forge::start().await;
    let list = "/repos/northwind/shop/actions/workflows/5511/runs\
                ?branch=release%2F1&status=completed&exclude_pull_requests=true&per_page=100";
    let jobs = |id: u64| format!("{RUNS}/{id}/jobs?filter=all&per_page=100");
    forge.on("GET", &format!("{RUNS}/7300000000123"), answer(200, &fixture("run.json"))).await;
    let runs = json!({"total_count": 6, "workflow_runs": [
        run_of(7_300_000_000_123, |_| ()),
        run_of(6, |run| run["head_repository"] = json!({"id": 77, "owner": {"login": "eve"}})),
        run_of(5, |run| run["conclusion"] = json!("startup_failure")),
        run_of(4, |run| run["conclusion"] = json!("failure")),
        run_of(3, |_| ()),
        run_of(2, |_| ()),
    ]});
    forge.on("GET", list, answer(200, &runs)).await;
    let red = json!({"jobs": [job_of(41, 1, "failure", "2026-10-02T08:00:10Z")]});
    forge.on("GET", &jobs(4), answer(200, &red)).await;
    // Attempt 2 repeated other jobs only, and shows a copy of this one under another id.
    let copied = json!({"jobs": [
        job_of(32, 2, "success", "2026-10-02T08:00:10Z"),
        job_of(31, 1, "success", "2026-10-02T08:00:10Z"),
    ]});
    forge.on("GET", &jobs(3), answer(200, &copied)).await;
    let found = facts(&forge).last_green_job(&repo(), &run(), &job(), "release/1").await.unwrap().unwrap();
    assert_eq!((found.run.id.as_str(), found.job.id.as_str()), ("3", "31"), "where it really ran");
    let asked = forge.asked().await;
    assert_eq!(asked.len(), 4, "the run, the list, two runs that could have it: {asked:?}");
}

#[tokio::test]
async fn a_long_red_streak_ends_the_search() {
    let forge = Forge::start().await;
    forge.on("GET", &format!("{RUNS}/7300000000123"), answer(200, &fixture("run.json"))).await;
    let runs: Vec<Value> =
        (1..=100).map(|id| run_of(id, |run| run["conclusion"] = json!("failure"))).collect();
    let list = "/repos/northwind/shop/actions/workflows/5511/runs\
                ?branch=main&status=completed&exclude_pull_requests=true&per_page=100";
    forge.on("GET", list, answer(200, &json!({"workflow_runs": runs}))).await;
    for id in 1..=100 {
        let path = format!("{RUNS}/{id}/jobs?filter=all&per_page=100");
        forge.on("GET", &path, answer(200, &json!({"jobs": []}))).await;
    }
    let found = facts(&forge).last_green_job(&repo(), &run(), &job(), "main").await.unwrap();
    assert_eq!(found, None);
    assert_eq!(forge.asked().await.len(), 22);
}

#[tokio::test]
async fn annotations_lose_what_every_failed_step_says() {
    let forge = Forge::start().await;
    let path = "/repos/northwind/shop/check-runs/21000000000456/annotations?per_page=100";
    forge.on("GET", path, answer(200, &fixture("annotations.json"))).await;
    let found = facts(&forge).annotations(&repo(), &job()).await.unwrap();
    insta::assert_json_snapshot!(found);
    assert_eq!(forge.asked().await, [format!("GET {path}")]);
}

#[tokio::test]
async fn long_annotations_are_cut_and_many_end_at_a_thousand() {
    let forge = Forge::start().await;
    let one = json!({"path": "a.rs", "start_line": 1, "annotation_level": null, "message": "é".repeat(5000)});
    let page = |count: usize| Value::from(vec![one.clone(); count]);
    let at = |number: usize| {
        let first = "/repos/northwind/shop/check-runs/21000000000456/annotations?per_page=100";
        if number == 1 { first.to_owned() } else { format!("{first}&page={number}") }
    };
    for number in 1..=11 {
        let next = format!("<{}>; rel=\"next\"", forge.url(&at(number + 1)));
        forge.on("GET", &at(number), answer(200, &page(100)).insert_header("link", &*next)).await;
    }
    let found = facts(&forge).annotations(&repo(), &job()).await.unwrap();
    assert_eq!((found.len(), found[0].message.chars().count()), (1000, 4000));
    assert_eq!(found[0].level, AnnotationLevel::Notice);
    assert_eq!(forge.asked().await.len(), 10);
}

#[tokio::test]
async fn a_job_whose_check_run_has_another_id_is_asked_for_it() {
    let forge = Forge::start().await;
    let not_found = answer(404, &json!({"message": "Not Found"}));
    let annotations = |id: u64| format!("/repos/northwind/shop/check-runs/{id}/annotations?per_page=100");
    forge.on("GET", &annotations(21_000_000_000_456), not_found.clone()).await;
    let mut told = fixture("job.json");
    told["check_run_url"] = json!("https://api.github.com/repos/northwind/shop/check-runs/99");
    forge.once("GET", "/repos/northwind/shop/actions/jobs/21000000000456", answer(200, &told)).await;
    forge.on("GET", &annotations(99), answer(200, &fixture("annotations.json"))).await;
    assert!(!facts(&forge).annotations(&repo(), &job()).await.unwrap().is_empty());

    // With the same id it is simply not to be seen.
    let plain = answer(200, &fixture("job.json"));
    forge.on("GET", "/repos/northwind/shop/actions/jobs/21000000000456", plain).await;
    let error = facts(&forge).annotations(&repo(), &job()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn the_workflow_file_is_read_raw_at_the_commit() {
    let forge = Forge::start().await;
    let file = format!("/repos/northwind/shop/contents/.github/workflows/build%20it.yml?ref={HEAD}");
    let told = run_of(1, |run| run["path"] = json!(".github/workflows/build it.yml@refs/heads/main"));
    forge.on("GET", &format!("{RUNS}/7300000000123"), answer(200, &told)).await;
    forge.once("GET", &file, ResponseTemplate::new(200).set_body_string("on: push\n")).await;
    let config = facts(&forge).ci_config(&repo(), &run()).await.unwrap().unwrap();
    assert_eq!((&*config.path, &*config.text), (".github/workflows/build it.yml", "on: push\n"));
    let requests = forge.requests().await;
    assert_eq!(requests[1].headers["accept"], "application/vnd.github.raw+json");

    let big = ResponseTemplate::new(200).set_body_string("#".repeat(1024 * 1024 + 1));
    forge.once("GET", &file, big).await;
    let error = facts(&forge).ci_config(&repo(), &run()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    forge.once("GET", &file, answer(403, &json!({"message": "Resource not accessible"}))).await;
    let error = facts(&forge).ci_config(&repo(), &run()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
}

#[tokio::test]
async fn runs_of_githubs_own_have_no_file() {
    for path in [json!("dynamic/github-code-scanning/codeql"), Value::Null, json!("")] {
        let forge = Forge::start().await;
        let told = run_of(1, |run| run["path"] = path);
        forge.on("GET", &format!("{RUNS}/7300000000123"), answer(200, &told)).await;
        assert_eq!(facts(&forge).ci_config(&repo(), &run()).await.unwrap(), None);
        assert_eq!(forge.asked().await.len(), 1);
    }
}

#[tokio::test]
async fn tests_have_no_report_and_ask_for_none() {
    let forge = Forge::start().await;
    let error = facts(&forge).failing_tests(&repo(), &run(), &job()).await.unwrap_err();
    assert_eq!((error.kind(), forge.asked().await.len()), (ErrorKind::Unsupported, 0));
}

#[tokio::test]
async fn bad_answers_are_typed_errors() {
    let html = ResponseTemplate::new(200).set_body_raw("<html>s3cret</html>", "text/html");
    let truncated = ResponseTemplate::new(200).set_body_raw("[{\"files\": \"s3cret", "application/json");
    let mistyped = answer(200, &json!({"files": "s3cret", "workflow_runs": 5, "path": 5, "id": "s3cret"}));
    let cases = [
        (html, ErrorKind::UnexpectedResponse),
        (truncated, ErrorKind::UnexpectedResponse),
        (mistyped, ErrorKind::UnexpectedResponse),
        (answer(403, &json!({"message": "no"})), ErrorKind::Forbidden),
        (answer(404, &json!({"message": "Not Found"})), ErrorKind::NotFound),
        (answer(422, &json!({"message": "No commit found for SHA: s3cret"})), ErrorKind::NotFound),
    ];
    for (response, expected) in cases {
        let forge = Forge::start().await;
        wiremock::Mock::given(wiremock::matchers::any()).respond_with(response).mount(&forge.server).await;
        let facts = facts(&forge);
        let mut errors = vec![
            facts.diff(&repo(), &range()).await.unwrap_err(),
            facts.diff(&repo(), &Change::Commit(HEAD.to_owned())).await.unwrap_err(),
            facts.commits_between(&repo(), BASE, HEAD).await.unwrap_err(),
        ];
        if expected != ErrorKind::NotFound {
            errors.push(facts.diff(&repo(), &Change::Pull("5".to_owned())).await.unwrap_err());
            errors.push(facts.last_green_job(&repo(), &run(), &job(), "main").await.unwrap_err());
            errors.push(facts.annotations(&repo(), &job()).await.unwrap_err());
            errors.push(facts.ci_config(&repo(), &run()).await.unwrap_err());
        }
        for error in errors {
            assert_eq!(error.kind(), expected, "{error}");
            assert!(
                error.operation().is_some_and(|operation| operation.contains("northwind/shop")),
                "{error}"
            );
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
    }
}
