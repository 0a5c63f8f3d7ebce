use std::time::Duration;

use forge_testkit::{FakeGitHub, FakeGitLab, Fault};
use serde_json::Value;

use crate::http::{call, request};

#[tokio::test]
async fn faults_strike_as_often_as_they_are_armed() {
    let fake = FakeGitLab::start().await;
    fake.fail_times("GET", "/api/v4/user", Fault::Status(503), 2);
    let mut statuses = Vec::new();
    for path in ["/api/v4/version", "/api/v4/user", "/api/v4/user", "/api/v4/user"] {
        statuses.push(call(&fake, "GET", path, &Value::Null).await.status.as_u16());
    }
    assert_eq!(statuses, [200, 503, 503, 200]);
    assert_eq!(fake.requests().iter().map(|it| it.status).collect::<Vec<_>>(), statuses);
}

#[tokio::test]
async fn connections_close_and_hang_on_command() {
    let fake = FakeGitLab::start().await;
    let url = format!("{}api/v4/user", fake.base_url());
    fake.fail_next("*", "/api/**", Fault::Close);
    assert!(request("GET", &url, &[], "").await.is_err());
    fake.fail_next("*", "/api/**", Fault::Hang);
    let hanging = tokio::spawn(async move { request("GET", &url, &[], "").await });
    while fake.requests().len() < 2 {
        tokio::task::yield_now().await;
    }
    // Dropping the fake ends the connection that hangs.
    drop(fake);
    let ended = tokio::time::timeout(Duration::from_secs(10), hanging).await.expect("it ends");
    assert!(ended.unwrap().is_err());
}

#[tokio::test]
async fn broken_bodies_are_sent_on_command() {
    let fake = FakeGitHub::start().await;
    fake.fail_next("GET", "**", Fault::TruncatedJson);
    let cut = call(&fake, "GET", "/api/v3/user", &Value::Null).await;
    assert!(cut.status == 200 && serde_json::from_slice::<Value>(&cut.body).is_err());
    fake.fail_next("GET", "**", Fault::Html(502));
    let page = call(&fake, "GET", "/api/v3/user", &Value::Null).await;
    assert!(page.status == 502 && page.header("content-type").starts_with("text/html"));
}

#[tokio::test]
async fn a_budget_runs_out_and_comes_back() {
    let gitlab = FakeGitLab::start().await;
    let github = FakeGitHub::start().await;
    for (fake, path, status) in [(&*gitlab, "/api/v4/user", 429), (&*github, "/api/v3/user", 403)] {
        fake.set_rate_limit(Some(2), Duration::from_secs(60));
        for expected in [200, 200, status] {
            assert_eq!(call(fake, "GET", path, &Value::Null).await.status, expected);
        }
        fake.advance_clock(Duration::from_secs(61));
        assert_eq!(call(fake, "GET", path, &Value::Null).await.status, 200);
    }
}

#[tokio::test]
async fn what_nobody_knows_is_404_and_remembered() {
    let fake = FakeGitLab::start().await;
    assert_eq!(call(&fake, "GET", "/api/v4/nonsense", &Value::Null).await.status, 404);
    let unknown = fake.unknown_requests();
    assert_eq!(unknown.len(), 1);
    assert_eq!(unknown[0].path, "/api/v4/nonsense");
    // A repository that is not there is an answer, not an unknown path.
    assert_eq!(call(&fake, "GET", "/api/v4/projects/1", &Value::Null).await.status, 404);
    assert_eq!(fake.unknown_requests().len(), 1);
}
