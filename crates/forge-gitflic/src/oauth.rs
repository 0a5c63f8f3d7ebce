//! OAuth in GitFlic's own dialect (docs.gitflic.ru, api/access-token).
//!
//! The parameters are called otherwise than in RFC 6749, scopes are separated by commas, and the code does not come
//! with the browser: GitFlic POSTs `{"code", "state"}` as JSON to the callback address, which therefore has to be
//! reachable from GitFlic.

use std::sync::Arc;

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use forge_core::{
    Credential, CredentialKind, CsrfState, Error, ErrorKind, ForgeKind, OAuthApp, OAuthFlow, Pkce, Result,
    StaticCredential, TokenSet,
};
use forge_http::{Answer, ApiClient, Dialect, HttpClient, RateLimit, Request, Response, default_classify};
use http::{HeaderMap, HeaderValue, header};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

use crate::{clock::Clock, wire::Fields};

/// `PROJECT_EDIT` covers hooks, which are settings of a project.
const SCOPES: [&str; 3] = ["USER_READ", "PROJECT_READ", "PROJECT_EDIT"];
/// Answers that are looked at here and not turned into errors.
const LOOKED_AT: [u16; 9] = [400, 401, 403, 404, 405, 409, 410, 415, 422];

/// Where OAuth lives.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) root: Url,
    pub(crate) authorize: Url,
    /// It is gitflic.ru, whose current version is known.
    pub(crate) is_known_cloud: bool,
}

/// The flow of one application.
#[derive(Debug)]
pub(crate) struct GitFlicOAuth {
    places: Places,
    client_id: String,
    scopes: Vec<String>,
    clock: Clock,
    as_application: ApiClient,
    anonymous: ApiClient,
}

impl GitFlicOAuth {
    pub(crate) fn new(http: &HttpClient, places: Places, app: &OAuthApp, clock: Clock) -> Self {
        let basic =
            Credential::new(CredentialKind::OAuth, app.client_secret.clone()).with_user(&*app.client_id);
        let client = |credential| {
            let credentials = Arc::new(StaticCredential::new(credential));
            ApiClient::new(http.clone(), places.root.clone(), credentials, Arc::new(TokenDialect))
        };
        let scopes =
            if app.scopes.is_empty() { SCOPES.map(str::to_owned).to_vec() } else { app.scopes.clone() };
        Self {
            client_id: app.client_id.clone(),
            scopes,
            clock,
            as_application: client(basic),
            anonymous: client(Credential::none()),
            places,
        }
    }

    /// Asks for tokens: as the application, and without saying who we are where that is refused; at the documented
    /// place, and on servers below `oauth/` where that is not there.
    ///
    /// A refused request was not acted on, so that asking again spends nothing.
    async fn ask(
        &self,
        path: &str,
        operation: &str,
        prepare: impl Fn(&ApiClient, &str) -> Request + Send + Sync,
    ) -> Result<Response> {
        let mut paths = vec![path.to_owned()];
        if !self.places.is_known_cloud {
            paths.push(format!("oauth/{path}"));
        }
        let mut first = None;
        for path in &paths {
            for client in [&self.as_application, &self.anonymous] {
                let request = prepare(client, path).operation(operation);
                let response = LOOKED_AT.into_iter().fold(request, Request::allow_status).send().await?;
                match response.status().as_u16() {
                    404 | 405 => {
                        first.get_or_insert(response);
                        break;
                    }
                    401 | 403 => {
                        first.get_or_insert(response);
                    }
                    _ => return Ok(response),
                }
            }
            if first.as_ref().is_some_and(|first| matches!(first.status().as_u16(), 401 | 403)) {
                break;
            }
        }
        first.ok_or_else(|| refused(ErrorKind::UnexpectedResponse, "no answer", "").with_operation(operation))
    }

    fn tokens(&self, response: &Response, grant: Grant) -> Result<TokenSet> {
        let is_json = serde_json::from_slice::<Value>(response.bytes()).is_ok_and(|body| body.is_object());
        let status = response.status().as_u16();
        match status {
            200..=299 => {}
            401 => return Err(bad_application(status)),
            403 if grant == Grant::Code => return Err(bad_application(status)),
            404 | 405 if !is_json => {
                return Err(refused(
                    ErrorKind::UnexpectedResponse,
                    &format!("there is no token endpoint (status {status})"),
                    "check the OAuth address of this GitFlic",
                ));
            }
            _ => return Err(bad_grant(status)),
        }
        let body: Value = response.json()?;
        let fields = Fields::new(&body);
        let token = |keys: &[&str]| fields.first_text(keys).map(SecretString::from);
        let Some(access_token) = token(&["accessToken", "access_token"]) else {
            return Err(if fields.has("error") {
                bad_grant(status)
            } else {
                response.unexpected("the token endpoint's answer holds no access token")
            });
        };
        let expires_at = ["expires", "expires_in", "expiresIn", "expiresAt"]
            .iter()
            .find_map(|key| self.expiry(fields.at(key).value()?, Timestamp::now()));
        Ok(TokenSet {
            access_token,
            refresh_token: token(&["refreshToken", "refresh_token"]),
            expires_at,
            scopes: Vec::new(),
        })
    }

