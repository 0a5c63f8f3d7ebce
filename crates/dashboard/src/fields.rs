//! What a person sends with a form: read after it was made sure that our own page sent it.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts as _, Request},
};
use http::{HeaderMap, header};
use secrecy::SecretString;
use subtle::ConstantTimeEq as _;
use url::{Url, form_urlencoded};

use crate::{
    Dashboard,
    error::PageError,
    session::{Viewer, csrf_of},
};

/// The name of the hidden field, and (in small letters) of the header that scripts send in its place.
pub(crate) const CSRF_FIELD: &str = "csrf";
pub(crate) const CSRF_HEADER: &str = "x-csrf-token";

/// A form's fields in their order, names may repeat.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(crate) fn parse(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    /// The field without the blanks around it; nothing when it is empty or was not sent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name)?;
        Some(found.1.trim()).filter(|value| !value.is_empty())
    }

    /// The field as a text that may be empty.
    pub(crate) fn text(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().to_owned()
    }

    /// Every value sent under the name: ticked boxes.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect()
    }

    /// Whether a box is ticked.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

/// A form sent by somebody who is signed in, from one of our pages.
#[derive(Debug)]
pub(crate) struct Posted {
    pub(crate) viewer: Viewer,
    pub(crate) fields: Fields,
}

impl FromRequest<Dashboard> for Posted {
    type Rejection = PageError;

    async fn from_request(request: Request, state: &Dashboard) -> Result<Self, PageError> {
        let (mut parts, body) = request.into_parts();
        let viewer = Viewer::from_request_parts(&mut parts, state).await?;
        check_origin(&parts.headers, &state.flow.config().public_url)?;
        let sent = parts.headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = Bytes::from_request(Request::from_parts(parts, body), state)
            .await
            .map_err(|_| PageError::too_large())?;
        let fields = Fields::parse(&body);
        let sent = sent.or_else(|| fields.get(CSRF_FIELD).map(str::to_owned)).unwrap_or_default();
        check_csrf(&viewer, &sent)?;
        Ok(Self { viewer, fields })
    }
}

/// Whether a request that a browser sent with the session `id` comes from one of our pages: it carries the session's
/// [`csrf_of`](crate::csrf_of) as header `X-CSRF-Token`, and names no foreign origin.
#[must_use]
pub fn is_from_our_page(headers: &HeaderMap, id: &SecretString, public_url: &Url) -> bool {
    let sent = headers.get(CSRF_HEADER).map_or(&b""[..], |value| value.as_bytes());
    check_origin(headers, public_url).is_ok() && bool::from(sent.ct_eq(csrf_of(id).as_bytes()))
}

pub(crate) fn check_csrf(viewer: &Viewer, sent: &str) -> Result<(), PageError> {
    if bool::from(sent.as_bytes().ct_eq(viewer.csrf.as_bytes())) {
        return Ok(());
    }
    Err(PageError::form_expired())
}

/// A browser names the page that sends a form. It must be ours: by the public address, or by the address that the
/// browser itself used.
pub(crate) fn check_origin(headers: &HeaderMap, public_url: &Url) -> Result<(), PageError> {
    let Some(origin) = headers.get(header::ORIGIN).and_then(|value| value.to_str().ok()) else {
        return Ok(());
    };
    let is_public = public_url.origin().ascii_serialization() == origin;
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let is_host = Url::parse(origin).is_ok_and(|url| {
        let authority = url.port().map_or_else(
            || url.host_str().unwrap_or_default().to_owned(),
            |port| format!("{}:{port}", url.host_str().unwrap_or_default()),
        );
        host == Some(authority.as_str())
    });
    if is_public || is_host { Ok(()) } else { Err(PageError::form_expired()) }
}
