//! Facts: the exact requests, and answers in all the shapes that GitLab gives them.

use forge_core::{
    ErrorKind, Facts, ForgeClient,
    model::{Change, FileChange, Job, LineRange, RepoRef, Run},
};
use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path, query_param},
};

use crate::support::connect_mock;

const BASE: &str = "1111111111111111111111111111111111111111";
const HEAD: &str = "3333333333333333333333333333333333333333";

fn repo() -> RepoRef {
    RepoRef::new("1042", "shop/pos/till")
}

async fn answer(server: &MockServer, at: &str, query: &[(&str, &str)], reply: ResponseTemplate) {
    let mut mock = Mock::given(method("GET")).and(path(format!("/api/v4/projects/1042{at}")));
    for (name, value) in query {
        mock = mock.and(query_param(*name, *value));
    }
    mock.respond_with(reply).mount(server).await;
}

fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn facts(client: &dyn ForgeClient) -> &dyn Facts {
    client.facts().unwrap()
}

/// What was asked, in order, without the API's root.
async fn asked(server: &MockServer) -> Vec<String> {
    let requests = server.received_requests().await.unwrap();
    requests
        .iter()
        .map(|request| {
            let query = request.url.query().map(|query| format!("?{query}")).unwrap_or_default();
            format!("{}{query}", request.url.path().trim_start_matches("/api/v4/projects/1042"))
        })
        .collect()
}

fn run(id: &str, trigger: &str) -> Run {
    let mut run = Run::new(id);
    run.trigger = Some(trigger.to_owned());
    run.sha = Some(HEAD.to_owned());
    run
}

#[tokio::test]
async fn a_file_without_text_has_no_lines() {
    let server = MockServer::start().await;
    let file = |name: &str, more: Value| {
        let mut file = json!({ "old_path": name, "new_path": name, "a_mode": "100644", "b_mode": "100644",
            "new_file": false, "renamed_file": false, "deleted_file": false, "diff": "" });
        file.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        file
    };
    let hunk = "@@ -1,1 +1,2 @@\n one\n+two\n";
    answer(
        &server,
        &format!("/repository/commits/{HEAD}/diff"),
        &[],
        ok(json!([
            file("plain", json!({ "diff": hunk })),
            file("too large", json!({ "too_large": true })),
            file("collapsed", json!({ "collapsed": true, "diff": hunk })),
            file("old version", json!({})),
            file("null", json!({ "diff": null })),
            file("binary", json!({ "diff": "Binary files a/binary and b/binary differ\n" })),
            file("with headers", json!({ "diff": format!("--- a/x\n+++ b/x\n{hunk}") })),
        ])),
    )
    .await;
    let client = connect_mock(&server);
    let diff = facts(&*client).diff(&repo(), &Change::Commit(HEAD.to_owned())).await.unwrap();
    let lines = Some(vec![LineRange { start: 2, end: 2 }]);
    let found: Vec<_> = diff.files.iter().map(|file| (file.path.as_str(), file.lines.clone())).collect();
    assert_eq!(
        found,
        [
            ("plain", lines.clone()),
            ("too large", None),
            ("collapsed", None),
            ("old version", None),
            ("null", None),
            ("binary", None),
            ("with headers", lines),
        ]
    );
    assert!(!diff.is_truncated && diff.files.iter().all(|file| file.change == FileChange::Modified));
    assert_eq!(asked(&server).await, [format!("/repository/commits/{HEAD}/diff?per_page=100")]);
}

#[tokio::test]
async fn a_diff_that_gitlab_cut_says_so() {
    let file = |number: usize| json!({ "old_path": format!("{number}"), "new_path": format!("{number}") });
    for (count, overflow, is_truncated) in
        [(1, json!("1"), false), (1, json!("1+"), true), (1, json!(null), false)]
    {
        let server = MockServer::start().await;
        let files: Vec<Value> = (0..count).map(file).collect();
        answer(&server, "/merge_requests/7/diffs", &[], ok(json!(files))).await;
        answer(&server, "/merge_requests/7", &[], ok(json!({ "iid": 7, "changes_count": overflow }))).await;
        let diff = facts(&*connect_mock(&server)).diff(&repo(), &Change::Pull("7".to_owned())).await.unwrap();
        assert_eq!((diff.files.len(), diff.is_truncated), (count, is_truncated), "{overflow}");
    }
    // A thousand files are GitLab's own limit, and ours.
    let server = MockServer::start().await;
    let files: Vec<Value> = (0..1_000).map(file).collect();
    let compared = json!({ "commits": [], "diffs": files, "compare_timeout": false });
    answer(&server, "/repository/compare", &[], ok(compared)).await;
    let change = Change::Range { base: BASE.to_owned(), head: HEAD.to_owned() };
    let client = connect_mock(&server);
    let diff = facts(&*client).diff(&repo(), &change).await.unwrap();
    assert_eq!((diff.files.len(), diff.is_truncated), (1_000, true));
    assert_eq!(asked(&server).await, [format!("/repository/compare?from={BASE}&to={HEAD}&straight=false")]);
}

