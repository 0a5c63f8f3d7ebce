//! What is said, and what is not said twice.

use forge_core::{
    ErrorKind,
    model::{Comment, CommitStatus, Issue, PostAction, Posted, StatusState, Target},
};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::server::{Forge, ok, page, refusal, repo};

const TALK: &str = "/project/northwind/shop/merge-request/12/discussions";
const CREATE: &str = "/project/northwind/shop/merge-request/12/discussions/create";
const ISSUES: &str = "/project/northwind/shop/issue";
const MARKER: &str = "<!-- forge-rca:v1 k=1 -->";

fn body(text: &str) -> String {
    format!("{MARKER}\n{text}")
}

fn note(id: &str, text: &str, author: Value, at: &str) -> Value {
    json!({"uuid": id, "rootNote": {"uuid": id, "rawMessage": body(text).replace('\n', "\r\n"), "message": "rendered", "author": author, "createdAt": at}})
}

async fn say(forge: &Forge, text: &str) -> forge_core::Result<Posted> {
    let comment = Comment { marker: MARKER.to_owned(), body: body(text) };
    let target = Target::Pull("12".to_owned());
    forge.client.feedback().unwrap().upsert_comment(&repo(), &target, &comment, None).await
}

async fn forge_with(notes: &[Value]) -> Forge {
    let forge = Forge::start().await;
    forge.knows_us().await;
    forge.on("GET", TALK, page(notes)).await;
    forge.on("POST", CREATE, ok(&json!({"uuid": "new", "rawMessage": "x"}))).await;
    forge
}

fn us() -> Value {
    json!({"id": "u-1", "username": "rca-bot"})
}

#[tokio::test]
async fn a_comment_is_posted_unless_our_last_one_says_it() {
    let (early, late) = ("2026-11-20T10:00:00", "2026-11-20T11:00:00");
    let cases = [
        (vec![], PostAction::Created),
        (vec![note("a", "red", us(), early)], PostAction::Unchanged),
        (vec![note("a", "green", us(), early)], PostAction::Created),
        // In whichever order they are listed, the last one counts.
        (vec![note("a", "red", us(), early), note("b", "green", us(), late)], PostAction::Created),
        (vec![note("b", "green", us(), late), note("a", "red", us(), early)], PostAction::Created),
        (vec![note("b", "red", us(), late), note("a", "green", us(), early)], PostAction::Unchanged),
        // Without times nobody knows the last one, and nothing is said twice.
        (
            vec![note("a", "red", us(), "time.ago"), note("b", "green", us(), "time.ago")],
            PostAction::Unchanged,
        ),
        (vec![note("a", "red", json!({"id": "u-9", "username": "mallory"}), early)], PostAction::Created),
        (vec![note("a", "red", Value::Null, early)], PostAction::Unchanged),
        (vec![note("a", "red", json!("mallory"), early)], PostAction::Created),
        (
            vec![json!({"discussionUuid": "a", "message": body("red"), "author": {"username": "rca-bot"}})],
            PostAction::Unchanged,
        ),
    ];
    for (notes, expected) in cases {
        let forge = forge_with(&notes).await;
        let posted = say(&forge, "red").await.unwrap();
        assert_eq!(posted.action, expected, "{notes:?}");
        assert_eq!(
            posted.web_url,
            Some(format!("{}/project/northwind/shop/merge-request/12", forge.server.uri()))
        );
        let sent = forge.sent().await;
        if expected == PostAction::Created {
            assert_eq!((posted.id.as_str(), sent), ("new", vec![json!({"message": body("red")})]));
        } else {
            assert!(sent.is_empty());
        }
    }
}

#[tokio::test]
async fn an_answer_that_names_no_comment_is_made_good_by_the_list() {
    let forge = Forge::start().await;
    forge.knows_us().await;
    forge.once("GET", TALK, page(&[])).await;
    forge.on("GET", TALK, page(&[note("found", "red", us(), "time.ago")])).await;
    forge.on("POST", CREATE, ResponseTemplate::new(200)).await;
    assert_eq!(say(&forge, "red").await.unwrap().id, "found");
    assert_eq!(forge.sent().await.len(), 1);
}

#[tokio::test]
async fn what_gitflic_lacks_is_said_without_asking() {
    let forge = Forge::start().await;
    let feedback = forge.client.feedback().unwrap();
    let comment = Comment { marker: MARKER.to_owned(), body: body("x") };
    let error = feedback
        .upsert_comment(&repo(), &Target::Commit("abc".to_owned()), &comment, None)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let status = CommitStatus {
        state: StatusState::Failure,
        context: "x".to_owned(),
        description: "y".to_owned(),
        target_url: None,
    };
    assert_eq!(
        feedback.set_status(&repo(), "abc", &status).await.unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    assert!(forge.asked().await.is_empty());
}

fn issue() -> Issue {
    Issue {
        marker: MARKER.to_owned(),
        title: "Red".to_owned(),
        body: body("why"),
        labels: vec!["ci".to_owned()],
    }
}

fn known(number: u64, text: &str, status: &str) -> Value {
    json!({"localId": number, "title": "Red", "description": body(text), "status": {"id": status}, "assigneUsers": [{"id": "u-7"}]})
}

#[tokio::test]
async fn an_issue_is_opened_with_the_fields_that_are_mandatory() {
    let forge = Forge::start().await;
    forge.on("GET", ISSUES, page(&[known(3, "why", "COMPLETED")])).await;
    forge.on("POST", ISSUES, ok(&known(4, "why", "OPEN"))).await;
    let posted = forge.client.feedback().unwrap().upsert_issue(&repo(), &issue(), None).await.unwrap();
    assert_eq!((posted.id.as_str(), posted.action), ("4", PostAction::Created));
    insta::assert_json_snapshot!(forge.sent().await);
}

#[tokio::test]
async fn an_open_issue_is_changed_by_whichever_verb_works_and_keeps_its_people() {
    for verb in ["PUT", "PATCH"] {
        let forge = Forge::start().await;
        forge.on("GET", ISSUES, page(&[known(3, "old", "OPEN")])).await;
        forge.on("GET", &format!("{ISSUES}/3"), ok(&known(3, "old", "OPEN"))).await;
        forge.on(verb, &format!("{ISSUES}/3"), ResponseTemplate::new(200)).await;
        forge.on("PUT", &format!("{ISSUES}/3"), refusal(405, "error.method")).await;
        for id in [None, Some("3")] {
            let posted = forge.client.feedback().unwrap().upsert_issue(&repo(), &issue(), id).await.unwrap();
            assert_eq!((posted.id.as_str(), posted.action), ("3", PostAction::Updated), "{verb}");
        }
        forge.client.feedback().unwrap().close_issue(&repo(), "3", None).await.unwrap();
        let sent = forge.sent().await;
        assert_eq!(sent[0]["assignedUsers"], json!(["u-7"]));
        assert_eq!((&sent[0]["status"], &sent.last().unwrap()["status"]), (&json!("OPEN"), &json!("CLOSED")));
        assert_eq!(sent.last().unwrap()["description"], json!(body("old")), "closing changes no text");
    }
    let forge = Forge::start().await;
    forge.on("GET", &format!("{ISSUES}/3"), ok(&known(3, "old", "OPEN"))).await;
    for verb in ["PUT", "PATCH"] {
        forge.on(verb, &format!("{ISSUES}/3"), refusal(405, "error.method")).await;
    }
    let error = forge.client.feedback().unwrap().close_issue(&repo(), "3", None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
