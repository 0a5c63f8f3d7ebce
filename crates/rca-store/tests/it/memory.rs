//! Rate caps, baselines, and retention of one workspace.

use crate::support::on_both_engines;
use rca_store::testing::Database;
use rca_store::{Analysis, BaselineKey, CommentPost, PostLimits, Retention, StoredBaseline, Write, new_id};
use serde_json::json;

on_both_engines!(
    caps_hold_for_an_hour,
    replicas_do_not_take_the_last_place_twice,
    baselines_are_replaced_by_whoever_knows_them,
    one_workspace_is_pruned_alone,
    a_report_is_found_by_what_it_follows_from,
);

fn post(workspace: &str, target: &str, text: &str) -> CommentPost {
    CommentPost {
        workspace: workspace.to_owned(),
        repository: "r1".to_owned(),
        target: target.to_owned(),
        body_hash: text.to_owned(),
    }
}

async fn caps_hold_for_an_hour(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace().to_owned();
    let limits = PostLimits { target: Some(2), repository: Some(3) };
    let ask = async |target: &str, text: &str| {
        store.reserve_post(post(&workspace, target, text), limits).await.unwrap()
    };
    assert_eq!(ask("pr:1", "a").await, None);
    assert_eq!(ask("pr:1", "b").await, None);
    assert_eq!(ask("pr:1", "a").await, None, "the same text again is a repetition");
    let refused = ask("pr:1", "c").await.unwrap();
    assert!(refused.is_of_target && refused.limit == 2, "{refused:?}");
    assert!((1..=3_600_000).contains(&(refused.until - refused.now)), "{refused:?}");
    assert_eq!(ask("pr:2", "a").await, None);
    let refused = ask("pr:3", "a").await.unwrap();
    assert!(!refused.is_of_target && refused.limit == 3, "{refused:?}");
    // What the forge refused leaves its place to others.
    store.release_post(post(&workspace, "pr:2", "a")).await.unwrap();
    assert_eq!(ask("pr:3", "a").await, None);
    // The first text of the first target becomes older than an hour.
    database
        .execute("UPDATE comment_post SET posted_at = posted_at - 3600001 WHERE target = 'pr:1' AND body_hash = 'a'")
        .await;
    assert_eq!(ask("pr:1", "c").await, None);
    assert!(ask("pr:1", "d").await.is_some());
    assert_eq!(store.reserve_post(post(&workspace, "pr:1", "e"), PostLimits::default()).await.unwrap(), None);
    store.prune(None, Retention::default(), 100).await.unwrap();
    let left = database.texts("SELECT body_hash FROM comment_post WHERE target = 'pr:1' ORDER BY 1").await;
    assert_eq!(left, ["b", "c", "e"]);
}

async fn replicas_do_not_take_the_last_place_twice(database: &Database) {
    let (one, two) = (database.store().await, database.store().await);
    let workspace = one.default_workspace().to_owned();
    let integration = crate::support::integration(&one).await;
    let repository = rca_store::NewRepository {
        workspace: workspace.clone(),
        integration,
        forge_id: "1".into(),
        full_name: "octo/app".into(),
        default_branch: None,
        web_url: None,
        archived: false,
        has_ci: true,
        data: json!({}),
    };
    one.upsert_repositories(vec![repository]).await.unwrap();
    let id = database.texts("SELECT id FROM repository").await.remove(0);
    let limits = PostLimits { target: None, repository: Some(5) };
    let asked: Vec<_> = (0..20)
        .map(|number| {
            let store = if number % 2 == 0 { one.clone() } else { two.clone() };
            let post =
                CommentPost { repository: id.clone(), ..post(&workspace, &format!("pr:{number}"), "a") };
            tokio::spawn(async move { store.reserve_post(post, limits).await.unwrap().is_none() })
        })
        .collect();
    let mut taken = 0;
    for asked in asked {
        taken += u32::from(asked.await.unwrap());
    }
    assert_eq!(taken, 5);
}

