//! A bare HTTP client for the tests: requests as an adapter would send them, with nothing added.

use forge_testkit::Fake;
use http::{HeaderMap, StatusCode};
use hyper_util::rt::TokioIo;
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::net::TcpStream;
use url::Url;

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

/// One request to an absolute address.
pub(crate) async fn request(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Answer, String> {
    let url = Url::parse(url).expect("a URL");
    let address = (url.host_str().expect("a host").to_owned(), url.port().expect("a port"));
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let mut request = http::Request::builder().method(method).uri(target).header("host", "fake");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(axum::body::Body::from(body.to_owned())).expect("a request");
    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let (parts, incoming) = response.into_parts();
    let body = axum::body::to_bytes(axum::body::Body::new(incoming), usize::MAX)
        .await
        .map_err(|error| error.to_string())?;
    Ok(Answer { status: parts.status, headers: parts.headers, body: body.to_vec() })
}

/// One API request with a token that may do everything.
pub(crate) async fn call(fake: &Fake, method: &str, path: &str, body: &Value) -> Answer {
    let token = format!("Bearer {}", fake.token().expose_secret());
    let url = format!("{}{path}", fake.base_url().as_str().trim_end_matches('/'));
    let headers =
        [("authorization", token.as_str()), ("content-type", "application/json"), ("user-agent", "test")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    request(method, &url, &headers, &body).await.expect("an answer")
}
