use forge_core::model::Target;
use forge_testkit::{
    CiServer, FakeBitbucketDc, FakeOptions, HookSetup, JobSpec, PullSpec, Receiver, RunSpec, TokenKind,
    TokenSpec,
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::http::{call, request};

const SHOP: &str = "/rest/api/1.0/projects/NW/repos/shop";

#[tokio::test]
async fn the_next_page_begins_where_nobody_would_guess() {
    let fake = FakeBitbucketDc::start_with(&FakeOptions::new().with_root("/bitbucket")).await;
    fake.add_repos(130);
    let first = call(&fake, "GET", "/rest/api/1.0/repos?limit=1000", &Value::Null).await.json();
    assert_eq!(
        (&first["size"], &first["limit"], &first["isLastPage"]),
        (&json!(100), &json!(100), &json!(false))
    );
    let next = first["nextPageStart"].as_u64().unwrap();
    assert_ne!(next, 100);
    let path = format!("/rest/api/1.0/repos?limit=1000&start={next}");
    let second = call(&fake, "GET", &path, &Value::Null).await.json();
    assert_eq!((&second["size"], &second["nextPageStart"]), (&json!(30), &Value::Null));
    let guessed = call(&fake, "GET", "/rest/api/1.0/repos?limit=1000&start=100", &Value::Null).await.json();
    assert_ne!(guessed["values"], second["values"]);
}

#[tokio::test]
async fn a_missing_permission_and_a_bad_token_are_both_a_401() {
    let fake = FakeBitbucketDc::start().await;
    fake.add_repo("NW/shop");
    let url = format!("{}{}/webhooks", fake.base_url().as_str().trim_end_matches('/'), SHOP);
    let ask = async |authorization: String| {
        request("GET", &url, &[("authorization", &authorization)], "").await.unwrap()
    };
    let bad = ask("Bearer nonsense".to_owned()).await;
    assert_eq!((bad.status.as_u16(), bad.header("x-ausername")), (401, ""));
    let weak = ask(format!("Bearer {}", fake.read_only_token().expose_secret())).await;
    assert_eq!((weak.status.as_u16(), weak.header("x-ausername")), (401, "rca-bot"));
    let narrow = fake.add_token(&TokenSpec::new(TokenKind::FineGrained, &["REPO_ADMIN"]));
    assert_eq!(ask(format!("Bearer {}", narrow.expose_secret())).await.status, 200);
    // `user:<token>` in Base64 would do for a user's own token only.
    assert_eq!(ask("Basic dXNlcjpub25zZW5zZQ==".to_owned()).await.status, 401);
}

#[tokio::test]
async fn a_build_that_runs_again_replaces_its_status_and_forks_mix() {
    let fake = FakeBitbucketDc::start().await;
    let repo = fake.add_repo("NW/shop");
    let fork = fake.add_fork("~eve/shop", &repo);
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("unit", "one")]));
    let again = fake.rerun(&run, &[JobSpec::green("unit")]);
    assert_ne!(run.job_ids, again.job_ids);
    fake.add_run(&fork, &RunSpec::new(vec![JobSpec::failed("unit", "two")]).with_sha(&run.sha));
    let path = format!("/rest/build-status/1.0/commits/{}", run.sha);
    let listed = call(&fake, "GET", &path, &Value::Null).await.json();
    let mut states: Vec<_> =
        listed["values"].as_array().unwrap().iter().map(|build| build["state"].as_str().unwrap()).collect();
    states.sort_unstable();
    assert_eq!(states, ["FAILED", "SUCCESSFUL"]);
    let path = format!("{SHOP}/commits/{}/builds?key=ci:unit", run.sha);
    let own = call(&fake, "GET", &path, &Value::Null).await.json();
    assert_eq!((&own["state"], &own["ref"]), (&json!("SUCCESSFUL"), &json!("refs/heads/main")));
}

