//! OAuth tokens that are refreshed once, however many ask, in one process or in several.

#![expect(
    clippy::disallowed_methods,
    reason = "the secret is used here, where it goes into a request, a cipher or a hash"
)]

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use forge_core::{
    Credential, CredentialKind, CredentialProvider, Error, ErrorKind, OAuthFlow, Result, Retry, TokenSet,
    secret,
};
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};
use url::Url;

/// A token is refreshed this long before it expires, or at 90 % of its life, whichever is later.
const EARLY: SignedDuration = SignedDuration::from_mins(5);
/// How long somebody else's refresh is waited for.
const LONGEST_LEASE_WAIT: Duration = Duration::from_secs(30);
/// How often the storage is asked meanwhile.
const LEASE_POLL: Duration = Duration::from_millis(200);
/// Tries to save a new pair: the old one is spent by then.
const COMMIT_TRIES: u32 = 4;
/// A token that is rejected this soon after it was given is not refreshed again.
const REJECTED_TOO_SOON: Duration = Duration::from_secs(60);

/// Where the tokens of one integration are kept, shared by all processes.
#[async_trait]
pub trait TokenStorage: fmt::Debug + Send + Sync {
    /// The tokens as they are now.
    ///
    /// # Errors
    /// When they cannot be read, or when the integration is parked or gone.
    async fn load(&self) -> Result<StoredTokens>;

    /// Takes the right to refresh. `None`: somebody else has it; wait and load again. A lease ends by itself after a
    /// time that is longer than a token request may take.
    async fn lease(&self) -> Result<Option<Lease>>;

    /// Replaces the tokens, raises the generation and ends the lease, in one transaction.
    ///
    /// # Errors
    /// When the lease is no longer held: nothing is written then.
    async fn commit(&self, lease: &Lease, tokens: &TokenSet) -> Result<()>;

    /// Ends the lease without a change. A failure only means that the lease ends by its time.
    async fn release(&self, lease: Lease);

    /// Marks the integration as in need of a new connection. `reason` holds no secret. Nothing that waits is lost.
    async fn park(&self, reason: &str) -> Result<()>;
}

/// Tokens with the count of their changes.
#[derive(Debug, Clone)]
pub struct StoredTokens {
    /// The tokens.
    pub tokens: TokenSet,
    /// Raised by every change: [`TokenStorage::commit`], and a new connection by the user.
    pub generation: u64,
}

/// The right to refresh, as the storage names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The storage's token of this lease; no two leases share one.
    pub id: String,
}

impl Lease {
    /// A lease called `id`.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into() }
    }
}

/// Gives an integration's OAuth token and refreshes it in single flight.
///
/// The refresh runs to its end even when the request that caused it is dropped: between the forge's answer and the
/// commit lies the only copy of the new pair.
#[derive(Clone)]
pub struct RefreshingCredential(Arc<Inner>);

struct Inner {
    storage: Arc<dyn TokenStorage>,
    flow: Arc<dyn OAuthFlow>,
    redirect: Url,
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    cached: Mutex<Option<Cached>>,
}

struct Cached {
    stored: StoredTokens,
    credential: Arc<Credential>,
    /// From when on it is to be refreshed.
    refresh_at: Option<Timestamp>,
    /// When this process got it from the forge, if it did.
    obtained_at: Option<Instant>,
}

impl RefreshingCredential {
    /// Gives what `storage` keeps and refreshes it by `flow`. `redirect` is the address that the code was asked with;
    /// `now` tells the time.
    #[must_use]
    pub fn new(
        storage: Arc<dyn TokenStorage>,
        flow: Arc<dyn OAuthFlow>,
        redirect: Url,
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner { storage, flow, redirect, now: Box::new(now), cached: Mutex::new(None) }))
    }

    async fn detached(&self, rejected: Option<Credential>) -> Result<Arc<Credential>> {
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move { inner.current(rejected.as_ref()).await })
            .await
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Unreachable, "the token refresh was interrupted")))
    }
}

impl fmt::Debug for RefreshingCredential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RefreshingCredential")
            .field("storage", &self.0.storage)
            .field("flow", &self.0.flow)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl CredentialProvider for RefreshingCredential {
    async fn credential(&self) -> Result<Arc<Credential>> {
        if let Some(cached) = &*self.0.cached.lock().await
            && !self.0.is_due(cached)
        {
            return Ok(Arc::clone(&cached.credential));
        }
        self.detached(None).await
    }

    async fn refresh(&self, rejected: &Credential) -> Result<Arc<Credential>> {
        self.detached(Some(rejected.clone())).await
    }
}

impl Inner {
    fn is_due(&self, cached: &Cached) -> bool {
        cached.refresh_at.is_some_and(|at| (self.now)() >= at)
    }

    /// The credential to use: not `rejected`, and not about to expire.
    async fn current(&self, rejected: Option<&Credential>) -> Result<Arc<Credential>> {
        // Held to the end: whoever else in this process wants a token waits here and finds the new one.
        let mut cached = self.cached.lock().await;
        if let Some(known) = &*cached
            && !self.is_due(known)
            && !is_rejected(&known.stored.tokens, rejected)
        {
            return Ok(Arc::clone(&known.credential));
        }
        let give_up_at = Instant::now() + LONGEST_LEASE_WAIT;
        loop {
            if let Some(credential) = self.adopt(&mut cached, rejected).await? {
                return Ok(credential);
            }
            if let Some(lease) = self.storage.lease().await?
                && let Some(credential) = self.renew(&mut cached, rejected, lease).await?
            {
                return Ok(credential);
            }
            if Instant::now() >= give_up_at {
                return self.still_good(cached.as_ref(), rejected).ok_or_else(|| {
                    Error::new(ErrorKind::Timeout, "another process is refreshing the token and does not end")
                });
            }
            sleep(LEASE_POLL).await;
        }
    }

