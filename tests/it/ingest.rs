//! Logs pushed in from any CI.

use std::io::Write as _;

use reqwest::Method;
use serde_json::json;

use crate::support::{OWNER, TestServer, pytest_log};

fn body(log: &str) -> serde_json::Value {
    json!({"provider": "gitlab_ci", "project": "acme/shop", "status": "failed", "log": log,
        "pipeline_id": "4711", "job_id": "9", "job_name": "test", "branch": "main"})
}

#[tokio::test]
async fn a_log_becomes_a_report() {
    let server = TestServer::start().await;
    for path in ["/v1/ingest/log", "/api/ingest/log"] {
        let mut body = body(&pytest_log());
        body["job_id"] = path.into();
        let accepted = server.post(path, body.clone()).await.expect(202);
        assert_eq!(accepted["status"], "accepted");
        let id = accepted["analysis_id"].as_str().unwrap();
        assert_eq!(accepted["location"], format!("/v1/analyses/{id}"));
        let again = server.post(path, body).await.expect(200);
        assert_eq!((&again["status"], again["analysis_id"].as_str()), (&"duplicate".into(), Some(id)));
    }
    let analyses = server.analyses("repository=acme/shop", 2).await;
    assert_eq!(analyses[0]["source"], "ingest");
    assert_eq!(analyses[0]["report"]["status"], "cause_found", "{:#}", analyses[0]);
    server.stop().await;
}

#[tokio::test]
async fn the_analyse_route_takes_logs_of_the_same_size() {
    let server = TestServer::start().await;
    let large = format!("{}{}", "compiling a crate\n".repeat(70_000), pytest_log());
    assert!(large.len() > 1024 * 1024, "more than a request without a log may have");
    for path in ["/v1/analyses", "/api/analyze"] {
        let accepted = server.post(path, body(&format!("{large}{path}\n"))).await.expect(202);
        assert_eq!(accepted["status"], "accepted");
        let beyond = "x".repeat(10 * 1024 * 1024 + 1);
        server.post(path, body(&beyond)).await.expect_error(413, "body_too_large");
        // What is no log stays small.
        let run = json!({"integration_id": "x", "repository": "r", "run_id": " ".repeat(1024 * 1024)});
        let answer = server.post(path, run).await;
        assert!(matches!(answer.status.as_u16(), 413 | 422), "{}", answer.text);
    }
    assert_eq!(server.analyses("repository=acme/shop", 2).await.len(), 2);
    server.stop().await;
}

#[tokio::test]
async fn waiting_answers_with_the_report() {
    let server = TestServer::start().await;
    let request = server.request(Method::POST, "/v1/ingest/raw?project=shop&wait=30").bearer_auth(OWNER);
    let analysis = server.send(request.body(pytest_log())).await.expect(200);
    assert_eq!(analysis["state"], "done", "{analysis:#}");
    assert_eq!(analysis["report"]["status"], "cause_found");
    let id = analysis["id"].as_str().unwrap();
    assert_eq!(
        server.get(&format!("/v1/analyses/{id}")).await.expect(200),
        analysis,
        "the same object by GET"
    );

    let request = server
        .request(Method::GET, &format!("/v1/analyses/{id}"))
        .bearer_auth(OWNER)
        .header("accept", "text/markdown");
    let markdown = server.send(request).await;
    assert_eq!(markdown.status.as_u16(), 200);
    assert!(markdown.text.contains("```"), "evidence in a fence: {}", markdown.text);

    for (accept, part) in [("application/sarif+json", "\"2.1.0\""), ("application/xml", "<testsuite")] {
        let request = server
            .request(Method::GET, &format!("/v1/analyses/{id}"))
            .bearer_auth(OWNER)
            .header("accept", accept);
        let answer = server.send(request).await;
        assert!(answer.text.contains(part), "{accept}: {}", answer.text);
    }
    let path = format!("/v1/analyses/{id}/verdict");
    server.post(&path, json!({"correct": false, "note": "the database was down"})).await.expect(200);
    server.post(&path, json!({"note": "no answer"})).await.expect_error(422, "invalid_field");
    server.post("/v1/analyses/x/verdict", json!({"correct": true})).await.expect_error(404, "not_found");
    server.stop().await;
}

