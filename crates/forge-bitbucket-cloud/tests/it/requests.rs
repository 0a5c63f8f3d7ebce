//! What goes over the wire, against golden files.

use forge_core::{
    Credential, CredentialKind, ForgeClientExt as _, LogOptions,
    model::{Comment, CommitStatus, HookSpec, PostAction, Run, RunRef, StatusState, Target},
};
use futures_util::TryStreamExt as _;
use serde_json::json;

use crate::server::{Forge, REPO, TOKEN, fixture, json as answer, repo};

#[tokio::test]
async fn hooks_are_sent_whole() {
    let forge = Forge::start().await;
    forge.on("POST", &format!("{REPO}/hooks"), answer(201, &fixture("hook.json"))).await;
    let place = format!("{REPO}/hooks/%7B4e1d0c9a-2222-4b7e-9a1c-5d6e7f8091a2%7D");
    forge.on("PUT", &place, answer(200, &fixture("hook.json"))).await;
    forge.on("DELETE", &place, answer(404, &json!({ "type": "error", "error": { "message": "x" } }))).await;
    let spec =
        HookSpec::new("https://rca.example.com/h/1".parse().unwrap(), "0123456789abcdef".to_owned().into());
    let hooks = forge.client.require_hooks().unwrap();
    let hook = hooks.create_hook(&repo(), &spec).await.unwrap();
    assert_eq!(hook.events, ["repo:commit_status_created", "repo:commit_status_updated"]);
    assert!(hooks.is_as_specified(&hook, &spec), "{hook:?}");
    hooks.update_hook(&repo(), &hook.id, &spec).await.unwrap();
    hooks.delete_hook(&repo(), &hook.id).await.unwrap();
    insta::assert_json_snapshot!(forge.changes().await);
}

#[tokio::test]
async fn comments_are_markdown_below_content() {
    let forge = Forge::start().await;
    let place = format!("{REPO}/pullrequests/88/comments");
    forge.on("GET", &format!("{place}?pagelen=100"), answer(200, &json!({ "values": [] }))).await;
    forge.on("POST", &place, answer(201, &fixture("comment.json"))).await;
    forge.on("GET", &format!("{place}/610"), answer(200, &fixture("comment.json"))).await;
    forge.on("PUT", &format!("{place}/610"), answer(200, &fixture("comment.json"))).await;
    let feedback = forge.client.require_feedback().unwrap();
    let say = |text: &str| Comment { marker: "<!-- m -->".to_owned(), body: format!("<!-- m -->\n{text}") };
    let target = Target::Pull("88".to_owned());
    let posted = feedback.upsert_comment(&repo(), &target, &say("red"), None).await.unwrap();
    assert_eq!((posted.id.as_str(), posted.action), ("610", PostAction::Created));
    assert!(posted.web_url.unwrap().ends_with("#comment-610"));
    feedback.upsert_comment(&repo(), &target, &say("green"), Some("610")).await.unwrap();
    insta::assert_json_snapshot!(forge.changes().await);
}

#[tokio::test]
async fn a_status_comes_with_a_report() {
    let forge = Forge::start().await;
    let sha = "8d2f4c6e1a3b5d7f9e0c2a4b6d8f1e3c5a7b9d0f";
    forge.on("POST", &format!("{REPO}/commit/{sha}/statuses/build"), answer(201, &json!({}))).await;
    // A plan without reports.
    forge.on("PUT", &format!("{REPO}/commit/{sha}/reports/forge-rca"), answer(403, &json!({}))).await;
    let status = CommitStatus {
        state: StatusState::Failure,
        context: "forge-rca".to_owned(),
        description: "é".repeat(300),
        target_url: Some("https://rca.example.com/a/1".to_owned()),
    };
    forge.client.require_feedback().unwrap().set_status(&repo(), sha, &status).await.unwrap();
    let mut changes = forge.changes().await;
    let description = changes[0].1["description"].take();
    assert_eq!(description.as_str().unwrap().chars().count(), 255);
    assert_eq!(changes[1].1["details"].take().as_str().unwrap().chars().count(), 300);
    insta::assert_json_snapshot!(changes);
}

#[tokio::test]
async fn reading_asks_for_the_biggest_pages() {
    let forge = Forge::start().await;
    let pipelines = format!("{REPO}/pipelines");
    let page = |values: serde_json::Value| answer(200, &json!({ "values": values }));
    for status in ["FAILED", "ERROR"] {
        let path = format!("{pipelines}?status={status}&sort=-created_on&pagelen=100");
        forge.on("GET", &path, page(json!([fixture("pipeline.json")]))).await;
    }
    let steps = format!("{pipelines}/%7B9b1f0c55-3a2d-4e0b-8a7c-4e1d0c9a0017%7D/steps?pagelen=100");
    let second = format!("{}&page=2", forge.url(&steps));
    let first = json!({ "values": [fixture("step.json")], "next": second });
    forge.on("GET", &steps, answer(200, &first)).await;
    let mut unnamed = fixture("step.json");
    unnamed["name"] = serde_json::Value::Null;
    unnamed["run_number"] = serde_json::Value::Null;
    forge.on("GET", &format!("{steps}&page=2"), page(json!([unnamed]))).await;
    let ci = forge.client.require_ci().unwrap();
    let since = "2026-10-02T08:00:00Z".parse().unwrap();
    let runs: Vec<_> = ci.list_failed_runs(&repo(), since).try_collect().await.unwrap();
    assert_eq!(
        runs[0].web_url.as_deref().unwrap(),
        format!("{}/northwind/shop/pipelines/results/17", forge.server.uri())
    );
    let jobs: Vec<_> = ci.list_jobs(&repo(), &RunRef::new("17")).try_collect().await.unwrap();
    let names: Vec<_> = jobs.iter().map(|job| (job.name.as_str(), job.attempt)).collect();
    assert_eq!(names, [("Unit tests", 1), ("step 2", 1)]);
    insta::assert_json_snapshot!(forge.asked().await);
}

