//! Hooks of groups, past deliveries, and what a token is.

use forge_core::{
    ErrorKind, ForgeClientExt as _,
    model::{Conclusion, RepoRef, RunRef},
};
use forge_testkit::{FakeGitLab, FakeOptions, HookSetup, JobSpec, Receiver, RunSpec, TokenKind, TokenSpec};
use futures_util::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path},
};

use crate::support::{connect, connect_mock, hook_spec};

#[tokio::test]
async fn group_hooks_that_are_not_to_be_had_name_the_way_out() {
    // The free edition does not know the path at all.
    let fake = FakeGitLab::start_with(&FakeOptions::new().with_version("19.2.0")).await;
    let client = connect(&fake.instance(), fake.token());
    let group = fake.namespace("shop");
    let hooks = client.namespace_hooks().unwrap();
    let error = hooks.create_hook(&group, &hook_spec()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.hint().unwrap().contains("Premium"), "{error}");
    let error = hooks.list_hooks(&group).try_collect::<Vec<_>>().await.unwrap_err();
    assert!(error.hint().unwrap().contains("Premium"), "{error}");

    let server = MockServer::start().await;
    Mock::given(path("/api/v4/groups/shop%2Fpos/hooks"))
        .respond_with(ResponseTemplate::new(403).set_body_json(json!({ "message": "403 Forbidden" })))
        .expect(1)
        .mount(&server)
        .await;
    let client = connect_mock(&server);
    let group = RepoRef::new("", "shop/pos");
    let error = client.namespace_hooks().unwrap().create_hook(&group, &hook_spec()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.hint().unwrap().contains("Owner"), "{error}");
    assert_eq!(error.operation(), Some("create a hook at shop/pos"));
}

#[tokio::test]
async fn a_hook_that_gitlab_switched_off_says_so() {
    let fake = FakeGitLab::start().await;
    fake.set_hook_auto_disable(true);
    let client = connect(&fake.instance(), fake.token());
    let repo = fake.add_repo("a/b");
    let receiver = Receiver::start().await;
    receiver.set_status(500);
    let id = fake.hook_id(fake.add_hook(&repo, &HookSetup::new(receiver.url().as_str())));
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("unit", "x")]));
    let listed = async || {
        let hooks = client.require_hooks().unwrap();
        hooks.list_hooks(&repo.repo_ref()).try_collect::<Vec<_>>().await.unwrap().remove(0)
    };
    assert!(!listed().await.health.is_disabled);
    for _ in 0..2 {
        fake.deliver(&run).await;
    }
    let paused = listed().await;
    assert!(
        paused.health.is_disabled && paused.is_active && paused.health.disabled_until.is_some(),
        "{paused:?}"
    );
    assert!(paused.health.last_failure.is_some());
    for _ in 0..45 {
        fake.advance_clock(std::time::Duration::from_secs(86_401));
        fake.deliver(&run).await;
    }
    let off = listed().await;
    assert!(off.health.is_disabled && !off.is_active, "{off:?}");
    // A test that is answered revives a pause; what is off for good is made anew.
    receiver.set_status(204);
    let ensured = client.ensure_hook(&repo.repo_ref(), &hook_spec(), Some(&id)).await.unwrap();
    assert!(ensured.hook.is_active);
}

