//! Connecting as an app: made from a manifest, installed, given with its key; what changes at the forge is followed.

use forge_core::{
    ErrorKind, ForgeKind,
    model::{Event, EventKind},
};
use rca_flow::{
    FlowError,
    app::{AppCreatedParameters, AppInstalledParameters},
    types::{
        AppRequest, AppStartRequest, AppStarted, Credential, DeliveryAnswer, HealthStatus, IntegrationView,
        MonitorOutcome, MonitorRequest,
    },
};
use secrecy::SecretString;
use serde_json::json;

use crate::stub::{PRIVATE_KEY, PYTEST, World, contains, disk, finished, signed};

const HOOK_SECRET: &str = "secret-of-the-app";

async fn start(world: &World) -> AppStarted {
    let request: AppStartRequest = serde_json::from_value(json!({
        "base_url": "https://stub.example", "organization": "group", "mode": "webhook",
        "backfill": { "enabled": false },
    }))
    .unwrap();
    world.flow.start_app(&world.caller, ForgeKind::GITHUB, request, None).await.unwrap()
}

async fn created(world: &World, state: &str, code: &str) -> Result<String, FlowError> {
    let parameters = AppCreatedParameters {
        state: Some(SecretString::from(state.to_owned())),
        code: Some(SecretString::from(code.to_owned())),
    };
    let install = world.flow.app_created(ForgeKind::GITHUB, parameters, None).await?;
    Ok(install.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned())
}

async fn installed(world: &World, state: &str, installation: &str) -> Result<IntegrationView, FlowError> {
    let parameters = AppInstalledParameters {
        state: Some(SecretString::from(state.to_owned())),
        installation_id: Some(installation.to_owned()),
        setup_action: Some("install".to_owned()),
    };
    world.flow.app_installed(ForgeKind::GITHUB, parameters, None).await
}

/// An app that was made and installed, and the address of its hook.
async fn connected() -> (World, String) {
    let mut world = World::new().await;
    let started = start(&world).await;
    let hook = started.manifest["hook"].as_str().unwrap().to_owned();
    let state = created(&world, &started.state, "good-code").await.unwrap();
    let view = installed(&world, &state, "5001").await.unwrap();
    assert_eq!((view.auth.as_str(), view.webhook_url.as_deref()), ("app", Some(hook.as_str())));
    world.integration = view.id;
    world.drain().await;
    (world, hook)
}

async fn send(world: &World, hook: &str, id: &str, event: &Event) -> DeliveryAnswer {
    let body = serde_json::to_vec(event).unwrap();
    let headers = signed(&body, HOOK_SECRET, Some(id));
    let hook = hook.rsplit('/').next().unwrap();
    world.flow.receive(ForgeKind::GITHUB, hook, &headers, None, body.into()).await.unwrap()
}

fn changed(action: &str) -> Event {
    let mut event = Event::new(ForgeKind::GITHUB, EventKind::Other);
    event.action = Some(action.to_owned());
    event
}

#[tokio::test]
async fn from_the_manifest_to_the_comment() {
    let (world, hook) = connected().await;
    let repository = world.repository().await;
    let request = MonitorRequest { add: vec![repository], ..MonitorRequest::default() };
    let outcome = world.flow.monitor(&world.caller, &world.integration, request).await.unwrap();
    let MonitorOutcome::Done(items) = outcome else { panic!("one repository is done at once") };
    assert!(items[0].hook_registered, "{items:?}");
    assert_eq!(world.stub.calls("create_hook"), 0, "the app has the one hook");
    world.stub.add_failed_run("10", "aaa", &[("unit", PYTEST)], Some("42"));
    assert_eq!(send(&world, &hook, "d1", &finished("10", true)).await.status, "accepted");
    world.drain().await;
    assert_eq!(world.stub.lock().comments.len(), 1);
    let disk = disk(&world);
    for secret in [PRIVATE_KEY, HOOK_SECRET] {
        assert!(!contains(&disk, secret), "{secret} lies open");
    }
    let report = world.flow.disconnect(&world.caller, &world.integration, false).await.unwrap();
    assert!(report.leftover_hooks[0].reason.contains("app"), "{report:?}");
}

