//! Connecting, and everything that must not work.

use forge_core::{ErrorKind, ForgeKind};
use jiff::SignedDuration;
use rca_flow::{
    Caller, FlowError,
    connect::CallbackParameters,
    types::{
        AuthorizeRequest, IntegrationPatch, IntegrationView, MonitorOutcome, MonitorRequest, OperationItem,
        StartRequest, Started, TokenRequest,
    },
};
use secrecy::SecretString;
use serde_json::json;

use crate::stub::{PYTEST, World, contains, disk, finished};

fn start_request() -> StartRequest {
    serde_json::from_value(json!({
        "base_url": "https://stub.example", "client_id": "app", "client_secret": "app-secret",
    }))
    .unwrap()
}

async fn start(world: &World, browser: Option<&SecretString>) -> Started {
    world.flow.start_oauth(&world.caller, ForgeKind::GITHUB, start_request(), browser).await.unwrap()
}

async fn authorize(
    world: &World,
    caller: &Caller,
    forge: ForgeKind,
    state: &str,
) -> Result<IntegrationView, FlowError> {
    let request = AuthorizeRequest { state: state.to_owned().into(), code: "good-code".to_owned().into() };
    world.flow.authorize(caller, forge, request).await
}

#[tokio::test]
async fn oauth_connects_once_per_state() {
    let world = World::new().await;
    let started = start(&world, None).await;
    assert_eq!(started.state.len(), 64);
    assert_eq!(started.redirect_uri, "https://rca.example/base/v1/integrations/github/callback");
    assert!(started.authorize_url.contains("redirect_uri=https%3A%2F%2Frca.example%2Fbase%2F"));
    assert!(!contains(&disk(&world), &started.state), "only its hash is stored");
    let view = authorize(&world, &world.caller, ForgeKind::GITHUB, &started.state).await.unwrap();
    assert_eq!(view.auth, "oauth");
    assert_eq!(view.account["login"], "robot");
    assert!(view.health.can.comment && view.health.can.hook);
    let again = authorize(&world, &world.caller, ForgeKind::GITHUB, &started.state).await.unwrap_err();
    assert_eq!((again.code, again.kind.status()), ("invalid_state", 400));
    assert_eq!(world.stub.calls("exchange_code"), 1);
    for secret in ["app-secret", "access-0", "refresh-0"] {
        assert!(!contains(&disk(&world), secret));
    }
}

#[tokio::test]
async fn a_foreign_state_sends_nothing_anywhere() {
    let world = World::new().await;
    let stranger = Caller::new("other-workspace", "stranger");
    let cookie = SecretString::from("cookie".to_owned());
    let other_cookie = SecretString::from("another".to_owned());
    let state = |started: &Started| Some(SecretString::from(started.state.clone()));
    let code = Some(SecretString::from("good-code".to_owned()));
    let mut errors = vec![
        authorize(&world, &world.caller, ForgeKind::GITHUB, "made up").await,
        authorize(&world, &stranger, ForgeKind::GITHUB, &start(&world, None).await.state).await,
        authorize(&world, &world.caller, ForgeKind::GITLAB, &start(&world, None).await.state).await,
        // Begun by a browser, ended by somebody who only has the state.
        authorize(&world, &world.caller, ForgeKind::GITHUB, &start(&world, Some(&cookie)).await.state).await,
        world.flow.callback(ForgeKind::GITHUB, CallbackParameters::default(), None).await,
    ];
    for browser in [None, Some(&other_cookie)] {
        let started = start(&world, Some(&cookie)).await;
        let parameters =
            CallbackParameters { state: state(&started), code: code.clone(), ..Default::default() };
        errors.push(world.flow.callback(ForgeKind::GITHUB, parameters, browser).await);
    }
    let started = start(&world, None).await;
    let mixed_up = CallbackParameters {
        state: state(&started),
        code: code.clone(),
        iss: Some("https://evil.example".to_owned()),
        error: None,
    };
    errors.push(world.flow.callback(ForgeKind::GITHUB, mixed_up, None).await);
    for error in errors {
        assert_eq!(error.unwrap_err().code, "invalid_state");
    }
    assert_eq!(world.stub.calls("exchange_code"), 0);
    assert_eq!(world.other.calls("exchange_code"), 0);
}

