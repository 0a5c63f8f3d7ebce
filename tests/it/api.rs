//! Who may do what, and how the API says no.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{OWNER, TestServer};

#[tokio::test]
async fn health_and_instance_need_no_token() {
    let server = TestServer::start().await;
    for path in ["/healthz", "/readyz"] {
        let answer = server.send(server.request(Method::GET, path)).await.expect(200);
        assert_eq!(answer, json!({"status": "ok"}), "no version, no detail");
    }
    let instance = server.send(server.request(Method::GET, "/v1/instance")).await.expect(200);
    assert_eq!(instance["state"], "setup");
    let forges: Vec<&str> =
        instance["forges"].as_array().unwrap().iter().map(|forge| forge["id"].as_str().unwrap()).collect();
    for forge in ["gitlab", "github", "bitbucket-cloud", "bitbucket-dc", "gitflic"] {
        assert!(forges.contains(&forge), "{forge} is not in {forges:?}");
    }
    assert_eq!(server.get("/metrics").await.status.as_u16(), 404, "metrics are on the admin address only");
    server.stop().await;
}

#[tokio::test]
async fn every_route_but_the_open_ones_wants_a_token_with_its_scope() {
    let server = TestServer::start().await;
    let document = server.send(server.request(Method::GET, "/v1/openapi.json")).await.expect(200);
    let made = server.post("/v1/tokens", json!({"name": "ci", "scopes": ["ingest"]})).await.expect(201);
    let ingest = made["token"].as_str().unwrap();
    assert!(ingest.starts_with("frca_"));
    let mut seen = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        let is_open = matches!(path.as_str(), "/healthz" | "/readyz" | "/v1/instance")
            || path.ends_with("/callback")
            || path.ends_with("/app/installed")
            || path.starts_with("/v1/webhooks/")
            || path.ends_with("/telegram")
            || path == "/webhook/gitflic";
        if is_open {
            continue;
        }
        for method in operations.as_object().unwrap().keys() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let path = path.replace("{forge}", "gitlab").replace("{id}", "gitlab");
            let bare = server.send(server.request(method.clone(), &path)).await;
            bare.expect_error(401, "unauthorized");
            let wrong = server.send(server.request(method.clone(), &path).bearer_auth("frca_nobody")).await;
            wrong.expect_error(401, "unauthorized");
            if !path.contains("/ingest/") {
                let request = server.request(method, &path).bearer_auth(ingest).json(&json!({}));
                let answer = server.send(request).await;
                assert!(
                    answer.status.as_u16() == 403 || answer.status.as_u16() == 422,
                    "{path} with an ingest token: {} {}",
                    answer.status,
                    answer.text
                );
            }
            seen += 1;
        }
    }
    assert!(seen > 20, "the document has the routes: {seen}");
    server.stop().await;
}

#[tokio::test]
async fn scopes_are_a_ladder_and_nobody_gives_more_than_they_have() {
    let server = TestServer::start().await;
    let token = async |scopes: Value| {
        let made = server.post("/v1/tokens", json!({"name": "t", "scopes": scopes})).await.expect(201);
        (made["id"].as_str().unwrap().to_owned(), made["token"].as_str().unwrap().to_owned())
    };
    let (_, read) = token(json!(["read"])).await;
    let (id, write) = token(json!(["write"])).await;
    let get = |token: &str| server.request(Method::GET, "/v1/analyses").bearer_auth(token);
    server.send(get(&read)).await.expect(200);
    server.send(get(&write)).await.expect(200);
    let tokens = server
        .request(Method::POST, "/v1/tokens")
        .bearer_auth(&write)
        .json(&json!({"name": "x", "scopes": ["admin"]}));
    server.send(tokens).await.expect_error(403, "scope_missing");
    let ingest = server.request(Method::POST, "/v1/ingest/raw").bearer_auth(&write).body("x");
    server.send(ingest).await.expect_error(403, "scope_missing");

    let list = server.get("/v1/tokens").await;
    assert!(!list.text.contains(&write), "a secret is shown once: {}", list.text);
    server.delete(&format!("/v1/tokens/{id}")).await.expect(204);
    server.send(get(&write)).await.expect_error(401, "unauthorized");
    server.delete(&format!("/v1/tokens/{id}")).await.expect_error(404, "not_found");
    for (body, code) in [
        (json!({"name": "x", "scopes": []}), 422),
        (json!({"name": "x", "scopes": ["root"]}), 422),
        (json!({"name": "", "scopes": ["read"]}), 422),
        (json!({"name": "x", "scopes": ["read"], "expires_at": "tomorrow"}), 422),
        (json!({"name": "x", "scopes": ["read"], "admin": true}), 422),
    ] {
        server.post("/v1/tokens", body).await.expect(code);
    }
    server.stop().await;
}

