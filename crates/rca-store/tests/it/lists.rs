//! Lists by filters: whatever leads them, they show what a plain reading of the table shows.

use crate::support::on_both_engines;
use rca_store::testing::Database;
use rca_store::{
    AnalysisFilter, ClusterFilter, ClusterHit, DeliveryFilter, DeliveryStatus, PageRequest, Store, Write,
};

on_both_engines!(
    analyses_are_listed_by_any_two_filters,
    deliveries_are_listed_by_any_two_filters,
    recent_clusters_say_where_they_were_seen,
);

/// More than are counted before a list is led by the walk.
const ROWS: i64 = 2_500;
const HOUR: i64 = 3_600_000;

/// One row an hour until now; half of each common value, and few of each rare one.
async fn fill(database: &Database, store: &Store) -> i64 {
    let workspace = store.default_workspace();
    let now = store.now().await.unwrap();
    let first = now - ROWS * HOUR;
    // Ids are version 7 UUIDs of the rows' times.
    let mut values = Vec::new();
    for i in 1..=ROWS {
        let time = first + i * HOUR;
        let id = format!("{:08x}-{:04x}-7000-8000-{i:012x}", time >> 16, time & 0xffff);
        let common =
            |other: &'static str, this: &'static str, step: i64| if i % step == 0 { this } else { other };
        values.push((
            format!(
                "('{id}', '{workspace}', '', '{forge}', 'key', '{repository}', '{i}', 1, '{i}', '{branch}', '{i}', 'webhook', \
                 '{state}', '{category}', '{severity}', '{{}}', {time})",
                forge = common("gitlab", "github", 500),
                repository = common("octo/app", "octo/lib", 3),
                branch = common("main", "next", 2),
                state = common("done", "failed", 700),
                category = common("network", "timeout", 5),
                severity = common("high", "medium", 5),
            ),
            format!(
                "('{id}', '{workspace}', '{integration}', 'h', 'gitlab', '{i}', 'push', '{repository}', 1, '', '{status}', {time})",
                integration = common("one", "two", 400),
                repository = common("octo/app", "octo/lib", 3),
                status = common("done", "ignored", 2),
            ),
        ));
    }
    for chunk in values.chunks(500) {
        let rows = |text: fn(&(String, String)) -> &String| {
            chunk.iter().map(|both| text(both).as_str()).collect::<Vec<_>>().join(", ")
        };
        database
            .execute(&format!(
                "INSERT INTO analysis (id, workspace, integration_key, forge, repository_key, repository, run_id, attempt, \
                 job_id, branch, commit_sha, source, state, category, severity, data, created_at) VALUES {}",
                rows(|both| &both.0)
            ))
            .await;
        database
            .execute(&format!(
                "INSERT INTO delivery (id, workspace, integration, hook, forge, delivery_key, event, repository, key_id, \
                 sealed, status, received_at) VALUES {}",
                rows(|both| &both.1)
            ))
            .await;
    }
    first
}

/// A column, how the filter chooses by it, and a value.
type Choice = (&'static str, fn(&mut AnalysisFilter, &str), &'static str);

