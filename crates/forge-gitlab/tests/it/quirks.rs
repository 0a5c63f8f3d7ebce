//! One test per oddity of GitLab's, against recorded shapes, and the exact bytes of every changing request.

use forge_core::{
    ErrorKind, ForgeClientExt as _, Instance, LogOptions, Retry,
    model::{CommitStatus, Issue, Job, PostAction, RepoRef, Run, RunRef, StatusState, Target},
};
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{any, body_json, header, method, path, query_param},
};

use crate::support::{CANARY, MARKER, comment, connect, connect_mock, hook_spec};

fn api(name: &str) -> Value {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/gitlab/api/");
    serde_json::from_str(&std::fs::read_to_string(format!("{file}{name}.json")).unwrap()).unwrap()
}

fn repo() -> RepoRef {
    RepoRef::new("1042", "shop/pos/till")
}

fn ok(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

async fn answer(server: &MockServer, verb: &str, at: &str, reply: ResponseTemplate) {
    Mock::given(method(verb)).and(path(format!("/api/v4{at}"))).respond_with(reply).mount(server).await;
}

async fn user(server: &MockServer) {
    answer(server, "GET", "/user", ok(api("user"))).await;
}

/// Nothing may reach this server with a credential.
async fn assert_no_canary(server: &MockServer) {
    for request in server.received_requests().await.unwrap() {
        let text = format!("{:?} {} {:?}", request.headers, request.url, request.body);
        assert!(!text.contains(CANARY) && !request.headers.contains_key("authorization"), "{text}");
    }
}

#[tokio::test]
async fn the_token_never_follows_a_link_or_a_log_elsewhere() {
    let (server, stranger) = (MockServer::start().await, MockServer::start().await);
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200).set_body_string("log text"))
        .mount(&stranger)
        .await;
    let link = format!("<{}/api/v4/projects?id_after=1>; rel=\"next\"", stranger.uri());
    answer(&server, "GET", "/projects", ok(json!([api("project")])).insert_header("link", link.as_str()))
        .await;
    let found = connect_mock(&server).repos().list_repos().try_collect::<Vec<_>>().await;
    let error = found.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddressRefused, "{error}");
    assert!(error.hint().is_some() && !format!("{error:?}").contains(CANARY));
    assert_eq!(stranger.received_requests().await.unwrap().len(), 0);

    let away =
        ResponseTemplate::new(302).insert_header("location", format!("{}/blob", stranger.uri()).as_str());
    answer(&server, "GET", "/projects/1042/jobs/9/trace", away).await;
    let client = connect_mock(&server);
    let job = Job::new("9", "7", "unit");
    let log = client.ci().unwrap().job_log(&repo(), &job, LogOptions::default()).await.unwrap();
    assert_eq!(log.read_to_end().await.unwrap().0, b"log text");
    assert_eq!(stranger.received_requests().await.unwrap().len(), 1);

    // A project that is said to have moved to another host is not followed there.
    let away = ResponseTemplate::new(301)
        .insert_header("location", format!("{}/api/v4/projects/7", stranger.uri()).as_str());
    answer(&server, "GET", "/projects/5", away).await;
    let error = client.repos().get_repo("5").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedResponse);

    // A token endpoint at another origin is not shown the token to learn its scopes.
    user(&server).await;
    answer(&server, "GET", "/version", ok(json!({"version": "19.5.0"}))).await;
    let instance = Instance::new(&server.uri()).unwrap().with_oauth_base_url(&stranger.uri()).unwrap();
    let credential = forge_core::Credential::new(forge_core::CredentialKind::OAuth, CANARY.into());
    let provider = std::sync::Arc::new(forge_core::StaticCredential::new(credential));
    let identity = crate::support::connect_with(&instance, provider).whoami().await.unwrap();
    assert_eq!(identity.scopes, None);
    assert_no_canary(&stranger).await;
}

#[tokio::test]
async fn names_are_percent_encoded_as_one_segment() {
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(ok(api("project"))).mount(&server).await;
    connect_mock(&server).repos().get_repo("a b/ü?x#y/../z%").await.unwrap();
    let request = &server.received_requests().await.unwrap()[0];
    assert_eq!(request.url.path(), "/api/v4/projects/a%20b%2F%C3%BC%3Fx%23y%2F..%2Fz%25");
    assert_eq!(request.url.query(), None);
}

