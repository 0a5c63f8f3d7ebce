use forge_testkit::{FakeGitFlic, FakeOptions, JobSpec, PullSpec, RunSpec, State};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::http::{Answer, request};

const SHOP: &str = "/rest-api/project/acme/shop";

async fn call(fake: &FakeGitFlic, method: &str, path: &str, body: &Value) -> Answer {
    let token = format!("token {}", fake.token().expose_secret());
    let url = format!("{}{path}", fake.base_url().as_str().trim_end_matches('/'));
    let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    request(method, &url, &headers, &body).await.expect("an answer")
}

async fn get(fake: &FakeGitFlic, path: &str) -> Answer {
    call(fake, "GET", path, &Value::Null).await
}

#[tokio::test]
async fn a_bad_token_and_a_wrong_scheme_are_403() {
    let fake = FakeGitFlic::start().await;
    let url = format!("{}rest-api/user/me", fake.base_url());
    let bearer = format!("Bearer {}", fake.token().expose_secret());
    for header in ["token nonsense", bearer.as_str(), ""] {
        let answer = request("GET", &url, &[("authorization", header)], "").await.unwrap();
        assert_eq!(
            (answer.status.as_u16(), answer.json()["title"].as_str()),
            (403, Some("error.access.denied"))
        );
    }
    assert_eq!(get(&fake, "/rest-api/user/me").await.json()["username"], "rca-bot");
    assert!(get(&fake, "/rest-api/user").await.json()["_embedded"]["userList"].is_array(), "not who we are");
}

#[tokio::test]
async fn pages_count_from_zero_and_empty_ones_embed_nothing() {
    let fake = FakeGitFlic::start().await;
    assert!(get(&fake, "/rest-api/project/my?page=0&size=100").await.json().get("_embedded").is_none());
    fake.add_repos(101);
    let second = get(&fake, "/rest-api/project/my?page=1&size=100").await.json();
    assert_eq!(second["_embedded"]["projectList"].as_array().unwrap().len(), 1);
    assert_eq!(second["page"], json!({"size": 100, "totalElements": 101, "totalPages": 2, "number": 1}));
    let old = FakeGitFlic::start_with(&FakeOptions::new().with_version("3.1.0")).await;
    old.add_repo("acme/shop");
    let project = get(&old, "/rest-api/project/my").await.json()["_embedded"]["projectListCe"][0].clone();
    assert_eq!((project["ownerAlias"].as_str(), project.get("owner")), (Some("acme"), None));
}

#[tokio::test]
async fn pipelines_have_numbers_of_their_project_and_filters_do_nothing() {
    let fake = FakeGitFlic::start().await;
    let (repo, other) = (fake.add_repo("acme/shop"), fake.add_repo("acme/other"));
    fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("a", "x")]));
    let run = fake.add_run(&other, &RunSpec::new(vec![JobSpec::failed("a", "x")]));
    assert_eq!(run.forge_id, "1");
    let all = get(&fake, &format!("{SHOP}/cicd/pipeline?localId=7&ref=nowhere")).await.json();
    let pipeline = &all["_embedded"]["restPipelineModelList"][0];
    assert_eq!((pipeline["localId"].as_u64(), pipeline["status"].as_str()), (Some(1), Some("FAILED")));
    assert!(!pipeline["createdAt"].as_str().unwrap().ends_with('Z'), "no zone");
    let by_uuid = format!("{SHOP}/cicd/pipeline/{}", pipeline["id"].as_str().unwrap());
    assert_eq!(get(&fake, &by_uuid).await.status, 404);
    assert_eq!(get(&fake, &format!("{SHOP}/cicd/pipeline/1")).await.status, 200);
}

#[tokio::test]
async fn the_log_is_an_artifact_behind_another_and_comes_late() {
    let fake = FakeGitFlic::start().await;
    let repo = fake.add_repo("acme/shop");
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("a", "boom").with_log_delay(1)]));
    let place = format!("{SHOP}/cicd/job/{}", run.job_ids[0]);
    let artifacts = async || {
        let answer = get(&fake, &format!("{place}/artifacts")).await.json();
        answer["_embedded"]["restPipelineJobArtifactModelList"].as_array().unwrap().clone()
    };
    assert_eq!(artifacts().await.len(), 1);
    let files = artifacts().await;
    assert_eq!(
        (files[0]["fileType"].as_str(), files[1]["fileType"].as_str()),
        (Some("archive"), Some("TRACE"))
    );
    let token = format!("token {}", fake.token().expose_secret());
    let url = files[1]["downloadUrl"].as_str().unwrap();
    let log = request("GET", url, &[("authorization", token.as_str())], "").await.unwrap();
    assert_eq!(log.body, b"boom");
    assert_eq!(request("GET", url, &[], "").await.unwrap().status, 403);
    for path in ["log", "trace"] {
        assert_eq!(get(&fake, &format!("{place}/{path}")).await.status, 404);
    }
}

