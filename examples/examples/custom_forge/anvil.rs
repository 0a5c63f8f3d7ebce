//! The adapter. It stands on `forge-core` (the contract) and `forge-http` (credentials, retries, limits, guards).

use std::sync::Arc;

use async_trait::async_trait;
use forge_core::{
    BoxStream, Capabilities, Ci, Credential, CredentialProvider, Delivery, Error, ErrorKind, Feedback,
    ForgeClient, ForgeKind, Hooks, Instance, OAuthApp, OAuthFlow, Provider, Repos, Result, Secrets, Verified,
    VerifyError, WebhookReceiver,
    model::{Account, Conclusion, Event, EventKind, Identity, RefType, Repo, Status},
    webhook::check_shared_token,
};
use forge_http::{
    Answer, ApiClient, Dialect, HttpClient, Next, RateLimit, Response, default_classify, pages,
};
use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

pub(crate) const ANVIL: ForgeKind = ForgeKind::custom("anvil");
/// The largest page that Anvil gives.
const PAGE: usize = 100;

/// The front door. What is claimed here is what the conformance suite checks.
#[derive(Debug)]
pub(crate) struct Anvil {
    http: HttpClient,
}

impl Anvil {
    pub(crate) fn new(http: HttpClient) -> Self {
        Self { http }
    }
}

impl Provider for Anvil {
    fn kind(&self) -> ForgeKind {
        ANVIL
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::NONE.with_token_deliveries()
    }

    fn webhooks(&self) -> &dyn WebhookReceiver {
        &AnvilWebhooks
    }

    fn oauth(&self, _instance: &Instance, _app: &OAuthApp) -> Result<Option<Box<dyn OAuthFlow>>> {
        Ok(None)
    }

    fn connect(
        &self,
        instance: &Instance,
        credentials: Arc<dyn CredentialProvider>,
    ) -> Result<Arc<dyn ForgeClient>> {
        let base_url = instance.base_url().clone();
        let api_url = forge_core::url::append(&base_url, "api/")
            .map_err(|error| Error::new(ErrorKind::InvalidInput, "not a base URL").with_source(error))?;
        let api = ApiClient::new(self.http.clone(), api_url, credentials, Arc::new(AnvilDialect));
        Ok(Arc::new(AnvilClient { base_url, api }))
    }
}

/// What Anvil wants on the wire.
#[derive(Debug)]
struct AnvilDialect;

impl Dialect for AnvilDialect {
    fn kind(&self) -> ForgeKind {
        ANVIL
    }

    fn headers(&self) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("application/json"))])
    }

    #[expect(clippy::disallowed_methods, reason = "this is where the token goes to the forge")]
    fn authorize(&self, credential: &Credential, headers: &mut HeaderMap) -> Result<()> {
        let value = HeaderValue::from_str(&format!("Bearer {}", credential.secret().expose_secret()))
            .map_err(|_| Error::new(ErrorKind::InvalidInput, "the token is not text").with_forge(ANVIL))?;
        headers.insert(header::AUTHORIZATION, value);
        Ok(())
    }

    fn classify(&self, answer: &Answer<'_>) -> Error {
        default_classify(ANVIL, answer)
    }

    /// Anvil does not say how many requests are left.
    fn rate_limit(&self, _headers: &HeaderMap, _now: Timestamp) -> Option<RateLimit> {
        None
    }
}

#[derive(Debug, Clone)]
struct AnvilClient {
    base_url: Url,
    api: ApiClient,
}

/// As Anvil sends it.
#[derive(Deserialize)]
struct WireRepo {
    id: String,
    full_name: String,
    archived: bool,
}

impl AnvilClient {
    fn repo(base_url: &Url, wire: WireRepo) -> Repo {
        let web_url = format!("{}{}", base_url, wire.full_name);
        let mut repo = Repo::new(wire.id, wire.full_name, web_url);
        repo.default_branch = Some("main".to_owned());
        repo.is_archived = wire.archived;
        repo
    }
}

#[async_trait]
impl ForgeClient for AnvilClient {
    fn kind(&self) -> ForgeKind {
        ANVIL
    }

    fn base_url(&self) -> &Url {
        &self.base_url
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::NONE.with_token_deliveries()
    }

