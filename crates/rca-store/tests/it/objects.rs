//! The other objects: integrations, repositories, analyses, clusters, comments, tokens, incidents, audit.

use crate::support::{integration, on_both_engines};
use rca_store::testing::Database;
use rca_store::{
    Analysis, AnalysisFilter, ClusterFilter, ClusterHit, Comment, ErrorKind, Feedback, HookChange,
    IntegrationChange, NewApiToken, NewAudit, NewHook, NewIncident, NewRepository, PageRequest,
    RepositoryFilter, Retention, SecretOwner, Write, new_id,
};
use secrecy::SecretString;
use serde_json::json;

on_both_engines!(
    an_analysis_is_made_once,
    ingest_is_deduplicated_by_its_key,
    analyses_are_found_by_what_they_are,
    clusters_count_each_analysis_once,
    thousands_of_repositories_are_synced,
    integrations_change_in_part,
    comments_and_feedback_are_kept_once,
    api_tokens_end,
    incidents_open_once,
    an_altered_audit_is_noticed,
    settings_and_marks_survive,
    hooks_change_in_part,
    only_what_ended_long_ago_is_pruned,
);

fn analysis(workspace: &str, job: &str) -> Analysis {
    Analysis {
        id: new_id(),
        workspace: workspace.to_owned(),
        forge: "github".to_owned(),
        repository_key: "r1".to_owned(),
        repository: "octo/app".to_owned(),
        run_id: "100".to_owned(),
        attempt: 1,
        job_id: job.to_owned(),
        source: "webhook".to_owned(),
        state: "queued".to_owned(),
        data: json!({}),
        ..Analysis::default()
    }
}

async fn an_analysis_is_made_once(database: &Database) {
    let store = database.store().await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let store = store.clone();
        calls.spawn(async move {
            let new = analysis(store.default_workspace(), "1");
            store.create_analysis_if_new(new).await.unwrap()
        });
    }
    let (mut new, mut ids) = (0, std::collections::BTreeSet::new());
    while let Some(made) = calls.join_next().await {
        let (analysis, is_new) = made.unwrap();
        new += usize::from(is_new);
        ids.insert(analysis.id);
    }
    assert_eq!((new, ids.len()), (1, 1));
    let second_attempt = Analysis { attempt: 2, ..analysis(store.default_workspace(), "1") };
    assert!(store.create_analysis_if_new(second_attempt).await.unwrap().1);
}

async fn ingest_is_deduplicated_by_its_key(database: &Database) {
    let store = database.store().await;
    let keyed = |job: &str, key: &str| Analysis {
        idempotency_key: Some(key.to_owned()),
        ..analysis(store.default_workspace(), job)
    };
    let (first, new) = store.create_analysis_if_new(keyed("1", "k")).await.unwrap();
    assert!(new);
    // Another job under the same key is the same request again.
    let (second, new) = store.create_analysis_if_new(keyed("2", "k")).await.unwrap();
    assert_eq!((second.id, new), (first.id, false));
    assert!(store.create_analysis_if_new(keyed("3", "other")).await.unwrap().1);
}

