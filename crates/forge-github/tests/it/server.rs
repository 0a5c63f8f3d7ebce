//! A server of canned answers on loopback, and a client that talks to it.

use std::{fs, path::PathBuf, sync::Arc};

use forge_core::{
    Credential, CredentialKind, ForgeClient, Instance, Provider, StaticCredential, model::RepoRef,
};
use forge_github::GitHub;
use forge_http::HttpClient;
use serde_json::Value;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers};

/// Must never be seen anywhere but at the forge.
pub(crate) const TOKEN: &str = "ghp_canary0000000000000000000000000000";

pub(crate) struct Forge {
    pub(crate) server: MockServer,
    pub(crate) client: Arc<dyn ForgeClient>,
}

impl Forge {
    pub(crate) async fn start() -> Self {
        Self::with_credential(Credential::new(CredentialKind::AccessToken, TOKEN.to_owned().into())).await
    }

    pub(crate) async fn with_credential(credential: Credential) -> Self {
        let server = MockServer::start().await;
        let instance = Instance::new(&server.uri()).unwrap();
        let client =
            GitHub::new(http()).connect(&instance, Arc::new(StaticCredential::new(credential))).unwrap();
        Self { server, client }
    }

    /// Answers `verb path` (below `/api/v3`) always.
    pub(crate) async fn on(&self, verb: &str, path: &str, answer: ResponseTemplate) {
        self.mock(verb, path, answer).mount(&self.server).await;
    }

    /// Answers the next `verb path` only.
    pub(crate) async fn once(&self, verb: &str, path: &str, answer: ResponseTemplate) {
        self.mock(verb, path, answer).up_to_n_times(1).mount(&self.server).await;
    }

    fn mock(&self, verb: &str, path: &str, answer: ResponseTemplate) -> Mock {
        let full = format!("/api/v3{path}");
        let mock = Mock::given(matchers::method(verb));
        let mock = match full.split_once('?') {
            None => mock.and(matchers::path(full)),
            Some((path, query)) => {
                let wanted = query.to_owned();
                mock.and(matchers::path(path))
                    .and(move |request: &Request| request.url.query() == Some(&wanted))
            }
        };
        mock.respond_with(answer)
    }

    /// What was asked, in order: `GET /user/repos?sort=created&direction=asc&per_page=100`.
    pub(crate) async fn asked(&self) -> Vec<String> {
        self.requests().await.iter().map(line).collect()
    }

    pub(crate) async fn requests(&self) -> Vec<Request> {
        self.server.received_requests().await.unwrap()
    }

    /// The body of the only request that changes something.
    pub(crate) async fn sent(&self) -> Value {
        let requests = self.requests().await;
        let mut changes = requests.iter().filter(|request| request.method.as_str() != "GET");
        let body = changes.next().unwrap().body_json().unwrap();
        assert!(changes.next().is_none(), "more than one change was sent");
        body
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/api/v3{path}", self.server.uri())
    }
}

fn line(request: &Request) -> String {
    let path = request.url.path();
    let path = path.strip_prefix("/api/v3").unwrap_or(path);
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
    RepoRef::new("900100200300", "northwind/shop")
}

/// An answer of the API, from `fixtures/github/api`.
pub(crate) fn fixture(name: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/github/api").join(name);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

pub(crate) fn json(status: u16, body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(body)
}
