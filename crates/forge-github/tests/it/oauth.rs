//! The OAuth web flow in GitHub's dialect.

use forge_core::{CsrfState, ErrorKind, Instance, OAuthApp, OAuthFlow, Pkce, Provider, TokenSet};
use forge_github::GitHub;
use secrecy::ExposeSecret as _;
use serde_json::json;
use url::Url;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers};

use crate::server::http;

const TOKEN_PATH: &str = "/login/oauth/access_token";

fn app() -> OAuthApp {
    OAuthApp {
        client_id: "Iv1.abc".to_owned(),
        client_secret: "app-secret".to_owned().into(),
        scopes: Vec::new(),
    }
}

fn redirect() -> Url {
    "https://rca.example.com/v1/integrations/github/callback".parse().unwrap()
}

fn pkce() -> Pkce {
    Pkce::from_entropy(&[7; 32])
}

fn flow_at(base: &str) -> Box<dyn OAuthFlow> {
    GitHub::new(http()).oauth(&Instance::new(base).unwrap(), &app()).unwrap().unwrap()
}

async fn answering(answer: ResponseTemplate) -> (MockServer, Box<dyn OAuthFlow>) {
    let server = MockServer::start().await;
    Mock::given(matchers::method("POST"))
        .and(matchers::path(TOKEN_PATH))
        .respond_with(answer)
        .mount(&server)
        .await;
    let flow = flow_at(&server.uri());
    (server, flow)
}

async fn exchange(flow: &dyn OAuthFlow) -> forge_core::Result<TokenSet> {
    flow.exchange_code(&"the-code".to_owned().into(), &redirect(), Some(&pkce())).await
}

fn fields(request: &Request) -> Vec<(String, String)> {
    let mut fields: Vec<_> = url::form_urlencoded::parse(&request.body).into_owned().collect();
    fields.sort();
    fields
}

#[test]
fn the_authorize_url_asks_for_scopes_by_spaces_and_pkce() {
    let state = CsrfState::from_entropy(&[1; 32]);
    let url = flow_at("https://github.com").authorize_url(&redirect(), &state, Some(&pkce()));
    assert_eq!(&url[..url::Position::AfterPath], "https://github.com/login/oauth/authorize");
    let mut query: Vec<_> = url.query_pairs().into_owned().collect();
    query.sort();
    insta::assert_debug_snapshot!(query);
}

