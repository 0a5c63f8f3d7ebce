//! One test per oddity of GitHub, and the token that must not travel.

use forge_core::{
    ErrorKind, LogOptions,
    model::{Comment, Conclusion, Job, RepoRef, Status, Target},
};
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use serde_json::json;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

use crate::server::{Forge, TOKEN, fixture, json as answer, repo};

const LOGS: &str = "/repos/northwind/shop/actions/jobs/21000000000456/logs";

fn failed_job() -> Job {
    let mut job = Job::new("21000000000456", "7300000000123", "test");
    job.status = Status::Completed;
    job.conclusion = Some(Conclusion::Failure);
    job.finished_at = Some(Timestamp::now());
    job
}

async fn elsewhere(response: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(matchers::any()).respond_with(response).mount(&server).await;
    server
}

async fn assert_saw_no_credential(server: &MockServer) {
    for request in server.received_requests().await.unwrap() {
        assert!(!request.headers.contains_key("authorization") && !request.headers.contains_key("cookie"));
        assert!(!format!("{request:?}").contains(TOKEN));
    }
}

#[tokio::test]
async fn a_log_is_fetched_from_the_storage_without_the_token() {
    let storage = elsewhere(ResponseTemplate::new(200).set_body_string("log\n")).await;
    let forge = Forge::start().await;
    let location = format!("{}/blob?sig=secret", storage.uri());
    forge.on("GET", LOGS, ResponseTemplate::new(302).insert_header("location", location.as_str())).await;
    let log =
        forge.client.ci().unwrap().job_log(&repo(), &failed_job(), LogOptions::default()).await.unwrap();
    assert_eq!(log.read_to_end().await.unwrap(), (b"log\n".to_vec(), false));
    assert_eq!(storage.received_requests().await.unwrap().len(), 1);
    assert_saw_no_credential(&storage).await;
}

#[tokio::test]
async fn what_the_storage_says_is_told_apart_from_what_github_says() {
    let xml = "<?xml version=\"1.0\"?><Error><Code>BlobNotFound</Code></Error>";
    let cases = [
        (404, ErrorKind::NotReady),
        (410, ErrorKind::Gone),
        (403, ErrorKind::Forge),
        (401, ErrorKind::Forge),
        (400, ErrorKind::Forge),
    ];
    for (status, expected) in cases {
        let storage = elsewhere(ResponseTemplate::new(status).set_body_raw(xml, "application/xml")).await;
        let forge = Forge::start().await;
        let location = format!("{}/blob?sig=s3cret", storage.uri());
        forge.on("GET", LOGS, ResponseTemplate::new(302).insert_header("location", location.as_str())).await;
        let client = forge.client.ci().unwrap();
        let error = client.job_log(&repo(), &failed_job(), LogOptions::default()).await.unwrap_err();
        assert_eq!(error.kind(), expected, "{status}: {error}");
        assert!(!format!("{error:?}").contains("s3cret"), "the address is a credential");
        assert_saw_no_credential(&storage).await;
    }
}

#[tokio::test]
async fn a_next_page_at_another_origin_is_refused() {
    let other = elsewhere(ResponseTemplate::new(200).set_body_string("[]")).await;
    let forge = Forge::start().await;
    let next = format!("<{}/api/v3/user/repos?page=2>; rel=\"next\"", other.uri());
    let first = answer(200, &json!([fixture("repository.json")])).insert_header("link", next.as_str());
    forge.on("GET", "/user/repos?sort=created&direction=asc&per_page=100", first).await;
    let mut repos = forge.client.repos().list_repos();
    assert!(repos.try_next().await.unwrap().is_some());
    assert_eq!(repos.try_next().await.unwrap_err().kind(), ErrorKind::AddressRefused);
    assert!(other.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_renamed_repository_is_followed_for_reads_lists_and_changes() {
    let forge = Forge::start().await;
    let moved = |status: u16, path: &str| {
        ResponseTemplate::new(status)
            .insert_header("location", forge.url(path).as_str())
            .set_body_json(json!({"message": "Moved Permanently", "url": "x"}))
    };
    let by_id = "/repositories/900100200300";
    forge.on("GET", "/repos/northwind/store", moved(301, by_id)).await;
    forge.on("GET", by_id, answer(200, &fixture("repository.json"))).await;
    let repo = forge.client.repos().get_repo("northwind/store").await.unwrap();
    assert_eq!(repo.full_name, "northwind/shop", "the new name is learnt");

    let old = RepoRef::new("900100200300", "northwind/store");
    let comments = format!("{by_id}/issues/88/comments");
    forge
        .on(
            "GET",
            "/repos/northwind/store/issues/88/comments?per_page=100",
            moved(301, &format!("{comments}?per_page=100")),
        )
        .await;
    forge.on("GET", &format!("{comments}?per_page=100"), answer(200, &json!([]))).await;
    forge.on("POST", "/repos/northwind/store/issues/88/comments", moved(307, &comments)).await;
    forge.on("POST", &comments, answer(201, &fixture("comment.json"))).await;
    let comment = Comment { marker: "<!-- m -->".to_owned(), body: "<!-- m -->x".to_owned() };
    let target = Target::Pull("88".to_owned());
    forge.client.feedback().unwrap().upsert_comment(&old, &target, &comment, None).await.unwrap();
    let last = forge.requests().await.pop().unwrap();
    assert_eq!(
        last.body_json::<serde_json::Value>().unwrap(),
        json!({"body": "<!-- m -->x"}),
        "body goes along"
    );
}

#[tokio::test]
async fn a_redirect_of_the_api_to_another_origin_is_refused() {
    let other = elsewhere(ResponseTemplate::new(201)).await;
    let forge = Forge::start().await;
    let away = |path: &str| {
        ResponseTemplate::new(307).insert_header("location", format!("{}/api/v3{path}", other.uri()).as_str())
    };
    forge.on("GET", "/repos/northwind/shop", away("/x")).await;
    forge.on("POST", "/repos/northwind/shop/hooks/1/pings", away("/y")).await;
    let error = forge.client.repos().get_repo("northwind/shop").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddressRefused);
    let error = forge.client.hooks().unwrap().test_hook(&repo(), "1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedResponse);
    assert!(other.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let forge = Forge::start().await;
    let round =
        ResponseTemplate::new(301).insert_header("location", forge.url("/repos/northwind/shop").as_str());
    forge.on("GET", "/repos/northwind/shop", round).await;
    let error = forge.client.repos().get_repo("northwind/shop").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedResponse);
    assert!(forge.asked().await.len() <= 4);
}

#[tokio::test]
async fn a_repository_known_by_id_only_is_reached_by_id() {
    let forge = Forge::start().await;
    forge.on("GET", "/repositories/900100200300/hooks?per_page=100", answer(200, &json!([]))).await;
    let nameless = RepoRef::new("900100200300", "");
    let hooks: Vec<_> = forge.client.hooks().unwrap().list_hooks(&nameless).try_collect().await.unwrap();
    assert!(hooks.is_empty());
}

#[tokio::test]
async fn debug_shows_no_token() {
    let forge = Forge::start().await;
    assert!(!format!("{:?}", forge.client).contains("canary"));
}