async fn analyses_are_listed_by_any_two_filters(database: &Database) {
    let store = database.store().await;
    let first = fill(database, &store).await;
    let middle = first + ROWS / 2 * HOUR;
    let set: [Choice; 12] = [
        ("forge", |filter, value| filter.forge = Some(value.to_owned()), "gitlab"),
        ("forge", |filter, value| filter.forge = Some(value.to_owned()), "github"),
        ("repository", |filter, value| filter.repository = Some(value.to_owned()), "octo/app"),
        ("repository", |filter, value| filter.repository = Some(value.to_owned()), "octo/none"),
        ("branch", |filter, value| filter.branch = Some(value.to_owned()), "main"),
        ("branch", |filter, value| filter.branch = Some(value.to_owned()), "next"),
        ("state", |filter, value| filter.state = Some(value.to_owned()), "done"),
        ("state", |filter, value| filter.state = Some(value.to_owned()), "failed"),
        ("category", |filter, value| filter.category = Some(value.to_owned()), "network"),
        ("severity", |filter, value| filter.severity = Some(value.to_owned()), "high"),
        ("severity", |filter, value| filter.severity = Some(value.to_owned()), "medium"),
        ("commit_sha", |filter, value| filter.commit_sha = Some(value.to_owned()), "700"),
    ];
    for (one, choose_one, value_one) in set {
        for (two, choose_two, value_two) in set {
            for (since, until) in [(None, None), (Some(middle), None), (None, Some(middle))] {
                let mut filter = AnalysisFilter { since, until, ..AnalysisFilter::default() };
                choose_one(&mut filter, value_one);
                choose_two(&mut filter, value_two);
                // Of two values of one filter the second counts.
                let one = if one == two { String::new() } else { format!("AND {one} = '{value_one}'") };
                let expected = database
                    .texts(&format!(
                        "SELECT id FROM analysis WHERE {two} = '{value_two}' {one} AND created_at >= {} AND created_at < {} \
                         ORDER BY id DESC LIMIT 20",
                        since.unwrap_or(0),
                        until.unwrap_or(i64::MAX)
                    ))
                    .await;
                let page = PageRequest::first(20);
                let found = store.list_analyses(store.default_workspace(), &filter, &page).await.unwrap();
                let found: Vec<_> = found.items.into_iter().map(|analysis| analysis.id).collect();
                assert_eq!(found, expected, "{filter:?}");
            }
        }
    }
}

async fn deliveries_are_listed_by_any_two_filters(database: &Database) {
    let store = database.store().await;
    fill(database, &store).await;
    for integration in [None, Some("one"), Some("two"), Some("none")] {
        for repository in [None, Some("octo/app"), Some("octo/none")] {
            for status in
                [None, Some(DeliveryStatus::Done), Some(DeliveryStatus::Ignored), Some(DeliveryStatus::Dead)]
            {
                let filter = DeliveryFilter {
                    integration: integration.map(str::to_owned),
                    repository: repository.map(str::to_owned),
                    status,
                    ..DeliveryFilter::default()
                };
                let wanted = [
                    ("integration", integration),
                    ("repository", repository),
                    ("status", status.map(DeliveryStatus::as_str)),
                ];
                let mut query = "SELECT id FROM delivery WHERE 1 = 1".to_owned();
                for (column, value) in wanted {
                    if let Some(value) = value {
                        query.push_str(&format!(" AND {column} = '{value}'"));
                    }
                }
                let expected = database.texts(&format!("{query} ORDER BY id DESC LIMIT 20")).await;
                let page = PageRequest::first(20);
                let found = store.list_deliveries(store.default_workspace(), &filter, &page).await.unwrap();
                let found: Vec<_> = found.items.into_iter().map(|delivery| delivery.id).collect();
                assert_eq!(found, expected, "{filter:?}");
            }
        }
    }
}

async fn recent_clusters_say_where_they_were_seen(database: &Database) {
    let store = database.store().await;
    fill(database, &store).await;
    let workspace = store.default_workspace().to_owned();
    let analyses = database.texts("SELECT id FROM analysis ORDER BY id LIMIT 3").await;
    // The third is of octo/lib, as the rows are.
    for (analysis, repository) in analyses.iter().zip(["octo/app", "octo/app", "octo/lib"]) {
        let hit = ClusterHit {
            workspace: workspace.clone(),
            fingerprint: "f".to_owned(),
            category: None,
            root_cause: Some("A Cause of 100%".to_owned()),
            repository: repository.to_owned(),
            analysis: analysis.clone(),
        };
        store.write(vec![Write::UpsertCluster(hit)]).await.unwrap();
    }
    let filter = ClusterFilter { repository: Some("octo/app".to_owned()), ..ClusterFilter::default() };
    let page = PageRequest::default();
    let recent = store.recent_clusters(&workspace, &filter, &page).await.unwrap().items;
    assert_eq!(recent.len(), 1);
    assert_eq!((recent[0].count, recent[0].repository_count), (3, 2));
    assert_eq!(recent[0].repositories, ["octo/lib"]);
    assert_eq!(store.find_clusters(&workspace, "cause OF 100%", 10).await.unwrap(), recent);
    assert!(store.find_clusters(&workspace, "100_", 10).await.unwrap().is_empty());
    let found = store.find_failing_repositories(&workspace, "OCTO", 10).await.unwrap();
    assert_eq!(found.iter().map(|(_, failures)| failures).sum::<i64>(), 3);
    assert_eq!(found.len(), 2);
}