#[tokio::test]
async fn commits_are_newest_first_whichever_way_they_come() {
    let commit = |id: &str, date: &str| {
        json!({ "id": id, "title": "cut…", "message": format!("{id}: whole\n\nbody"), "author_name": "Robin",
            "committed_date": date })
    };
    let (old, new) = (commit("a", "2026-01-01T00:00:00.000+01:00"), commit("b", "2026-01-02T00:00:00Z"));
    let same = commit("c", "2026-01-01T00:00:00.000+01:00");
    for (commits, order) in [
        (json!([old, new]), vec!["b", "a"]),
        (json!([new, old]), vec!["b", "a"]),
        (json!([old, same]), vec!["c", "a"]),
        (json!([]), vec![]),
    ] {
        let server = MockServer::start().await;
        answer(
            &server,
            "/repository/compare",
            &[("from", BASE), ("to", HEAD)],
            ok(json!({ "commits": commits })),
        )
        .await;
        let commits = facts(&*connect_mock(&server)).commits_between(&repo(), BASE, HEAD).await.unwrap();
        let found: Vec<_> = commits.items.iter().map(|commit| commit.sha.as_str()).collect();
        assert_eq!((found, commits.is_truncated), (order, false));
        assert!(commits.items.iter().all(|commit| commit.title == format!("{}: whole", commit.sha)));
    }
    let server = MockServer::start().await;
    let many: Vec<Value> =
        (0..101).map(|number| json!({ "id": format!("{number}"), "title": "t" })).collect();
    answer(&server, "/repository/compare", &[], ok(json!({ "commits": many }))).await;
    let commits = facts(&*connect_mock(&server)).commits_between(&repo(), BASE, HEAD).await.unwrap();
    assert_eq!((commits.items.len(), commits.is_truncated), (100, true));
    assert_eq!(commits.items[0].sha, "100", "without dates the newest is taken to be the last");
}

#[tokio::test]
async fn a_green_job_is_found_with_the_fewest_requests() {
    let server = MockServer::start().await;
    let pipeline = |id: u64, status: &str| json!({ "id": id, "status": status, "ref": "main", "sha": HEAD, "source": "push" });
    let page =
        json!([pipeline(9, "failed"), pipeline(8, "failed"), pipeline(7, "success"), pipeline(6, "success")]);
    answer(&server, "/pipelines", &[], ok(page)).await;
    answer(&server, "/pipelines/8/jobs", &[], ok(json!([{ "id": 80, "name": "lint", "status": "success" }])))
        .await;
    answer(&server, "/pipelines/7/jobs", &[], ok(json!([{ "id": 70, "name": "unit", "status": "success" }])))
        .await;
    let client = connect_mock(&server);
    let job = Job::new("90", "9", "unit");
    let green =
        facts(&*client).last_green_job(&repo(), &run("9", "push"), &job, "main").await.unwrap().unwrap();
    assert_eq!((green.run.id.as_str(), green.job.id.as_str(), green.job.run_id.as_str()), ("7", "70", "7"));
    assert_eq!(
        asked(&server).await,
        [
            "/pipelines?ref=main&order_by=id&sort=desc&per_page=100",
            "/pipelines/8/jobs?scope%5B%5D=success&per_page=100",
            "/pipelines/7/jobs?scope%5B%5D=success&per_page=100",
        ]
    );
}

