//! Changes, green jobs and the CI configuration.

use forge_core::{
    Error, ErrorKind, Facts,
    model::{Change, Diff, FileChange, Job, Run},
};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::server::{Forge, ok, page, refusal, repo};

const BASE: &str = "1f0e9d8c7b6a59483726150f1e2d3c4b5a697887";
const HEAD: &str = "9a8b7c6d5e4f30211203f4e5d6c7b8a990817263";
const IN: &str = "/project/northwind/shop";

fn facts(forge: &Forge) -> &dyn Facts {
    forge.client.facts().unwrap()
}

async fn diff(forge: &Forge, change: Change) -> forge_core::Result<Diff> {
    facts(forge).diff(&repo(), &change).await
}

fn of_commit() -> Change {
    Change::Commit(HEAD.to_owned())
}

fn range() -> Change {
    Change::Range { base: BASE.to_owned(), head: HEAD.to_owned() }
}

fn commit(sha: &str, parents: &[&str], at: &str) -> Value {
    json!({
        "hash": sha, "message": "Count refunds\n\nThey were missing.\n", "shortMessage": "Count refunds", "createdAt": at,
        "authorIdent": {"name": "Ada", "emailAddress": "ada@example.com"}, "parentCommitIds": parents,
    })
}

fn file(path: &str, change: &str) -> Value {
    json!({"filePath": path, "oldPath": path, "newPath": path, "changeType": change, "lines": []})
}

fn named(diff: &Diff) -> Vec<(&str, Option<&str>, FileChange)> {
    diff.files.iter().map(|it| (it.path.as_str(), it.old_path.as_deref(), it.change)).collect()
}

fn kind<T: std::fmt::Debug>(answer: forge_core::Result<T>) -> ErrorKind {
    let error: Error = answer.unwrap_err();
    assert!(error.operation().is_some(), "{error:?}");
    error.kind()
}

#[tokio::test]
async fn the_files_of_a_commit_are_read_whatever_their_words() {
    let files = json!([
        {"filePath": "src/a.rs", "oldPath": "src/a.rs", "newPath": "src/a.rs", "changeType": "MODIFY", "lines": [
            {"id": "1", "body": "@@ -3,2 +3,3 @@ fn a() {\n"}, {"body": " one"}, {"body": "+two"}, {"body": " three"},
        ]},
        {"filePath": "new.rs", "oldPath": "/dev/null", "newPath": "new.rs", "changeType": "ADD", "lines": ["@@ -0,0 +1 @@", "+x"]},
        {"filePath": "gone.rs", "oldPath": "gone.rs", "newPath": "/dev/null", "changeType": "DELETE"},
        {"oldPath": "from.rs", "newPath": "to.rs", "changeType": {"id": "rename"}},
        {"filePath": "copy.rs", "oldPath": "a.rs", "newPath": "copy.rs", "changeType": "COPY"},
        // No word, or one that nobody knows: the paths decide.
        {"oldPath": "was.rs", "newPath": "is.rs", "changeType": "TRANSMUTED"},
        {"oldPath": null, "newPath": "/dev/null", "filePath": "unsaid.rs"},
        {"fileName": "only-a-name.rs", "lines": [{"body": "+no hunk says where"}]},
        {"filePath": "image.png", "isBinary": true, "changeType": "MODIFY", "lines": [{"body": "@@ -1 +1 @@"}]},
    ]);
    let forge = Forge::start().await;
    forge.on("GET", &format!("{IN}/commit/{HEAD}/file"), ok(&files)).await;
    let read = diff(&forge, of_commit()).await.unwrap();
    insta::assert_debug_snapshot!((forge.asked().await, named(&read)));
    let lines: Vec<_> = read.files.iter().map(|file| file.lines.as_ref().map(Vec::len)).collect();
    assert_eq!(lines, [Some(1), Some(1), None, None, None, None, None, None, None]);
    let written = read.files[0].lines.as_ref().unwrap()[0];
    assert_eq!((written.start, written.end), (4, 4));
}

#[tokio::test]
async fn a_comparison_is_read_to_its_last_page() {
    let answer = |path: &str| ok(&json!({"commitBlobs": [file(path, "MODIFY")], "page": {"totalPages": 2}}));
    let forge = Forge::start().await;
    forge.once("GET", &format!("{IN}/branch/compare"), answer("a.rs")).await;
    forge.on("GET", &format!("{IN}/branch/compare"), answer("b.rs")).await;
    let read = diff(&forge, range()).await.unwrap();
    assert_eq!(named(&read).iter().map(|file| file.0).collect::<Vec<_>>(), ["a.rs", "b.rs"]);
    insta::assert_debug_snapshot!(forge.asked().await);

    let endless = Forge::start().await;
    let body = json!({"commitBlobs": [file("a.rs", "MODIFY")], "page": {"totalPages": 4000}});
    endless.on("GET", &format!("{IN}/branch/compare"), ok(&body)).await;
    assert!(diff(&endless, range()).await.unwrap().is_truncated);
    assert_eq!(endless.asked().await.len(), 10);
}

