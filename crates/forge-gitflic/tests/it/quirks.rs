//! The token must not travel, and the hourly limit is kept.

use std::time::{Duration, Instant};

use forge_core::{ErrorKind, LogOptions, Retry, model::RepoRef};
use forge_gitflic::GitFlic;
use futures_util::TryStreamExt as _;
use serde_json::json;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

use crate::server::{Forge, TOKEN, failed_job, http, ok, page, repo};

const JOB: &str = "/project/northwind/shop/cicd/job/345";

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
async fn a_log_at_another_origin_is_not_fetched_with_the_token() {
    let other = elsewhere(ResponseTemplate::new(200).set_body_string("not the log")).await;
    for url in [format!("{}/trace", other.uri()), format!("//{}/trace", other.address())] {
        let forge = Forge::start().await;
        let file = json!({"fileName": "x", "fileType": "trace", "downloadUrl": url});
        forge.on("GET", &format!("{JOB}/artifacts"), page(&[file])).await;
        let ci = forge.client.ci().unwrap();
        let error = ci.job_log(&repo(), &failed_job("345"), LogOptions::default()).await.unwrap_err();
        assert_eq!((error.kind(), error.hint().is_some()), (ErrorKind::AddressRefused, true));
    }
    assert!(other.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_log_that_is_redirected_to_a_storage_comes_without_the_token() {
    for (status, expected) in [
        (200, None),
        (404, Some(ErrorKind::NotReady)),
        (403, Some(ErrorKind::Forge)),
        (410, Some(ErrorKind::Gone)),
    ] {
        let storage = elsewhere(ResponseTemplate::new(status).set_body_string("log\n")).await;
        let forge = Forge::start().await;
        let file = json!({"id": "t", "fileType": "trace", "downloadUrl": forge.url("/t")});
        forge.on("GET", &format!("{JOB}/artifacts"), page(&[file])).await;
        let location = format!("{}/blob?sig=s3cret", storage.uri());
        forge.on("GET", "/t", ResponseTemplate::new(302).insert_header("location", location.as_str())).await;
        let ci = forge.client.ci().unwrap();
        let log = ci.job_log(&repo(), &failed_job("345"), LogOptions::default()).await;
        assert_eq!(log.as_ref().err().map(forge_core::Error::kind), expected, "{status}");
        match log {
            Ok(log) => assert_eq!(log.read_to_end().await.unwrap(), (b"log\n".to_vec(), false)),
            Err(error) => assert!(!format!("{error:?}").contains("s3cret"), "the address is a credential"),
        }
        assert_eq!(storage.received_requests().await.unwrap().len(), 1);
        assert_saw_no_credential(&storage).await;
    }
}

#[tokio::test]
async fn a_login_page_is_not_a_log() {
    let forge = Forge::start().await;
    let file = json!({"id": "t", "fileType": "trace", "downloadUrl": forge.url("/t")});
    forge.on("GET", &format!("{JOB}/artifacts"), page(&[file])).await;
    forge
        .on("GET", "/t", ResponseTemplate::new(200).set_body_raw("<html>", "text/html; charset=utf-8"))
        .await;
    let ci = forge.client.ci().unwrap();
    let error = ci.job_log(&repo(), &failed_job("345"), LogOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedResponse);
}

#[tokio::test]
async fn links_in_lists_and_redirects_of_the_api_lead_nowhere() {
    let other = elsewhere(ok(&json!([]))).await;
    let forge = Forge::start().await;
    let mut body = json!({"_embedded": {"x": [{"id": "a", "alias": "b", "ownerAlias": "c"}]}, "page": {"totalPages": 1}});
    body["_links"] = json!({"next": {"href": format!("{}/next", other.uri())}});
    forge.on("GET", "/project/my", ok(&body)).await;
    let location = format!("{}/moved", other.uri());
    forge
        .on("GET", "/project/shared", ResponseTemplate::new(308).insert_header("location", location.as_str()))
        .await;
    let listed: Result<Vec<_>, _> = forge.client.repos().list_repos().try_collect().await;
    assert_eq!(listed.unwrap_err().kind(), ErrorKind::UnexpectedResponse);
    assert!(other.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn names_cannot_lead_out_of_their_place() {
    let forge = Forge::start().await;
    for name in ["northwind", "northwind/", "/shop", "../shop", "northwind/.."] {
        let error = forge.client.ci().unwrap().get_job(&RepoRef::new("x", name), "1").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
    }
    let sly = RepoRef::new("x", "northwind/shop/../../user/me?x=#");
    forge.client.ci().unwrap().get_job(&sly, "1/../2").await.unwrap_err();
    assert_eq!(
        forge.asked().await,
        ["GET /project/northwind/shop%2F..%2F..%2Fuser%2Fme%3Fx%3D%23/cicd/job/1%2F..%2F2"]
    );
}

#[tokio::test]
async fn the_hourly_limit_is_kept_without_the_forge_saying_so() {
    let provider = GitFlic::builder(http()).with_requests_per_hour(Some(3)).build();
    let forge = Forge::with(&provider).await;
    forge.knows_us().await;
    for _ in 0..3 {
        forge.client.whoami().await.unwrap();
    }
    let began = Instant::now();
    let error = forge.client.whoami().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    let Retry::After(wait) = error.retry() else { panic!("no time is told: {error:?}") };
    assert!(wait > Duration::from_secs(3500) && wait <= Duration::from_secs(3600), "{wait:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(forge.asked().await.len(), 3, "nothing was sent beyond the limit");

    let free = Forge::start().await;
    free.knows_us().await;
    for _ in 0..10 {
        free.client.whoami().await.unwrap();
    }
}
