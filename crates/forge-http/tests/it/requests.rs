//! Requests, their retries, and what becomes of answers.

use std::{sync::atomic::Ordering, time::Duration};

use forge_core::{CredentialProvider, ErrorKind, Retry, StaticCredential};
use forge_http::ApiClient;
use http::{HeaderName, HeaderValue};
use serde::Deserialize;
use url::Url;

use crate::support::{
    CANARY, RawServer, Refreshable, Reply, TestDialect, api, api_with, assert_after, builder, client,
    everything,
};

#[derive(Debug, Deserialize)]
struct User {
    login: String,
}

#[tokio::test]
async fn a_request_carries_what_it_should() {
    let server = RawServer::start(vec![Reply::json(r#"{"login":"ada"}"#)]).await;
    let api = api(&format!("{}/git/", server.url()));
    let user: User = api
        .post("/api/v4/projects/group%2Fshop/hooks?page=1")
        .query(&[("q", "a b&c")])
        .json(&serde_json::json!({"active": true}))
        .header(HeaderName::from_static("x-api-version"), HeaderValue::from_static("4"))
        .fetch()
        .await
        .unwrap();
    assert_eq!(user.login, "ada");
    let heard = server.heard().remove(0).to_lowercase();
    assert!(
        heard.starts_with("post /git/api/v4/projects/group%2fshop/hooks?page=1&q=a+b%26c http/1.1"),
        "{heard}"
    );
    for line in [
        "accept: application/json",
        "x-api-version: 4",
        &format!("authorization: bearer {CANARY}"),
        "content-type: application/json",
        "user-agent: forge-rca/0.1.0",
    ] {
        assert!(heard.contains(&format!("\r\n{line}\r\n")), "{line} in {heard}");
    }
    assert!(!heard.contains("x-api-version: 3") && !heard.contains("referer"));
    assert!(heard.ends_with(r#"{"active":true}"#));
}

#[tokio::test]
async fn a_form_is_encoded() {
    let server = RawServer::start(vec![Reply::json("{}")]).await;
    api(&server.url()).put("/x").form(&[("a", "1 2"), ("b", "&")]).send().await.unwrap();
    let heard = server.heard().remove(0);
    assert!(heard.contains("content-type: application/x-www-form-urlencoded"));
    assert!(heard.ends_with("a=1+2&b=%26"));
}

#[tokio::test]
async fn a_path_cannot_leave_the_api() {
    let server = RawServer::start(vec![Reply::json("{}")]).await;
    let api = api(&format!("{}/git/api", server.url()));
    for path in
        ["/../admin", "/a/%2e%2E/b", "/a/./b", "/a/.%2e", "/a\\..\\b", "/a/.\t./b", "/a/..", "/a#b", "/a b"]
    {
        let error = api.get(path).send().await.expect_err(path);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{path}");
    }
    api.get("/repos/..hidden/a..b?path=../x").send().await.unwrap();
    assert_eq!(server.heard().len(), 1);
}

#[tokio::test]
async fn a_passing_fault_is_tried_again_where_that_is_safe() {
    for status in ["502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"] {
        let server =
            RawServer::start(vec![Reply::new(status, &[], ""), Reply::json(r#"{"login":"ada"}"#)]).await;
        api(&server.url()).get("/user").fetch::<User>().await.unwrap();
        assert_eq!(server.heard().len(), 2, "{status}");
    }
    for status in ["500 Internal Server Error", "404 Not Found", "400 Bad Request", "501 Not Implemented"] {
        let server = RawServer::start(vec![Reply::new(status, &[], "")]).await;
        api(&server.url()).get("/user").send().await.unwrap_err();
        assert_eq!(server.heard().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_post_is_sent_once_unless_it_is_repeatable() {
    let server = RawServer::start(vec![Reply::new("503 Busy", &[], "")]).await;
    let error = api(&server.url()).post("/notes").json(&1).send().await.unwrap_err();
    assert_eq!((error.kind(), error.status(), error.retry()), (ErrorKind::Forge, Some(503), Retry::Backoff));
    assert_eq!(server.heard().len(), 1);
    api(&server.url()).patch("/notes").json(&1).send().await.unwrap_err();
    assert_eq!(server.heard().len(), 2);
    api(&server.url()).post("/notes").json(&1).repeatable().send().await.unwrap_err();
    assert_eq!(server.heard().len(), 5, "three tries");
}

#[tokio::test]
async fn a_connection_that_breaks_is_tried_again_only_where_that_is_safe() {
    let broken = Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"log".to_vec());
    let server = RawServer::start(vec![broken.clone(), Reply::json(r#"{"login":"ada"}"#)]).await;
    api(&server.url()).get("/user").fetch::<User>().await.unwrap();
    assert_eq!(server.heard().len(), 2);

    let server = RawServer::start(vec![broken]).await;
    let error = api(&server.url()).post("/user").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert_eq!(server.heard().len(), 1);

    let server = RawServer::start(vec![Reply::Bytes(Vec::new())]).await;
    let error = api(&server.url()).post("/user").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert_eq!(server.heard().len(), 1, "not even one that was closed without an answer");
}

#[tokio::test]
async fn what_must_happen_once_is_sent_once_whatever_its_method() {
    let lost = Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"log".to_vec());
    for answer in [lost, Reply::Bytes(Vec::new()), Reply::new("503 Busy", &[], "")] {
        let server = RawServer::start(vec![answer]).await;
        api(&server.url()).get("/token?code=c").once().send().await.unwrap_err();
        assert_eq!(server.heard().len(), 1);
    }
}

#[tokio::test]
async fn nobody_listening_is_unreachable() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error =
        api(&format!("http://{free}")).post("/x").operation("read the user").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().starts_with("cannot read the user: "), "{error}");
    assert_eq!(error.forge().map(|forge| forge.as_str()), Some("testforge"));
}

#[tokio::test]
async fn a_rejected_token_is_refreshed_once() {
    let server = RawServer::start_with(|_, request| {
        if request.contains("Bearer new-token") {
            Reply::json(r#"{"login":"ada"}"#)
        } else {
            Reply::new("401 Unauthorized", &[], "{}")
        }
    })
    .await;
    let credentials = Refreshable::new("old-token", "new-token");
    let api = ApiClient::new(
        client(),
        Url::parse(&server.url()).unwrap(),
        std::sync::Arc::clone(&credentials) as _,
        std::sync::Arc::new(TestDialect),
    );
    // A POST too: what was rejected was not done.
    api.post("/notes").json(&1).fetch::<User>().await.unwrap();
    api.get("/user").fetch::<User>().await.unwrap();
    assert_eq!(credentials.refreshes.load(Ordering::SeqCst), 1);
    assert_eq!(server.heard().len(), 3);
}

#[tokio::test]
async fn a_new_token_that_is_rejected_too_ends_it() {
    let server = RawServer::start(vec![Reply::new("401 Unauthorized", &[], "{}")]).await;
    let credentials = Refreshable::new("old-token", "new-token");
    let api = ApiClient::new(
        client(),
        Url::parse(&server.url()).unwrap(),
        std::sync::Arc::clone(&credentials) as _,
        std::sync::Arc::new(TestDialect),
    );
    let error = api.get("/user").send().await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Unauthorized, Some(401)));
    assert_eq!(credentials.refreshes.load(Ordering::SeqCst), 1);
    assert_eq!(server.heard().len(), 2);
}

#[tokio::test]
async fn a_static_token_that_is_rejected_says_so() {
    let server = RawServer::start(vec![Reply::new("401 Unauthorized", &[], "{}")]).await;
    let error = api(&server.url()).get("/user").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(error.hint().unwrap().contains("create a new one"));
    assert_eq!(server.heard().len(), 1);
}

#[tokio::test]
async fn without_a_credential_nothing_is_sent_or_refreshed() {
    let server = RawServer::start(vec![Reply::new("401 Unauthorized", &[], "{}")]).await;
    let nobody = std::sync::Arc::new(StaticCredential::new(forge_core::Credential::none()));
    let api = ApiClient::new(
        client(),
        Url::parse(&server.url()).unwrap(),
        nobody,
        std::sync::Arc::new(TestDialect),
    );
    assert_eq!(api.get("/user").send().await.unwrap_err().status(), Some(401));
    assert!(!server.heard()[0].to_lowercase().contains("authorization"));
}

#[tokio::test]
async fn an_absolute_address_must_be_at_home() {
    let home = RawServer::start(vec![Reply::json("{}")]).await;
    let away = RawServer::start(vec![Reply::json("{}")]).await;
    let api = api(&home.url());
    api.get_url(Url::parse(&format!("{}/page/2", home.url())).unwrap()).send().await.unwrap();
    for url in [format!("{}/page/2", away.url()), home.url().replace("127.0.0.1", "127.0.0.2")] {
        let error = api.get_url(Url::parse(&url).unwrap()).send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddressRefused);
        assert!(error.message().contains("cross-origin"));
    }
    assert!(away.heard().is_empty());
}

#[tokio::test]
async fn a_redirect_is_an_error_of_a_plain_call() {
    let away = RawServer::start(vec![Reply::json("{}")]).await;
    let server = RawServer::start(vec![Reply::redirect(302, &away.url())]).await;
    let error = api(&server.url()).get("/user").send().await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::UnexpectedResponse, Some(302)));
    assert!(away.heard().is_empty());
    let answer = api(&server.url()).get("/user").allow_status(302).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 302);
}

#[tokio::test]
async fn an_answer_larger_than_the_limit_is_refused_whether_or_not_it_says_so() {
    let declared = Reply::new("200 OK", &[], &"x".repeat(2000));
    let endless = Reply::Drip(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(),
        format!("400\r\n{}\r\n", "x".repeat(1024)).into_bytes(),
        Duration::ZERO,
    );
    for reply in [declared, endless] {
        let server = RawServer::start(vec![reply]).await;
        let error = api(&server.url()).get("/user").max_body(1999).send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert_eq!(server.heard().len(), 1);
    }
    let fits = RawServer::start(vec![Reply::new("200 OK", &[], &"x".repeat(2000))]).await;
    assert_eq!(api(&fits.url()).get("/user").max_body(2000).send().await.unwrap().bytes().len(), 2000);
}

#[tokio::test]
async fn what_a_compressed_answer_becomes_is_counted() {
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write as _;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![b' '; 4 << 20]).unwrap();
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 8192);
    let mut bytes =
        format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", bomb.len())
            .into_bytes();
    bytes.extend_from_slice(&bomb);
    let server = RawServer::start(vec![Reply::Bytes(bytes)]).await;
    let error = api(&server.url()).get("/user").max_body(1 << 20).send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[tokio::test]
async fn silence_and_dripping_end_in_a_timeout() {
    let short = builder()
        .with_read_timeout(Duration::from_millis(150))
        .with_total_timeout(Duration::from_millis(500))
        .build()
        .unwrap();
    let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for reply in [
        Reply::Stall(Vec::new()),
        Reply::Stall(b"HTTP/1.1 200 OK\r\ncontent-le".to_vec()),
        Reply::Stall(head.clone()),
        Reply::Drip(head, b"1\r\nx\r\n".to_vec(), Duration::from_millis(20)),
        Reply::Drip(b"HTTP/1.1 200 OK\r\n".to_vec(), b"x: y\r\n".to_vec(), Duration::from_millis(50)),
    ] {
        let server = RawServer::start(vec![reply.clone()]).await;
        let begin = std::time::Instant::now();
        let error = api_with(short.clone(), &server.url()).post("/x").send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{reply:?}: {error:?}");
        assert!(begin.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn a_web_page_is_told_from_json() {
    let page = "<!DOCTYPE html><html><body>Sign in, your ticket is TICKET-77</body></html>";
    let server = RawServer::start(vec![Reply::new("200 OK", &[("content-type", "text/html")], page)]).await;
    let error = api(&server.url()).get("/user").operation("read the user").fetch::<User>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedResponse);
    assert_eq!(error.message(), "the answer is a web page, not JSON");
    assert_eq!(error.operation(), Some("read the user"));
    assert!(error.hint().is_some() && !everything(&error).contains("TICKET"));

    let server = RawServer::start(vec![Reply::new("403 Forbidden", &[], page)]).await;
    let error = api(&server.url()).get("/user").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.message().contains("web page") && !everything(&error).contains("TICKET"));
}

#[tokio::test]
async fn json_faults_do_not_quote_the_answer() {
    for (body, what) in [
        (r#"{"login":"SECRET-77"#, "ends too early"),
        (r#"{"login":["SECRET-77"]}"#, "other fields or types"),
        (r#"{"SECRET-77":1}"#, "other fields or types"),
        ("SECRET-77", "is not JSON"),
        ("", "ends too early"),
    ] {
        let server = RawServer::start(vec![Reply::json(body)]).await;
        let error = api(&server.url()).get("/user").fetch::<User>().await.expect_err(body);
        assert_eq!(error.kind(), ErrorKind::UnexpectedResponse);
        assert!(error.message().contains(what), "{error}");
        assert!(!everything(&error).contains("SECRET-77"), "{error:?}");
    }
}

#[tokio::test]
async fn nothing_secret_shows_in_errors_and_debug_output() {
    let echo = format!(r#"{{"message":"bad header Bearer {CANARY}"}}"#);
    let server = RawServer::start(vec![Reply::new("400 Bad Request", &[], &echo)]).await;
    let api = api(&server.url());
    let request = api.post("/hooks").query(&[("private", "QUERY-77")]);
    assert!(!format!("{request:?}{api:?}").contains("QUERY-77"));
    let error = request.send().await.unwrap_err();
    assert!(error.message().contains("bad header Bearer ***"), "{error}");
    let text = everything(&error);
    assert!(!text.contains(CANARY) && !text.contains("QUERY-77"), "{text}");

    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let lost = api_with(client(), &format!("http://{free}"));
    let error = lost.post("/hooks").query(&[("private", "QUERY-77")]).send().await.unwrap_err();
    let text = everything(&error);
    assert!(!text.contains(CANARY) && !text.contains("QUERY-77"), "{text}");
    let provider = StaticCredential::token(CANARY.to_owned().into());
    let credential = provider.credential().await.unwrap();
    assert!(!format!("{provider:?}{credential:?}{api:?}").contains(CANARY));
}

#[tokio::test]
async fn statuses_become_kinds() {
    for (status, kind) in [
        (400, ErrorKind::Invalid),
        (403, ErrorKind::Forbidden),
        (404, ErrorKind::NotFound),
        (409, ErrorKind::Conflict),
        (410, ErrorKind::Gone),
        (413, ErrorKind::TooLarge),
        (422, ErrorKind::Invalid),
        (429, ErrorKind::RateLimited),
        (418, ErrorKind::UnexpectedResponse),
        (500, ErrorKind::Forge),
        (501, ErrorKind::Unsupported),
        (503, ErrorKind::Forge),
    ] {
        let reply = Reply::new(&format!("{status} X"), &[], r#"{"message":"no such thing"}"#);
        let server = RawServer::start(vec![reply]).await;
        let error = api(&server.url()).post("/x").send().await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (kind, Some(status)));
        assert!(error.message().ends_with("no such thing"), "{error}");
    }
}

#[tokio::test]
async fn a_time_to_come_back_is_kept() {
    let reply = Reply::new("503 Busy", &[("retry-after", "120")], "");
    let server = RawServer::start(vec![reply]).await;
    let error = api(&server.url()).get("/x").send().await.unwrap_err();
    assert_after(&error, 120, 120);
    assert_eq!(server.heard().len(), 1, "two minutes are the caller's to wait");
}