#[tokio::test]
async fn an_old_version_says_which_one_has_past_deliveries() {
    for (version, can_list) in [("17.2.1-ee", false), ("17.3.0-ee", true)] {
        let fake = FakeGitLab::start_with(&FakeOptions::new().with_version(version)).await;
        let client = connect(&fake.instance(), fake.token());
        let repo = fake.add_repo("a/b");
        let id = fake.hook_id(fake.add_hook(&repo, &HookSetup::new("http://127.0.0.1:9/hook")));
        let hooks = client.require_hooks().unwrap();
        let listed = hooks.list_deliveries(&repo.repo_ref(), &id, Timestamp::UNIX_EPOCH).await;
        match listed {
            Ok(_) => assert!(can_list, "{version}"),
            Err(error) => {
                assert_eq!((error.kind(), can_list), (ErrorKind::Unsupported, false));
                let text = error.to_string();
                assert!(text.contains("17.3") && text.contains(version) && error.hint().is_some(), "{text}");
            }
        }
        let error = hooks.redeliver(&repo.repo_ref(), &id, "1").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("17.4"), "{error}");
    }
    // A hook that is gone is just that.
    let fake = FakeGitLab::start().await;
    let client = connect(&fake.instance(), fake.token());
    let repo = fake.add_repo("a/b");
    let hooks = client.require_hooks().unwrap();
    let error = hooks.list_deliveries(&repo.repo_ref(), "7", Timestamp::UNIX_EPOCH).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn past_deliveries_are_read_in_all_their_shapes() {
    let server = MockServer::start().await;
    let date = |text: &str| json!({ "Date": text });
    let events = json!([
        { "id": 9, "url": "https://rca.example", "trigger": "pipeline_hooks", "response_status": "internal error",
          "request_headers": { "Idempotency-Key": "k9", "X-Gitlab-Token": "[REDACTED]" }, "response_headers": {},
          "request_data": { "object_kind": "pipeline" } },
        { "id": 8, "trigger": "job_hooks", "response_status": "503", "request_headers": { "idempotency-key": "k8" },
          "response_headers": date("Sun, 26 May 2024 03:03:17 GMT") },
        { "id": 7, "trigger": "job_hooks", "response_status": 200,
          "request_headers": { "webhook-id": "k7", "webhook-timestamp": "1716692400" } },
        { "id": 6, "trigger": "job_hooks", "response_status": null, "created_at": "2024-05-26T02:00:00.000Z" },
        { "id": 5, "trigger": "job_hooks", "response_headers": date("not a date") },
        { "id": 4, "trigger": "job_hooks", "response_headers": date("Sun, 26 May 2024 01:00:00 GMT") },
    ]);
    Mock::given(method("GET"))
        .and(path("/api/v4/projects/1042/hooks/3/events"))
        .respond_with(ResponseTemplate::new(200).set_body_json(events))
        .mount(&server)
        .await;
    let client = connect_mock(&server);
    let hooks = client.require_hooks().unwrap();
    let repo = RepoRef::new("1042", "shop/pos/till");
    let since = "2024-05-26T01:30:00Z".parse().unwrap();
    let found = hooks.list_deliveries(&repo, "3", since).await.unwrap();
    let told: Vec<_> =
        found.iter().map(|it| (it.id.as_str(), it.event_id.as_deref(), it.status, it.sent_at)).collect();
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    assert_eq!(
        told[1..],
        [
            ("8", Some("k8"), Some(503), at("2024-05-26T03:03:17Z")),
            ("7", Some("k7"), Some(200), at("2024-05-26T03:00:00Z")),
            ("6", None, None, at("2024-05-26T02:00:00Z")),
            ("5", None, None, at("2024-05-26T02:00:00Z")),
        ]
    );
    assert_eq!((told[0].0, told[0].1, told[0].2), ("9", Some("k9"), None));
    assert!(Timestamp::now().duration_since(told[0].3).abs() < SignedDuration::from_mins(5));
    assert_eq!(found[0].event, "pipeline_hooks");
}

#[tokio::test]
async fn every_kind_of_token_is_named() {
    let fake = FakeGitLab::start().await;
    let expires = "2027-01-31T00:00:00Z".parse().unwrap();
    for (login, kind, name) in [
        ("robin", TokenKind::Personal, "personal access token"),
        ("project_42_bot_0f3a", TokenKind::FineGrained, "project access token"),
        ("project_42_bot", TokenKind::FineGrained, "project access token"),
        ("group_7_bot_0f3a", TokenKind::FineGrained, "group access token"),
        ("project_manager_bot", TokenKind::Personal, "personal access token"),
    ] {
        let spec = TokenSpec::new(kind, &["read_api"]).with_login(login).with_expires_at(expires);
        let identity = connect(&fake.instance(), fake.add_token(&spec)).whoami().await.unwrap();
        assert_eq!(identity.token_kind.as_deref(), Some(name), "{login}");
        assert_eq!((identity.account.login.as_str(), identity.expires_at), (login, Some(expires)));
        assert_eq!(identity.missing_scopes, ["api"], "it connects, and says what it lacks");
    }
}

#[tokio::test]
async fn a_polled_child_pipeline_knows_its_root() {
    let fake = FakeGitLab::start().await;
    let client = connect(&fake.instance(), fake.token());
    let repo = fake.add_repo("a/b");
    let failed = || RunSpec::new(vec![JobSpec::failed("unit", "x")]);
    let _other = fake.add_run(&repo, &failed().with_child(failed()));
    let run = fake.add_run(&repo, &failed().with_child(failed().with_child(failed())));
    let ci = client.ci().unwrap();
    for child in &run.children {
        let found = ci.get_run(&repo.repo_ref(), &RunRef::new(child.to_string())).await.unwrap();
        assert_eq!(found.root_id.as_deref(), Some(run.forge_id.as_str()));
    }
    let root = ci.get_run(&repo.repo_ref(), &run.run_ref()).await.unwrap();
    assert_eq!((root.root_id, root.conclusion), (None, Some(Conclusion::Failure)));
    fake.forget_requests();
    let since = fake.now() - SignedDuration::from_mins(5);
    let list = async || ci.list_failed_runs(&repo.repo_ref(), since).try_collect::<Vec<_>>().await.unwrap();
    let runs = list().await;
    let children: Vec<_> = runs.iter().filter(|found| found.root_id.is_some()).collect();
    assert_eq!((runs.len(), children.len()), (5, 3));
    // What started a pipeline never changes, so it is found out once.
    fake.forget_requests();
    list().await;
    assert_eq!(fake.requests().len(), 2);
    assert!(fake.unknown_requests().is_empty());
}
