//! Comments, issues and statuses: what is sent, and what is left alone.

use forge_core::{
    ErrorKind,
    model::{Comment, CommitStatus, Issue, PostAction, StatusState, Target},
};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::server::{Forge, fixture, json as answer, repo};

const SHA: &str = "5f0c1e2d3b4a59687766554433221100ffeeddcc";
const LIST: &str = "/repos/northwind/shop/issues/88/comments";

fn comment(text: &str) -> Comment {
    let marker = "<!-- forge-rca:v1 k=1 -->".to_owned();
    Comment { body: format!("{marker}\n{text}"), marker }
}

fn pull() -> Target {
    Target::Pull("88".to_owned())
}

fn theirs(id: u64, change: impl FnOnce(&mut Value)) -> Value {
    let mut comment = fixture("comment.json");
    comment["id"] = json!(id);
    change(&mut comment);
    comment
}

async fn start() -> Forge {
    let forge = Forge::start().await;
    forge.on("GET", "/user", answer(200, &fixture("user.json"))).await;
    forge
}

#[tokio::test]
async fn a_first_comment_is_created() {
    let forge = start().await;
    forge.on("GET", &format!("{LIST}?per_page=100"), answer(200, &json!([]))).await;
    forge.on("POST", LIST, answer(201, &fixture("comment.json"))).await;
    let feedback = forge.client.feedback().unwrap();
    let posted = feedback.upsert_comment(&repo(), &pull(), &comment("Broken"), None).await.unwrap();
    assert_eq!((posted.id.as_str(), posted.action), ("70001", PostAction::Created));
    assert!(posted.web_url.unwrap().ends_with("#issuecomment-70001"));
    insta::assert_json_snapshot!(forge.sent().await);
    assert_eq!(forge.asked().await.len(), 2, "who we are is not asked where no comment has the marker");
}

#[tokio::test]
async fn ours_is_edited_wherever_it_stands_and_a_foreign_one_is_left_alone() {
    let forge = start().await;
    let next = format!("<{}>; rel=\"next\"", forge.url(&format!("{LIST}?per_page=100&page=2")));
    let forged = theirs(1, |comment| comment["user"]["login"] = json!("eve"));
    let ghost = theirs(2, |comment| comment["user"] = Value::Null);
    let first = answer(200, &json!([forged, ghost])).insert_header("link", next.as_str());
    forge.on("GET", &format!("{LIST}?per_page=100"), first).await;
    forge.on("GET", &format!("{LIST}?per_page=100&page=2"), answer(200, &json!([theirs(3, |_| ())]))).await;
    forge.on("PATCH", "/repos/northwind/shop/issues/comments/3", answer(200, &theirs(3, |_| ()))).await;
    let feedback = forge.client.feedback().unwrap();
    let posted = feedback.upsert_comment(&repo(), &pull(), &comment("Still broken"), None).await.unwrap();
    assert_eq!((posted.id.as_str(), posted.action), ("3", PostAction::Updated));
    insta::assert_json_snapshot!(forge.sent().await);
}

#[tokio::test]
async fn the_same_text_is_not_sent_again() {
    let forge = start().await;
    forge
        .on("GET", "/repos/northwind/shop/issues/comments/70001", answer(200, &fixture("comment.json")))
        .await;
    let feedback = forge.client.feedback().unwrap();
    let posted =
        feedback.upsert_comment(&repo(), &pull(), &comment("The test failed"), Some("70001")).await.unwrap();
    assert_eq!(posted.action, PostAction::Unchanged);
    assert_eq!(forge.asked().await, ["GET /repos/northwind/shop/issues/comments/70001"]);
}

#[tokio::test]
async fn a_deleted_comment_is_posted_anew() {
    let forge = start().await;
    forge.on("GET", "/repos/northwind/shop/issues/comments/70001", ResponseTemplate::new(404)).await;
    forge.on("GET", &format!("{LIST}?per_page=100"), answer(200, &json!([]))).await;
    forge.on("POST", LIST, answer(201, &theirs(70_002, |_| ()))).await;
    let feedback = forge.client.feedback().unwrap();
    let posted = feedback.upsert_comment(&repo(), &pull(), &comment("x"), Some("70001")).await.unwrap();
    assert_eq!((posted.id.as_str(), posted.action), ("70002", PostAction::Created));
}

#[tokio::test]
async fn a_comment_deleted_while_we_write_is_posted_anew() {
    let forge = start().await;
    forge
        .on("GET", "/repos/northwind/shop/issues/comments/70001", answer(200, &fixture("comment.json")))
        .await;
    forge.on("PATCH", "/repos/northwind/shop/issues/comments/70001", ResponseTemplate::new(404)).await;
    forge.on("POST", LIST, answer(201, &theirs(70_002, |_| ()))).await;
    let feedback = forge.client.feedback().unwrap();
    let posted = feedback.upsert_comment(&repo(), &pull(), &comment("x"), Some("70001")).await.unwrap();
    assert_eq!((posted.id.as_str(), posted.action), ("70002", PostAction::Created));
}