#[tokio::test]
async fn changing_requests_carry_exactly_this() {
    let server = MockServer::start().await;
    user(&server).await;
    let (client, repo) = (connect_mock(&server), repo());
    let expect = async |verb: &str, at: &str, body: Value, status: u16, reply: Value| {
        Mock::given(method(verb))
            .and(path(format!("/api/v4/projects/1042{at}")))
            .and(header("authorization", format!("Bearer {CANARY}").as_str()))
            .and(header("content-type", "application/json"))
            .and(body_json(body))
            .respond_with(ResponseTemplate::new(status).set_body_json(reply))
            .expect(1)
            .mount(&server)
            .await;
    };
    let hooks = client.require_hooks().unwrap();
    let wanted = json!({
        "url": "https://rca.example/v1/webhooks/gitlab/abc", "token": "hook-secret", "pipeline_events": true,
        "job_events": true, "push_events": false, "enable_ssl_verification": true,
    });
    let mut signed = wanted.clone();
    signed["signing_token"] = json!("whsec_AAAA");
    expect("POST", "/hooks", wanted, 201, api("hook")).await;
    expect("PUT", "/hooks/12", signed, 200, api("hook")).await;
    let made = hooks.create_hook(&repo, &hook_spec()).await.unwrap();
    assert_eq!(made.events, ["job_events", "pipeline_events"]);
    hooks.update_hook(&repo, "12", &hook_spec().with_signing_token("whsec_AAAA".into())).await.unwrap();

    let feedback = client.feedback().unwrap();
    let text = comment("red").body;
    answer(&server, "GET", "/projects/1042/merge_requests/58/notes", ok(json!([]))).await;
    answer(&server, "GET", "/projects/1042/repository/commits/4f2d/discussions", ok(json!([]))).await;
    answer(&server, "GET", "/projects/1042/merge_requests/58/notes/7", ok(api("note"))).await;
    answer(&server, "GET", "/projects/1042/repository/commits/4f2d/discussions/d1", ok(api("discussion")))
        .await;
    expect("POST", "/merge_requests/58/notes", json!({"body": text}), 201, api("note")).await;
    expect("PUT", "/merge_requests/58/notes/7", json!({"body": text}), 200, api("note")).await;
    expect("POST", "/repository/commits/4f2d/discussions", json!({"body": text}), 201, api("discussion"))
        .await;
    expect("PUT", "/repository/commits/4f2d/discussions/d1/notes/7", json!({"body": text}), 200, api("note"))
        .await;
    let (pull, commit) = (Target::Pull("58".to_owned()), Target::Commit("4f2d".to_owned()));
    let made = feedback.upsert_comment(&repo, &pull, &comment("red"), None).await.unwrap();
    assert_eq!((made.id.as_str(), made.action), ("7", PostAction::Created));
    assert_eq!(made.web_url, Some(format!("{}/shop/pos/till/-/merge_requests/58#note_7", server.uri())));
    feedback.upsert_comment(&repo, &pull, &comment("red"), Some("7")).await.unwrap();
    let made = feedback.upsert_comment(&repo, &commit, &comment("red"), None).await.unwrap();
    assert_eq!(made.id, "d1:7");
    feedback.upsert_comment(&repo, &commit, &comment("red"), Some("d1:7")).await.unwrap();

    answer(&server, "GET", "/projects/1042/issues", ok(json!([]))).await;
    answer(&server, "GET", "/projects/1042/issues/3", ok(api("issue"))).await;
    let issue = Issue {
        marker: MARKER.to_owned(),
        title: "main is red".to_owned(),
        body: text.clone(),
        labels: vec!["ci".to_owned(), "rca".to_owned()],
    };
    let (title, labels) = ("main is red", "ci,rca");
    expect(
        "POST",
        "/issues",
        json!({"title": title, "description": text, "labels": labels}),
        201,
        api("issue"),
    )
    .await;
    expect("PUT", "/issues/3", json!({"title": title, "description": text}), 200, api("issue")).await;
    expect("PUT", "/issues/3", json!({"state_event": "close"}), 200, api("issue")).await;
    feedback.upsert_issue(&repo, &issue, None).await.unwrap();
    feedback.upsert_issue(&repo, &issue, Some("3")).await.unwrap();
    feedback.close_issue(&repo, "3", None).await.unwrap();

    answer(&server, "GET", "/projects/1042/repository/commits/4f2d/statuses", ok(json!([]))).await;
    let body = json!({"state": "failed", "name": "forge-rca", "description": "unit failed", "target_url": "https://rca.example/a/1"});
    expect("POST", "/statuses/4f2d", body, 201, json!({"id": 5, "name": "forge-rca", "status": "failed"}))
        .await;
    let status = CommitStatus {
        state: StatusState::Failure,
        context: "forge-rca".to_owned(),
        description: "unit failed".to_owned(),
        target_url: Some("https://rca.example/a/1".to_owned()),
    };
    feedback.set_status(&repo, "4f2d", &status).await.unwrap();
}

