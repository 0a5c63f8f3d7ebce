//! The suite that every adapter passes, against the newest GitFlic that the fake plays.

use std::sync::Arc;

use forge_core::Provider;
use forge_gitflic::GitFlic;
use forge_testkit::{
    Fake, FakeGitFlic,
    conformance::{Harness, http_client},
};

struct Newest {
    fake: FakeGitFlic,
    provider: Arc<GitFlic>,
}

#[async_trait::async_trait]
impl Harness for Newest {
    async fn start() -> Self {
        Self { fake: FakeGitFlic::start().await, provider: Arc::new(GitFlic::new(http_client())) }
    }

    fn provider(&self) -> Arc<dyn Provider> {
        Arc::clone(&self.provider) as Arc<dyn Provider>
    }

    fn fake(&self) -> &Fake {
        &self.fake
    }
}

forge_testkit::conformance!(Newest);
