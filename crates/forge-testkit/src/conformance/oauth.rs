//! The OAuth code flow.

#![expect(
    clippy::disallowed_methods,
    reason = "codes, verifiers and tokens go into the requests of the flow"
)]

use std::time::Duration;

use forge_core::{
    CsrfState, ErrorKind, OAuthApp, OAuthFlow, Pkce, TokenSet,
    credential::{Credential, CredentialKind, StaticCredential},
};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use url::Url;

use super::{Harness, assert_no_unknown_request, shop};

const REDIRECT: &str = "http://127.0.0.1:4999/v1/integrations/callback";
const SCOPES: &[&str] = &[
    "api",
    "read_api",
    "read_user",
    "repo",
    "read:user",
    "user:email",
    "read:org",
    "admin:repo_hook",
    "account",
    "team",
    "project",
    "repository",
    "pullrequest:write",
    "webhook",
    "pipeline",
    "REPO_ADMIN",
];

struct Flow {
    app: OAuthApp,
    flow: Box<dyn OAuthFlow>,
    redirect: Url,
    pkce: Pkce,
}

/// `None` where the forge has no OAuth: then the adapter has no flow either.
fn flow<H: Harness>(harness: &H) -> Option<Flow> {
    let app = harness.fake().add_oauth_app(&[REDIRECT], SCOPES, false).oauth_app();
    let flow = harness.provider().oauth(&harness.fake().instance(), &app).expect("the address is good");
    assert_eq!(flow.is_some(), harness.provider().capabilities().oauth, "flow and capability differ");
    let redirect = Url::parse(REDIRECT).expect("a URL");
    Some(Flow { app, flow: flow?, redirect, pkce: Pkce::from_entropy(&[7; 32]) })
}

impl Flow {
    /// Plays the user: opens the authorize page, agrees, and brings back the code.
    async fn code<H: Harness>(&self, harness: &H) -> SecretString {
        let state = CsrfState::from_entropy(&[9; 32]);
        let page = self.flow.authorize_url(&self.redirect, &state, Some(&self.pkce));
        let back = harness.fake().browse(&page).await.expect("the authorize page redirects");
        let query =
            |name: &str| back.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        assert_eq!(query("state").as_deref(), Some(state.as_secret().expose_secret()));
        SecretString::from(query("code").unwrap_or_else(|| panic!("no code: {:?}", query("error"))))
    }

    async fn tokens<H: Harness>(&self, harness: &H) -> TokenSet {
        let code = self.code(harness).await;
        let exchanged = self.flow.exchange_code(&code, &self.redirect, Some(&self.pkce)).await;
        exchanged.expect("the code is good")
    }
}

async fn works<H: Harness>(harness: &H, token: &SecretString) -> bool {
    let credential = Credential::new(CredentialKind::OAuth, token.clone());
    let credentials = Arc::new(StaticCredential::new(credential));
    let client = harness.provider().connect(&harness.fake().instance(), credentials);
    match client.expect("the address is good").whoami().await {
        Ok(identity) => identity.account.login == "rca-bot",
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
            false
        }
    }
}

/// From the authorize page to a token that works.
pub async fn code_flow_works<H: Harness>() {
    let harness = H::start().await;
    let Some(flow) = flow(&harness) else { return };
    shop(harness.fake());
    let tokens = flow.tokens(&harness).await;
    assert!(works(&harness, &tokens.access_token).await);
    assert_eq!(tokens.scopes.is_empty(), !harness.fake().tells_scopes(), "the granted scopes are told");
    assert_no_unknown_request(harness.fake());
}

/// Where PKCE is used, a stolen code is worth nothing.
pub async fn wrong_verifier_is_refused<H: Harness>() {
    let harness = H::start().await;
    let Some(flow) = flow(&harness) else { return };
    if !harness.provider().capabilities().oauth_pkce {
        return;
    }
    let state = CsrfState::from_entropy(&[9; 32]);
    let page = flow.flow.authorize_url(&flow.redirect, &state, Some(&flow.pkce));
    if !page.query_pairs().any(|(name, _)| name == "code_challenge") {
        // Some forges have it on their public instance only.
        return;
    }
    let code = flow.code(&harness).await;
    let wrong = Pkce::from_entropy(&[8; 32]);
    let error = flow.flow.exchange_code(&code, &flow.redirect, Some(&wrong)).await;
    assert_eq!(error.expect_err("the verifier is wrong").kind(), ErrorKind::InvalidGrant);
}

