//! What a person sees when something does not work: what happened, and what to do.

use askama::Template;
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{Html, IntoResponse, Redirect, Response},
};
use http::{HeaderMap, StatusCode, header};
use rca_flow::{FlowError, FlowErrorKind};
use url::form_urlencoded;

use crate::{
    Dashboard,
    frame::{Frame, Nav, Taste},
};

/// An error on its way to becoming a page; [`render`] makes it one, in the reader's language.
#[derive(Debug, Clone)]
pub(crate) struct PageError {
    status: StatusCode,
    /// The key of the heading in the messages.
    title: &'static str,
    /// A key of the messages, where the words are ours.
    advice: Option<&'static str>,
    /// What the use case says.
    detail: String,
    /// Where to sign in first.
    sign_in: Option<String>,
}

impl PageError {
    fn new(status: StatusCode, title: &'static str, advice: &'static str) -> Self {
        Self { status, title, advice: Some(advice), detail: String::new(), sign_in: None }
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "error.not_found", "error.not_found_advice")
    }

    pub(crate) fn not_allowed() -> Self {
        Self::new(StatusCode::FORBIDDEN, "error.not_allowed", "error.not_allowed_advice")
    }

    pub(crate) fn form_expired() -> Self {
        Self::new(StatusCode::FORBIDDEN, "error.form_expired", "error.form_expired_advice")
    }

    pub(crate) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "error.too_large", "error.too_large_advice")
    }

    /// What was entered cannot be used; `detail` says what and how to mend it.
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "error.invalid", "error.invalid_advice")
        }
    }

    /// Nobody is signed in; afterwards the browser goes on to `wanted`.
    pub(crate) fn sign_in(wanted: &str) -> Self {
        Self {
            sign_in: Some(wanted.to_owned()),
            ..Self::new(StatusCode::UNAUTHORIZED, "error.not_allowed", "error.not_allowed_advice")
        }
    }

    pub(crate) fn from_store(error: rca_store::Error) -> Self {
        FlowError::from(error).into()
    }
}

impl From<FlowError> for PageError {
    fn from(error: FlowError) -> Self {
        let base = match error.kind {
            FlowErrorKind::NotFound => Self::not_found(),
            FlowErrorKind::Forbidden => Self::not_allowed(),
            FlowErrorKind::Unavailable => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "error.unavailable", "error.unavailable_advice")
            }
            FlowErrorKind::Conflict => {
                Self::new(StatusCode::CONFLICT, "error.conflict", "error.conflict_advice")
            }
            _ => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "error.refused", "error.refused_advice"),
        };
        Self { detail: error.message, ..base }
    }
}

impl From<askama::Error> for PageError {
    fn from(error: askama::Error) -> Self {
        tracing::error!(%error, "a page cannot be rendered");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "error.internal", "error.internal_advice")
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    f: Frame,
    error: &'a PageError,
}

/// Turns a [`PageError`] into a page, or into a redirect to where people sign in.
pub(crate) async fn render(State(_): State<Dashboard>, request: Request, next: Next) -> Response {
    let taste = Taste::of(request.headers());
    let is_fragment = request.headers().contains_key("hx-request");
    let response = next.run(request).await;
    let Some(error) = response.extensions().get::<PageError>().cloned() else { return response };
    if let Some(wanted) = &error.sign_in {
        let query: String =
            form_urlencoded::Serializer::new(String::new()).append_pair("next", wanted).finish();
        let address = if wanted == "/" { "/sign-in".to_owned() } else { format!("/sign-in?{query}") };
        if is_fragment {
            // A part of a page cannot be replaced by a redirect: the whole page goes.
            return ([("hx-redirect", address)], StatusCode::OK).into_response();
        }
        return Redirect::to(&address).into_response();
    }
    page(&error, taste)
}

fn page(error: &PageError, taste: Taste) -> Response {
    let page = ErrorPage { f: Frame::outside(taste, Nav::None), error };
    match page.render() {
        Ok(html) => (error.status, Html(html)).into_response(),
        Err(_) => error.status.into_response(),
    }
}

/// The page for an address that leads nowhere, for browsers; nothing where the caller did not ask for a page.
pub fn not_found_page(headers: &HeaderMap) -> Option<Response> {
    outer_page(&PageError::not_found(), headers)
}

/// The page for somebody who tried to sign in too often; nothing where the caller did not ask for a page.
pub fn too_many_page(headers: &HeaderMap) -> Option<Response> {
    let error = PageError::new(StatusCode::TOO_MANY_REQUESTS, "error.too_many", "error.too_many_advice");
    outer_page(&error, headers)
}

fn outer_page(error: &PageError, headers: &HeaderMap) -> Option<Response> {
    let accepts = headers.get(header::ACCEPT)?.to_str().ok()?;
    if !accepts.contains("text/html") {
        return None;
    }
    let mut response = page(error, Taste::of(headers));
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, http::HeaderValue::from_static(crate::policy::POLICY));
    Some(response)
}