async fn analyses_are_found_by_what_they_are(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace();
    let id = integration(&store).await;
    let full = Analysis {
        integration: Some(id.clone()),
        root_run_id: Some("99".into()),
        job_name: Some("test \0 odd".into()),
        branch: Some("main".into()),
        commit_sha: Some("abc".into()),
        pr: Some("42".into()),
        pipeline_url: Some("https://example.com/p".into()),
        job_url: Some("https://example.com/j".into()),
        category: Some("test_failure".into()),
        severity: Some("high".into()),
        fingerprint: Some("f".into()),
        introduced_by: Some(json!({ "verdict": "this_change" })),
        report: Some(json!({ "root_cause": "a \u{0} byte", "confidence": 0.9 })),
        data: json!({ "verdicts": [] }),
        finished_at: Some(5),
        ..analysis(workspace, "1")
    };
    let (made, _) = store.create_analysis_if_new(full.clone()).await.unwrap();
    let expected =
        Analysis { job_name: Some("test \u{fffd} odd".into()), created_at: made.created_at, ..full.clone() };
    assert_eq!(store.get_analysis(workspace, &full.id).await.unwrap(), Some(expected));
    assert_eq!(store.get_analysis("other", &full.id).await.unwrap(), None);
    store.create_analysis_if_new(analysis(workspace, "2")).await.unwrap();
    let none = AnalysisFilter::default;
    for (filter, number) in [
        (none(), 2),
        (
            AnalysisFilter { severity: Some("high".into()), category: Some("test_failure".into()), ..none() },
            1,
        ),
        (AnalysisFilter { integration: Some(id), forge: Some("github".into()), ..none() }, 1),
        (AnalysisFilter { repository: Some("octo/app".into()), ..none() }, 2),
        (AnalysisFilter { repository: Some("r1".into()), branch: Some("main".into()), ..none() }, 1),
        (AnalysisFilter { run_id: Some("99".into()), ..none() }, 1),
        (AnalysisFilter { run_id: Some("100".into()), ..none() }, 2),
        (AnalysisFilter { pr: Some("42".into()), commit_sha: Some("abc".into()), ..none() }, 1),
        (AnalysisFilter { state: Some("done".into()), ..none() }, 0),
        (AnalysisFilter { since: Some(made.created_at), until: Some(i64::MAX), ..none() }, 2),
        (AnalysisFilter { until: Some(made.created_at), ..none() }, 0),
    ] {
        let found = store.list_analyses(workspace, &filter, &PageRequest::default()).await.unwrap();
        assert_eq!(found.items.len(), number, "{filter:?}");
    }
    let first = store.list_analyses(workspace, &none(), &PageRequest::first(1)).await.unwrap();
    let rest = PageRequest { limit: 1, cursor: first.next_cursor };
    let second = store.list_analyses(workspace, &none(), &rest).await.unwrap();
    assert_eq!((second.items[0].id.as_str(), second.next_cursor), (full.id.as_str(), None));
}

async fn clusters_count_each_analysis_once(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace().to_owned();
    let hit = |id: &str, repository: &str| {
        Write::UpsertCluster(ClusterHit {
            workspace: workspace.clone(),
            fingerprint: "f".into(),
            category: Some("network".into()),
            root_cause: Some("connection refused".into()),
            repository: repository.into(),
            analysis: id.into(),
        })
    };
    let (one, two) = (analysis(&workspace, "1"), analysis(&workspace, "2"));
    let (first, second) = (one.id.clone(), two.id.clone());
    let both = vec![Write::UpsertAnalysis(Box::new(one)), Write::UpsertAnalysis(Box::new(two))];
    store.write(both).await.unwrap();
    store.write(vec![hit(&first, "octo/app"), hit(&first, "octo/app")]).await.unwrap();
    let cluster = store.find_cluster(&workspace, "f").await.unwrap().unwrap();
    assert_eq!((cluster.count, cluster.state.as_str()), (1, "active"));
    let fixed = Write::SetClusterState {
        workspace: workspace.clone(),
        id: cluster.id.clone(),
        state: "resolved".into(),
        last_fix: Some("abc123".into()),
    };
    store.write(vec![fixed]).await.unwrap();
    store.write(vec![hit(&second, "octo/lib")]).await.unwrap();
    let cluster = store.get_cluster(&workspace, &cluster.id).await.unwrap().unwrap();
    assert_eq!((cluster.count, cluster.state.as_str()), (2, "active"));
    assert_eq!(cluster.last_fix.as_deref(), Some("abc123"));
    assert_eq!(cluster.last_analysis.as_ref(), Some(&second));
    let mut repositories = cluster.repositories.clone();
    repositories.sort();
    assert_eq!(repositories, ["octo/app", "octo/lib"]);
    store.set_cluster_state(&workspace, &cluster.id, "acknowledged", "ann").await.unwrap();
    let filter = ClusterFilter {
        state: Some("acknowledged".into()),
        repository: Some("octo/lib".into()),
        category: Some("network".into()),
        ..ClusterFilter::default()
    };
    let listed = store.list_clusters(&workspace, &filter, &PageRequest::default()).await.unwrap();
    assert_eq!(listed.items.len(), 1);
    assert_eq!(listed.items[0].repositories.len(), 2);
}