#[tokio::test]
async fn a_merge_request_is_compared_by_its_branches() {
    let merge_request = |from: &str| {
        ok(&json!({
            "localId": 12, "sourceBranch": {"id": "refs/heads/feature/a b", "title": "feature/a b"}, "targetBranch": "main",
            "sourceProject": {"id": from}, "targetProject": {"id": "p-1"},
        }))
    };
    let forge = Forge::start().await;
    forge.on("GET", &format!("{IN}/merge-request/12"), merge_request("p-1")).await;
    forge.on("GET", &format!("{IN}/merge-request/13"), merge_request("p-2")).await;
    forge.on("GET", &format!("{IN}/branch/compare"), ok(&json!({"commitBlobs": []}))).await;
    assert_eq!(diff(&forge, Change::Pull("12".to_owned())).await.unwrap(), Diff::default());
    assert_eq!(kind(diff(&forge, Change::Pull("13".to_owned())).await), ErrorKind::Unsupported, "a fork's");
    insta::assert_debug_snapshot!(forge.asked().await);
}

#[tokio::test]
async fn where_commits_cannot_be_compared_each_is_read() {
    let middle = "5".repeat(40);
    let forge = Forge::start().await;
    forge.on("GET", &format!("{IN}/branch/compare"), refusal(400, "error.branch.not.found")).await;
    for (sha, parents, at) in [
        (BASE, vec![], "2026-11-20T10:00:00Z"),
        (middle.as_str(), vec![BASE], "2026-11-20T11:00:00Z"),
        (HEAD, vec![middle.as_str()], "2026-11-20T12:00:00Z"),
    ] {
        forge.on("GET", &format!("{IN}/commit/{sha}"), ok(&commit(sha, &parents, at))).await;
    }
    let renamed = json!({"oldPath": "b.rs", "newPath": "c.rs", "changeType": "RENAME"});
    let older =
        json!([file("a.rs", "ADD"), file("b.rs", "MODIFY"), file("d.rs", "ADD"), file("e.rs", "DELETE")]);
    let newer = json!([file("a.rs", "MODIFY"), renamed, file("d.rs", "DELETE"), file("e.rs", "ADD")]);
    forge.on("GET", &format!("{IN}/commit/{middle}/file"), ok(&older)).await;
    forge.on("GET", &format!("{IN}/commit/{HEAD}/file"), ok(&newer)).await;
    let read = diff(&forge, range()).await.unwrap();
    let expected = [
        ("a.rs", None, FileChange::Added),
        ("c.rs", Some("b.rs"), FileChange::Renamed),
        ("e.rs", None, FileChange::Modified),
    ];
    assert_eq!(named(&read), expected);
    assert!(!read.is_truncated && read.files.iter().all(|file| file.lines.is_none()));
    // It is remembered: the comparison is not tried again.
    diff(&forge, range()).await.unwrap();
    let compared = forge.asked().await.iter().filter(|line| line.contains("compare")).count();
    assert_eq!(compared, 1);
}

#[tokio::test]
async fn commits_are_walked_within_bounds() {
    let other = "7".repeat(40);
    let forge = Forge::start().await;
    forge.on("GET", &format!("{IN}/commit/{BASE}"), ok(&commit(BASE, &[], "2026-11-20T10:00:00Z"))).await;
    let merge = commit(HEAD, &[BASE, &other], "2026-11-20T12:00:00Z");
    forge.on("GET", &format!("{IN}/commit/{HEAD}"), ok(&merge)).await;
    let commits = facts(&forge).commits_between(&repo(), BASE, HEAD).await.unwrap();
    let [only] = commits.items.as_slice() else { panic!("{commits:?}") };
    assert_eq!((only.title.as_str(), only.author.as_deref()), ("Count refunds", Some("Ada")));
    assert!(commits.is_truncated, "what the merge brought in is not listed");
    let same = facts(&forge).commits_between(&repo(), BASE, BASE).await.unwrap();
    assert_eq!((same.items.len(), same.is_truncated), (0, false));

    // The base is on another line: what is older than it is not listed.
    let apart = Forge::start().await;
    apart.on("GET", &format!("{IN}/commit/{BASE}"), ok(&commit(BASE, &[], "2026-11-20T10:00:00Z"))).await;
    let head = commit(HEAD, &[&other], "2026-11-20T12:00:00Z");
    apart.on("GET", &format!("{IN}/commit/{HEAD}"), ok(&head)).await;
    apart.on("GET", &format!("{IN}/commit/{other}"), ok(&commit(&other, &[], "2026-11-20T09:00:00Z"))).await;
    let commits = facts(&apart).commits_between(&repo(), BASE, HEAD).await.unwrap();
    assert_eq!((commits.items.len(), commits.is_truncated), (1, true));

    // A line without end.
    let endless = Forge::start().await;
    endless.on("GET", &format!("{IN}/commit/{BASE}"), ok(&commit(BASE, &[], "time.never"))).await;
    let mut turn = commit(HEAD, &[HEAD], "time.never");
    turn["shortMessage"] = Value::Null;
    endless.on("GET", &format!("{IN}/commit/{HEAD}"), ok(&turn)).await;
    let commits = facts(&endless).commits_between(&repo(), BASE, HEAD).await.unwrap();
    assert_eq!(
        (commits.items.len(), commits.is_truncated, commits.items[0].title.as_str()),
        (20, true, "Count refunds")
    );
}

