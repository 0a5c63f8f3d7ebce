//! The OAuth flow against an authorisation server that somebody else wrote: npm's `oidc-provider`, with GitLab's paths.
//! `tests/foreign/README.md` says how to install it.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
};

use async_trait::async_trait;
use forge_core::{
    CredentialProvider, CsrfState, Error, ErrorKind, ForgeClient, ForgeKind, Instance, OAuthApp, OAuthFlow,
    Pkce, Provider as _, Result, StaticCredential, TokenSet,
};
use forge_gitlab::GitLab;
use forge_http::{CodeGrant, Lease, RefreshingCredential, StoredTokens, TokenStorage};
use forge_testkit::conformance::http_client;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

/// The lifetime that the server gives access tokens.
const TWO_HOURS: i64 = 7200;

/// The server's process; ends with this.
struct Server {
    origin: String,
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    process: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// `None` where node or the package is not installed, which is said; a failure in CI.
    fn start() -> Option<Self> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/foreign");
        let is_installed = folder.join("node_modules/oidc-provider/package.json").is_file();
        let process = Command::new("node")
            .arg("authorization_server.mjs")
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn();
        let (true, Ok(mut process)) = (is_installed, process) else {
            let reason = "node or oidc-provider is not installed: `npm ci` in tests/foreign";
            assert!(
                std::env::var_os("CI").is_none(),
                "tests against foreign programs must run in CI: {reason}"
            );
            // Past the capture of the test harness: a test that is left out must be seen.
            let _ =
                writeln!(std::io::stderr(), "the OAuth tests against oidc-provider are left out: {reason}");
            return None;
        };
        let input = process.stdin.take().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut origin = String::new();
        output.read_line(&mut origin).unwrap();
        let origin = origin.trim().to_owned();
        assert!(origin.starts_with("http://127.0.0.1:"), "the server did not start: {origin:?}");
        Some(Self { origin, pipes: Mutex::new((input, output)), process })
    }

    fn ask(&self, question: &Value) -> Value {
        let mut pipes = self.pipes.lock().unwrap();
        writeln!(pipes.0, "{question}").unwrap();
        let mut answer = String::new();
        pipes.1.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    /// Where the browser ends when the user answers.
    fn browse(&self, page: &Url, agrees: bool) -> Url {
        let end = self.ask(&json!({ "browse": page, "agrees": agrees }));
        end.get("url")
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("the browser was not sent back: {end}"))
            .parse()
            .unwrap()
    }

    fn advance(&self, seconds: i64) {
        self.ask(&json!({ "advance": seconds }));
    }

    fn refreshes(&self) -> u64 {
        self.ask(&json!({ "counts": true })).get("refreshes").and_then(Value::as_u64).unwrap()
    }

    fn instance(&self) -> Instance {
        Instance::new(&self.origin).unwrap()
    }

    fn flow_of(&self, client_secret: &str) -> Box<dyn OAuthFlow> {
        let app = OAuthApp {
            client_id: "in-body".to_owned(),
            client_secret: client_secret.to_owned().into(),
            scopes: vec!["read_user".to_owned(), "api".to_owned()],
        };
        GitLab::new(http_client()).oauth(&self.instance(), &app).unwrap().unwrap()
    }

    fn flow(&self) -> Box<dyn OAuthFlow> {
        self.flow_of("secret-in-body")
    }

    /// The user says yes; the code.
    fn code(&self, flow: &dyn OAuthFlow, pkce: &Pkce) -> SecretString {
        let state = CsrfState::from_entropy(&[9; 32]);
        let back = self.browse(&flow.authorize_url(&redirect(), &state, Some(pkce)), true);
        assert_eq!(parameter(&back, "state").as_deref(), Some(state.as_secret().expose_secret()));
        parameter(&back, "code").unwrap().into()
    }

    async fn connect(&self, flow: &dyn OAuthFlow) -> TokenSet {
        let pkce = Pkce::from_entropy(&[1; 32]);
        flow.exchange_code(&self.code(flow, &pkce), &redirect(), Some(&pkce)).await.unwrap()
    }

    fn client(&self, credentials: Arc<dyn CredentialProvider>) -> Arc<dyn ForgeClient> {
        GitLab::new(http_client()).connect(&self.instance(), credentials).unwrap()
    }

    /// Whether the API takes this token now.
    async fn takes(&self, token: &SecretString) -> bool {
        let client = self.client(Arc::new(StaticCredential::token(token.clone())));
        match client.whoami().await {
            Ok(identity) => identity.account.login == "ada",
            Err(error) if error.kind() == ErrorKind::Unauthorized => false,
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn redirect() -> Url {
    "http://127.0.0.1:7391/callback".parse().unwrap()
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// One row of a database.
#[derive(Debug)]
struct Row {
    stored: Mutex<StoredTokens>,
    parked: Mutex<Option<String>>,
}

impl Row {
    fn new(tokens: TokenSet) -> Arc<Self> {
        Arc::new(Self {
            stored: Mutex::new(StoredTokens { tokens, generation: 1 }),
            parked: Mutex::default(),
        })
    }

    fn tokens(&self) -> TokenSet {
        self.stored.lock().unwrap().tokens.clone()
    }
}

#[async_trait]
impl TokenStorage for Row {
    async fn load(&self) -> Result<StoredTokens> {
        Ok(self.stored.lock().unwrap().clone())
    }

    async fn lease(&self) -> Result<Option<Lease>> {
        Ok(Some(Lease::new("the-only-process")))
    }

    async fn commit(&self, _lease: &Lease, tokens: &TokenSet) -> Result<()> {
        let mut stored = self.stored.lock().unwrap();
        *stored = StoredTokens { tokens: tokens.clone(), generation: stored.generation + 1 };
        Ok(())
    }

    async fn release(&self, _lease: Lease) {}

    async fn park(&self, reason: &str) -> Result<()> {
        *self.parked.lock().unwrap() = Some(reason.to_owned());
        Ok(())
    }
}

#[tokio::test]
async fn the_code_flow_connects() {
    let Some(server) = Server::start() else { return };
    let tokens = server.connect(&*server.flow()).await;
    assert!(server.takes(&tokens.access_token).await);
    let life = tokens.expires_at.unwrap().duration_since(Timestamp::now());
    assert!((life - SignedDuration::from_secs(TWO_HOURS)).abs() < SignedDuration::from_mins(2), "{life}");
    let mut scopes = tokens.scopes;
    scopes.sort();
    assert_eq!(scopes, ["api", "read_user"]);
}

#[tokio::test]
async fn a_verifier_code_redirect_or_secret_that_is_wrong_is_refused() {
    let Some(server) = Server::start() else { return };
    let (flow, pkce) = (server.flow(), Pkce::from_entropy(&[2; 32]));
    let refused = |error: Error| error.kind();

    let other = Pkce::from_entropy(&[3; 32]);
    let answer = flow.exchange_code(&server.code(&*flow, &pkce), &redirect(), Some(&other)).await;
    assert_eq!(answer.map_err(refused).unwrap_err(), ErrorKind::InvalidGrant, "another verifier");
    let answer = flow.exchange_code(&server.code(&*flow, &pkce), &redirect(), None).await;
    assert_eq!(answer.map_err(refused).unwrap_err(), ErrorKind::InvalidGrant, "no verifier");
    let elsewhere = "http://127.0.0.1:7391/elsewhere".parse().unwrap();
    let answer = flow.exchange_code(&server.code(&*flow, &pkce), &elsewhere, Some(&pkce)).await;
    assert_eq!(answer.map_err(refused).unwrap_err(), ErrorKind::InvalidGrant, "another redirect");
    let answer = flow.exchange_code(&"made-up".to_owned().into(), &redirect(), Some(&pkce)).await;
    assert_eq!(answer.map_err(refused).unwrap_err(), ErrorKind::InvalidGrant, "a code that never was");
    let guess = server.flow_of("not the secret");
    let answer = guess.exchange_code(&server.code(&*flow, &pkce), &redirect(), Some(&pkce)).await;
    assert_eq!(answer.map_err(refused).unwrap_err(), ErrorKind::Unauthorized, "another secret");

    let late = server.code(&*flow, &pkce);
    server.advance(61);
    let answer = flow.exchange_code(&late, &redirect(), Some(&pkce)).await;
    assert_eq!(answer.map_err(refused).unwrap_err(), ErrorKind::InvalidGrant, "an expired code");
}

#[tokio::test]
async fn a_code_works_once_and_its_second_use_ends_the_grant() {
    let Some(server) = Server::start() else { return };
    let (flow, pkce) = (server.flow(), Pkce::from_entropy(&[4; 32]));
    let code = server.code(&*flow, &pkce);
    let tokens = flow.exchange_code(&code, &redirect(), Some(&pkce)).await.unwrap();
    let error = flow.exchange_code(&code, &redirect(), Some(&pkce)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidGrant);
    assert!(!server.takes(&tokens.access_token).await);
}

#[tokio::test]
async fn the_user_may_say_no_and_pkce_may_not_be_left_out() {
    let Some(server) = Server::start() else { return };
    let (flow, state, pkce) =
        (server.flow(), CsrfState::from_entropy(&[5; 32]), Pkce::from_entropy(&[5; 32]));
    let back = server.browse(&flow.authorize_url(&redirect(), &state, Some(&pkce)), false);
    assert_eq!(parameter(&back, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&back, "state").as_deref(), Some(state.as_secret().expose_secret()));
    assert_eq!(parameter(&back, "code"), None);
    // This is how one sees that the challenge above counts.
    let back = server.browse(&flow.authorize_url(&redirect(), &state, None), true);
    assert_eq!(parameter(&back, "error").as_deref(), Some("invalid_request"));
}

#[tokio::test]
async fn an_expired_token_is_refreshed_once_however_many_ask() {
    let Some(server) = Server::start() else { return };
    let flow: Arc<dyn OAuthFlow> = server.flow().into();
    let row = Row::new(server.connect(&*flow).await);
    let first = row.tokens();
    // Our clock, which can stand still while the server's goes on.
    let ahead = Arc::new(AtomicI64::new(0));
    let clock = Arc::clone(&ahead);
    let now = move || Timestamp::now() + SignedDuration::from_secs(clock.load(Ordering::Relaxed));
    let storage = Arc::clone(&row) as Arc<dyn TokenStorage>;
    let credential = Arc::new(RefreshingCredential::new(storage, Arc::clone(&flow), redirect(), now));
    let client = server.client(credential);
    assert_eq!(client.whoami().await.unwrap().account.login, "ada");
    assert_eq!(server.refreshes(), 0, "a good token is left alone");

    // The server finds it expired before we do: it is refused, refreshed, and asked again.
    server.advance(TWO_HOURS + 1);
    assert!(!server.takes(&first.access_token).await);
    let asked = futures_util::future::join_all((0..10).map(|_| client.whoami())).await;
    for identity in asked {
        assert_eq!(identity.unwrap().account.login, "ada");
    }
    assert_eq!(server.refreshes(), 1);
    let second = row.tokens();
    let [old, new] = [&first, &second].map(|tokens| tokens.refresh_token.as_ref().unwrap().expose_secret());
    assert_ne!(old, new, "the server rotates");

    // We find it expired before the server does: refreshed before anything is refused.
    ahead.store(TWO_HOURS - 60, Ordering::Relaxed);
    assert_eq!(client.whoami().await.unwrap().account.login, "ada");
    assert_eq!(server.refreshes(), 2);
    assert_eq!(*row.parked.lock().unwrap(), None);
}

#[tokio::test]
async fn a_refresh_token_that_is_used_twice_ends_the_grant() {
    let Some(server) = Server::start() else { return };
    let flow: Arc<dyn OAuthFlow> = server.flow().into();
    let first = server.connect(&*flow).await;
    let spent = first.refresh_token.clone().unwrap();
    let second = flow.refresh(&spent, &redirect()).await.unwrap();
    assert!(server.takes(&second.access_token).await);

    // Somebody has a copy of the old one.
    let error = flow.refresh(&spent, &redirect()).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::InvalidGrant, Some("refresh the OAuth token")));
    assert!(error.hint().unwrap().starts_with("connect again"), "{error:?}");
    assert!(!server.takes(&second.access_token).await, "the whole grant is revoked");

    let row = Row::new(second);
    let storage = Arc::clone(&row) as Arc<dyn TokenStorage>;
    let credential = RefreshingCredential::new(storage, flow, redirect(), Timestamp::now);
    let error = server.client(Arc::new(credential)).whoami().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidGrant, "{error:?}");
    assert!(row.parked.lock().unwrap().as_deref().is_some_and(|reason| reason.contains("invalid_grant")));
}

