//! The authorization-code flow in Bitbucket's dialect.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use forge_bitbucket_cloud::BitbucketCloud;
use forge_core::{CsrfState, ErrorKind, Instance, OAuthApp, OAuthFlow, Pkce, Provider, TokenSet};
use forge_http::{Lease, RefreshingCredential, StoredTokens, TokenStorage};
use forge_testkit::{FakeBitbucketCloud, conformance::http_client};
use secrecy::ExposeSecret as _;
use serde_json::json;
use url::Url;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

fn app(scopes: &[&str]) -> OAuthApp {
    OAuthApp {
        client_id: "consumer-key".to_owned(),
        client_secret: "consumer-secret".to_owned().into(),
        scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
    }
}

fn redirect() -> Url {
    "https://rca.example.com/v1/integrations/bitbucket-cloud/callback".parse().unwrap()
}

fn flow_at(base: &str, app: &OAuthApp) -> Box<dyn OAuthFlow> {
    BitbucketCloud::new(http_client()).oauth(&Instance::new(base).unwrap(), app).unwrap().unwrap()
}

async fn answering(answer: ResponseTemplate) -> (MockServer, Box<dyn OAuthFlow>) {
    let server = MockServer::start().await;
    Mock::given(matchers::method("POST"))
        .and(matchers::path("/site/oauth2/access_token"))
        .respond_with(answer)
        .mount(&server)
        .await;
    let flow = flow_at(&server.uri(), &app(&[]));
    (server, flow)
}

async fn exchange(flow: &dyn OAuthFlow) -> forge_core::Result<TokenSet> {
    flow.exchange_code(&"the-code".to_owned().into(), &redirect(), Some(&Pkce::from_entropy(&[7; 32]))).await
}

#[test]
fn the_authorize_url_asks_for_no_scope_and_has_no_pkce() {
    let (state, pkce) = (CsrfState::from_entropy(&[1; 32]), Pkce::from_entropy(&[7; 32]));
    let url = flow_at("https://bitbucket.org", &app(&[])).authorize_url(&redirect(), &state, Some(&pkce));
    assert_eq!(&url[..url::Position::AfterPath], "https://bitbucket.org/site/oauth2/authorize");
    let mut names: Vec<_> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
    names.sort();
    assert_eq!(names, ["client_id", "redirect_uri", "response_type", "state"]);
    let url = flow_at("https://bitbucket.org", &app(&["account", "pipeline"])).authorize_url(
        &redirect(),
        &state,
        None,
    );
    assert!(url.query_pairs().any(|(name, value)| name == "scope" && value == "account pipeline"));
}

