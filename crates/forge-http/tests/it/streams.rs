//! Bodies that are read as they arrive, and redirects.

use std::time::Duration;

use forge_core::ErrorKind;
use http::{HeaderName, HeaderValue};

use crate::support::{CANARY, RawServer, Reply, api, api_with, builder, client};

#[tokio::test]
async fn a_log_arrives_whole_or_cut_at_the_limit() {
    let server = RawServer::start(vec![Reply::new("200 OK", &[], "0123456789")]).await;
    let api = api(&server.url());
    for (limit, expected, is_cut) in
        [(100, "0123456789", false), (10, "0123456789", false), (9, "012345678", true), (0, "", true)]
    {
        let log = api.get("/log").stream(limit).await.unwrap().into_log();
        let (bytes, is_truncated) = log.read_to_end().await.unwrap();
        assert_eq!((String::from_utf8(bytes).unwrap().as_str(), is_truncated), (expected, is_cut), "{limit}");
    }
}

#[tokio::test]
async fn an_endless_log_is_cut() {
    let endless = Reply::Drip(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(),
        format!("1000\r\n{}\r\n", "x".repeat(4096)).into_bytes(),
        Duration::ZERO,
    );
    let server = RawServer::start(vec![endless]).await;
    let log = api(&server.url()).get("/log").stream(1 << 20).await.unwrap().into_log();
    let (bytes, is_truncated) = log.read_to_end().await.unwrap();
    assert_eq!((bytes.len(), is_truncated), (1 << 20, true));
}

#[tokio::test]
async fn a_stream_that_stalls_drips_or_breaks_ends_in_an_error() {
    let http = builder()
        .with_read_timeout(Duration::from_millis(150))
        .with_stream_timeout(Duration::from_millis(400))
        .build()
        .unwrap();
    let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n".to_vec();
    for (reply, kind) in [
        (Reply::Stall(head.clone()), ErrorKind::Timeout),
        (Reply::Drip(head.clone(), b"1\r\nx\r\n".to_vec(), Duration::from_millis(20)), ErrorKind::Timeout),
        (Reply::Bytes(head), ErrorKind::Unreachable),
    ] {
        let server = RawServer::start(vec![reply.clone()]).await;
        let request = api_with(http.clone(), &server.url()).get("/log").operation("read the log");
        let error = request.stream(1 << 20).await.unwrap().into_log().read_to_end().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{reply:?}: {error:?}");
        assert_eq!(error.operation(), Some("read the log"));
        assert!(error.forge().is_some());
    }
}

#[tokio::test]
async fn a_plain_stream_returns_a_redirect() {
    let server = RawServer::start(vec![Reply::redirect(302, "https://storage.example/log?sig=1")]).await;
    let answer = api(&server.url()).get("/log").stream(100).await.unwrap();
    assert_eq!(answer.status().as_u16(), 302);
    assert_eq!(answer.headers()["location"], "https://storage.example/log?sig=1");
}

#[tokio::test]
async fn a_refused_stream_is_an_error() {
    let server = RawServer::start(vec![Reply::new("410 Gone", &[], "{}")]).await;
    assert_eq!(api(&server.url()).get("/log").stream(100).await.unwrap_err().kind(), ErrorKind::Gone);
}

#[tokio::test]
async fn following_leaves_the_credential_at_home() {
    for status in [301, 302, 303, 307, 308] {
        let storage = RawServer::start(vec![Reply::new("200 OK", &[], "the log")]).await;
        let home = RawServer::start(vec![
            Reply::redirect(status, "/second"),
            Reply::redirect(status, &format!("{}/blob?sig=x", storage.url())),
        ])
        .await;
        let answer = api(&home.url())
            .get("/log")
            .header(HeaderName::from_static("x-secret"), HeaderValue::from_static(CANARY))
            .header(http::header::COOKIE, HeaderValue::from_static("session=1"))
            .stream_following(100, 3)
            .await
            .unwrap();
        assert_eq!(answer.url().path(), "/blob");
        let (bytes, _) = answer.into_log().read_to_end().await.unwrap();
        assert_eq!(bytes, b"the log");
        let at_home = home.heard();
        assert_eq!(at_home.len(), 2);
        assert!(at_home.iter().all(|request| request.contains(&format!("Bearer {CANARY}"))));
        let away = storage.heard().remove(0);
        assert!(away.starts_with("GET /blob?sig=x HTTP/1.1"), "{away}");
        assert!(!away.contains(CANARY), "{away}");
        for header in ["authorization", "cookie", "x-secret", "x-api-version", "referer"] {
            assert!(!away.to_lowercase().contains(header), "{header} in {away}");
        }
    }
}

