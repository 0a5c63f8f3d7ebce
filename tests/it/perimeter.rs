//! The perimeter of an integration, its hooks and its health over time: what comes, goes and dies, and that nothing is
//! lost or said twice meanwhile.

mod bulk;
mod credential;
mod disconnect;
mod follows;
mod health;
mod modes;
mod silent;

use forge_testkit::{Fake, JobSpec, RepoHandle, RunHandle, RunSpec};
use serde_json::{Value, json};

use crate::support::{TestServer, eventually, pytest_log};

/// The server's database.
fn database(server: &TestServer) -> String {
    format!("sqlite://{}", server.folder.path().join("forge-rca.db").display())
}

/// The first column of a query, past the server.
async fn texts(server: &TestServer, query: &str) -> Vec<String> {
    rca_store::testing::texts(&database(server), query).await
}

fn sha(number: usize) -> String {
    format!("4be1f200000000000000000000000000000{number:05}")
}

/// A failed run of the commit with that number.
fn red(number: usize) -> RunSpec {
    RunSpec::new(vec![JobSpec::failed("test", pytest_log())]).with_branch("main").with_sha(&sha(number))
}

/// A run that fails and is told to all hooks, which take it.
async fn fails(fake: &Fake, repo: &RepoHandle, number: usize) -> RunHandle {
    let run = fake.add_run(repo, &red(number));
    let outcomes = fake.deliver(&run).await;
    assert!(!outcomes.is_empty(), "somebody listens");
    for outcome in outcomes {
        assert!(outcome.is_success(), "{outcome:?}");
    }
    run
}

/// The integration, once it is so.
async fn integration(
    server: &TestServer,
    id: &str,
    what: &str,
    is_so: impl Fn(&Value) -> bool + Send + Sync,
) -> Value {
    eventually(what, async || {
        let integration = server.get(&format!("/v1/integrations/{id}")).await.expect(200);
        is_so(&integration).then_some(integration)
    })
    .await
}

/// The incidents of one kind, open and past, once it is so.
async fn incidents(
    server: &TestServer,
    code: &str,
    what: &str,
    is_so: impl Fn(&[Value]) -> bool + Send + Sync,
) -> Vec<Value> {
    eventually(what, async || {
        let list = server.get("/v1/incidents?limit=500").await.expect(200);
        let mut items = list["items"].as_array()?.clone();
        items.retain(|item| item["code"] == code);
        is_so(&items).then_some(items)
    })
    .await
}

fn is_open(incident: &Value) -> bool {
    incident["resolved_at"].is_null()
}

/// The worker has been through its queue meanwhile: it did something that came later.
async fn worker_turns(server: &TestServer) {
    let path = "/v1/ingest/raw?wait=60";
    let request = server.request(reqwest::Method::POST, path).bearer_auth(crate::support::OWNER);
    // Another text each time: the same one would be a duplicate.
    let log = format!("{}\n{}", pytest_log(), rca_store::new_id());
    let answer = server.send(request.body(log)).await.expect(200);
    assert_eq!(answer["state"], "done", "{answer}");
}

/// Lists the repositories again, and waits until what that asks for is done.
async fn sync(server: &TestServer, fake: &Fake, id: &str) {
    let accepted = server.post(&format!("/v1/integrations/{id}/sync"), json!({})).await.expect(202);
    ended(server, accepted["operation_id"].as_str().unwrap()).await;
    settled(server, fake).await;
}

/// The operation, once it has ended.
async fn ended(server: &TestServer, operation: &str) -> Value {
    eventually(&format!("operation {operation} has ended"), async || {
        let answer = server.get(&format!("/v1/operations/{operation}")).await;
        if answer.status.as_u16() == 404 {
            return None;
        }
        let view = answer.expect(200);
        (view["state"] != "running").then_some(view)
    })
    .await
}

/// Nothing is left to do; where pushes are watched for hours there always is.
async fn settled(server: &TestServer, fake: &Fake) {
    if fake.tells_runs() {
        server.idle().await;
    }
}

async fn patch(server: &TestServer, id: &str, change: Value) -> Value {
    server.patch(&format!("/v1/integrations/{id}"), change).await.expect(200)
}

/// The repositories, once it is so: each with its name, in order.
async fn repositories(
    server: &TestServer,
    id: &str,
    what: &str,
    is_so: impl Fn(&[Value]) -> bool + Send + Sync,
) -> Vec<Value> {
    eventually(what, async || {
        let list = server.get(&format!("/v1/integrations/{id}/repositories?limit=500")).await.expect(200);
        let items = list["items"].as_array()?.clone();
        is_so(&items).then_some(items)
    })
    .await
}

/// The names of those that are monitored.
fn monitored(items: &[Value]) -> Vec<&str> {
    items
        .iter()
        .filter(|item| item["monitored"] == true)
        .filter_map(|item| item["full_name"].as_str())
        .collect()
}
