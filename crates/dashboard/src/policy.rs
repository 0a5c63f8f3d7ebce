//! What a browser may do on our pages: load our own files, talk to us, and nothing else.

use axum::{extract::Request, middleware::Next, response::Response};
use http::{HeaderValue, header};

/// No inline script, no inline style, no other origin.
pub(crate) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// A page that posts a form to a forge (GitHub's App manifest) inserts this policy with one more origin.
pub(crate) fn with_form_target(origin: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&POLICY.replace("form-action 'self'", &format!("form-action 'self' {origin}"))).ok()
}

pub(crate) async fn add(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    // Other origins learn as little as with `no-referrer`, under which a browser would also send our own forms with
    // `Origin: null`, and nothing could be told from that.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}
