//! OAuth 2.0 with PKCE and rotating refresh tokens: docs api/oauth2.md.

#![expect(
    clippy::disallowed_methods,
    reason = "codes, verifiers and tokens go into the requests of the flow"
)]

use std::sync::Arc;

use async_trait::async_trait;
use forge_core::{
    Credential, CsrfState, ForgeKind, Instance, OAuthApp, OAuthFlow, Pkce, Result, StaticCredential, TokenSet,
};
use forge_http::{ApiClient, CodeGrant, HttpClient};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::client::{GitLabDialect, append};

/// `api` covers the other two; they are asked for because applications are registered with all three.
const DEFAULT_SCOPES: [&str; 3] = ["api", "read_user", "read_api"];

/// One application at one instance.
#[derive(Debug)]
pub(crate) struct GitLabOAuth {
    grant: CodeGrant,
    /// Without a credential: the endpoints take the application's own.
    plain: ApiClient,
    app: OAuthApp,
}

impl GitLabOAuth {
    pub(crate) fn new(http: HttpClient, instance: &Instance, app: &OAuthApp) -> Result<Self> {
        let base = instance.oauth_base_url().unwrap_or_else(|| instance.base_url()).clone();
        http.check_url(&base)?;
        let authorize_url = append(&base, "oauth/authorize")?;
        let token_url = append(&base, "oauth/token")?;
        // Id and secret go into the body and nowhere else: a client that tries one way and then the other spends a
        // refresh token with the first try.
        let grant = CodeGrant::new(http.clone(), ForgeKind::GITLAB, authorize_url, token_url, app);
        let nobody = Arc::new(StaticCredential::new(Credential::none()));
        let plain = ApiClient::new(http, base, nobody, Arc::new(GitLabDialect));
        Ok(Self { grant, plain, app: app.clone() })
    }

    async fn revoke_one(&self, token: &SecretString) -> Result<()> {
        let (secret, token) = (self.app.client_secret.expose_secret(), token.expose_secret());
        let form = [("client_id", self.app.client_id.as_str()), ("client_secret", secret), ("token", token)];
        self.plain
            .post("oauth/revoke")
            .operation("revoke the OAuth token")
            .form(&form)
            .repeatable()
            .send()
            .await?;
        Ok(())
    }
}

#[async_trait]
impl OAuthFlow for GitLabOAuth {
    fn authorize_url(&self, redirect: &Url, state: &CsrfState, pkce: Option<&Pkce>) -> Url {
        let asked: Vec<&str> = self.app.scopes.iter().map(String::as_str).collect();
        let scopes = if asked.is_empty() { &DEFAULT_SCOPES[..] } else { &asked[..] };
        self.grant.authorize_url(redirect, state, pkce, scopes, &[])
    }

    async fn exchange_code(
        &self,
        code: &SecretString,
        redirect: &Url,
        pkce: Option<&Pkce>,
    ) -> Result<TokenSet> {
        self.grant.exchange(code, redirect, pkce).await
    }

    async fn refresh(&self, refresh_token: &SecretString, redirect: &Url) -> Result<TokenSet> {
        self.grant.refresh(refresh_token, Some(redirect)).await
    }

    async fn revoke(&self, tokens: &TokenSet) -> Result<bool> {
        self.revoke_one(&tokens.access_token).await?;
        // Both are one row at GitLab, unless the pair was rotated meanwhile and this access token is an older one.
        if let Some(refresh_token) = &tokens.refresh_token {
            self.revoke_one(refresh_token).await?;
        }
        Ok(true)
    }
}
