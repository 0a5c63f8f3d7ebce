//! Every documented way in which Bitbucket says no.

use std::time::Duration;

use forge_core::{ErrorKind, ForgeKind, Retry};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::server::{Forge, REPO, answer, refusal};

async fn error_of(response: ResponseTemplate) -> forge_core::Error {
    let forge = Forge::start().await;
    forge.on("GET", REPO, response).await;
    let error = forge.client.repos().get_repo("NW/shop").await.unwrap_err();
    assert_eq!(error.forge(), Some(ForgeKind::BITBUCKET_DC));
    assert_eq!(error.operation(), Some("read repository NW/shop"));
    error
}

fn anonymous(status: u16, message: &str, exception: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(refusal(message, exception))
}

#[tokio::test]
async fn a_401_is_a_bad_token_or_a_missing_permission_and_the_user_header_tells() {
    let not_permitted = "You are not permitted to access this resource";
    let cases = [
        (
            anonymous(401, "Authentication failed.", "auth.IncorrectPasswordAuthenticationException"),
            ErrorKind::Unauthorized,
        ),
        // Some servers take a bad token for nobody's.
        (anonymous(401, not_permitted, "AuthorisationException"), ErrorKind::Unauthorized),
        (answer(401, &refusal(not_permitted, "AuthorisationException")), ErrorKind::Forbidden),
        (answer(403, &refusal("XSRF check failed", "XsrfException")), ErrorKind::Forbidden),
    ];
    for (response, kind) in cases {
        let error = error_of(response).await;
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.hint().is_some(), "{error:?}");
        assert_eq!(error.retry(), Retry::Never);
    }
}

#[tokio::test]
async fn a_missing_permission_is_asked_for_once() {
    let forge = Forge::start().await;
    forge.on("GET", REPO, answer(401, &refusal("no", "AuthorisationException"))).await;
    forge.client.repos().get_repo("NW/shop").await.unwrap_err();
    assert_eq!(forge.asked().await.len(), 1, "the credential is good and is not refreshed");
}

#[tokio::test]
async fn statuses_have_their_kinds() {
    let missing = refusal("Repository NW/shop does not exist.", "repository.NoSuchRepositoryException");
    let error = error_of(answer(404, &missing)).await;
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("Repository NW/shop does not exist."), "{error}");
    assert!(error.hint().unwrap().contains("slug"));
    for (status, kind) in [
        (400, ErrorKind::Invalid),
        (409, ErrorKind::Conflict),
        (500, ErrorKind::Forge),
        (502, ErrorKind::Forge),
    ] {
        let error = error_of(answer(status, &refusal("x", "X"))).await;
        assert_eq!((error.kind(), error.status()), (kind, Some(status)));
    }
}

#[tokio::test]
async fn a_429_without_a_time_waits_as_atlassians_own_client_does() {
    let forge = Forge::start().await;
    forge
        .on("POST", &format!("{REPO}/webhooks"), answer(429, &refusal("limited", "RateLimitedException")))
        .await;
    forge.on("GET", "/webhooks/latest/capabilities", ResponseTemplate::new(404)).await;
    let spec = forge_core::model::HookSpec::new(
        "https://rca.example.com/h".parse().unwrap(),
        "0123456789abcdef".to_owned().into(),
    );
    let hooks = forge.client.hooks().unwrap();
    let error = hooks.create_hook(&crate::server::repo(), &spec).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert_eq!(error.retry(), Retry::After(Duration::from_secs(5)));
}

#[tokio::test]
async fn pages_and_wrong_types_are_told_without_their_text() {
    let page = ResponseTemplate::new(200)
        .set_body_raw("<!DOCTYPE html><html><title>Log in</title></html>", "text/html");
    let error = error_of(page).await;
    assert_eq!(error.kind(), ErrorKind::UnexpectedResponse);
    assert!(error.message().contains("web page") && !error.message().contains("Log in"), "{error}");
    let typed = answer(200, &serde_json::json!({"id": "x", "slug": 7}));
    assert_eq!(error_of(typed).await.kind(), ErrorKind::UnexpectedResponse);
}

/// Tokens of projects and repositories belong to no person: they are good when they may write to something.
#[tokio::test]
async fn a_token_without_a_name_is_good_where_it_may_write() {
    let list = |permission: &str| format!("/api/1.0/repos?permission={permission}&limit=1");
    let repository = json!({"id": 84, "slug": "shop", "project": {"key": "NW"}, "public": false});
    for (writable, is_good) in [(json!([repository]), true), (json!([]), false)] {
        let forge = Forge::start().await;
        let page = |values: &Value| {
            ResponseTemplate::new(200).set_body_json(json!({"values": values, "isLastPage": true}))
        };
        forge.on("GET", &list("REPO_READ"), page(&json!([repository]))).await;
        forge.on("GET", &list("REPO_WRITE"), page(&writable)).await;
        let version = ResponseTemplate::new(200).set_body_json(json!({"version": "9.4.3"}));
        forge.on("GET", "/api/1.0/application-properties", version).await;
        match forge.client.whoami().await {
            Ok(identity) => {
                assert!(is_good, "it is nobody's");
                assert_eq!(identity.account.login, "access-token");
                assert_eq!(identity.server_version.as_deref(), Some("9.4.3"));
            }
            Err(error) => {
                assert!(!is_good, "{error:?}");
                assert_eq!(error.kind(), ErrorKind::Unauthorized);
                assert!(error.hint().is_some());
            }
        }
    }
}
