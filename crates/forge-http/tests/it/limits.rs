//! Rate limits and the number of requests at a time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use forge_core::{ErrorKind, StaticCredential};
use forge_http::ApiClient;
use tokio::sync::Semaphore;
use url::Url;

use crate::support::{RawServer, Reply, TestDialect, api, api_with, assert_after, builder, client};

#[tokio::test]
async fn retry_after_in_seconds_is_obeyed() {
    let busy = Reply::new("429 Too Many Requests", &[("retry-after", "1")], "");
    let server = RawServer::start(vec![busy, Reply::json("{}")]).await;
    let begin = Instant::now();
    api(&server.url()).get("/x").send().await.unwrap();
    assert!(begin.elapsed() >= Duration::from_secs(1), "{:?}", begin.elapsed());
    assert_eq!(server.heard().len(), 2);
}

#[tokio::test]
async fn retry_after_as_a_date_is_obeyed() {
    let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2);
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).unwrap();
    let busy = Reply::new("429 Too Many Requests", &[("retry-after", &date)], "");
    let server = RawServer::start(vec![busy, Reply::json("{}")]).await;
    let begin = Instant::now();
    api(&server.url()).get("/x").send().await.unwrap();
    // The date is whole seconds, so up to one of the two may be gone.
    assert!(begin.elapsed() >= Duration::from_millis(900), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_limit_is_kept_by_every_request_with_that_credential() {
    let busy = Reply::new("429 Too Many Requests", &[("retry-after", "300")], "");
    let server = RawServer::start(vec![busy, Reply::json("{}")]).await;
    let http = client();
    let first = api_with(http.clone(), &server.url());
    let error = first.get("/x").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert_after(&error, 300, 300);

    // Another client object with the same credential, and even a POST: nothing is sent.
    let error = api_with(http.clone(), &server.url()).post("/y").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert_after(&error, 298, 300);
    assert_eq!(server.heard().len(), 1);

    // Another user's budget is another budget.
    let other = Arc::new(StaticCredential::token("other-token".to_owned().into()));
    let other = ApiClient::new(http, Url::parse(&server.url()).unwrap(), other, Arc::new(TestDialect));
    other.get("/x").send().await.unwrap();
    assert_eq!(server.heard().len(), 2);
}

#[tokio::test]
async fn a_used_up_budget_stops_before_the_forge_has_to_refuse() {
    let last = Reply::new("200 OK", &[("x-remaining", "0"), ("x-resets-in", "600")], "{}");
    let server = RawServer::start(vec![last]).await;
    let api = api(&server.url());
    api.get("/x").send().await.unwrap();
    let error = api.get("/x").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert_after(&error, 595, 600);
    assert_eq!(server.heard().len(), 1);
}

#[tokio::test]
async fn a_short_pause_is_waited_out() {
    let last = Reply::new("200 OK", &[("x-remaining", "0"), ("x-resets-in", "2")], "{}");
    let server = RawServer::start(vec![last, Reply::json("{}")]).await;
    let api = api(&server.url());
    api.get("/x").send().await.unwrap();
    let begin = Instant::now();
    api.get("/x").send().await.unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(900), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_time_beyond_reason_is_cut_to_a_day() {
    let busy = Reply::new("429 Too Many Requests", &[("retry-after", "99999999999999999999")], "");
    let server = RawServer::start(vec![busy]).await;
    let error = api(&server.url()).get("/x").send().await.unwrap_err();
    assert_after(&error, 86_400, 86_400);
}

#[tokio::test]
async fn only_so_many_requests_at_a_time_go_to_one_host() {
    let gate = Arc::new(Semaphore::new(0));
    let closed = Arc::clone(&gate);
    let Reply::Bytes(ok) = Reply::json("{}") else { unreachable!() };
    let server = RawServer::start_with(move |_, request| {
        if request.starts_with("GET /probe") {
            Reply::json("{}")
        } else {
            Reply::Gate(Arc::clone(&closed), ok.clone())
        }
    })
    .await;
    let limited = api_with(builder().with_max_concurrency_per_host(3).build().unwrap(), &server.url());
    let calls: Vec<_> = (0..30).map(|_| tokio::spawn(limited.get("/x").send())).collect();
    // Each probe is a whole round through the same server, on the same thread: what was let through has arrived.
    let probing = api(&server.url());
    for _ in 0..20 {
        probing.get("/probe").send().await.unwrap();
    }
    let waiting = server.heard().iter().filter(|request| request.starts_with("GET /x")).count();
    assert_eq!(waiting, 3);
    gate.add_permits(1);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(server.heard().len(), 50);
}

#[tokio::test]
async fn a_storage_that_is_busy_for_one_is_not_closed_for_all() {
    let busy = Reply::new("429 Too Many Requests", &[("retry-after", "300"), ("x-remaining", "0")], "");
    let storage = RawServer::start(vec![busy, Reply::new("200 OK", &[], "the log")]).await;
    let home = RawServer::start(vec![Reply::redirect(302, &storage.url())]).await;
    let api = api(&home.url());
    let error = api.get("/log").stream_following(100, 3).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert_after(&error, 300, 300);
    api.get("/log").stream_following(100, 3).await.unwrap();
}
