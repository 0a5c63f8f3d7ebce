//! From a delivery to a comment, and back to green.

use std::time::Duration;

use forge_core::{
    ErrorKind,
    model::{Conclusion, Job, Status},
};
use rca_flow::types::{AnalyseRequest, AnalysisFilter, AnalysisView, ReplaceTokenRequest};
use tokio_util::sync::CancellationToken;

use crate::stub::{PYTEST, World, contains, disk, finished};

async fn analyses(world: &World) -> Vec<AnalysisView> {
    world.flow.list_analyses(&world.caller, &AnalysisFilter::default()).await.unwrap().items
}

/// Lets a real worker go on until `is_done`; what is put off for a second is waited for.
async fn run_until(world: &World, is_done: impl Fn(&World) -> bool + Send + Sync) {
    let shutdown = CancellationToken::new();
    let (worker, stop) = (world.worker.clone(), shutdown.clone());
    let running = tokio::spawn(async move { worker.run(stop).await });
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while !is_done(world) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(waited.await.is_ok(), "it never came");
    shutdown.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_failed_run_becomes_one_comment_with_the_cause() {
    let world = World::connected().await;
    world.stub.add_failed_run("10", "aaa", &[("unit", PYTEST)], Some("42"));
    assert_eq!(world.deliver("d1", &finished("10", true)).await, "accepted");
    assert_eq!(world.deliver("d1", &finished("10", true)).await, "duplicate");
    world.drain().await;

    let all = analyses(&world).await;
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].state.as_str(), all[0].source.as_str()), ("done", "webhook"));
    assert_eq!(all[0].pr.as_deref(), Some("42"));
    assert!(all[0].cluster_id.is_some());
    let full = world.flow.get_analysis(&world.caller, &all[0].id).await.unwrap();
    let report = full.report.unwrap();
    assert!(!report.root_cause.is_empty());
    assert!(!report.evidence.is_empty());
    assert_eq!(full.feedback[0].target, "pr:42");
    assert_eq!(full.feedback[0].state, "posted");
    assert!(full.feedback[0].url.is_some());

    let state = world.stub.lock();
    assert_eq!(state.comments.len(), 1);
    assert_eq!(state.comments[0].target, "pr:42");
    assert!(state.comments[0].body.contains("test_total_price"), "{}", state.comments[0].body);
    assert_eq!(state.statuses.len(), 1);
}

#[tokio::test]
async fn saying_it_again_sends_nothing() {
    let world = World::connected().await;
    world.stub.add_failed_run("10", "aaa", &[("unit", PYTEST)], Some("42"));
    world.deliver("d1", &finished("10", true)).await;
    world.drain().await;
    assert_eq!(world.stub.calls("pull_comment"), 1);
    // A second event of the same run, e.g. of another kind: same analyses, same text.
    world.deliver("d2", &finished("10", true)).await;
    world.drain().await;
    assert_eq!(world.stub.calls("pull_comment"), 1);
    assert_eq!(world.stub.calls("set_status"), 1);
    assert_eq!(world.stub.calls("job_log"), 1);
    assert_eq!(analyses(&world).await.len(), 1);
    // Another workflow passes on the same branch: it heals nothing, and there is nothing new to say.
    world.stub.add_passed_run("20", "aaa", Some("42"));
    world.stub.lock().runs.get_mut("20").unwrap().name = Some("docs".to_owned());
    world.deliver("d3", &finished("20", false)).await;
    assert_eq!(world.drain().await, 2, "the delivery, and the comment that is looked at again");
    assert_eq!(world.stub.calls("pull_comment"), 1);
    assert_eq!(world.stub.calls("set_status"), 1);
    assert!(world.stub.lock().comments[0].body.contains("1 job failed"));
}

#[tokio::test]
async fn a_comment_whose_answer_was_lost_is_found_again() {
    let world = World::connected().await;
    world.stub.add_failed_run("10", "aaa", &[("unit", PYTEST)], Some("42"));
    world.stub.lock().lost_answers = 1;
    world.deliver("d1", &finished("10", true)).await;
    world.drain().await;
    assert_eq!(world.stub.lock().comments.len(), 1, "it was posted, and we do not know");
    run_until(&world, |world| world.stub.lock().comments[0].edits > 0).await;
    world.drain().await;
    assert_eq!(world.stub.lock().comments.len(), 1);
    let all = analyses(&world).await;
    assert_eq!(all[0].feedback[0].state, "updated");
}

