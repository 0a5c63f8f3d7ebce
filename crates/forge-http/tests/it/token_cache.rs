//! Tokens that are refreshed once, however many ask.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use forge_core::{
    Credential, CredentialKind, CredentialProvider, CsrfState, Error, ErrorKind, OAuthFlow, Pkce, Result,
    TokenSet,
};
use forge_http::{Lease, RefreshingCredential, StoredTokens, TokenStorage};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{Notify, Semaphore};
use url::Url;

fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn tokens(number: usize, life: Option<i64>) -> TokenSet {
    TokenSet {
        access_token: format!("access-{number}").into(),
        refresh_token: Some(format!("refresh-{number}").into()),
        expires_at: life.map(|seconds| now() + SignedDuration::from_secs(seconds)),
        scopes: Vec::new(),
    }
}

/// A database of one row, shared by "processes".
#[derive(Debug)]
struct Row {
    stored: Mutex<StoredTokens>,
    lease: Mutex<Option<Lease>>,
    leases: AtomicUsize,
    parked: Mutex<Vec<String>>,
    commit_faults: AtomicUsize,
    /// Saved by somebody else just before the next lease is given.
    before_lease: Mutex<Option<TokenSet>>,
    asked: Notify,
}

impl Row {
    fn new(tokens: TokenSet) -> Arc<Self> {
        Arc::new(Self {
            stored: Mutex::new(StoredTokens { tokens, generation: 1 }),
            lease: Mutex::default(),
            leases: AtomicUsize::new(0),
            parked: Mutex::default(),
            commit_faults: AtomicUsize::new(0),
            before_lease: Mutex::default(),
            asked: Notify::new(),
        })
    }

    fn set(&self, tokens: TokenSet) {
        let mut stored = self.stored.lock().unwrap();
        stored.tokens = tokens;
        stored.generation += 1;
    }

    fn access(&self) -> String {
        self.stored.lock().unwrap().tokens.access_token.expose_secret().to_owned()
    }

    fn is_free(&self) -> bool {
        self.lease.lock().unwrap().is_none()
    }
}

#[async_trait]
impl TokenStorage for Row {
    async fn load(&self) -> Result<StoredTokens> {
        Ok(self.stored.lock().unwrap().clone())
    }

    async fn lease(&self) -> Result<Option<Lease>> {
        self.asked.notify_one();
        let saved = self.before_lease.lock().unwrap().take();
        if let Some(tokens) = saved {
            self.set(tokens);
        }
        let mut held = self.lease.lock().unwrap();
        if held.is_some() {
            return Ok(None);
        }
        let lease = Lease::new(self.leases.fetch_add(1, Ordering::SeqCst).to_string());
        *held = Some(lease.clone());
        Ok(Some(lease))
    }

    async fn commit(&self, lease: &Lease, tokens: &TokenSet) -> Result<()> {
        if self.commit_faults.load(Ordering::SeqCst) > 0 {
            self.commit_faults.fetch_sub(1, Ordering::SeqCst);
            return Err(Error::new(ErrorKind::Unreachable, "the database is away"));
        }
        let mut held = self.lease.lock().unwrap();
        if held.as_ref() != Some(lease) {
            return Err(Error::new(ErrorKind::Conflict, "the lease is lost"));
        }
        *held = None;
        self.set(tokens.clone());
        Ok(())
    }

    async fn release(&self, lease: Lease) {
        let mut held = self.lease.lock().unwrap();
        if held.as_ref() == Some(&lease) {
            *held = None;
        }
    }

    async fn park(&self, reason: &str) -> Result<()> {
        self.parked.lock().unwrap().push(reason.to_owned());
        Ok(())
    }
}

/// A forge whose refresh tokens work once; using one twice kills the grant.
#[derive(Debug)]
struct Forge {
    current: Mutex<String>,
    refreshes: AtomicUsize,
    outcomes: Mutex<VecDeque<ErrorKind>>,
    is_killed: AtomicBool,
    life: Option<i64>,
    gate: Option<Arc<Semaphore>>,
    row: Mutex<Option<(Arc<Row>, TokenSet)>>,
}

