//! Bad input at every route of the API's description: the documented code, a text that helps, never a fault of ours.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::{
    described::{Described, Operation},
    support::{Answer, OWNER, TestServer},
};

struct Table {
    server: TestServer,
    described: Described,
    operations: Vec<Operation>,
}

impl Table {
    async fn start() -> Self {
        // What a route would ask of a forge ends at a port where nobody listens.
        let server = TestServer::start().await;
        let described = Described::of(&server).await;
        let operations = described.operations();
        Self { server, described, operations }
    }

    fn request(&self, operation: &Operation, id: &str, query: &str) -> RequestBuilder {
        let path = operation.path_with(id);
        let query = if path.contains('?') { query.replacen('?', "&", 1) } else { query.to_owned() };
        let path = format!("{path}{query}");
        self.server.request(operation.method.clone(), &path).bearer_auth(OWNER)
    }

    /// A request without fault, but for what the query and `id` bring.
    fn valid(&self, operation: &Operation, id: &str, query: &str) -> RequestBuilder {
        let request = self.request(operation, id, query);
        match self.described.body(operation) {
            Some((_, body)) => request.json(&body),
            None => request,
        }
    }

    async fn refused(&self, operation: &Operation, what: &str, request: RequestBuilder) -> Answer {
        let answer = self.server.send(request).await;
        assert_helps(operation, what, &answer);
        answer
    }
}

/// An error has the documented form and a status that the description has for this route.
fn assert_helps(operation: &Operation, what: &str, answer: &Answer) {
    let place =
        format!("{} {}, {what}: {} {:.300}", operation.method, operation.path, answer.status, answer.text);
    let status = answer.status.as_u16();
    assert!((400..500).contains(&status), "refused: {place}");
    assert!(operation.documents(status), "documented: {place}");
    let code = answer.json["code"].as_str().unwrap_or_default();
    let is_plain = |it: char| it.is_ascii_lowercase() || it == '_' || it.is_ascii_digit();
    assert!(!code.is_empty() && code.chars().all(is_plain), "a code for programs: {place}");
    let text = answer.json["error"].as_str().unwrap_or_default();
    assert!(text.len() > 8 && text.len() < 1000, "a text for people: {place}");
}

#[tokio::test]
async fn a_list_is_no_object_however_deep() {
    let server = TestServer::start().await;
    for body in [json!({"backfill": [null, null]}), json!({"perimeter": ["all", []]})] {
        let answer = server.post("/v1/integrations/github/app/start", body).await;
        let text = answer.expect_error(422, "invalid_field");
        assert!(text.contains("sequence"), "{text}");
    }
    let body = json!({"perimeter": {"mode": "projects", "projects": ["acme"]}, "backfill": {"runs": 3}});
    server.post("/v1/integrations/github/app/start", body).await.expect(201);
    server.stop().await;
}

#[tokio::test]
async fn bodies() {
    let table = Table::start().await;
    let mut seen = 0;
    for operation in table.operations.iter().filter(|operation| operation.takes_json()) {
        let send = async |what: &str, request: RequestBuilder| table.refused(operation, what, request).await;
        let (properties, valid) = table.described.body(operation).unwrap();
        if operation.is_open() && operation.path.contains("webhook") {
            continue;
        }
        let request = || table.request(operation, "x", "");
        let is_get_only = operation.path == "/v1/integrations/{forge}/callback";
        if is_get_only {
            continue;
        }
        let json = |body: &str| request().header("content-type", "application/json").body(body.to_owned());
        assert_eq!(send("half a body", json("{\"")).await.json["code"], "malformed_json");
        assert_eq!(send("no body", json("")).await.json["code"], "malformed_json");
        let list = send("a list", json("[]")).await;
        assert_eq!(list.status.as_u16(), 422, "{}: {}", operation.path, list.text);
        send("deep", json(&"[".repeat(100_000))).await;
        let text = request().header("content-type", "text/plain").body(valid.to_string());
        assert_eq!(send("a text", text).await.status.as_u16(), 415);
        if !operation.path.ends_with("/callback") {
            let mut surprising = valid.clone();
            surprising["surprise"] = 1.into();
            let answer = send("an unknown field", request().json(&surprising)).await;
            assert_eq!(answer.status.as_u16(), 422, "{}: {}", operation.path, answer.text);
            assert!(answer.text.contains("surprise"), "{}: names it: {}", operation.path, answer.text);
        }
        for (name, property) in &properties {
            let mut wrong = valid.clone();
            // An object with anything in it is what is wanted where no fields are described.
            let is_any = property["type"] == "object" || property["type"][0] == "object";
            wrong[name] = if is_any { json!([1]) } else { json!({"surprise": [1]}) };
            let answer = send(&format!("{name} of a wrong type"), request().json(&wrong)).await;
            assert_eq!(answer.status.as_u16(), 422, "{} {name}: {}", operation.path, answer.text);
            let is_text = property["type"] == "string" || property["type"][0] == "string";
            if !is_text {
                continue;
            }
            if name != "log" {
                let mut long = valid.clone();
                long[name] = "x".repeat(65_000).into();
                send(&format!("{name} of 65,000 characters"), request().json(&long)).await;
                let mut nul = valid.clone();
                nul[name] = "a\0b".into();
                let answer = send(&format!("{name} with U+0000"), request().json(&nul)).await;
                assert_eq!(answer.status.as_u16(), 422, "{} {name}: {}", operation.path, answer.text);
            }
        }
        for name in valid.as_object().unwrap().keys() {
            let mut lacking = valid.clone();
            lacking.as_object_mut().unwrap().remove(name);
            if !name.ends_with("base_url") {
                let answer = send(&format!("without {name}"), request().json(&lacking)).await;
                assert_eq!(answer.status.as_u16(), 422, "{} {name}: {}", operation.path, answer.text);
            }
        }
        seen += 1;
    }
    assert!(seen >= 15, "the description has the routes with a body: {seen}");
    table.server.stop().await;
}