#[tokio::test]
async fn an_app_knows_its_comments_by_the_app() {
    let credential = forge_core::Credential::new(
        forge_core::CredentialKind::Installation,
        "ghs_1_x.y.z".to_owned().into(),
    );
    let forge = Forge::with_credential(credential).await;
    let human = theirs(1, |_| ());
    let bot = theirs(2, |comment| {
        comment["user"] = json!({"login": "forge-rca[bot]", "type": "Bot"});
        comment["performed_via_github_app"] = json!({"id": 9, "slug": "forge-rca"});
    });
    forge.on("GET", &format!("{LIST}?per_page=100"), answer(200, &json!([human, bot]))).await;
    forge.on("PATCH", "/repos/northwind/shop/issues/comments/2", answer(200, &theirs(2, |_| ()))).await;
    let feedback = forge.client.feedback().unwrap();
    let posted = feedback.upsert_comment(&repo(), &pull(), &comment("x"), None).await.unwrap();
    assert_eq!((posted.id.as_str(), posted.action), ("2", PostAction::Updated));
}

#[tokio::test]
async fn a_commit_has_its_own_comments_which_may_be_switched_off() {
    let forge = start().await;
    let list = format!("/repos/northwind/shop/commits/{SHA}/comments");
    forge.on("GET", &format!("{list}?per_page=100"), answer(200, &json!([]))).await;
    forge.once("POST", &list, answer(201, &fixture("comment.json"))).await;
    let off = json!({"message": "Commit comments are disabled for this repository"});
    forge.on("POST", &list, answer(403, &off)).await;
    let feedback = forge.client.feedback().unwrap();
    let target = Target::Commit(SHA.to_owned());
    let posted = feedback.upsert_comment(&repo(), &target, &comment("x"), None).await.unwrap();
    assert_eq!(posted.action, PostAction::Created);
    let error = feedback.upsert_comment(&repo(), &target, &comment("x"), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert_eq!(error.operation(), Some(&*format!("comment on commit {SHA} of northwind/shop")));
}

fn issue() -> Issue {
    let Comment { marker, body } = comment("Red for two days");
    Issue { marker, title: "CI is red".to_owned(), body, labels: vec!["ci".to_owned()] }
}

const ISSUES: &str = "/repos/northwind/shop/issues";
const OURS: &str = "/repos/northwind/shop/issues?state=open&creator=forge-rca-bot&per_page=100";

#[tokio::test]
async fn an_issue_is_opened_edited_and_closed() {
    let forge = start().await;
    let mut pull_request = fixture("issue.json");
    pull_request["pull_request"] = json!({"url": "x"});
    forge.once("GET", OURS, answer(200, &json!([pull_request]))).await;
    forge.on("POST", ISSUES, answer(201, &fixture("issue.json"))).await;
    let feedback = forge.client.feedback().unwrap();
    let posted = feedback.upsert_issue(&repo(), &issue(), None).await.unwrap();
    assert_eq!((posted.id.as_str(), posted.action), ("17", PostAction::Created));
    insta::assert_json_snapshot!("issue_opened", forge.sent().await);

    forge.server.reset().await;
    forge.on("GET", OURS, answer(200, &json!([fixture("issue.json")]))).await;
    forge.on("PATCH", "/repos/northwind/shop/issues/17", answer(200, &fixture("issue.json"))).await;
    let posted = feedback.upsert_issue(&repo(), &issue(), None).await.unwrap();
    assert_eq!(posted.action, PostAction::Updated);
    insta::assert_json_snapshot!("issue_edited", forge.sent().await);

    forge.server.reset().await;
    forge.on("PATCH", "/repos/northwind/shop/issues/17", answer(200, &fixture("issue.json"))).await;
    feedback.close_issue(&repo(), "17", None).await.unwrap();
    insta::assert_json_snapshot!("issue_closed", forge.sent().await);
}

#[tokio::test]
async fn a_known_issue_is_opened_again_and_switched_off_issues_are_gone() {
    let forge = start().await;
    let mut closed = fixture("issue.json");
    closed["state"] = json!("closed");
    let one = "/repos/northwind/shop/issues/17";
    forge.on("GET", one, answer(200, &closed)).await;
    forge.on("PATCH", one, answer(200, &fixture("issue.json"))).await;
    let again = forge.client.feedback().unwrap().upsert_issue(&repo(), &issue(), Some("17")).await.unwrap();
    assert_eq!((again.id.as_str(), again.action), ("17", PostAction::Updated));
    let sent = json!(forge.sent().await).to_string();
    assert!(sent.contains("open"), "{sent}");

    let forge = start().await;
    forge.on("GET", OURS, answer(200, &json!([]))).await;
    let off = json!({"message": "Issues has been disabled in this repository."});
    forge.on("POST", ISSUES, answer(410, &off)).await;
    let error = forge.client.feedback().unwrap().upsert_issue(&repo(), &issue(), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Gone);
    assert!(error.hint().unwrap().contains("issues are switched off"));
}

#[tokio::test]
async fn a_status_is_cut_to_what_github_takes() {
    let forge = start().await;
    let path = format!("/repos/northwind/shop/statuses/{SHA}");
    forge.on("POST", &path, answer(201, &json!({"id": 5, "state": "failure"}))).await;
    let status = CommitStatus {
        state: StatusState::Failure,
        context: "forge-rca".to_owned(),
        description: "ü".repeat(200),
        target_url: Some("https://rca.example.com/a/1".to_owned()),
    };
    let posted = forge.client.feedback().unwrap().set_status(&repo(), SHA, &status).await.unwrap();
    assert_eq!(posted.id, "5");
    let mut sent = forge.sent().await;
    let description = sent["description"].take();
    assert_eq!(description.as_str().unwrap().chars().count(), 140);
    insta::assert_json_snapshot!(sent);
}
