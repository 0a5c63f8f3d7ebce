//! Two workspaces on one server: what belongs to one does not exist for the other.

use std::collections::BTreeSet;

use forge_testkit::{FakeGitLab, JobSpec, PullSpec, RunSpec};
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use server::{Config, middleware::auth};

use crate::{
    described::{Described, Operation},
    support::{Answer, OWNER, TestServer, eventually, pytest_log},
};

/// The token of the owner of a second workspace.
pub(crate) async fn second_owner(server: &TestServer) -> String {
    let config = Config::for_loopback(server.folder.path(), SecretString::from(OWNER));
    let store = server::app::open_store(&config).await.unwrap();
    let (_, token) = auth::create_workspace(&store, "Second").await.unwrap();
    store.close().await;
    token.expose_secret().to_owned()
}

/// Fills the first workspace with one of everything; gives the ids of it all.
async fn fill(server: &TestServer, fake: &FakeGitLab) -> Vec<(&'static str, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let repo = fake.add_repo("acme/first-only");
    let integration = server.connect(fake).await;
    let repository = server.monitor(&integration, &repo).await;
    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", "feature/refund").with_sha(&"b".repeat(40)));
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", pytest_log())]).for_pull(&pull));
    fake.deliver(&run).await;
    let analyses = server.analyses("repository=acme/first-only", 1).await;
    let sync = server.post(&format!("/v1/integrations/{integration}/sync"), json!({})).await.expect(202);
    server.idle().await;
    let deliveries = server.get("/v1/deliveries").await.expect(200);
    let token =
        server.post("/v1/tokens", json!({"name": "first-only", "scopes": ["read"]})).await.expect(201);
    let member =
        server.post("/v1/members", json!({"email": "ann@first-only.example", "role": "member"})).await;
    server.put("/v1/settings", json!({"feedback": {"issue": true}})).await.expect(200);
    let tokens = server.get("/v1/tokens").await.expect(200);
    let owner = tokens["items"].as_array().unwrap().iter().find(|token| token["name"] == "owner").unwrap();
    fake.revoke_token(&fake.token());
    vec![
        ("integration", integration),
        ("repository", repository),
        ("analysis", text(&analyses[0]["id"])),
        ("cluster", text(&analyses[0]["cluster_id"])),
        ("delivery", text(&deliveries["items"][0]["id"])),
        ("operation", text(&sync["operation_id"])),
        ("token", text(&token["id"])),
        ("token", text(&owner["id"])),
        ("member", text(&member.expect(201)["id"])),
    ]
}

/// Every list of the first workspace, to see that nothing has changed.
async fn everything(server: &TestServer, lists: &[&Operation]) -> Vec<Value> {
    let mut all = Vec::new();
    // Statistics say until when they count: now.
    for list in lists.iter().filter(|list| !list.path.starts_with("/v1/stats/")) {
        let mut answer = server.get(&list.path).await.json;
        for item in answer["items"].as_array_mut().into_iter().flatten() {
            if let Some(token) = item.as_object_mut() {
                token.remove("last_used_at");
            }
        }
        all.push(answer);
    }
    all
}

#[tokio::test]
async fn no_id_of_another_workspace_exists() {
    let (server, fake) = (TestServer::start().await, FakeGitLab::start().await);
    let ids = fill(&server, &fake).await;
    let second = second_owner(&server).await;
    let described = Described::of(&server).await;
    let operations = described.operations();
    let lists: Vec<&Operation> = operations
        .iter()
        .filter(|operation| operation.method == Method::GET && !operation.is_open())
        .filter(|operation| !operation.path.contains('{'))
        .collect();
    let before = everything(&server, &lists).await;

    let mut tried = BTreeSet::new();
    for operation in operations.iter().filter(|operation| operation.has_id()) {
        for (kind, id) in &ids {
            let mut request =
                server.request(operation.method.clone(), &operation.path_with(id)).bearer_auth(&second);
            if let Some((_, body)) = described.body(operation) {
                request = request.json(&body);
            }
            let answer = server.send(request).await;
            let place = format!("{} {} with the id of a foreign {kind}", operation.method, operation.path);
            assert_eq!(answer.status.as_u16(), 404, "{place}: {}", answer.text);
            assert_eq!(answer.json["code"], "not_found", "{place}: {}", answer.text);
            assert!(!answer.text.contains("first-only"), "{place}: {}", answer.text);
        }
        tried.insert(operation.path.clone());
    }
    assert!(tried.len() >= 15, "the description has the routes with ids: {tried:?}");

    for list in &lists {
        let answer = server.send(server.request(Method::GET, &list.path).bearer_auth(&second)).await;
        assert_eq!(answer.status.as_u16(), 200, "{}: {}", list.path, answer.text);
        assert_nothing_foreign(&list.path, &answer, &ids);
        // Filters take ids too.
        for (name, _) in list.query() {
            for (_, id) in &ids {
                let path = format!("{}?{name}={id}", list.path);
                let answer = server.send(server.request(Method::GET, &path).bearer_auth(&second)).await;
                assert!(matches!(answer.status.as_u16(), 200 | 404 | 422), "{path}: {}", answer.text);
                if answer.status.as_u16() == 200 {
                    assert_eq!(answer.json["items"].as_array().map_or(0, Vec::len), 0, "{path}");
                }
            }
        }
    }
    assert_eq!(everything(&server, &lists).await, before, "nothing of the first workspace has changed");
    server.stop().await;
}