#[tokio::test]
async fn unknown_routes_objects_and_parameters() {
    let server = TestServer::start().await;
    server.get("/v1/nothing").await.expect_error(404, "no_such_route");
    server.get("/v1/analyses/0190d7f0-0000-7000-8000-000000000000").await.expect_error(404, "not_found");
    server.get("/v1/integrations/x").await.expect_error(404, "not_found");
    server.get("/v1/deliveries/x").await.expect_error(404, "not_found");
    server.post("/v1/deliveries/x/replay", json!({})).await.expect_error(404, "not_found");
    server.get("/v1/operations/x").await.expect_error(404, "not_found");
    server.patch("/v1/integrations/x", json!({"enabled": true})).await.expect_error(404, "not_found");
    for query in [
        "limit=0",
        "limit=501",
        "limit=many",
        "since=yesterday",
        "surprise=1",
        "cursor=%00",
        "severity=awful",
    ] {
        server.get(&format!("/v1/analyses?{query}")).await.expect(422);
    }
    let answer = server.send(server.request(Method::PUT, "/v1/analyses").bearer_auth(OWNER)).await;
    assert_eq!(answer.status.as_u16(), 405);
    server.stop().await;
}

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    let server = TestServer::start().await;
    for path in ["/healthz", "/v1/analyses", "/nowhere", "/v1/integrations/gitlab/callback"] {
        let response = server.http.get(format!("{}{path}", server.base)).send().await.unwrap();
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(response.headers()[name], value, "{path}");
        }
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert!(response.headers().get("strict-transport-security").is_none(), "not on http");
    }
    server.stop().await;
}

#[tokio::test]
async fn slow_and_idle_connections_are_closed() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let server = TestServer::start().await;
    let address = server.base.trim_start_matches("http://").to_owned();
    let mut half = tokio::net::TcpStream::connect(&address).await.unwrap();
    half.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.unwrap();
    let mut idle = tokio::net::TcpStream::connect(&address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let limit = server::listener::HEADER_TIMEOUT + std::time::Duration::from_secs(10);
    for (what, mut stream) in [("half a header", half), ("idle after an answer", idle)] {
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(limit, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "{what}: still open after {limit:?}");
    }
    server.get("/healthz").await.expect(200);
    server.stop().await;
}

#[tokio::test]
async fn header_bombs_are_refused() {
    let server = TestServer::start().await;
    let mut request = server.request(Method::GET, "/healthz");
    for index in 0..200 {
        request = request.header(format!("x-{index}"), "y");
    }
    let status = request.send().await.map(|response| response.status().as_u16());
    assert!(matches!(status, Ok(400 | 431) | Err(_)), "{status:?}");
    let huge =
        server.request(Method::GET, "/healthz").header("x-huge", "y".repeat(2 * 1024 * 1024)).send().await;
    assert!(!matches!(huge.map(|response| response.status().as_u16()), Ok(200)));
    server.get("/healthz").await.expect(200);
    server.stop().await;
}
