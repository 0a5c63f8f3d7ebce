//! The suite that all adapters pass.

use std::sync::Arc;

use forge_core::Provider;
use forge_gitlab::GitLab;
use forge_testkit::{Fake, FakeGitLab, conformance::Harness};

struct GitLabHarness {
    fake: FakeGitLab,
    gitlab: GitLab,
}

#[async_trait::async_trait]
impl Harness for GitLabHarness {
    async fn start() -> Self {
        Self {
            fake: FakeGitLab::start().await,
            gitlab: GitLab::new(forge_testkit::conformance::http_client()),
        }
    }

    fn provider(&self) -> Arc<dyn Provider> {
        Arc::new(self.gitlab.clone())
    }

    fn fake(&self) -> &Fake {
        &self.fake
    }
}

forge_testkit::conformance!(GitLabHarness);