#[tokio::test]
async fn the_browser_that_began_ends_it() {
    let world = World::new().await;
    let cookie = SecretString::from("cookie".to_owned());
    let started = start(&world, Some(&cookie)).await;
    let parameters = CallbackParameters {
        state: Some(started.state.into()),
        code: Some("good-code".to_owned().into()),
        iss: Some("https://stub.example/oauth".to_owned()),
        error: None,
    };
    world.flow.callback(ForgeKind::GITHUB, parameters, Some(&cookie)).await.unwrap();
}

#[tokio::test]
async fn a_refusal_of_the_forge_is_told_in_our_words() {
    let world = World::new().await;
    let started = start(&world, None).await;
    let parameters = CallbackParameters {
        state: Some(started.state.into()),
        error: Some("<script>alert(1)</script>".to_owned()),
        ..Default::default()
    };
    let error = world.flow.callback(ForgeKind::GITHUB, parameters, None).await.unwrap_err();
    assert_eq!(error.code, "authorization_denied");
    assert!(!format!("{error:?}").contains("script"));
}

#[tokio::test]
async fn bad_requests_have_their_codes() {
    let world = World::new().await;
    let cases = [
        (json!({ "token": "" }), "invalid_field"),
        (json!({ "token": "two words" }), "invalid_field"),
        (json!({ "token": "wrong" }), "token_rejected"),
        (json!({ "token": "good-token", "base_url": "http://stub.example" }), "address_not_allowed"),
        (json!({ "token": "good-token", "base_url": "ftp://stub.example" }), "invalid_field"),
        (json!({ "token": "good-token", "base_url": "https://u:p@stub.example" }), "invalid_field"),
        (json!({ "token": "good-token", "level": "galaxy" }), "invalid_field"),
        (json!({ "token": "good-token", "level": "repository" }), "invalid_field"),
        (json!({ "token": "good-token", "perimeter": { "mode": "projects" } }), "invalid_field"),
        (json!({ "token": "good-token", "backfill": { "runs": 5000 } }), "invalid_field"),
    ];
    for (request, code) in cases {
        let parsed: TokenRequest = serde_json::from_value(request.clone()).unwrap();
        let error = world.flow.connect_token(&world.caller, ForgeKind::GITHUB, parsed).await.unwrap_err();
        assert_eq!(error.code, code, "{request}");
        assert_eq!(error.kind.status(), 422, "{request}");
    }
    assert!(serde_json::from_value::<TokenRequest>(json!({ "token": "x", "tokn": 1 })).is_err());
    world.stub.fail("whoami", ErrorKind::Unreachable, 1);
    let request: TokenRequest = serde_json::from_value(json!({ "token": "good-token" })).unwrap();
    let error = world.flow.connect_token(&world.caller, ForgeKind::GITHUB, request).await.unwrap_err();
    assert_eq!((error.code, error.kind.status()), ("forge_unreachable", 502));
    let no_app = StartRequest::default();
    let error = world.flow.start_oauth(&world.caller, ForgeKind::GITHUB, no_app, None).await.unwrap_err();
    assert_eq!(error.code, "no_oauth_app");
    assert!(world.flow.list_integrations(&world.caller).await.unwrap().is_empty());
}

