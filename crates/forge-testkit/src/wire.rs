//! What comes in over HTTP and what goes out, as the fakes see it.

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// One request, with its path already taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Incoming {
    pub(crate) method: Method,
    /// Decoded segments after the root of the instance; an encoded slash stays inside its segment.
    pub(crate) segments: Vec<String>,
    /// The path after the root, as it was sent.
    pub(crate) path: String,
    pub(crate) raw_query: Option<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Incoming {
    pub(crate) fn new(
        method: Method,
        path: String,
        query: Option<&str>,
        headers: HeaderMap,
        body: Bytes,
    ) -> Self {
        let segments = path
            .trim_start_matches('/')
            .split('/')
            .map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned())
            .collect();
        let pairs = pairs(query.unwrap_or_default());
        Self { method, segments, path, raw_query: query.map(str::to_owned), query: pairs, headers, body }
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        find(&self.query, name)
    }

    /// All values of `name[]`, of `name` given several times.
    pub(crate) fn query_list(&self, name: &str) -> Vec<&str> {
        let bracketed = format!("{name}[]");
        self.query
            .iter()
            .filter(|(key, _)| key == name || *key == bracketed)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON, whatever content type it claims; a form becomes an object of strings.
    pub(crate) fn json(&self) -> Value {
        let is_form = self
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        if is_form {
            let text = String::from_utf8_lossy(&self.body);
            return pairs(&text).into_iter().map(|(key, value)| (key, Value::String(value))).collect();
        }
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Page number and size of an offset-paged listing.
    pub(crate) fn paging(&self, default_size: usize) -> (usize, usize) {
        let number = |name: &str| self.query(name).and_then(|text| text.parse::<usize>().ok());
        (number("page").unwrap_or(1).max(1), number("per_page").unwrap_or(default_size).clamp(1, 100))
    }
}

fn pairs(text: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// `url` with the query parameter `name` set to `value`.
pub(crate) fn with_query(url: &str, query: Option<&str>, name: &str, value: &str) -> String {
    let mut serializer = url::form_urlencoded::Serializer::new(String::new());
    for (key, old) in pairs(query.unwrap_or_default()) {
        if key != name {
            serializer.append_pair(&key, &old);
        }
    }
    serializer.append_pair(name, value);
    format!("{url}?{}", serializer.finish())
}

/// One answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: ReplyBody,
}

#[derive(Debug, Clone)]
pub(crate) enum ReplyBody {
    Bytes(Bytes),
    /// A log of this many bytes, made while it is sent.
    Generated(u64),
}

impl Reply {
    pub(crate) fn empty(status: u16) -> Self {
        Self::bytes(status, "", Bytes::new())
    }

    pub(crate) fn json(status: u16, value: &Value) -> Self {
        Self::bytes(status, "application/json", Bytes::from(value.to_string()))
    }

    pub(crate) fn bytes(status: u16, content_type: &'static str, body: Bytes) -> Self {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        Self { status: code(status), headers, body: ReplyBody::Bytes(body) }
    }

    pub(crate) fn generated(bytes: u64) -> Self {
        let mut reply = Self::bytes(200, "text/plain", Bytes::new());
        reply.body = ReplyBody::Generated(bytes);
        reply
    }

    pub(crate) fn redirect(status: u16, location: &str) -> Self {
        Self::empty(status).with_header("location", location)
    }

    /// Adds a header; a value that HTTP cannot carry is left out.
    pub(crate) fn with_header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.append(HeaderName::from_static(name), value);
        }
        self
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let body = match self.body {
            ReplyBody::Bytes(bytes) => Body::from(bytes),
            ReplyBody::Generated(length) => generated_body(length),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

pub(crate) fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Sends a generated log in pieces of 64 KiB, so that a gigabyte costs no memory.
fn generated_body(length: u64) -> Body {
    const PIECE: u64 = 64 * 1024;
    let pieces = (0..length.div_ceil(PIECE)).map(move |index| {
        let start = index * PIECE;
        let end = length.min(start + PIECE);
        Ok::<_, std::convert::Infallible>(crate::logs::generated_piece(start, end, length))
    });
    Body::from_stream(stream::iter(pieces))
}