#[tokio::test]
async fn green_jobs_are_looked_for_among_pipelines_of_the_same_kind() {
    // What started the run, the pipeline of the job, and what is asked for.
    for (trigger, of, source) in [
        ("merge_request_event", "9", None),
        ("schedule", "9", Some("schedule")),
        ("parent_pipeline", "9", Some("parent_pipeline")),
        ("push", "10", Some("parent_pipeline")),
    ] {
        let server = MockServer::start().await;
        answer(&server, "/pipelines", &[], ok(json!([]))).await;
        let client = connect_mock(&server);
        let job = Job::new("90", of, "unit");
        let green = facts(&*client).last_green_job(&repo(), &run("9", trigger), &job, "main").await.unwrap();
        assert_eq!(green, None);
        let request = &asked(&server).await[0];
        let expected = source.map(|source| format!("&source={source}")).unwrap_or_default();
        assert!(request.ends_with(&format!("per_page=100{expected}")), "{trigger}: {request}");
    }
}

#[tokio::test]
async fn a_job_that_never_ran_on_a_branch_is_not_looked_for_for_ever() {
    let server = MockServer::start().await;
    let page: Vec<Value> =
        (0..100).map(|id| json!({ "id": 1_000 - id, "status": "success", "ref": "main" })).collect();
    answer(&server, "/pipelines", &[], ok(json!(page))).await;
    Mock::given(method("GET")).respond_with(ok(json!([]))).mount(&server).await;
    let client = connect_mock(&server);
    let job = Job::new("90", "9", "unit");
    let green = facts(&*client).last_green_job(&repo(), &run("9", "push"), &job, "main").await.unwrap();
    assert_eq!((green, asked(&server).await.len()), (None, 21));
}

#[tokio::test]
async fn failing_tests_are_those_of_the_jobs_suite() {
    let server = MockServer::start().await;
    let case = |status: &str, name: &str, output: Value| {
        json!({ "status": status, "name": name, "classname": "math", "file": "", "execution_time": 0.1,
            "system_output": output, "stack_trace": "trace" })
    };
    let report = json!({ "total_count": 9, "test_suites": [
        { "name": "unit", "test_cases": [
            case("success", "fine", Value::Null),
            case("skipped", "later", Value::Null),
            case("failed", "text", json!("expected 4, got 5")),
            case("error", "object", json!({ "message": "boom", "type": "E" })),
            case("failed", "other object", json!({ "rerunFailure": { "message": "again" } })),
            case("failed", "nothing", Value::Null),
            case("failed", "long", json!("ü".repeat(9_000))),
        ]},
        { "name": "e2e", "test_cases": [case("failed", "shared", json!("x"))] },
        { "name": "e2e 2/2", "suite_error": "JUnit XML parsing failed" },
    ]});
    answer(&server, "/pipelines/9/test_report", &[], ok(report)).await;
    let client = connect_mock(&server);
    let tests = async |name: &str| {
        facts(&*client).failing_tests(&repo(), &run("9", "push"), &Job::new("1", "9", name)).await.unwrap()
    };
    let unit = tests("unit").await;
    let said: Vec<_> =
        unit.iter().map(|test| (test.name.as_str(), test.message.as_deref().unwrap())).collect();
    assert_eq!(said[..2], [("text", "expected 4, got 5"), ("object", "boom")]);
    assert!(said[2].1.contains("again"), "{said:?}");
    assert_eq!(said[3], ("nothing", "trace"));
    assert_eq!(said[4].1.chars().count(), 4_000);
    assert_eq!((unit[0].suite.as_deref(), unit[0].file.as_deref()), (Some("math"), None));
    // Jobs made by `parallel` share a suite, unless one has its own.
    assert_eq!(tests("e2e 1/2").await.len(), 1);
    assert_eq!(tests("e2e 2/2").await, []);
    assert_eq!(tests("lint").await, []);
}

