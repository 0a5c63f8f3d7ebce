//! A server of canned answers on loopback, and a client that talks to it.

use std::{fs, path::PathBuf, sync::Arc};

use forge_bitbucket_cloud::BitbucketCloud;
use forge_core::{
    Credential, CredentialKind, ForgeClient, Instance, Provider, StaticCredential, model::RepoRef,
};
use forge_testkit::conformance::http_client;
use serde_json::Value;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers};

/// Must never be seen anywhere but at the forge.
pub(crate) const TOKEN: &str = "canary-token-0000000000000000000000000000";

/// The path of the repository of [`repo`].
pub(crate) const REPO: &str = "/repositories/northwind/%7B5b0c7f5e-9f0a-4f6d-8a41-0d6a3d1c77e2%7D";

pub(crate) struct Forge {
    pub(crate) server: MockServer,
    pub(crate) client: Arc<dyn ForgeClient>,
}

impl Forge {
    pub(crate) async fn start() -> Self {
        Self::with_credential(Credential::new(CredentialKind::OAuth, TOKEN.to_owned().into())).await
    }

    pub(crate) async fn with_credential(credential: Credential) -> Self {
        let server = MockServer::start().await;
        let instance = Instance::new(&server.uri()).unwrap();
        let credentials = Arc::new(StaticCredential::new(credential));
        let client = BitbucketCloud::new(http_client()).connect(&instance, credentials).unwrap();
        Self { server, client }
    }

    /// Answers `verb path` (below `/2.0`) always.
    pub(crate) async fn on(&self, verb: &str, path: &str, answer: ResponseTemplate) {
        let full = format!("/2.0{path}");
        let mock = Mock::given(matchers::method(verb));
        let mock = match full.split_once('?') {
            None => mock.and(matchers::path(full)),
            Some((path, query)) => {
                let wanted = query.to_owned();
                mock.and(matchers::path(path))
                    .and(move |request: &Request| request.url.query() == Some(&wanted))
            }
        };
        mock.respond_with(answer).mount(&self.server).await;
    }

    pub(crate) async fn requests(&self) -> Vec<Request> {
        self.server.received_requests().await.unwrap()
    }

    /// What was asked, in order: `GET /user`.
    pub(crate) async fn asked(&self) -> Vec<String> {
        self.requests().await.iter().map(line).collect()
    }

    /// What was sent to change something: verb, path and body.
    pub(crate) async fn changes(&self) -> Vec<(String, Value)> {
        let requests = self.requests().await;
        let changes = requests.iter().filter(|request| request.method.as_str() != "GET");
        changes.map(|request| (line(request), request.body_json().unwrap_or(Value::Null))).collect()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/2.0{path}", self.server.uri())
    }
}

fn line(request: &Request) -> String {
    let path = request.url.path();
    let path = path.strip_prefix("/2.0").unwrap_or(path);
    match request.url.query() {
        Some(query) => format!("{} {path}?{query}", request.method),
        None => format!("{} {path}", request.method),
    }
}

pub(crate) fn repo() -> RepoRef {
    RepoRef::new("{5b0c7f5e-9f0a-4f6d-8a41-0d6a3d1c77e2}", "northwind/shop")
}

/// An answer of the API, from `fixtures/bitbucket-cloud/api`.
pub(crate) fn fixture(name: &str) -> Value {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/bitbucket-cloud/api").join(name);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

pub(crate) fn json(status: u16, body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(body)
}
