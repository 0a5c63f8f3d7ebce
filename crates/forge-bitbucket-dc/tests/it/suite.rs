//! The suite that every adapter passes, with logs from a Jenkins.

use std::sync::Arc;

use forge_bitbucket_dc::{BitbucketDc, LogSource, LogSourceKind};
use forge_core::Provider;
use forge_testkit::{
    CiServer, Fake, FakeBitbucketDc,
    conformance::{Harness, http_client},
};

struct Pair {
    fake: FakeBitbucketDc,
    provider: Arc<dyn Provider>,
}

/// The log source of the fake's Jenkins.
pub(crate) fn jenkins(fake: &FakeBitbucketDc) -> LogSource {
    let token = FakeBitbucketDc::CI_TOKEN.to_owned().into();
    LogSource::new(LogSourceKind::Jenkins, &fake.ci_url(CiServer::Jenkins), token)
        .unwrap()
        .with_username(FakeBitbucketDc::CI_USER)
}

#[async_trait::async_trait]
impl Harness for Pair {
    async fn start() -> Self {
        let fake = FakeBitbucketDc::start().await;
        let provider = BitbucketDc::builder(http_client()).with_log_source(jenkins(&fake)).build();
        Self { fake, provider: Arc::new(provider) }
    }

    fn provider(&self) -> Arc<dyn Provider> {
        Arc::clone(&self.provider)
    }

    fn fake(&self) -> &Fake {
        &self.fake
    }
}

forge_testkit::conformance!(Pair);
