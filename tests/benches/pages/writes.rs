//! How many analyses a second are stored: each is made, gets its report, and is counted in its cluster.

use std::{sync::Arc, time::Instant};

use rca_store::{Analysis, ClusterHit, KeyRing, Store, Write, testing::execute};
use tokio::{sync::Semaphore, task::JoinSet};

/// Analyses that are stored.
const ANALYSES: usize = 5_000;
/// At the same time.
const WORKERS: usize = 16;

/// Stores copies of `seed` in the filled database at `url`. `BEFORE_WRITES` is SQL that is run before, to compare sets of
/// indexes.
pub(crate) async fn measure(url: &str, keys: KeyRing, seed: &str) {
    if let Ok(statement) = std::env::var("BEFORE_WRITES") {
        execute(url, &statement).await;
    }
    let store = Store::open(url, keys).await.expect("the store opens");
    let workspace = store.default_workspace().to_owned();
    let seed = store.get_analysis(&workspace, seed).await.expect("an answer").expect("the first analysis");
    let seed = Arc::new(seed);
    let room = Arc::new(Semaphore::new(WORKERS));
    let mut all = JoinSet::new();
    let began = Instant::now();
    for number in 0..ANALYSES {
        let permit = Arc::clone(&room).acquire_owned().await.expect("open");
        let (store, seed) = (store.clone(), Arc::clone(&seed));
        all.spawn(async move {
            store_one(&store, &seed, number).await;
            drop(permit);
        });
    }
    while let Some(done) = all.join_next().await {
        done.expect("a write");
    }
    let rate = ANALYSES as f64 / began.elapsed().as_secs_f64();
    println!("\n{rate:.0} analyses a second are stored, {WORKERS} at a time.");
    store.close().await;
}

async fn store_one(store: &Store, seed: &Analysis, number: usize) {
    let repository = format!("bulk/repo-{:05}", number * 7_919 % 2_000 + 1);
    let made = Analysis {
        id: rca_store::new_id(),
        repository_key: repository.clone(),
        repository: repository.clone(),
        run_id: format!("written-{}", number / 3),
        root_run_id: Some(format!("written-{}", number / 3)),
        job_id: number.to_string(),
        branch: Some(if number.is_multiple_of(2) { "main".to_owned() } else { format!("feature/{number}") }),
        commit_sha: Some(format!("{number:040x}")),
        idempotency_key: None,
        cluster_id: None,
        state: "queued".to_owned(),
        category: None,
        severity: None,
        report: None,
        finished_at: None,
        ..seed.clone()
    };
    let done = Analysis {
        state: "done".to_owned(),
        category: seed.category.clone(),
        severity: seed.severity.clone(),
        report: seed.report.clone(),
        finished_at: seed.finished_at,
        ..made.clone()
    };
    let hit = ClusterHit {
        workspace: seed.workspace.clone(),
        fingerprint: format!("bench-{}", number % 1_000 + 1),
        repository,
        analysis: done.id.clone(),
        category: done.category.clone(),
        root_cause: None,
    };
    store.create_analysis_if_new(made).await.expect("it is stored");
    let writes = vec![Write::UpsertAnalysis(Box::new(done)), Write::UpsertCluster(hit)];
    store.write(writes).await.expect("it is stored");
}
