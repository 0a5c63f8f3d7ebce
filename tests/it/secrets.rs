//! A secret that a job printed, and the secrets we hold, appear nowhere.

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use forge_testkit::{FakeGitLab, JobSpec, PullSpec, RunSpec};
use secrecy::ExposeSecret as _;

use crate::support::TestServer;

/// In the shape of a token that people leave in logs; made here, so that no scanner takes this file for a leak.
fn printed_secret() -> String {
    format!("gh{}_{}", "p", "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8")
}

fn assert_absent(folder: &Path, secret: &str) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_absent(&path, secret);
            continue;
        }
        if path.extension().is_some_and(|extension| extension == "key") {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        for form in [
            secret.as_bytes().to_vec(),
            STANDARD.encode(secret).into_bytes(),
            hex::encode(secret).into_bytes(),
        ] {
            let is_there = bytes.windows(form.len()).any(|window| window == form);
            assert!(!is_there, "{} holds a secret", path.display());
        }
    }
}

#[tokio::test]
async fn a_printed_secret_and_our_own_are_nowhere() {
    let fake = FakeGitLab::start().await;
    let server = TestServer::start().await;
    let repo = fake.add_repo("acme/shop");
    let token = fake.token();
    let body = serde_json::json!({"base_url": fake.base_url().as_str(), "token": token.expose_secret(),
        "mode": "webhook", "backfill": {"enabled": false}});
    let integration = server.post("/v1/integrations/gitlab/token", body).await.expect(201);
    let integration = integration["id"].as_str().unwrap().to_owned();
    let repository = server.monitor(&integration, &repo).await;
    let secret = printed_secret();
    let log = format!(
        "$ ./deploy.sh\nusing token {secret}\nAuthorization: Bearer {secret}\nencoded {}\n\
         error: push rejected with {secret}: permission denied\nERROR: Job failed: exit code 1\n",
        STANDARD.encode(&secret)
    );
    let pull = fake.open_pull(
        &repo,
        &PullSpec::new("Deploy", "deploy").with_sha("4be1f20000000000000000000000000000000004"),
    );
    let run =
        fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("deploy", log.as_str())]).for_pull(&pull));
    fake.deliver(&run).await;
    server.analyses("", 1).await;
    let request =
        server.request(reqwest::Method::POST, "/v1/ingest/raw?wait=30").bearer_auth(crate::support::OWNER);
    let ingested = server.send(request.body(log)).await.expect(200);
    assert!(ingested["report"]["redactions"]["count"].as_u64().unwrap() >= 1, "{ingested:#}");
    server.idle().await;

    let hook_secret = fake.hooks(&repo).remove(0);
    let ours = [
        token.expose_secret().to_owned(),
        hook_secret.secret.unwrap_or_default(),
        hook_secret.signing_token.unwrap_or_default(),
    ];
    for path in [
        "/v1/integrations".to_owned(),
        format!("/v1/integrations/{integration}"),
        format!("/v1/integrations/{integration}/repositories"),
        "/v1/deliveries".to_owned(),
        "/v1/analyses".to_owned(),
        format!("/v1/analyses/{}", ingested["id"].as_str().unwrap()),
        "/v1/tokens".to_owned(),
        "/v1/instance".to_owned(),
    ] {
        let text = server.get(&path).await.text;
        for secret in ours.iter().chain([&secret]).filter(|secret| !secret.is_empty()) {
            assert!(!text.contains(secret.as_str()), "{path} shows a secret");
        }
    }
    for comment in fake.all_comments() {
        assert!(!comment.body.contains(&secret), "{}", comment.body);
        assert!(comment.history.iter().all(|body| !body.contains(&secret)));
    }
    assert!(!fake.all_comments().is_empty(), "something was said");
    // Kept until here, so that the rotation below cannot hide anything.
    assert!(!repository.is_empty());
    let folder = std::sync::Arc::clone(&server.folder);
    // While it runs (with its write-ahead log) and after it has stopped.
    for secret in ours.iter().chain([&secret]).filter(|secret| !secret.is_empty()) {
        assert_absent(folder.path(), secret);
    }
    server.stop().await;
    for secret in ours.iter().chain([&secret]).filter(|secret| !secret.is_empty()) {
        assert_absent(folder.path(), secret);
    }
}