    async fn whoami(&self) -> Result<Identity> {
        #[derive(Deserialize)]
        struct WireUser {
            login: String,
        }
        let user: WireUser = self.api.get("user").operation("read the token's user").fetch().await?;
        Ok(Identity::new(Account::new(user.login.clone(), user.login)))
    }

    fn repos(&self) -> &dyn Repos {
        self
    }

    // What Anvil's API lacks is `None`, and the capabilities say so too.
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
impl Repos for AnvilClient {
    fn list_repos(&self) -> BoxStream<'static, Result<Repo>> {
        let page = |api: &ApiClient, number: usize| {
            let (number, size) = (number.to_string(), PAGE.to_string());
            api.get("repos").query(&[("page", &number), ("size", &size)]).operation("list repositories")
        };
        let (api, base_url) = (self.api.clone(), self.base_url.clone());
        pages(page(&self.api, 1), self.api.clone(), move |response: &Response| {
            #[derive(Deserialize)]
            struct Page {
                items: Vec<WireRepo>,
                next: Option<usize>,
            }
            let read: Page = response.json()?;
            let repos = read.items.into_iter().map(|wire| Self::repo(&base_url, wire)).collect();
            Ok((repos, read.next.map(|number| Next::Request(page(&api, number)))))
        })
    }

    async fn get_repo(&self, id_or_name: &str) -> Result<Repo> {
        let request = self.api.get("repo").query(&[("key", id_or_name)]);
        let wire = request.operation(format!("read repository {id_or_name}")).fetch().await?;
        Ok(Self::repo(&self.base_url, wire))
    }
}

/// Deliveries: no client and no I/O. The proof first, the facts afterwards.
#[derive(Debug)]
struct AnvilWebhooks;

impl WebhookReceiver for AnvilWebhooks {
    fn delivery_id(&self, headers: &HeaderMap) -> Option<String> {
        headers.get("x-anvil-delivery")?.to_str().ok().map(str::to_owned)
    }

    fn verify<'a>(&self, delivery: &Delivery<'a>, secrets: &Secrets) -> Result<Verified<'a>, VerifyError> {
        check_shared_token(delivery, delivery.header("x-anvil-token")?, secrets)
    }

    fn is_unsigned_ping(&self, _delivery: &Delivery<'_>) -> bool {
        false
    }

    fn parse(&self, verified: &Verified<'_>) -> Result<Event> {
        self.inspect(verified.delivery())
    }

    fn inspect(&self, delivery: &Delivery<'_>) -> Result<Event> {
        let body: Value = serde_json::from_slice(delivery.body).unwrap_or_default();
        if !body.is_object() {
            return Err(Error::new(ErrorKind::UnexpectedResponse, "the body is not a JSON object")
                .with_forge(ANVIL)
                .with_hint("check that the hook is one of Anvil's"));
        }
        let text = |place: &str| body.pointer(place).and_then(Value::as_str).map(str::to_owned);
        let Some(run) = text("/run/id") else {
            let mut event = Event::new(ANVIL, EventKind::Other);
            event.reason = Some("not about a run".to_owned());
            return Ok(event);
        };
        let mut event = Event::new(ANVIL, EventKind::Run);
        event.run_id = Some(run);
        event.repo = text("/repository/full_name");
        event.repo_id = text("/repository/id");
        event.sha = text("/run/sha");
        event.git_ref = text("/run/branch");
        event.ref_type = Some(RefType::Branch);
        let (status, conclusion) = match text("/run/state").as_deref() {
            Some("passed") => (Status::Completed, Some(Conclusion::Success)),
            Some("broken") => (Status::Completed, Some(Conclusion::Failure)),
            Some("stopped") => (Status::Completed, Some(Conclusion::Cancelled)),
            Some("waiting") => (Status::Queued, None),
            Some("going") => (Status::Running, None),
            _ => (Status::Unknown, None),
        };
        (event.status, event.conclusion) = (Some(status), conclusion);
        event.terminal = status == Status::Completed;
        event.failed = conclusion == Some(Conclusion::Failure);
        event.triggers_rca = event.failed;
        Ok(event)
    }
}
