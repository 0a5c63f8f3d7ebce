//! The same suite against the other readings: an old version under a path, whose lists are called otherwise, that has no
//! single pipelines, deletes hooks by `DELETE` and knows OAuth in camel case only.

use std::sync::Arc;

use forge_core::Provider;
use forge_gitflic::GitFlic;
use forge_testkit::{
    Fake, FakeGitFlic, FakeOptions,
    conformance::{Harness, http_client},
};

struct Old {
    fake: FakeGitFlic,
    provider: Arc<GitFlic>,
}

#[async_trait::async_trait]
impl Harness for Old {
    async fn start() -> Self {
        let options = FakeOptions::new().with_version("3.5.0").with_root("/git");
        Self {
            fake: FakeGitFlic::start_with(&options).await,
            provider: Arc::new(GitFlic::new(http_client())),
        }
    }

    fn provider(&self) -> Arc<dyn Provider> {
        Arc::clone(&self.provider) as Arc<dyn Provider>
    }

    fn fake(&self) -> &Fake {
        &self.fake
    }
}

forge_testkit::conformance!(Old);
