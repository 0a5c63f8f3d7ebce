//! Who we are, and which repositories there are.

use std::sync::Arc;

use forge_core::{Credential, CredentialKind, ErrorKind, Instance, Provider, StaticCredential};
use forge_github::GitHub;
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::server::{Forge, TOKEN, fixture, http, json as answer};

fn numbered(count: u64, from: u64) -> Value {
    (from..from + count)
        .map(|id| {
            let mut repository = fixture("repository.json");
            repository["id"] = json!(id);
            repository["full_name"] = json!(format!("northwind/shop-{id}"));
            repository
        })
        .collect()
}

#[tokio::test]
async fn whoami_reads_scopes_expiry_and_version_from_the_headers() {
    let forge = Forge::start().await;
    let user = answer(200, &fixture("user.json"))
        .insert_header("x-oauth-scopes", "admin:repo_hook, read:user")
        .insert_header("github-authentication-token-expiration", "2026-12-01 10:00:00 UTC")
        .insert_header("x-github-enterprise-version", "3.19.2");
    forge.on("GET", "/user", user).await;

    let identity = forge.client.whoami().await.unwrap();
    assert_eq!((identity.account.id.as_str(), identity.account.login.as_str()), ("4242", "forge-rca-bot"));
    assert_eq!(identity.account.display_name.as_deref(), Some("Forge RCA"));
    assert_eq!(identity.scopes.unwrap(), ["admin:repo_hook", "read:user"]);
    assert_eq!(identity.missing_scopes, ["repo"]);
    assert_eq!(identity.expires_at.unwrap().to_string(), "2026-12-01T10:00:00Z");
    assert_eq!(identity.server_version.as_deref(), Some("3.19.2"));

    let request = &forge.requests().await[0];
    let header = |name: &str| request.headers.get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!(header("authorization"), format!("Bearer {TOKEN}"));
    assert_eq!(header("accept"), "application/vnd.github+json");
    assert_eq!(header("x-github-api-version"), "2022-11-28");
    assert!(!header("user-agent").is_empty(), "GitHub refuses requests without");
}

#[tokio::test]
async fn a_fine_grained_token_tells_no_scopes() {
    let forge = Forge::start().await;
    let user = answer(200, &fixture("user.json"))
        .insert_header("github-authentication-token-expiration", "2026-12-01 12:00:00 +0200");
    forge.on("GET", "/user", user).await;
    let identity = forge.client.whoami().await.unwrap();
    assert_eq!(identity.scopes, None);
    assert!(identity.missing_scopes.is_empty());
    assert_eq!(identity.expires_at.unwrap().to_string(), "2026-12-01T10:00:00Z");
}

#[tokio::test]
async fn repositories_are_read_page_by_page_as_they_are_taken() {
    let forge = Forge::start().await;
    let next = format!("<{}>; rel=\"next\"", forge.url("/repositories-page?cursor=abc&per_page=100"));
    let first = answer(200, &numbered(100, 1)).insert_header("link", next.as_str());
    forge.on("GET", "/user/repos?sort=created&direction=asc&per_page=100", first).await;
    forge.on("GET", "/repositories-page?cursor=abc&per_page=100", answer(200, &numbered(50, 101))).await;

    let mut repos = forge.client.repos().list_repos();
    repos.try_next().await.unwrap().unwrap();
    assert_eq!(
        forge.asked().await,
        ["GET /user/repos?sort=created&direction=asc&per_page=100"],
        "one item costs one page"
    );
    let rest: Vec<_> = repos.try_collect().await.unwrap();
    assert_eq!(rest.len(), 149);
    assert_eq!(rest.last().unwrap().full_name, "northwind/shop-150");
    assert_eq!(forge.asked().await.len(), 2, "the minimum for two pages");
}