#[tokio::test]
async fn few_pipelines_are_looked_into_for_a_green_job() {
    let pipeline = |number: u64, status: &str, branch: &str| json!({"id": format!("uuid-{number}"), "localId": number, "status": status, "ref": branch, "commitId": BASE});
    let mut list = vec![
        pipeline(99, "FAILED", "main"),
        pipeline(98, "RUNNING", "main"),
        pipeline(97, "CANCELED", "main"),
    ];
    list.extend((60..97).rev().map(|number| pipeline(number, "FAILED", "main")));
    list.extend([pipeline(50, "SUCCESS", "other"), pipeline(40, "SUCCESS", "main")]);
    let forge = Forge::start().await;
    forge.on("GET", &format!("{IN}/cicd/pipeline"), page(&list)).await;
    let job = |number: u64, status: &str| json!({"localId": number, "name": "test", "status": status});
    for number in 60..97 {
        let path = format!("{IN}/cicd/pipeline/{number}/jobs");
        forge.on("GET", &path, page(&[job(number, "FAILED")])).await;
    }
    let green = page(&[job(7, "FAILED"), job(8, "SUCCESS")]);
    forge.on("GET", &format!("{IN}/cicd/pipeline/40/jobs"), green).await;
    let (run, wanted) = (Run::new("99"), Job::new("1", "99", "test"));
    let found = facts(&forge).last_green_job(&repo(), &run, &wanted, "main").await.unwrap().unwrap();
    assert_eq!(
        (found.run.id.as_str(), found.job.id.as_str(), found.run.sha.as_deref()),
        ("40", "8", Some(BASE))
    );
    assert_eq!(forge.asked().await.len(), 1 + 10 + 1);
}

#[tokio::test]
async fn the_configuration_is_read_at_the_commit() {
    let path = format!("{IN}/blob/download");
    let forge = Forge::start().await;
    forge.once("GET", &path, ResponseTemplate::new(200).set_body_string("stages:\n  - test\n")).await;
    let mut run = Run::new("12");
    run.sha = Some(HEAD.to_owned());
    let config = facts(&forge).ci_config(&repo(), &run).await.unwrap().unwrap();
    assert_eq!((config.path.as_str(), config.text.as_str()), ("gitflic-ci.yaml", "stages:\n  - test\n"));
    assert_eq!(forge.asked().await, [format!("GET {path}?commitHash={HEAD}&file=gitflic-ci.yaml")]);
    assert_eq!(facts(&forge).ci_config(&repo(), &run).await.unwrap(), None, "404");
    let page = "<!DOCTYPE html><html>log in</html>";
    forge.once("GET", &path, ResponseTemplate::new(200).set_body_string(page)).await;
    assert_eq!(kind(facts(&forge).ci_config(&repo(), &run).await), ErrorKind::UnexpectedResponse);
    forge.once("GET", &path, ResponseTemplate::new(200).set_body_bytes(vec![b'#'; 1024 * 1024 + 1])).await;
    assert_eq!(kind(facts(&forge).ci_config(&repo(), &run).await), ErrorKind::TooLarge);
    assert_eq!(kind(facts(&forge).ci_config(&repo(), &Run::new("12")).await), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn what_is_no_answer_is_an_error_and_what_is_missing_too() {
    for (answer, expected) in [
        (refusal(404, "error.commit.not.found"), ErrorKind::NotFound),
        (refusal(403, "error.access.denied"), ErrorKind::Forbidden),
        (ResponseTemplate::new(200).set_body_string("<html>log in</html>"), ErrorKind::UnexpectedResponse),
        (ok(&json!("a word")), ErrorKind::UnexpectedResponse),
        (ok(&json!({"hash": 12, "commitBlobs": 12})), ErrorKind::UnexpectedResponse),
        (ok(&json!([{"changeType": "ADD"}, 12])), ErrorKind::UnexpectedResponse),
    ] {
        let forge = Forge::start().await;
        forge.knows_us().await;
        for path in ["commit/{}", "commit/{}/file", "branch/compare"] {
            forge.on("GET", &format!("{IN}/{}", path.replace("{}", HEAD)), answer.clone()).await;
        }
        assert_eq!(kind(diff(&forge, of_commit()).await), expected, "{answer:?}");
        assert_eq!(
            kind(diff(&forge, Change::Range { base: HEAD.to_owned(), head: HEAD.to_owned() }).await),
            expected
        );
        assert_eq!(kind(facts(&forge).commits_between(&repo(), HEAD, HEAD).await), expected);
    }
}
