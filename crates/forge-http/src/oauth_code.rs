//! The authorization-code grant, tolerant of what token endpoints really answer.
//!
//! The `oauth2` crate builds the requests and reads the strict form; the bridge here sends them and brings each
//! forge's answer into that form first.

#![expect(
    clippy::disallowed_methods,
    reason = "the secret is used here, where it goes into a request, a cipher or a hash"
)]

use std::{borrow::Cow, fmt, pin::Pin, time::Duration};

use bytes::Bytes;
use forge_core::{CsrfState, Error, ErrorKind, ForgeKind, OAuthApp, Pkce, Result, TokenSet, url::SafeUrl};
use http::{StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    RedirectUrl, RefreshToken, RequestTokenError, Scope, TokenResponse as _, TokenUrl,
    basic::{BasicClient, BasicTokenResponse},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use tokio::time::timeout;
use url::Url;

use crate::{
    client::{self, HttpClient},
    dialect::{Answer, default_classify},
};

type Client = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// A token endpoint's answer is small.
const TOKEN_BODY_BYTES: usize = 256 * 1024;

/// The authorization-code grant of one OAuth application at one instance. `Debug` shows no secret.
#[derive(Clone)]
pub struct CodeGrant {
    http: HttpClient,
    forge: ForgeKind,
    authorize_url: Url,
    token_url: Url,
    client_id: String,
    client_secret: SecretString,
    is_basic: bool,
    scope_separator: char,
}

impl CodeGrant {
    /// A grant that sends client id and secret in the body and separates scopes by spaces.
    #[must_use]
    pub fn new(
        http: HttpClient,
        forge: ForgeKind,
        authorize_url: Url,
        token_url: Url,
        app: &OAuthApp,
    ) -> Self {
        Self {
            http,
            forge,
            authorize_url,
            token_url,
            client_id: app.client_id.clone(),
            client_secret: app.client_secret.clone(),
            is_basic: false,
            scope_separator: ' ',
        }
    }

    /// Sends client id and secret as HTTP Basic.
    #[must_use]
    pub fn with_basic_auth(mut self) -> Self {
        self.is_basic = true;
        self
    }

    /// Separates the scopes of the authorize URL by `separator`.
    #[must_use]
    pub fn with_scope_separator(mut self, separator: char) -> Self {
        self.scope_separator = separator;
        self
    }

    /// Where to send the browser. PKCE is `S256`, never `plain`.
    #[must_use]
    pub fn authorize_url(
        &self,
        redirect: &Url,
        state: &CsrfState,
        pkce: Option<&Pkce>,
        scopes: &[&str],
        extra: &[(&str, &str)],
    ) -> Url {
        let client = self.client();
        let mut request = client
            .authorize_url(|| CsrfToken::new(state.as_secret().expose_secret().to_owned()))
            .set_redirect_uri(Cow::Owned(RedirectUrl::from_url(redirect.clone())));
        if !scopes.is_empty() {
            request = request.add_scope(Scope::new(scopes.join(&self.scope_separator.to_string())));
        }
        if let Some(pkce) = pkce {
            request = request
                .add_extra_param("code_challenge", pkce.challenge().to_owned())
                .add_extra_param("code_challenge_method", "S256");
        }
        for (name, value) in extra {
            request = request.add_extra_param((*name).to_owned(), (*value).to_owned());
        }
        request.url().0
    }

    /// Turns the code into tokens. Sent once, never repeated: a code works once.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidGrant`] when the code is wrong, used or expired; [`ErrorKind::Unauthorized`] when the forge
    /// does not accept the application; the transport's errors.
    pub async fn exchange(
        &self,
        code: &SecretString,
        redirect: &Url,
        pkce: Option<&Pkce>,
    ) -> Result<TokenSet> {
        let client = self.client();
        let mut request = client
            .exchange_code(AuthorizationCode::new(code.expose_secret().to_owned()))
            .set_redirect_uri(Cow::Owned(RedirectUrl::from_url(redirect.clone())));
        if let Some(pkce) = pkce {
            request = request.add_extra_param("code_verifier", pkce.verifier().expose_secret().to_owned());
        }
        let answer = request.request_async(&Bridge(self)).await;
        self.tokens(answer).map_err(|error| error.with_operation("exchange the OAuth code"))
    }

    /// Turns a refresh token into new tokens. Sent once, never repeated: a lost answer may mean a spent token.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidGrant`] when the refresh token is spent or revoked; otherwise as [`CodeGrant::exchange`].
    pub async fn refresh(&self, refresh_token: &SecretString, redirect: Option<&Url>) -> Result<TokenSet> {
        let client = self.client();
        let refresh_token = RefreshToken::new(refresh_token.expose_secret().to_owned());
        let mut request = client.exchange_refresh_token(&refresh_token);
        if let Some(redirect) = redirect {
            request = request.add_extra_param("redirect_uri", redirect.as_str().to_owned());
        }
        let answer = request.request_async(&Bridge(self)).await;
        self.tokens(answer).map_err(|error| error.with_operation("refresh the OAuth token"))
    }

    fn client(&self) -> Client {
        BasicClient::new(ClientId::new(self.client_id.clone()))
            .set_client_secret(ClientSecret::new(self.client_secret.expose_secret().to_owned()))
            .set_auth_uri(AuthUrl::from_url(self.authorize_url.clone()))
            .set_token_uri(TokenUrl::from_url(self.token_url.clone()))
            .set_auth_type(if self.is_basic { AuthType::BasicAuth } else { AuthType::RequestBody })
    }

    /// Sends one token request and returns its answer in the form of RFC 6749, section 5.1, or an error.
    async fn bridge(&self, request: oauth2::HttpRequest) -> Result<oauth2::HttpResponse> {
        let (parts, body) = request.into_parts();
        let round = async {
            let mut response =
                self.http.send(parts.method, &self.token_url, parts.headers, Some(Bytes::from(body))).await?;
            let body = client::read_body(&mut response, &self.token_url, TOKEN_BODY_BYTES).await?;
            Ok::<_, Error>((response, body))
        };
        let (response, body) = timeout(self.http.total_timeout(), round).await.unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Timeout,
                format!("no complete answer from {} in time", SafeUrl(&self.token_url)),
            ))
        })?;
        let answer = Answer::new(response.status(), response.headers(), &body, Timestamp::now());
        let fields = if answer.is_html() { None } else { read_fields(&body) };
        let fields = match fields {
            // GitHub sends errors with status 200 (docs.github.com, "Troubleshooting OAuth app access token request
            // errors"), so the field decides, not the status.
            Some(fields) if fields.contains_key("error") => return Err(self.refused(&answer, &fields)),
            Some(fields) if answer.status.is_success() => fields,
            _ if answer.status.is_success() => {
                return Err(Error::new(
                    ErrorKind::UnexpectedResponse,
                    "the token endpoint answers neither JSON nor a form",
                )
                .with_status(answer.status.as_u16())
                .with_hint("check the base URL of the OAuth endpoints"));
            }
            _ => return Err(self.failed(&answer)),
        };
        let body = serde_json::to_vec(&standard_form(fields)).unwrap_or_default();
        let mut normalised = oauth2::HttpResponse::new(body);
        *normalised.status_mut() = StatusCode::OK;
        normalised
            .headers_mut()
            .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        Ok(normalised)
    }

    fn tokens(
        &self,
        answer: Result<BasicTokenResponse, RequestTokenError<Error, oauth2::basic::BasicErrorResponse>>,
    ) -> Result<TokenSet> {
        let answer = answer.map_err(|fault| match fault {
            RequestTokenError::Request(error) => error.with_forge(self.forge),
            // The others quote the answer, which holds the tokens.
            _ => {
                Error::new(ErrorKind::UnexpectedResponse, "the token endpoint's answer holds no access token")
                    .with_forge(self.forge)
            }
        })?;
        Ok(TokenSet {
            access_token: answer.access_token().secret().clone().into(),
            refresh_token: answer.refresh_token().map(|token| token.secret().clone().into()),
            expires_at: answer.expires_in().and_then(expiry),
            scopes: answer.scopes().into_iter().flatten().map(|scope| scope.as_str().to_owned()).collect(),
        })
    }

    /// An answer with an `error` field. The description is not taken over: some forges repeat the code in it.
    fn refused(&self, answer: &Answer<'_>, fields: &Map<String, Value>) -> Error {
        let code = fields.get("error").and_then(Value::as_str).unwrap_or_default();
        let (kind, message, hint) = match code {
            // `bad_...` are GitHub's words for the same.
            "invalid_grant" | "bad_verification_code" | "bad_refresh_token" | "expired_token" => (
                ErrorKind::InvalidGrant,
                "the forge does not accept the code or refresh token (invalid_grant)",
                "connect again: the grant is used, expired or revoked",
            ),
            "invalid_client" | "unauthorized_client" | "incorrect_client_credentials" => (
                ErrorKind::Unauthorized,
                "the forge does not accept the OAuth application (invalid_client)",
                "check client id and client secret, and that the application is enabled at this instance",
            ),
            "redirect_uri_mismatch" => (
                ErrorKind::InvalidInput,
                "the forge does not accept the redirect address",
                "register exactly our redirect address in the OAuth application",
            ),
            "invalid_scope" => (
                ErrorKind::Invalid,
                "the forge does not accept the scopes (invalid_scope)",
                "allow the scopes in the OAuth application",
            ),
            "access_denied" => {
                (ErrorKind::Forbidden, "the access was denied (access_denied)", "connect again")
            }
            "temporarily_unavailable" | "server_error" => {
                return Error::new(ErrorKind::Forge, "the forge cannot give tokens now")
                    .with_status(answer.status.as_u16());
            }
            _ if !answer.status.is_success() && answer.status.as_u16() != 400 => {
                return self.failed(answer);
            }
            _ => (
                ErrorKind::Invalid,
                "the forge refuses the token request",
                "check the OAuth application's settings at the forge",
            ),
        };
        Error::new(kind, message).with_status(answer.status.as_u16()).with_hint(hint)
    }

    /// A failure by status. The body is left out of it altogether.
    fn failed(&self, answer: &Answer<'_>) -> Error {
        let error = default_classify(self.forge, &Answer { body: b"", ..*answer });
        match error.kind() {
            ErrorKind::Unauthorized | ErrorKind::Forbidden => {
                error.with_hint("check client id and client secret of the OAuth application")
            }
            _ => error,
        }
    }
}