async fn thousands_of_repositories_are_synced(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace().to_owned();
    let id = integration(&store).await;
    let repository = |number: usize, name: String| NewRepository {
        workspace: workspace.clone(),
        integration: id.clone(),
        forge_id: number.to_string(),
        full_name: name,
        default_branch: Some("main".into()),
        web_url: None,
        archived: false,
        has_ci: true,
        data: json!({}),
    };
    let mut all: Vec<_> =
        (0..2_000).map(|number| repository(number, format!("Group/p{number:04}"))).collect();
    all.push(repository(7, "Group/p0007".into()));
    store.upsert_repositories(all).await.unwrap();
    let mut names = Vec::new();
    let mut page = PageRequest::first(500);
    loop {
        let part = store.list_repositories(&workspace, &RepositoryFilter::default(), &page).await.unwrap();
        names.extend(part.items.into_iter().map(|repository| repository.full_name));
        match part.next_cursor {
            Some(cursor) => page.cursor = Some(cursor),
            None => break,
        }
    }
    assert_eq!(names.len(), 2_000);
    assert!(names.is_sorted());
    let found = store.find_repository_by_name(&workspace, &id, "group/P0007").await.unwrap().unwrap();
    assert_eq!(store.set_monitored(&workspace, std::slice::from_ref(&found.id), true).await.unwrap(), 1);
    // A rename keeps the id and the choice; the others are not listed any more.
    database.execute("UPDATE repository SET seen_at = 1").await;
    let synced = store.upsert_repositories(vec![repository(7, "Group/new_name".into())]).await.unwrap();
    let renamed = store.find_repository_by_forge_id(&workspace, &id, "7").await.unwrap().unwrap();
    assert_eq!((&renamed.id, renamed.monitored), (&found.id, true));
    assert_eq!(renamed.full_name, "Group/new_name");
    let filter = RepositoryFilter { monitored: Some(true), ..RepositoryFilter::default() };
    let monitored = store.list_repositories(&workspace, &filter, &PageRequest::default()).await.unwrap();
    assert_eq!(monitored.items, [renamed]);
    // The underscore is a letter here, not a wildcard.
    for (search, number) in [("NEW_N", 1), ("p199_", 0), ("p199", 10), ("%", 0)] {
        let filter = RepositoryFilter { search: Some(search.into()), ..RepositoryFilter::default() };
        let found = store.list_repositories(&workspace, &filter, &PageRequest::default()).await.unwrap();
        assert_eq!(found.items.len(), number, "{search}");
    }
    let filter = RepositoryFilter { not_seen_since: Some(synced), ..RepositoryFilter::default() };
    let gone = store.list_repositories(&workspace, &filter, &PageRequest::first(10)).await.unwrap();
    let ids: Vec<String> = gone.items.into_iter().map(|repository| repository.id).collect();
    assert_eq!(store.delete_repositories(&workspace, &ids).await.unwrap(), 10);
    assert_eq!(store.get_repository(&workspace, &ids[0]).await.unwrap(), None);
    assert_eq!(store.set_monitored("other", &[found.id], false).await.unwrap(), 0);
    let bad = PageRequest { limit: 1, cursor: Some("!".into()) };
    let error = store.list_repositories(&workspace, &RepositoryFilter::default(), &bad).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

async fn integrations_change_in_part(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace().to_owned();
    let id = integration(&store).await;
    let before = store.get_integration(&workspace, &id).await.unwrap().unwrap();
    let change = IntegrationChange { mode: Some("polling".into()), ..IntegrationChange::default() };
    let after = store.update_integration(&workspace, &id, change).await.unwrap();
    assert_eq!(after, rca_store::Integration { mode: "polling".into(), ..before });
    let health = Write::SetIntegrationHealth {
        workspace: workspace.clone(),
        id: id.clone(),
        health: json!({ "status": "broken" }),
    };
    store.write(vec![health]).await.unwrap();
    let listed = store.list_integrations(&workspace).await.unwrap();
    assert_eq!(listed[0].health, json!({ "status": "broken" }));
    assert!(store.list_integrations("other").await.unwrap().is_empty());
    let foreign = store.update_integration("other", &id, IntegrationChange::default()).await.unwrap_err();
    assert_eq!(foreign.kind(), ErrorKind::NotFound);
}

async fn comments_and_feedback_are_kept_once(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace().to_owned();
    let comment = |state: &str| Comment {
        workspace: workspace.clone(),
        integration: "i".into(),
        repository: "r".into(),
        target: "pr:42".into(),
        marker: "m".into(),
        forge_comment_id: Some("9".into()),
        state: state.into(),
        ..Comment::default()
    };
    let made = analysis(&workspace, "1");
    let id = made.id.clone();
    let feedback = |state: &str| Write::RecordFeedback {
        workspace: workspace.clone(),
        feedback: Feedback {
            analysis: id.clone(),
            target: "pr_comment".into(),
            state: state.into(),
            url: Some("https://example.com/c".into()),
            reason: None,
            updated_at: 0,
        },
    };
    store
        .write(vec![
            Write::UpsertAnalysis(Box::new(made.clone())),
            Write::UpsertComment(comment("failing")),
            Write::UpsertComment(comment("fixed")),
            feedback("posted"),
            feedback("updated"),
        ])
        .await
        .unwrap();
    let stored = store.get_comment(&workspace, "i", "r", "pr:42").await.unwrap().unwrap();
    assert_eq!(Comment { updated_at: 0, ..stored }, comment("fixed"));
    assert_eq!(store.get_comment("other", "i", "r", "pr:42").await.unwrap(), None);
    let all = store.list_feedback(&workspace, &[id.clone(), "unknown".into()]).await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[&id].len(), 1);
    assert_eq!(all[&id][0].state, "updated");
}