#[tokio::test]
async fn an_installation_lists_its_own_repositories() {
    let credential = Credential::new(CredentialKind::Installation, "ghs_1_x.y.z".to_owned().into());
    let forge = Forge::with_credential(credential).await;
    let page = json!({"total_count": 2, "repositories": numbered(2, 1)});
    forge.on("GET", "/installation/repositories?per_page=100", answer(200, &page)).await;
    forge.on("GET", "/installation/repositories?per_page=1", answer(200, &page)).await;
    let repos: Vec<_> = forge.client.repos().list_repos().try_collect().await.unwrap();
    assert_eq!(repos.len(), 2);
    assert_eq!(forge.client.whoami().await.unwrap().account.login, "installation");
    assert_eq!(forge.requests().await.len(), 2, "the user's own endpoints refuse such tokens");
}

#[tokio::test]
async fn a_repository_is_read_by_id_or_by_name() {
    let forge = Forge::start().await;
    forge.on("GET", "/repos/northwind/shop", answer(200, &fixture("repository.json"))).await;
    let mut internal = fixture("repository.json");
    internal["archived"] = json!(true);
    internal["visibility"] = json!("internal");
    internal["permissions"] = Value::Null;
    internal["default_branch"] = Value::Null;
    forge.on("GET", "/repositories/900100200300", answer(200, &internal)).await;

    let repo = forge.client.repos().get_repo("northwind/shop").await.unwrap();
    assert_eq!((repo.id.as_str(), repo.full_name.as_str()), ("900100200300", "northwind/shop"));
    assert_eq!(repo.default_branch.as_deref(), Some("main"));
    assert_eq!((repo.can_manage_hooks, repo.has_issues), (Some(true), Some(true)));
    assert!(!repo.is_archived && !repo.is_public);

    let repo = forge.client.repos().get_repo("900100200300").await.unwrap();
    assert!(repo.is_archived && !repo.is_public);
    assert_eq!((repo.can_manage_hooks, repo.default_branch), (None, None));
}

#[tokio::test]
async fn names_are_encoded_and_cannot_leave_the_repositories() {
    let forge = Forge::start().await;
    forge.on("GET", "/repos/a%2Fb/c%3Fd%23", ResponseTemplate::new(404)).await;
    for name in ["../user", "northwind/..", "northwind/.", "/x", "x/", ""] {
        let error = forge.client.repos().get_repo(name).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
    }
    assert!(forge.asked().await.is_empty());
    forge.client.repos().get_repo("a b/c?d#e%").await.unwrap_err();
    assert_eq!(forge.asked().await, ["GET /repos/a%20b/c%3Fd%23e%25"]);
}

#[test]
fn the_api_is_where_github_documents_it() {
    let client = |instance: Instance| {
        GitHub::new(http()).connect(&instance, Arc::new(StaticCredential::new(Credential::none()))).unwrap()
    };
    let cases = [
        ("https://github.com", "\"https://api.github.com"),
        ("https://www.github.com/", "\"https://api.github.com"),
        ("https://octo.ghe.com", "\"https://api.octo.ghe.com"),
        ("https://git.example.com", "\"https://git.example.com/api/v3"),
        ("https://git.example.com:8443/hub/", "\"https://git.example.com:8443/hub/api/v3"),
    ];
    for (base, api) in cases {
        let client = client(Instance::new(base).unwrap());
        let shown = format!("{client:?}").replace("base: ", "base: \"");
        assert!(shown.contains(&format!("base: {api}")), "{base}: {shown}");
    }
    let elsewhere = Instance::new("https://github.com").unwrap();
    let elsewhere = client(elsewhere.with_api_base_url("https://proxy.example.com/gh").unwrap());
    assert!(format!("{elsewhere:?}").contains("https://proxy.example.com/gh"));
    assert_eq!(elsewhere.base_url().as_str(), "https://github.com/");
    for base in ["https://github.com/northwind", "https://api.github.com", "https://ghe.com"] {
        let instance = Instance::new(base).unwrap();
        let credentials = Arc::new(StaticCredential::new(Credential::none()));
        let error = GitHub::new(http()).connect(&instance, credentials).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{base}");
    }
}
