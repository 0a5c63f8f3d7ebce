//! Secrets at rest, their keys, and the two things that must happen once: an OAuth state and a refresh.

use crate::support::{delivery, integration, new_integration, on_both_engines, task};
use rca_store::testing::Database;
use rca_store::{ErrorKind, Hook, KeyRing, NewHook, OauthState, SecretOwner, Store};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

on_both_engines!(
    a_canary_is_nowhere_in_the_database,
    swapped_ciphertext_does_not_open,
    rotation_keeps_everything_readable,
    removal_wipes_ciphertext,
    an_oauth_state_is_taken_once,
    one_of_many_refreshes,
    a_late_refresh_is_fenced,
    hooks_open_with_both_secrets_while_rotating,
);

const CANARY: &str = "glpat-CANARY-9b1c7f";

fn exposed(secret: &SecretString) -> &str {
    secret.expose_secret()
}

async fn hook(store: &Store, integration: &str, id: &str, secret: &str) -> Hook {
    store
        .insert_hook(NewHook {
            id: id.to_owned(),
            workspace: store.default_workspace().to_owned(),
            integration: integration.to_owned(),
            repository: None,
            forge: "gitlab".to_owned(),
            state: "registered".to_owned(),
            secret: SecretString::from(secret),
            token_hash: Some(format!("hash of {id}")),
            data: json!({}),
        })
        .await
        .unwrap()
}

async fn a_canary_is_nowhere_in_the_database(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace().to_owned();
    let created = store
        .insert_integration(new_integration(&store), &[("access_token", SecretString::from(CANARY))])
        .await
        .unwrap();
    hook(&store, &created.id, "h1", CANARY).await;
    let owner = SecretOwner::settings(&workspace);
    let secret = SecretString::from(CANARY);
    store.put_secret(&workspace, &owner, "smtp", &secret).await.unwrap();
    let mut with_secret = delivery(&store, "1");
    with_secret.body = CANARY.into();
    with_secret.headers.push(("x-gitlab-token".into(), CANARY.into()));
    assert!(!format!("{with_secret:?}").contains(CANARY));
    store.accept_delivery(with_secret, task(&store, "")).await.unwrap();
    let state = OauthState {
        state_hash: "s".into(),
        workspace: workspace.clone(),
        forge: "gitlab".into(),
        browser_binding: None,
        data: json!({ "verifier": CANARY }),
        expires_at: store.now().await.unwrap() + 60_000,
    };
    assert!(!format!("{state:?}").contains(CANARY));
    store.put_oauth_state(state).await.unwrap();
    let opened = store.get_secret(&workspace, &owner, "smtp").await.unwrap().unwrap();
    assert_eq!(exposed(&opened), CANARY);
    if let Some(directory) = database.directory() {
        let mut files = 0;
        for entry in std::fs::read_dir(directory).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            files += 1;
            assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));
        }
        assert!(files >= 2, "the file and its WAL are there");
    } else {
        let mut rows = 0;
        for table in database.texts("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'").await
        {
            for row in database.texts(&format!("SELECT t::text FROM {table} t")).await {
                rows += 1;
                assert!(!row.contains(CANARY), "{table}");
                assert!(!row.contains(&hex(CANARY)), "{table}");
            }
        }
        assert!(rows > 5);
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

async fn swapped_ciphertext_does_not_open(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace().to_owned();
    let (a, b) = (SecretOwner::integration("a"), SecretOwner::integration("b"));
    for owner in [&a, &b] {
        for name in ["access_token", "refresh_token"] {
            store.put_secret(&workspace, owner, name, &SecretString::from("x")).await.unwrap();
        }
    }
    for (owner, name, other, other_name) in
        [(&a, "access_token", "b", "access_token"), (&a, "refresh_token", "a", "access_token")]
    {
        let id = &owner.id;
        database
            .execute(&format!(
                "UPDATE secret SET sealed = (SELECT sealed FROM secret WHERE owner_id = '{other}' AND name = '{other_name}') \
                 WHERE owner_id = '{id}' AND name = '{name}'"
            ))
            .await;
        let error = store.get_secret(&workspace, owner, name).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsealable);
    }
    assert!(store.get_secret(&workspace, &b, "access_token").await.unwrap().is_some());
}

