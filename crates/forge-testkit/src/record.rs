//! What arrived, for assertions.

use bytes::Bytes;
use http::{HeaderMap, Method};

/// Which listener a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Listener {
    /// The forge itself.
    Forge,
    /// The storage on another origin that the forge redirects log downloads to.
    BlobStore,
}

/// The form in which a credential was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Presented {
    /// `Authorization: Bearer`.
    Bearer,
    /// `Authorization: token`.
    Token,
    /// `Authorization: Basic`.
    Basic,
    /// `PRIVATE-TOKEN`.
    PrivateToken,
    /// Any other form: another `Authorization` scheme, `JOB-TOKEN`, a cookie, a token in the query.
    Other,
}

/// One request as it arrived.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Recorded {
    /// Where it arrived.
    pub listener: Listener,
    /// The method.
    pub method: Method,
    /// The whole path as it was sent, still encoded.
    pub path: String,
    /// The query as it was sent.
    pub query: Option<String>,
    /// All headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The credential that came with it, by its form.
    pub credential: Option<Presented>,
    /// The status that was answered; 0 while or when there was no answer.
    pub status: u16,
}

/// Whether `path` fits `pattern`: `*` stands for one segment, a final `**` for any rest.
pub(crate) fn path_matches(pattern: &str, path: &str) -> bool {
    let mut path = path.trim_matches('/').split('/');
    for part in pattern.trim_matches('/').split('/') {
        if part == "**" {
            return true;
        }
        match path.next() {
            Some(segment) if part == "*" || part == segment => {}
            _ => return false,
        }
    }
    path.next().is_none()
}

/// Whether `method` is the wanted one; `*` wants any.
pub(crate) fn method_matches(wanted: &str, method: &Method) -> bool {
    wanted == "*" || wanted.eq_ignore_ascii_case(method.as_str())
}

/// In which form `headers` and `query` present a credential.
pub(crate) fn presented(headers: &HeaderMap, query: Option<&str>) -> Option<Presented> {
    if let Some(value) = headers.get(http::header::AUTHORIZATION) {
        let value = value.to_str().unwrap_or_default();
        let scheme = value.split(' ').next().unwrap_or_default().to_ascii_lowercase();
        return Some(match scheme.as_str() {
            "bearer" => Presented::Bearer,
            "token" => Presented::Token,
            "basic" => Presented::Basic,
            _ => Presented::Other,
        });
    }
    if headers.contains_key("private-token") {
        return Some(Presented::PrivateToken);
    }
    let in_query = query.is_some_and(|query| {
        url::form_urlencoded::parse(query.as_bytes())
            .any(|(key, _)| matches!(key.as_ref(), "access_token" | "private_token"))
    });
    let elsewhere = headers.contains_key("job-token") || headers.contains_key(http::header::COOKIE);
    (in_query || elsewhere).then_some(Presented::Other)
}