impl Forge {
    fn new() -> Self {
        Self {
            current: Mutex::new("refresh-0".to_owned()),
            refreshes: AtomicUsize::new(0),
            outcomes: Mutex::default(),
            is_killed: AtomicBool::new(false),
            life: Some(7200),
            gate: None,
            row: Mutex::default(),
        }
    }

    fn failing(kinds: &[ErrorKind]) -> Self {
        let forge = Self::new();
        forge.outcomes.lock().unwrap().extend(kinds);
        forge
    }

    fn count(&self) -> usize {
        self.refreshes.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl OAuthFlow for Forge {
    fn authorize_url(&self, redirect: &Url, _state: &CsrfState, _pkce: Option<&Pkce>) -> Url {
        redirect.clone()
    }

    async fn exchange_code(
        &self,
        _code: &SecretString,
        _redirect: &Url,
        _pkce: Option<&Pkce>,
    ) -> Result<TokenSet> {
        Err(Error::new(ErrorKind::Unsupported, "not in this test"))
    }

    async fn refresh(&self, refresh_token: &SecretString, _redirect: &Url) -> Result<TokenSet> {
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        let number = self.refreshes.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some((row, tokens)) = self.row.lock().unwrap().take() {
            row.set(tokens);
        }
        if let Some(kind) = self.outcomes.lock().unwrap().pop_front() {
            return Err(Error::new(kind, "as the test wants"));
        }
        let mut current = self.current.lock().unwrap();
        if *current != refresh_token.expose_secret() || self.is_killed.load(Ordering::SeqCst) {
            self.is_killed.store(true, Ordering::SeqCst);
            return Err(Error::new(ErrorKind::InvalidGrant, "spent"));
        }
        *current = format!("refresh-{number}");
        Ok(tokens(number, self.life))
    }

    async fn revoke(&self, _tokens: &TokenSet) -> Result<bool> {
        Ok(false)
    }
}

fn provider(row: &Arc<Row>, forge: &Arc<Forge>) -> RefreshingCredential {
    let redirect = Url::parse("https://rca.example/callback").unwrap();
    RefreshingCredential::new(Arc::clone(row) as _, Arc::clone(forge) as _, redirect, now)
}

fn text(credential: &Credential) -> String {
    credential.secret().expose_secret().to_owned()
}

fn rejected(number: usize) -> Credential {
    Credential::new(CredentialKind::OAuth, format!("access-{number}").into())
}

#[tokio::test]
async fn a_good_token_is_given_without_a_refresh() {
    let (row, forge) = (Row::new(tokens(0, Some(3600))), Arc::new(Forge::new()));
    let provider = provider(&row, &forge);
    let credential = provider.credential().await.unwrap();
    assert_eq!(text(&credential), "access-0");
    assert_eq!(credential.kind(), CredentialKind::OAuth);
    assert!(!format!("{provider:?}").contains("access-0"));
    let for_ever = Row::new(tokens(0, None));
    assert_eq!(text(&self::provider(&for_ever, &forge).credential().await.unwrap()), "access-0");
    assert_eq!(forge.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn fifty_tasks_in_two_processes_refresh_once() {
    let (row, forge) = (Row::new(tokens(0, Some(-1))), Arc::new(Forge::new()));
    let processes = [provider(&row, &forge), provider(&row, &forge)];
    let tasks = (0..50).map(|number| {
        let provider = processes[number % 2].clone();
        tokio::spawn(async move {
            if number % 3 == 0 { provider.refresh(&rejected(0)).await } else { provider.credential().await }
        })
    });
    for task in futures_util::future::join_all(tasks).await {
        assert_eq!(text(&task.unwrap().unwrap()), "access-1");
    }
    assert_eq!(forge.count(), 1);
    assert!(
        !forge.is_killed.load(Ordering::SeqCst) && row.is_free() && row.parked.lock().unwrap().is_empty()
    );
}

#[tokio::test]
async fn a_token_is_refreshed_shortly_before_it_expires() {
    // At first sight a token with this many seconds left is taken as it is; time passes afterwards.
    let clock = Arc::new(Mutex::new(now()));
    let (row, forge) = (Row::new(tokens(0, Some(7200))), Arc::new(Forge::new()));
    let read = Arc::clone(&clock);
    let redirect = Url::parse("https://rca.example/callback").unwrap();
    let provider =
        RefreshingCredential::new(Arc::clone(&row) as _, Arc::clone(&forge) as _, redirect, move || {
            *read.lock().unwrap()
        });
    let at = |seconds: i64| *clock.lock().unwrap() = now() + SignedDuration::from_secs(seconds);
    for (seconds, expected) in [(0, "access-0"), (6899, "access-0"), (6901, "access-1")] {
        at(seconds);
        assert_eq!(text(&provider.credential().await.unwrap()), expected, "{seconds}");
    }
    assert_eq!(forge.count(), 1);
}

#[tokio::test]
async fn a_token_of_short_life_is_not_refreshed_on_every_use() {
    let mut forge = Forge::new();
    forge.life = Some(60);
    let (row, forge) = (Row::new(tokens(0, Some(-1))), Arc::new(forge));
    let provider = provider(&row, &forge);
    for _ in 0..5 {
        assert_eq!(text(&provider.credential().await.unwrap()), "access-1");
    }
    assert_eq!(forge.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lease_of_another_process_is_waited_for() {
    let (row, forge) = (Row::new(tokens(0, Some(-1))), Arc::new(Forge::new()));
    let other = row.lease().await.unwrap().unwrap();
    row.asked.notified().await;
    let provider = provider(&row, &forge);
    let waiting = tokio::spawn(async move { provider.credential().await });
    row.asked.notified().await;
    row.commit(&other, &tokens(9, Some(7200))).await.unwrap();
    assert_eq!(text(&waiting.await.unwrap().unwrap()), "access-9");
    assert_eq!(forge.count(), 0);
}

#[tokio::test]
async fn what_was_saved_just_before_our_lease_is_not_refreshed_again() {
    let (row, forge) = (Row::new(tokens(0, Some(-1))), Arc::new(Forge::new()));
    *row.before_lease.lock().unwrap() = Some(tokens(9, Some(7200)));
    assert_eq!(text(&provider(&row, &forge).credential().await.unwrap()), "access-9");
    assert_eq!(forge.count(), 0);
    assert!(row.is_free());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_never_ends_is_no_wait_for_ever() {
    let (row, forge) = (Row::new(tokens(0, Some(-1))), Arc::new(Forge::new()));
    let _held = row.lease().await.unwrap().unwrap();
    let error = provider(&row, &forge).credential().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(forge.count(), 0);
}

#[tokio::test]
async fn a_dead_grant_is_parked_once_known() {
    let (row, forge) = (Row::new(tokens(0, Some(-1))), Arc::new(Forge::failing(&[ErrorKind::InvalidGrant])));
    let error = provider(&row, &forge).credential().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidGrant);
    assert_eq!(row.parked.lock().unwrap().len(), 1);
    assert!(row.is_free());
}

#[tokio::test]
async fn a_spent_token_is_no_dead_grant_when_somebody_has_the_new_one() {
    let forge = Forge::failing(&[ErrorKind::InvalidGrant]);
    let row = Row::new(tokens(0, Some(-1)));
    *forge.row.lock().unwrap() = Some((Arc::clone(&row), tokens(9, Some(7200))));
    let forge = Arc::new(forge);
    assert_eq!(text(&provider(&row, &forge).credential().await.unwrap()), "access-9");
    assert!(row.parked.lock().unwrap().is_empty() && row.is_free());
}

#[tokio::test]
async fn a_lost_network_parks_nothing() {
    for kind in [ErrorKind::Unreachable, ErrorKind::Timeout, ErrorKind::Forge, ErrorKind::RateLimited] {
        let (row, forge) = (Row::new(tokens(0, Some(-1))), Arc::new(Forge::failing(&[kind])));
        let provider = provider(&row, &forge);
        assert_eq!(provider.credential().await.unwrap_err().kind(), kind);
        assert!(row.parked.lock().unwrap().is_empty() && row.is_free());
        assert_eq!(
            text(&provider.credential().await.unwrap()),
            "access-2",
            "and it works when the network is back"
        );
    }
}

#[tokio::test]
async fn an_early_refresh_that_fails_leaves_the_good_token() {
    let clock = Arc::new(Mutex::new(now()));
    let (row, forge) = (Row::new(tokens(0, Some(7200))), Arc::new(Forge::failing(&[ErrorKind::Unreachable])));
    let read = Arc::clone(&clock);
    let redirect = Url::parse("https://rca.example/callback").unwrap();
    let provider =
        RefreshingCredential::new(Arc::clone(&row) as _, Arc::clone(&forge) as _, redirect, move || {
            *read.lock().unwrap()
        });
    provider.credential().await.unwrap();
    *clock.lock().unwrap() = now() + SignedDuration::from_secs(7000);
    assert_eq!(text(&provider.credential().await.unwrap()), "access-0");
    assert_eq!(forge.count(), 1);
}

#[tokio::test]
async fn a_rejected_token_is_replaced_and_a_new_one_that_is_rejected_at_once_is_not() {
    let (row, forge) = (Row::new(tokens(0, Some(3600))), Arc::new(Forge::new()));
    let provider = provider(&row, &forge);
    assert_eq!(text(&provider.refresh(&rejected(0)).await.unwrap()), "access-1");
    assert_eq!(text(&provider.refresh(&rejected(0)).await.unwrap()), "access-1", "somebody was late");
    let error = provider.refresh(&rejected(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(forge.count(), 1);
    assert!(row.is_free() && row.parked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn without_a_refresh_token_a_rejected_token_is_the_end() {
    let mut only = tokens(0, None);
    only.refresh_token = None;
    let (row, forge) = (Row::new(only), Arc::new(Forge::new()));
    let error = provider(&row, &forge).refresh(&rejected(0)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(row.is_free() && forge.count() == 0);
}

#[tokio::test(start_paused = true)]
async fn the_new_pair_is_saved_before_it_is_used() {
    let (row, forge) = (Row::new(tokens(0, Some(-1))), Arc::new(Forge::new()));
    row.commit_faults.store(2, Ordering::SeqCst);
    let credential = provider(&row, &forge).credential().await.unwrap();
    assert_eq!(text(&credential), row.access());
    assert_eq!(forge.count(), 1);

    let (row, forge) = (Row::new(tokens(0, Some(-1))), Arc::new(Forge::new()));
    row.commit_faults.store(1000, Ordering::SeqCst);
    assert_eq!(provider(&row, &forge).credential().await.unwrap_err().kind(), ErrorKind::Unreachable);
    assert_eq!(row.access(), "access-0");
}

#[tokio::test]
async fn a_refresh_ends_even_when_nobody_waits_for_it() {
    let gate = Arc::new(Semaphore::new(0));
    let mut forge = Forge::new();
    forge.gate = Some(Arc::clone(&gate));
    let (row, forge) = (Row::new(tokens(0, Some(-1))), Arc::new(forge));
    let provider = provider(&row, &forge);
    let caller = provider.clone();
    let waiting = tokio::spawn(async move { caller.credential().await });
    row.asked.notified().await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    gate.add_permits(1);
    let credential =
        tokio::time::timeout(Duration::from_secs(10), provider.credential()).await.unwrap().unwrap();
    assert_eq!((text(&credential).as_str(), row.access().as_str()), ("access-1", "access-1"));
    assert_eq!(forge.count(), 1);
}