#[tokio::test]
async fn ids_in_paths() {
    let table = Table::start().await;
    let long = "x".repeat(5000);
    let ids = [
        "0190d7f0-0000-7000-8000-000000000000",
        "x",
        "-1",
        "%27%20OR%201%3D1--",
        "%00",
        "%2e%2e%2fetc%2fpasswd",
        "%F0%9F%94%A5",
        "%FF",
        long.as_str(),
    ];
    for operation in table.operations.iter().filter(|operation| operation.has_id()) {
        for id in ids {
            let answer =
                table.refused(operation, &format!("id {id:.40}"), table.valid(operation, id, "")).await;
            assert_eq!(answer.status.as_u16(), 404, "{} {id:.40}: {}", operation.path, answer.text);
        }
    }
    for operation in table.operations.iter().filter(|operation| operation.path.contains("{forge}")) {
        for forge in ["svn", "GitLab", "%00"] {
            let path = operation.path.replace("{forge}", forge).replace("{hook_id}", "x");
            let request =
                table.server.request(operation.method.clone(), &path).bearer_auth(OWNER).json(&json!({}));
            table.refused(operation, &format!("forge {forge}"), request).await;
        }
    }
    table.server.stop().await;
}

#[tokio::test]
async fn queries() {
    let table = Table::start().await;
    let mut seen = 0;
    for operation in &table.operations {
        let parameters = operation.query();
        if parameters.is_empty() || operation.is_open() {
            continue;
        }
        let unknown = table.valid(operation, "x", "?surprise=1");
        let answer = table.refused(operation, "an unknown parameter", unknown).await;
        assert_eq!(answer.status.as_u16(), 422, "{}: {}", operation.path, answer.text);
        for (name, schema) in parameters {
            let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
            if matches!(kind, Some("integer" | "boolean")) {
                for value in ["many", "-1", "99999999999999999999", ""] {
                    let request = table.valid(operation, "x", &format!("?{name}={value}"));
                    let answer = table.refused(operation, &format!("{name}={value}"), request).await;
                    assert_eq!(answer.status.as_u16(), 422, "{} {name}: {}", operation.path, answer.text);
                }
            }
            let nul = table.valid(operation, "x", &format!("?{name}=%00"));
            let answer = table.refused(operation, &format!("{name} with U+0000"), nul).await;
            assert_eq!(answer.status.as_u16(), 422, "{} {name}: {}", operation.path, answer.text);
            let long = format!("?{name}={}", "x".repeat(30_000));
            let answer = table.server.send(table.valid(operation, "x", &long)).await;
            assert!(answer.status.as_u16() < 500, "{} {name}: {}", operation.path, answer.text);
            seen += 1;
        }
    }
    assert!(seen > 30, "the description has the parameters: {seen}");
    table.server.stop().await;
}

#[tokio::test]
async fn open_routes_tell_nothing_and_do_not_fall() {
    let table = Table::start().await;
    for operation in table.operations.iter().filter(|operation| operation.is_open()) {
        for body in [Vec::new(), b"{".to_vec(), vec![0xff; 100_000], b"[".repeat(100_000)] {
            for content_type in ["application/json", "application/x-www-form-urlencoded", "text/plain"] {
                let request = table
                    .server
                    .request(operation.method.clone(), &operation.path_with("x"))
                    .header("content-type", content_type)
                    .body(body.clone());
                let answer = table.server.send(request).await;
                assert!(answer.status.as_u16() < 500, "{}: {}", operation.path, answer.text);
                let is_delivery = operation.method == Method::POST && operation.path.contains("webhook");
                if is_delivery {
                    assert_eq!(answer.json["code"], "unauthorized", "{}: {}", operation.path, answer.text);
                }
            }
        }
    }
    let deliveries = table.server.get("/v1/deliveries").await.expect(200);
    assert_eq!(deliveries["items"], Value::Array(Vec::new()), "who is not known leaves no row");
    table.server.stop().await;
}
