//! Extractors that answer in the API's own error form.

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Query, Request, rejection::JsonRejection},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::ApiError;

/// A JSON body; unknown fields are refused by the types themselves.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = Bytes::from_request(Request::from_parts(parts.clone(), body), state)
            .await
            .map_err(JsonRejection::from)?;
        refuse_list(&bytes)?;
        check_texts(&bytes)?;
        let may_hold_list = bytes.contains(&b'[');
        let request = Request::from_parts(parts, Body::from(bytes.clone()));
        let Json(value) = Json::<T>::from_request(request, state).await?;
        if may_hold_list && let Ok(value) = serde_json::from_slice(&bytes) {
            crate::objects::check::<T>(value)
                .map_err(|error| ApiError::invalid("invalid_field", error.to_string()))?;
        }
        Ok(Self(value))
    }
}

/// A list in place of an object would be read as the object's fields in their order.
pub(crate) fn refuse_list(body: &[u8]) -> Result<(), ApiError> {
    match body.trim_ascii_start().first() {
        Some(b'[') => Err(ApiError::invalid("invalid_field", "the body is a list: send a JSON object")),
        _ => Ok(()),
    }
}

/// The longest text in a body, in bytes. Logs have a limit of their own.
const TEXT_LIMIT: usize = 16 * 1024;
/// That of the rules of a workspace, which the engine reads up to this length.
const RULES_LIMIT: usize = 256 * 1024;

/// Refuses texts that no field takes: too long, or with the character zero, which PostgreSQL's text does not have.
fn check_texts(body: &[u8]) -> Result<(), ApiError> {
    let may_be_wrong = body.len() > TEXT_LIMIT || body.windows(6).any(|part| part == br"\u0000");
    if !may_be_wrong {
        return Ok(());
    }
    // What is no JSON is told by the type that is wanted.
    serde_json::from_slice::<Value>(body).map_or(Ok(()), |value| check_text(&value))
}

/// The same of a body that was read.
pub(crate) fn check_text(body: &Value) -> Result<(), ApiError> {
    let problem = problem_in("the body", body);
    problem.map_or(Ok(()), |problem| Err(ApiError::invalid("invalid_field", problem)))
}

fn problem_in(name: &str, value: &Value) -> Option<String> {
    let limit = if name == "rules" { RULES_LIMIT } else { TEXT_LIMIT };
    match value {
        Value::String(_) if name == "log" => None,
        Value::String(text) if text.len() > limit => Some(format!("{name} is longer than {limit} bytes")),
        Value::String(text) if text.contains('\0') => {
            Some(format!("{name} holds the character U+0000: leave it out"))
        }
        Value::Array(items) => items.iter().find_map(|item| problem_in(name, item)),
        Value::Object(fields) => fields.iter().find_map(|(name, value)| problem_in(name, value)),
        _ => None,
    }
}

/// Whether a path stands for UTF-8 without the character zero.
fn is_text(path: &str) -> bool {
    let mut parts = path.split('%');
    let mut decoded = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        // What is no escape stands for itself.
        match part.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                decoded.extend_from_slice(part.get(2..).unwrap_or_default().as_bytes());
            }
            None => decoded.extend_from_slice(part.as_bytes()),
        }
    }
    !decoded.contains(&0) && std::str::from_utf8(&decoded).is_ok()
}

/// Refuses the character zero in paths and queries, as [`JsonBody`] does in bodies, and paths that are no text.
pub async fn refuse_nul(request: Request, next: Next) -> Response {
    if !is_text(request.uri().path()) {
        return ApiError::not_found("object: the path is no UTF-8 without U+0000").into_response();
    }
    if request.uri().query().is_some_and(|query| query.contains("%00")) {
        return ApiError::invalid("invalid_parameter", "the character U+0000 stands in no parameter")
            .into_response();
    }
    next.run(request).await
}

/// The query string.
#[derive(Debug)]
pub struct QueryOf<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for QueryOf<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(value) = Query::<T>::from_request_parts(parts, state).await?;
        Ok(Self(value))
    }
}
