//! The queue: one holder per task, nothing lost, settlement all or nothing.

use crate::support::{integration, on_both_engines, task};
use rca_store::testing::Database;
use rca_store::{
    Analysis, ClusterHit, ErrorKind, IntegrationChange, NewAudit, NewTask, Outcome, PageRequest, Store,
    Write, new_id,
};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

on_both_engines!(
    eight_workers_never_hold_one_task_twice,
    an_expired_lease_is_claimed_again_and_the_zombie_is_fenced,
    what_was_asked_for_meanwhile_ends_a_long_wait,
    a_heartbeat_keeps_the_lease,
    a_task_that_always_dies_is_buried,
    lost_starts_wait_longer_and_longer,
    enqueuing_while_running_runs_once_more,
    a_failing_write_undoes_the_whole_settlement,
    settlement_writes_arrive_together,
    retries_wait_and_end_dead,
    waiting_costs_no_attempt,
    tasks_of_parked_integrations_wait,
    a_flood_of_one_integration_does_not_starve_another,
    priorities_go_first,
    workers_are_woken,
    a_dead_task_can_be_replayed,
);

const LEASE: i64 = 60_000;

/// Plays the passing of time: leases of running tasks are over.
async fn expire(database: &Database) {
    database.execute("UPDATE task SET lease_until = 1 WHERE state = 'running'").await;
}

async fn one(store: &Store) -> rca_store::ClaimedTask {
    let mut claimed = store.claim(&["work"], 1, LEASE).await.unwrap();
    assert_eq!(claimed.len(), 1);
    claimed.remove(0)
}

async fn eight_workers_never_hold_one_task_twice(database: &Database) {
    let store = database.store().await;
    for number in 0..120 {
        store.enqueue(task(&store, &number.to_string())).await.unwrap();
    }
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        workers.spawn(async move {
            let mut mine = Vec::new();
            loop {
                let claimed = store.claim(&["work"], 3, LEASE).await.unwrap();
                if claimed.is_empty()
                    && store.count_tasks(store.default_workspace()).await.unwrap().ready == 0
                {
                    return mine;
                }
                for held in claimed {
                    store.settle(&held, Outcome::Done, vec![]).await.unwrap();
                    mine.push(held.id);
                }
            }
        });
    }
    let (mut all, mut unique) = (0, BTreeSet::new());
    while let Some(mine) = workers.join_next().await {
        for id in mine.unwrap() {
            all += 1;
            unique.insert(id);
        }
    }
    assert_eq!((all, unique.len()), (120, 120));
    let counts = store.count_tasks(store.default_workspace()).await.unwrap();
    assert_eq!((counts.done, counts.running, counts.dead), (120, 0, 0));
}

async fn what_was_asked_for_meanwhile_ends_a_long_wait(database: &Database) {
    let store = database.store().await;
    store.enqueue(task(&store, "1")).await.unwrap();
    let held = store.claim(&["work"], 1, 60_000).await.unwrap().remove(0);
    store.enqueue(task(&store, "1")).await.unwrap();
    store.settle(&held, Outcome::Wait { delay_ms: 3_600_000 }, vec![]).await.unwrap();
    let run_at = "SELECT CAST(run_at AS TEXT) FROM task WHERE dedup_key = '1' AND state = 'ready'";
    let due: i64 = database.texts(run_at).await.remove(0).parse().unwrap();
    assert!(due <= store.now().await.unwrap() + 5_000, "it is looked at soon");
    database.execute("UPDATE task SET run_at = 0").await;
    let held = store.claim(&["work"], 1, 60_000).await.unwrap().remove(0);
    store.settle(&held, Outcome::Wait { delay_ms: 3_600_000 }, vec![]).await.unwrap();
    assert!(store.claim(&["work"], 1, 60_000).await.unwrap().is_empty(), "nobody asked: it waits");
}

