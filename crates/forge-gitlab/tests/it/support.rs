//! What the tests share.

use std::{sync::Arc, time::Duration};

use forge_core::{
    CredentialProvider, ForgeClient, Instance, Provider, StaticCredential,
    model::{Comment, HookSpec},
};
use forge_gitlab::GitLab;
use forge_http::HttpClient;
use secrecy::SecretString;
use wiremock::MockServer;

/// Stands for a token; must never be seen at another origin or in an error.
pub(crate) const CANARY: &str = "glpat-canary-7f3a";
pub(crate) const MARKER: &str = "<!-- forge-rca:v1 run=1 -->";

/// A client that may talk to loopback over http.
pub(crate) fn http() -> HttpClient {
    HttpClient::builder()
        .with_http_allowed(true)
        .with_allowed_networks(["127.0.0.0/8".parse().unwrap()])
        .with_total_timeout(Duration::from_secs(10))
        .build()
        .unwrap()
}

pub(crate) fn connect(instance: &Instance, token: SecretString) -> Arc<dyn ForgeClient> {
    connect_with(instance, Arc::new(StaticCredential::token(token)))
}

pub(crate) fn connect_with(
    instance: &Instance,
    credentials: Arc<dyn CredentialProvider>,
) -> Arc<dyn ForgeClient> {
    GitLab::new(http()).connect(instance, credentials).unwrap()
}

/// A client of a mocked instance, with the canary as its token.
pub(crate) fn connect_mock(server: &MockServer) -> Arc<dyn ForgeClient> {
    connect(&Instance::new(&server.uri()).unwrap(), CANARY.into())
}

pub(crate) fn comment(text: &str) -> Comment {
    Comment { marker: MARKER.to_owned(), body: format!("{MARKER}\n{text}") }
}

pub(crate) fn hook_spec() -> HookSpec {
    HookSpec::new("https://rca.example/v1/webhooks/gitlab/abc".parse().unwrap(), "hook-secret".into())
}
