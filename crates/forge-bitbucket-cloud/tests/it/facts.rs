//! Facts: what is asked for them, and what is made of answers that are odd, cut or wrong.

use forge_core::{
    ErrorKind, Facts,
    model::{Change, Conclusion, FileChange, Job, LineRange, Run},
};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::server::{Forge, REPO, fixture, json as answer, repo};

const HEAD: &str = "8d2f4c6e1a3b5d7f9e0c2a4b6d8f1e3c5a7b9d0f";
const BASE: &str = "1c3e5a7b9d0f8d2f4c6e1a3b5d7f9e0c2a4b6d8f";
const PIPELINE: &str = "%7B9b1f0c55-3a2d-4e0b-8a7c-4e1d0c9a0017%7D";

fn facts(forge: &Forge) -> &dyn Facts {
    forge.client.facts().unwrap()
}

fn range() -> Change {
    Change::Range { base: BASE.to_owned(), head: HEAD.to_owned() }
}

fn list_path() -> String {
    format!("{REPO}/diffstat/{HEAD}..{BASE}?topic=true&pagelen=100")
}

fn text_path() -> String {
    format!("{REPO}/diff/{HEAD}..{BASE}?topic=true&context=0&binary=false")
}

fn text(body: impl Into<String>) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw(body.into(), "text/plain")
}

fn page(values: &Value) -> ResponseTemplate {
    answer(200, &json!({ "values": values, "pagelen": 100 }))
}

fn changed(status: &str, old: Option<&str>, new: Option<&str>) -> Value {
    let side = |path: Option<&str>| path.map(|path| json!({ "type": "commit_file", "path": path }));
    json!({ "type": "diffstat", "status": status, "old": side(old), "new": side(new) })
}

fn not_found() -> ResponseTemplate {
    answer(404, &json!({ "type": "error", "error": { "message": "Commit not found" } }))
}

#[tokio::test]
async fn odd_names_and_files_without_text() {
    let forge = Forge::start().await;
    let list = json!([
        changed("modified", Some("src/main.rs"), Some("src/main.rs")),
        changed("modified", Some("docs/café.md"), Some("docs/café.md")),
        changed("modified", Some("a b/c d.txt"), Some("a b/c d.txt")),
        changed("renamed", Some("old.sh"), Some("new.sh")),
        changed("modified", Some("run.sh"), Some("run.sh")),
        changed("modified", Some("logo.png"), Some("logo.png")),
        changed("removed", Some("gone.rs"), None),
        // What is said of conflicts.
        changed("merge conflict", Some("both.rs"), Some("both.rs")),
        changed("remote deleted", Some("theirs.rs"), None),
        // Nothing to go by.
        json!({ "status": "added", "old": null, "new": { "path": "" } }),
    ]);
    forge.on("GET", &list_path(), page(&list)).await;
    let diff = "diff --git a/src/main.rs b/src/main.rs\nindex 1..2 100644\n--- a/src/main.rs\n+++ b/src/main.rs\n\
        @@ -3,0 +4,2 @@ fn main() {\n+diff --git a/no b/no\n++++ b/neither\n@@ -9 +12 @@\n-x\n+y\n\
        diff --git \"a/docs/caf\\303\\251.md\" \"b/docs/caf\\303\\251.md\"\n--- \"a/docs/caf\\303\\251.md\"\n\
        +++ \"b/docs/caf\\303\\251.md\"\n@@ -1 +1 @@\n-tea\n+coffee\n\
        diff --git a/a b/c d.txt b/a b/c d.txt\n--- a/a b/c d.txt\t\n+++ b/a b/c d.txt\t\n@@ -0,0 +1 @@\n+new\n\
        \\ No newline at end of file\n\
        diff --git a/old.sh b/new.sh\nsimilarity index 100%\nrename from old.sh\nrename to new.sh\n\
        diff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\n\
        diff --git a/logo.png b/logo.png\nindex 1..2 100644\nBinary files a/logo.png and b/logo.png differ\n";
    forge.on("GET", &text_path(), text(diff)).await;
    let diff = facts(&forge).diff(&repo(), &range()).await.unwrap();
    insta::assert_json_snapshot!(diff);
    assert_eq!(
        forge.asked().await,
        [format!("GET {}", list_path()), format!("GET {}", text_path())],
        "the newer commit comes first"
    );
}

