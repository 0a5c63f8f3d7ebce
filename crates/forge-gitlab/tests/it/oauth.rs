//! The whole OAuth flow against the fake.

use std::sync::Arc;

use forge_core::{
    Credential, CredentialKind, CsrfState, ErrorKind, OAuthFlow, Pkce, Provider, StaticCredential,
};
use forge_gitlab::GitLab;
use forge_testkit::{FakeGitLab, FakeOptions};
use secrecy::ExposeSecret;
use url::Url;

use crate::support;

const REDIRECT: &str = "https://rca.example/v1/integrations/gitlab/callback";

fn flow(fake: &FakeGitLab) -> Box<dyn OAuthFlow> {
    let app = fake.add_oauth_app(&[REDIRECT], &["api", "read_user", "read_api"], true);
    GitLab::new(support::http()).oauth(&fake.instance(), &app.oauth_app()).unwrap().unwrap()
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn code_flow_with_pkce_rotation_reuse_and_revocation() {
    // Under a sub-path, which every address has to keep.
    let fake = FakeGitLab::start_with(&FakeOptions::new().with_root("/gitlab")).await;
    let flow = flow(&fake);
    let redirect: Url = REDIRECT.parse().unwrap();
    let (state, pkce) = (CsrfState::from_entropy(&[7; 32]), Pkce::from_entropy(&[9; 32]));
    let url = flow.authorize_url(&redirect, &state, Some(&pkce));
    assert!(
        url.as_str()
            .starts_with(&format!("{}/oauth/authorize?", fake.base_url().as_str().trim_end_matches('/')))
    );
    assert_eq!(parameter(&url, "scope").as_deref(), Some("api read_user read_api"));
    assert_eq!(parameter(&url, "code_challenge_method").as_deref(), Some("S256"));
    assert_eq!(parameter(&url, "response_type").as_deref(), Some("code"));
    assert!(!url.as_str().contains(pkce.verifier().expose_secret()), "the verifier never leaves the server");

    let back = fake.browse(&url).await.unwrap();
    assert_eq!(parameter(&back, "state").as_deref(), Some(state.as_secret().expose_secret()));
    let code = parameter(&back, "code").unwrap().into();
    let wrong = Pkce::from_entropy(&[1; 32]);
    let error = flow.exchange_code(&code, &redirect, Some(&wrong)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidGrant, "{error}");

    let back = fake.browse(&url).await.unwrap();
    let code = parameter(&back, "code").unwrap().into();
    let first = flow.exchange_code(&code, &redirect, Some(&pkce)).await.unwrap();
    assert!(first.expires_at.is_some());
    let credential = Credential::new(CredentialKind::OAuth, first.access_token.clone());
    let client = support::connect_with(&fake.instance(), Arc::new(StaticCredential::new(credential)));
    let identity = client.whoami().await.unwrap();
    assert!(identity.scopes.unwrap().contains(&"api".to_owned()));
    assert!(identity.missing_scopes.is_empty() && identity.expires_at.is_some());
    let refresh = first.refresh_token.clone().unwrap();
    let second = flow.refresh(&refresh, &redirect).await.unwrap();
    assert_ne!(second.access_token.expose_secret(), first.access_token.expose_secret());
    // Both old tokens are dead now.
    assert!(!fake.is_token_valid(&first.access_token));
    assert!(fake.is_token_valid(&second.access_token));
    let error = flow.refresh(&refresh, &redirect).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidGrant);
    assert!(!format!("{error:?}").contains(refresh.expose_secret()));

    let back = fake.browse(&url).await.unwrap();
    let code = parameter(&back, "code").unwrap().into();
    let third = flow.exchange_code(&code, &redirect, Some(&pkce)).await.unwrap();
    assert!(flow.revoke(&third).await.unwrap());
    assert!(!fake.is_token_valid(&third.access_token));
    let error = flow.refresh(&third.refresh_token.clone().unwrap(), &redirect).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidGrant);
    assert!(fake.unknown_requests().is_empty(), "{:?}", fake.unknown_requests());
}

#[tokio::test]
async fn a_code_is_never_sent_twice() {
    let fake = FakeGitLab::start().await;
    let flow = flow(&fake);
    fake.fail_next("POST", "/oauth/token", forge_testkit::Fault::Status(503));
    let error = flow.exchange_code(&"c0de".into(), &REDIRECT.parse().unwrap(), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forge);
    assert_eq!(fake.count("POST", "/oauth/token"), 1);
}
