//! Facts: what is asked for them, and what is made of answers that are odd, cut or wrong.

use forge_core::{
    ErrorKind, Facts,
    model::{Change, FileChange, Job, LineRange, RefType, Run},
};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::server::{Forge, REPO, SHA, answer, page, refusal, repo};

const BASE: &str = "7d0e1f2a3b4c5d6e7f8091a2b3c4d5e6f7081920";
const STATS: &str = "/build-status/1.0/commits/stats";

fn facts(forge: &Forge) -> &dyn Facts {
    forge.client.facts().unwrap()
}

fn range() -> Change {
    Change::Range { base: BASE.to_owned(), head: SHA.to_owned() }
}

fn changes_path() -> String {
    format!("{REPO}/compare/changes?from={SHA}&to={BASE}&limit=1000")
}

fn diff_path() -> String {
    format!("{REPO}/compare/diff?from={SHA}&to={BASE}&contextLines=0&withComments=false")
}

fn changed(kind: &str, path: &str) -> Value {
    json!({ "type": kind, "path": { "components": [path], "name": path, "toString": path }, "nodeType": "FILE" })
}

fn file(path: &str, change: impl FnOnce(&mut Value)) -> Value {
    let line = |destination: u64| json!({ "source": 3, "destination": destination, "line": "x", "truncated": false });
    let mut file = json!({
        "source": { "toString": path }, "destination": { "toString": path }, "truncated": false,
        "hunks": [
            { "sourceLine": 3, "destinationLine": 3, "truncated": false, "segments": [
                { "type": "REMOVED", "lines": [line(3)], "truncated": false },
                { "type": "ADDED", "lines": [line(3), line(4)], "truncated": false },
                { "type": "CONTEXT", "lines": [line(5)], "truncated": false },
            ] },
            { "sourceLine": 20, "destinationLine": 22, "truncated": false, "segments": [
                { "type": "ADDED", "lines": [line(22)], "truncated": false },
            ] },
        ],
    });
    change(&mut file);
    file
}

fn no_commit() -> ResponseTemplate {
    answer(404, &refusal("Commit does not exist", "commit.NoSuchCommitException"))
}

#[tokio::test]
async fn lines_count_only_of_files_that_are_shown_whole() {
    let forge = Forge::start().await;
    let mut moved = changed("MOVE", "new.rs");
    moved["srcPath"] = json!({ "toString": "old.rs" });
    let list = json!([
        changed("MODIFY", "whole.rs"),
        changed("MODIFY", "cut-file.rs"),
        changed("MODIFY", "cut-hunk.rs"),
        changed("MODIFY", "cut-segment.rs"),
        changed("MODIFY", "logo.png"),
        changed("MODIFY", "left-out.rs"),
        changed("DELETE", "gone.rs"),
        changed("COPY", "copy.rs"),
        moved,
        changed("UNKNOWN", "odd.rs"),
        json!({ "type": "ADD" }),
    ]);
    forge.on("GET", &changes_path(), page(&list)).await;
    let diffs = json!([
        file("whole.rs", |_| ()),
        file("cut-file.rs", |file| file["truncated"] = json!(true)),
        file("cut-hunk.rs", |file| file["hunks"][1]["truncated"] = json!(true)),
        file("cut-segment.rs", |file| file["hunks"][0]["segments"][1]["truncated"] = json!(true)),
        json!({ "destination": { "toString": "logo.png" }, "binary": true }),
        json!({ "source": { "toString": "gone.rs" }, "destination": null, "hunks": [] }),
        // Moved without another change, and copied: there all lines are new.
        json!({ "destination": { "toString": "new.rs" }, "hunks": [] }),
        json!({ "destination": { "toString": "copy.rs" } }),
    ]);
    let body = json!({ "fromHash": BASE, "toHash": SHA, "diffs": diffs, "truncated": true });
    forge.on("GET", &diff_path(), answer(200, &body)).await;
    let diff = facts(&forge).diff(&repo(), &range()).await.unwrap();
    insta::assert_json_snapshot!(diff);
    let expected = [format!("GET {}", changes_path()), format!("GET {}", diff_path())];
    assert_eq!(forge.asked().await, expected);
}

