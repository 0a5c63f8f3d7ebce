//! The suite that all adapters pass.

use std::sync::Arc;

use async_trait::async_trait;
use forge_core::Provider;
use forge_github::GitHub;
use forge_testkit::{
    Fake, FakeGitHub,
    conformance::{Harness, http_client},
};

struct GitHubHarness {
    fake: FakeGitHub,
    provider: Arc<dyn Provider>,
}

#[async_trait]
impl Harness for GitHubHarness {
    async fn start() -> Self {
        Self { fake: FakeGitHub::start().await, provider: Arc::new(GitHub::new(http_client())) }
    }

    fn provider(&self) -> Arc<dyn Provider> {
        Arc::clone(&self.provider)
    }

    fn fake(&self) -> &Fake {
        &self.fake
    }
}

forge_testkit::conformance!(GitHubHarness);