#[test]
fn addresses_follow_from_the_base_url() {
    let state = CsrfState::from_entropy(&[1; 32]);
    let cases = [
        ("https://github.com/", "https://github.com/login/oauth/authorize"),
        ("https://octo.ghe.com", "https://octo.ghe.com/login/oauth/authorize"),
        ("https://git.example.com/hub", "https://git.example.com/hub/login/oauth/authorize"),
    ];
    for (base, expected) in cases {
        let url = flow_at(base).authorize_url(&redirect(), &state, None);
        assert_eq!(&url[..url::Position::AfterPath], expected);
    }
    for oauth in ["https://proxy.example.com", "https://proxy.example.com/login/oauth"] {
        let instance = Instance::new("https://github.com").unwrap().with_oauth_base_url(oauth).unwrap();
        let flow = GitHub::new(http()).oauth(&instance, &app()).unwrap().unwrap();
        let url = flow.authorize_url(&redirect(), &state, None);
        assert_eq!(&url[..url::Position::AfterPath], "https://proxy.example.com/login/oauth/authorize");
    }
    for base in ["https://github.com/northwind", "https://api.github.com", "https://ghe.com"] {
        let error = GitHub::new(http()).oauth(&Instance::new(base).unwrap(), &app()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{base}");
        assert!(error.hint().is_some());
    }
}

#[test]
fn pkce_can_be_switched_off_for_servers_but_not_for_the_clouds() {
    let provider = GitHub::builder(http()).with_pkce_on_servers(false).build();
    let state = CsrfState::from_entropy(&[1; 32]);
    for (base, is_sent) in
        [("https://github.com", true), ("https://octo.ghe.com", true), ("https://git.example.com", false)]
    {
        let flow = provider.oauth(&Instance::new(base).unwrap(), &app()).unwrap().unwrap();
        let url = flow.authorize_url(&redirect(), &state, Some(&pkce()));
        assert_eq!(url.query().unwrap().contains("code_challenge"), is_sent, "{base}");
    }
}

#[tokio::test]
async fn a_code_becomes_a_token_with_comma_separated_scopes() {
    let body = json!({"access_token": "gho_x", "scope": "repo,read:user", "token_type": "bearer"});
    let (server, flow) = answering(ResponseTemplate::new(200).set_body_json(body)).await;
    let tokens = exchange(&*flow).await.unwrap();
    assert_eq!(tokens.access_token.expose_secret(), "gho_x");
    assert_eq!(tokens.scopes, ["repo", "read:user"]);
    assert!(tokens.refresh_token.is_none() && tokens.expires_at.is_none(), "OAuth app tokens do not expire");

    let request = &server.received_requests().await.unwrap()[0];
    insta::assert_debug_snapshot!(fields(request));
    assert_eq!(request.headers.get("accept").unwrap(), "application/json");
}

#[tokio::test]
async fn a_form_answer_and_an_app_token_with_refresh_are_read() {
    let form = "access_token=ghu_x&expires_in=28800&refresh_token=ghr_y&refresh_token_expires_in=15897600&scope=&token_type=bearer";
    let (server, flow) =
        answering(ResponseTemplate::new(200).set_body_raw(form, "application/x-www-form-urlencoded")).await;
    let tokens = exchange(&*flow).await.unwrap();
    assert!(tokens.expires_at.is_some() && tokens.scopes.is_empty());
    let refresh = tokens.refresh_token.unwrap();
    assert_eq!(refresh.expose_secret(), "ghr_y");
    flow.refresh(&refresh, &redirect()).await.unwrap();
    insta::assert_debug_snapshot!(fields(&server.received_requests().await.unwrap()[1]));
}

#[tokio::test]
async fn errors_come_with_status_200() {
    let cases = [
        ("bad_verification_code", ErrorKind::InvalidGrant),
        ("bad_refresh_token", ErrorKind::InvalidGrant),
        ("incorrect_client_credentials", ErrorKind::Unauthorized),
        ("redirect_uri_mismatch", ErrorKind::InvalidInput),
        ("unverified_user_email", ErrorKind::Invalid),
        ("something_new", ErrorKind::Invalid),
    ];
    for (code, expected) in cases {
        let body =
            json!({"error": code, "error_description": "the-code is wrong", "error_uri": "https://docs"});
        let (server, flow) = answering(ResponseTemplate::new(200).set_body_json(body)).await;
        let error = exchange(&*flow).await.unwrap_err();
        assert_eq!(error.kind(), expected, "{code}");
        assert!(!format!("{error:?}").contains("the-code"));
        assert_eq!(server.received_requests().await.unwrap().len(), 1, "never sent twice");
    }
}

#[tokio::test]
async fn revoking_ends_the_grant_with_the_application_s_own_credential() {
    let server = MockServer::start().await;
    for status in [204, 404, 422] {
        Mock::given(matchers::method("DELETE"))
            .and(matchers::path("/api/v3/applications/Iv1.abc/grant"))
            .respond_with(ResponseTemplate::new(status))
            .up_to_n_times(1)
            .mount(&server)
            .await;
    }
    let flow = flow_at(&server.uri());
    let tokens = TokenSet {
        access_token: "gho_x".to_owned().into(),
        refresh_token: None,
        expires_at: None,
        scopes: Vec::new(),
    };
    for _ in 0..3 {
        assert!(flow.revoke(&tokens).await.unwrap(), "a dead token is revoked");
    }
    let request = &server.received_requests().await.unwrap()[0];
    assert_eq!(request.headers.get("authorization").unwrap(), "Basic SXYxLmFiYzphcHAtc2VjcmV0");
    assert_eq!(request.body_json::<serde_json::Value>().unwrap(), json!({"access_token": "gho_x"}));
}