    /// Takes over what the storage has; gives it if it can be used as it is.
    async fn adopt(
        &self,
        cached: &mut Option<Cached>,
        rejected: Option<&Credential>,
    ) -> Result<Option<Arc<Credential>>> {
        let stored = self.storage.load().await?;
        if cached.as_ref().is_none_or(|known| known.stored.generation != stored.generation) {
            *cached = Some(self.cache(stored, None));
        }
        Ok(cached
            .as_ref()
            .filter(|known| !self.is_due(known) && !is_rejected(&known.stored.tokens, rejected))
            .map(|known| Arc::clone(&known.credential)))
    }

    /// Refreshes under `lease`. `None`: the tokens have changed meanwhile, so look again.
    async fn renew(
        &self,
        cached: &mut Option<Cached>,
        rejected: Option<&Credential>,
        lease: Lease,
    ) -> Result<Option<Arc<Credential>>> {
        // Somebody may have finished between our look and our lease.
        let adopted = self.adopt(cached, rejected).await;
        let (Ok(None), Some(known)) = (&adopted, cached.as_ref()) else {
            self.storage.release(lease).await;
            return adopted;
        };
        if rejected.is_some() && known.obtained_at.is_some_and(|at| at.elapsed() < REJECTED_TOO_SOON) {
            self.storage.release(lease).await;
            return Err(Error::new(
                ErrorKind::Unauthorized,
                "the forge rejects a token that it has just given",
            )
            .with_hint("check that the user still exists at the forge and is not blocked"));
        }
        let generation = known.stored.generation;
        let Some(refresh_token) = known.stored.tokens.refresh_token.clone() else {
            self.storage.release(lease).await;
            let error = Error::new(
                ErrorKind::Unauthorized,
                "the token is expired or revoked and cannot be refreshed",
            )
            .with_hint("connect again");
            return self.still_good(cached.as_ref(), rejected).ok_or(error).map(Some);
        };
        match self.flow.refresh(&refresh_token, &self.redirect).await {
            Ok(mut tokens) => {
                // A forge that does not rotate may leave the refresh token out (RFC 6749, section 6).
                tokens.refresh_token.get_or_insert(refresh_token);
                self.commit(&lease, &tokens).await?;
                let stored = StoredTokens { tokens, generation: generation + 1 };
                let renewed = self.cache(stored, Some(Instant::now()));
                Ok(Some(Arc::clone(&cached.insert(renewed).credential)))
            }
            Err(error) if error.kind() == ErrorKind::InvalidGrant => {
                // A process whose lease ran out may have used the same refresh token before us and have succeeded.
                let adopted = self.adopt(cached, rejected).await;
                self.storage.release(lease).await;
                let is_unchanged = cached.as_ref().is_some_and(|now| now.stored.generation == generation);
                if matches!(adopted, Ok(None)) && is_unchanged {
                    self.storage
                        .park("the forge no longer accepts the refresh token (invalid_grant)")
                        .await?;
                    return Err(error);
                }
                adopted
            }
            Err(error) => {
                self.storage.release(lease).await;
                // An early refresh that fails does no harm yet.
                self.still_good(cached.as_ref(), rejected).ok_or(error).map(Some)
            }
        }
    }

    /// Saves before anybody uses the new pair. The old one is dead, so a passing fault of the storage is not the end.
    async fn commit(&self, lease: &Lease, tokens: &TokenSet) -> Result<()> {
        let mut tries = 1;
        loop {
            match self.storage.commit(lease, tokens).await {
                Ok(()) => return Ok(()),
                Err(error) if tries >= COMMIT_TRIES || error.retry() == Retry::Never => return Err(error),
                Err(_) => {
                    sleep(Duration::from_millis(100) * 4_u32.pow(tries)).await;
                    tries += 1;
                }
            }
        }
    }

    /// The known credential if it has neither been rejected nor expired.
    fn still_good(&self, cached: Option<&Cached>, rejected: Option<&Credential>) -> Option<Arc<Credential>> {
        let known = cached.filter(|known| !is_rejected(&known.stored.tokens, rejected))?;
        let is_expired = known.stored.tokens.expires_at.is_some_and(|at| at <= (self.now)());
        (!is_expired).then(|| Arc::clone(&known.credential))
    }

    fn cache(&self, stored: StoredTokens, obtained_at: Option<Instant>) -> Cached {
        let tokens = &stored.tokens;
        let credential = Credential::new(CredentialKind::OAuth, tokens.access_token.clone())
            .with_expires_at(tokens.expires_at);
        let refresh_at = tokens.expires_at.map(|expires_at| {
            // Of a short-lived token five minutes could be the whole life, and it would be refreshed without end.
            let remaining = expires_at.duration_since((self.now)()).max(SignedDuration::ZERO);
            let early = EARLY.min(remaining / 10);
            expires_at.checked_sub(early).unwrap_or(expires_at)
        });
        Cached { credential: Arc::new(credential), refresh_at, obtained_at, stored }
    }
}

fn is_rejected(tokens: &TokenSet, rejected: Option<&Credential>) -> bool {
    rejected.is_some_and(|rejected| {
        secret::matches(tokens.access_token.expose_secret().as_bytes(), rejected.secret())
    })
}
