//! What is read out of answers that are no success.

use std::time::Duration;

use forge_core::{ErrorKind, ForgeKind, Retry};
use forge_http::{Answer, default_classify};
use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::Timestamp;
use proptest::prelude::*;

fn message(body: &str) -> Option<String> {
    Answer::new(StatusCode::BAD_REQUEST, &HeaderMap::new(), body.as_bytes(), Timestamp::UNIX_EPOCH).message()
}

#[test]
fn messages_are_found_in_every_shape() {
    for (body, expected) in [
        (r#"{"message":"no"}"#, Some("no")),
        (r#"{"message":["a","b"]}"#, Some("a; b")),
        (r#"{"message":{"url":["is blocked","is long"]}}"#, Some("url: is blocked; url: is long")),
        (
            r#"{"error":"insufficient_scope","error_description":"needs api"}"#,
            Some("insufficient_scope; needs api"),
        ),
        (r#"{"error":{"message":"no"}}"#, Some("no")),
        (r#"{"message":"Failed","errors":[{"message":"exists","code":"custom"}]}"#, Some("Failed; exists")),
        (r#"{"errors":[{"message":"a"},{"message":"b"}]}"#, Some("a; b")),
        (r#"{"message":"same","error":"same"}"#, Some("same")),
        (r#"{"message":""}"#, None),
        (r#"{"message":7}"#, None),
        ("[]", None),
        ("<html>", None),
    ] {
        assert_eq!(message(body).as_deref(), expected, "{body}");
    }
}

#[test]
fn messages_are_one_short_visible_line() {
    let body = serde_json::json!({"message": "a\n\r\tb \u{1b}[31mred\u{202e}x\u{0}"}).to_string();
    assert_eq!(message(&body).unwrap(), "a b <U+001B>[31mred<U+202E>x<U+0000>");
    let long = message(&serde_json::json!({"message": "é".repeat(500)}).to_string()).unwrap();
    assert_eq!(long.chars().count(), 201);
    assert!(long.ends_with('…'));
}

#[test]
fn retry_after_is_seconds_or_a_date() {
    let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
    let read = |value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", HeaderValue::from_str(value).unwrap());
        Answer::new(StatusCode::TOO_MANY_REQUESTS, &headers, b"", now).retry_after()
    };
    assert_eq!(read("30"), Some(Duration::from_secs(30)));
    assert_eq!(read("Fri, 20 Nov 2026 12:01:30 GMT"), Some(Duration::from_secs(90)));
    assert_eq!(read("Fri, 20 Nov 2026 11:00:00 GMT"), Some(Duration::ZERO));
    assert_eq!(read("99999999999999999999999"), Some(Duration::from_secs(86_400)));
    for value in ["", "-1", "1.5", "soon"] {
        assert_eq!(read(value), None, "{value}");
    }
}

#[test]
fn a_limit_without_a_time_is_retried_with_growing_delays() {
    let headers = HeaderMap::new();
    let answer = Answer::new(StatusCode::TOO_MANY_REQUESTS, &headers, b"", Timestamp::UNIX_EPOCH);
    let error = default_classify(ForgeKind::GITLAB, &answer);
    assert_eq!((error.kind(), error.retry()), (ErrorKind::RateLimited, Retry::Backoff));
    assert_eq!(error.forge(), Some(ForgeKind::GITLAB));
}

proptest! {
    #[test]
    fn every_answer_is_an_error_of_its_status(status in 300_u16..=999, body in "\\PC{0,300}") {
        let headers = HeaderMap::new();
        let status = StatusCode::from_u16(status).unwrap();
        let answer = Answer::new(status, &headers, body.as_bytes(), Timestamp::UNIX_EPOCH);
        prop_assert_eq!(default_classify(ForgeKind::GITHUB, &answer).status(), Some(status.as_u16()));
    }

    #[test]
    fn no_message_holds_a_control_character(text in any::<String>()) {
        if let Some(line) = message(&serde_json::json!({"message": text}).to_string()) {
            prop_assert!(!line.chars().any(char::is_control));
        }
    }
}