#[tokio::test]
async fn one_commit_and_a_pull_request_have_addresses_of_their_own() {
    for (change, place) in [
        (Change::Commit(SHA.to_owned()), format!("{REPO}/commits/{SHA}")),
        (Change::Pull("7".to_owned()), format!("{REPO}/pull-requests/7")),
    ] {
        let forge = Forge::start().await;
        let first = json!({ "values": [changed("ADD", "a.rs")], "isLastPage": false, "nextPageStart": 31 });
        forge.on("GET", &format!("{place}/changes?limit=1000"), answer(200, &first)).await;
        let second = page(&json!([changed("MODIFY", "whole.rs")]));
        forge.on("GET", &format!("{place}/changes?limit=1000&start=31"), second).await;
        let body = json!({ "diffs": [file("whole.rs", |_| ())] });
        let path = format!("{place}/diff?contextLines=0&withComments=false");
        forge.on("GET", &path, answer(200, &body)).await;
        let diff = facts(&forge).diff(&repo(), &change).await.unwrap();
        let of = |at: usize| (diff.files[at].change, diff.files[at].lines.clone());
        assert_eq!(of(0), (FileChange::Added, None), "{change:?}");
        let lines = vec![LineRange { start: 3, end: 4 }, LineRange { start: 22, end: 22 }];
        assert_eq!(of(1), (FileChange::Modified, Some(lines)), "{change:?}");
    }
}

#[tokio::test]
async fn files_are_known_also_where_their_lines_are_not() {
    let list = page(&json!([changed("MODIFY", "a.rs")]));
    let too_much = ResponseTemplate::new(200).set_body_raw(" ".repeat(11 * 1024 * 1024), "application/json");
    for answer in [answer(500, &refusal("too much", "InternalServerErrorException")), too_much] {
        let forge = Forge::start().await;
        forge.on("GET", &changes_path(), list.clone()).await;
        forge.on("GET", &diff_path(), answer).await;
        let diff = facts(&forge).diff(&repo(), &range()).await.unwrap();
        assert_eq!((diff.files.len(), diff.files[0].lines.clone()), (1, None));
    }
    let forge = Forge::start().await;
    forge.on("GET", &changes_path(), list).await;
    forge.on("GET", &diff_path(), answer(401, &refusal("no", "AuthorisationException"))).await;
    assert_eq!(facts(&forge).diff(&repo(), &range()).await.unwrap_err().kind(), ErrorKind::Forbidden);
}

#[tokio::test]
async fn commits_are_told_with_names_and_no_addresses() {
    let forge = Forge::start().await;
    let commits = json!({ "isLastPage": false, "nextPageStart": 100, "values": [
        {
            "id": SHA, "displayId": "1f4c8a90b2d", "committerTimestamp": 1_790_928_000_000_u64,
            "author": { "name": "robin", "emailAddress": "robin@example.com", "displayName": "Robin Doe" },
            "message": "Round prices\n\nHalf up.",
        },
        { "id": "77", "author": { "name": "build-bot", "emailAddress": "bot@example.com" }, "committerTimestamp": "soon" },
    ] });
    let path = format!("{REPO}/commits?since={BASE}&until={SHA}&limit=100");
    forge.on("GET", &path, answer(200, &commits)).await;
    let mut commits = facts(&forge).commits_between(&repo(), BASE, SHA).await.unwrap();
    for commit in &mut commits.items {
        let url = commit.web_url.take().unwrap();
        assert!(url.ends_with(&format!("/bitbucket/projects/NW/repos/shop/commits/{}", commit.sha)), "{url}");
    }
    insta::assert_json_snapshot!(commits);
}

fn sha(number: usize) -> String {
    format!("{number:040x}")
}

fn build(key: &str, state: &str, url: &str) -> Value {
    json!({ "key": key, "name": key, "state": state, "url": url, "dateAdded": 1_790_928_000_000_u64 })
}

async fn with_branch(forge: &Forge, count: usize) {
    let commits: Value = (0..count).map(|number| json!({ "id": sha(number) })).collect();
    let path = format!("{REPO}/commits?until=refs%2Fheads%2Fmain&limit=100");
    forge.on("GET", &path, page(&commits)).await;
}

fn list(sha: &str) -> String {
    format!("/build-status/1.0/commits/{sha}?orderBy=NEWEST&limit=100")
}