#[tokio::test]
async fn missing_scopes_connect_and_are_told() {
    let world = World::new().await;
    world.stub.lock().missing_scopes = vec!["api".to_owned()];
    let request: TokenRequest = serde_json::from_value(json!({ "token": "good-token" })).unwrap();
    let view = world.flow.connect_token(&world.caller, ForgeKind::GITHUB, request).await.unwrap();
    assert_eq!(serde_json::to_value(view.health.status).unwrap(), "degraded");
    assert_eq!(view.health.scopes.missing, ["api"]);
    assert!(view.health.can.read_logs && !view.health.can.comment && !view.health.can.hook);
    assert_eq!(view.health.problems[0].code, "scope_missing");
    assert!(!view.health.problems[0].remedy.is_empty());
}

#[tokio::test]
async fn an_expired_token_is_refreshed_once_for_all() {
    let world = World::new().await;
    world.stub.lock().token_life = Some(SignedDuration::from_secs(-60));
    let started = start(&world, None).await;
    let view = authorize(&world, &world.caller, ForgeKind::GITHUB, &started.state).await.unwrap();
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (flow, caller, id) = (world.flow.clone(), world.caller.clone(), view.id.clone());
        asking.spawn(async move { flow.check_integration(&caller, &id).await });
    }
    for answer in asking.join_all().await {
        assert_eq!(serde_json::to_value(answer.unwrap().health.credential).unwrap(), "valid");
    }
    assert_eq!(world.stub.lock().refreshes, 1);
    // Another replica has only the store, and finds the new pair there.
    let mut providers = rca_flow::Providers::new();
    providers.insert(ForgeKind::GITHUB, std::sync::Arc::new(world.stub.clone()));
    let replica = rca_flow::Flow::new(
        world.flow.config().clone(),
        world.flow.store().clone(),
        providers,
        Default::default(),
    );
    replica.check_integration(&world.caller, &view.id).await.unwrap();
    assert_eq!(world.stub.lock().refreshes, 1);
}

#[tokio::test]
async fn a_dead_grant_is_parked_and_connecting_again_repairs_it() {
    let world = World::new().await;
    world.stub.lock().token_life = Some(SignedDuration::from_secs(-60));
    let started = start(&world, None).await;
    let view = authorize(&world, &world.caller, ForgeKind::GITHUB, &started.state).await.unwrap();
    world.stub.lock().refresh_token = "somebody used it".to_owned();
    let view = world.flow.check_integration(&world.caller, &view.id).await.unwrap();
    assert_eq!(serde_json::to_value(view.health.credential).unwrap(), "rejected");
    assert_eq!(world.drain().await, 1, "the incident is told; what needs the forge waits");
    world.stub.lock().token_life = None;
    let started = start(&world, None).await;
    let again = authorize(&world, &world.caller, ForgeKind::GITHUB, &started.state).await.unwrap();
    assert_eq!(again.id, view.id, "no second integration with hooks of its own");
    assert_eq!(serde_json::to_value(again.health.credential).unwrap(), "valid");
    assert!(world.drain().await > 0);
}

#[tokio::test]
async fn disconnecting_removes_revokes_and_wipes() {
    let mut world = World::new().await;
    let started = start(&world, None).await;
    world.integration = authorize(&world, &world.caller, ForgeKind::GITHUB, &started.state).await.unwrap().id;
    world.drain().await;
    let add = vec![world.repository().await];
    let request = MonitorRequest { add, ..Default::default() };
    world.flow.monitor(&world.caller, &world.integration, request).await.unwrap();
    assert_eq!(world.stub.lock().hooks.len(), 1);
    let report = world.flow.disconnect(&world.caller, &world.integration, false).await.unwrap();
    assert!(report.revoked);
    assert_eq!(report.removed_hooks, 1);
    assert!(report.leftover_hooks.is_empty());
    assert!(world.stub.lock().hooks.is_empty());
    assert!(world.stub.lock().revoked);
    let error = world.flow.get_integration(&world.caller, &world.integration).await.unwrap_err();
    assert_eq!(error.code, "not_found");
}