#[tokio::test]
async fn all_failed_jobs_and_only_those_are_in_one_comment() {
    let world = World::connected().await;
    world.stub.add_failed_run(
        "10",
        "aaa",
        &[
            ("unit", PYTEST),
            ("unit 3.12", PYTEST),
            ("allowed", PYTEST),
            ("stopped", PYTEST),
            ("child", "sh: 1: frobnicate: not found\n"),
        ],
        Some("42"),
    );
    {
        let mut state = world.stub.lock();
        let jobs = state.jobs.get_mut("10").unwrap();
        jobs[2].is_allowed_to_fail = true;
        jobs[3].conclusion = Some(Conclusion::Cancelled);
        jobs[4].run_id = "11".to_owned();
    }
    world.deliver("d1", &finished("10", true)).await;
    world.drain().await;
    let all = analyses(&world).await;
    assert_eq!(all.len(), 3);
    assert!(all.iter().any(|analysis| analysis.run_id == "11"));
    let state = world.stub.lock();
    assert_eq!(state.comments.len(), 1);
    let body = &state.comments[0].body;
    assert!(body.contains("3 jobs failed"), "{body}");
    assert!(body.contains("\u{d7}2"), "{body}");
    assert!(!body.contains("allowed") && !body.contains("stopped"), "{body}");
}

/// A run `10` that goes on and has started run `11`, whose job has failed.
fn parent_and_child(world: &World) {
    world.stub.add_failed_run("11", "aaa", &[("unit", PYTEST)], Some("42"));
    world.stub.add_failed_run("10", "aaa", &[("lint", "sh: 1: ruff: not found\n")], Some("42"));
    let mut state = world.stub.lock();
    let of_child = state.jobs["11"][0].clone();
    let jobs = state.jobs.get_mut("10").unwrap();
    (jobs[0].status, jobs[0].conclusion) = (Status::Running, None);
    jobs.push(of_child);
    let run = state.runs.get_mut("10").unwrap();
    (run.status, run.conclusion) = (Status::Running, None);
}

#[tokio::test]
async fn a_child_run_is_told_in_its_parents_comment_before_the_parent_ends() {
    let world = World::connected().await;
    parent_and_child(&world);
    let mut event = finished("11", true);
    event.parent_run_id = Some("10".to_owned());
    world.deliver("d1", &event).await;
    world.drain().await;
    let all = analyses(&world).await;
    assert_eq!((all[0].run_id.as_str(), all[0].root_run_id.as_str()), ("11", "10"));
    assert!(world.stub.lock().comments[0].body.contains("unit"));

    {
        let mut state = world.stub.lock();
        let lint = &mut state.jobs.get_mut("10").unwrap()[0];
        (lint.status, lint.conclusion) = (Status::Completed, Some(Conclusion::Failure));
        let run = state.runs.get_mut("10").unwrap();
        (run.status, run.conclusion) = (Status::Completed, Some(Conclusion::Failure));
    }
    world.deliver("d2", &finished("10", true)).await;
    world.drain().await;
    assert_eq!(analyses(&world).await.len(), 2, "the child's job is not analysed twice");
    let state = world.stub.lock();
    assert_eq!(state.comments.len(), 1);
    let body = &state.comments[0].body;
    assert!(body.contains("2 jobs failed") && body.contains("unit") && body.contains("lint"), "{body}");
}

#[tokio::test]
async fn a_child_run_that_came_without_its_parent_is_put_below_it_later() {
    let world = World::connected().await;
    parent_and_child(&world);
    world.deliver("d1", &finished("11", true)).await;
    world.drain().await;
    assert_eq!(analyses(&world).await[0].root_run_id, "11");
    let run = |world: &World| {
        let mut state = world.stub.lock();
        let run = state.runs.get_mut("10").unwrap();
        (run.status, run.conclusion) = (Status::Completed, Some(Conclusion::Failure));
    };
    run(&world);
    world.deliver("d2", &finished("10", true)).await;
    world.drain().await;
    let all = analyses(&world).await;
    assert_eq!((all.len(), all[0].root_run_id.as_str()), (1, "10"));
    let state = world.stub.lock();
    assert_eq!(state.comments.len(), 1);
    assert!(state.comments[0].body.contains("1 job failed"), "{}", state.comments[0].body);
}

