//! The OAuth web flow, for OAuth apps and for GitHub Apps acting for a user.

#![expect(
    clippy::disallowed_methods,
    reason = "codes, verifiers and tokens go into the requests of the flow"
)]

use std::sync::Arc;

use async_trait::async_trait;
use forge_core::{
    Credential, CredentialKind, CsrfState, ErrorKind, ForgeKind, OAuthApp, OAuthFlow, Pkce, Result,
    StaticCredential, TokenSet,
};
use forge_http::{ApiClient, CodeGrant, HttpClient};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use url::Url;

use crate::{
    client::{GitHubDialect, segment},
    provider::append,
};

/// Repositories with their CI and comments, the user's name, hooks. GitHub has no narrower scope for private logs.
const DEFAULT_SCOPES: [&str; 3] = ["repo", "read:user", "admin:repo_hook"];

#[derive(Debug)]
pub(crate) struct GitHubOAuth {
    grant: CodeGrant,
    /// Speaks as the application, not as a user: HTTP Basic with client id and secret.
    app_api: ApiClient,
    client_id: String,
    scopes: Vec<String>,
    has_pkce: bool,
}

impl GitHubOAuth {
    pub(crate) fn new(
        http: HttpClient,
        oauth_url: Url,
        api_url: Url,
        app: &OAuthApp,
        has_pkce: bool,
    ) -> Result<Self> {
        let authorize_url = append(&oauth_url, "authorize")?;
        let token_url = append(&oauth_url, "access_token")?;
        let credential = Credential::new(CredentialKind::ApiToken, app.client_secret.clone())
            .with_user(app.client_id.clone());
        let app_api = ApiClient::new(
            http.clone(),
            api_url,
            Arc::new(StaticCredential::new(credential)),
            Arc::new(GitHubDialect),
        );
        let scopes = if app.scopes.is_empty() {
            DEFAULT_SCOPES.map(str::to_owned).to_vec()
        } else {
            app.scopes.clone()
        };
        Ok(Self {
            grant: CodeGrant::new(http, ForgeKind::GITHUB, authorize_url, token_url, app),
            app_api,
            client_id: app.client_id.clone(),
            scopes,
            has_pkce,
        })
    }

    fn pkce<'a>(&self, pkce: Option<&'a Pkce>) -> Option<&'a Pkce> {
        pkce.filter(|_| self.has_pkce)
    }
}

#[async_trait]
impl OAuthFlow for GitHubOAuth {
    fn authorize_url(&self, redirect: &Url, state: &CsrfState, pkce: Option<&Pkce>) -> Url {
        // Always with scopes: without, GitHub silently takes what the user granted before (GitHub docs,
        // apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps).
        let scopes: Vec<&str> = self.scopes.iter().map(String::as_str).collect();
        self.grant.authorize_url(redirect, state, self.pkce(pkce), &scopes, &[])
    }

    async fn exchange_code(
        &self,
        code: &SecretString,
        redirect: &Url,
        pkce: Option<&Pkce>,
    ) -> Result<TokenSet> {
        self.grant.exchange(code, redirect, self.pkce(pkce)).await
    }

    async fn refresh(&self, refresh_token: &SecretString, _redirect: &Url) -> Result<TokenSet> {
        // Only GitHub Apps' user tokens come here; their endpoint takes no redirect address.
        self.grant.refresh(refresh_token, None).await
    }

    /// Revokes the user's whole grant, so that no refresh token outlives it. Other tokens that this application holds
    /// for the same user end with it (GitHub docs, rest/apps/oauth-applications, "Delete an app authorization").
    async fn revoke(&self, tokens: &TokenSet) -> Result<bool> {
        let path = format!("applications/{}/grant", segment(&self.client_id)?);
        let request = self
            .app_api
            .delete(&path)
            .json(&json!({ "access_token": tokens.access_token.expose_secret() }))
            .operation("revoke the OAuth grant");
        match request.send().await {
            Ok(_) => Ok(true),
            // 404 or 422: the access token is dead already. What a refresh token still holds cannot be ended with it.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Invalid) => {
                Ok(tokens.refresh_token.is_none())
            }
            Err(error) => {
                Err(error.with_hint("check the application's client secret, or revoke it at GitHub"))
            }
        }
    }
}
