//! Opening: migrations, keys, unsafe settings, stalls.

use crate::support::{delivery, on_both_engines, task};
use rca_store::testing::Database;
use rca_store::{ErrorKind, KeyRing, Store};
use std::time::{Duration, Instant};

on_both_engines!(
    opening_again_changes_nothing,
    a_newer_schema_is_refused,
    an_edited_migration_is_refused,
    another_key_is_refused_and_nothing_is_written,
    a_stalled_database_answers_within_five_seconds,
    a_closed_store_says_so,
    replicas_start_together,
);

async fn opening_again_changes_nothing(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace().to_owned();
    store.ping().await.unwrap();
    store.close().await;
    let applied = database.texts("SELECT checksum FROM schema_migration").await;
    let store = database.store().await;
    assert_eq!(store.default_workspace(), workspace);
    assert_eq!(database.texts("SELECT checksum FROM schema_migration").await, applied);
    assert_eq!(database.texts("SELECT id FROM workspace").await, [workspace]);
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let now = u128::try_from(store.now().await.unwrap()).unwrap();
    assert!(now.abs_diff(clock) < 60_000, "the clock is in milliseconds");
}

async fn a_newer_schema_is_refused(database: &Database) {
    database.store().await.close().await;
    database
        .execute("INSERT INTO schema_migration (version, name, checksum, applied_at) VALUES (999, 'later', 'x', 1)")
        .await;
    let error = Store::open(database.url(), database.keys().clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SchemaTooNew);
}

async fn an_edited_migration_is_refused(database: &Database) {
    database.store().await.close().await;
    database.execute("UPDATE schema_migration SET checksum = 'other'").await;
    let error = Store::open(database.url(), database.keys().clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Database);
}

async fn another_key_is_refused_and_nothing_is_written(database: &Database) {
    let store = database.store().await;
    store.accept_delivery(delivery(&store, "1"), task(&store, "")).await.unwrap();
    store.close().await;
    let checks = "SELECT CAST(key_id AS TEXT) FROM key_check";
    let before = database.texts(checks).await;
    let same_number = KeyRing::generate();
    let other_numbers = same_number.with_new_primary().unwrap().only_primary();
    for keys in [same_number, other_numbers] {
        let error = Store::open(database.url(), keys).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WrongKey);
    }
    assert_eq!(database.texts(checks).await, before);
    database.store().await.ping().await.unwrap();
}

async fn a_stalled_database_answers_within_five_seconds(database: &Database) {
    use sqlx::Connection as _;
    let store = database.store().await;
    // Somebody else holds what a write needs.
    let mut holder = sqlx::AnyConnection::connect(database.url()).await.unwrap();
    let hold = match store.engine() {
        rca_store::Engine::Postgres => "BEGIN; LOCK TABLE delivery IN ACCESS EXCLUSIVE MODE",
        _ => "BEGIN IMMEDIATE",
    };
    sqlx::raw_sql(hold).execute(&mut holder).await.unwrap();
    let begun = Instant::now();
    let error = store.accept_delivery(delivery(&store, "1"), task(&store, "")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_transient());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
    // It recovers by itself, and the refused one was not half stored.
    let again = store.accept_delivery(delivery(&store, "1"), task(&store, "")).await.unwrap();
    assert!(matches!(again, rca_store::Accepted::New { .. }), "{again:?}");
    let counts = store.count_deliveries(store.default_workspace()).await.unwrap();
    assert_eq!((counts.received, counts.pending), (1, 1));
}

async fn a_closed_store_says_so(database: &Database) {
    let store = database.store().await;
    let (new, work) = (delivery(&store, "1"), task(&store, "1"));
    store.close().await;
    let error = store.accept_delivery(new, work.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(store.enqueue(work).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.ping().await.unwrap_err().kind(), ErrorKind::Unavailable);
    store.close().await;
}

async fn replicas_start_together(database: &Database) {
    let mut starts = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let (url, keys) = (database.url().to_owned(), database.keys().clone());
        starts.spawn(async move { Store::open(&url, keys).await.unwrap() });
    }
    let mut workspaces = std::collections::BTreeSet::new();
    while let Some(store) = starts.join_next().await {
        workspaces.insert(store.unwrap().default_workspace().to_owned());
    }
    assert_eq!(workspaces.len(), 1);
}

#[tokio::test]
async fn unsafe_postgres_settings_are_refused() {
    let Some(database) = Database::postgres().await else {
        return;
    };
    let name = database.url().rsplit('/').next().unwrap().to_owned();
    database.execute(&format!("ALTER DATABASE {name} SET synchronous_commit = off")).await;
    let error = Store::open(database.url(), database.keys().clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnsafeSettings);
    assert!(error.to_string().contains("synchronous_commit"));
}

#[tokio::test]
async fn addresses_that_cannot_work_are_refused() {
    for (url, kind) in [
        ("mysql://localhost/x", ErrorKind::Invalid),
        ("nonsense", ErrorKind::Invalid),
        // In memory nothing survives: WAL does not take there.
        ("sqlite::memory:", ErrorKind::UnsafeSettings),
        ("sqlite:///nonexistent-directory/x.db", ErrorKind::Unavailable),
        ("postgres://nobody@127.0.0.1:1/x", ErrorKind::Unavailable),
    ] {
        let error = Store::open(url, KeyRing::generate()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{url}: {error}");
    }
}