#[tokio::test]
async fn five_hundred_jobs_are_one_comment_within_the_limit() {
    let world = World::connected().await;
    let names: Vec<(String, String)> = (0..500)
        .map(|number| {
            (
                format!("job {number}"),
                format!("make: *** [all] Error 1\nundefined_symbol_{number}: command not found\n"),
            )
        })
        .collect();
    let jobs: Vec<(&str, &str)> = names.iter().map(|(name, log)| (name.as_str(), log.as_str())).collect();
    world.stub.add_failed_run("10", "aaa", &jobs, Some("42"));
    world.deliver("d1", &finished("10", true)).await;
    world.drain().await;
    let state = world.stub.lock();
    assert_eq!(state.comments.len(), 1);
    let body = &state.comments[0].body;
    assert!(body.chars().count() <= 20_000, "{}", body.chars().count());
    assert!(body.contains("500 jobs failed"));
    assert_eq!(state.comments[0].edits, 0, "it is written once, when the last is done");
    drop(state);
    assert_eq!(world.stub.calls("pull_comment"), 1);
}

#[tokio::test]
async fn the_cascade_falls_through_and_says_why() {
    for kind in [
        ErrorKind::Forbidden,
        ErrorKind::NotFound,
        ErrorKind::Gone,
        ErrorKind::Invalid,
        ErrorKind::Unauthorized,
    ] {
        let world = World::connected().await;
        world.stub.add_failed_run("10", "aaa", &[("unit", PYTEST)], Some("42"));
        world.stub.fail("pull_comment", kind, 1);
        world.stub.fail("set_status", ErrorKind::Invalid, 1);
        world.deliver("d1", &finished("10", true)).await;
        world.drain().await;
        let all = analyses(&world).await;
        let state = |target: &str| {
            let found = all[0].feedback.iter().find(|record| record.target == target);
            found.map(|record| (record.state.clone(), record.reason.is_some()))
        };
        assert_eq!(state("pr:42"), Some(("failed".to_owned(), true)), "{kind:?}");
        assert_eq!(state("commit:aaa"), Some(("posted".to_owned(), false)), "{kind:?}");
        assert_eq!(state("status"), Some(("failed".to_owned(), true)), "{kind:?}");
    }
}

#[tokio::test]
async fn what_can_be_said_nowhere_has_its_reason() {
    let world = World::connected().await;
    world.stub.lock().has_issues_only = true;
    world.stub.add_failed_run("10", "aaa", &[("unit", PYTEST)], None);
    world.deliver("d1", &finished("10", true)).await;
    world.drain().await;
    let all = analyses(&world).await;
    let told: Vec<_> = all[0]
        .feedback
        .iter()
        .map(|record| {
            (record.target.split(':').next().unwrap(), record.state.as_str(), record.reason.as_deref())
        })
        .collect();
    let nowhere =
        "issues are switched off, and the forge has no other place for a failure without a pull request";
    let expected = [
        ("commit", "skipped", Some("the forge has no comments on commits")),
        ("issue", "skipped", Some(nowhere)),
    ];
    assert_eq!(told, expected);
    assert_eq!(all[0].state, "done");
}

#[tokio::test]
async fn the_comment_follows_attempts_and_turns_green() {
    let world = World::connected().await;
    world.stub.add_failed_run(
        "10",
        "aaa",
        &[("unit", PYTEST), ("lint", "sh: 1: ruff: not found\n")],
        Some("42"),
    );
    world.deliver("d1", &finished("10", true)).await;
    world.drain().await;
    // A new push repairs one of the two.
    world.stub.add_failed_run("20", "bbb", &[("unit", PYTEST)], Some("42"));
    world.deliver("d2", &finished("20", true)).await;
    world.drain().await;
    {
        let state = world.stub.lock();
        assert_eq!(state.comments.len(), 1);
        let body = &state.comments[0].body;
        assert!(body.contains("1 job failed") && body.contains("run 20"), "{body}");
        assert!(body.contains("1 job that failed before passes now"), "{body}");
    }
    world.stub.add_passed_run("30", "ccc", Some("42"));
    world.deliver("d3", &finished("30", false)).await;
    world.drain().await;
    let edits = {
        let state = world.stub.lock();
        assert_eq!(state.comments.len(), 1);
        let body = &state.comments[0].body;
        assert!(body.contains("All jobs pass again") && body.contains("run 30"), "{body}");
        assert!(body.contains("unit") && body.contains("lint"));
        assert!(
            state.statuses.iter().all(|(sha, _)| sha != "ccc"),
            "a commit that was never red stays without status"
        );
        state.comments[0].edits
    };
    world.stub.add_passed_run("40", "ddd", Some("42"));
    assert_eq!(world.deliver("d4", &finished("40", false)).await, "accepted");
    world.drain().await;
    assert_eq!(world.stub.lock().comments[0].edits, edits, "green is said once");
}

