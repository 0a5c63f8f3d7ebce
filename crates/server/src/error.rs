//! Errors as the API tells them: `{"error": text, "code": snake_case, "details"?: {...}}`.

use axum::{
    Json,
    extract::rejection::{JsonRejection, QueryRejection},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use rca_flow::FlowError;
use serde::Serialize;
use serde_json::Value;
use utoipa::{IntoResponses, ToSchema};

use crate::body::BodyError;

/// The body of every error answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong and what to do about it, for people.
    pub error: String,
    /// What went wrong, for programs.
    pub code: &'static str,
    /// More for programs, e.g. missing scopes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
}

/// The error answers that any route may give.
#[derive(Debug, IntoResponses)]
pub enum Errors {
    /// The body is not JSON, or an OAuth state is not ours.
    #[response(status = 400)]
    BadRequest(ErrorBody),
    /// No valid token.
    #[response(status = 401)]
    Unauthorized(ErrorBody),
    /// The token lacks a scope.
    #[response(status = 403)]
    Forbidden(ErrorBody),
    /// No such object.
    #[response(status = 404)]
    NotFound(ErrorBody),
    /// The body took too long to arrive.
    #[response(status = 408)]
    Timeout(ErrorBody),
    /// Not in the present state.
    #[response(status = 409)]
    Conflict(ErrorBody),
    /// The body is too large.
    #[response(status = 413)]
    TooLarge(ErrorBody),
    /// Not JSON by its content type.
    #[response(status = 415)]
    UnsupportedMediaType(ErrorBody),
    /// A field is wrong, or the forge refused.
    #[response(status = 422)]
    Unprocessable(ErrorBody),
    /// Too many requests.
    #[response(status = 429)]
    TooManyRequests(ErrorBody),
    /// The forge does not answer as it should.
    #[response(status = 502)]
    BadGateway(ErrorBody),
    /// Overload, or an unusable database.
    #[response(status = 503)]
    Unavailable(ErrorBody),
}

/// An error on its way to the caller.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    body: ErrorBody,
    retry_after: Option<u64>,
}

impl ApiError {
    /// An error with `status`, a stable `code` and a text for people.
    pub fn new(status: StatusCode, code: &'static str, error: impl Into<String>) -> Self {
        Self { status, body: ErrorBody { error: error.into(), code, details: None }, retry_after: None }
    }

    /// No such object.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no such {what}"))
    }

    /// A field is wrong.
    #[must_use]
    pub fn invalid(code: &'static str, error: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, error)
    }

    /// Overload or an unusable database: come back soon.
    #[must_use]
    pub fn unavailable(error: impl Into<String>) -> Self {
        let mut this = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", error);
        this.retry_after = Some(5);
        this
    }

    /// Too much was asked for: come back after `wait`.
    #[must_use]
    pub fn too_many(error: impl Into<String>, wait: std::time::Duration) -> Self {
        let mut this = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", error);
        // Rounded up, so that who comes then is let in.
        this.retry_after = Some(wait.as_secs() + 1);
        this
    }

    /// Nothing is told about why a request was not believed.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "the request is not authenticated")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<FlowError> for ApiError {
    fn from(error: FlowError) -> Self {
        let status = StatusCode::from_u16(error.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status.is_server_error() {
            tracing::warn!(code = error.code, error = %error, "request failed");
        }
        let retry_after =
            matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS).then_some(5);
        Self {
            status,
            body: ErrorBody { error: error.message, code: error.code, details: error.details },
            retry_after,
        }
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                "the request body is larger than allowed",
            ),
            BodyError::TooSlow => {
                Self::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", "the request body took too long")
            }
            BodyError::Broken => {
                Self::new(StatusCode::BAD_REQUEST, "body_broken", "the request body ended early")
            }
            BodyError::Busy => Self::unavailable("too many request bodies at once: try again"),
        }
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        match rejection {
            JsonRejection::JsonDataError(error) => Self::invalid("invalid_field", text_of(&error)),
            JsonRejection::JsonSyntaxError(error) => {
                Self::new(StatusCode::BAD_REQUEST, "malformed_json", text_of(&error))
            }
            JsonRejection::MissingJsonContentType(_) => Self::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "send the body as JSON with Content-Type: application/json",
            ),
            other => Self::new(other.status(), "unreadable_body", other.body_text()),
        }
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::invalid("invalid_parameter", text_of(&rejection))
    }
}

/// The innermost message: the outer ones only say that deserialising failed.
fn text_of(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
