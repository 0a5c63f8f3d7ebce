//! Deliveries that must not be believed, and floods.

use std::time::Duration;

use bytes::Bytes;
use forge_core::ForgeKind;
use forge_testkit::{
    Fake, FakeBitbucketCloud, FakeBitbucketDc, FakeGitFlic, FakeGitHub, FakeGitLab, JobSpec, PullHandle,
    PullSpec, RepoHandle, RunHandle, RunSpec, SignedRequest,
};
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::support::{TestServer, eventually, pytest_log};

const SHA: &str = "4be1f20000000000000000000000000000000002";

async fn watched(fake: &Fake) -> (TestServer, RepoHandle, RunHandle, SignedRequest) {
    let (server, repo, run, _, request) = watched_pull(fake).await;
    (server, repo, run, request)
}

async fn watched_pull(fake: &Fake) -> (TestServer, RepoHandle, RunHandle, PullHandle, SignedRequest) {
    let server = TestServer::start().await;
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(fake).await;
    server.monitor(&integration, &repo).await;
    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", "feature/refund").with_sha(SHA));
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", pytest_log())]).for_pull(&pull));
    let hook = fake.hooks(&repo).remove(0);
    let request = fake.signed_request(&run, hook.id).unwrap();
    (server, repo, run, pull, request)
}

async fn post(server: &TestServer, url: &str, headers: &HeaderMap, body: Bytes) -> (u16, HeaderMap, Vec<u8>) {
    let response = server.http.post(url).headers(headers.clone()).body(body).send().await.unwrap();
    let (status, mut headers) = (response.status().as_u16(), response.headers().clone());
    headers.remove("date");
    (status, headers, response.bytes().await.unwrap().to_vec())
}

fn with(headers: &HeaderMap, name: &'static str, value: Option<&str>) -> HeaderMap {
    let mut changed = headers.clone();
    match value {
        Some(value) => {
            drop(changed.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        }
        None => drop(changed.remove(name)),
    }
    changed
}

async fn no_row(server: &TestServer) {
    let deliveries = server.get("/v1/deliveries").await.expect(200);
    assert_eq!(deliveries["items"].as_array().unwrap().len(), 0, "{deliveries:#}");
}

async fn refusals_look_alike(fake: &Fake, proof_headers: &[&'static str], forged: &[(&'static str, &str)]) {
    let (server, _, _, request) = watched(fake).await;
    // GitHub pings a new hook after it has answered; what that leaves is not the subject here, once it is there.
    if fake.kind() == ForgeKind::GITHUB {
        eventually("the ping has come", async || {
            let deliveries = server.get("/v1/deliveries").await.expect(200);
            (!deliveries["items"].as_array()?.is_empty()).then_some(())
        })
        .await;
    }
    let before = server.get("/v1/deliveries").await.expect(200)["items"].as_array().unwrap().len();
    let unknown_hook = format!("{}/v1/webhooks/{}/{}", server.base, fake.kind(), "0".repeat(64));
    let other =
        if fake.kind() == ForgeKind::BITBUCKET_CLOUD { "/bitbucket-dc/" } else { "/bitbucket-cloud/" };
    let other_forge = request.url.replace(&format!("/{}/", fake.kind()), other);
    let no_forge = request.url.replace(&format!("/{}/", fake.kind()), "/gitea/");
    let mut unproved = request.headers.clone();
    for name in proof_headers {
        unproved.remove(*name);
    }
    let mut answers = vec![
        (
            "unknown hook, good proof",
            post(&server, &unknown_hook, &request.headers, request.body().clone()).await,
        ),
        ("unknown hook, no proof", post(&server, &unknown_hook, &unproved, request.body().clone()).await),
        ("known hook, no proof", post(&server, &request.url, &unproved, request.body().clone()).await),
        (
            "known hook, other forge",
            post(&server, &other_forge, &request.headers, request.body().clone()).await,
        ),
        (
            "known hook, no such forge",
            post(&server, &no_forge, &request.headers, request.body().clone()).await,
        ),
        ("known hook, empty body", post(&server, &request.url, &unproved, Bytes::new()).await),
        (
            "known hook, malformed body",
            post(&server, &request.url, &unproved, Bytes::from_static(b"\x00{[")).await,
        ),
    ];
    for (name, value) in forged {
        let headers = with(&request.headers, name, Some(value));
        answers.push((name, post(&server, &request.url, &headers, request.body().clone()).await));
    }
    let first = answers[0].1.clone();
    for (case, answer) in &answers {
        assert_eq!(answer.0, 401, "{case}");
        assert_eq!(answer.2, first.2, "{case}: the same bytes whatever was wrong");
        assert_eq!(answer.1, first.1, "{case}: the same headers whatever was wrong");
    }
    let after = server.get("/v1/deliveries").await.expect(200)["items"].as_array().unwrap().len();
    assert_eq!(after, before, "unauthenticated requests leave no row");
    // And the untouched request is good.
    assert_eq!(post(&server, &request.url, &request.headers, request.body().clone()).await.0, 202);
    server.stop().await;
}

#[tokio::test]
async fn bitbucket_cloud_refusals_look_alike() {
    let fake = FakeBitbucketCloud::start().await;
    let sha1 = "sha1=0123456789012345678901234567890123456789";
    refusals_look_alike(
        &fake,
        &["x-hub-signature"],
        &[("x-hub-signature", "sha256=00"), ("x-hub-signature", sha1)],
    )
    .await;
}

#[tokio::test]
async fn bitbucket_dc_refusals_look_alike() {
    let fake = FakeBitbucketDc::start().await;
    refusals_look_alike(&fake, &["x-hub-signature"], &[("x-hub-signature", "sha256=00")]).await;
}