#[tokio::test]
async fn hooks_come_in_pages_with_all_their_shapes() {
    let server = MockServer::start().await;
    let next = format!("<{}/api/v4/projects/1042/hooks?page=2>; rel=\"next\"", server.uri());
    Mock::given(path("/api/v4/projects/1042/hooks"))
        .and(query_param("page", "2"))
        .respond_with(ok(json!([{"id": 2, "url": "https://x.example", "alert_status": "temporarily_disabled",
            "disabled_until": "2026-10-02T10:00:00Z", "custom_headers": [{"key": "a"}]}, {"id": 3, "alert_status": "disabled"}])))
        .mount(&server)
        .await;
    answer(
        &server,
        "GET",
        "/projects/1042/hooks",
        ok(json!([api("hook")])).insert_header("link", next.as_str()),
    )
    .await;
    let client = connect_mock(&server);
    let hooks: Vec<_> = client.require_hooks().unwrap().list_hooks(&repo()).try_collect().await.unwrap();
    assert_eq!(hooks.len(), 3);
    assert_eq!(hooks[0].verifies_tls, Some(true));
    assert!(hooks[1].is_active && hooks[1].health.is_disabled && hooks[1].health.disabled_until.is_some());
    assert!(!hooks[2].is_active && hooks[2].health.is_disabled);
}

