//! A process that is killed in the middle of inserting: what it acknowledged is there.

use crate::support::{delivery, task};
use rca_store::testing::Database;
use rca_store::{Accepted, KeyRing, Store};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

const CHILD: &str = "RCA_STORE_CRASH_CHILD";

/// In the parent this is an empty test; started as the child it inserts until it is killed.
#[test]
fn child() {
    let Ok(directory) = std::env::var(CHILD) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async move {
        let (url, keys) = place(Path::new(&directory));
        let store = Store::open(&url, keys).await.unwrap();
        let mut inserters = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let store = store.clone();
            inserters.spawn(async move {
                loop {
                    let key = rca_store::new_id();
                    let accepted =
                        store.accept_delivery(delivery(&store, &key), task(&store, "")).await.unwrap();
                    let Accepted::New { id } = accepted else { panic!("keys are random") };
                    // One write call per line, so that a kill cannot tear a line apart unseen.
                    let mut out = std::io::stderr().lock();
                    if out.write_all(format!("accepted {id}.\n").as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
        inserters.join_next().await;
    });
}

fn place(directory: &Path) -> (String, KeyRing) {
    let url = format!("sqlite://{}", directory.join("crash.db").display());
    let keys = KeyRing::from_file(&directory.join("crash.key")).unwrap();
    (url, keys)
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the test kills a child process")]
async fn every_acknowledged_delivery_survives_kill_9() {
    let database = Database::sqlite();
    let directory = database.directory().unwrap();
    KeyRing::generate_file(&directory.join("crash.key")).unwrap();
    let mut acknowledged = Vec::new();
    for round in 1..=5_usize {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child", "--nocapture", "--test-threads=1"])
            .env(CHILD, directory)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        // Killed after another number each time, in the middle of whatever it is doing.
        let mut line = String::new();
        let mut in_round = 0;
        while lines.read_line(&mut line).unwrap() > 0 {
            if let Some(id) = line.strip_prefix("accepted ").and_then(|rest| rest.strip_suffix(".\n")) {
                acknowledged.push(id.to_owned());
                in_round += 1;
            }
            line.clear();
            if in_round == round * 37 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(in_round >= round * 37, "the child ended early");
    }
    let (url, keys) = place(directory);
    let store = Store::open(&url, keys).await.unwrap();
    let workspace = store.default_workspace();
    for id in &acknowledged {
        let stored = store.get_delivery(workspace, id).await.unwrap();
        assert!(stored.is_some_and(|delivery| delivery.task.is_some()), "{id} was lost");
    }
    let counts = store.count_deliveries(workspace).await.unwrap();
    assert!(counts.is_balanced(), "{counts:?}");
    assert!(counts.pending >= i64::try_from(acknowledged.len()).unwrap());
}