/// A named type and not a closure: the futures of a closure that borrows cannot be proved to be `Send` by callers that
/// box them.
struct Bridge<'a>(&'a CodeGrant);

impl<'c> oauth2::AsyncHttpClient<'c> for Bridge<'_> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<oauth2::HttpResponse>> + Send + 'c>>;

    fn call(&'c self, request: oauth2::HttpRequest) -> Self::Future {
        Box::pin(self.0.bridge(request))
    }
}

impl fmt::Debug for CodeGrant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CodeGrant")
            .field("forge", &self.forge)
            .field("authorize_url", &SafeUrl(&self.authorize_url))
            .field("token_url", &SafeUrl(&self.token_url))
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// The fields of a JSON object or, where a forge ignores `Accept`, of a form.
fn read_fields(body: &[u8]) -> Option<Map<String, Value>> {
    if let Ok(Value::Object(fields)) = serde_json::from_slice(body) {
        return Some(fields);
    }
    let fields: Map<String, Value> = url::form_urlencoded::parse(body)
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
        .collect();
    (fields.contains_key("access_token") || fields.contains_key("error")).then_some(fields)
}

/// Only what RFC 6749 names, in the types that it names.
fn standard_form(mut fields: Map<String, Value>) -> Map<String, Value> {
    let mut standard = Map::new();
    standard.insert("token_type".to_owned(), "bearer".into());
    for name in ["access_token", "refresh_token"] {
        if let Some(Value::String(token)) = fields.remove(name)
            && !token.is_empty()
        {
            standard.insert(name.to_owned(), token.into());
        }
    }
    let seconds = match fields.get("expires_in") {
        Some(Value::Number(number)) => number.as_u64().or_else(|| {
            // Some endpoints print seconds with a fraction; nothing below a second matters here.
            number
                .as_f64()
                .filter(|seconds| seconds.is_finite() && *seconds >= 1.0)
                .and_then(|seconds| format!("{seconds:.0}").parse().ok())
        }),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    // Zero stands for "does not expire"; an expired new token would make no sense.
    if let Some(seconds) = seconds.filter(|seconds| *seconds > 0) {
        standard.insert("expires_in".to_owned(), seconds.into());
    }
    let mut scopes = Vec::new();
    for name in ["scope", "scopes"] {
        match fields.get(name) {
            Some(Value::String(text)) => {
                scopes.extend(text.split([' ', ',']).filter(|scope| !scope.is_empty()));
            }
            Some(Value::Array(items)) => scopes.extend(items.iter().filter_map(Value::as_str)),
            _ => {}
        }
        if !scopes.is_empty() {
            break;
        }
    }
    if !scopes.is_empty() {
        standard.insert("scope".to_owned(), scopes.join(" ").into());
    }
    standard
}

/// Counted from our own clock at arrival: `created_at` is in the forge's clock, which may differ, and `expires_in` is
/// what remains.
fn expiry(expires_in: Duration) -> Option<Timestamp> {
    Timestamp::now().checked_add(SignedDuration::try_from(expires_in).ok()?).ok()
}
