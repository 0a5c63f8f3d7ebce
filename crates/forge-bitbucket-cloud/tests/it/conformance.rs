//! The suite that all adapters pass.

use std::sync::Arc;

use async_trait::async_trait;
use forge_bitbucket_cloud::BitbucketCloud;
use forge_core::{Credential, CredentialKind, ForgeClient, Provider, StaticCredential};
use forge_testkit::{
    Fake, FakeBitbucketCloud,
    conformance::{Harness, http_client},
};
use secrecy::SecretString;

struct BitbucketCloudHarness {
    provider: Arc<BitbucketCloud>,
    fake: FakeBitbucketCloud,
}

#[async_trait]
impl Harness for BitbucketCloudHarness {
    async fn start() -> Self {
        let provider = Arc::new(BitbucketCloud::new(http_client()));
        Self { provider, fake: FakeBitbucketCloud::start().await }
    }

    fn provider(&self) -> Arc<dyn Provider> {
        Arc::clone(&self.provider) as _
    }

    fn fake(&self) -> &Fake {
        &self.fake
    }

    /// The suite's tokens are API tokens, which go with a mail address.
    fn client_with(&self, token: SecretString) -> Arc<dyn ForgeClient> {
        let credential = Credential::new(CredentialKind::ApiToken, token).with_user("rca-bot@example.com");
        let credentials = Arc::new(StaticCredential::new(credential));
        self.provider.connect(&self.fake.instance(), credentials).unwrap()
    }
}

forge_testkit::conformance!(BitbucketCloudHarness);
