//! Clusters, statistics, members, audit, incidents: what people look at when the comments are written.

use forge_testkit::{FakeGitLab, JobSpec, PullSpec, RunSpec};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{OWNER, TestServer, cargo_log, eventually, pytest_log};

async fn ingest(server: &TestServer, project: &str, job: &str, log: String) -> Value {
    let path = format!("/v1/ingest/raw?project={project}&job_id={job}&wait=30");
    server.send(server.request(Method::POST, &path).bearer_auth(OWNER).body(log)).await.expect(200)
}

#[tokio::test]
async fn clusters_count_and_follow_people() {
    let server = TestServer::start().await;
    let first = ingest(&server, "shop", "1", pytest_log()).await;
    let id = first["cluster_id"].as_str().unwrap().to_owned();
    let again = ingest(&server, "till", "2", pytest_log()).await;
    assert_eq!(again["cluster_id"], id.as_str(), "one fingerprint, one cluster");
    let other = ingest(&server, "shop", "3", cargo_log()).await;
    assert_ne!(other["cluster_id"], id.as_str());

    let path = format!("/v1/clusters/{id}");
    let cluster = server.get(&path).await.expect(200);
    assert_eq!((&cluster["state"], &cluster["count"]), (&json!("active"), &json!(2)));
    assert_eq!(cluster["repositories"], json!(["till", "shop"]));
    assert_eq!(cluster["fingerprint"], first["report"]["fingerprint"]);
    assert_eq!(cluster["root_cause"], first["report"]["root_cause"]);
    assert_eq!(cluster["last_analysis_id"], again["id"]);
    assert_eq!(cluster["last_fix"], Value::Null);

    for (verb, state) in [("acknowledge", "acknowledged"), ("resolve", "resolved"), ("reopen", "active")] {
        let changed = server.post(&format!("{path}/{verb}"), json!({})).await.expect(200);
        assert_eq!(changed["state"], state);
    }
    server.post(&format!("{path}/resolve"), json!({})).await.expect(200);
    let found = server.get("/v1/clusters?state=resolved").await.expect(200);
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    ingest(&server, "shop", "4", pytest_log()).await;
    assert_eq!(server.get(&path).await.expect(200)["state"], "active", "it recurred");
    let of_till = server.get("/v1/clusters?repository=till").await.expect(200);
    assert_eq!(of_till["items"][0]["id"], id.as_str());

    server.get("/v1/clusters?state=gone").await.expect_error(422, "invalid_field");
    server.get("/v1/clusters?limit=0").await.expect_error(422, "invalid_field");
    server.get("/v1/clusters?colour=red").await.expect_error(422, "invalid_parameter");
    server.get("/v1/clusters/none").await.expect_error(404, "not_found");
    server.post("/v1/clusters/none/resolve", json!({})).await.expect_error(404, "not_found");
    server.stop().await;
}

#[tokio::test]
async fn a_commit_that_turns_green_is_the_fix() {
    let (server, fake) = (TestServer::start().await, FakeGitLab::start().await);
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    server.monitor(&integration, &repo).await;
    let (bad, good) = ("b".repeat(40), "c".repeat(40));
    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", "feature/refund").with_sha(&bad));
    let spec = |job: JobSpec| RunSpec::new(vec![job]).for_pull(&pull);
    let run = fake.add_run(&repo, &spec(JobSpec::failed("test", pytest_log())));
    fake.deliver(&run).await;
    let analyses = server.analyses("repository=acme/shop", 1).await;
    let cluster = analyses[0]["cluster_id"].as_str().unwrap().to_owned();
    server.idle().await;
    let fixed = fake.add_run(&repo, &spec(JobSpec::green("test")).with_sha(&good));
    fake.deliver(&fixed).await;
    let cluster = eventually("the cluster is resolved", async || {
        let cluster = server.get(&format!("/v1/clusters/{cluster}")).await.expect(200);
        (cluster["state"] == "resolved").then_some(cluster)
    })
    .await;
    assert_eq!(cluster["last_fix"], good.as_str());

    let overview = server.get("/v1/stats/overview").await.expect(200);
    assert_eq!((&overview["runs"], &overview["failed_runs"]), (&json!(2), &json!(1)), "{overview}");
    assert_eq!(overview["failure_rate"], 0.5);
    server.stop().await;
}

