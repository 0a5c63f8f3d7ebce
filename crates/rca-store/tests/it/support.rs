//! Fixtures, and the macro that runs a test on both engines.

use bytes::Bytes;
use rca_store::{NewDelivery, NewIntegration, NewTask, Store};
use secrecy::SecretString;
use serde_json::json;

/// Emits each named `async fn(&Database)` as a test on SQLite and on PostgreSQL.
macro_rules! on_both_engines {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name(&rca_store::testing::Database::sqlite()).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                if let Some(database) = rca_store::testing::Database::postgres().await {
                    super::$name(&database).await;
                }
            })*
        }
    };
}
pub(crate) use on_both_engines;

pub(crate) fn delivery(store: &Store, key: &str) -> NewDelivery {
    NewDelivery {
        workspace: store.default_workspace().to_owned(),
        integration: "integration-1".to_owned(),
        hook: "hook-1".to_owned(),
        forge: "gitlab".to_owned(),
        delivery_key: key.to_owned(),
        event: "pipeline".to_owned(),
        action: None,
        repository: Some("group/project".to_owned()),
        headers: vec![("x-gitlab-event".to_owned(), "Pipeline Hook".to_owned())],
        body: Bytes::from_static(b"{\"object_kind\": \"pipeline\"}"),
        received_at: 1_760_000_000_000,
    }
}

pub(crate) fn task(store: &Store, key: &str) -> NewTask {
    NewTask::new(store.default_workspace(), "work", key, json!({ "key": key }))
}

pub(crate) fn new_integration(store: &Store) -> NewIntegration {
    NewIntegration {
        workspace: store.default_workspace().to_owned(),
        forge: "gitlab".to_owned(),
        base_url: "https://gitlab.example.com".to_owned(),
        api_base_url: None,
        oauth_base_url: None,
        auth: "oauth".to_owned(),
        account: json!({ "name": "robot" }),
        mode: "hybrid".to_owned(),
        perimeter: json!({ "mode": "selected" }),
        feedback: json!({ "pr_comment": true }),
        backfill: json!({ "enabled": true, "runs": 20 }),
        data: json!({}),
        health: json!({ "status": "healthy" }),
    }
}

pub(crate) async fn integration(store: &Store) -> String {
    store
        .insert_integration(new_integration(store), &[("access_token", SecretString::from("token-1"))])
        .await
        .unwrap()
        .id
}
