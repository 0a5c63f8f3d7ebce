use base64::{Engine as _, engine::general_purpose::STANDARD};
use forge_testkit::{FakeBitbucketCloud, FakeOptions, JobSpec, PullSpec, RunSpec, TokenKind, TokenSpec};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::http::{Answer, request};

const SCOPES: [&str; 5] = ["account", "repository", "pullrequest:write", "webhook", "pipeline"];

async fn get(fake: &FakeBitbucketCloud, authorization: &str, path: &str) -> Answer {
    let url = format!("{}{path}", fake.base_url().as_str().trim_end_matches('/'));
    request("GET", &url, &[("authorization", authorization)], "").await.expect("an answer")
}

fn bearer(token: &SecretString) -> String {
    format!("Bearer {}", token.expose_secret())
}

fn oauth(fake: &FakeBitbucketCloud) -> String {
    bearer(&fake.add_token(&TokenSpec::new(TokenKind::OAuth, &SCOPES)))
}

#[tokio::test]
async fn api_tokens_go_as_basic_with_a_mail_address_and_others_as_bearer() {
    let fake = FakeBitbucketCloud::start().await;
    let api = fake.token();
    let basic = |user: &str| format!("Basic {}", STANDARD.encode(format!("{user}:{}", api.expose_secret())));
    for (authorization, status) in [
        (basic("rca-bot@example.com"), 200),
        (basic("rca-bot"), 401),
        (bearer(&api), 401),
        (oauth(&fake), 200),
        ("Bearer nonsense".to_owned(), 401),
    ] {
        assert_eq!(get(&fake, &authorization, "/2.0/user").await.status, status, "{authorization}");
    }
    let access = bearer(&fake.add_token(&TokenSpec::new(TokenKind::FineGrained, &SCOPES)));
    assert_eq!(get(&fake, &access, "/2.0/user/workspaces").await.status, 403);
}

#[tokio::test]
async fn listings_across_workspaces_are_gone() {
    let fake = FakeBitbucketCloud::start_with(&FakeOptions::new().with_root("/bb")).await;
    fake.add_repo("northwind/shop");
    let token = oauth(&fake);
    let removed = [
        "workspaces",
        "repositories?role=member",
        "user/permissions/repositories",
        "user/permissions/workspaces",
    ];
    for path in removed {
        let answer = get(&fake, &token, &format!("/2.0/{path}")).await;
        assert_eq!(answer.status, 410, "{path}");
        let body = answer.json();
        assert!(body["error"]["message"].as_str().unwrap().starts_with("CHANGE-2770"));
        assert!(body["error"]["data"]["announcement_url"].is_string());
    }
    let workspaces = get(&fake, &token, "/2.0/user/workspaces").await.json();
    assert_eq!(workspaces["values"][0]["workspace"]["slug"], "northwind", "one level down");
    assert_eq!(workspaces["next"], Value::Null);
}

#[tokio::test]
async fn pages_are_linked_and_not_every_size_is_kept() {
    let fake = FakeBitbucketCloud::start().await;
    fake.add_repos(120);
    let repo = fake.add_repo("northwind/shop");
    for number in 0..60 {
        fake.open_pull(&repo, &PullSpec::new("One", &format!("branch-{number}")));
    }
    let token = oauth(&fake);
    let first = get(&fake, &token, "/2.0/repositories/bulk?pagelen=100").await.json();
    let next = first["next"].as_str().unwrap();
    let second =
        get(&fake, &token, next.strip_prefix(fake.base_url().as_str().trim_end_matches('/')).unwrap())
            .await
            .json();
    assert_eq!(
        (first["values"].as_array().unwrap().len(), second["values"].as_array().unwrap().len()),
        (100, 20)
    );
    assert_eq!(second.get("next"), None);
    assert_eq!(get(&fake, &token, "/2.0/repositories/bulk?pagelen=101").await.status, 400);
    let pulls = get(&fake, &token, "/2.0/repositories/northwind/shop/pullrequests?pagelen=100").await.json();
    assert_eq!(pulls["values"].as_array().unwrap().len(), 50);
    let bad = get(&fake, &token, "/2.0/repositories/northwind/shop/pullrequests?q=state").await;
    assert_eq!(bad.status, 400);
}

#[tokio::test]
async fn a_pipeline_goes_by_its_uuid_and_its_log_by_redirect() {
    let fake = FakeBitbucketCloud::start().await;
    let repo = fake.add_repo("northwind/shop");
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", "boom\n")]));
    let token = oauth(&fake);
    let base = "/2.0/repositories/northwind/shop/pipelines";
    assert_eq!(run.forge_id, "1");
    assert_eq!(get(&fake, &token, &format!("{base}/1")).await.status, 404);
    fake.set_build_numbers_resolved(true);
    let pipeline = get(&fake, &token, &format!("{base}/1")).await.json();
    let encode = |uuid: &Value| uuid.as_str().unwrap().replace('{', "%7B").replace('}', "%7D");
    let base = format!("{base}/{}", encode(&pipeline["uuid"]));
    assert_eq!(pipeline["state"]["result"]["name"], "FAILED");
    let steps = get(&fake, &token, &format!("{base}/steps")).await.json();
    let log = get(&fake, &token, &format!("{base}/steps/{}/log", encode(&steps["values"][0]["uuid"]))).await;
    assert_eq!(log.status, 307);
    let location = log.header("location");
    assert!(location.starts_with(&fake.blob_store_url()));
    assert_eq!(request("GET", location, &[], "").await.unwrap().body, b"boom\n");
    let with_credential = request("GET", location, &[("authorization", token.as_str())], "").await.unwrap();
    assert_eq!(with_credential.status, 400, "two ways to prove oneself are one too many");
}

#[tokio::test]
async fn statuses_arrive_out_of_order_and_name_the_run_behind_the_hash() {
    let fake = FakeBitbucketCloud::start().await;
    let repo = fake.add_repo("northwind/shop");
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", "boom\n")]));
    let messages = fake.messages(&run);
    let events: Vec<&str> = messages.iter().map(|message| message.event.as_str()).collect();
    assert_eq!(events, ["repo:commit_status_updated", "repo:commit_status_created"]);
    let body: Value = serde_json::from_slice(&messages[0].body).unwrap();
    let status = &body["commit_status"];
    assert_eq!(status["url"], "https://bitbucket.org/northwind/shop/addon/pipelines/home#!/results/1");
    assert_ne!(status["key"], "PIPELINE-1");
    let refused = fake.add_run(&repo, &RunSpec::config_error("no steps"));
    assert_eq!(fake.messages(&refused)[0].event, "repo:commit_status_created", "born failed");
}