#[tokio::test]
async fn gitflic_refusals_look_alike() {
    let fake = FakeGitFlic::start().await;
    let header = "gitflic-webhook-secret";
    refusals_look_alike(&fake, &[header], &[(header, "nonsense"), (header, "")]).await;
}

#[tokio::test]
async fn github_refusals_look_alike() {
    let zeros = format!("sha256={}", "0".repeat(64));
    refusals_look_alike(
        &*FakeGitHub::start().await,
        &["x-hub-signature-256", "x-hub-signature"],
        &[
            ("x-hub-signature-256", &zeros),
            ("x-hub-signature-256", ""),
            ("x-hub-signature-256", "sha1=da39a3ee5e6b4b0d3255bfef95601890afd80709"),
            ("x-hub-signature-256", "sha256="),
        ],
    )
    .await;
}

#[tokio::test]
async fn gitlab_refusals_look_alike() {
    refusals_look_alike(
        &*FakeGitLab::start().await,
        &["x-gitlab-token", "webhook-signature"],
        // The fake is of a version that signs: a plain token alone would be a downgrade.
        &[("webhook-signature", ""), ("webhook-signature", "v1,AAAA"), ("webhook-timestamp", "1")],
    )
    .await;
}

#[tokio::test]
async fn a_flipped_byte_is_refused() {
    let fake = FakeGitHub::start().await;
    let (server, _, _, request) = watched(&fake).await;
    let mut body = request.body().to_vec();
    let middle = body.len() / 2;
    body[middle] ^= 1;
    assert_eq!(post(&server, &request.url, &request.headers, body.into()).await.0, 401);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_identical_deliveries_make_one_analysis() {
    let fake = FakeGitLab::start().await;
    let (server, repo, _, pull, request) = watched_pull(&fake).await;
    let statuses: Vec<Option<u16>> = stream::iter(0..1000)
        .map(|_| request.send(Duration::from_secs(30)))
        .buffer_unordered(64)
        .map(|outcome| outcome.status)
        .collect()
        .await;
    assert!(statuses.iter().all(|status| *status == Some(202)), "{statuses:?}");
    let analyses = server.analyses("", 1).await;
    server.idle().await;
    assert_eq!(analyses.len(), 1);
    assert_eq!(server.get("/v1/analyses").await.expect(200)["items"].as_array().unwrap().len(), 1);
    let target = forge_core::model::Target::Pull(pull.number.to_string());
    assert_eq!(fake.comments(&repo, &target).len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn large_and_endless_bodies_are_cut_off() {
    let fake = FakeGitLab::start().await;
    let (server, _, _, request) = watched(&fake).await;
    // Ten gigabytes are promised; the server hangs up long before they are sent.
    let chunk = Bytes::from(vec![b'x'; 1024 * 1024]);
    let endless =
        reqwest::Body::wrap_stream(stream::repeat(chunk).take(10 * 1024).map(Ok::<_, std::io::Error>));
    let sent = server.http.post(&request.url).headers(request.headers.clone()).body(endless).send().await;
    // Either the answer is read, or the connection ends while we are still sending.
    if let Ok(response) = sent {
        assert_eq!(response.status().as_u16(), 413);
    }
    assert_eq!(server.get("/healthz").await.expect(200)["status"], "ok");
    no_row(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn events_of_no_interest_are_accepted_and_ignored() {
    let fake = FakeGitHub::start().await;
    let (server, repo, _, _) = watched(&fake).await;
    let unknown =
        forge_testkit::Message::new("sponsorship", "", r#"{"action":"created","repository":{"id":1}}"#);
    let green = fake.add_run(
        &repo,
        &RunSpec::new(vec![JobSpec::green("test")]).with_state(forge_testkit::State::Success).with_sha(SHA),
    );
    let mut outcomes = fake.deliver_message(&repo, &unknown).await;
    outcomes.extend(fake.deliver(&green).await);
    assert!(!outcomes.is_empty());
    for outcome in outcomes {
        assert_eq!(outcome.status, Some(202), "{outcome:?}");
    }
    server.idle().await;
    assert_eq!(server.get("/v1/analyses").await.expect(200)["items"], Value::Array(vec![]));
    let deliveries = server.get("/v1/deliveries").await.expect(200);
    for delivery in deliveries["items"].as_array().unwrap() {
        assert_eq!(delivery["status"], "ignored", "{delivery:#}");
        assert!(delivery["reason"].is_string(), "why was this ignored: {delivery:#}");
    }
    server.stop().await;
}

#[tokio::test]
async fn our_own_comments_and_statuses_trigger_nothing() {
    let fake = FakeGitHub::start().await;
    let (server, repo, run, _) = watched(&fake).await;
    fake.deliver(&run).await;
    server.analyses("", 1).await;
    server.idle().await;
    let spoken = fake.all_comments().len();
    for (event, body) in [
        (
            "issue_comment",
            serde_json::json!({"action": "created", "comment": {"body": fake.all_comments()[0].body}, "repository": {"id": repo.id, "full_name": repo.full_name}}),
        ),
        (
            "status",
            serde_json::json!({"id": 1, "sha": SHA, "state": "failure", "context": "forge-rca", "repository": {"id": repo.id, "full_name": repo.full_name}, "branches": []}),
        ),
    ] {
        fake.deliver_message(&repo, &forge_testkit::Message::new(event, "", body.to_string())).await;
    }
    server.idle().await;
    assert_eq!(server.get("/v1/analyses").await.expect(200)["items"].as_array().unwrap().len(), 1);
    assert_eq!(fake.all_comments().len(), spoken);
    server.stop().await;
}