#[tokio::test]
async fn one_commit_and_a_pull_request_have_addresses_of_their_own() {
    let forge = Forge::start().await;
    let list = page(&json!([changed("added", None, Some("a.rs"))]));
    let patch = || {
        text(
            "diff --git a/a.rs b/a.rs\nnew file mode 100644\n--- /dev/null\n+++ b/a.rs\n@@ -0,0 +1,2 @@\n+1\n+2\n",
        )
    };
    forge.on("GET", &format!("{REPO}/diffstat/{HEAD}?pagelen=100"), list.clone()).await;
    forge.on("GET", &format!("{REPO}/diff/{HEAD}?context=0&binary=false"), patch()).await;
    let spec = format!("{HEAD}..{BASE}?from_pullrequest_id=88&topic=true");
    for kind in ["diffstat", "diff"] {
        let target = forge.url(&format!("{REPO}/{kind}/{spec}"));
        let redirect = ResponseTemplate::new(302).insert_header("location", target.as_str());
        let query = if kind == "diff" { "" } else { "?pagelen=100" };
        forge.on("GET", &format!("{REPO}/pullrequests/88/{kind}{query}"), redirect).await;
    }
    forge.on("GET", &format!("{REPO}/diffstat/{spec}"), list).await;
    forge.on("GET", &format!("{REPO}/diff/{spec}"), patch()).await;
    for change in [Change::Commit(HEAD.to_owned()), Change::Pull("88".to_owned())] {
        let diff = facts(&forge).diff(&repo(), &change).await.unwrap();
        assert_eq!(diff.files[0].lines, Some(vec![LineRange { start: 1, end: 2 }]), "{change:?}");
        assert_eq!(diff.files[0].change, FileChange::Added);
    }
}

#[tokio::test]
async fn files_are_known_also_where_their_text_is_not() {
    let file = || {
        page(&json!([changed("modified", Some("a.rs"), Some("a.rs")), changed("removed", Some("b"), None)]))
    };
    // 555 is Bitbucket's own status for a diff that took it too long.
    for refusal in [ResponseTemplate::new(555), ResponseTemplate::new(503), not_found()] {
        let forge = Forge::start().await;
        forge.on("GET", &list_path(), file()).await;
        forge.on("GET", &text_path(), refusal).await;
        let diff = facts(&forge).diff(&repo(), &range()).await.unwrap();
        let lines: Vec<_> = diff.files.iter().map(|file| file.lines.clone()).collect();
        assert_eq!(lines, [None, Some(Vec::new())], "nothing was written into a file that is gone");
    }
    for (refusal, kind) in [(401, ErrorKind::Unauthorized), (403, ErrorKind::Forbidden)] {
        let forge = Forge::start().await;
        forge.on("GET", &list_path(), file()).await;
        forge.on("GET", &text_path(), answer(refusal, &json!({}))).await;
        assert_eq!(facts(&forge).diff(&repo(), &range()).await.unwrap_err().kind(), kind);
    }
}

#[tokio::test]
async fn of_a_text_that_is_cut_the_last_file_does_not_count() {
    let forge = Forge::start().await;
    let files: Value = ["a", "b"].iter().map(|path| changed("modified", Some(path), Some(path))).collect();
    forge.on("GET", &list_path(), page(&files)).await;
    let mut diff = "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n+y\n".to_owned();
    diff.push_str("diff --git a/b b/b\n--- a/b\n+++ b/b\n@@ -1 +1,9000000 @@\n-x\n");
    diff.push_str(&"+0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n".repeat(140_000));
    forge.on("GET", &text_path(), text(diff)).await;
    let diff = facts(&forge).diff(&repo(), &range()).await.unwrap();
    assert_eq!(diff.files[0].lines, Some(vec![LineRange { start: 1, end: 1 }]));
    assert_eq!(diff.files[1].lines, None);
    assert!(!diff.is_truncated, "all files are listed");
}

