//! Comments, statuses and reports: what is sent.

use forge_core::{
    ErrorKind,
    model::{Comment, CommitStatus, PostAction, StatusState, Target},
};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::server::{Forge, REPO, SHA, answer, page, refusal, repo};

const MARKER: &str = "<!-- forge-rca:1 -->";

fn comment(text: &str) -> Comment {
    Comment { marker: MARKER.to_owned(), body: format!("{MARKER}\n{text}") }
}

fn theirs(id: u64, version: u64, author: &str, text: &str) -> Value {
    json!({"id": id, "version": version, "text": text, "author": {"name": author, "id": 1}})
}

fn pull_comments() -> String {
    format!("{REPO}/pull-requests/17/comments")
}

#[tokio::test]
async fn ours_is_found_among_the_activities_and_edited_with_its_version() {
    let forge = Forge::start().await;
    let activities = json!([
        {"id": 1, "action": "APPROVED"},
        {"id": 2, "action": "COMMENTED", "comment": theirs(60, 0, "mallory", &comment("trust me").body)},
        {"id": 3, "action": "COMMENTED", "comment": theirs(61, 4, "RCA-bot", &comment("old").body)},
    ]);
    forge.on("GET", &format!("{REPO}/pull-requests/17/activities?limit=100"), page(&activities)).await;
    forge.on("PUT", &format!("{}/61", pull_comments()), answer(200, &theirs(61, 5, "rca-bot", "x"))).await;
    let target = Target::Pull("17".to_owned());
    let feedback = forge.client.feedback().unwrap();
    let posted = feedback.upsert_comment(&repo(), &target, &comment("new"), None).await.unwrap();
    assert_eq!((posted.id.as_str(), posted.action), ("61", PostAction::Updated));
    assert!(
        posted
            .web_url
            .unwrap()
            .ends_with("/bitbucket/projects/NW/repos/shop/pull-requests/17/overview?commentId=61")
    );
    assert_eq!(forge.sent().await, [json!({"text": comment("new").body, "version": 4})]);
}

#[tokio::test]
async fn an_edit_that_came_too_late_is_made_again_from_what_is_there_now() {
    let forge = Forge::start().await;
    let path = format!("{}/61", pull_comments());
    forge.once("GET", &path, answer(200, &theirs(61, 1, "rca-bot", "one"))).await;
    forge.once("GET", &path, answer(200, &theirs(61, 2, "rca-bot", "two"))).await;
    let conflict = refusal("out-of-date", "comment.CommentOutOfDateException");
    forge.once("PUT", &path, answer(409, &conflict)).await;
    forge.once("PUT", &path, answer(200, &theirs(61, 3, "rca-bot", "x"))).await;
    let feedback = forge.client.feedback().unwrap();
    let target = Target::Pull("17".to_owned());
    let posted = feedback.upsert_comment(&repo(), &target, &comment("three"), Some("61")).await.unwrap();
    assert_eq!(posted.action, PostAction::Updated);
    let versions: Vec<_> = forge.sent().await.iter().map(|body| body["version"].clone()).collect();
    assert_eq!(versions, [json!(1), json!(2)]);
}

#[tokio::test]
async fn an_edit_that_arrived_although_its_answer_was_lost_is_not_made_twice() {
    let forge = Forge::start().await;
    let path = format!("{}/61", pull_comments());
    forge.once("GET", &path, answer(200, &theirs(61, 1, "rca-bot", "one"))).await;
    forge.once("GET", &path, answer(200, &theirs(61, 2, "rca-bot", &comment("two").body))).await;
    forge.on("PUT", &path, answer(409, &refusal("out-of-date", "comment.CommentOutOfDateException"))).await;
    let feedback = forge.client.feedback().unwrap();
    let target = Target::Pull("17".to_owned());
    let posted = feedback.upsert_comment(&repo(), &target, &comment("two"), Some("61")).await.unwrap();
    assert_eq!((posted.action, forge.sent().await.len()), (PostAction::Updated, 1));
}

#[tokio::test]
async fn a_commit_whose_comments_cannot_be_listed_still_gets_one() {
    let forge = Forge::start().await;
    let path = format!("{REPO}/commits/{SHA}/comments");
    let needs_path = refusal("A path must be supplied", "validation.ArgumentValidationException");
    forge.on("GET", &format!("{path}?limit=100"), answer(400, &needs_path)).await;
    forge.on("POST", &path, answer(201, &theirs(70, 0, "rca-bot", "x"))).await;
    let target = Target::Commit(SHA.to_owned());
    let feedback = forge.client.feedback().unwrap();
    let posted = feedback.upsert_comment(&repo(), &target, &comment("one"), None).await.unwrap();
    assert_eq!((posted.id.as_str(), posted.action), ("70", PostAction::Created));
}

fn status(state: StatusState, target: Option<&str>) -> CommitStatus {
    CommitStatus {
        state,
        context: "forge-rca".to_owned(),
        description: "d".repeat(300),
        target_url: target.map(str::to_owned),
    }
}

async fn server_of_version(version: &str) -> Forge {
    let forge = Forge::start().await;
    let properties = json!({"version": version, "displayName": "Bitbucket"});
    forge.on("GET", "/api/1.0/application-properties", answer(200, &properties)).await;
    forge
}

#[tokio::test]
async fn a_status_is_set_at_the_repository_with_a_report_beside_it() {
    let forge = server_of_version("8.9.1").await;
    forge.on("POST", &format!("{REPO}/commits/{SHA}/builds"), ResponseTemplate::new(204)).await;
    let report = format!("/insights/latest/projects/NW/repos/shop/commits/{SHA}/reports/forge-rca");
    forge.on("PUT", &report, answer(200, &json!({}))).await;
    let feedback = forge.client.feedback().unwrap();
    let failure = status(StatusState::Failure, Some("https://rca.example.com/a/1"));
    let posted = feedback.set_status(&repo(), SHA, &failure).await.unwrap();
    assert_eq!(posted.id, "forge-rca");
    insta::assert_json_snapshot!(forge.sent().await);
    // While nothing is known there is nothing to report.
    feedback.set_status(&repo(), SHA, &status(StatusState::Pending, None)).await.unwrap();
    let sent = forge.sent().await;
    assert_eq!(sent.len(), 3);
    let url = sent[2]["url"].as_str().unwrap();
    assert!(
        url.ends_with(&format!("/bitbucket/projects/NW/repos/shop/commits/{SHA}")),
        "an address is obligatory"
    );
}

#[tokio::test]
async fn servers_without_rich_statuses_get_the_old_ones() {
    let global = format!("/build-status/1.0/commits/{SHA}");
    // One is too old, one does not say how old it is, one has them switched off.
    for (version, rich) in [("7.3.2", false), ("milestone", false), ("9.0.0", true)] {
        let forge = server_of_version(version).await;
        forge.on("POST", &global, ResponseTemplate::new(204)).await;
        let success = status(StatusState::Success, None);
        forge.client.feedback().unwrap().set_status(&repo(), SHA, &success).await.unwrap();
        let asked = forge.asked().await;
        assert!(asked.contains(&format!("POST {global}")), "{version}: {asked:?}");
        assert_eq!(asked.iter().any(|line| line.ends_with("/builds")), rich, "{version}");
    }
}

#[tokio::test]
async fn there_are_no_issues() {
    let forge = Forge::start().await;
    let error = forge.client.feedback().unwrap().close_issue(&repo(), "1", None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.hint().is_some() && forge.asked().await.is_empty());
}
