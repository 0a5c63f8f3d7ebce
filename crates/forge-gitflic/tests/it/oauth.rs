//! OAuth in GitFlic's dialect.

use forge_core::{CsrfState, ErrorKind, Instance, OAuthApp, OAuthFlow, Provider, TokenSet};
use forge_gitflic::GitFlic;
use forge_testkit::{FakeGitFlic, Fault, Receiver};
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use url::Url;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers};

use crate::server::{http, refusal};

const ACCESS: &str = "/api/token/access";

fn app() -> OAuthApp {
    OAuthApp {
        client_id: "app-1".to_owned(),
        client_secret: "app-secret".to_owned().into(),
        scopes: Vec::new(),
    }
}

fn redirect() -> Url {
    "https://rca.example.com/v1/integrations/gitflic/callback".parse().unwrap()
}

fn flow_at(base: &str) -> Box<dyn OAuthFlow> {
    GitFlic::new(http()).oauth(&Instance::new(base).unwrap(), &app()).unwrap().unwrap()
}

async fn on(server: &MockServer, verb: &str, path: &str, with_basic: Option<bool>, answer: ResponseTemplate) {
    Mock::given(matchers::method(verb))
        .and(matchers::path(path))
        .and(move |request: &Request| {
            with_basic.is_none_or(|wanted| request.headers.contains_key("authorization") == wanted)
        })
        .respond_with(answer)
        .mount(server)
        .await;
}

async fn exchange(flow: &dyn OAuthFlow) -> forge_core::Result<TokenSet> {
    flow.exchange_code(&"the-code".to_owned().into(), &redirect(), None).await
}

fn tokens() -> ResponseTemplate {
    ResponseTemplate::new(200)
        .set_body_json(json!({"accessToken": "at", "refreshToken": "rt", "expires": 3600}))
}

#[test]
fn the_authorize_url_speaks_gitflic() {
    let state = CsrfState::from_entropy(&[1; 32]);
    let cloud = flow_at("https://gitflic.ru").authorize_url(&redirect(), &state, None);
    assert_eq!(&cloud[..url::Position::AfterPath], "https://oauth.gitflic.ru/oauth/authorize");
    let own = flow_at("https://git.example.com/flic").authorize_url(&redirect(), &state, None);
    assert_eq!(&own[..url::Position::AfterPath], "https://git.example.com/flic/oauth/authorize");
    let query = |url: &Url| url.query_pairs().into_owned().collect::<Vec<_>>();
    insta::assert_debug_snapshot!((query(&cloud), query(&own)));

    for oauth in
        ["https://proxy.example.com", "https://proxy.example.com/oauth", "https://proxy.example.com/oauth/"]
    {
        let instance = Instance::new("https://gitflic.ru").unwrap().with_oauth_base_url(oauth).unwrap();
        let flow = GitFlic::new(http()).oauth(&instance, &app()).unwrap().unwrap();
        let url = flow.authorize_url(&redirect(), &state, None);
        assert_eq!(&url[..url::Position::AfterPath], "https://proxy.example.com/oauth/authorize");
    }
    let wide = OAuthApp { scopes: vec!["PROJECT_READ".to_owned(), "TEAM_READ".to_owned()], ..app() };
    let flow =
        GitFlic::new(http()).oauth(&Instance::new("https://gitflic.ru").unwrap(), &wide).unwrap().unwrap();
    let url = flow.authorize_url(&redirect(), &state, None);
    assert!(url.query_pairs().any(|(name, value)| name == "scope" && value == "PROJECT_READ,TEAM_READ"));
}

#[tokio::test]
async fn a_code_is_exchanged_with_basic_and_without_where_that_is_refused() {
    for refused in [None, Some(401), Some(403)] {
        let server = MockServer::start().await;
        if let Some(status) = refused {
            on(&server, "GET", ACCESS, Some(true), refusal(status, "error.access.denied")).await;
        }
        on(&server, "GET", ACCESS, None, tokens()).await;
        let given = exchange(&*flow_at(&server.uri())).await.unwrap();
        assert_eq!(given.access_token.expose_secret(), "at");
        assert_eq!(given.refresh_token.unwrap().expose_secret(), "rt");
        let requests = server.received_requests().await.unwrap();
        assert_eq!(requests.len(), if refused.is_some() { 2 } else { 1 });
        assert_eq!(requests[0].headers.get("authorization").unwrap(), "Basic YXBwLTE6YXBwLXNlY3JldA==");
        assert_eq!(requests[0].url.query(), Some("code=the-code"));
    }
}

#[tokio::test]
async fn a_code_whose_answer_is_lost_is_not_sent_again() {
    let fake = FakeGitFlic::start().await;
    let app = fake.add_oauth_app(&[redirect().as_str()], &[], false).oauth_app();
    let flow = GitFlic::new(http()).oauth(&fake.instance(), &app).unwrap().unwrap();
    for fault in [Fault::CloseAfter, Fault::Status(503)] {
        fake.forget_requests();
        fake.fail_next("GET", "/api/token/access", fault);
        let error = exchange(&*flow).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Forge), "{error:?}");
        assert_eq!(fake.count("*", "**"), 1, "{error:?}");
    }
}