#[tokio::test]
async fn a_chain_that_comes_back_home_does_not_get_the_credential_back() {
    let home_port = std::sync::Arc::new(std::sync::OnceLock::<String>::new());
    let back = std::sync::Arc::clone(&home_port);
    let away = RawServer::start_with(move |_, _| {
        Reply::redirect(302, &format!("{}/api/token", back.get().expect("home is known")))
    })
    .await;
    let home = RawServer::start(vec![
        Reply::redirect(302, &format!("{}/x", away.url())),
        Reply::new("200 OK", &[], "the log"),
    ])
    .await;
    home_port.set(home.url()).unwrap();
    api(&home.url()).get("/log").stream_following(100, 3).await.unwrap();
    let heard = home.heard();
    assert!(heard[0].contains(CANARY));
    assert!(heard[1].starts_with("GET /api/token") && !heard[1].contains(CANARY), "{}", heard[1]);
}

#[tokio::test]
async fn redirects_to_where_nobody_may_go_are_refused() {
    // Only 127.0.0.1 is open, as the forge itself is there.
    let http = || {
        forge_http::HttpClient::builder()
            .with_http_allowed(true)
            .with_allowed_networks(["127.0.0.1".parse().unwrap()])
            .build()
            .unwrap()
    };
    for target in [
        "http://127.0.0.2/latest",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/",
        "http://[::1]/",
        "http://2130706434/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "data:text/plain,x",
        "http://user:pass@127.0.0.1/",
        "//0x7f000002/",
    ] {
        for status in [302, 307, 308] {
            let server = RawServer::start(vec![Reply::redirect(status, target)]).await;
            let error =
                api_with(http(), &server.url()).get("/log").stream_following(100, 3).await.expect_err(target);
            assert_eq!(error.kind(), ErrorKind::AddressRefused, "{target}: {error:?}");
            assert_eq!(server.heard().len(), 1);
        }
    }
}

#[tokio::test]
async fn redirects_end_and_have_to_lead_somewhere() {
    let server = RawServer::start(vec![Reply::redirect(302, "/again")]).await;
    let error = api(&server.url()).get("/log").stream_following(100, 3).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedResponse);
    assert_eq!(server.heard().len(), 4);

    let server = RawServer::start(vec![Reply::new("302 Found", &[], "")]).await;
    let error = api(&server.url()).get("/log").stream_following(100, 3).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedResponse);
}

#[tokio::test]
async fn the_dialect_hears_who_refused() {
    let storage = RawServer::start(vec![Reply::new("404 Not Found", &[], "<Code>BlobNotFound</Code>")]).await;
    let home = RawServer::start(vec![Reply::redirect(302, &storage.url())]).await;
    let error = api(&home.url()).get("/log").stream_following(100, 3).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady);

    let home = RawServer::start(vec![Reply::new("404 Not Found", &[], "{}")]).await;
    let error = api(&home.url()).get("/log").stream_following(100, 3).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_rejection_by_the_storage_refreshes_nothing() {
    let storage = RawServer::start(vec![Reply::new("401 Unauthorized", &[], "")]).await;
    let home = RawServer::start(vec![Reply::redirect(302, &storage.url())]).await;
    let credentials = crate::support::Refreshable::new("old-token", "new-token");
    let api = forge_http::ApiClient::new(
        client(),
        home.url().parse().unwrap(),
        std::sync::Arc::clone(&credentials) as _,
        std::sync::Arc::new(crate::support::TestDialect),
    );
    let error = api.get("/log").stream_following(100, 3).await.unwrap_err();
    assert_eq!(error.status(), Some(401));
    assert_eq!(credentials.refreshes.load(std::sync::atomic::Ordering::SeqCst), 0);
}