/// A code works once, and no secret shows in the error.
pub async fn code_works_once<H: Harness>() {
    let harness = H::start().await;
    let Some(flow) = flow(&harness) else { return };
    let code = flow.code(&harness).await;
    let first = flow.flow.exchange_code(&code, &flow.redirect, Some(&flow.pkce)).await;
    first.expect("the code is good once");
    let error = flow.flow.exchange_code(&code, &flow.redirect, Some(&flow.pkce)).await;
    let error = error.expect_err("the code is spent");
    assert_eq!(error.kind(), ErrorKind::InvalidGrant, "{error:?}");
    let text = format!("{error} {error:?}");
    for secret in [&code, &flow.app.client_secret, flow.pkce.verifier()] {
        assert!(!text.contains(secret.expose_secret()), "a secret in the error");
    }
}

/// A wrong client secret is the application's fault, not the user's.
pub async fn wrong_client_secret_is_refused<H: Harness>() {
    let harness = H::start().await;
    let Some(mut flow) = flow(&harness) else { return };
    let code = flow.code(&harness).await;
    flow.app.client_secret = SecretString::from("wrong".to_owned());
    let bad = harness.provider().oauth(&harness.fake().instance(), &flow.app).expect("the address is good");
    let error = bad.expect("a flow").exchange_code(&code, &flow.redirect, Some(&flow.pkce)).await;
    let error = error.expect_err("the application is not believed");
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    assert!(error.hint().is_some(), "no remedy: {error:?}");
}

/// A refresh gives a new pair that works, and ends the old one.
pub async fn refresh_rotates<H: Harness>() {
    let harness = H::start().await;
    let Some(flow) = flow(&harness) else { return };
    harness.fake().set_access_token_lifetime(Some(Duration::from_secs(7200)));
    let old = flow.tokens(&harness).await;
    if !harness.provider().capabilities().oauth_refresh {
        return;
    }
    let refresh_token = old.refresh_token.clone().expect("the forge gave one");
    assert!(old.expires_at.is_some(), "the end of life is told");
    let new = flow.flow.refresh(&refresh_token, &flow.redirect).await.expect("the refresh token is good");
    assert!(works(&harness, &new.access_token).await);
    assert!(!works(&harness, &old.access_token).await, "the old access token still works");
    let next = new.refresh_token.expect("a new one");
    flow.flow.refresh(&next, &flow.redirect).await.expect("the new refresh token is good");
    assert_eq!((harness.fake().refreshes(), harness.fake().invalid_grants()), (2, 0));
}

/// A refresh token that is shown twice ends the grant: the error says so, and nothing is tried again.
pub async fn reused_refresh_token_kills_the_grant<H: Harness>() {
    let harness = H::start().await;
    let Some(flow) = flow(&harness) else { return };
    if !harness.provider().capabilities().oauth_refresh {
        return;
    }
    harness.fake().set_access_token_lifetime(Some(Duration::from_secs(7200)));
    let old = flow.tokens(&harness).await.refresh_token.expect("the forge gave one");
    let new = flow.flow.refresh(&old, &flow.redirect).await.expect("the first use is good");
    let error = flow.flow.refresh(&old, &flow.redirect).await.expect_err("it is spent");
    assert_eq!(error.kind(), ErrorKind::InvalidGrant, "{error:?}");
    assert_eq!(harness.fake().invalid_grants(), 1, "it was tried again");
    assert!(!works(&harness, &new.access_token).await, "the grant is dead");
}

/// Revoking ends what was granted, or says that the forge has no way to.
pub async fn revoke_ends_the_grant<H: Harness>() {
    let harness = H::start().await;
    let Some(flow) = flow(&harness) else { return };
    let tokens = flow.tokens(&harness).await;
    if flow.flow.revoke(&tokens).await.expect("revoking works") {
        assert!(!works(&harness, &tokens.access_token).await, "the token still works");
        assert_eq!(harness.fake().live_grants(), 0);
    }
    assert_no_unknown_request(harness.fake());
}