#[tokio::test]
async fn the_ci_configuration_is_where_the_project_says() {
    let raw = |status: u16| ResponseTemplate::new(status).set_body_string("test:\n  script: make\n");
    for (setting, escaped, found) in [
        (json!(null), Some(".gitlab-ci.yml"), Some(".gitlab-ci.yml")),
        (json!(""), Some(".gitlab-ci.yml"), Some(".gitlab-ci.yml")),
        (json!("ci/our pipeline.yml"), Some("ci%2Four%20pipeline.yml"), Some("ci/our pipeline.yml")),
        (json!("ci.yml@shop/templates"), None, None),
        (json!("ci.yml@shop/templates:main"), None, None),
        (json!("https://ci.example/ci.yml"), None, None),
    ] {
        let server = MockServer::start().await;
        answer(&server, "", &[], ok(json!({ "id": 1042, "ci_config_path": setting }))).await;
        if let Some(escaped) = escaped {
            answer(&server, &format!("/repository/files/{escaped}/raw"), &[("ref", HEAD)], raw(200)).await;
        }
        let client = connect_mock(&server);
        let config = facts(&*client).ci_config(&repo(), &run("9", "push")).await.unwrap();
        assert_eq!(config.as_ref().map(|config| config.path.as_str()), found, "{setting}");
        assert!(config.is_none_or(|config| config.text.contains("make")));
        assert_eq!(asked(&server).await.len(), 1 + usize::from(escaped.is_some()), "{setting}");
    }
    // A child pipeline is made of something else, which no API shows: nothing is asked.
    let server = MockServer::start().await;
    let client = connect_mock(&server);
    assert_eq!(facts(&*client).ci_config(&repo(), &run("9", "parent_pipeline")).await.unwrap(), None);
    assert!(asked(&server).await.is_empty());
    // Not there at that commit, refused, and too large.
    answer(&server, "", &[], ok(json!({ "id": 1042 }))).await;
    let place = "/repository/files/.gitlab-ci.yml/raw";
    for (reply, kind) in [
        (ResponseTemplate::new(404).set_body_json(json!({ "message": "404 File Not Found" })), None),
        (
            ResponseTemplate::new(403).set_body_json(json!({ "message": "403 Forbidden" })),
            Some(ErrorKind::Forbidden),
        ),
        (ResponseTemplate::new(200).set_body_string("#".repeat(1024 * 1024 + 1)), Some(ErrorKind::TooLarge)),
    ] {
        Mock::given(path(format!("/api/v4/projects/1042{place}")))
            .respond_with(reply)
            .up_to_n_times(1)
            .mount(&server)
            .await;
        let config = facts(&*client).ci_config(&repo(), &run("9", "push")).await;
        assert_eq!(config.as_ref().err().map(|error| error.kind()), kind, "{config:?}");
        assert!(config.is_err() || config.unwrap().is_none());
    }
}

#[tokio::test]
async fn bad_answers_and_bad_arguments_are_typed() {
    let html = || ResponseTemplate::new(200).set_body_raw("<!DOCTYPE html><p>log in</p>", "text/html");
    let missing = || ResponseTemplate::new(404).set_body_json(json!({ "message": "404 Ref Not Found" }));
    let refused = || ResponseTemplate::new(403).set_body_json(json!({ "message": "403 Forbidden" }));
    let wrong =
        || ok(json!({ "diffs": 7, "commits": "x", "test_suites": {}, "id": "x", "ci_config_path": [] }));
    for (name, reply, kind) in [
        ("html", html as fn() -> ResponseTemplate, ErrorKind::UnexpectedResponse),
        ("404", missing, ErrorKind::NotFound),
        ("403", refused, ErrorKind::Forbidden),
        ("wrong types", wrong, ErrorKind::UnexpectedResponse),
    ] {
        let server = MockServer::start().await;
        Mock::given(method("GET")).respond_with(reply()).mount(&server).await;
        let client = connect_mock(&server);
        let (facts, repo, job) = (facts(&*client), repo(), Job::new("1", "9", "unit"));
        let run = run("9", "push");
        let range = Change::Range { base: BASE.to_owned(), head: HEAD.to_owned() };
        let errors = [
            facts.diff(&repo, &range).await.err(),
            facts.diff(&repo, &Change::Commit(HEAD.to_owned())).await.err(),
            facts.diff(&repo, &Change::Pull("7".to_owned())).await.err(),
            facts.commits_between(&repo, BASE, HEAD).await.err(),
            facts.last_green_job(&repo, &run, &job, "main").await.err(),
            facts.failing_tests(&repo, &run, &job).await.err(),
            facts.ci_config(&repo, &run).await.err(),
        ];
        for (index, error) in errors.into_iter().enumerate() {
            // A project that is not there has no file either; which is which the project's own answer tells.
            let error = error.unwrap_or_else(|| panic!("{name}: call {index} gave no error"));
            assert_eq!(error.kind(), kind, "{name}: {error}");
            assert!(error.operation().is_some(), "{name}: {error:?}");
        }
    }
    let server = MockServer::start().await;
    let client = connect_mock(&server);
    for change in [
        Change::Pull("../7".to_owned()),
        Change::Commit("..".to_owned()),
        Change::Range { base: String::new(), head: HEAD.to_owned() },
    ] {
        let error = facts(&*client).diff(&repo(), &change).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{change:?}");
    }
    assert!(asked(&server).await.is_empty());
}
