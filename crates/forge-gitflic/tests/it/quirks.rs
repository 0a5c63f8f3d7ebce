//! The token must not travel, and the hourly limit is kept.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use forge_core::{
    ErrorKind, Instance, LogOptions, OAuthApp, Provider, Retry, StaticCredential,
    model::{Comment, RepoRef, RunRef, Target},
};
use forge_gitflic::GitFlic;
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers};

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

    // Clients with the same token count together; another token and another origin have their own.
    let connect = |forge: &Forge, token: &str| {
        let credentials = Arc::new(StaticCredential::token(token.to_owned().into()));
        provider.connect(&Instance::new(&forge.server.uri()).unwrap(), credentials).unwrap()
    };
    connect(&forge, "another").whoami().await.unwrap();
    let second = Forge::with(&provider.clone()).await;
    second.knows_us().await;
    second.client.whoami().await.unwrap();
    for _ in 0..2 {
        connect(&second, TOKEN).whoami().await.unwrap();
    }
    assert_eq!(second.client.whoami().await.unwrap_err().kind(), ErrorKind::RateLimited);
    assert_eq!(second.asked().await.len(), 3);

    let free = Forge::start().await;
    free.knows_us().await;
    for _ in 0..10 {
        free.client.whoami().await.unwrap();
    }
}

#[tokio::test]
async fn the_token_endpoint_cannot_send_code_and_secret_elsewhere() {
    let other = elsewhere(ok(&json!({"accessToken": "x"}))).await;
    for status in [301, 302, 307, 308] {
        let server =
            elsewhere(ResponseTemplate::new(status).insert_header("location", other.uri().as_str())).await;
        let app = OAuthApp {
            client_id: "app-1".to_owned(),
            client_secret: "app-canary".to_owned().into(),
            scopes: Vec::new(),
        };
        let flow = GitFlic::new(http()).oauth(&Instance::new(&server.uri()).unwrap(), &app).unwrap().unwrap();
        let redirect = "https://rca.example.com/callback".parse().unwrap();
        let code = "code-canary".to_owned().into();
        for outcome in
            [flow.exchange_code(&code, &redirect, None).await, flow.refresh(&code, &redirect).await]
        {
            let error = outcome.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedResponse, "{status}");
            assert!(!format!("{error} {error:?} {flow:?}").contains("canary"), "{error:?}");
        }
    }
    assert!(other.received_requests().await.unwrap().is_empty());
}

/// JSON of every kind in the places that are read.
fn any_answer() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<u32>().prop_map(Into::into),
        prop::sample::select(vec![
            "12",
            "FAILED",
            "OPEN",
            "trace",
            "shop",
            "2026-11-20T10:00:00",
            "x",
            "time.now"
        ])
        .prop_map(Into::into),
    ];
    let key = prop::sample::select(vec![
        "_embedded",
        "page",
        "content",
        "totalPages",
        "id",
        "uuid",
        "localId",
        "status",
        "ref",
        "owner",
        "alias",
        "ownerAlias",
        "name",
        "events",
        "url",
        "username",
        "sourceBranch",
        "fileType",
        "downloadUrl",
        "rootNote",
        "rawMessage",
        "author",
        "createdAt",
        "description",
        "title",
    ]);
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

#[test]
fn any_json_from_the_forge_is_read_or_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = Arc::new(Mutex::new(Value::Null));
    let forge = runtime.block_on(async {
        let forge = Forge::start().await;
        let answer = Arc::clone(&answer);
        let respond = move |_: &Request| ok(&answer.lock().unwrap());
        Mock::given(matchers::any()).respond_with(respond).mount(&forge.server).await;
        forge
    });
    let config = ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(value in any_answer())| {
        *answer.lock().unwrap() = value.clone();
        let outcomes = runtime.block_on(async {
            let (client, here) = (&forge.client, repo());
            let (ci, run) = (client.ci().unwrap(), RunRef::new("12"));
            let comment = Comment { marker: "<!-- m -->".to_owned(), body: "<!-- m --> x".to_owned() };
            let target = Target::Pull("12".to_owned());
            let feedback = client.feedback().unwrap();
            [
                client.whoami().await.err(),
                client.repos().get_repo("northwind/shop").await.err(),
                client.repos().list_repos().try_collect::<Vec<_>>().await.err(),
                client.hooks().unwrap().list_hooks(&here).try_collect::<Vec<_>>().await.err(),
                ci.get_run(&here, &run).await.err(),
                ci.list_jobs(&here, &run).try_collect::<Vec<_>>().await.err(),
                ci.list_failed_runs(&here, Timestamp::UNIX_EPOCH).try_collect::<Vec<_>>().await.err(),
                ci.get_job(&here, "1").await.err(),
                ci.job_log(&here, &failed_job("345"), LogOptions::default()).await.err(),
                feedback.upsert_comment(&here, &target, &comment, None).await.err(),
                feedback.close_issue(&here, "1", None).await.err(),
            ]
        });
        for error in outcomes.into_iter().flatten() {
            let is_told = matches!(
                error.kind(),
                ErrorKind::UnexpectedResponse | ErrorKind::NotFound | ErrorKind::NotReady | ErrorKind::Gone
                    | ErrorKind::AddressRefused
            );
            prop_assert!(is_told && error.forge().is_some() && error.operation().is_some(), "{value}: {error:?}");
        }
    });
}