#[tokio::test]
async fn the_same_run_repeated_with_success_turns_green() {
    let world = World::connected().await;
    world.stub.add_failed_run("10", "aaa", &[("unit", PYTEST)], None);
    world.deliver("d1", &finished("10", true)).await;
    world.drain().await;
    assert_eq!(world.stub.lock().comments[0].target, "commit:aaa");
    {
        let mut state = world.stub.lock();
        let run = state.runs.get_mut("10").unwrap();
        run.attempt = 2;
        run.conclusion = Some(Conclusion::Success);
        state.jobs.clear();
    }
    world.deliver("d2", &finished("10", false)).await;
    world.drain().await;
    let state = world.stub.lock();
    assert_eq!(state.comments.len(), 1);
    assert!(state.comments[0].body.contains("All jobs pass again"));
    assert_eq!(state.statuses.len(), 2);
}

#[tokio::test]
async fn any_order_of_deliveries_ends_the_same() {
    for order in [["a", "b"], ["b", "a"]] {
        let world = World::connected().await;
        world.stub.add_failed_run("10", "aaa", &[("unit", PYTEST)], Some("42"));
        for id in order {
            let mut event = finished("10", id == "a");
            if id == "b" {
                // A late hint that says what is not true any more.
                event.conclusion = Some(Conclusion::Success);
            }
            world.deliver(id, &event).await;
            world.drain().await;
        }
        assert_eq!(world.stub.lock().comments.len(), 1, "{order:?}");
        assert_eq!(analyses(&world).await.len(), 1);
    }
}

#[tokio::test]
async fn a_log_that_is_gone_is_said_so() {
    let world = World::connected().await;
    world.stub.add_failed_run("10", "aaa", &[("unit", PYTEST)], Some("42"));
    world.stub.lock().logs.clear();
    world.deliver("d1", &finished("10", true)).await;
    world.drain().await;
    let all = analyses(&world).await;
    assert_eq!(all[0].state, "no_log");
    assert!(all[0].error.as_deref().unwrap().contains("expired"));
    assert!(world.stub.lock().comments[0].body.contains("expired"));
}

#[tokio::test]
async fn a_log_that_is_not_there_yet_is_waited_for() {
    let world = World::connected().await;
    world.stub.add_failed_run("10", "aaa", &[("unit", PYTEST)], Some("42"));
    world.stub.fail("job_log", ErrorKind::NotReady, 1);
    world.deliver("d1", &finished("10", true)).await;
    world.drain().await;
    assert_eq!(analyses(&world).await[0].state, "queued");
    run_until(&world, |world| !world.stub.lock().comments.is_empty()).await;
    assert_eq!(analyses(&world).await[0].state, "done");
}

#[tokio::test]
async fn a_refused_configuration_is_a_report_of_its_own() {
    let world = World::connected().await;
    world.stub.add_failed_run("10", "aaa", &[], Some("42"));
    world.stub.lock().runs.get_mut("10").unwrap().config_error =
        Some("jobs:test config contains unknown keys: scritp".to_owned());
    world.deliver("d1", &finished("10", true)).await;
    world.drain().await;
    let all = analyses(&world).await;
    assert_eq!(all[0].state, "done");
    let report = all[0].report.as_ref().unwrap();
    assert_eq!(report.root_cause, "jobs:test config contains unknown keys: scritp");
    assert_eq!(serde_json::to_value(report.category).unwrap(), "config_error");
    assert!(world.stub.lock().comments[0].body.contains("scritp"));
}

