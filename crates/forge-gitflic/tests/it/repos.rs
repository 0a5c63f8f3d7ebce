//! Projects: addresses, the two lists, and the shapes of lists.

use std::sync::Arc;

use forge_core::{ErrorKind, Instance, Provider, StaticCredential, model::Repo};
use forge_gitflic::GitFlic;
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};

use crate::server::{Forge, PROJECT, http, ok, page, refusal};

fn project(id: &str, alias: &str) -> Value {
    json!({"id": id, "alias": alias, "owner": {"alias": "northwind", "type": "COMPANY"}, "defaultBranch": "main", "private": true})
}

async fn all(forge: &Forge) -> forge_core::Result<Vec<Repo>> {
    forge.client.repos().list_repos().try_collect().await
}

fn names(repos: &[Repo]) -> Vec<&str> {
    repos.iter().map(|repo| repo.full_name.as_str()).collect()
}

#[tokio::test]
async fn own_and_shared_projects_come_once_each() {
    let forge = Forge::start().await;
    forge.on("GET", "/project/my", page(&[project("a", "one"), project("b", "two")])).await;
    let old = json!({"id": "c", "alias": "three", "ownerAlias": "eve", "private": false});
    forge.on("GET", "/project/shared", page(&[project("b", "two"), old])).await;
    let repos = all(&forge).await.unwrap();
    assert_eq!(names(&repos), ["northwind/one", "northwind/two", "eve/three"]);
    assert_eq!((repos[0].is_public, repos[2].is_public), (false, true));
    assert_eq!(repos[2].default_branch, None);
    assert_eq!(repos[0].web_url, format!("{}/project/northwind/one", forge.server.uri()));
    assert_eq!(
        forge.asked().await,
        ["GET /project/my?page=0&size=100", "GET /project/shared?page=0&size=100"]
    );
}

#[tokio::test]
async fn every_shape_of_a_list_is_read() {
    let item = project("a", "one");
    let shapes = [
        json!({"_embedded": {"projectList": [item]}, "page": {"totalPages": 1, "number": 0}}),
        json!({"_embedded": {"restProjectModelListCe": [item]}}),
        json!({"content": [item], "totalPages": 1}),
        json!([item]),
    ];
    for shape in shapes {
        let forge = Forge::start().await;
        forge.on("GET", "/project/my", ok(&shape)).await;
        forge.on("GET", "/project/shared", page(&[])).await;
        assert_eq!(names(&all(&forge).await.unwrap()), ["northwind/one"], "{shape}");
    }
    for empty in [
        json!({}),
        json!({"page": {"totalPages": 0}}),
        json!({"_links": {}}),
        json!([]),
        json!({"_embedded": {"x": []}}),
    ] {
        let forge = Forge::start().await;
        forge.on("GET", "/project/my", ok(&empty)).await;
        forge.on("GET", "/project/shared", ok(&empty)).await;
        assert_eq!(all(&forge).await.unwrap().len(), 0, "{empty}");
    }
    for wrong in [
        json!("x"),
        json!(7),
        json!({"error": "x"}),
        json!({"_embedded": {"a": 1}}),
        json!([{"id": 1}]),
        json!(null),
    ] {
        let forge = Forge::start().await;
        forge.on("GET", "/project/my", ok(&wrong)).await;
        let error = all(&forge).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedResponse, "{wrong}");
        assert_eq!(error.operation(), Some("list projects"));
    }
}

#[tokio::test]
async fn a_server_that_does_not_count_pages_is_found_out() {
    let items: Vec<Value> =
        (0..100).map(|number| project(&format!("p{number}"), &format!("n{number}"))).collect();
    let forge = Forge::start().await;
    forge.on("GET", "/project/my", ok(&json!(items))).await;
    forge.on("GET", "/project/shared", page(&[])).await;
    assert_eq!(all(&forge).await.unwrap().len(), 100, "an unpaged list is whole");
    assert_eq!(forge.asked().await.len(), 3);

    let forge = Forge::start().await;
    let body = json!({"_embedded": {"x": items}, "page": {"totalPages": 5, "number": 0}});
    forge.on("GET", "/project/my", ok(&body)).await;
    assert_eq!(all(&forge).await.unwrap_err().kind(), ErrorKind::UnexpectedResponse, "it claims more");
}

#[tokio::test]
async fn an_id_is_tried_as_an_address_and_then_looked_for() {
    let forge = Forge::start().await;
    forge.on("GET", &format!("/project/{PROJECT}"), ok(&project(PROJECT, "shop"))).await;
    assert_eq!(forge.client.repos().get_repo(PROJECT).await.unwrap().full_name, "northwind/shop");
    assert_eq!(forge.asked().await.len(), 1);

    for status in [400, 404, 405] {
        let forge = Forge::start().await;
        forge.on("GET", &format!("/project/{PROJECT}"), refusal(status, "error.project")).await;
        forge.on("GET", "/project/my", page(&[])).await;
        forge.on("GET", "/project/shared", page(&[project("a", "one"), project(PROJECT, "renamed")])).await;
        assert_eq!(forge.client.repos().get_repo(PROJECT).await.unwrap().full_name, "northwind/renamed");
        let error = forge.client.repos().get_repo("no-such").await.unwrap_err();
        assert_eq!((error.kind(), error.hint().is_some()), (ErrorKind::NotFound, true));
    }
    let error = forge.client.repos().get_repo("northwind/..").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn addresses_follow_from_the_base_url() {
    let provider = GitFlic::new(http());
    let connect = |base: &str| {
        let credentials = Arc::new(StaticCredential::token("t".to_owned().into()));
        provider.connect(&Instance::new(base).unwrap(), credentials)
    };
    for base in ["https://gitflic.ru", "https://gitflic.ru/", "https://git.example.com/flic"] {
        assert!(connect(base).is_ok(), "{base}");
    }
    for base in
        ["https://gitflic.ru/project/northwind/shop", "https://api.gitflic.ru", "https://oauth.gitflic.ru"]
    {
        let error = connect(base).unwrap_err();
        assert_eq!((error.kind(), error.hint().is_some()), (ErrorKind::InvalidInput, true), "{base}");
    }
    // An override is taken as it is.
    let forge = Forge::start().await;
    let instance = Instance::new("https://gitflic.ru").unwrap().with_api_base_url(&forge.url("")).unwrap();
    forge.knows_us().await;
    let credentials = Arc::new(StaticCredential::token("t".to_owned().into()));
    let identity = provider.connect(&instance, credentials).unwrap().whoami().await.unwrap();
    assert_eq!(
        (identity.account.login.as_str(), identity.account.display_name.as_deref()),
        ("rca-bot", Some("RCA"))
    );
    assert_eq!(identity.scopes, None, "GitFlic does not tell");
}