#[tokio::test]
async fn a_change_of_very_many_files_is_cut() {
    let forge = Forge::start().await;
    for number in 1..=11 {
        let first = (number - 1) * 100;
        let names: Vec<String> = (first..first + 100).map(|id| format!("f{id}")).collect();
        let files: Value = names.iter().map(|name| changed("added", None, Some(name))).collect();
        let next = forge.url(&format!("{}&page={}", list_path(), number + 1));
        let body = json!({ "values": files, "next": next });
        let path = if number == 1 { list_path() } else { format!("{}&page={number}", list_path()) };
        forge.on("GET", &path, answer(200, &body)).await;
    }
    forge.on("GET", &text_path(), text("")).await;
    let diff = facts(&forge).diff(&repo(), &range()).await.unwrap();
    assert_eq!((diff.files.len(), diff.is_truncated), (1000, true));
    assert_eq!(forge.asked().await.len(), 12);
}

#[tokio::test]
async fn commits_name_people_and_no_addresses() {
    let forge = Forge::start().await;
    let path = format!("{REPO}/commits?include={HEAD}&exclude={BASE}&pagelen=100");
    let commits = json!({
        "values": [
            {
                "type": "commit", "hash": HEAD, "date": "2026-10-02T07:55:03+00:00",
                "author": { "raw": "R. Doe <robin@example.com>", "user": { "display_name": "Robin Doe" } },
                "message": "Round prices\n\nHalf up.\n",
                "links": { "html": { "href": "https://bitbucket.org/northwind/shop/commits/8d2f4c6e" } },
            },
            { "hash": "77", "author": { "raw": "build-bot <bot@example.com>" }, "message": null, "date": "yesterday" },
            { "hash": "78", "author": { "raw": "<nobody@example.com>", "user": null }, "message": "x" },
        ],
        "next": forge.url(&format!("{path}&page=2")),
    });
    forge.on("GET", &path, answer(200, &commits)).await;
    let commits = facts(&forge).commits_between(&repo(), BASE, HEAD).await.unwrap();
    insta::assert_json_snapshot!(commits);
    assert_eq!(forge.asked().await.len(), 1);
}

fn set(value: &mut Value, name: &str, new: Value) {
    value.as_object_mut().unwrap().insert(name.to_owned(), new);
}

fn run(number: u64, result: &str, custom: Option<&str>) -> Value {
    let mut pipeline = fixture("pipeline.json");
    set(&mut pipeline, "build_number", json!(number));
    set(&mut pipeline, "uuid", json!(format!("{{9b1f0c55-3a2d-4e0b-8a7c-{number:012}}}")));
    set(&mut pipeline, "state", json!({ "name": "COMPLETED", "result": { "name": result } }));
    let selector = match custom {
        Some(name) => json!({ "type": "custom", "pattern": name }),
        None => json!({ "type": "branches", "pattern": "main" }),
    };
    let target = json!({
        "type": "pipeline_ref_target", "ref_type": "branch", "ref_name": "main",
        "commit": { "hash": HEAD }, "selector": selector,
    });
    set(&mut pipeline, "target", target);
    pipeline
}

fn steps_path(number: u64) -> String {
    format!("{REPO}/pipelines/%7B9b1f0c55-3a2d-4e0b-8a7c-{number:012}%7D/steps?pagelen=100")
}

fn step(result: &str) -> Value {
    let mut step = fixture("step.json");
    set(&mut step, "state", json!({ "name": "COMPLETED", "result": { "name": result } }));
    step
}

fn this_run() -> (Run, Job) {
    (Run::new("99"), Job::new("99:{s}:1", "99", "Unit tests"))
}