#[tokio::test]
async fn what_cannot_be_removed_is_listed() {
    let world = World::connected().await;
    world.stub.fail("delete_hook", ErrorKind::Forbidden, 1);
    let (hook, secret) = world.hook();
    let report = world.flow.disconnect(&world.caller, &world.integration, false).await.unwrap();
    assert_eq!(report.removed_hooks, 0);
    assert_eq!(report.leftover_hooks[0].repository, "group/shop");
    assert!(report.leftover_hooks[0].url.ends_with(&hook));
    let body = serde_json::to_vec(&finished("10", true)).unwrap();
    let headers = crate::stub::signed(&body, &secret, None);
    assert!(world.flow.receive(ForgeKind::GITHUB, &hook, &headers, None, body.into()).await.is_err());
}

#[tokio::test]
async fn a_strangers_ids_are_not_found() {
    let world = World::connected().await;
    world.stub.add_failed_run("10", "aaa", &[("unit", PYTEST)], Some("42"));
    world.deliver("d1", &finished("10", true)).await;
    world.drain().await;
    let repository = world.repository().await;
    let analysis =
        world.flow.list_analyses(&world.caller, &Default::default()).await.unwrap().items.remove(0);
    let delivery =
        world.flow.list_deliveries(&world.caller, &Default::default()).await.unwrap().items.remove(0);
    let stranger = Caller::new("other-workspace", "stranger");
    let (flow, id) = (&world.flow, &world.integration);
    let codes = [
        flow.get_integration(&stranger, id).await.unwrap_err().code,
        flow.update_integration(&stranger, id, IntegrationPatch::default()).await.unwrap_err().code,
        flow.check_integration(&stranger, id).await.unwrap_err().code,
        flow.sync_integration(&stranger, id).await.unwrap_err().code,
        flow.disconnect(&stranger, id, true).await.unwrap_err().code,
        flow.list_repositories(&stranger, id, &Default::default()).await.unwrap_err().code,
        flow.monitor(&stranger, id, MonitorRequest::default()).await.unwrap_err().code,
        flow.rotate_webhook_secret(&stranger, &repository).await.unwrap_err().code,
        flow.get_analysis(&stranger, &analysis.id).await.unwrap_err().code,
        flow.get_delivery(&stranger, &delivery.id).await.unwrap_err().code,
        flow.replay_delivery(&stranger, &delivery.id).await.unwrap_err().code,
        flow.set_verdict(&stranger, &analysis.id, true, None).await.unwrap_err().code,
    ];
    assert_eq!(codes, ["not_found"; 12]);
    assert!(flow.list_analyses(&stranger, &Default::default()).await.unwrap().items.is_empty());
    assert!(flow.list_deliveries(&stranger, &Default::default()).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn the_perimeter_all_monitors_what_appears_and_drops_what_vanishes() {
    let world = World::connected().await;
    let patch: IntegrationPatch =
        serde_json::from_value(json!({ "perimeter": { "mode": "all" }, "feedback": { "status": false } }))
            .unwrap();
    let view = world.flow.update_integration(&world.caller, &world.integration, patch).await.unwrap();
    assert!(!view.feedback.status && view.feedback.pr_comment);
    world.stub.lock().repos.push(forge_core::model::Repo::new(
        "2",
        "group/new",
        "https://stub.example/group/new",
    ));
    world.flow.sync_integration(&world.caller, &world.integration).await.unwrap();
    world.drain().await;
    let list =
        world.flow.list_repositories(&world.caller, &world.integration, &Default::default()).await.unwrap();
    assert_eq!(list.items.len(), 2);
    assert!(list.items.iter().all(|repository| repository.monitored && repository.hook.state != "none"));
    assert_eq!(world.stub.lock().hooks.len(), 2);
    world.stub.lock().repos.remove(1);
    world.flow.sync_integration(&world.caller, &world.integration).await.unwrap();
    world.drain().await;
    let list =
        world.flow.list_repositories(&world.caller, &world.integration, &Default::default()).await.unwrap();
    assert_eq!(list.items.len(), 1);
}

#[tokio::test]
async fn monitoring_succeeds_and_fails_one_by_one() {
    let mut world = World::new().await;
    world.stub.lock().repos = (0..60)
        .map(|number| {
            forge_core::model::Repo::new(
                number.to_string(),
                format!("group/r{number:02}"),
                "https://stub.example/x",
            )
        })
        .collect();
    let request: TokenRequest = serde_json::from_value(json!({ "token": "good-token" })).unwrap();
    world.integration = world.flow.connect_token(&world.caller, ForgeKind::GITHUB, request).await.unwrap().id;
    world.drain().await;
    let list =
        world.flow.list_repositories(&world.caller, &world.integration, &Default::default()).await.unwrap();
    world.stub.fail("create_hook", ErrorKind::Forbidden, 1);
    let add = vec![list.items[0].id.clone(), list.items[1].id.clone(), "nonsense".to_owned()];
    let request = MonitorRequest { add, ..Default::default() };
    let outcome = world.flow.monitor(&world.caller, &world.integration, request).await.unwrap();
    let MonitorOutcome::Done(items) = outcome else { panic!("three are done at once") };
    let hooked: Vec<bool> = items.iter().map(|item| item.hook_registered).collect();
    assert!(hooked[0] != hooked[1] && !hooked[2], "one was refused, one was not: {hooked:?}");
    assert_eq!(items.iter().map(|item| item.monitored).collect::<Vec<_>>(), [true, true, false]);
    let list =
        world.flow.list_repositories(&world.caller, &world.integration, &Default::default()).await.unwrap();
    let refused = usize::from(hooked[0]);
    assert_eq!(list.items[refused].hook.state, "pending_manual");

    let request = MonitorRequest { all: true, ..Default::default() };
    let outcome = world.flow.monitor(&world.caller, &world.integration, request).await.unwrap();
    let MonitorOutcome::Accepted { operation_id } = outcome else { panic!("sixty go on") };
    world.drain().await;
    let operation = world.flow.get_operation(&world.caller, &operation_id).await.unwrap();
    assert_eq!((operation.state.as_str(), operation.done, operation.total), ("done", 60, 60));
    assert_eq!(world.stub.lock().hooks.len(), 60);
    let backfills: Vec<&String> = operation
        .items
        .iter()
        .filter_map(|item| match item {
            OperationItem::Monitor(item) => item.backfill_operation_id.as_ref(),
            OperationItem::Backfill(_) => None,
        })
        .collect();
    assert_eq!(backfills.len(), 58, "two were monitored before: {:?}", operation.items);
    let backfill = world.flow.get_operation(&world.caller, backfills[0]).await.unwrap();
    assert_eq!((backfill.kind.as_str(), backfill.state.as_str()), ("backfill", "done"));
    assert_eq!((backfill.done, backfill.total, backfill.items.len()), (58, 58, 58));
}

#[tokio::test]
async fn the_past_is_analysed_in_silence_and_the_poll_finds_what_no_hook_told() {
    let mut world = World::new().await;
    world.stub.add_failed_run("10", "aaa", &[("unit", PYTEST)], Some("42"));
    let request: TokenRequest =
        serde_json::from_value(json!({ "token": "good-token", "mode": "polling" })).unwrap();
    world.integration = world.flow.connect_token(&world.caller, ForgeKind::GITHUB, request).await.unwrap().id;
    world.drain().await;
    let add = vec![world.repository().await];
    world
        .flow
        .monitor(&world.caller, &world.integration, MonitorRequest { add, ..Default::default() })
        .await
        .unwrap();
    world.drain().await;
    let all = world.flow.list_analyses(&world.caller, &Default::default()).await.unwrap().items;
    assert_eq!((all.len(), all[0].source.as_str()), (1, "backfill"));
    assert!(world.stub.lock().comments.is_empty());
    assert!(world.stub.lock().hooks.is_empty(), "polling needs no hook");
}