#[tokio::test]
async fn statistics_count_what_is_there() {
    let server = TestServer::start().await;
    let empty = server.get("/v1/stats/overview").await.expect(200);
    assert_eq!((&empty["failures"], &empty["failure_rate"]), (&json!(0), &Value::Null));
    assert_eq!(empty["time_to_report_seconds"], json!({ "p50": null, "p90": null }));
    for job in ["1", "2", "3"] {
        ingest(&server, "shop", job, pytest_log()).await;
    }
    ingest(&server, "till", "4", cargo_log()).await;
    let overview = server.get("/v1/stats/overview").await.expect(200);
    assert_eq!((&overview["failures"], &overview["new_clusters"]), (&json!(4), &json!(2)), "{overview}");
    assert!(overview["time_to_report_seconds"]["p90"].as_f64().unwrap() > 0.0);
    let one = server.get("/v1/stats/overview?repository=till").await.expect(200);
    assert_eq!(one["failures"], 1);
    let past = server
        .get("/v1/stats/overview?since=2020-01-01T00:00:00Z&until=2020-02-01T00:00:00Z")
        .await
        .expect(200);
    assert_eq!(past["failures"], 0);
    let days = server.get("/v1/stats/timeseries").await.expect(200);
    let points = days["items"].as_array().unwrap();
    let failures: i64 = points.iter().map(|point| point["failures"].as_i64().unwrap()).sum();
    assert_eq!(failures, 4, "{days}");
    assert!(points.iter().any(|point| point["domain"] == "test"), "{days}");
    let top = server.get("/v1/stats/top-repositories?limit=1").await.expect(200);
    assert_eq!(
        top["items"],
        json!([{ "repository": "shop", "failures": 3, "minutes_lost": top["items"][0]["minutes_lost"] }])
    );
    let causes = server.get("/v1/stats/top-causes").await.expect(200);
    assert_eq!(causes["items"].as_array().unwrap().len(), 2, "{causes}");
    for path in [
        "overview?since=yesterday",
        "overview?since=2027-01-02T00:00:00Z&until=2027-01-01T00:00:00Z",
        "timeseries?since=2001-01-01T00:00:00Z",
        "top-causes?limit=501",
    ] {
        server.get(&format!("/v1/stats/{path}")).await.expect_error(422, "invalid_field");
    }
    server.stop().await;
}

#[tokio::test]
async fn members_keep_an_owner_and_the_audit_knows_all() {
    let server = TestServer::start().await;
    let add = |email: &str, role: &str| json!({ "email": email, "role": role });
    let owner = server.post("/v1/members", add("Ann@Example.com", "owner")).await.expect(201);
    assert_eq!(owner["email"], "ann@example.com");
    server.post("/v1/members", add("ann@example.com", "viewer")).await.expect_error(409, "conflict");
    let path = format!("/v1/members/{}", owner["id"].as_str().unwrap());
    server.patch(&path, json!({ "role": "viewer" })).await.expect_error(409, "conflict");
    server.delete(&path).await.expect_error(409, "conflict");
    let second = server.post("/v1/members", add("=bob@example.com", "owner")).await.expect(201);
    assert_eq!(server.patch(&path, json!({ "role": "viewer" })).await.expect(200)["role"], "viewer");
    server.delete(&path).await.expect(204);
    server.delete(&path).await.expect_error(404, "not_found");
    let left = server.get("/v1/members").await.expect(200);
    assert_eq!(left["items"], json!([second]));
    for (email, role) in [("nobody", "viewer"), ("a b@c.example", "viewer"), ("a@b.example", "king")] {
        server.post("/v1/members", add(email, role)).await.expect_error(422, "invalid_field");
    }

    let audit = server.get("/v1/audit").await.expect(200);
    let actions: Vec<&str> =
        audit["items"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["member.remove", "member.role", "member.add", "member.add"]);
    let table = server.get("/v1/audit?format=csv").await;
    assert_eq!(table.status.as_u16(), 200);
    assert_eq!(table.text.lines().count(), 5, "{}", table.text);
    assert!(table.text.starts_with("seq,at,actor,action,target,detail,hash\r\n"));
    server.get("/v1/audit?format=xml").await.expect_error(422, "invalid_field");

    let reader = json!({ "name": "reader", "scopes": ["read"] });
    let token = server.post("/v1/tokens", reader).await.expect(201)["token"].as_str().unwrap().to_owned();
    for (method, path) in [(Method::GET, "/v1/audit"), (Method::DELETE, path.as_str())] {
        let request = server.request(method, path).bearer_auth(&token);
        server.send(request).await.expect_error(403, "scope_missing");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_dead_token_is_one_incident_that_ends_by_itself() {
    let (server, fake) = (TestServer::start().await, FakeGitLab::start().await);
    let first = fake.token();
    let shown = secrecy::ExposeSecret::expose_secret(&first);
    let body = json!({ "base_url": fake.base_url().as_str(), "token": shown, "mode": "webhook" });
    let connected = server.post("/v1/integrations/gitlab/token", body).await.expect(201);
    let integration = connected["id"].as_str().unwrap().to_owned();
    fake.revoke_token(&first);
    let check = format!("/v1/integrations/{integration}/check");
    for _ in 0..2 {
        server.post(&check, json!({})).await;
    }
    let open = server.get("/v1/incidents?state=open").await.expect(200);
    let items = open["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "one incident per problem: {open}");
    assert_eq!(items[0]["integration_id"], integration.as_str());
    assert!(!items[0]["remedy"].as_str().unwrap().is_empty());
    let token = secrecy::ExposeSecret::expose_secret(&fake.token()).to_owned();
    server.put(&format!("/v1/integrations/{integration}/token"), json!({ "token": token })).await.expect(200);
    eventually("the incident has ended", async || {
        let open = server.get("/v1/incidents?state=open").await.expect(200);
        open["items"].as_array()?.is_empty().then_some(())
    })
    .await;
    let all = server.get("/v1/incidents").await.expect(200);
    assert_ne!(all["items"][0]["resolved_at"], Value::Null);
    server.get("/v1/incidents?state=closed").await.expect_error(422, "invalid_field");
    server.stop().await;
}
