//! What those who look after the server are told: readiness and metrics.

use reqwest::Method;

use crate::{
    support::{TestServer, pytest_log},
    tenants::second_owner,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_write_is_not_ready() {
    let server = TestServer::start().await;
    server.get("/readyz").await.expect(200);
    let database = format!("sqlite://{}", server.folder.path().join("forge-rca.db").display());
    let lock = rca_store::testing::lock_writes(&database).await;
    // Reading works all the while, so that only a write can tell.
    let ask = server.request(Method::GET, "/readyz");
    let (ready, alive) = tokio::join!(server.send(ask), server.get("/v1/instance"));
    ready.expect_error(503, "unavailable");
    alive.expect(200);
    drop(lock);
    crate::support::eventually("the server is ready again", async || {
        (server.send(server.request(Method::GET, "/readyz")).await.status == 200).then_some(())
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn metrics_count_all_workspaces() {
    let server = TestServer::start().await;
    let second = second_owner(&server).await;
    let dead = async || {
        let text =
            server.http.get(format!("{}/metrics", server.admin)).send().await.unwrap().text().await.unwrap();
        let line = text.lines().find(|line| line.starts_with("forge_rca_tasks{state=\"dead\"}")).unwrap();
        line.rsplit(' ').next().unwrap().parse::<i64>().unwrap()
    };
    let request = server.request(Method::POST, "/v1/ingest/raw?wait=30").bearer_auth(&second);
    server.send(request.body(pytest_log())).await.expect(200);
    server.idle().await;
    assert_eq!(dead().await, 0);
    let database = format!("sqlite://{}", server.folder.path().join("forge-rca.db").display());
    rca_store::testing::execute(
        &database,
        "UPDATE task SET state = 'dead' WHERE workspace = (SELECT id FROM workspace WHERE name = 'Second')",
    )
    .await;
    assert!(dead().await > 0, "the second workspace's tasks are counted");
    server.stop().await;
}
