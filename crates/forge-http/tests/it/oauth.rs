//! The authorization-code grant against what token endpoints really answer.

use forge_core::{CsrfState, ErrorKind, ForgeKind, OAuthApp, Pkce, Result, TokenSet};
use forge_http::CodeGrant;
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use url::Url;

use crate::support::{RawServer, Reply, client, everything};

const SECRET: &str = "client-secret-77";
const CODE: &str = "code-88";

fn grant(server: &RawServer) -> CodeGrant {
    let app = OAuthApp {
        client_id: "the-client".to_owned(),
        client_secret: SECRET.to_owned().into(),
        scopes: Vec::new(),
    };
    let url = |path| Url::parse(&format!("{}{path}", server.url())).unwrap();
    CodeGrant::new(client(), ForgeKind::GITLAB, url("/oauth/authorize"), url("/oauth/token"), &app)
}

fn redirect() -> Url {
    Url::parse("https://rca.example/callback/1").unwrap()
}

async fn exchange(reply: Reply) -> (Result<TokenSet>, Vec<String>) {
    let server = RawServer::start(vec![reply]).await;
    let pkce = Pkce::from_entropy(&[7; 32]);
    let outcome = grant(&server).exchange(&CODE.to_owned().into(), &redirect(), Some(&pkce)).await;
    (outcome, server.heard())
}