#[tokio::test]
async fn raw_logs_may_be_packed_and_name_nothing() {
    let server = TestServer::start().await;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(pytest_log().as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(pytest_log().as_bytes(), 3).unwrap();
    for (name, packed) in [("gzip", gzip.clone()), ("zstd", zstd)] {
        let request =
            server.request(Method::POST, &format!("/v1/ingest/raw?job_id={name}&wait=30")).bearer_auth(OWNER);
        let analysis = server.send(request.body(packed)).await.expect(200);
        assert_eq!(analysis["report"]["status"], "cause_found", "{name}: {analysis:#}");
        assert_eq!(analysis["repository"], "default");
    }
    let request = server.request(Method::POST, "/v1/ingest/raw").bearer_auth(OWNER);
    server.send(request.body(gzip[..gzip.len() / 2].to_vec())).await.expect_error(422, "unreadable_log");
    // Unpacks to far more than the limit: counted as it is unpacked.
    let bomb = zstd::encode_all(std::io::Read::take(std::io::repeat(b'x'), 1 << 30), 1).unwrap();
    assert!(bomb.len() < 1 << 20);
    let request = server.request(Method::POST, "/v1/ingest/raw").bearer_auth(OWNER);
    server.send(request.body(bomb)).await.expect_error(413, "body_too_large");
    server.stop().await;
}

#[tokio::test]
async fn idempotency_keys_and_content_decide_what_is_new() {
    let server = TestServer::start().await;
    let send = async |key: Option<&str>, log: &str| {
        let mut request = server.request(Method::POST, "/v1/ingest/raw").bearer_auth(OWNER);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        server.send(request.body(log.to_owned())).await.json
    };
    let first = send(None, "error: one\n").await;
    assert_eq!(
        send(None, "error: one\n").await["analysis_id"],
        first["analysis_id"],
        "the content is the key"
    );
    assert_eq!(send(None, "error: two\n").await["status"], "accepted");
    let keyed = send(Some("k1"), "error: one\n").await;
    assert_eq!(keyed["status"], "accepted", "a key of its own");
    assert_eq!(send(Some("k1"), "something else\n").await["analysis_id"], keyed["analysis_id"]);
    server.stop().await;
}

#[tokio::test]
async fn what_did_not_fail_is_ignored() {
    let server = TestServer::start().await;
    for status in ["success", "passed", "canceled", "cancelled", "skipped"] {
        let mut body = body("all well\n");
        body["status"] = status.into();
        let answer = server.post("/v1/ingest/log", body).await.expect(200);
        assert_eq!(answer["status"], "ignored", "{status}: {answer}");
        assert_eq!(answer["analysis_id"], serde_json::Value::Null);
        assert!(answer["reason"].is_string(), "{answer}");
    }
    let mut body = body("Error: it broke\n");
    body["status"] = "exploded".into();
    assert_eq!(
        server.post("/v1/ingest/log", body).await.expect(202)["status"],
        "accepted",
        "unknown words are failures"
    );
    server.stop().await;
}

#[tokio::test]
async fn an_unexpanded_variable_is_answered_with_a_warning() {
    let server = TestServer::start().await;
    let mut body = body(&pytest_log());
    body["project"] = "$CI_PROJECT_PATH".into();
    let answer = server.post("/api/ingest/log", body).await.expect(202);
    assert!(answer["warnings"][0].as_str().unwrap().contains("CI_PROJECT_PATH"), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn other_systems_send_their_own_words() {
    let server = TestServer::start().await;
    let log = pytest_log();
    for (system, body, project) in [
        (
            "jenkins",
            json!({"job": "shop-ci", "build_number": 12, "status": "FAILURE", "log": log}),
            "shop-ci",
        ),
        (
            "circleci",
            json!({"project_slug": "gh/acme/shop", "workflow_id": "w", "job_name": "test", "job_number": 3, "status": "failed", "log": log}),
            "gh/acme/shop",
        ),
        (
            "teamcity",
            json!({"build_type_id": "Shop_Test", "build_id": 7, "build_number": "1.7", "status": "FAILURE", "log": log}),
            "Shop_Test",
        ),
        (
            "drone",
            json!({"repo": "acme/shop", "build_number": 5, "status": "failure", "log": log, "step": "test"}),
            "acme/shop",
        ),
    ] {
        let analysis = server.post(&format!("/v1/ingest/{system}?wait=30"), body.clone()).await.expect(200);
        assert_eq!(analysis["provider"], system, "{analysis:#}");
        assert_eq!(analysis["repository"], project);
        assert_eq!(analysis["report"]["status"], "cause_found");
        let mut wrong = body;
        wrong["surprise"] = 1.into();
        server.post(&format!("/v1/ingest/{system}"), wrong).await.expect_error(422, "invalid_field");
    }
    let green = json!({"job": "shop-ci", "build_number": 13, "status": "SUCCESS", "log": "fine"});
    assert_eq!(server.post("/v1/ingest/jenkins", green).await.expect(200)["status"], "ignored");
    server.stop().await;
}

#[tokio::test]
async fn bad_requests_are_told_apart() {
    let server = TestServer::start().await;
    let path = "/v1/ingest/log";
    let raw = |content_type: &str| {
        server.request(Method::POST, path).bearer_auth(OWNER).header("content-type", content_type)
    };
    server.send(raw("application/json").body("{\"provider\":")).await.expect_error(400, "malformed_json");
    server.send(raw("text/plain").body("{}")).await.expect_error(415, "unsupported_media_type");
    server.post(path, json!({"provider": "x"})).await.expect_error(422, "invalid_field");
    let mut unknown = body("x");
    unknown["surprise"] = 1.into();
    let text = server.post(path, unknown).await.expect_error(422, "invalid_field");
    assert!(text.contains("surprise"), "names the field: {text}");
    let huge = body(&"x".repeat(10 * 1024 * 1024 + 1));
    server.post(path, huge).await.expect_error(413, "body_too_large");
    let request = server.request(Method::POST, "/v1/ingest/raw?wait=61").bearer_auth(OWNER).body("x");
    server.send(request).await.expect(422);
    // Empty and binary bodies are accepted and told what they are: nothing is invented.
    for bytes in [vec![], vec![0_u8; 5000]] {
        let request = server.request(Method::POST, "/v1/ingest/raw?wait=30").bearer_auth(OWNER).body(bytes);
        let answer = server.send(request).await;
        assert!(
            answer.status.as_u16() == 422 || answer.json["report"]["status"] == "not_a_log",
            "{}",
            answer.text
        );
    }
    server.stop().await;
}