async fn api_tokens_end(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace().to_owned();
    let now = store.now().await.unwrap();
    let token = |hash: &str, expires_at| NewApiToken {
        workspace: workspace.clone(),
        name: "ci".into(),
        scopes: vec!["read".into(), "ingest".into()],
        role: None,
        expires_at,
        token_hash: hash.into(),
        prefix: "frca_ab".into(),
    };
    let live = store.create_api_token(token("live", None)).await.unwrap();
    store.create_api_token(token("ended", Some(now - 1))).await.unwrap();
    let twice = store.create_api_token(token("live", None)).await.unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::Conflict);
    store.touch_api_token(&live.id).await.unwrap();
    let found = store.find_api_token("live").await.unwrap().unwrap();
    assert_eq!(found.scopes, ["read", "ingest"]);
    assert!(found.last_used_at.is_some());
    assert_eq!(store.find_api_token("ended").await.unwrap(), None);
    assert_eq!(store.list_api_tokens(&workspace).await.unwrap().len(), 2);
    store.revoke_api_token(&workspace, &live.id).await.unwrap();
    assert_eq!(store.find_api_token("live").await.unwrap(), None);
    let again = store.revoke_api_token(&workspace, &live.id).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NotFound);
}

async fn incidents_open_once(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace().to_owned();
    let incident = |repository: Option<&str>| NewIncident {
        workspace: workspace.clone(),
        code: "hook_lost".into(),
        severity: "medium".into(),
        message: "the hook is gone".into(),
        remedy: "register it again".into(),
        integration: Some("i".into()),
        repository: repository.map(str::to_owned),
    };
    let (first, new) = store.open_incident(incident(None)).await.unwrap();
    assert!(new);
    let (second, new) = store.open_incident(incident(None)).await.unwrap();
    assert_eq!((second.id, new), (first.id.clone(), false));
    assert!(store.open_incident(incident(Some("r"))).await.unwrap().1);
    let resolve = Write::ResolveIncident {
        workspace: workspace.clone(),
        code: "hook_lost".into(),
        integration: Some("i".into()),
        repository: None,
    };
    store.write(vec![resolve]).await.unwrap();
    let open = store.list_incidents(&workspace, true, &PageRequest::default()).await.unwrap();
    assert_eq!(open.items.len(), 1);
    assert_eq!(open.items[0].repository.as_deref(), Some("r"));
    let (third, new) = store.open_incident(incident(None)).await.unwrap();
    assert!(new && third.id != first.id, "it came back");
    let all = store.list_incidents(&workspace, false, &PageRequest::default()).await.unwrap();
    assert_eq!(all.items.len(), 3);
}

async fn an_altered_audit_is_noticed(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace().to_owned();
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..20 {
        let (store, workspace) = (store.clone(), workspace.clone());
        calls.spawn(async move {
            let audit = NewAudit {
                workspace,
                actor: "token:ann".into(),
                action: "integration.connect".into(),
                target: number.to_string(),
                detail: json!({ "number": number }),
            };
            store.write(vec![Write::Audit(audit)]).await.unwrap();
        });
    }
    while let Some(call) = calls.join_next().await {
        call.unwrap();
    }
    let check = store.verify_audit(&workspace).await.unwrap();
    assert_eq!((check.entries, check.broken_at), (20, None));
    let page = store.list_audit(&workspace, &PageRequest::first(5)).await.unwrap();
    assert_eq!(page.items.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [20, 19, 18, 17, 16]);
    database.execute("DELETE FROM audit WHERE seq = 20").await;
    assert_eq!(store.verify_audit(&workspace).await.unwrap().broken_at, Some(20), "cut off at the end");
    database.execute("UPDATE audit SET actor = 'token:eve' WHERE seq = 12").await;
    assert_eq!(store.verify_audit(&workspace).await.unwrap().broken_at, Some(12));
    database.execute("DELETE FROM audit WHERE seq = 3").await;
    assert_eq!(store.verify_audit(&workspace).await.unwrap().broken_at, Some(3));
}