#[tokio::test]
async fn the_last_good_build_has_the_same_key() {
    let forge = Forge::start().await;
    with_branch(&forge, 5).await;
    // The run itself (0), all red (1), another key green (2), the one (3), an older one (4).
    let good = |count: u64| json!({ "successful": count, "failed": 1, "inProgress": 0 });
    let counts = json!({ sha(1): good(0), sha(2): good(1), sha(3): good(2), sha(4): good(1) });
    forge.on("POST", STATS, answer(200, &counts)).await;
    let url = "https://ci.example.com/job/unit/3/";
    let other = json!([build("lint", "SUCCESSFUL", "x"), build("unit", "FAILED", url)]);
    forge.on("GET", &list(&sha(2)), page(&other)).await;
    let wanted = json!([
        build("forge-rca", "FAILED", "x"),
        build("unit", "SUCCESSFUL", url),
        build("lint", "FAILED", "x")
    ]);
    forge.on("GET", &list(&sha(3)), page(&wanted)).await;
    let job = Job::new(format!("{}:0123456789ab:unit", sha(0)), sha(0), "Unit tests");
    let found =
        facts(&forge).last_green_job(&repo(), &Run::new(sha(0)), &job, "main").await.unwrap().unwrap();
    assert_eq!((found.run.id.as_str(), found.run.sha.as_deref()), (sha(3).as_str(), Some(sha(3).as_str())));
    assert_eq!((found.run.git_ref.as_deref(), found.run.ref_type), (Some("main"), Some(RefType::Branch)));
    assert_eq!(found.job.web_url.as_deref(), Some(url));
    assert_eq!(forge.sent().await[0], json!([sha(1), sha(2), sha(3), sha(4)]), "not of the run itself");
    assert_eq!(forge.asked().await.len(), 4);
}

#[tokio::test]
async fn the_search_for_a_good_build_is_bounded() {
    // A server that cannot count has them read, fifty at most.
    for refused in [ResponseTemplate::new(405), ResponseTemplate::new(404)] {
        let forge = Forge::start().await;
        with_branch(&forge, 100).await;
        forge.on("POST", STATS, refused).await;
        for number in 0..100 {
            forge.on("GET", &list(&sha(number)), page(&json!([build("lint", "SUCCESSFUL", "x")]))).await;
        }
        let job = Job::new(format!("{BASE}:0:unit"), BASE, "unit");
        let found = facts(&forge).last_green_job(&repo(), &Run::new(BASE), &job, "main").await.unwrap();
        assert_eq!((found, forge.asked().await.len()), (None, 52));
    }
    let forge = Forge::start().await;
    forge.on("GET", &format!("{REPO}/commits?until=refs%2Fheads%2Fgone&limit=100"), no_commit()).await;
    let job = Job::new(format!("{BASE}:0:unit"), BASE, "unit");
    assert_eq!(facts(&forge).last_green_job(&repo(), &Run::new(BASE), &job, "gone").await.unwrap(), None);
}

#[tokio::test]
async fn what_the_server_has_no_api_for_is_not_asked() {
    let forge = Forge::start().await;
    let (run, job) = (Run::new(SHA), Job::new(format!("{SHA}:0:unit"), SHA, "unit"));
    let errors = [
        facts(&forge).failing_tests(&repo(), &run, &job).await.unwrap_err(),
        facts(&forge).annotations(&repo(), &job).await.unwrap_err(),
        facts(&forge).ci_config(&repo(), &run).await.unwrap_err(),
    ];
    assert!(errors.iter().all(|error| error.kind() == ErrorKind::Unsupported));
    assert!(forge.asked().await.is_empty());
}

#[tokio::test]
async fn wrong_answers_are_typed_errors() {
    let text = |body: &str| {
        ResponseTemplate::new(200)
            .set_body_raw(body, "application/json")
            .insert_header("x-ausername", "rca-bot")
    };
    let commits = format!("{REPO}/commits?since={BASE}&until={SHA}&limit=100");
    for body in ["<html>maintenance</html>", "{\"values\": [", "{\"values\": 7}", "[]"] {
        let forge = Forge::start().await;
        forge.on("GET", &changes_path(), text(body)).await;
        forge.on("GET", &commits, text(body)).await;
        let errors = [
            facts(&forge).diff(&repo(), &range()).await.unwrap_err(),
            facts(&forge).commits_between(&repo(), BASE, SHA).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::UnexpectedResponse, "{body}: {error:?}");
            assert!(error.operation().is_some());
        }
    }
    let forge = Forge::start().await;
    forge.on("GET", &changes_path(), no_commit()).await;
    forge.on("GET", &commits, no_commit()).await;
    assert_eq!(facts(&forge).diff(&repo(), &range()).await.unwrap_err().kind(), ErrorKind::NotFound);
    let error = facts(&forge).commits_between(&repo(), BASE, SHA).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