fn assert_nothing_foreign(path: &str, answer: &Answer, ids: &[(&str, String)]) {
    assert!(!answer.text.contains("first-only"), "{path}: {}", answer.text);
    for (kind, id) in ids {
        assert!(!answer.text.contains(id.as_str()), "{path} shows a foreign {kind}: {}", answer.text);
    }
}

#[tokio::test]
async fn ids_of_another_workspace_in_a_body_do_nothing() {
    let (server, fake) = (TestServer::start().await, FakeGitLab::start().await);
    let ids = fill(&server, &fake).await;
    let id_of = |kind: &str| ids.iter().find(|(have, _)| *have == kind).unwrap().1.clone();
    let (integration, repository) = (id_of("integration"), id_of("repository"));
    let second = second_owner(&server).await;
    let other = FakeGitLab::start().await;
    other.add_repo("second/shop");
    let post = async |path: &str, body: Value| {
        server.send(server.request(Method::POST, path).bearer_auth(&second).json(&body)).await
    };

    let run = json!({"integration_id": integration, "repository": "acme/first-only", "run_id": "1"});
    post("/v1/analyses", run).await.expect_error(404, "not_found");

    let token = other.token().expose_secret().to_owned();
    let body = json!({"base_url": other.base_url().as_str(), "token": token, "mode": "webhook",
        "backfill": {"enabled": false}});
    let own = post("/v1/integrations/gitlab/token", body).await.expect(201);
    let own = own["id"].as_str().unwrap();
    let listed = format!("/v1/integrations/{own}/repositories");
    eventually("the second workspace has its repository", async || {
        let list = server.send(server.request(Method::GET, &listed).bearer_auth(&second)).await.expect(200);
        (list["items"].as_array()?.len() == 1).then_some(())
    })
    .await;
    for body in [json!({"add": [repository]}), json!({"remove": [repository]})] {
        let answer = post(&format!("/v1/integrations/{own}/repositories/monitor"), body).await;
        let item = &answer.json["items"][0];
        assert!(
            answer.status.as_u16() == 404 || item["error"].is_string() && item["hook_registered"] == false,
            "{}",
            answer.text
        );
    }
    let first = server.get(&format!("/v1/integrations/{integration}/repositories")).await.expect(200);
    assert_eq!(first["items"][0]["monitored"], true, "{first}");

    // An OAuth flow that the first workspace began is not to be ended by the second.
    let start = json!({"base_url": fake.base_url().as_str(), "client_id": "c", "client_secret": "s"});
    let started = server.post("/v1/integrations/gitlab/start", start).await.expect(201);
    let ending = json!({"state": started["state"], "code": "x"});
    post("/v1/integrations/gitlab/authorize", ending).await.expect_error(400, "invalid_state");
    server.stop().await;
}

