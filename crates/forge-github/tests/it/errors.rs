//! Every documented way in which GitHub says no.

use std::time::Duration;

use forge_core::{ErrorKind, ForgeKind, Retry};
use serde_json::json;
use wiremock::ResponseTemplate;

use crate::server::{Forge, json as answer};

async fn error_of(response: ResponseTemplate) -> forge_core::Error {
    let forge = Forge::start().await;
    forge.on("GET", "/repos/northwind/shop", response).await;
    let error = forge.client.repos().get_repo("northwind/shop").await.unwrap_err();
    assert_eq!(error.forge(), Some(ForgeKind::GITHUB));
    assert_eq!(error.operation(), Some("read repository northwind/shop"));
    error
}

fn said(status: u16, message: &str) -> ResponseTemplate {
    answer(status, &json!({"message": message, "documentation_url": "https://docs.github.com/rest"}))
}

#[tokio::test]
async fn statuses_have_their_kinds_and_remedies() {
    let cases = [
        (said(401, "Bad credentials"), ErrorKind::Unauthorized, "expired, revoked or mistyped"),
        (said(403, "Must have admin rights to Repository."), ErrorKind::Forbidden, "permissions"),
        (
            said(403, "Resource protected by organization SAML enforcement.").insert_header(
                "x-github-sso",
                "required; url=https://github.com/orgs/x/sso?authorization_request=A",
            ),
            ErrorKind::Forbidden,
            "single sign-on",
        ),
        (
            said(403, "Resource not accessible by personal access token")
                .insert_header("x-accepted-github-permissions", "actions=read"),
            ErrorKind::Forbidden,
            "one of the permissions actions=read",
        ),
        (
            said(403, "Forbidden")
                .insert_header("x-accepted-oauth-scopes", "repo")
                .insert_header("x-oauth-scopes", "read:user"),
            ErrorKind::Forbidden,
            "one of the scopes repo; it has read:user",
        ),
        (said(404, "Not Found"), ErrorKind::NotFound, "GitHub answers 404 for both"),
        (
            said(404, "Not Found")
                .insert_header("x-accepted-oauth-scopes", "repo")
                .insert_header("x-oauth-scopes", ""),
            ErrorKind::NotFound,
            "it has none",
        ),
        (said(410, "Gone"), ErrorKind::Gone, "expired or was deleted"),
        (said(451, "Repository access blocked"), ErrorKind::Forbidden, "owner"),
    ];
    for (response, kind, hint) in cases {
        let error = error_of(response).await;
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.hint().unwrap().contains(hint), "{error}");
        // A token that cannot be refreshed is told of by its provider, which knows no status.
        assert!(error.status().is_some() || kind == ErrorKind::Unauthorized);
        assert!(!format!("{error:?}").contains("authorization_request"), "the sign-on address is a secret");
    }
    assert_eq!(error_of(said(422, "Validation Failed")).await.kind(), ErrorKind::Invalid);
    assert_eq!(error_of(said(400, "unsupported version")).await.kind(), ErrorKind::Invalid);
    assert_eq!(error_of(said(409, "Git Repository is empty.")).await.kind(), ErrorKind::Conflict);
    assert_eq!(error_of(said(500, "Server Error")).await.kind(), ErrorKind::Forge);
}

#[tokio::test]
async fn a_403_is_a_rate_limit_before_it_is_a_permission() {
    let in_two_hours = (jiff::Timestamp::now().as_second() + 7200).to_string();
    let primary = said(403, "API rate limit exceeded for user ID 1.")
        .insert_header("x-ratelimit-remaining", "0")
        .insert_header("x-ratelimit-reset", in_two_hours.as_str());
    let error = error_of(primary).await;
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    let Retry::After(wait) = error.retry() else { panic!("{error:?}") };
    assert!(wait > Duration::from_secs(7000) && wait <= Duration::from_secs(7200));

    let secondary = said(403, "You have exceeded a secondary rate limit.")
        .insert_header("x-ratelimit-remaining", "4999")
        .insert_header("retry-after", "3600");
    assert_eq!(error_of(secondary).await.retry(), Retry::After(Duration::from_secs(3600)));

    let both =
        said(429, "slow down").insert_header("retry-after", "3600").insert_header("x-github-sso", "required");
    assert_eq!(error_of(both).await.kind(), ErrorKind::RateLimited);
}

#[tokio::test]
async fn a_secondary_limit_without_headers_waits_a_minute_and_nothing_is_sent_meanwhile() {
    let forge = Forge::start().await;
    let secondary = said(403, "You have exceeded a secondary rate limit. Please wait a few minutes.");
    forge.on("POST", "/repos/northwind/shop/hooks/1/pings", secondary).await;
    let hooks = forge.client.hooks().unwrap();
    let repo = crate::server::repo();
    let error = hooks.test_hook(&repo, "1").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.retry()),
        (ErrorKind::RateLimited, Retry::After(Duration::from_secs(60)))
    );
    assert_eq!(forge.asked().await.len(), 1);
}

#[tokio::test]
async fn html_truncated_and_mistyped_answers_are_told_without_their_text() {
    let html = ResponseTemplate::new(200).set_body_raw("<html>s3cret login</html>", "text/html");
    let truncated =
        ResponseTemplate::new(200).set_body_raw(r#"{"id": 1, "full_name": "s3cret"#, "application/json");
    let mistyped = ResponseTemplate::new(200).set_body_raw(r#"{"id": "s3cret"}"#, "application/json");
    for response in [html, truncated, mistyped] {
        let error = error_of(response).await;
        assert_eq!(error.kind(), ErrorKind::UnexpectedResponse);
        assert!(!format!("{error:?} {error}").contains("s3cret"), "{error:?}");
    }
}

#[tokio::test]
async fn a_failing_server_is_asked_again_for_reads_only() {
    let forge = Forge::start().await;
    forge.once("GET", "/repos/northwind/shop", ResponseTemplate::new(502)).await;
    forge.on("GET", "/repos/northwind/shop", answer(200, &crate::server::fixture("repository.json"))).await;
    forge.client.repos().get_repo("northwind/shop").await.unwrap();
    assert_eq!(forge.asked().await.len(), 2);

    forge.server.reset().await;
    forge.on("POST", "/repos/northwind/shop/hooks/1/pings", ResponseTemplate::new(502)).await;
    let error = forge.client.hooks().unwrap().test_hook(&crate::server::repo(), "1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forge);
    assert_eq!(forge.asked().await.len(), 1);
}
