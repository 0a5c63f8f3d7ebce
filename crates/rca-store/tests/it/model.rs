//! The queue against a model of it in memory: any sequence of calls leaves both in the same state.

use proptest::prelude::*;
use rca_store::testing::Database;
use rca_store::{ClaimedTask, NewTask, Outcome, Store};
use serde_json::json;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
enum Step {
    Enqueue {
        key: u8,
    },
    Claim {
        count: u8,
    },
    /// Which of the holders so far (also of lost leases), and how it ends.
    Settle {
        holder: usize,
        end: End,
    },
    ExpireAll,
    Heartbeat {
        holder: usize,
    },
}

#[derive(Debug, Clone, Copy)]
enum End {
    Done,
    Retry,
    Dead,
    Wait,
}

#[derive(Debug, Clone, PartialEq)]
struct Live {
    running: Option<String>,
    expired: bool,
    attempts: i64,
    again: bool,
}

const MAX_ATTEMPTS: i64 = 3;

#[derive(Debug, Default)]
struct Model {
    live: BTreeMap<String, Live>,
    done: i64,
    dead: i64,
}

impl Model {
    fn enqueue(&mut self, key: &str) {
        match self.live.get_mut(key) {
            Some(live) if live.running.is_some() => live.again = true,
            Some(_) => {}
            None => {
                self.live.insert(
                    key.to_owned(),
                    Live { running: None, expired: false, attempts: 0, again: false },
                );
            }
        }
    }

    fn finish(&mut self, key: &str) {
        if self.live.remove(key).is_some_and(|live| live.again) {
            self.enqueue(key);
        }
    }

    fn bury(&mut self) {
        let buried: Vec<String> = self
            .live
            .iter()
            .filter(|(_, live)| live.running.is_some() && live.expired && live.attempts >= MAX_ATTEMPTS)
            .map(|(key, _)| key.clone())
            .collect();
        for key in buried {
            self.dead += 1;
            self.finish(&key);
        }
    }

    fn claimable(&self) -> Vec<String> {
        self.live
            .iter()
            .filter(|(_, live)| live.running.is_none() || live.expired)
            .map(|(key, _)| key.clone())
            .collect()
    }

    fn claimed(&mut self, task: &ClaimedTask) {
        let live = self.live.get_mut(&task.dedup_key).unwrap();
        live.running = Some(task.lease_token.clone());
        live.expired = false;
        live.attempts += 1;
        assert_eq!(task.attempts, live.attempts);
    }

    fn holds(&self, task: &ClaimedTask) -> bool {
        self.live.get(&task.dedup_key).is_some_and(|live| live.running.as_ref() == Some(&task.lease_token))
    }

    fn settled(&mut self, task: &ClaimedTask, end: End) {
        let key = &task.dedup_key;
        let live = self.live.get_mut(key).unwrap();
        match end {
            End::Done => {
                self.done += 1;
                self.finish(key);
            }
            End::Retry if live.attempts < MAX_ATTEMPTS => {
                live.running = None;
                live.again = false;
            }
            End::Dead | End::Retry => {
                self.dead += 1;
                self.finish(key);
            }
            End::Wait => {
                live.running = None;
                live.again = false;
                live.attempts -= 1;
            }
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let end = prop_oneof![Just(End::Done), Just(End::Retry), Just(End::Dead), Just(End::Wait)];
    prop_oneof![
        4 => (0..5_u8).prop_map(|key| Step::Enqueue { key }),
        3 => (1..4_u8).prop_map(|count| Step::Claim { count }),
        4 => (any::<usize>(), end).prop_map(|(holder, end)| Step::Settle { holder, end }),
        1 => Just(Step::ExpireAll),
        1 => any::<usize>().prop_map(|holder| Step::Heartbeat { holder }),
    ]
}

async fn run(database: &Database, store: &Store, steps: Vec<Step>) {
    // Each case has a kind and keys of its own, so that one database serves all.
    let kind = rca_store::new_id();
    let workspace = store.default_workspace();
    let before = store.count_tasks(workspace).await.unwrap();
    let mut model = Model::default();
    let mut holders: Vec<ClaimedTask> = Vec::new();
    for step in steps {
        match step {
            Step::Enqueue { key } => {
                let key = format!("{kind}-{key}");
                let task = NewTask::new(workspace, &kind, &key, json!({})).with_max_attempts(MAX_ATTEMPTS);
                store.enqueue(task).await.unwrap();
                model.enqueue(&key);
            }
            Step::Claim { count } => {
                model.bury();
                let claimable = model.claimable();
                let claimed = store.claim(&[&kind], u32::from(count), 3_600_000).await.unwrap();
                assert_eq!(claimed.len(), claimable.len().min(usize::from(count)));
                for task in claimed {
                    assert!(claimable.contains(&task.dedup_key), "{} is held", task.dedup_key);
                    model.claimed(&task);
                    holders.push(task);
                }
            }
            Step::Settle { holder, end } => {
                let Some(task) = holder.checked_rem(holders.len()).map(|index| holders[index].clone()) else {
                    continue;
                };
                let error = "failed".to_owned();
                let outcome = match end {
                    End::Done => Outcome::Done,
                    End::Retry => Outcome::Retry { delay_ms: 0, error },
                    End::Dead => Outcome::Dead { error },
                    End::Wait => Outcome::Wait { delay_ms: 0 },
                };
                let settled = store.settle(&task, outcome, vec![]).await;
                assert_eq!(settled.is_ok(), model.holds(&task), "{settled:?}");
                if settled.is_ok() {
                    model.settled(&task, end);
                }
            }
            Step::ExpireAll => {
                database
                    .execute(&format!(
                        "UPDATE task SET lease_until = 1 WHERE kind = '{kind}' AND state = 'running'"
                    ))
                    .await;
                for live in model.live.values_mut() {
                    live.expired = live.running.is_some();
                }
            }
            Step::Heartbeat { holder } => {
                let Some(task) = holder.checked_rem(holders.len()).map(|index| holders[index].clone()) else {
                    continue;
                };
                let kept = store.heartbeat(&task, 3_600_000).await.unwrap();
                assert_eq!(kept, model.holds(&task));
                if kept {
                    model.live.get_mut(&task.dedup_key).unwrap().expired = false;
                }
            }
        }
        let counts = store.count_tasks(workspace).await.unwrap();
        let running = model.live.values().filter(|live| live.running.is_some()).count();
        let ready = model.live.len() - running;
        assert_eq!(
            (counts.ready - before.ready, counts.running - before.running),
            (i64::try_from(ready).unwrap(), i64::try_from(running).unwrap())
        );
        assert_eq!((counts.done - before.done, counts.dead - before.dead), (model.done, model.dead));
    }
    // What is left must not be buried in the middle of the next case.
    database
        .execute(&format!("DELETE FROM task WHERE kind = '{kind}' AND state IN ('ready', 'running')"))
        .await;
}

#[test]
fn the_queue_behaves_like_its_model() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let database = Database::sqlite();
    let store = runtime.block_on(database.store());
    proptest!(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() },
    |(steps in proptest::collection::vec(step(), 1..40))| {
        runtime.block_on(run(&database, &store, steps));
    });
}