async fn settings_and_marks_survive(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace().to_owned();
    assert_eq!(store.get_settings(&workspace).await.unwrap(), json!({}));
    store.put_settings(&workspace, &json!({ "retention": { "days": 30 } })).await.unwrap();
    let mark = |value: i64| Write::SetMark {
        workspace: workspace.clone(),
        name: "poll:r1".into(),
        value: json!(value),
    };
    store.write(vec![mark(1), mark(2)]).await.unwrap();
    store.close().await;
    let store = database.store().await;
    assert_eq!(store.get_settings(&workspace).await.unwrap(), json!({ "retention": { "days": 30 } }));
    assert_eq!(store.get_mark(&workspace, "poll:r1").await.unwrap(), Some(json!(2)));
    assert_eq!(store.get_mark(&workspace, "poll:r2").await.unwrap(), None);
    let named = |name: &str| Write::SetMark {
        workspace: workspace.clone(),
        name: name.to_owned(),
        value: json!(name),
    };
    let names = ["operation:a", "operation:a/000002", "operation:a/000001", "operation:ab/000001"];
    store.write(names.map(named).to_vec()).await.unwrap();
    let found = store.list_marks(&workspace, "operation:a/").await.unwrap();
    let expected = ["operation:a/000001", "operation:a/000002"].map(|name| (name.to_owned(), json!(name)));
    assert_eq!(found, expected, "those below the name, in order");
    assert_eq!(store.list_marks("another", "operation:a/").await.unwrap(), []);
    let soon = Retention { tasks_ms: -1000, ..Retention::default() };
    assert_eq!(store.prune(None, soon, 3).await.unwrap().operations, 3, "a few at a time");
    assert_eq!(store.prune(None, soon, 100).await.unwrap().operations, 1);
    assert_eq!(store.get_mark(&workspace, "poll:r1").await.unwrap(), Some(json!(2)), "only operations end");
    let missing = store.put_settings("other", &json!({})).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);

    // Settings change together with their secrets, and only as they were read.
    let known = store.get_settings(&workspace).await.unwrap();
    let owner = SecretOwner::settings(&workspace);
    let token = || vec![("log_source:1".to_owned(), SecretString::from("t"))];
    let (one, two) = (json!({ "sources": 1 }), json!({ "sources": 2 }));
    assert!(store.change_settings(&workspace, &known, &one, &token(), &[]).await.unwrap());
    assert!(!store.change_settings(&workspace, &known, &two, &[], &["log_source:1".into()]).await.unwrap());
    assert_eq!(store.get_settings(&workspace).await.unwrap(), one);
    assert!(store.get_secret(&workspace, &owner, "log_source:1").await.unwrap().is_some());
    assert!(store.change_settings(&workspace, &one, &two, &[], &["log_source:1".into()]).await.unwrap());
    assert!(store.get_secret(&workspace, &owner, "log_source:1").await.unwrap().is_none());
    let other = store.create_workspace("other").await.unwrap();
    assert_eq!(store.get_settings(&other).await.unwrap(), json!({}));
}

