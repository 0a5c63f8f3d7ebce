//! Settings of a workspace: log sources, their tokens, and who gets them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use forge_core::{Error, ErrorKind, ForgeKind, Provider};
use rca_flow::{
    Caller, Flow, FlowConfig,
    settings::{LogSource, LogSourceAdapter},
    types::{SettingsChange, TokenRequest},
};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::stub::{Stub, World, contains, disk};

/// Remembers which sources each client was made with.
#[derive(Debug)]
struct Recorder {
    stub: Stub,
    made: Arc<Mutex<Vec<Vec<String>>>>,
}

impl LogSourceAdapter for Recorder {
    fn forge(&self) -> ForgeKind {
        ForgeKind::GITHUB
    }
    fn check(&self, source: &LogSource) -> forge_core::Result<()> {
        if source.base_url.scheme() == "https" {
            return Ok(());
        }
        Err(Error::new(ErrorKind::AddressRefused, "plain http is not allowed"))
    }
    fn provider(&self, sources: &[LogSource]) -> forge_core::Result<Arc<dyn Provider>> {
        let tokens = sources.iter().map(|source| source.token.expose_secret().to_owned()).collect();
        self.made.lock().unwrap().push(tokens);
        Ok(Arc::new(self.stub.clone()))
    }
}

type Made = Arc<Mutex<Vec<Vec<String>>>>;

/// A second replica over the store of `world`, which knows log sources.
fn replica(world: &World) -> (Flow, Made) {
    let made = Made::default();
    let mut config = FlowConfig::new("https://rca.example/base".parse().unwrap());
    config.log_sources = Some(Arc::new(Recorder { stub: world.stub.clone(), made: Arc::clone(&made) }));
    let flow = Flow::new(config, world.flow.store().clone(), world.flow.providers().clone(), BTreeMap::new());
    (flow, made)
}

fn sources(list: serde_json::Value) -> SettingsChange {
    serde_json::from_value(json!({ "log_sources": list })).unwrap()
}

async fn connect(flow: &Flow, caller: &Caller) -> String {
    let request: TokenRequest = serde_json::from_value(json!({
        "base_url": "https://stub.example", "token": "good-token", "mode": "webhook",
    }))
    .unwrap();
    flow.connect_token(caller, ForgeKind::GITHUB, request).await.unwrap().id
}

#[tokio::test]
async fn every_replica_uses_the_present_sources_and_no_other_workspace_does() {
    let world = World::new().await;
    let (one, made_by_one) = replica(&world);
    let (two, made_by_two) = replica(&world);
    let other = Caller::new(world.flow.store().create_workspace("other").await.unwrap(), "stranger");
    let (mine, theirs) = (connect(&one, &world.caller).await, connect(&one, &other).await);
    let source = |token: &str| {
        sources(json!([{ "kind": "jenkins", "base_url": "https://ci.example/job/a/", "token": token }]))
    };
    two.change_settings(&world.caller, source("first-token")).await.unwrap();
    one.check_integration(&world.caller, &mine).await.unwrap();
    one.check_integration(&other, &theirs).await.unwrap();
    assert_eq!(*made_by_one.lock().unwrap(), [vec!["first-token".to_owned()], Vec::new()]);
    one.change_settings(&world.caller, source("second-token")).await.unwrap();
    two.check_integration(&world.caller, &mine).await.unwrap();
    one.check_integration(&world.caller, &mine).await.unwrap();
    one.check_integration(&world.caller, &mine).await.unwrap();
    assert_eq!(*made_by_two.lock().unwrap(), [vec!["second-token".to_owned()]]);
    assert_eq!(made_by_one.lock().unwrap().len(), 3, "one more, and then it is kept");
    assert!(one.get_settings(&other).await.unwrap().log_sources.is_empty());
    assert!(!contains(&disk(&world), "second-token"));
}

#[tokio::test]
async fn tokens_are_kept_for_their_place_and_shown_as_fingerprints() {
    let world = World::new().await;
    let (flow, _) = replica(&world);
    let caller = &world.caller;
    let entry =
        |token: Option<&str>, url: &str| json!({ "kind": "teamcity", "base_url": url, "token": token });
    let place = "https://tc.example";
    let first = flow.change_settings(caller, sources(json!([entry(Some("a-token"), place)]))).await.unwrap();
    let fingerprint = first.log_sources[0].fingerprint.clone();
    assert_eq!(fingerprint.len(), 12);
    let kept = flow.change_settings(caller, sources(json!([entry(None, place)]))).await.unwrap();
    assert_eq!(kept, first);
    let same = flow.change_settings(caller, sources(json!([entry(Some("a-token"), place)]))).await.unwrap();
    assert_eq!(same, first);
    let new = flow.change_settings(caller, sources(json!([entry(Some("b-token"), place)]))).await.unwrap();
    assert_ne!(new.log_sources[0].fingerprint, fingerprint);
    for (list, code) in [
        (json!([entry(None, "https://elsewhere.example")]), "invalid_field"),
        (json!([entry(Some("t"), "http://tc.example")]), "address_not_allowed"),
        (json!([entry(Some("t"), "https://user@tc.example")]), "invalid_field"),
        (json!([entry(Some("t"), place), entry(Some("t"), "https://tc.example/")]), "invalid_field"),
    ] {
        let error = flow.change_settings(caller, sources(list.clone())).await.unwrap_err();
        assert_eq!(error.code, code, "{list}");
    }
    assert_eq!(flow.get_settings(caller).await.unwrap(), new, "what was refused has changed nothing");
    let change: SettingsChange = serde_json::from_value(json!({ "feedback": { "issue": true } })).unwrap();
    let changed = flow.change_settings(caller, change).await.unwrap();
    assert_eq!((changed.feedback.issue, &changed.log_sources), (Some(true), &new.log_sources));
    flow.change_settings(caller, sources(json!([]))).await.unwrap();
    assert!(flow.get_settings(caller).await.unwrap().log_sources.is_empty());
}
