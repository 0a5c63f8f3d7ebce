//! Speaking to a server's API from the command line.

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use forge_core::{Credential, CredentialKind, Error, ErrorKind, ForgeKind, Result, StaticCredential};
use forge_http::{Answer, ApiClient, Dialect, HttpClient, RateLimit};
use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::Failure;

/// Longer than the longest `?wait`.
const PATIENCE: Duration = Duration::from_secs(90);

/// Which server, and as whom.
#[derive(Debug, Args)]
pub(super) struct Server {
    /// The server's address, e.g. https://rca.example.com.
    #[arg(long, env = "FORGE_RCA_URL")]
    url: Option<Url>,
    /// A token of the server. The environment variable or --token-file keep it out of the process list.
    #[arg(long, env = "FORGE_RCA_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A file that holds the token.
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// Certificate authorities of the server beside the system's, PEM.
    #[arg(long, value_name = "FILE")]
    ca: Vec<PathBuf>,
    /// Allow http:// to another machine: the token and the logs can be read on the way.
    #[arg(long)]
    dangerous_allow_http: bool,
}

impl Server {
    /// Whether a server was named.
    #[cfg(feature = "mcp")]
    pub(super) fn is_given(&self) -> bool {
        self.url.is_some()
    }

    /// A client; nothing is asked yet.
    pub(super) fn client(&self) -> std::result::Result<ApiClient, Failure> {
        let url =
            self.url.as_ref().ok_or_else(|| Failure::input("no server: give --url, or set FORGE_RCA_URL"))?;
        let is_here = match url.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        };
        if url.scheme() == "http" && !is_here && !self.dangerous_allow_http {
            return Err(Failure::input(
                "--url is plain http: the token could be read on the way; use https, or --dangerous-allow-http",
            ));
        }
        let mut builder = HttpClient::builder()
            .with_total_timeout(PATIENCE)
            .with_read_timeout(PATIENCE)
            // It is the user's own server, wherever that stands.
            .with_allowed_networks(["0.0.0.0/0", "::/0"].iter().filter_map(|network| network.parse().ok()))
            .with_http_allowed(true);
        for path in &self.ca {
            let pem = std::fs::read(path)
                .map_err(|error| Failure::input(format!("cannot read {}: {error}", path.display())))?;
            builder = builder.with_root_certificate_pem(&pem);
        }
        let token = match (&self.token, &self.token_file) {
            (Some(token), _) => token.clone(),
            (None, Some(path)) => std::fs::read_to_string(path)
                .map_err(|error| Failure::input(format!("cannot read {}: {error}", path.display())))?,
            (None, None) => {
                return Err(Failure::input("no token: give --token-file, or set FORGE_RCA_TOKEN"));
            }
        };
        let credential =
            Credential::new(CredentialKind::AccessToken, SecretString::from(token.trim().to_owned()));
        let credentials = Arc::new(StaticCredential::new(credential));
        let http = builder.build().map_err(Failure::input)?;
        Ok(ApiClient::new(http, url.clone(), credentials, Arc::new(OurDialect)))
    }
}

/// How our own API speaks HTTP.
#[derive(Debug)]
struct OurDialect;

impl Dialect for OurDialect {
    fn kind(&self) -> ForgeKind {
        ForgeKind::custom("forge-rca")
    }

    fn headers(&self) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("application/json"))])
    }

    #[expect(clippy::disallowed_methods, reason = "the token goes into the request here")]
    fn authorize(&self, credential: &Credential, headers: &mut HeaderMap) -> Result<()> {
        let text = format!("Bearer {}", credential.secret().expose_secret());
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            Error::new(ErrorKind::InvalidInput, "the token holds characters that no token has")
                .with_hint("copy the token again, without line breaks")
        })?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
        Ok(())
    }

    fn classify(&self, answer: &Answer<'_>) -> Error {
        let status = answer.status.as_u16();
        let body = answer.json().unwrap_or_default();
        let said =
            body.get("error").and_then(|error| error.as_str()).unwrap_or("it is not a server of forge-rca");
        let kind = match status {
            401 => ErrorKind::Unauthorized,
            403 => ErrorKind::Forbidden,
            404 => ErrorKind::NotFound,
            429 => ErrorKind::RateLimited,
            400..=499 => ErrorKind::Invalid,
            _ => ErrorKind::Forge,
        };
        Error::new(kind, format!("{said} (status {status})")).with_status(status)
    }

    fn rate_limit(&self, _: &HeaderMap, _: Timestamp) -> Option<RateLimit> {
        None
    }
}
