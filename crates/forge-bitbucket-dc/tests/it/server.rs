//! A server of canned answers on loopback under a context path, and a client that talks to it.

use std::sync::Arc;

use forge_bitbucket_dc::{BitbucketDc, BitbucketDcBuilder};
use forge_core::{
    Credential, CredentialKind, ForgeClient, Instance, Provider, StaticCredential, model::RepoRef,
};
use forge_testkit::conformance::http_client;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers};

/// Must never be seen anywhere but at the forge.
pub(crate) const TOKEN: &str = "BBDC-canary000000000000000000000000";
pub(crate) const SHA: &str = "1f4c8a90b2d3e4f50617283940a1b2c3d4e5f607";
/// Where the repository is, below `/rest`.
pub(crate) const REPO: &str = "/api/1.0/projects/NW/repos/shop";
const ROOT: &str = "/bitbucket/rest";

pub(crate) struct Forge {
    pub(crate) server: MockServer,
    pub(crate) client: Arc<dyn ForgeClient>,
}

impl Forge {
    pub(crate) async fn start() -> Self {
        Self::with(|builder| builder).await
    }

    pub(crate) async fn with(adjust: impl FnOnce(BitbucketDcBuilder) -> BitbucketDcBuilder) -> Self {
        let server = MockServer::start().await;
        let instance = Instance::new(&format!("{}/bitbucket/", server.uri())).unwrap();
        let provider = adjust(BitbucketDc::builder(http_client())).build();
        let credential = Credential::new(CredentialKind::AccessToken, TOKEN.to_owned().into());
        let client = provider.connect(&instance, Arc::new(StaticCredential::new(credential))).unwrap();
        Self { server, client }
    }

    /// Answers `verb path` (below `/bitbucket/rest`) always; with a query where the path has one.
    pub(crate) async fn on(&self, verb: &str, path: &str, answer: ResponseTemplate) {
        self.mock(verb, path, answer).mount(&self.server).await;
    }

    /// Answers the next `verb path` only.
    pub(crate) async fn once(&self, verb: &str, path: &str, answer: ResponseTemplate) {
        self.mock(verb, path, answer).up_to_n_times(1).mount(&self.server).await;
    }

    fn mock(&self, verb: &str, path: &str, answer: ResponseTemplate) -> Mock {
        let full = format!("{ROOT}{path}");
        let mock = Mock::given(matchers::method(verb));
        let mock = match full.split_once('?') {
            None => mock.and(matchers::path(full)),
            Some((path, query)) => {
                let wanted = query.to_owned();
                mock.and(matchers::path(path))
                    .and(move |request: &Request| request.url.query() == Some(&wanted))
            }
        };
        // Every answer to a known user names the user.
        mock.respond_with(answer)
    }

    /// What was asked, in order: `GET /api/1.0/repos?limit=100`.
    pub(crate) async fn asked(&self) -> Vec<String> {
        self.requests().await.iter().map(line).collect()
    }

    pub(crate) async fn requests(&self) -> Vec<Request> {
        self.server.received_requests().await.unwrap()
    }

    /// The bodies of the requests that change something.
    pub(crate) async fn sent(&self) -> Vec<Value> {
        let requests = self.requests().await;
        let changes = requests.iter().filter(|request| request.method.as_str() != "GET");
        changes.map(|request| request.body_json().unwrap()).collect()
    }
}

fn line(request: &Request) -> String {
    let path = request.url.path();
    let path = path.strip_prefix(ROOT).unwrap_or(path);
    match request.url.query() {
        Some(query) => format!("{} {path}?{query}", request.method),
        None => format!("{} {path}", request.method),
    }
}

pub(crate) fn repo() -> RepoRef {
    RepoRef::new("84", "NW/shop")
}

/// An answer to a user that is known.
pub(crate) fn answer(status: u16, body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(body).insert_header("x-ausername", "rca-bot")
}

/// The only page of a list.
pub(crate) fn page(values: &Value) -> ResponseTemplate {
    answer(200, &json!({"values": values, "isLastPage": true, "nextPageStart": null}))
}

pub(crate) fn refusal(message: &str, exception: &str) -> Value {
    let exception = format!("com.atlassian.bitbucket.{exception}");
    json!({"errors": [{"context": null, "message": message, "exceptionName": exception}]})
}