#[tokio::test]
async fn states_work_once_and_each_for_its_step() {
    let world = World::new().await;
    let started = start(&world).await;
    assert_eq!(installed(&world, &started.state, "5001").await.unwrap_err().code, "invalid_state");
    let started = start(&world).await;
    assert_eq!(created(&world, &started.state, "bad-code").await.unwrap_err().code, "grant_rejected");
    assert_eq!(created(&world, &started.state, "good-code").await.unwrap_err().code, "invalid_state");
    let started = start(&world).await;
    let state = created(&world, &started.state, "good-code").await.unwrap();
    assert_eq!(installed(&world, &state, "../5001").await.unwrap_err().code, "invalid_field");
    installed(&world, &state, "5001").await.unwrap();
    assert_eq!(installed(&world, &state, "5001").await.unwrap_err().code, "invalid_state");
    let none = AppCreatedParameters::default();
    let error = world.flow.app_created(ForgeKind::GITHUB, none, None).await.unwrap_err();
    assert_eq!(error.code, "invalid_state");
    let error = world
        .flow
        .start_app(&world.caller, ForgeKind::GITLAB, AppStartRequest::default(), None)
        .await
        .unwrap_err();
    assert_eq!(error.code, "app_unsupported");
}

fn request(private_key: &str, installation: u64, secret: &str) -> AppRequest {
    serde_json::from_value(json!({
        "base_url": "https://stub.example", "app_id": 77, "private_key": private_key,
        "installation_id": installation, "webhook_secret": secret, "mode": "webhook",
    }))
    .unwrap()
}

#[tokio::test]
async fn an_app_that_exists_is_connected_with_its_key() {
    let world = World::new().await;
    let connect = async |request| world.flow.connect_app(&world.caller, ForgeKind::GITHUB, request).await;
    assert_eq!(connect(request("no key", 5001, HOOK_SECRET)).await.unwrap_err().code, "invalid_field");
    assert_eq!(connect(request(PRIVATE_KEY, 5001, " ")).await.unwrap_err().code, "invalid_field");
    let first = connect(request(PRIVATE_KEY, 5001, HOOK_SECRET)).await.unwrap();
    let hook = first.webhook_url.clone().unwrap();
    let problem = &first.health.problems[0];
    assert_eq!(problem.code, "hook_pending");
    assert!(problem.remedy.contains(&hook), "{problem:?}");
    // The same installation again is the same integration; another one shares the app's hook.
    assert_eq!(connect(request(PRIVATE_KEY, 5001, HOOK_SECRET)).await.unwrap().id, first.id);
    let second = connect(request(PRIVATE_KEY, 5002, HOOK_SECRET)).await.unwrap();
    assert_ne!(second.id, first.id);
    assert_eq!(second.webhook_url.as_ref(), Some(&hook));
    // The one that brought the hook leaves; the other goes on with it.
    let report = world.flow.disconnect(&world.caller, &first.id, false).await.unwrap();
    assert!(report.leftover_hooks.is_empty(), "{report:?}");
    assert_eq!(
        send(&world, &hook, "p", &Event::new(ForgeKind::GITHUB, EventKind::Ping)).await.status,
        "ignored"
    );
    let left = world.flow.get_integration(&world.caller, &second.id).await.unwrap();
    assert!(left.health.problems.is_empty(), "a delivery has come: {:?}", left.health);
}

#[tokio::test]
async fn an_installation_that_ends_and_comes_back_is_followed() {
    let (world, hook) = connected().await;
    world.stub.fail("whoami", ErrorKind::NotFound, 1);
    assert_eq!(send(&world, &hook, "i1", &changed("suspend")).await.status, "accepted");
    world.drain().await;
    let view = world.flow.get_integration(&world.caller, &world.integration).await.unwrap();
    assert_eq!((view.health.status, view.health.credential), (HealthStatus::Broken, Credential::Rejected));
    assert!(
        view.health.problems.iter().any(|found| found.message.contains("suspended")),
        "{:?}",
        view.health
    );
    assert_eq!(send(&world, &hook, "i2", &changed("unsuspend")).await.status, "accepted");
    world.drain().await;
    let view = world.flow.get_integration(&world.caller, &world.integration).await.unwrap();
    assert_eq!(view.health.status, HealthStatus::Healthy, "{:?}", view.health);
}

#[tokio::test]
async fn repositories_that_are_added_at_the_forge_are_found() {
    let (world, hook) = connected().await;
    let repo = forge_core::model::Repo::new("2", "group/till", "https://stub.example/group/till");
    world.stub.lock().repos.push(repo);
    assert_eq!(send(&world, &hook, "i1", &changed("added")).await.status, "accepted");
    world.drain().await;
    let list =
        world.flow.list_repositories(&world.caller, &world.integration, &Default::default()).await.unwrap();
    assert_eq!(list.items.len(), 2);
}