async fn an_expired_lease_is_claimed_again_and_the_zombie_is_fenced(database: &Database) {
    let store = database.store().await;
    store.enqueue(task(&store, "1")).await.unwrap();
    let zombie = one(&store).await;
    assert!(store.claim(&["work"], 1, LEASE).await.unwrap().is_empty());
    expire(database).await;
    let heir = one(&store).await;
    assert_eq!((heir.id.as_str(), heir.attempts), (zombie.id.as_str(), 2));
    let late = vec![Write::Enqueue(task(&store, "by the zombie"))];
    let refused = store.settle(&zombie, Outcome::Done, late).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Fenced);
    assert!(!store.heartbeat(&zombie, LEASE).await.unwrap());
    store.settle(&heir, Outcome::Done, vec![]).await.unwrap();
    let counts = store.count_tasks(store.default_workspace()).await.unwrap();
    assert_eq!((counts.ready, counts.done), (0, 1), "the zombie wrote nothing");
    let twice = store.settle(&heir, Outcome::Done, vec![]).await.unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::Fenced);
}

async fn a_heartbeat_keeps_the_lease(database: &Database) {
    let store = database.store().await;
    store.enqueue(task(&store, "1")).await.unwrap();
    let held = one(&store).await;
    expire(database).await;
    // Late, but nobody has taken it yet.
    assert!(store.heartbeat(&held, LEASE).await.unwrap());
    assert!(store.claim(&["work"], 1, LEASE).await.unwrap().is_empty());
    store.settle(&held, Outcome::Done, vec![]).await.unwrap();
}

async fn a_task_that_always_dies_is_buried(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace();
    store.enqueue(task(&store, "poison").with_max_attempts(3)).await.unwrap();
    for attempt in 1..=3 {
        assert_eq!(one(&store).await.attempts, attempt);
        expire(database).await;
    }
    store.enqueue(task(&store, "good")).await.unwrap();
    assert_eq!(one(&store).await.dedup_key, "good");
    let dead = store.list_dead_tasks(workspace, &PageRequest::default()).await.unwrap();
    assert_eq!(dead.items.len(), 1);
    assert_eq!(dead.items[0].dedup_key, "poison");
    assert!(dead.items[0].last_error.as_ref().unwrap().contains("lost its lease"));
}

async fn lost_starts_wait_longer_and_longer(database: &Database) {
    let store = database.store().await;
    store.enqueue(task(&store, "unlucky")).await.unwrap();
    for _ in 0..2 {
        one(&store).await;
        lose(database, &store, 100).await;
    }
    // The third start is lost: the fourth comes a second after the lease.
    one(&store).await;
    lose(database, &store, 100).await;
    assert!(store.claim(&["work"], 1, LEASE).await.unwrap().is_empty());
    lose(database, &store, 1_100).await;
    one(&store).await;
    lose(database, &store, 3_500).await;
    assert!(store.claim(&["work"], 1, LEASE).await.unwrap().is_empty(), "then four seconds");
    lose(database, &store, 4_100).await;
    one(&store).await;
}

/// Plays that the lease of the one task ended so many milliseconds ago.
async fn lose(database: &Database, store: &Store, ago: i64) {
    let until = store.now().await.unwrap() - ago;
    database.execute(&format!("UPDATE task SET lease_until = {until} WHERE state = 'running'")).await;
}

async fn enqueuing_while_running_runs_once_more(database: &Database) {
    let store = database.store().await;
    let first = store.enqueue(task(&store, "1")).await.unwrap();
    let same = store.enqueue(task(&store, "1")).await.unwrap();
    assert_eq!(first, same, "while ready the two are one");
    let held = one(&store).await;
    for number in 0..3 {
        let mut again = task(&store, "1");
        again.payload = json!({ "number": number });
        store.enqueue(again).await.unwrap();
    }
    assert!(store.claim(&["work"], 5, LEASE).await.unwrap().is_empty(), "never two at a time");
    store.settle(&held, Outcome::Done, vec![]).await.unwrap();
    let next = one(&store).await;
    assert_eq!((next.attempts, &next.payload), (1, &json!({ "number": 2 })));
    store.settle(&next, Outcome::Done, vec![]).await.unwrap();
    assert!(store.claim(&["work"], 5, LEASE).await.unwrap().is_empty());
}