#[tokio::test]
async fn the_authorize_url_says_it_all_and_nothing_secret() {
    let server = RawServer::start(vec![Reply::json("{}")]).await;
    let state = CsrfState::from_entropy(&[1; 32]);
    let pkce = Pkce::from_entropy(&[2; 32]);
    let grant = grant(&server);
    let url = grant.authorize_url(
        &redirect(),
        &state,
        Some(&pkce),
        &["api", "read_user"],
        &[("prompt", "consent")],
    );
    let pairs: std::collections::HashMap<String, String> = url.query_pairs().into_owned().collect();
    assert_eq!(url.path(), "/oauth/authorize");
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "the-client"),
        ("redirect_uri", "https://rca.example/callback/1"),
        ("scope", "api read_user"),
        ("code_challenge_method", "S256"),
        ("code_challenge", pkce.challenge()),
        ("state", state.as_secret().expose_secret()),
        ("prompt", "consent"),
    ] {
        assert_eq!(pairs.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert_eq!(pairs.len(), 8);
    assert!(!url.as_str().contains(SECRET) && !url.as_str().contains(pkce.verifier().expose_secret()));
    let with_comma = grant.clone().with_scope_separator(',');
    let url = with_comma.authorize_url(&redirect(), &state, None, &["repo", "read:org"], &[]);
    assert!(url.query_pairs().any(|(name, value)| name == "scope" && value == "repo,read:org"));
    assert!(!url.as_str().contains("code_challenge"));
    assert!(!format!("{grant:?}").contains(SECRET));
}

#[tokio::test]
async fn a_code_becomes_tokens() {
    let body = r#"{"access_token":"at-1","token_type":"Bearer","expires_in":7200,"refresh_token":"rt-1","scope":"api read_user","created_at":1}"#;
    let (outcome, heard) = exchange(Reply::json(body)).await;
    let tokens = outcome.unwrap();
    assert_eq!(tokens.access_token.expose_secret(), "at-1");
    assert_eq!(tokens.refresh_token.unwrap().expose_secret(), "rt-1");
    assert_eq!(tokens.scopes, ["api", "read_user"]);
    let remaining = tokens.expires_at.unwrap().duration_since(Timestamp::now()).as_secs();
    assert!((7190..=7200).contains(&remaining), "{remaining}");
    let request = &heard[0];
    assert!(request.starts_with("POST /oauth/token HTTP/1.1"));
    let body = request.rsplit("\r\n").next().unwrap();
    let pairs: std::collections::HashMap<String, String> =
        url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    for (name, value) in [
        ("grant_type", "authorization_code"),
        ("code", CODE),
        ("client_id", "the-client"),
        ("client_secret", SECRET),
        ("redirect_uri", "https://rca.example/callback/1"),
        ("code_verifier", Pkce::from_entropy(&[7; 32]).verifier().expose_secret()),
    ] {
        assert_eq!(pairs.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(!request.to_lowercase().contains("authorization:"));
}

#[tokio::test]
async fn basic_authentication_keeps_the_secret_out_of_the_body() {
    let server =
        RawServer::start(vec![Reply::json(r#"{"access_token":"at-2","refresh_token":"rt-2"}"#)]).await;
    let tokens =
        grant(&server).with_basic_auth().refresh(&"rt-1".to_owned().into(), Some(&redirect())).await.unwrap();
    assert_eq!(tokens.refresh_token.unwrap().expose_secret(), "rt-2");
    let request = server.heard().remove(0);
    assert!(request.contains("authorization: Basic dGhlLWNsaWVudDpjbGllbnQtc2VjcmV0LTc3"), "{request}");
    assert!(request.contains("grant_type=refresh_token") && request.contains("refresh_token=rt-1"));
    assert!(request.contains("redirect_uri=https%3A%2F%2Frca.example%2Fcallback%2F1"));
    assert!(!request.contains(SECRET));
}

#[tokio::test]
async fn odd_answers_are_understood() {
    // Body, seconds of life, refresh token, scopes.
    type Case = (&'static str, Option<i64>, Option<&'static str>, &'static [&'static str]);
    let cases: &[Case] = &[
        (r#"{"access_token":"at"}"#, None, None, &[]),
        (r#"{"access_token":"at","expires_in":"3600"}"#, Some(3600), None, &[]),
        (r#"{"access_token":"at","expires_in":3600.5}"#, Some(3600), None, &[]),
        (r#"{"access_token":"at","expires_in":null,"refresh_token":null}"#, None, None, &[]),
        (r#"{"access_token":"at","expires_in":0,"refresh_token":""}"#, None, None, &[]),
        (r#"{"access_token":"at","expires_in":-5}"#, None, None, &[]),
        (r#"{"access_token":"at","expires_in":18446744073709551615}"#, None, None, &[]),
        (r#"{"access_token":"at","scope":"repo,read:org"}"#, None, None, &["repo", "read:org"]),
        (r#"{"access_token":"at","scope":"","token_type":"weird"}"#, None, None, &[]),
        (r#"{"access_token":"at","scopes":"pullrequest webhook"}"#, None, None, &["pullrequest", "webhook"]),
        (r#"{"access_token":"at","scopes":["a","b"]}"#, None, None, &["a", "b"]),
        (
            "access_token=at&expires_in=28800&refresh_token=rt&scope=repo%2Cgist&token_type=bearer",
            Some(28800),
            Some("rt"),
            &["repo", "gist"],
        ),
    ];
    for (body, life, refresh, scopes) in cases {
        let (outcome, _) = exchange(Reply::new("200 OK", &[], body)).await;
        let tokens = outcome.expect(body);
        assert_eq!(tokens.access_token.expose_secret(), "at", "{body}");
        assert_eq!(tokens.refresh_token.as_ref().map(|token| token.expose_secret()), *refresh, "{body}");
        assert_eq!(tokens.scopes, *scopes, "{body}");
        match (life, tokens.expires_at) {
            (Some(life), Some(at)) => {
                assert!((at.duration_since(Timestamp::now()).as_secs() - life).abs() < 10, "{body}");
            }
            (None, None) => {}
            other => panic!("{body}: {other:?}"),
        }
    }
    // Bitbucket answers 201 nowhere documented, but a success is a success.
    let (outcome, _) = exchange(Reply::new("201 Created", &[], r#"{"access_token":"at"}"#)).await;
    outcome.unwrap();
}

#[tokio::test]
async fn refusals_have_their_kind_whatever_the_status() {
    for (status, body, kind) in [
        (
            "400 Bad Request",
            r#"{"error":"invalid_grant","error_description":"code-88 is spent"}"#,
            ErrorKind::InvalidGrant,
        ),
        ("200 OK", r#"{"error":"bad_verification_code"}"#, ErrorKind::InvalidGrant),
        ("200 OK", r#"{"error":"bad_refresh_token"}"#, ErrorKind::InvalidGrant),
        ("200 OK", "error=bad_verification_code&error_description=no", ErrorKind::InvalidGrant),
        ("401 Unauthorized", r#"{"error":"invalid_grant"}"#, ErrorKind::InvalidGrant),
        ("401 Unauthorized", r#"{"error":"invalid_client"}"#, ErrorKind::Unauthorized),
        ("200 OK", r#"{"error":"incorrect_client_credentials"}"#, ErrorKind::Unauthorized),
        ("200 OK", r#"{"error":"redirect_uri_mismatch"}"#, ErrorKind::InvalidInput),
        ("400 Bad Request", r#"{"error":"invalid_scope"}"#, ErrorKind::Invalid),
        ("400 Bad Request", r#"{"error":"something new"}"#, ErrorKind::Invalid),
        ("401 Unauthorized", r#"{"error":{"message":"code-88"}}"#, ErrorKind::Unauthorized),
        ("500 Internal Server Error", r#"{"error":"code-88"}"#, ErrorKind::Forge),
        ("503 Busy", "<html>code-88", ErrorKind::Forge),
        ("429 Too Many Requests", "", ErrorKind::RateLimited),
        ("302 Found", "", ErrorKind::UnexpectedResponse),
        ("200 OK", "<!doctype html>code-88", ErrorKind::UnexpectedResponse),
        ("200 OK", r#"{"refresh_token":"code-88"}"#, ErrorKind::UnexpectedResponse),
        ("200 OK", r#"{"access_token":"","refresh_token":"code-88"}"#, ErrorKind::UnexpectedResponse),
        ("200 OK", r#"{"access_token":["code-88"]}"#, ErrorKind::UnexpectedResponse),
        ("200 OK", r#"{"access_token":"code-88"#, ErrorKind::UnexpectedResponse),
        ("200 OK", "", ErrorKind::UnexpectedResponse),
    ] {
        let (outcome, heard) = exchange(Reply::new(status, &[], body)).await;
        let error = outcome.expect_err(body);
        assert_eq!(error.kind(), kind, "{status} {body}: {error:?}");
        assert_eq!(error.forge(), Some(ForgeKind::GITLAB));
        assert_eq!(error.operation(), Some("exchange the OAuth code"));
        let text = everything(&error);
        assert!(!text.contains(CODE) && !text.contains(SECRET), "{text}");
        assert_eq!(heard.len(), 1, "a token request is never repeated: {status} {body}");
    }
}

#[tokio::test]
async fn a_lost_answer_is_no_verdict() {
    let server = RawServer::start(vec![Reply::Bytes(Vec::new())]).await;
    let error = grant(&server).refresh(&"rt-1".to_owned().into(), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert_eq!(server.heard().len(), 1);
}

#[tokio::test]
async fn the_token_endpoint_passes_the_guard_too() {
    let server = RawServer::start(vec![Reply::json("{}")]).await;
    let app =
        OAuthApp { client_id: "c".to_owned(), client_secret: SECRET.to_owned().into(), scopes: Vec::new() };
    let url = Url::parse(&server.url()).unwrap();
    let closed = forge_http::HttpClient::builder().with_http_allowed(true).build().unwrap();
    let grant = CodeGrant::new(closed, ForgeKind::GITLAB, url.clone(), url, &app);
    let error = grant.refresh(&"rt-1".to_owned().into(), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddressRefused);
    assert!(server.heard().is_empty());
}