#[tokio::test]
async fn a_dead_token_parks_the_work_and_a_new_one_frees_it() {
    let world = World::connected().await;
    world.stub.add_failed_run("10", "aaa", &[("unit", PYTEST)], Some("42"));
    world.stub.lock().token = "another-token".to_owned();
    world.deliver("d1", &finished("10", true)).await;
    world.drain().await;
    let view = world.flow.get_integration(&world.caller, &world.integration).await.unwrap();
    assert_eq!(serde_json::to_value(view.health.credential).unwrap(), "rejected");
    assert_eq!(world.drain().await, 0, "its tasks wait");
    let request = ReplaceTokenRequest { token: "another-token".to_owned().into(), email: None };
    let view = world.flow.replace_token(&world.caller, &world.integration, request).await.unwrap();
    assert_eq!(serde_json::to_value(view.health.credential).unwrap(), "valid");
    run_until(&world, |world| !world.stub.lock().comments.is_empty()).await;
    assert_eq!(analyses(&world).await[0].state, "done");
}

#[tokio::test]
async fn a_secret_in_a_log_is_nowhere() {
    let canary = "ghp_1a2B3c4D5e6F7g8H9i0J1k2L3m4N5o6P7q8R";
    let world = World::connected().await;
    let log = format!(
        "export TOKEN={canary}\n{PYTEST}\nfatal: could not read from https://x:{canary}@host.example/\n"
    );
    world.stub.add_failed_run("10", "aaa", &[("unit", &log)], Some("42"));
    world.deliver("d1", &finished("10", true)).await;
    world.drain().await;
    assert!(!world.stub.lock().comments[0].body.contains(canary));
    assert!(!contains(&disk(&world), canary));
    assert!(!contains(&disk(&world), "good-token"));
}

#[tokio::test]
async fn analysing_by_hand_posts_nothing() {
    let world = World::connected().await;
    world.stub.add_failed_run("10", "aaa", &[("unit", PYTEST), ("lint", PYTEST)], Some("42"));
    let request: AnalyseRequest = serde_json::from_value(serde_json::json!({
        "integration_id": world.integration, "repository": "group/shop", "run_id": "10", "job_id": "10-lint",
    }))
    .unwrap();
    let answer = world.flow.analyse(&world.caller, request.clone()).await.unwrap();
    assert_eq!(answer.analyses.len(), 1);
    assert_eq!(answer.analyses[0].job_id, "10-lint");
    world.drain().await;
    assert!(world.stub.lock().comments.is_empty());
    assert_eq!(analyses(&world).await[0].state, "done");
    // A hook that tells of the same run later has it said, without reading the log again.
    world.deliver("d1", &finished("10", true)).await;
    world.drain().await;
    assert_eq!(world.stub.lock().comments.len(), 1);
    assert!(world.stub.lock().comments[0].body.contains("2 jobs failed"));
    assert_eq!(world.stub.calls("job_log"), 2);
    let unknown = AnalyseRequest { run_id: "99".to_owned(), ..request };
    assert_eq!(world.flow.analyse(&world.caller, unknown).await.unwrap_err().code, "not_found");
}

#[tokio::test]
async fn an_unmonitored_repository_is_left_alone() {
    let world = World::connected().await;
    let id = world.repository().await;
    let (hook, secret) = world.hook();
    let request = rca_flow::types::MonitorRequest { remove: vec![id], ..Default::default() };
    world.flow.monitor(&world.caller, &world.integration, request).await.unwrap();
    assert!(world.stub.lock().hooks.is_empty());
    world.stub.add_failed_run("10", "aaa", &[("unit", PYTEST)], Some("42"));
    let body = serde_json::to_vec(&finished("10", true)).unwrap();
    let headers = crate::stub::signed(&body, &secret, None);
    let refused = world.flow.receive(forge_core::ForgeKind::GITHUB, &hook, &headers, None, body.into()).await;
    assert!(matches!(refused, Err(rca_flow::Refused::Unproved)));
    world.drain().await;
    assert!(world.stub.lock().comments.is_empty());
}

#[tokio::test]
async fn running_jobs_and_unknown_runs_make_no_analysis() {
    let world = World::connected().await;
    world.stub.add_failed_run("10", "aaa", &[("unit", PYTEST)], Some("42"));
    world.stub.lock().runs.get_mut("10").unwrap().status = Status::Running;
    let mut event = finished("10", true);
    event.kind = forge_core::model::EventKind::Job;
    event.job_id = Some("10-unit".to_owned());
    world.deliver("d1", &event).await;
    world.drain().await;
    assert!(analyses(&world).await.is_empty());
    let job = Job::new("1", "2", "x");
    assert!(!job.is_failed());
    let list = world.flow.list_deliveries(&world.caller, &Default::default()).await.unwrap();
    assert_eq!(list.items[0].status, "ignored");
    assert!(list.items[0].reason.is_some());
}