#[tokio::test]
async fn the_token_endpoint_is_found_below_oauth_too() {
    let server = MockServer::start().await;
    on(&server, "GET", "/oauth/api/token/access", None, tokens()).await;
    on(&server, "POST", "/oauth/api/token/refresh", None, tokens()).await;
    let flow = flow_at(&server.uri());
    exchange(&*flow).await.unwrap();
    flow.refresh(&"rt".to_owned().into(), &redirect()).await.unwrap();
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.last().unwrap().body_json::<Value>().unwrap(), json!({"refreshToken": "rt"}));
}

#[tokio::test]
async fn every_form_of_an_expiry_is_read() {
    let now = Timestamp::now();
    let in_an_hour = now + SignedDuration::from_hours(1);
    let moscow = (in_an_hour + SignedDuration::from_hours(3)).strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let cases = [
        (json!({"expires": 3600}), true),
        (json!({"expires_in": "3600"}), true),
        (json!({"expiresIn": 3600}), true),
        (json!({"expiresAt": in_an_hour.to_string()}), true),
        (json!({"expiresAt": moscow}), true),
        (json!({"expires": in_an_hour.as_second()}), true),
        (json!({"expires": in_an_hour.as_millisecond()}), true),
        (json!({"expires": 0}), false),
        (json!({"expires": "time.never"}), false),
        (json!({"expires": null}), false),
        (json!({}), false),
    ];
    for (mut body, is_known) in cases {
        body["accessToken"] = json!("at");
        let server = MockServer::start().await;
        on(&server, "GET", ACCESS, None, ResponseTemplate::new(200).set_body_json(&body)).await;
        let given = exchange(&*flow_at(&server.uri())).await.unwrap();
        assert_eq!(given.expires_at.is_some(), is_known, "{body}");
        if let Some(at) = given.expires_at {
            assert!(at.duration_since(in_an_hour).abs() < SignedDuration::from_secs(60), "{body}: {at}");
        }
        assert!(given.refresh_token.is_none());
    }
}

#[tokio::test]
async fn refusals_are_told_apart_and_quote_nothing() {
    let html = || ResponseTemplate::new(404).set_body_raw("<html>the-code</html>", "text/html");
    let cases = [
        (refusal(400, "the-code"), ErrorKind::InvalidGrant),
        (refusal(404, "error.code.not.found"), ErrorKind::InvalidGrant),
        (refusal(422, "the-code"), ErrorKind::InvalidGrant),
        (refusal(401, "error.client"), ErrorKind::Unauthorized),
        (refusal(403, "error.access.denied"), ErrorKind::Unauthorized),
        (html(), ErrorKind::UnexpectedResponse),
        (refusal(500, "the-code"), ErrorKind::Forge),
        (ResponseTemplate::new(200).set_body_string("the-code"), ErrorKind::UnexpectedResponse),
        (
            ResponseTemplate::new(200).set_body_json(json!({"token": "the-code"})),
            ErrorKind::UnexpectedResponse,
        ),
        (ResponseTemplate::new(200).set_body_json(json!({"error": "the-code"})), ErrorKind::InvalidGrant),
    ];
    for (answer, expected) in cases {
        let server = MockServer::start().await;
        on(&server, "GET", ACCESS, None, answer.clone()).await;
        on(&server, "GET", "/oauth/api/token/access", None, answer).await;
        let error = exchange(&*flow_at(&server.uri())).await.unwrap_err();
        assert_eq!(error.kind(), expected, "{error:?}");
        assert_eq!(error.operation(), Some("exchange the OAuth code"));
        let text = format!("{error} {error:?}");
        assert!(!text.contains("the-code") && !text.contains("app-secret"), "{text}");
    }
    let server = MockServer::start().await;
    on(&server, "POST", "/api/token/refresh", None, refusal(403, "error.access.denied")).await;
    let error = flow_at(&server.uri()).refresh(&"spent".to_owned().into(), &redirect()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidGrant, "a spent refresh token is refused like a bad token");
}

#[tokio::test]
async fn the_code_comes_from_server_to_server_when_the_callback_takes_it() {
    let fake = FakeGitFlic::start().await;
    let receiver = Receiver::start().await;
    let callback = receiver.url().clone();
    let app = fake.add_oauth_app(&[callback.as_str()], &[], false).oauth_app();
    let flow = GitFlic::new(http()).oauth(&fake.instance(), &app).unwrap().unwrap();
    let state = CsrfState::from_entropy(&[4; 32]);
    let page = flow.authorize_url(&callback, &state, None);
    let back = fake.browse(&page).await.unwrap();
    assert_eq!(back, callback, "the browser brings nothing");
    let posted: Value = serde_json::from_slice(&receiver.wait_for(1).await[0].body).unwrap();
    assert_eq!(posted["state"], state.as_secret().expose_secret());
    let code = posted["code"].as_str().unwrap().to_owned().into();
    let given = flow.exchange_code(&code, &callback, None).await.unwrap();
    assert!(fake.is_token_valid(&given.access_token));
    assert!(!flow.revoke(&given).await.unwrap(), "GitFlic has no way to revoke");

    // A callback that fails leaves it to the browser.
    receiver.set_status(500);
    let back = fake.browse(&page).await.unwrap();
    assert!(back.query_pairs().any(|(name, _)| name == "code"));
    assert!(fake.unknown_requests().is_empty(), "{:?}", fake.unknown_requests());
}