#[tokio::test]
async fn deliveries_are_pushes_signed_with_an_offset_without_a_colon_and_pings_are_bare() {
    let fake = FakeBitbucketDc::start().await;
    let repo = fake.add_repo("NW/shop");
    let receiver = Receiver::start().await;
    let hook = fake.add_hook(&repo, &HookSetup::new(receiver.url().as_str()).with_secret("s3cr3t"));
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("unit", "boom")]));
    assert_eq!(fake.deliver(&run).await.len(), 1);
    let push = receiver.received().remove(0);
    assert_eq!(push.headers["x-event-key"], "repo:refs_changed");
    assert!(push.headers["x-hub-signature"].to_str().unwrap().starts_with("sha256="));
    let body: Value = serde_json::from_slice(&push.body).unwrap();
    assert!(body["date"].as_str().unwrap().ends_with("+1000"), "{}", body["date"]);
    assert_eq!(body["changes"][0]["toHash"], json!(run.sha));

    let url = receiver.url().as_str();
    let path = format!("{SHOP}/webhooks/test?webhookId={hook}&url={url}");
    let plain = format!("Bearer {}", fake.token().expose_secret());
    let address = format!("{}{path}", fake.base_url().as_str().trim_end_matches('/'));
    let forged = request("POST", &address, &[("authorization", &plain)], "").await.unwrap();
    assert_eq!(forged.status, 403, "a change needs the XSRF header");
    let headers = [("authorization", plain.as_str()), ("x-atlassian-token", "no-check")];
    assert_eq!(request("POST", &address, &headers, "").await.unwrap().status, 200);
    let ping = receiver.received().remove(1);
    assert_eq!(ping.headers["x-event-key"], "diagnostics:ping");
    assert!(!ping.headers.contains_key("x-hub-signature"));
}

#[tokio::test]
async fn general_comments_are_among_the_activities_only() {
    let fake = FakeBitbucketDc::start().await;
    let repo = fake.add_repo("NW/shop");
    let pull = fake.open_pull(&repo, &PullSpec::new("Round", "fix"));
    let id = fake.add_comment(&repo, &Target::Pull(pull.number.to_string()), "robin", "hello");
    let base = format!("{SHOP}/pull-requests/{}", pull.number);
    assert_eq!(call(&fake, "GET", &format!("{base}/comments"), &Value::Null).await.status, 400);
    let activities = call(&fake, "GET", &format!("{base}/activities"), &Value::Null).await.json();
    assert_eq!(activities["values"][0]["comment"]["id"], json!(id));
    assert_eq!(activities["values"][1]["action"], "APPROVED");
}

#[tokio::test]
async fn old_versions_lack_what_newer_ones_brought() {
    let sha = "ab".repeat(20);
    for (version, rich, oauth) in [("7.6.0", 404, 404), ("7.14.0", 200, 404), ("7.20.1", 200, 400)] {
        let fake = FakeBitbucketDc::start_with(&FakeOptions::new().with_version(version)).await;
        let repo = fake.add_repo("NW/shop");
        fake.add_build_status(&repo, &sha, "ci", "FAILED", &fake.ci_url(CiServer::Jenkins));
        let path = format!("{SHOP}/commits/{sha}/builds?key=ci");
        assert_eq!(call(&fake, "GET", &path, &Value::Null).await.status, rich, "{version}");
        let page = call(&fake, "GET", "/rest/oauth2/latest/authorize?client_id=x", &Value::Null).await;
        assert_eq!(page.status, oauth, "{version}");
        let events = call(&fake, "GET", "/rest/webhooks/latest/capabilities", &Value::Null).await.json();
        let events = events["application-webhooks"].as_array().unwrap().clone();
        assert!(events.contains(&json!("repo:refs_changed")));
        assert!(
            !events.iter().any(|event| event.as_str().unwrap().contains("build")),
            "there is no such event"
        );
    }
}
