//! Every way in which GitFlic says no.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use forge_core::{
    Credential, CredentialKind, CredentialProvider, ErrorKind, ForgeKind, Instance, Provider, Retry,
};
use forge_gitflic::GitFlic;
use serde_json::json;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers};

use crate::server::{Forge, TOKEN, http, ok, refusal};

const SHOP: &str = "/project/northwind/shop";

async fn error_of(forge: &Forge) -> forge_core::Error {
    let error = forge.client.repos().get_repo("northwind/shop").await.unwrap_err();
    assert_eq!(error.forge(), Some(ForgeKind::GITFLIC));
    assert_eq!(error.operation(), Some("read project northwind/shop"));
    assert!(!format!("{error} {error:?}").contains(TOKEN));
    error
}

#[tokio::test]
async fn statuses_have_their_kinds_and_remedies() {
    let html = |status: u16| ResponseTemplate::new(status).set_body_raw("<html>sign in</html>", "text/html");
    let cases = [
        (refusal(401, "error.token"), ErrorKind::Unauthorized, "replace it"),
        (refusal(404, "error.project.not.found"), ErrorKind::NotFound, "do not redirect"),
        (refusal(429, "error.limit"), ErrorKind::RateLimited, "webhooks"),
        (html(403), ErrorKind::UnexpectedResponse, "proxy"),
        (html(200), ErrorKind::UnexpectedResponse, "proxy"),
    ];
    for (answer, kind, remedy) in cases {
        let forge = Forge::start().await;
        forge.on("GET", SHOP, answer).await;
        let error = error_of(&forge).await;
        assert_eq!(error.kind(), kind, "{error:?}");
        let hints = format!("{} {:?}", error.hint().unwrap_or_default(), std::error::Error::source(&error));
        assert!(hints.contains(remedy), "{error:?}");
    }
    for (status, kind) in [
        (400, ErrorKind::Invalid),
        (405, ErrorKind::Invalid),
        (409, ErrorKind::Conflict),
        (500, ErrorKind::Forge),
    ] {
        let forge = Forge::start().await;
        forge.on("GET", SHOP, refusal(status, "error.some.key")).await;
        let error = error_of(&forge).await;
        assert_eq!((error.kind(), error.status()), (kind, Some(status)));
        assert!(error.message().contains("error.some.key"), "the key says more than the status: {error}");
    }
    let forge = Forge::start().await;
    forge.on("GET", SHOP, refusal(400, "<script>alert(1)</script>")).await;
    assert!(!error_of(&forge).await.message().contains("script"), "only keys are taken over");
}

#[tokio::test]
async fn a_limit_without_a_time_is_not_hammered() {
    let forge = Forge::start().await;
    forge.on("GET", SHOP, refusal(429, "error.limit")).await;
    let error = error_of(&forge).await;
    assert_eq!(error.retry(), Retry::After(Duration::from_secs(300)));
    assert_eq!(forge.asked().await.len(), 1);
}

#[tokio::test]
async fn a_refusal_is_the_token_or_the_right_by_whether_we_may_say_who_we_are() {
    let forge = Forge::start().await;
    forge.on("GET", SHOP, refusal(403, "error.access.denied")).await;
    forge.on("GET", "/user/me", refusal(403, "error.access.denied")).await;
    let error = error_of(&forge).await;
    assert_eq!(
        (error.kind(), error.retry(), error.status()),
        (ErrorKind::Unauthorized, Retry::Never, Some(403))
    );
    assert!(error.hint().unwrap().contains("expired"));
    assert_eq!(forge.asked().await, [format!("GET {SHOP}"), "GET /user/me".to_owned()]);

    let who = forge.client.whoami().await.unwrap_err();
    assert_eq!(who.kind(), ErrorKind::Unauthorized);
    assert_eq!(forge.asked().await.len(), 3, "that question answers itself");

    let forge = Forge::start().await;
    forge.on("GET", SHOP, refusal(403, "error.access.denied")).await;
    forge.knows_us().await;
    let error = error_of(&forge).await;
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.hint().unwrap().contains("PROJECT_EDIT"));

    // Whatever else befalls the question, it decides nothing.
    let forge = Forge::start().await;
    forge.on("GET", SHOP, refusal(403, "error.access.denied")).await;
    forge.on("GET", "/user/me", ResponseTemplate::new(404)).await;
    assert_eq!(error_of(&forge).await.kind(), ErrorKind::Forbidden);
}

/// A token that can be renewed so many times.
#[derive(Debug)]
struct Renewing(Mutex<(u32, u32)>);

impl Renewing {
    fn current(&self) -> Arc<Credential> {
        let token = format!("token-{}", self.0.lock().unwrap().0);
        Arc::new(Credential::new(CredentialKind::OAuth, token.into()))
    }
}

#[async_trait]
impl CredentialProvider for Renewing {
    async fn credential(&self) -> forge_core::Result<Arc<Credential>> {
        Ok(self.current())
    }

    async fn refresh(&self, _rejected: &Credential) -> forge_core::Result<Arc<Credential>> {
        {
            let mut state = self.0.lock().unwrap();
            if state.1 == 0 {
                return Err(forge_core::Error::new(ErrorKind::InvalidGrant, "the grant is dead"));
            }
            *state = (state.0 + 1, state.1 - 1);
        }
        Ok(self.current())
    }
}

#[tokio::test]
async fn a_token_that_is_refused_with_403_is_refreshed_once() {
    let connect = |server: &MockServer, left| {
        let credentials = Arc::new(Renewing(Mutex::new((1, left))));
        GitFlic::new(http()).connect(&Instance::new(&server.uri()).unwrap(), credentials).unwrap()
    };
    let server = MockServer::start().await;
    let is_new = |request: &Request| {
        request.headers.get("authorization").is_some_and(|value| value == "token token-2")
    };
    let shop = json!({"id": "a", "alias": "shop", "ownerAlias": "northwind"});
    Mock::given(is_new)
        .and(matchers::path(format!("/rest-api{SHOP}")))
        .respond_with(ok(&shop))
        .mount(&server)
        .await;
    Mock::given(matchers::any()).respond_with(refusal(403, "error.access.denied")).mount(&server).await;

    let client = connect(&server, 5);
    assert_eq!(client.repos().get_repo("northwind/shop").await.unwrap().id, "a");
    assert_eq!(server.received_requests().await.unwrap().len(), 3, "refused, asked, repeated");

    let error = connect(&server, 5).repos().get_repo("northwind/closed").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden, "a new token that is refused is not bad");
    assert_eq!(server.received_requests().await.unwrap().len(), 6, "and not refreshed for ever");

    let error = connect(&server, 0).repos().get_repo("northwind/shop").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidGrant);
}
