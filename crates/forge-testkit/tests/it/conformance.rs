//! The suite itself: an adapter that claims nothing passes by doing nothing, one that boasts fails.

use std::sync::Arc;

use async_trait::async_trait;
use forge_core::{
    BoxStream, Capabilities, Ci, CredentialProvider, Error, ErrorKind, Feedback, ForgeClient, ForgeKind,
    Hooks, Instance, OAuthApp, OAuthFlow, Provider, Repos, Result, WebhookReceiver,
    model::{Identity, Repo},
};
use forge_testkit::{
    Fake, FakeGitLab,
    conformance::{self, Harness},
};
use url::Url;

/// An adapter that can do nothing, whatever it claims.
#[derive(Debug, Clone)]
struct Idle {
    capabilities: Capabilities,
    base: Url,
}

fn nothing<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, "this adapter does nothing"))
}

impl Provider for Idle {
    fn kind(&self) -> ForgeKind {
        ForgeKind::GITLAB
    }
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }
    fn webhooks(&self) -> &dyn WebhookReceiver {
        panic!("no case that runs here looks at deliveries")
    }
    fn oauth(&self, _: &Instance, _: &OAuthApp) -> Result<Option<Box<dyn OAuthFlow>>> {
        Ok(None)
    }
    fn connect(&self, _: &Instance, _: Arc<dyn CredentialProvider>) -> Result<Arc<dyn ForgeClient>> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl ForgeClient for Idle {
    fn kind(&self) -> ForgeKind {
        ForgeKind::GITLAB
    }
    fn base_url(&self) -> &Url {
        &self.base
    }
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }
    async fn whoami(&self) -> Result<Identity> {
        nothing()
    }
    fn repos(&self) -> &dyn Repos {
        self
    }
    fn hooks(&self) -> Option<&dyn Hooks> {
        None
    }
    fn ci(&self) -> Option<&dyn Ci> {
        None
    }
    fn feedback(&self) -> Option<&dyn Feedback> {
        None
    }
}

#[async_trait]
impl Repos for Idle {
    fn list_repos(&self) -> BoxStream<'static, Result<Repo>> {
        Box::pin(futures_util::stream::empty())
    }
    async fn get_repo(&self, _: &str) -> Result<Repo> {
        nothing()
    }
}

struct Bench<const BOASTS: bool>(FakeGitLab);

#[async_trait]
impl<const BOASTS: bool> Harness for Bench<BOASTS> {
    async fn start() -> Self {
        Self(FakeGitLab::start().await)
    }
    fn provider(&self) -> Arc<dyn Provider> {
        let boast = Capabilities::NONE
            .with_hooks(true)
            .with_ci(true, true)
            .with_comments(true, true, true, 1000)
            .with_issues()
            .with_status()
            .with_oauth(true, true);
        let capabilities = if BOASTS { boast } else { Capabilities::NONE };
        Arc::new(Idle { capabilities, base: self.0.base_url().clone() })
    }
    fn fake(&self) -> &Fake {
        &self.0
    }
}

macro_rules! both_ways {
    ($($module:ident::$case:ident),* $(,)?) => {
        $(
            let name = concat!(stringify!($module), "::", stringify!($case));
            conformance::$module::$case::<Bench<false>>().await;
            let boasting = tokio::spawn(conformance::$module::$case::<Bench<true>>()).await;
            assert!(boasting.is_err_and(|error| error.is_panic()), "{name} believed a boast");
        )*
    };
}

#[tokio::test]
async fn claims_are_checked_and_silence_is_accepted() {
    both_ways!(
        hooks::creates_what_is_missing,
        hooks::leaves_what_is_right,
        hooks::removes_duplicates,
        hooks::reads_all_pages,
        hooks::deleting_twice_is_fine,
        hooks::test_deliveries_arrive,
        ci::gets_a_failed_run,
        ci::lists_many_jobs,
        ci::child_runs_are_walked,
        ci::log_is_exact,
        ci::log_redirect_carries_no_credential,
        ci::lists_failed_runs_since,
        ci::finds_the_pull_request,
        feedback::pull_comment_lives,
        feedback::commit_comment_lives,
        feedback::issue_lives,
        feedback::status_is_set,
        oauth::code_flow_works,
        oauth::refresh_rotates,
    );
}