async fn baselines_are_replaced_by_whoever_knows_them(database: &Database) {
    let store = database.store().await;
    let key = |job: &str| BaselineKey {
        workspace: store.default_workspace().to_owned(),
        repository: "r1".to_owned(),
        job_name: job.to_owned(),
        branch_class: "default".to_owned(),
    };
    let baseline = |byte: u8, learned: &[&str]| StoredBaseline {
        encoded: vec![byte; 4],
        learned: learned.iter().map(|id| (*id).to_owned()).collect(),
        updated_at: 0,
    };
    let unit = key("unit");
    assert_eq!(store.get_baseline(&unit).await.unwrap(), None);
    let (first, second) = (baseline(1, &["10"]), baseline(2, &["11", "10"]));
    assert!(store.put_baseline(&unit, None, &first).await.unwrap());
    assert!(!store.put_baseline(&unit, None, &second).await.unwrap(), "there is one by now");
    assert!(store.put_baseline(&unit, Some(&first), &second).await.unwrap());
    assert!(!store.put_baseline(&unit, Some(&first), &first).await.unwrap(), "it is not that one any more");
    let stored = store.get_baseline(&unit).await.unwrap().unwrap();
    assert!(stored.updated_at > 0);
    assert_eq!((stored.encoded, stored.learned), (second.encoded, second.learned));
    assert_eq!(
        store.get_baseline(&BaselineKey { workspace: "other".into(), ..key("unit") }).await.unwrap(),
        None
    );
    database.execute("UPDATE baseline SET updated_at = 1").await;
    for number in 0..200 {
        assert!(store.put_baseline(&key(&format!("job {number}")), None, &first).await.unwrap());
    }
    assert_eq!(store.get_baseline(&unit).await.unwrap(), None, "the oldest of more than 200 goes");
    let pruned = Retention { analyses_ms: -1000, ..Retention::default() };
    store.prune(None, pruned, 1000).await.unwrap();
    assert!(database.texts("SELECT job_name FROM baseline").await.is_empty());
}

async fn one_workspace_is_pruned_alone(database: &Database) {
    let store = database.store().await;
    let (mine, other) =
        (store.default_workspace().to_owned(), store.create_workspace("other").await.unwrap());
    for workspace in [&mine, &other] {
        let analysis = Analysis {
            id: new_id(),
            workspace: workspace.clone(),
            forge: "github".into(),
            repository_key: "r1".into(),
            run_id: "1".into(),
            attempt: 1,
            job_id: "1".into(),
            state: "done".into(),
            data: json!({}),
            ..Analysis::default()
        };
        store.write(vec![Write::UpsertAnalysis(Box::new(analysis))]).await.unwrap();
        store.enqueue(rca_store::NewTask::new(workspace, "work", "k", json!({}))).await.unwrap();
    }
    for held in store.claim(&["work"], 9, 60_000).await.unwrap() {
        store.settle(&held, rca_store::Outcome::Done, vec![]).await.unwrap();
    }
    let short = Retention { analyses_ms: -1000, tasks_ms: -1000, ..Retention::default() };
    let pruned = store.prune(Some(&other), short, 100).await.unwrap();
    assert_eq!((pruned.analyses, pruned.tasks), (1, 1));
    assert_eq!(database.texts("SELECT workspace FROM analysis").await, [mine.as_str()]);
    assert_eq!(database.texts("SELECT workspace FROM task").await, [mine.as_str()]);
    store
        .put_settings(&other, &json!({ "retention": { "analyses": 3 }, "rules": "retention" }))
        .await
        .unwrap();
    store.put_settings(&mine, &json!({ "rules": "\"retention\"" })).await.unwrap();
    let found = store.list_settings_with("retention").await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, other);
}

async fn a_report_is_found_by_what_it_follows_from(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace().to_owned();
    let analysis = |job: &str, state: &str| Analysis {
        id: new_id(),
        workspace: workspace.clone(),
        forge: "github".into(),
        repository_key: "r1".into(),
        run_id: "1".into(),
        attempt: 1,
        job_id: job.into(),
        state: state.into(),
        input_key: Some("k".into()),
        report: Some(json!({ "schema": "s" })),
        data: json!({}),
        ..Analysis::default()
    };
    let (queued, first) = (analysis("1", "queued"), analysis("2", "done"));
    let copy = Analysis { reused_from: Some(first.id.clone()), ..analysis("3", "done") };
    for analysis in [&queued, &first, &copy] {
        store.write(vec![Write::UpsertAnalysis(Box::new(analysis.clone()))]).await.unwrap();
    }
    let found = store.find_analysis_of(&workspace, "k").await.unwrap().unwrap();
    assert_eq!((found.id, found.input_key), (first.id, Some("k".into())));
    assert_eq!(store.find_analysis_of(&workspace, "other").await.unwrap(), None);
    assert_eq!(store.find_analysis_of("other", "k").await.unwrap(), None);
}
