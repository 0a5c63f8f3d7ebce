use forge_testkit::{FakeGitHub, JobSpec, Listener, Presented, PullSpec, Receiver, RunSpec};
use serde_json::{Value, json};

use crate::http::{call, request};

#[tokio::test]
async fn oauth_errors_come_with_status_200() {
    let fake = FakeGitHub::start().await;
    let app = fake.add_oauth_app(&["http://127.0.0.1:1/cb"], &[], false);
    let url = format!("{}login/oauth/access_token", fake.base_url());
    let form = format!("client_id={}&client_secret=wrong&code=x", app.client_id);
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json")];
    let answer = request("POST", &url, &headers, &form).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["error"], "incorrect_client_credentials");
    let plain = request("POST", &url, &headers[..1], &form).await.unwrap();
    assert!(plain.body.starts_with(b"error=incorrect_client_credentials&"));
}

#[tokio::test]
async fn a_new_hook_is_pinged_and_a_second_one_refused() {
    let fake = FakeGitHub::start().await;
    let receiver = Receiver::start().await;
    let repo = fake.add_repo("acme/shop");
    let body = json!({
        "name": "web", "active": true, "events": ["workflow_run"],
        "config": { "url": receiver.url().as_str(), "content_type": "json", "secret": "s3cr3t" },
    });
    let path = "/api/v3/repos/acme/shop/hooks";
    let hook = call(&fake, "POST", path, &body).await;
    assert_eq!(hook.status, 201);
    assert_eq!(hook.json()["config"]["secret"], "********");
    let ping = receiver.wait_for(1).await.remove(0);
    assert_eq!(ping.headers["x-github-event"], "ping");
    assert!(ping.headers.contains_key("x-hub-signature-256"));
    assert_eq!(call(&fake, "POST", path, &body).await.status, 422);
    // A config without a secret takes the secret away.
    let one = format!("{path}/{}", hook.json()["id"]);
    let config = json!({ "config": { "url": receiver.url().as_str(), "content_type": "json" } });
    assert_eq!(call(&fake, "PATCH", &one, &config).await.status, 200);
    assert_eq!(fake.hooks(&repo)[0].secret, None);
}

#[tokio::test]
async fn logs_are_on_another_origin_that_wants_no_credential() {
    let fake = FakeGitHub::start().await;
    let repo = fake.add_repo("acme/shop");
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", "boom").with_log_delay(1)]));
    let path = format!("/api/v3/repos/acme/shop/actions/jobs/{}/logs", run.jobs[0]);
    assert_eq!(call(&fake, "GET", &path, &Value::Null).await.status, 404);
    let redirect = call(&fake, "GET", &path, &Value::Null).await;
    assert_eq!(redirect.status, 302);
    let location = redirect.header("location").to_owned();
    assert!(location.starts_with(&fake.blob_store_url()));
    let with = request("GET", &location, &[("authorization", "Bearer x")], "").await.unwrap();
    assert_eq!(with.status, 400);
    let without = request("GET", &location, &[], "").await.unwrap();
    assert_eq!((without.status.as_u16(), without.body.as_slice()), (200, b"boom".as_slice()));
    let tail = request("GET", &location, &[("range", "bytes=-2")], "").await.unwrap();
    assert_eq!((tail.status.as_u16(), tail.body.as_slice()), (206, b"om".as_slice()));
    let seen: Vec<_> = fake
        .requests()
        .into_iter()
        .filter(|request| request.listener == Listener::BlobStore)
        .map(|request| request.credential)
        .collect();
    assert_eq!(seen, [Some(Presented::Bearer), None, None]);
    fake.advance_clock(std::time::Duration::from_secs(61));
    assert_eq!(request("GET", &location, &[], "").await.unwrap().status, 403);
    fake.expire_log(run.jobs[0]);
    assert_eq!(call(&fake, "GET", &path, &Value::Null).await.status, 410);
}

#[tokio::test]
async fn runs_of_forks_name_no_pull_request() {
    let fake = FakeGitHub::start().await;
    let repo = fake.add_repo("acme/shop");
    let fork = fake.add_fork("robin/shop", &repo);
    let own = fake.open_pull(&repo, &PullSpec::new("Own", "own"));
    let foreign = fake.open_pull(&repo, &PullSpec::new("Foreign", "patch").from_fork(&fork));
    for (pull, expected) in [(&own, 1), (&foreign, 0)] {
        let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("t", "boom")]).for_pull(pull));
        let path = format!("/api/v3/repositories/{}/actions/runs/{}", repo.id, run.id);
        let run = call(&fake, "GET", &path, &Value::Null).await.json();
        assert_eq!(run["pull_requests"].as_array().unwrap().len(), expected);
    }
    let path = "/api/v3/repos/acme/shop/pulls?state=open&head=robin:patch";
    let found = call(&fake, "GET", path, &Value::Null).await.json();
    assert_eq!(found[0]["number"], foreign.number);
}

#[tokio::test]
async fn attempts_keep_their_jobs() {
    let fake = FakeGitHub::start().await;
    let repo = fake.add_repo("acme/shop");
    let first = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", "boom")]));
    let second = fake.rerun(&first, &[JobSpec::green("test")]);
    assert_eq!((second.id, second.attempt), (first.id, 2));
    let base = format!("/api/v3/repos/acme/shop/actions/runs/{}", first.id);
    for (path, job, conclusion) in [
        (format!("{base}/attempts/1/jobs"), first.jobs[0], "failure"),
        (format!("{base}/attempts/2/jobs"), second.jobs[0], "success"),
        (format!("{base}/jobs"), second.jobs[0], "success"),
    ] {
        let jobs = call(&fake, "GET", &path, &Value::Null).await.json();
        assert_eq!(jobs["total_count"], 1);
        assert_eq!(
            (jobs["jobs"][0]["id"].as_u64(), &jobs["jobs"][0]["conclusion"]),
            (Some(job), &json!(conclusion))
        );
    }
}

#[tokio::test]
async fn an_old_name_redirects_to_the_number() {
    let fake = FakeGitHub::start().await;
    let repo = fake.add_repo("acme/shop");
    fake.rename(&repo, "acme/store");
    let moved = call(&fake, "GET", "/api/v3/repos/acme/shop/hooks?per_page=5", &Value::Null).await;
    assert_eq!(moved.status, 301);
    let expected = format!("{}api/v3/repositories/{}/hooks?per_page=5", fake.base_url(), repo.id);
    assert_eq!(moved.header("location"), expected);
    let moved = call(&fake, "POST", "/api/v3/repos/acme/shop/issues", &json!({ "title": "x" })).await;
    assert_eq!(moved.status, 307);
}