async fn rotation_keeps_everything_readable(database: &Database) {
    let old = database.keys().clone();
    let store = database.store().await;
    let workspace = store.default_workspace().to_owned();
    let owner = SecretOwner::integration("i");
    for number in 0..20 {
        let secret = SecretString::from(format!("secret {number}"));
        store.put_secret(&workspace, &owner, &format!("s{number}"), &secret).await.unwrap();
    }
    let rca_store::Accepted::New { id } =
        store.accept_delivery(delivery(&store, "1"), task(&store, "")).await.unwrap()
    else {
        panic!("it is new");
    };
    store.close().await;
    let both = old.with_new_primary().unwrap();
    let store = Store::open(database.url(), both.clone()).await.unwrap();
    // A part of it, and then as if after a crash: a new process goes on.
    assert_eq!(store.reseal(5).await.unwrap(), 15);
    store.close().await;
    let early = Store::open(database.url(), both.only_primary()).await.unwrap_err();
    assert_eq!(early.kind(), ErrorKind::WrongKey, "the old key is still needed");
    let store = Store::open(database.url(), both.clone()).await.unwrap();
    while store.reseal(5).await.unwrap() > 0 {}
    store.close().await;
    let store = Store::open(database.url(), both.only_primary()).await.unwrap();
    for number in 0..20 {
        let opened = store.get_secret(&workspace, &owner, &format!("s{number}")).await.unwrap();
        assert_eq!(exposed(&opened.unwrap()), format!("secret {number}"));
    }
    let content = store.get_delivery_content(&workspace, &id).await.unwrap();
    assert!(content.body.starts_with(b"{\"object_kind\""));
    store.close().await;
    let error = Store::open(database.url(), old).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKey);
}

async fn removal_wipes_ciphertext(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace().to_owned();
    let id = integration(&store).await;
    hook(&store, &id, "h1", "hook-secret").await;
    assert!(store.get_hook("h1").await.unwrap().is_some());
    let before = if database.directory().is_some() {
        database.texts("SELECT hex(sealed) FROM secret").await
    } else {
        Vec::new()
    };
    store.remove_integration(&workspace, &id).await.unwrap();
    for sealed in &before {
        // Neither the file nor its log holds the old bytes.
        let sealed: Vec<u8> = sealed
            .as_bytes()
            .chunks(2)
            .map(|digits| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap())
            .collect();
        for entry in std::fs::read_dir(database.directory().unwrap()).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes.windows(sealed.len()).any(|window| window == sealed);
            assert!(!found, "{} holds wiped ciphertext", path.display());
        }
    }
    assert_eq!(before.len(), if database.directory().is_some() { 2 } else { 0 });
    assert_eq!(database.texts("SELECT name FROM secret").await, Vec::<String>::new());
    assert!(store.get_hook("h1").await.unwrap().is_none());
    assert!(store.find_hook_by_token_hash("gitlab", "hash of h1").await.unwrap().is_none());
    assert!(store.list_integrations(&workspace).await.unwrap().is_empty());
    let kept = store.get_integration(&workspace, &id).await.unwrap().unwrap();
    assert!(kept.removed_at.is_some());
}

async fn an_oauth_state_is_taken_once(database: &Database) {
    let store = database.store().await;
    let now = store.now().await.unwrap();
    for (hash, expires_at) in [("live", now + 60_000), ("ended", now - 1)] {
        let state = OauthState {
            state_hash: hash.into(),
            workspace: store.default_workspace().to_owned(),
            forge: "github".into(),
            browser_binding: Some("cookie".into()),
            data: json!({ "verifier": "v" }),
            expires_at,
        };
        store.put_oauth_state(state).await.unwrap();
    }
    assert_eq!(store.take_oauth_state("ended").await.unwrap(), None);
    assert_eq!(store.take_oauth_state("unknown").await.unwrap(), None);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let store = store.clone();
        calls.spawn(async move { store.take_oauth_state("live").await.unwrap() });
    }
    let mut taken = Vec::new();
    while let Some(state) = calls.join_next().await {
        taken.extend(state.unwrap());
    }
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].data, json!({ "verifier": "v" }));
}