#[tokio::test]
async fn what_only_the_poll_saw_is_analysed_and_the_hook_is_doubted() {
    let world = World::connected_by("hybrid").await;
    world.drain().await;
    world.stub.add_failed_run("10", "aaa", &[("unit", PYTEST)], Some("42"));
    world.stub.lock().runs.get_mut("10").unwrap().finished_at =
        Some(jiff::Timestamp::now() - jiff::SignedDuration::from_mins(5));
    run_until(&world, |world| !world.stub.lock().comments.is_empty()).await;
    assert_eq!(analyses(&world).await[0].source, "poll");
    let list =
        world.flow.list_repositories(&world.caller, &world.integration, &Default::default()).await.unwrap();
    assert_eq!(list.items[0].hook.state, "unhealthy");
    assert_eq!(list.items[0].hook.last_error.as_deref(), Some("arrived only by poll"));
    // The delivery that comes after all finds everything done.
    world.deliver("late", &finished("10", true)).await;
    world.drain().await;
    assert_eq!(analyses(&world).await.len(), 1);
    assert_eq!(world.stub.calls("pull_comment"), 1);
}

#[tokio::test]
async fn a_stopped_worker_leaves_its_work_to_the_next() {
    let world = World::connected().await;
    world.stub.add_failed_run("10", "aaa", &[("unit", PYTEST)], Some("42"));
    // Two workers share the queue; one ends at once.
    let stopped = CancellationToken::new();
    stopped.cancel();
    world.deliver("d1", &finished("10", true)).await;
    world.worker.run(stopped).await;
    assert!(world.stub.lock().comments.is_empty());
    let counts = world.flow.store().count_deliveries(&world.caller.workspace).await.unwrap();
    assert_eq!(counts.pending, 1);
    run_until(&world, |world| !world.stub.lock().comments.is_empty()).await;
    let counts = world.flow.store().count_deliveries(&world.caller.workspace).await.unwrap();
    assert_eq!((counts.pending, counts.done), (0, 1));
}

#[tokio::test]
async fn a_worker_killed_between_the_comment_and_its_record_makes_no_second_one() {
    let world = World::connected().await;
    world.stub.add_failed_run("10", "aaa", &[("unit", PYTEST)], Some("42"));
    world.stub.lock().hangs_after_post = true;
    world.deliver("d1", &finished("10", true)).await;
    let worker = world.worker.clone().with_lease(Duration::from_millis(300));
    let killed = tokio::spawn(async move { worker.run(CancellationToken::new()).await });
    let posted = tokio::time::timeout(Duration::from_secs(20), async {
        while world.stub.lock().comments.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    posted.await.unwrap();
    killed.abort();
    assert!(killed.await.unwrap_err().is_cancelled());
    world.stub.lock().hangs_after_post = false;
    assert!(analyses(&world).await[0].feedback.is_empty(), "nothing of it is recorded");
    run_until(&world, |world| world.stub.lock().comments[0].edits > 0).await;
    world.drain().await;
    assert_eq!(world.stub.lock().comments.len(), 1);
    assert_eq!(analyses(&world).await[0].feedback[0].state, "updated");
}

#[tokio::test]
async fn a_failure_that_is_told_after_its_repair_is_not_said() {
    let world = World::connected().await;
    world.stub.add_failed_run("10", "aaa", &[("unit", PYTEST)], Some("42"));
    world.stub.add_passed_run("20", "bbb", Some("42"));
    world.deliver("d2", &finished("20", false)).await;
    world.drain().await;
    world.deliver("d1", &finished("10", true)).await;
    world.drain().await;
    assert_eq!(analyses(&world).await[0].state, "done");
    assert!(world.stub.lock().comments.is_empty(), "the newest run of the branch has passed");
}

#[tokio::test]
async fn our_own_status_makes_no_work() {
    let world = World::connected().await;
    let mut event = finished("10", true);
    event.kind = forge_core::model::EventKind::Status;
    event.job_name = Some("forge-rca".to_owned());
    assert_eq!(world.deliver("s1", &event).await, "ignored");
    assert_eq!(world.drain().await, 0);
}
