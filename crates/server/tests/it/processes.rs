//! Several processes of the server, and what they write to their logs.

use std::{fs, time::Duration};

use forge_testkit::{FakeGitLab, JobSpec, PullSpec, RunSpec};
use rca_store::testing::Database;
use reqwest::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::kill::{Setting, eventually};

fn parameter(url: &url::Url, name: &str) -> String {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_refresh_an_expired_token_once() {
    let Some(database) = Database::postgres().await else { return };
    let first = Setting::new(Some(database.url().to_owned()));
    let mut one = first.start();
    first.ready().await;
    // The second shares database, key and data folder, and listens elsewhere.
    let second = first.beside();
    let mut two = second.start();
    second.ready().await;

    let fake = FakeGitLab::start().await;
    fake.add_user("ada");
    fake.set_approver(Some("ada"));
    fake.set_access_token_lifetime(Some(Duration::from_secs(7200)));
    fake.add_repo("acme/shop");
    let app = fake.add_oauth_app(
        &[&first.url("/v1/integrations/gitlab/callback")],
        &["api", "read_user", "read_api"],
        true,
    );
    let app = app.oauth_app();
    let body = json!({"base_url": fake.base_url().as_str(), "client_id": app.client_id, "mode": "webhook",
        "client_secret": app.client_secret.expose_secret(), "backfill": {"enabled": false}});
    let started = first.call(Method::POST, "/v1/integrations/gitlab/start", Some(body)).await.unwrap();
    let back = fake.browse(&started["authorize_url"].as_str().unwrap().parse().unwrap()).await.unwrap();
    let body = json!({"state": parameter(&back, "state"), "code": parameter(&back, "code")});
    let integration =
        first.call(Method::POST, "/v1/integrations/gitlab/authorize", Some(body)).await.unwrap();
    let path = format!("/v1/integrations/{}/check", integration["id"].as_str().unwrap());
    eventually(first.folder.path(), "discovery has ended", async || {
        let list = first.call(Method::GET, &path.replace("/check", "/repositories"), None).await?;
        list["items"].get(0).is_some().then_some(())
    })
    .await;

    // Long after its end both processes need it, fifty times at once.
    fake.advance_clock(Duration::from_secs(3 * 3600));
    let before = fake.refreshes();
    let mut calls = tokio::task::JoinSet::new();
    for setting in [&first, &second] {
        for _ in 0..25 {
            let request = setting.http.post(setting.url(&path)).bearer_auth(crate::kill::OWNER);
            calls.spawn(async move { request.send().await.map(|response| response.status().as_u16()) });
        }
    }
    let statuses = calls.join_all().await;
    assert!(statuses.iter().all(|status| matches!(status, Ok(200))), "{statuses:?}");
    assert_eq!(fake.refreshes() - before, 1, "one refresh for 50 calls in two processes");
    assert_eq!(fake.invalid_grants(), 0);
    for process in [&mut one, &mut two] {
        process.kill().unwrap();
        process.wait().unwrap();
    }
}

/// In the shape of tokens that people leave in logs; made here, so that no scanner takes this file for a leak.
fn canary(index: usize) -> String {
    format!("gl{}-{}{index:04}", "pat", "Xy7Kq2Wv9Tz4Lm6Np8")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_reaches_our_logs_even_when_everything_is_logged() {
    let mut setting = Setting::new(None);
    setting.log_level = Some("trace".to_owned());
    let mut server = setting.start();
    setting.ready().await;
    let fake = FakeGitLab::start().await;
    let repo = fake.add_repo("acme/shop");
    let token = fake.token().expose_secret().to_owned();
    let body = json!({"base_url": fake.base_url().as_str(), "token": token, "mode": "webhook", "backfill": {"enabled": false}});
    let integration = setting.call(Method::POST, "/v1/integrations/gitlab/token", Some(body)).await.unwrap();
    let path = format!("/v1/integrations/{}/repositories", integration["id"].as_str().unwrap());
    let id: String = eventually(setting.folder.path(), "the repository is discovered", async || {
        let list: Value = setting.call(Method::GET, &path, None).await?;
        Some(list["items"].get(0)?["id"].as_str()?.to_owned())
    })
    .await;
    setting.call(Method::POST, &format!("{path}/monitor"), Some(json!({"add": [id]}))).await.unwrap();
    let log = format!(
        "$ deploy --token {}\nerror: {} was refused: permission denied\nERROR: Job failed: exit code 1\n",
        canary(1),
        canary(1)
    );
    let pull = fake.open_pull(&repo, &PullSpec::new(&canary(2), "deploy").with_sha(&"ab12".repeat(10)));
    let run =
        fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("deploy", log.as_str())]).for_pull(&pull));
    fake.deliver(&run).await;
    // Wrong ways in, each with a secret in it.
    let wrong = json!({"base_url": fake.base_url().as_str(), "token": canary(3)});
    assert!(setting.call(Method::POST, "/v1/integrations/gitlab/token", Some(wrong)).await.is_none());
    let wrong = json!({"base_url": format!("https://user:{}@host.example", canary(4)), "token": "x"});
    assert!(setting.call(Method::POST, "/v1/integrations/gitlab/token", Some(wrong)).await.is_none());
    let url = setting.url(&format!("/v1/webhooks/gitlab/{}?secret={}", "0".repeat(64), canary(5)));
    let refused = setting.http.post(url).header("x-gitlab-token", canary(6)).body("{}").send().await.unwrap();
    assert_eq!(refused.status().as_u16(), 401);
    let url =
        setting.url(&format!("/v1/integrations/gitlab/callback?code={}&state={}", canary(7), canary(8)));
    assert_eq!(setting.http.get(url).send().await.unwrap().status().as_u16(), 400);
    let refused = setting.http.get(setting.url("/v1/analyses")).bearer_auth(canary(9)).send().await.unwrap();
    assert_eq!(refused.status().as_u16(), 401);
    eventually(setting.folder.path(), "the comment is there", async || {
        (!fake.all_comments().is_empty()).then_some(())
    })
    .await;
    server.kill().unwrap();
    server.wait().unwrap();

    let hook = fake.hooks(&repo).remove(0);
    let mut secrets: Vec<String> = (1..=9).filter(|index| *index != 2).map(canary).collect();
    secrets.push(token);
    secrets.push(crate::kill::OWNER.to_owned());
    secrets.extend(hook.secret);
    secrets.extend(hook.signing_token);
    let log = fs::read_to_string(setting.folder.path().join("server.log")).unwrap();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "everything was logged: {log}");
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        let line = log.lines().find(|line| line.contains(secret.as_str()));
        assert!(line.is_none(), "a secret is in the log: {line:?}");
    }
}