#[test]
fn addresses_follow_from_the_base_url() {
    let state = CsrfState::from_entropy(&[1; 32]);
    for (base, expected) in [
        ("https://bitbucket.org/", "https://bitbucket.org/site/oauth2/authorize"),
        ("https://bitbucket.org/acme", "https://bitbucket.org/site/oauth2/authorize"),
        ("https://proxy.example.com/bb", "https://proxy.example.com/bb/site/oauth2/authorize"),
    ] {
        let url = flow_at(base, &app(&[])).authorize_url(&redirect(), &state, None);
        assert_eq!(&url[..url::Position::AfterPath], expected);
    }
    for base in ["https://api.bitbucket.org/2.0", "https://bitbucket.org/acme/shop"] {
        let provider = BitbucketCloud::new(http_client());
        let error = provider.oauth(&Instance::new(base).unwrap(), &app(&[])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{base}");
        assert!(error.hint().unwrap().contains("https://bitbucket.org"));
    }
}

#[tokio::test]
async fn tokens_are_asked_for_with_http_basic_and_both_scope_fields_are_read() {
    for field in ["scope", "scopes"] {
        let body = json!({
            "access_token": "access-1", "refresh_token": "refresh-1", "expires_in": 7200, "token_type": "bearer",
            field: "account repository pipeline",
        });
        let (server, flow) = answering(ResponseTemplate::new(200).set_body_json(body)).await;
        let tokens = exchange(&*flow).await.unwrap();
        assert_eq!(tokens.scopes, ["account", "repository", "pipeline"], "{field}");
        assert!(tokens.expires_at.is_some());
        let refresh = tokens.refresh_token.unwrap();
        assert_eq!(refresh.expose_secret(), "refresh-1");
        flow.refresh(&refresh, &redirect()).await.unwrap();
        let requests = server.received_requests().await.unwrap();
        for request in &requests {
            // consumer-key:consumer-secret
            let basic = "Basic Y29uc3VtZXIta2V5OmNvbnN1bWVyLXNlY3JldA==";
            assert_eq!(request.headers.get("authorization").unwrap(), basic);
            let body = String::from_utf8(request.body.clone()).unwrap();
            assert!(!body.contains("consumer-secret") && !body.contains("code_verifier"), "{body}");
        }
        let fields: Vec<_> = requests.iter().map(|request| String::from_utf8_lossy(&request.body)).collect();
        assert!(fields[0].contains("grant_type=authorization_code") && fields[0].contains("code=the-code"));
        assert!(
            fields[1].contains("grant_type=refresh_token") && fields[1].contains("refresh_token=refresh-1")
        );
    }
}

#[tokio::test]
async fn refusals_have_their_kinds_and_repeat_no_secret() {
    let cases = [
        (400, "invalid_grant", ErrorKind::InvalidGrant),
        (401, "invalid_client", ErrorKind::Unauthorized),
        (400, "invalid_scope", ErrorKind::Invalid),
    ];
    for (status, code, expected) in cases {
        let body = json!({ "error": code, "error_description": "the-code is bad" });
        let (server, flow) = answering(ResponseTemplate::new(status).set_body_json(body)).await;
        let error = exchange(&*flow).await.unwrap_err();
        assert_eq!(error.kind(), expected, "{code}");
        assert!(!format!("{error:?}").contains("the-code"));
        assert_eq!(server.received_requests().await.unwrap().len(), 1, "never sent twice");
    }
}

#[tokio::test]
async fn invalid_scope_on_the_callback_names_the_boxes() {
    let fake = FakeBitbucketCloud::start().await;
    let mut app = fake.add_oauth_app(&[redirect().as_str()], &["account"], false).oauth_app();
    app.scopes = vec!["account".to_owned(), "pipeline".to_owned()];
    let flow = BitbucketCloud::new(http_client()).oauth(&fake.instance(), &app).unwrap().unwrap();
    let page = flow.authorize_url(&redirect(), &CsrfState::from_entropy(&[1; 32]), None);
    let back = fake.browse(&page).await.unwrap();
    let code = back.query_pairs().find(|(name, _)| name == "error").unwrap().1.into_owned();
    assert_eq!(code, "invalid_scope");
    let error = BitbucketCloud::callback_error(&code);
    for tick_box in
        ["Account: Read", "Webhooks: Read and write", "Pull requests: Read and Write", "Pipelines: Read"]
    {
        assert!(error.hint().unwrap().contains(tick_box), "{error}");
    }
    fake.set_approver(None);
    app.scopes.clear();
    let flow = BitbucketCloud::new(http_client()).oauth(&fake.instance(), &app).unwrap().unwrap();
    let page = flow.authorize_url(&redirect(), &CsrfState::from_entropy(&[1; 32]), None);
    let back = fake.browse(&page).await.unwrap();
    assert!(back.query_pairs().any(|(name, value)| name == "error" && value == "access_denied"));
    assert_eq!(BitbucketCloud::callback_error("access_denied").kind(), ErrorKind::Forbidden);
    assert_eq!(BitbucketCloud::callback_error("whatever").kind(), ErrorKind::Invalid);
}

#[test]
fn missing_scopes_are_told_with_their_boxes() {
    let missing = |granted: &[&str]| {
        let granted: Vec<String> = granted.iter().map(|&scope| scope.to_owned()).collect();
        BitbucketCloud::missing_scopes(&granted)
    };
    assert!(missing(&[]).is_empty(), "nothing is known");
    assert!(missing(&["account", "pullrequest:write", "webhook", "pipeline"]).is_empty());
    assert!(
        missing(&["account:write", "repository:admin", "pullrequest:write", "webhook", "pipeline:variable"])
            .is_empty()
    );
    assert_eq!(
        missing(&["account", "pullrequest"]),
        [
            "pullrequest:write (Pull requests: Write)",
            "webhook (Webhooks: Read and write)",
            "pipeline (Pipelines: Read)"
        ]
    );
    assert_eq!(
        missing(&[
            "read:user:bitbucket",
            "read:workspace:bitbucket",
            "read:repository:bitbucket",
            "write:repository:bitbucket",
            "read:pullrequest:bitbucket",
            "write:pullrequest:bitbucket",
            "read:webhook:bitbucket",
            "write:webhook:bitbucket",
            "read:pipeline:bitbucket",
        ]),
        ["delete:webhook:bitbucket"]
    );
}

/// What all processes share, with the one lease.
#[derive(Debug)]
struct Vault {
    stored: Mutex<StoredTokens>,
    is_leased: AtomicBool,
}

#[async_trait]
impl TokenStorage for Vault {
    async fn load(&self) -> forge_core::Result<StoredTokens> {
        Ok(self.stored.lock().unwrap().clone())
    }

    async fn lease(&self) -> forge_core::Result<Option<Lease>> {
        Ok((!self.is_leased.swap(true, Ordering::SeqCst)).then(|| Lease::new("1")))
    }

    async fn commit(&self, _lease: &Lease, tokens: &TokenSet) -> forge_core::Result<()> {
        let mut stored = self.stored.lock().unwrap();
        stored.tokens = tokens.clone();
        stored.generation += 1;
        self.is_leased.store(false, Ordering::SeqCst);
        Ok(())
    }

    async fn release(&self, _lease: Lease) {
        self.is_leased.store(false, Ordering::SeqCst);
    }

    async fn park(&self, reason: &str) -> forge_core::Result<()> {
        panic!("the connection was parked: {reason}");
    }
}

/// A refresh token works once, and showing a spent one ends the grant: two workers must not refresh beside each other.
#[tokio::test(flavor = "multi_thread")]
async fn two_workers_with_twenty_requests_each_refresh_once() {
    let fake = FakeBitbucketCloud::start().await;
    fake.add_repo("northwind/shop");
    let scopes = ["account", "repository", "pullrequest:write", "webhook", "pipeline"];
    let app = fake.add_oauth_app(&[redirect().as_str()], &scopes, false).oauth_app();
    let provider = BitbucketCloud::new(http_client());
    let flow: Arc<dyn OAuthFlow> = provider.oauth(&fake.instance(), &app).unwrap().unwrap().into();
    let page = flow.authorize_url(&redirect(), &CsrfState::from_entropy(&[1; 32]), None);
    let back = fake.browse(&page).await.unwrap();
    let code = back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let tokens = flow.exchange_code(&code.into(), &redirect(), None).await.unwrap();
    assert_eq!(tokens.scopes, scopes);
    let stored = Mutex::new(StoredTokens { tokens, generation: 1 });
    let vault = Arc::new(Vault { stored, is_leased: AtomicBool::new(false) });

    // All workers learn at the same time that the access token does not work any more.
    let spent = vault.stored.lock().unwrap().tokens.access_token.clone();
    fake.revoke_token(&spent);
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let storage = Arc::clone(&vault);
        let credential =
            RefreshingCredential::new(storage, Arc::clone(&flow), redirect(), jiff::Timestamp::now);
        let client = provider.connect(&fake.instance(), Arc::new(credential)).unwrap();
        for _ in 0..20 {
            let client = Arc::clone(&client);
            requests.spawn(async move {
                client.repos().get_repo("northwind/shop").await.map(|repo| repo.full_name)
            });
        }
    }
    while let Some(done) = requests.join_next().await {
        assert_eq!(done.unwrap().unwrap(), "northwind/shop");
    }
    assert_eq!((fake.refreshes(), fake.invalid_grants(), fake.live_grants()), (1, 0, 1));
}
