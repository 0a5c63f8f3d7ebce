//! The authorization-code flow of an OAuth consumer.

use async_trait::async_trait;
use forge_core::{CsrfState, ForgeKind, OAuthApp, OAuthFlow, Pkce, Result, TokenSet};
use forge_http::{CodeGrant, HttpClient};
use secrecy::SecretString;
use url::Url;

use crate::provider::append;

#[derive(Debug)]
pub(crate) struct BitbucketCloudOAuth {
    grant: CodeGrant,
    scopes: Vec<String>,
}

impl BitbucketCloudOAuth {
    pub(crate) fn new(http: HttpClient, oauth_url: &Url, app: &OAuthApp) -> Result<Self> {
        let authorize_url = append(oauth_url, "authorize")?;
        let token_url = append(oauth_url, "access_token")?;
        let grant = CodeGrant::new(http, ForgeKind::BITBUCKET_CLOUD, authorize_url, token_url, app);
        // developer.atlassian.com/cloud/bitbucket/oauth-2: the client proves itself by HTTP Basic.
        Ok(Self { grant: grant.with_basic_auth(), scopes: app.scopes.clone() })
    }
}

#[async_trait]
impl OAuthFlow for BitbucketCloudOAuth {
    /// No scope unless the application names some: one that is not ticked at the consumer ends in `invalid_scope`,
    /// none grants what is ticked. PKCE is not documented and not sent.
    fn authorize_url(&self, redirect: &Url, state: &CsrfState, _pkce: Option<&Pkce>) -> Url {
        let scopes: Vec<&str> = self.scopes.iter().map(String::as_str).collect();
        self.grant.authorize_url(redirect, state, None, &scopes, &[])
    }

    async fn exchange_code(
        &self,
        code: &SecretString,
        redirect: &Url,
        _pkce: Option<&Pkce>,
    ) -> Result<TokenSet> {
        self.grant.exchange(code, redirect, None).await
    }

    /// Since May 2026 every refresh gives a new refresh token and ends the old one.
    async fn refresh(&self, refresh_token: &SecretString, _redirect: &Url) -> Result<TokenSet> {
        self.grant.refresh(refresh_token, None).await
    }

    /// There is no documented endpoint; the user removes the grant in the account's settings.
    async fn revoke(&self, _tokens: &TokenSet) -> Result<bool> {
        Ok(false)
    }
}
