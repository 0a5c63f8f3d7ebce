//! Sessions and the links that begin them: they end with time, with use, and with their holder.

use crate::support::on_both_engines;
use rca_store::testing::Database;
use rca_store::{
    ErrorKind, NewApiToken, PageRequest, SESSION_IDLE_MS, SESSION_LIFE_MS, SIGN_IN_LINK_LIFE_MS, SignedIn,
    Store,
};

on_both_engines!(
    a_session_ends_when_idle_and_when_old,
    a_session_ends_with_its_holder,
    a_link_signs_in_once,
    a_link_ends_with_time_and_with_a_newer_one,
);

async fn token(store: &Store) -> String {
    let token = NewApiToken {
        workspace: store.default_workspace().to_owned(),
        name: "ci".to_owned(),
        scopes: vec!["read".to_owned()],
        role: None,
        expires_at: None,
        token_hash: "hash of a token".to_owned(),
        prefix: "frca_1234".to_owned(),
    };
    store.create_api_token(token).await.unwrap().id
}

/// As if so much time had gone by since anything was written.
async fn pass(database: &Database, milliseconds: i64) {
    for (table, column) in [
        ("session", "seen_at"),
        ("session", "ends_at"),
        ("session", "created_at"),
        ("sign_in_link", "ends_at"),
    ] {
        database.execute(&format!("UPDATE {table} SET {column} = {column} - {milliseconds}")).await;
    }
}

async fn a_session_ends_when_idle_and_when_old(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace().to_owned();
    let holder = SignedIn::Token(token(&store).await);
    store.open_session("idle", &workspace, &holder).await.unwrap();
    pass(database, SESSION_IDLE_MS - 60_000).await;
    assert!(store.find_session("idle").await.unwrap().is_some(), "just in time; it counts from now again");
    pass(database, SESSION_IDLE_MS - 60_000).await;
    assert!(store.find_session("idle").await.unwrap().is_some());
    pass(database, SESSION_IDLE_MS + 60_000).await;
    assert!(store.find_session("idle").await.unwrap().is_none(), "not seen for too long");

    store.open_session("old", &workspace, &holder).await.unwrap();
    let mut age = 0;
    while age < SESSION_LIFE_MS {
        assert!(store.find_session("old").await.unwrap().is_some(), "used all the time, {age} ms old");
        pass(database, SESSION_IDLE_MS / 2).await;
        age += SESSION_IDLE_MS / 2;
    }
    assert!(store.find_session("old").await.unwrap().is_none(), "everybody signs in again at last");
    // Those that ended are removed when the next one begins.
    store.open_session("new", &workspace, &holder).await.unwrap();
    assert!(!database.texts("SELECT id_hash FROM session").await.contains(&"old".to_owned()));
}

async fn a_session_ends_with_its_holder(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace().to_owned();
    let id = token(&store).await;
    store.open_session("of a token", &workspace, &SignedIn::Token(id.clone())).await.unwrap();
    store.revoke_api_token(&workspace, &id).await.unwrap();
    assert!(store.find_session("of a token").await.unwrap().is_none());

    store.add_member(&workspace, "eve@example.com", "owner", "test").await.unwrap();
    let member = store.add_member(&workspace, "ann@example.com", "viewer", "test").await.unwrap();
    store.open_session("of a member", &workspace, &SignedIn::Member(member.id.clone())).await.unwrap();
    let session = store.find_session("of a member").await.unwrap().unwrap();
    assert_eq!((session.role.as_deref(), session.name.as_str()), (Some("viewer"), "ann@example.com"));
    store.change_member(&workspace, &member.id, Some("admin"), "test").await.unwrap();
    let session = store.find_session("of a member").await.unwrap().unwrap();
    assert_eq!(session.role.as_deref(), Some("admin"), "a new role counts at once");
    store.change_member(&workspace, &member.id, None, "test").await.unwrap();
    assert!(store.find_session("of a member").await.unwrap().is_none());
    store.close_session("of a member").await.unwrap();
}

async fn a_link_signs_in_once(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace().to_owned();
    let error = store.make_sign_in_link(&workspace, "nobody", "hash", "test").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let member = store.add_member(&workspace, "ann@example.com", "viewer", "test").await.unwrap();
    store.make_sign_in_link(&workspace, &member.id, "hash", "token:1").await.unwrap();
    assert!(store.is_sign_in_link("hash").await.unwrap());
    assert!(store.is_sign_in_link("hash").await.unwrap(), "looking uses nothing up");
    let tries: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.use_sign_in_link("hash").await.unwrap() })
        })
        .collect();
    let mut entered = 0;
    for attempt in tries {
        if let Some((of, who)) = attempt.await.unwrap() {
            assert_eq!((of.as_str(), who.id.as_str()), (workspace.as_str(), member.id.as_str()));
            entered += 1;
        }
    }
    assert_eq!(entered, 1, "of those who come at once one gets in");
    assert!(!store.is_sign_in_link("hash").await.unwrap());
    let page = PageRequest { limit: 10, cursor: None };
    let audit = store.list_audit(&workspace, &page).await.unwrap().items;
    let actions: Vec<&str> = audit.iter().rev().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["member.add", "member.sign_in_link", "member.sign_in"]);
}

async fn a_link_ends_with_time_and_with_a_newer_one(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace().to_owned();
    let member = store.add_member(&workspace, "ann@example.com", "viewer", "test").await.unwrap();
    store.make_sign_in_link(&workspace, &member.id, "first", "test").await.unwrap();
    store.make_sign_in_link(&workspace, &member.id, "second", "test").await.unwrap();
    assert!(!store.is_sign_in_link("first").await.unwrap(), "a newer one takes its place");
    pass(database, SIGN_IN_LINK_LIFE_MS + 1_000).await;
    assert!(!store.is_sign_in_link("second").await.unwrap());
    assert!(store.use_sign_in_link("second").await.unwrap().is_none());

    store.make_sign_in_link(&workspace, &member.id, "third", "test").await.unwrap();
    store.add_member(&workspace, "eve@example.com", "owner", "test").await.unwrap();
    store.change_member(&workspace, &member.id, None, "test").await.unwrap();
    assert!(store.use_sign_in_link("third").await.unwrap().is_none(), "a removed member does not come back");
}
