//! A very small HTTP/1 client for loopback: it sends deliveries and plays the browser.

use std::{io, time::Duration};

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use url::Url;

const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// Sends one request over plain http and reads the whole answer. Follows nothing.
pub(crate) async fn send(
    method: Method,
    url: &Url,
    headers: &HeaderMap,
    body: Bytes,
    timeout: Duration,
) -> io::Result<(StatusCode, HeaderMap, Bytes)> {
    tokio::time::timeout(timeout, exchange(method, url, headers, body))
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer in time"))?
}

async fn exchange(
    method: Method,
    url: &Url,
    headers: &HeaderMap,
    body: Bytes,
) -> io::Result<(StatusCode, HeaderMap, Bytes)> {
    if url.scheme() != "http" {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "the fakes speak plain http only"));
    }
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(80);
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // The connection ends with the exchange: dropping the sender closes it.
    let driver = tokio::spawn(connection);
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let mut request =
        Request::builder().method(method).uri(target).body(Body::from(body)).map_err(io::Error::other)?;
    *request.headers_mut() = headers.clone();
    let authority = format!("{host}:{port}");
    request.headers_mut().insert(http::header::HOST, authority.parse().map_err(io::Error::other)?);
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    let (parts, incoming) = response.into_parts();
    let bytes = to_bytes(Body::new(incoming), MAX_ANSWER).await.map_err(io::Error::other)?;
    drop(sender);
    driver.abort();
    Ok((parts.status, parts.headers, bytes))
}