async fn a_failing_write_undoes_the_whole_settlement(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace().to_owned();
    store.enqueue(task(&store, "1")).await.unwrap();
    let held = one(&store).await;
    let writes = vec![
        Write::Enqueue(task(&store, "2")),
        Write::Audit(NewAudit {
            workspace: workspace.clone(),
            actor: "system".into(),
            action: "test".into(),
            target: "x".into(),
            detail: json!({}),
        }),
        // There is no such integration.
        Write::SetIntegrationHealth { workspace: workspace.clone(), id: "nope".into(), health: json!({}) },
    ];
    let failed = store.settle(&held, Outcome::Done, writes).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::NotFound);
    let counts = store.count_tasks(&workspace).await.unwrap();
    assert_eq!((counts.ready, counts.running, counts.done), (0, 1, 0));
    assert!(store.list_audit(&workspace, &PageRequest::default()).await.unwrap().items.is_empty());
    assert_eq!(store.verify_audit(&workspace).await.unwrap().broken_at, None);
    // Still held: it can be settled another way.
    store.settle(&held, Outcome::Done, vec![]).await.unwrap();
}

async fn settlement_writes_arrive_together(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace().to_owned();
    store.enqueue(task(&store, "1")).await.unwrap();
    let held = one(&store).await;
    let analysis = Analysis {
        id: new_id(),
        workspace: workspace.clone(),
        forge: "gitlab".into(),
        repository_key: "r".into(),
        repository: "group/project".into(),
        run_id: "7".into(),
        attempt: 1,
        job_id: "9".into(),
        source: "webhook".into(),
        state: "done".into(),
        report: Some(json!({ "root_cause": "boom" })),
        data: json!({}),
        ..Analysis::default()
    };
    let hit = ClusterHit {
        workspace: workspace.clone(),
        fingerprint: "f1".into(),
        repository: "group/project".into(),
        analysis: analysis.id.clone(),
        ..ClusterHit::default()
    };
    let writes = vec![
        Write::UpsertAnalysis(Box::new(analysis.clone())),
        Write::UpsertCluster(hit),
        Write::Enqueue(task(&store, "feedback")),
    ];
    store.settle(&held, Outcome::Done, writes).await.unwrap();
    let stored = store.get_analysis(&workspace, &analysis.id).await.unwrap().unwrap();
    let cluster = store.find_cluster(&workspace, "f1").await.unwrap().unwrap();
    assert_eq!(stored.cluster_id.as_ref(), Some(&cluster.id));
    assert_eq!(stored.report, analysis.report);
    assert_eq!(one(&store).await.dedup_key, "feedback");
}

async fn retries_wait_and_end_dead(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace().to_owned();
    let id = store.enqueue(task(&store, "1").with_max_attempts(2)).await.unwrap();
    let held = one(&store).await;
    let retry = Outcome::Retry { delay_ms: 3_600_000, error: "forge answered 502".into() };
    store.settle(&held, retry.clone(), vec![]).await.unwrap();
    assert!(store.claim(&["work"], 1, LEASE).await.unwrap().is_empty());
    // Another delivery for the same run must not break the backing off.
    store.enqueue(task(&store, "1")).await.unwrap();
    assert!(store.claim(&["work"], 1, LEASE).await.unwrap().is_empty());
    let due = store.next_due().await.unwrap().unwrap();
    assert!(due > store.now().await.unwrap() + 3_000_000);
    database.execute("UPDATE task SET run_at = 1").await;
    let held = one(&store).await;
    assert_eq!(held.attempts, 2);
    store.settle(&held, retry, vec![]).await.unwrap();
    let dead = store.get_task(&workspace, &id).await.unwrap().unwrap();
    assert_eq!((dead.state.as_str(), dead.last_error.as_deref()), ("dead", Some("forge answered 502")));
}

async fn waiting_costs_no_attempt(database: &Database) {
    let store = database.store().await;
    store.enqueue(task(&store, "1").with_max_attempts(2)).await.unwrap();
    for _ in 0..5 {
        let held = one(&store).await;
        assert_eq!(held.attempts, 1);
        store.settle(&held, Outcome::Wait { delay_ms: 0 }, vec![]).await.unwrap();
    }
}