#[tokio::test]
async fn a_hook_that_is_off_for_good_is_made_anew() {
    let server = MockServer::start().await;
    let mut off = api("hook");
    off["alert_status"] = json!("disabled");
    let mut fresh = api("hook");
    fresh["id"] = json!(13);
    answer(&server, "PUT", "/projects/1042/hooks/12", ok(off)).await;
    answer(&server, "POST", "/projects/1042/hooks", ResponseTemplate::new(201).set_body_json(fresh)).await;
    answer(&server, "DELETE", "/projects/1042/hooks/12", ResponseTemplate::new(204)).await;
    let client = connect_mock(&server);
    let hook = client.require_hooks().unwrap().update_hook(&repo(), "12", &hook_spec()).await.unwrap();
    assert_eq!(hook.id, "13");
    assert_eq!(server.received_requests().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_test_delivery_falls_back_to_a_push() {
    let server = MockServer::start().await;
    let none =
        ResponseTemplate::new(422).set_body_json(json!({"message": "Ensure the project has CI pipelines."}));
    answer(&server, "POST", "/projects/1042/hooks/12/test/pipeline_events", none).await;
    answer(&server, "POST", "/projects/1042/hooks/12/test/push_events", ResponseTemplate::new(201)).await;
    connect_mock(&server).require_hooks().unwrap().test_hook(&repo(), "12").await.unwrap();
}

#[tokio::test]
async fn merged_results_are_told_as_the_commit_that_people_know() {
    let server = MockServer::start().await;
    answer(&server, "GET", "/projects/1042/pipelines/31007", ok(api("pipeline_merged"))).await;
    answer(&server, "GET", "/projects/1042/merge_requests/58", ok(api("merge_request"))).await;
    let commit = json!({"id": "eeee", "parent_ids": ["aaaa", "4f2d"]});
    answer(&server, "GET", "/projects/1042/repository/commits/eeee", ok(commit)).await;
    let client = connect_mock(&server);
    let ci = client.ci().unwrap();
    let run = ci.get_run(&repo(), &RunRef::new("31007")).await.unwrap();
    assert_eq!(run.sha.as_deref(), Some("4f2d"));
    assert_eq!(
        (run.git_ref.as_deref(), run.pull_requests.as_slice()),
        (Some("rounding"), &["58".to_owned()][..])
    );
    let pulls = ci.find_pull_requests(&repo(), &run).await.unwrap();
    assert_eq!(pulls.len(), 1);
    assert_eq!(pulls[0].repo, repo());
}

#[tokio::test]
async fn a_merge_request_that_its_pipeline_names_is_taken_for_there_when_it_cannot_be_read() {
    let server = MockServer::start().await;
    let mut pipeline = api("pipeline_merged");
    pipeline["ref"] = json!("refs/merge-requests/58/head");
    answer(&server, "GET", "/projects/1042/pipelines/31007", ok(pipeline)).await;
    let client = connect_mock(&server);
    let ci = client.ci().unwrap();
    let run = ci.get_run(&repo(), &RunRef::new("31007")).await.unwrap();
    let pulls = ci.find_pull_requests(&repo(), &run).await.unwrap();
    let named: Vec<_> = pulls.iter().map(|pull| (pull.number.as_str(), pull.repo == repo())).collect();
    assert_eq!(named, [("58", true)]);
}

#[tokio::test]
async fn a_merge_request_pipeline_in_a_fork_is_not_about_the_forks_own_number() {
    let server = MockServer::start().await;
    let mut pipeline = api("pipeline_merged");
    pipeline["ref"] = json!("refs/merge-requests/58/head");
    pipeline["sha"] = json!("4f2d");
    let mut stranger = api("merge_request");
    (stranger["sha"], stranger["title"]) = (json!("0001"), json!("the fork's own"));
    let mut right = api("merge_request");
    right["source_project_id"] = json!(2200);
    answer(&server, "GET", "/projects/2200/pipelines/31007", ok(pipeline)).await;
    answer(&server, "GET", "/projects/2200/merge_requests/58", ok(stranger)).await;
    answer(&server, "GET", "/projects/2200/merge_requests", ok(json!([]))).await;
    answer(&server, "GET", "/projects/1042/merge_requests/58", ok(right.clone())).await;
    answer(&server, "GET", "/projects/1042/merge_requests", ok(json!([right]))).await;
    let fork = json!({"id": 2200, "path_with_namespace": "vera/till", "forked_from_project": {"id": 1042, "path_with_namespace": "shop/pos/till"}});
    answer(&server, "GET", "/projects/2200", ok(fork)).await;
    let client = connect_mock(&server);
    let (ci, fork) = (client.ci().unwrap(), RepoRef::new("2200", "vera/till"));
    let run = ci.get_run(&fork, &RunRef::new("31007")).await.unwrap();
    assert!(run.pull_requests.is_empty(), "58 is no number of this repository");
    let pulls = ci.find_pull_requests(&fork, &run).await.unwrap();
    assert_eq!(pulls.len(), 1);
    assert_eq!((pulls[0].repo.id.as_str(), pulls[0].title.as_str()), ("1042", "Round totals"));
}

#[tokio::test]
async fn a_trigger_job_that_started_nothing_is_a_failed_job() {
    let server = MockServer::start().await;
    answer(&server, "GET", "/projects/1042/pipelines/7/jobs", ok(json!([]))).await;
    let bridge = json!([{"id": 70, "name": "deploy", "status": "failed", "downstream_pipeline": null,
        "failure_reason": "downstream_pipeline_creation_failed"}]);
    answer(&server, "GET", "/projects/1042/pipelines/7/bridges", ok(bridge)).await;
    let client = connect_mock(&server);
    let jobs: Vec<Job> =
        client.ci().unwrap().list_jobs(&repo(), &RunRef::new("7")).try_collect().await.unwrap();
    assert_eq!(jobs.len(), 1);
    assert!(jobs[0].is_failed());
    assert_eq!(jobs[0].failure_reason.as_deref(), Some("downstream_pipeline_creation_failed"));
}

#[tokio::test]
async fn pipelines_that_start_each_other_end() {
    let server = MockServer::start().await;
    let job = |id: u64| json!([{"id": id, "name": "unit", "status": "success"}]);
    let bridge = |id: u64| json!([{"id": 1, "name": "go", "status": "success", "downstream_pipeline": {"id": id, "project_id": 1042}}]);
    for (id, next) in [(7, 8), (8, 7)] {
        answer(&server, "GET", &format!("/projects/1042/pipelines/{id}/jobs"), ok(job(id * 10))).await;
        answer(&server, "GET", &format!("/projects/1042/pipelines/{id}/bridges"), ok(bridge(next))).await;
    }
    let client = connect_mock(&server);
    let jobs: Vec<Job> =
        client.ci().unwrap().list_jobs(&repo(), &RunRef::new("7")).try_collect().await.unwrap();
    assert_eq!(jobs.iter().map(|job| job.run_id.as_str()).collect::<Vec<_>>(), ["7", "8"]);
}

#[tokio::test]
async fn a_text_of_quick_actions_only_is_an_error() {
    let server = MockServer::start().await;
    user(&server).await;
    answer(&server, "GET", "/projects/1042/merge_requests/58/notes", ok(json!([]))).await;
    let taken =
        ResponseTemplate::new(202).set_body_json(json!({"commands_changes": {}, "summary": ["Closed"]}));
    answer(&server, "POST", "/projects/1042/merge_requests/58/notes", taken).await;
    let client = connect_mock(&server);
    let error = client
        .feedback()
        .unwrap()
        .upsert_comment(&repo(), &Target::Pull("58".to_owned()), &comment("x"), None)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.operation().unwrap().contains("comment on merge request 58"));
}

#[tokio::test]
async fn a_status_that_cannot_follow_itself_stays() {
    let server = MockServer::start().await;
    let standing = json!([{"id": 5, "name": "forge-rca", "status": "failed", "description": "old"}]);
    answer(&server, "GET", "/projects/1042/repository/commits/4f2d/statuses", ok(standing)).await;
    let refusal = ResponseTemplate::new(400)
        .set_body_json(json!({"message": "Cannot transition status via :drop from :failed"}));
    answer(&server, "POST", "/projects/1042/statuses/4f2d", refusal).await;
    let client = connect_mock(&server);
    let set = |state| {
        let status = CommitStatus {
            state,
            context: "forge-rca".to_owned(),
            description: "new".to_owned(),
            target_url: None,
        };
        let client = client.clone();
        async move { client.feedback().unwrap().set_status(&repo(), "4f2d", &status).await }
    };
    assert_eq!(set(StatusState::Failure).await.unwrap().action, PostAction::Unchanged);
    assert_eq!(set(StatusState::Success).await.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn refusals_are_typed_with_a_remedy() {
    let json_error = |status: u16, body: Value| ResponseTemplate::new(status).set_body_json(body);
    let html =
        |status: u16| ResponseTemplate::new(status).set_body_raw("<!DOCTYPE html><h1>no</h1>", "text/html");
    let cases = [
        (
            json_error(401, json!({"error": "invalid_token", "error_description": "Token was revoked."})),
            ErrorKind::Unauthorized,
            "token",
        ),
        (
            json_error(403, json!({"error": "insufficient_scope", "scope": "api"})),
            ErrorKind::Forbidden,
            "scope `api`",
        ),
        (json_error(403, json!({"message": "403 Forbidden"})), ErrorKind::Forbidden, "Maintainer"),
        (html(403), ErrorKind::Forbidden, "in front of GitLab"),
        (json_error(404, json!({"message": "404 Project Not Found"})), ErrorKind::NotFound, "may not see"),
        (html(404), ErrorKind::UnexpectedResponse, "base URL"),
        (html(502), ErrorKind::Forge, "base URL"),
        (
            json_error(
                422,
                json!({"message": {"url": ["is blocked: Requests to the local network are not allowed"]}}),
            ),
            ErrorKind::Invalid,
            "local",
        ),
        (json_error(422, json!({"error": "Invalid url given"})), ErrorKind::Invalid, "local"),
    ];
    for (reply, kind, hint) in cases {
        let server = MockServer::start().await;
        answer(&server, "POST", "/projects/1042/hooks", reply).await;
        let client = connect_mock(&server);
        let error = client.require_hooks().unwrap().create_hook(&repo(), &hook_spec()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.hint().is_some_and(|text| text.contains(hint)), "{error}");
        assert_eq!(error.operation(), Some("create a hook at shop/pos/till"));
        assert_eq!(error.forge(), Some(forge_core::ForgeKind::GITLAB));
        let text = format!("{error} {error:?}");
        assert!(!text.contains(CANARY) && !text.contains("hook-secret"), "{text}");
    }
}

#[tokio::test]
async fn a_limit_that_says_nothing_is_a_minute() {
    let server = MockServer::start().await;
    let limited = ResponseTemplate::new(429)
        .set_body_json(json!({"message": {"error": "This endpoint has been requested too many times."}}));
    answer(&server, "POST", "/projects/1042/hooks", limited).await;
    let client = connect_mock(&server);
    let error = client.require_hooks().unwrap().create_hook(&repo(), &hook_spec()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert_eq!(error.retry(), Retry::After(std::time::Duration::from_secs(60)));
}

#[tokio::test]
async fn odd_answers_are_read_as_far_as_they_go() {
    let server = MockServer::start().await;
    // Only ids are certain.
    answer(&server, "GET", "/projects/1042", ok(json!({"id": 1042}))).await;
    answer(
        &server,
        "GET",
        "/projects/1042/pipelines/7",
        ok(json!({"id": 7, "status": "negotiating", "created_at": "soon", "ref": null})),
    )
    .await;
    answer(
        &server,
        "GET",
        "/projects/1042/jobs/9",
        ok(json!({"id": 9, "status": null, "runner": null, "artifacts": null, "pipeline": null})),
    )
    .await;
    let client = connect_mock(&server);
    let found = client.repos().get_repo("1042").await.unwrap();
    assert_eq!((found.has_ci, found.can_manage_hooks, found.default_branch), (None, None, None));
    let ci = client.ci().unwrap();
    let run: Run = ci.get_run(&repo(), &RunRef::new("7")).await.unwrap();
    assert_eq!((run.status, run.created_at), (forge_core::model::Status::Unknown, None));
    assert_eq!(ci.get_job(&repo(), "9").await.unwrap().attempt, 1);
}

#[tokio::test]
async fn fine_grained_tokens_have_no_scopes_to_miss() {
    let server = MockServer::start().await;
    user(&server).await;
    let token = json!({"id": 1, "scopes": [], "granular_scopes": [{"access": "selected"}], "expires_at": "2027-03-01"});
    answer(&server, "GET", "/personal_access_tokens/self", ok(token)).await;
    answer(&server, "GET", "/version", ResponseTemplate::new(403)).await;
    let identity = connect_mock(&server).whoami().await.unwrap();
    assert_eq!((identity.scopes, identity.server_version), (None, None));
    assert!(identity.missing_scopes.is_empty());
    assert_eq!(identity.expires_at, Some("2027-03-01T00:00:00Z".parse().unwrap()));
}

#[tokio::test]
async fn a_token_with_a_line_break_is_refused_before_it_is_sent() {
    let server = MockServer::start().await;
    let client = connect(&Instance::new(&server.uri()).unwrap(), "glpat-a\nb".into());
    assert_eq!(client.whoami().await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn nothing_prints_the_token() {
    let server = MockServer::start().await;
    let client = connect_mock(&server);
    let text = format!("{client:?} {:?} {:?}", client.repos(), client.ci());
    assert!(!text.contains(CANARY), "{text}");
    // No such route at the mock: the error says what was tried, not with what.
    let error = client.whoami().await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(CANARY));
}

#[tokio::test]
async fn a_pipeline_that_nobody_may_see_takes_nothing_from_the_rest() {
    let server = MockServer::start().await;
    let jobs = json!([{"id": 90, "name": "unit", "status": "failed", "allow_failure": true,
        "artifacts": [{"file_type": "junit", "size": 5}, {"file_type": "trace", "size": 4711}]}]);
    answer(&server, "GET", "/projects/1042/pipelines/7/jobs", ok(jobs)).await;
    let bridges = json!([
        {"id": 1, "name": "far", "status": "success", "downstream_pipeline": {"id": 8, "project_id": 5000}},
        {"id": 2, "name": "none", "status": "created", "downstream_pipeline": null},
    ]);
    answer(&server, "GET", "/projects/1042/pipelines/7/bridges", ok(bridges)).await;
    answer(&server, "GET", "/projects/5000/pipelines/8/jobs", ResponseTemplate::new(403)).await;
    answer(&server, "GET", "/projects/5000/pipelines/8/bridges", ResponseTemplate::new(404)).await;
    let client = connect_mock(&server);
    let found: Vec<Job> =
        client.ci().unwrap().list_jobs(&repo(), &RunRef::new("7")).try_collect().await.unwrap();
    assert_eq!(found.len(), 1);
    assert!(found[0].is_allowed_to_fail);
    assert_eq!(found[0].log_bytes, Some(4711));
}
