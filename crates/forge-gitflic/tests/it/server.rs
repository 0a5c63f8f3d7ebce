//! A server of canned answers on loopback, and a client that talks to it.

use std::sync::Arc;

use forge_core::{
    ForgeClient, Instance, Provider, StaticCredential,
    model::{Conclusion, Job, RepoRef, Status},
};
use forge_gitflic::GitFlic;
use forge_http::HttpClient;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers};

/// Must never be seen anywhere but at the forge.
pub(crate) const TOKEN: &str = "canary-0000-4000-8000-000000000000";
pub(crate) const PROJECT: &str = "7c1e5a90-2f6b-4d3e-8a57-0b9d1c2e3f40";

pub(crate) struct Forge {
    pub(crate) server: MockServer,
    pub(crate) client: Arc<dyn ForgeClient>,
}

impl Forge {
    pub(crate) async fn start() -> Self {
        Self::with(&GitFlic::new(http())).await
    }

    pub(crate) async fn with(provider: &GitFlic) -> Self {
        let server = MockServer::start().await;
        let instance = Instance::new(&server.uri()).unwrap();
        let credentials = Arc::new(StaticCredential::token(TOKEN.to_owned().into()));
        let client = provider.connect(&instance, credentials).unwrap();
        Self { server, client }
    }

    /// Answers `verb path` (below `/rest-api`, whatever the query) always.
    pub(crate) async fn on(&self, verb: &str, path: &str, answer: ResponseTemplate) {
        let mock = Mock::given(matchers::method(verb)).and(matchers::path(format!("/rest-api{path}")));
        mock.respond_with(answer).mount(&self.server).await;
    }

    /// Answers the next `verb path` only.
    pub(crate) async fn once(&self, verb: &str, path: &str, answer: ResponseTemplate) {
        let mock = Mock::given(matchers::method(verb)).and(matchers::path(format!("/rest-api{path}")));
        mock.respond_with(answer).up_to_n_times(1).mount(&self.server).await;
    }

    /// The token is good.
    pub(crate) async fn knows_us(&self) {
        let me = json!({"id": "u-1", "username": "rca-bot", "fullName": "RCA"});
        self.on("GET", "/user/me", ok(&me)).await;
    }

    /// What was asked, in order: `GET /project/my?page=0&size=100`.
    pub(crate) async fn asked(&self) -> Vec<String> {
        self.server.received_requests().await.unwrap().iter().map(line).collect()
    }

    /// The bodies of the requests that change something.
    pub(crate) async fn sent(&self) -> Vec<Value> {
        let requests = self.server.received_requests().await.unwrap();
        let changes = requests.iter().filter(|request| request.method.as_str() != "GET");
        changes.map(|request| request.body_json().unwrap_or_default()).collect()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/rest-api{path}", self.server.uri())
    }
}

fn line(request: &Request) -> String {
    let path = request.url.path();
    let path = path.strip_prefix("/rest-api").unwrap_or(path);
    match request.url.query() {
        Some(query) => format!("{} {path}?{query}", request.method),
        None => format!("{} {path}", request.method),
    }
}

pub(crate) fn http() -> HttpClient {
    HttpClient::builder()
        .with_http_allowed(true)
        .with_allowed_networks(["127.0.0.0/8".parse().unwrap()])
        .build()
        .unwrap()
}

pub(crate) fn repo() -> RepoRef {
    RepoRef::new(PROJECT, "northwind/shop")
}

pub(crate) fn failed_job(id: &str) -> Job {
    let mut job = Job::new(id, "12", "test");
    job.status = Status::Completed;
    job.conclusion = Some(Conclusion::Failure);
    job
}

pub(crate) fn ok(body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

/// An error with a key of GitFlic's translations.
pub(crate) fn refusal(status: u16, title: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({"title": title, "status": status}))
}

/// The only page of a list.
pub(crate) fn page(items: &[Value]) -> ResponseTemplate {
    let mut body = json!({"page": {"size": 100, "totalElements": items.len(), "totalPages": 1, "number": 0}});
    if !items.is_empty() {
        body["_embedded"] = json!({ "whateverModelList": items });
    }
    ok(&body)
}