    /// Seconds from now, seconds or milliseconds since 1970, or a time, perhaps without a zone.
    fn expiry(&self, value: &Value, now: Timestamp) -> Option<Timestamp> {
        let number = match value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => match text.trim().parse::<i64>() {
                Ok(number) => Some(number),
                Err(_) => return self.clock.read(text),
            },
            _ => None,
        };
        match number? {
            ..=0 => None,
            seconds @ ..1_000_000_000 => now.checked_add(SignedDuration::from_secs(seconds)).ok(),
            seconds @ ..1_000_000_000_000 => Timestamp::from_second(seconds).ok(),
            millis => Timestamp::from_millisecond(millis).ok(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grant {
    Code,
    Refresh,
}

#[async_trait]
impl OAuthFlow for GitFlicOAuth {
    /// Servers of older versions know the parameters in camel case only, so that they get both spellings.
    #[expect(clippy::disallowed_methods, reason = "the state travels through the browser")]
    fn authorize_url(&self, redirect: &Url, state: &CsrfState, _pkce: Option<&Pkce>) -> Url {
        let mut url = self.places.authorize.clone();
        let scopes = self.scopes.join(",");
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("scope", &scopes);
            query.append_pair("client_id", &self.client_id);
            query.append_pair("redirect_url", redirect.as_str());
            if !self.places.is_known_cloud {
                query.append_pair("clientId", &self.client_id);
                query.append_pair("redirectUrl", redirect.as_str());
            }
            query.append_pair("state", state.as_secret().expose_secret());
        }
        url
    }

    #[expect(clippy::disallowed_methods, reason = "the code travels in the query, as GitFlic wants it")]
    async fn exchange_code(
        &self,
        code: &SecretString,
        _redirect: &Url,
        _pkce: Option<&Pkce>,
    ) -> Result<TokenSet> {
        let operation = "exchange the OAuth code";
        // A `GET` that spends the code: when its answer is lost, asking again would only hear that the code is used.
        let prepare =
            |client: &ApiClient, path: &str| client.get(path).query(&[("code", code.expose_secret())]).once();
        let response = self.ask("api/token/access", operation, prepare).await?;
        self.tokens(&response, Grant::Code).map_err(|error| error.with_operation(operation))
    }

    #[expect(clippy::disallowed_methods, reason = "the refresh token is what is sent")]
    async fn refresh(&self, refresh_token: &SecretString, _redirect: &Url) -> Result<TokenSet> {
        let operation = "refresh the OAuth token";
        let prepare = |client: &ApiClient, path: &str| {
            client.post(path).json(&json!({ "refreshToken": refresh_token.expose_secret() }))
        };
        let response = self.ask("api/token/refresh", operation, prepare).await?;
        self.tokens(&response, Grant::Refresh).map_err(|error| error.with_operation(operation))
    }

    /// GitFlic documents no way to revoke; a user does it in the profile's settings.
    async fn revoke(&self, _tokens: &TokenSet) -> Result<bool> {
        Ok(false)
    }
}

fn refused(kind: ErrorKind, message: &str, hint: &str) -> Error {
    Error::new(kind, message).with_forge(ForgeKind::GITFLIC).with_hint(hint)
}

fn bad_application(status: u16) -> Error {
    let message =
        format!("GitFlic accepts neither the OAuth application nor the code alone (status {status})");
    let hint = "check client id and client secret of the OAuth application, and connect again";
    refused(ErrorKind::Unauthorized, &message, hint).with_status(status)
}

fn bad_grant(status: u16) -> Error {
    let message = format!("GitFlic does not accept the code or refresh token (status {status})");
    let hint = "connect again: the grant is used, expired or revoked";
    refused(ErrorKind::InvalidGrant, &message, hint).with_status(status)
}

/// The token endpoint: Basic, and errors that quote nothing, because answers may repeat the code.
#[derive(Debug)]
struct TokenDialect;

impl Dialect for TokenDialect {
    fn kind(&self) -> ForgeKind {
        ForgeKind::GITFLIC
    }

    fn headers(&self) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("application/json"))])
    }

    #[expect(clippy::disallowed_methods, reason = "the application proves itself with its secret")]
    fn authorize(&self, credential: &Credential, headers: &mut HeaderMap) -> Result<()> {
        let user = credential.user().unwrap_or_default();
        let pair = format!("{user}:{}", credential.secret().expose_secret());
        let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair)))
            .map_err(|_| refused(ErrorKind::InvalidInput, "the client id or secret is not text", ""))?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
        Ok(())
    }

    fn classify(&self, answer: &Answer<'_>) -> Error {
        default_classify(ForgeKind::GITFLIC, &Answer { body: b"", ..*answer })
    }

    fn rate_limit(&self, _headers: &HeaderMap, _now: Timestamp) -> Option<RateLimit> {
        None
    }
}