async fn one_of_many_refreshes(database: &Database) {
    // Two processes: two stores on one database. SQLite serves one process, so there two handles of one store do.
    let first = database.store().await;
    let second = match first.engine() {
        rca_store::Engine::Postgres => database.store().await,
        _ => first.clone(),
    };
    let id = integration(&first).await;
    let workspace = first.default_workspace().to_owned();
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..50 {
        let (store, id, workspace) =
            (if number % 2 == 0 { first.clone() } else { second.clone() }, id.clone(), workspace.clone());
        calls.spawn(async move {
            let owner = SecretOwner::integration(&id);
            loop {
                if let Some(lease) = store.lease_refresh(&workspace, &id, 60_000).await.unwrap() {
                    // What every caller must do: look whether somebody was faster.
                    if lease.generation > 0 {
                        store.release_refresh(lease).await.unwrap();
                        return 0;
                    }
                    let new = [("access_token", SecretString::from("token-2"))];
                    store.commit_refresh(lease, &new).await.unwrap();
                    return 1;
                }
                let token = store.get_secret(&workspace, &owner, "access_token").await.unwrap().unwrap();
                if exposed(&token) == "token-2" {
                    return 0;
                }
                tokio::task::yield_now().await;
            }
        });
    }
    let mut refreshes = 0;
    while let Some(number) = calls.join_next().await {
        refreshes += number.unwrap();
    }
    assert_eq!(refreshes, 1);
    let stored = first.get_integration(&workspace, &id).await.unwrap().unwrap();
    assert_eq!(stored.credential_generation, 1);
}

async fn a_late_refresh_is_fenced(database: &Database) {
    let store = database.store().await;
    let id = integration(&store).await;
    let workspace = store.default_workspace().to_owned();
    let late = store.lease_refresh(&workspace, &id, 60_000).await.unwrap().unwrap();
    assert!(store.lease_refresh(&workspace, &id, 60_000).await.unwrap().is_none());
    database.execute("UPDATE integration SET refresh_until = 1").await;
    let next = store.lease_refresh(&workspace, &id, 60_000).await.unwrap().unwrap();
    let tokens = |token: &'static str| [("access_token", SecretString::from(token))];
    let error = store.commit_refresh(late, &tokens("stale")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced);
    store.commit_refresh(next, &tokens("fresh")).await.unwrap();
    let owner = SecretOwner::integration(&id);
    let token = store.get_secret(&workspace, &owner, "access_token").await.unwrap().unwrap();
    assert_eq!(exposed(&token), "fresh");
    let lease = store.lease_refresh(&workspace, &id, 60_000).await.unwrap().unwrap();
    store.release_refresh(lease).await.unwrap();
    assert!(store.lease_refresh(&workspace, &id, 60_000).await.unwrap().is_some());
}

async fn hooks_open_with_both_secrets_while_rotating(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace().to_owned();
    let id = integration(&store).await;
    hook(&store, &id, "h1", "first").await;
    let secrets = async || -> Vec<String> {
        let hook = store.get_hook("h1").await.unwrap().unwrap();
        hook.secrets.iter().map(|secret| exposed(secret).to_owned()).collect()
    };
    assert_eq!(secrets().await, ["first"]);
    let second = SecretString::from("second");
    store.rotate_hook_secret(&workspace, "h1", &second, Some("hash 2"), 60_000).await.unwrap();
    assert_eq!(secrets().await, ["second", "first"]);
    for hash in ["hash 2", "hash of h1"] {
        assert!(store.find_hook_by_token_hash("gitlab", hash).await.unwrap().is_some(), "{hash}");
    }
    assert!(store.find_hook_by_token_hash("github", "hash 2").await.unwrap().is_none());
    // The overlap is over.
    database.execute("UPDATE secret SET expires_at = 1 WHERE name = 'previous'").await;
    database.execute("UPDATE hook SET previous_expires_at = 1").await;
    assert_eq!(secrets().await, ["second"]);
    assert!(store.find_hook_by_token_hash("gitlab", "hash of h1").await.unwrap().is_none());
    store.remove_hook(&workspace, "h1").await.unwrap();
    assert!(store.get_hook("h1").await.unwrap().is_none());
}

#[test]
fn key_files_are_private_and_never_overwritten() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("master.key");
    let made = KeyRing::generate_file(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(KeyRing::generate_file(&path).is_err(), "never overwritten");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    let rotated = KeyRing::rotate_file(&path).unwrap();
    assert_eq!((made.primary_id(), rotated.primary_id()), (1, 2));
    let read = KeyRing::from_file(&path).unwrap();
    assert_eq!(format!("{read:?}"), "KeyRing { key_ids: [2, 1], .. }");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let error = KeyRing::from_file(&path).unwrap_err();
    assert!(error.to_string().contains("chmod 600"), "{error}");
    for bad in ["", "1", "1 abcd", "0 00", "x yz", "# only a comment"] {
        let path = directory.path().join("bad.key");
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, bad).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(KeyRing::from_file(&path).unwrap_err().kind(), ErrorKind::Invalid, "{bad}");
    }
    assert!(KeyRing::from_file(&directory.path().join("none")).is_err());
}