async fn hooks_change_in_part(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace().to_owned();
    let id = integration(&store).await;
    store
        .insert_hook(NewHook {
            id: "h1".into(),
            workspace: workspace.clone(),
            integration: id.clone(),
            repository: Some("r1".into()),
            forge: "github".into(),
            state: "none".into(),
            secret: SecretString::from("s"),
            token_hash: None,
            data: json!({}),
        })
        .await
        .unwrap();
    let change = HookChange {
        state: Some("unhealthy".into()),
        forge_hook_id: Some("77".into()),
        last_delivery_at: Some(5),
        last_error: Some(Some("arrived only by poll".into())),
        data: None,
    };
    store.update_hook(&workspace, "h1", change).await.unwrap();
    let clear = HookChange { last_error: Some(None), state: Some("active".into()), ..HookChange::default() };
    let write = Write::SetHookState { workspace: workspace.clone(), id: "h1".into(), change: clear };
    store.write(vec![write]).await.unwrap();
    store.count_unsigned("h1").await.unwrap();
    let hook = store.find_hook_of_repository(&workspace, "r1").await.unwrap().unwrap();
    assert_eq!((hook.state.as_str(), hook.last_error, hook.unsigned_seen), ("active", None, 1));
    assert_eq!((hook.forge_hook_id.as_deref(), hook.last_delivery_at), (Some("77"), Some(5)));
    assert_eq!(store.list_hooks(&workspace, &id).await.unwrap().len(), 1);
    let missing = store.update_hook("other", "h1", HookChange::default()).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);

    // Those for more than one repository are told apart, and can go to another integration of the workspace.
    assert!(store.list_wide_hooks(&workspace, &id).await.unwrap().is_empty());
    let wide = NewHook {
        id: "h2".into(),
        workspace: workspace.clone(),
        integration: id.clone(),
        repository: None,
        forge: "github".into(),
        state: "registered".into(),
        secret: SecretString::from("s"),
        token_hash: None,
        data: json!({}),
    };
    store.insert_hook(wide).await.unwrap();
    let heir = integration(&store).await;
    store.move_hook(&workspace, "h2", &heir).await.unwrap();
    assert!(store.list_wide_hooks(&workspace, &id).await.unwrap().is_empty());
    assert_eq!(store.list_wide_hooks(&workspace, &heir).await.unwrap()[0].id, "h2");
    for (workspace, heir) in [("other", heir.as_str()), (&workspace, "nobody")] {
        let missing = store.move_hook(workspace, "h2", heir).await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }
}

async fn only_what_ended_long_ago_is_pruned(database: &Database) {
    let store = database.store().await;
    let workspace = store.default_workspace().to_owned();
    let old = analysis(&workspace, "1");
    let id = old.id.clone();
    let feedback = Feedback {
        analysis: id.clone(),
        target: "pr_comment".into(),
        state: "posted".into(),
        url: None,
        reason: None,
        updated_at: 0,
    };
    let done = Analysis { state: "done".into(), ..old };
    let queued = analysis(&workspace, "2");
    store
        .write(vec![
            Write::UpsertAnalysis(Box::new(done)),
            Write::UpsertAnalysis(Box::new(queued)),
            Write::RecordFeedback { workspace: workspace.clone(), feedback },
        ])
        .await
        .unwrap();
    for key in ["done", "pending", "dead"] {
        let task = crate::support::task(&store, key).with_priority(if key == "pending" { -1 } else { 0 });
        store.accept_delivery(crate::support::delivery(&store, key), task).await.unwrap();
    }
    for held in store.claim(&["work"], 2, 60_000).await.unwrap() {
        let outcome = match held.dedup_key.as_str() {
            "done" => rca_store::Outcome::Done,
            _ => rca_store::Outcome::Dead { error: "no".into() },
        };
        store.settle(&held, outcome, vec![]).await.unwrap();
    }
    database.execute("UPDATE analysis SET created_at = 1; UPDATE task SET updated_at = 1").await;
    let long = 100 * 365 * 24 * 3_600_000;
    let kept = Retention {
        deliveries_ms: long,
        dead_ms: long,
        tasks_ms: long,
        analyses_ms: long,
        incidents_ms: long,
    };
    assert!(store.prune(None, kept, 100).await.unwrap().is_empty());
    let pruned = store
        .prune(None, Retention { dead_ms: long, deliveries_ms: 0, ..Retention::default() }, 100)
        .await
        .unwrap();
    assert_eq!((pruned.deliveries, pruned.tasks, pruned.analyses), (1, 1, 1), "the dead wait for a human");
    assert_eq!(store.get_analysis(&workspace, &id).await.unwrap(), None);
    let counts = store.count_deliveries(&workspace).await.unwrap();
    assert!(counts.is_balanced());
    assert_eq!((counts.pending, counts.dead, counts.done), (1, 1, 0));
    let pruned = store
        .prune(None, Retention { deliveries_ms: 0, dead_ms: 0, ..Retention::default() }, 100)
        .await
        .unwrap();
    assert_eq!((pruned.deliveries, pruned.tasks), (1, 1));
    assert_eq!(store.claim(&["work"], 9, 60_000).await.unwrap().len(), 1, "what is pending stays");
}