async fn tasks_of_parked_integrations_wait(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace().to_owned();
    let id = integration(&store).await;
    store.enqueue(task(&store, "1").with_integration(&id)).await.unwrap();
    let held = one(&store).await;
    let park = Write::ParkIntegration {
        workspace: workspace.clone(),
        id: id.clone(),
        reason: "token revoked".into(),
    };
    store.settle(&held, Outcome::Wait { delay_ms: 0 }, vec![park]).await.unwrap();
    assert!(store.claim(&["work"], 1, LEASE).await.unwrap().is_empty());
    assert_eq!(store.next_due().await.unwrap(), None, "nothing to wake up for");
    let parked = store.get_integration(&workspace, &id).await.unwrap().unwrap();
    assert_eq!(parked.parked_reason.as_deref(), Some("token revoked"));
    store.replace_credential(&workspace, &id, &[]).await.unwrap();
    let held = one(&store).await;
    assert_eq!(held.attempts, 1, "no attempt was burnt");
    store.settle(&held, Outcome::Wait { delay_ms: 0 }, vec![]).await.unwrap();
    let off = IntegrationChange { enabled: Some(false), ..IntegrationChange::default() };
    store.update_integration(&workspace, &id, off).await.unwrap();
    assert!(store.claim(&["work"], 1, LEASE).await.unwrap().is_empty());
    let on = IntegrationChange { enabled: Some(true), ..IntegrationChange::default() };
    store.update_integration(&workspace, &id, on).await.unwrap();
    assert_eq!(one(&store).await.attempts, 1);
}

async fn a_flood_of_one_integration_does_not_starve_another(database: &Database) {
    let store = database.store().await;
    let (flooding, quiet) = (integration(&store).await, integration(&store).await);
    let flood = (0..500)
        .map(|number| Write::Enqueue(task(&store, &format!("flood-{number}")).with_integration(&flooding)))
        .collect();
    store.write(flood).await.unwrap();
    for number in 0..3 {
        let mine = task(&store, &format!("quiet-{number}")).with_integration(&quiet);
        store.enqueue(mine).await.unwrap();
    }
    let mut before = Vec::new();
    for _ in 0..10 {
        before.push(one(&store).await.dedup_key);
    }
    let quiet = before.iter().filter(|key| key.starts_with("quiet")).count();
    assert_eq!(quiet, 3, "they take turns: {before:?}");
}

async fn priorities_go_first(database: &Database) {
    let store = database.store().await;
    store.enqueue(task(&store, "low")).await.unwrap();
    store.enqueue(task(&store, "high").with_priority(5)).await.unwrap();
    store.enqueue(NewTask { kind: "other".into(), ..task(&store, "other").with_priority(9) }).await.unwrap();
    assert_eq!(one(&store).await.dedup_key, "high");
    assert_eq!(one(&store).await.dedup_key, "low");
    assert_eq!(store.claim(&["other", "more"], 1, LEASE).await.unwrap().len(), 1);
    assert!(store.claim(&[], 1, LEASE).await.unwrap().is_empty());
}

async fn workers_are_woken(database: &Database) {
    let store = database.store().await;
    let waiting = tokio::spawn({
        let store = store.clone();
        async move {
            loop {
                if let Some(held) = store.claim(&["work"], 1, LEASE).await.unwrap().pop() {
                    return held.dedup_key;
                }
                // Far longer than the test may take: only a wake-up ends it.
                store.wait_for_work(Duration::from_secs(3_600)).await.unwrap();
            }
        }
    });
    store.enqueue(task(&store, "1").with_delay_ms(30)).await.unwrap();
    let key = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    assert_eq!(key.unwrap().unwrap(), "1");
}

async fn a_dead_task_can_be_replayed(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace().to_owned();
    let id = store.enqueue(task(&store, "1")).await.unwrap();
    let held = one(&store).await;
    store.settle(&held, Outcome::Dead { error: "no".into() }, vec![]).await.unwrap();
    let live = store.replay_dead_task(&workspace, &id, "ann").await.unwrap();
    let held = one(&store).await;
    assert_eq!((held.id, held.attempts), (live, 1));
    let again = store.replay_dead_task(&workspace, &id, "ann").await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NotFound);
}