#[tokio::test]
async fn a_green_step_is_looked_for_in_runs_of_the_same_pipeline() {
    let forge = Forge::start().await;
    let list = format!("{REPO}/pipelines?target.branch=main&sort=-created_on&pagelen=100");
    let mut tag = run(42, "SUCCESSFUL", None);
    tag["target"]["ref_type"] = json!("tag");
    let runs = json!([
        run(99, "FAILED", None),
        run(45, "SUCCESSFUL", Some("nightly")),
        run(44, "ERROR", None),
        tag,
        run(41, "FAILED", None),
        run(40, "SUCCESSFUL", None),
        run(39, "SUCCESSFUL", None),
    ]);
    forge.on("GET", &list, page(&runs)).await;
    forge.on("GET", &steps_path(44), page(&json!([]))).await;
    forge.on("GET", &steps_path(41), page(&json!([step("FAILED")]))).await;
    forge.on("GET", &steps_path(40), page(&json!([step("SUCCESSFUL")]))).await;
    let (run, job) = this_run();
    let found = facts(&forge).last_green_job(&repo(), &run, &job, "main").await.unwrap().unwrap();
    assert_eq!((found.run.id.as_str(), found.run.sha.as_deref()), ("40", Some(HEAD)));
    assert_eq!((found.job.name.as_str(), found.job.conclusion), ("Unit tests", Some(Conclusion::Success)));
    let asked = forge.asked().await;
    assert!(!asked.iter().any(|line| line.contains("000045") || line.contains("000042")), "{asked:?}");
    assert!(asked.len() <= 4, "{asked:?}");
}

#[tokio::test]
async fn looking_for_a_green_step_spends_no_more_than_31_requests() {
    for result in ["FAILED", "SUCCESSFUL"] {
        let forge = Forge::start().await;
        let list = format!("{REPO}/pipelines?target.branch=main&sort=-created_on&pagelen=100");
        let runs: Value = (1..=90).rev().map(|number| run(number, result, None)).collect();
        forge.on("GET", &list, page(&runs)).await;
        for number in 1..=90 {
            forge.on("GET", &steps_path(number), page(&json!([step("FAILED")]))).await;
        }
        let (run, job) = this_run();
        assert_eq!(facts(&forge).last_green_job(&repo(), &run, &job, "main").await.unwrap(), None);
        let most = if result == "FAILED" { 21 } else { 11 };
        assert_eq!(forge.asked().await.len(), most);
    }
}

/// The job's step, and where its report is.
async fn with_step(forge: &Forge) -> (Job, String) {
    let step = fixture("step.json");
    let uuid = step.get("uuid").and_then(Value::as_str).unwrap().to_owned();
    let encoded = uuid.replace('{', "%7B").replace('}', "%7D");
    let place = format!("{REPO}/pipelines/{PIPELINE}/steps/{encoded}");
    forge.on("GET", &format!("{REPO}/pipelines/17"), answer(200, &fixture("pipeline.json"))).await;
    forge.on("GET", &place, answer(200, &step)).await;
    (Job::new(format!("17:{uuid}:1"), "17", "Unit tests"), format!("{place}/test_reports"))
}

#[tokio::test]
async fn a_test_report_is_read_in_whatever_words() {
    let forge = Forge::start().await;
    let (job, report) = with_step(&forge).await;
    let summary = json!({ "number_of_test_cases": 6, "number_of_failed_test_cases": 3, "number_of_error_test_cases": 1 });
    forge.on("GET", &report, answer(200, &summary)).await;
    let cases = json!([
        { "uuid": "{a1}", "name": "adds", "class_name": "math.Sum", "status": "SUCCESSFUL" },
        { "uuid": "{a2}", "name": "rounds", "class_name": "math.Sum", "status": "FAILED" },
        { "uuid": "{a3}", "fully_qualified_name": "shop.cart.empties", "status": "ERROR" },
        { "name": "says it itself", "result": "failed", "message": "expected 4, got 5", "file": "tests/it.rs" },
        { "uuid": "{a4}", "status": "FAILED", "name": 7 },
        { "uuid": "{a5}", "status": "SKIPPED", "name": "later" },
        "nonsense",
    ]);
    forge.on("GET", &format!("{report}/test_cases?pagelen=100"), page(&cases)).await;
    let reasons = |id: &str| format!("{report}/test_cases/%7B{id}%7D/test_case_reasons");
    let trace = "AssertionError: 2.5 rounds to 3\n  at Sum.java:12";
    let two = json!({ "values": [{ "message": "AssertionError: 2.5 rounds to 3", "stack_trace": trace }, { "output": "seed 7" }] });
    forge.on("GET", &reasons("a2"), answer(200, &two)).await;
    forge.on("GET", &reasons("a3"), answer(200, &json!([{ "message": "x".repeat(9000) }]))).await;
    forge.on("GET", &reasons("a4"), text("<html>no</html>")).await;
    let mut tests = facts(&forge).failing_tests(&repo(), &Run::new("17"), &job).await.unwrap();
    assert_eq!(tests[1].message.as_ref().unwrap().chars().count(), 4000);
    tests[1].message = None;
    insta::assert_json_snapshot!(tests);
}