#[tokio::test]
async fn one_log_in_two_workspaces_is_two_analyses_in_two_clusters() {
    let server = TestServer::start().await;
    let second = second_owner(&server).await;
    let send = async |token: &str| {
        let request = server.request(Method::POST, "/v1/ingest/raw?project=shop&wait=30").bearer_auth(token);
        server.send(request.header("idempotency-key", "same").body(pytest_log())).await.expect(200)
    };
    let (one, other) = (send(OWNER).await, send(&second).await);
    assert_ne!(one["id"], other["id"]);
    assert_ne!(one["cluster_id"], other["cluster_id"]);
    assert_eq!(one["report"]["fingerprint"], other["report"]["fingerprint"]);
    server.stop().await;
}

#[tokio::test]
async fn a_role_is_what_a_token_may_do_at_most() {
    let server = TestServer::start().await;
    let token = async |role: &str| {
        let made = server.post("/v1/tokens", json!({"name": role, "role": role})).await.expect(201);
        (made["token"].as_str().unwrap().to_owned(), made["scopes"].clone())
    };
    let (viewer, scopes) = token("viewer").await;
    assert_eq!(scopes, json!(["read"]));
    let (member, scopes) = token("member").await;
    assert_eq!(scopes, json!(["ingest", "read", "write"]));
    let (admin, _) = token("admin").await;

    // What a viewer sends is refused wherever it would change something, whatever route there is.
    let described = Described::of(&server).await;
    let mut refused = 0;
    for operation in described.operations() {
        if operation.is_open() || operation.method == Method::GET {
            continue;
        }
        let request =
            server.request(operation.method.clone(), &operation.path_with("x")).bearer_auth(&viewer);
        let request = match described.body(&operation) {
            Some((_, body)) => request.json(&body),
            None => request.body("a log"),
        };
        let text = server.send(request).await.expect_error(403, "scope_missing");
        assert!(text.contains("'write'") || text.contains("'admin'") || text.contains("'ingest'"), "{text}");
        refused += 1;
    }
    assert!(refused > 20, "the description has the routes that write: {refused}");
    let as_ = |token: &str, method: Method, path: &str| server.request(method, path).bearer_auth(token);
    server.send(as_(&viewer, Method::GET, "/v1/analyses")).await.expect(200);
    server.send(as_(&member, Method::POST, "/v1/ingest/raw?wait=30").body(pytest_log())).await.expect(200);
    server.send(as_(&member, Method::GET, "/v1/tokens")).await.expect_error(403, "scope_missing");

    // Only an owner makes owners, of tokens and of people.
    let owner = json!({"name": "o", "role": "owner"});
    let request = as_(&admin, Method::POST, "/v1/tokens").json(&owner);
    server.send(request).await.expect_error(403, "role_missing");
    let owner = json!({"email": "eve@example.com", "role": "owner"});
    let request = as_(&admin, Method::POST, "/v1/members").json(&owner);
    server.send(request).await.expect_error(403, "role_missing");
    // Nor does anybody else change or remove one, or end its token.
    let owner = json!({"email": "ann@example.com", "role": "owner"});
    let ann = server.post("/v1/members", owner.clone()).await.expect(201);
    let bob = server.post("/v1/members", json!({"email": "bob@example.com", "role": "owner"})).await;
    bob.expect(201);
    let path = format!("/v1/members/{}", ann["id"].as_str().unwrap());
    let request = as_(&admin, Method::PATCH, &path).json(&json!({"role": "viewer"}));
    server.send(request).await.expect_error(403, "role_missing");
    server.send(as_(&admin, Method::DELETE, &path)).await.expect_error(403, "role_missing");
    let tokens = server.get("/v1/tokens").await.expect(200);
    let owners = tokens["items"].as_array().unwrap().iter().find(|token| token["role"] == "owner").unwrap();
    let owners = format!("/v1/tokens/{}", owners["id"].as_str().unwrap());
    server.send(as_(&admin, Method::DELETE, &owners)).await.expect_error(403, "role_missing");
    assert_eq!(server.patch(&path, json!({"role": "viewer"})).await.expect(200)["role"], "viewer");
    server.send(as_(&admin, Method::DELETE, &path)).await.expect(204);
    let text = server
        .post("/v1/tokens", json!({"name": "v", "role": "viewer", "scopes": ["write"]}))
        .await
        .expect_error(422, "invalid_field");
    assert!(text.contains("viewer") && text.contains("write"), "{text}");
    let unknown = json!({"name": "v", "role": "king"});
    server.post("/v1/tokens", unknown).await.expect_error(422, "invalid_field");
    server.stop().await;
}