#[tokio::test]
async fn hooks_are_made_and_deleted_but_never_changed() {
    let fake = FakeGitFlic::start().await;
    fake.add_repo("acme/shop");
    let hooks = format!("{SHOP}/setting/webhook");
    let body = |events: Value| json!({"url": "http://127.0.0.1:9/h", "secret": "s3cr3t", "events": events});
    assert_eq!(call(&fake, "POST", &hooks, &body(json!({"COMET": true}))).await.status, 400);
    assert_eq!(call(&fake, "POST", &hooks, &body(json!(["PIPELINE_FAIL"]))).await.status, 400);
    let made = call(&fake, "POST", &hooks, &body(json!({"PIPELINE_FAIL": true}))).await.json();
    assert_eq!(
        (&made["secret"], &made["events"]["PIPELINE_FAIL"], &made["events"]["MERGE"]),
        (&json!("s3cr3t"), &json!(true), &json!(false))
    );
    let one = format!("{hooks}/{}", made["id"].as_str().unwrap());
    assert_eq!(call(&fake, "PUT", &one, &body(json!({}))).await.status, 405);
    assert_eq!(call(&fake, "DELETE", &format!("{one}/delete"), &Value::Null).await.status, 405);
    assert_eq!(call(&fake, "POST", &format!("{one}/delete"), &Value::Null).await.status, 200);
    assert_eq!(call(&fake, "POST", &format!("{one}/delete"), &Value::Null).await.status, 404);
}

#[tokio::test]
async fn deliveries_are_snake_case_and_say_their_event_in_the_body_only() {
    let fake = FakeGitFlic::start().await;
    let repo = fake.add_repo("acme/shop");
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("a", "x")]).with_branch("fix/1"));
    let hook =
        fake.add_hook(&repo, &forge_testkit::HookSetup::new("http://127.0.0.1:9/h").with_secret("s3cr3t"));
    let request = fake.signed_request(&run, hook).unwrap();
    let names: Vec<&str> = request.headers.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["content-type", "gitflic-webhook-secret"]);
    let body: Value = serde_json::from_slice(request.body()).unwrap();
    assert_eq!(
        (&body["action"], &body["pipeline"]["ref"]),
        (&json!("PIPELINE_FAIL"), &json!("refs/heads/fix/1"))
    );
    for (state, action) in [
        (State::Running, "PIPELINE_NEW"),
        (State::Success, "PIPELINE_SUCCESS"),
        (State::Cancelled, "PIPELINE_FAIL"),
    ] {
        fake.set_run_state(&run, state);
        assert_eq!(fake.payload(&run).unwrap().event, action);
    }
}

#[tokio::test]
async fn an_issue_needs_its_list_of_people_and_a_discussion_its_text() {
    let fake = FakeGitFlic::start().await;
    let repo = fake.add_repo("acme/shop");
    let pull = fake.open_pull(&repo, &PullSpec::new("Fix", "fix"));
    let issue = json!({"title": "t", "description": "d"});
    assert_eq!(call(&fake, "POST", &format!("{SHOP}/issue"), &issue).await.status, 500);
    let issue = json!({"title": "t", "description": "d", "assignedUsers": []});
    assert_eq!(call(&fake, "POST", &format!("{SHOP}/issue"), &issue).await.json()["localId"], 1);
    let talk = format!("{SHOP}/merge-request/{}/discussions", pull.number);
    assert_eq!(call(&fake, "POST", &format!("{talk}/create"), &json!({"text": "x"})).await.status, 422);
    for text in ["one", "two"] {
        call(&fake, "POST", &format!("{talk}/create"), &json!({"message": text})).await;
    }
    let all = get(&fake, &talk).await.json();
    let first = &all["_embedded"]["discussionModelList"][0]["rootNote"];
    assert_eq!(first["rawMessage"], "two", "newest first");
    assert_eq!(first["createdAt"], "2 time.minute.multi time.ago");
}
