//! The OAuth 2.0 provider that servers of recent versions have ("Bitbucket OAuth 2.0 provider API").

#![expect(
    clippy::disallowed_methods,
    reason = "the application proves itself and the token to be revoked is named"
)]

use std::sync::Arc;

use async_trait::async_trait;
use forge_core::{
    Credential, CsrfState, ErrorKind, ForgeKind, OAuthApp, OAuthFlow, Pkce, Result, StaticCredential,
    TokenSet,
};
use forge_http::{ApiClient, CodeGrant, HttpClient};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::{client::DcDialect, provider::append};

/// Scopes are permissions, and a higher one includes the lower: hooks need the administration of the repository.
const DEFAULT_SCOPES: [&str; 1] = ["REPO_ADMIN"];

#[derive(Debug)]
pub(crate) struct DcOAuth {
    grant: CodeGrant,
    /// The endpoints that take the application's secret in the body.
    api: ApiClient,
    app: OAuthApp,
}

impl DcOAuth {
    pub(crate) fn new(http: HttpClient, root: &Url, app: &OAuthApp) -> Result<Self> {
        let (authorize, token) = (append(root, "authorize")?, append(root, "token")?);
        let nobody = Arc::new(StaticCredential::new(Credential::none()));
        let mut app = app.clone();
        if app.scopes.is_empty() {
            app.scopes = DEFAULT_SCOPES.map(str::to_owned).to_vec();
        }
        Ok(Self {
            grant: CodeGrant::new(http.clone(), ForgeKind::BITBUCKET_DC, authorize, token, &app),
            api: ApiClient::new(http, root.clone(), nobody, Arc::new(DcDialect)),
            app,
        })
    }
}

#[async_trait]
impl OAuthFlow for DcOAuth {
    fn authorize_url(&self, redirect: &Url, state: &CsrfState, pkce: Option<&Pkce>) -> Url {
        let scopes: Vec<&str> = self.app.scopes.iter().map(String::as_str).collect();
        self.grant.authorize_url(redirect, state, pkce, &scopes, &[])
    }

    async fn exchange_code(
        &self,
        code: &SecretString,
        redirect: &Url,
        pkce: Option<&Pkce>,
    ) -> Result<TokenSet> {
        self.grant.exchange(code, redirect, pkce).await.map_err(explain)
    }

    async fn refresh(&self, refresh_token: &SecretString, redirect: &Url) -> Result<TokenSet> {
        self.grant.refresh(refresh_token, Some(redirect)).await.map_err(explain)
    }

    /// A server without a revocation endpoint has no other way: the user ends the grant in the account settings.
    async fn revoke(&self, tokens: &TokenSet) -> Result<bool> {
        let token = tokens.refresh_token.as_ref().unwrap_or(&tokens.access_token);
        let request = self
            .api
            .post("revoke")
            .form(&[
                ("token", token.expose_secret()),
                ("client_id", &self.app.client_id),
                ("client_secret", self.app.client_secret.expose_secret()),
            ])
            .allow_status(405)
            .operation("revoke the OAuth token");
        match request.send().await {
            Ok(response) => Ok(response.status().is_success()),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unsupported) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A server that is too old has no token endpoint at all.
fn explain(error: forge_core::Error) -> forge_core::Error {
    if error.kind() == ErrorKind::NotFound {
        return error.with_hint(
            "this server has no OAuth 2.0 provider: use an HTTP access token, or check the base URL with its context \
             path",
        );
    }
    error
}