#[tokio::test]
async fn a_deleted_comment_counts_as_none_even_where_its_text_is_still_shown() {
    let forge = Forge::start().await;
    let place = format!("{REPO}/pullrequests/88/comments");
    let mut deleted = fixture("comment.json");
    deleted["deleted"] = json!(true);
    forge.on("GET", "/user", answer(200, &fixture("user.json"))).await;
    forge.on("GET", &format!("{place}?pagelen=100"), answer(200, &json!({ "values": [deleted] }))).await;
    forge.on("GET", &format!("{place}/610"), answer(200, &deleted)).await;
    let mut fresh = fixture("comment.json");
    fresh["id"] = json!(611);
    forge.on("POST", &place, answer(201, &fresh)).await;
    let comment = Comment { marker: "<!-- m -->".to_owned(), body: "<!-- m -->\nred".to_owned() };
    let target = Target::Pull("88".to_owned());
    let feedback = forge.client.require_feedback().unwrap();
    let posted = feedback.upsert_comment(&repo(), &target, &comment, Some("610")).await.unwrap();
    assert_eq!((posted.id.as_str(), posted.action), ("611", PostAction::Created));
}

#[tokio::test]
async fn an_access_token_that_took_another_app_s_comment_for_its_own_posts_its_own() {
    let forge =
        Forge::with_credential(Credential::new(CredentialKind::AccessToken, TOKEN.to_owned().into())).await;
    let place = format!("{REPO}/pullrequests/88/comments");
    let refused = || answer(403, &json!({ "type": "error", "error": { "message": "no" } }));
    let mut foreign = fixture("comment.json");
    foreign["user"] = json!({ "type": "app_user", "uuid": "{00000000-0000-4000-8000-00000000beef}" });
    forge.on("GET", "/user", refused()).await;
    forge.on("GET", &format!("{place}?pagelen=100"), answer(200, &json!({ "values": [foreign] }))).await;
    forge.on("PUT", &format!("{place}/610"), refused()).await;
    let mut own = foreign.clone();
    own["id"] = json!(611);
    own["user"]["uuid"] = json!("{00000000-0000-4000-8000-00000000cafe}");
    forge.on("POST", &place, answer(201, &own)).await;
    let comment = Comment { marker: "<!-- m -->".to_owned(), body: "<!-- m -->\ngreen".to_owned() };
    let target = Target::Pull("88".to_owned());
    let feedback = forge.client.require_feedback().unwrap();
    let posted = feedback.upsert_comment(&repo(), &target, &comment, None).await.unwrap();
    assert_eq!((posted.id.as_str(), posted.action), ("611", PostAction::Created));
    // From now on it knows who it is, and leaves the other's comment alone.
    feedback.upsert_comment(&repo(), &target, &comment, None).await.unwrap();
    let verbs: Vec<_> =
        forge.changes().await.iter().map(|(line, _)| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(verbs, ["PUT", "POST", "POST"]);
}

#[tokio::test]
async fn what_cannot_be_read_alone_is_found_in_its_list_or_taken_as_named() {
    let forge = Forge::start().await;
    let pipeline = format!("{REPO}/pipelines/%7B9b1f0c55-3a2d-4e0b-8a7c-4e1d0c9a0017%7D");
    forge.on("GET", &format!("{REPO}/pipelines/17"), answer(200, &fixture("pipeline.json"))).await;
    let steps = json!({ "values": [fixture("step.json")] });
    forge.on("GET", &format!("{pipeline}/steps?pagelen=100"), answer(200, &steps)).await;
    let log = wiremock::ResponseTemplate::new(200).set_body_string("boom");
    forge.on("GET", &format!("{pipeline}/steps/%7B0c9a4e1d-7777-4b7e-9a1c-5d6e7f8091a2%7D/log"), log).await;
    let ci = forge.client.require_ci().unwrap();
    let job = ci.get_job(&repo(), "17:{0c9a4e1d-7777-4b7e-9a1c-5d6e7f8091a2}:1").await.unwrap();
    let log = ci.job_log(&repo(), &job, LogOptions::default()).await.unwrap().read_to_end().await.unwrap();
    assert_eq!(log, (b"boom".to_vec(), false));
    let missing = ci.get_job(&repo(), "17:{00000000-0000-4000-8000-000000000000}:1").await.unwrap_err();
    assert_eq!(missing.kind(), forge_core::ErrorKind::NotFound);

    let mut run = Run::new("17");
    run.git_ref = Some("feature/basket".to_owned());
    run.pull_requests = vec!["88".to_owned()];
    let pulls = ci.find_pull_requests(&repo(), &run).await.unwrap();
    assert_eq!(pulls.iter().map(|pull| pull.number.as_str()).collect::<Vec<_>>(), ["88"]);
}