#[tokio::test]
async fn revoking_ends_the_tokens() {
    let Some(server) = Server::start() else { return };
    let flow = server.flow();
    let tokens = server.connect(&*flow).await;
    assert!(flow.revoke(&tokens).await.unwrap());
    assert!(!server.takes(&tokens.access_token).await);
    let error = flow.refresh(tokens.refresh_token.as_ref().unwrap(), &redirect()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidGrant);
}

#[tokio::test]
async fn an_application_may_prove_itself_in_the_header() {
    let Some(server) = Server::start() else { return };
    let place = |path: &str| format!("{}{path}", server.origin).parse::<Url>().unwrap();
    // A secret that has to be encoded before it goes into Basic (RFC 6749, section 2.3.1).
    let app = OAuthApp {
        client_id: "in-header".to_owned(),
        client_secret: "secret: in/header+%".to_owned().into(),
        scopes: Vec::new(),
    };
    let grant = CodeGrant::new(
        http_client(),
        ForgeKind::GITLAB,
        place("/oauth/authorize"),
        place("/oauth/token"),
        &app,
    )
    .with_basic_auth();
    let (state, pkce) = (CsrfState::from_entropy(&[6; 32]), Pkce::from_entropy(&[6; 32]));
    let page = grant.authorize_url(&redirect(), &state, Some(&pkce), &["read_user"], &[]);
    let code = parameter(&server.browse(&page, true), "code").unwrap().into();
    let tokens = grant.exchange(&code, &redirect(), Some(&pkce)).await.unwrap();
    assert!(server.takes(&tokens.access_token).await);
    let refreshed = grant.refresh(tokens.refresh_token.as_ref().unwrap(), Some(&redirect())).await.unwrap();
    assert!(server.takes(&refreshed.access_token).await);
}