#[tokio::test]
async fn no_report_is_an_empty_one_and_a_green_one_is_not_paged() {
    let forge = Forge::start().await;
    let (job, report) = with_step(&forge).await;
    forge.on("GET", &report, not_found()).await;
    let run = Run::new("17");
    assert_eq!(facts(&forge).failing_tests(&repo(), &run, &job).await.unwrap(), []);

    let forge = Forge::start().await;
    let (job, report) = with_step(&forge).await;
    forge.on("GET", &report, answer(200, &json!({ "number_of_failed_test_cases": 0 }))).await;
    assert_eq!(facts(&forge).failing_tests(&repo(), &run, &job).await.unwrap(), []);

    // Of a step that was run again, the later run's report does not stand for the earlier one's.
    let again = Job::new(job.id.replace(":1", ":3"), "17", "Unit tests");
    let error = facts(&forge).failing_tests(&repo(), &run, &again).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Gone);
}

#[tokio::test]
async fn the_configuration_is_read_as_it_was() {
    let path = format!("{REPO}/src/{HEAD}/bitbucket-pipelines.yml");
    let mut run = Run::new("17");
    let forge = Forge::start().await;
    assert_eq!(facts(&forge).ci_config(&repo(), &run).await.unwrap(), None, "no commit, no file");
    run.sha = Some(HEAD.to_owned());
    forge.on("GET", &path, text("image: rust\n")).await;
    let config = facts(&forge).ci_config(&repo(), &run).await.unwrap().unwrap();
    assert_eq!((config.path.as_str(), config.text.as_str()), ("bitbucket-pipelines.yml", "image: rust\n"));

    let forge = Forge::start().await;
    forge.on("GET", &path, not_found()).await;
    assert_eq!(facts(&forge).ci_config(&repo(), &run).await.unwrap(), None);

    let forge = Forge::start().await;
    forge.on("GET", &path, text("#".repeat(1024 * 1024 + 1))).await;
    let error = facts(&forge).ci_config(&repo(), &run).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);

    let forge = Forge::start().await;
    let missing =
        json!({ "type": "error", "error": { "message": "no", "detail": { "required": ["repository"] } } });
    forge.on("GET", &path, answer(403, &missing)).await;
    let error = facts(&forge).ci_config(&repo(), &run).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.hint().unwrap().contains("Repositories: Read"), "{error:?}");
}

#[tokio::test]
async fn wrong_answers_are_typed_errors() {
    for body in ["<html>maintenance</html>", "{\"values\": [", "{\"values\": 7}", "[]"] {
        let forge = Forge::start().await;
        for path in [
            list_path(),
            format!("{REPO}/commits?include={HEAD}&exclude={BASE}&pagelen=100"),
            format!("{REPO}/pipelines?target.branch=main&sort=-created_on&pagelen=100"),
        ] {
            forge.on("GET", &path, text(body)).await;
        }
        let (run, job) = this_run();
        let errors = [
            facts(&forge).diff(&repo(), &range()).await.unwrap_err(),
            facts(&forge).commits_between(&repo(), BASE, HEAD).await.unwrap_err(),
            facts(&forge).last_green_job(&repo(), &run, &job, "main").await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::UnexpectedResponse, "{body}: {error:?}");
            assert!(error.operation().is_some());
        }
    }
}
