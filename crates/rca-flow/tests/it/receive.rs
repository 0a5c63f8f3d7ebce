//! What is believed, and what is stored.

use forge_core::ForgeKind;
use rca_flow::{FlowError, Refused};
use secrecy::SecretString;

use crate::stub::{PYTEST, World, contains, disk, finished, sha256, signed};

#[tokio::test]
async fn every_refusal_is_the_same_and_leaves_no_row() {
    let world = World::connected().await;
    let (hook, secret) = world.hook();
    let body = serde_json::to_vec(&finished("10", true)).unwrap();
    let good = signed(&body, &secret, Some("d1"));
    let forged = signed(&body, "guessed", Some("d1"));
    let empty = signed(&body, "", Some("d1"));
    let mut twice = good.clone();
    twice.append("x-signature", "sha256=00".parse().unwrap());
    let mut weak = good.clone();
    weak.insert("x-signature", "sha1=0123456789012345678901234567890123456789".parse().unwrap());
    let none = http::HeaderMap::new();
    let unknown = "0".repeat(hook.len());
    let mut flipped = body.clone();
    flipped[0] ^= 1;
    let cases = [
        (ForgeKind::GITHUB, hook.as_str(), &forged, &body),
        (ForgeKind::GITHUB, hook.as_str(), &empty, &body),
        (ForgeKind::GITHUB, hook.as_str(), &none, &body),
        (ForgeKind::GITHUB, hook.as_str(), &twice, &body),
        (ForgeKind::GITHUB, hook.as_str(), &weak, &body),
        (ForgeKind::GITHUB, hook.as_str(), &good, &flipped),
        (ForgeKind::GITHUB, unknown.as_str(), &good, &body),
        (ForgeKind::GITHUB, "../../etc/passwd", &good, &body),
        (ForgeKind::GITLAB, hook.as_str(), &good, &body),
        (ForgeKind::GITFLIC, hook.as_str(), &good, &body),
    ];
    let mut answers = Vec::new();
    for (forge, hook, headers, body) in cases {
        let refused = world.flow.receive(forge, hook, headers, None, body.clone().into()).await.unwrap_err();
        assert!(matches!(refused, Refused::Unproved));
        let error = FlowError::from(refused);
        answers.push((error.code, error.message, error.kind.status()));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].2, 401);
    let list = world.flow.list_deliveries(&world.caller, &Default::default()).await.unwrap();
    assert!(list.items.is_empty());
}

#[tokio::test]
async fn an_unknown_hook_costs_the_same_work() {
    let world = World::connected().await;
    let (hook, _) = world.hook();
    let body = serde_json::to_vec(&finished("10", true)).unwrap();
    for hook in [hook.as_str(), &"0".repeat(40)] {
        let before = world.stub.calls("verify");
        let headers = signed(&body, "guessed", None);
        let _ = world.flow.receive(ForgeKind::GITHUB, hook, &headers, None, body.clone().into()).await;
        assert_eq!(world.stub.calls("verify"), before + 1);
    }
}

#[tokio::test]
async fn the_exact_bytes_are_verified() {
    let world = World::connected().await;
    let (hook, secret) = world.hook();
    let event = serde_json::to_string(&finished("10", true)).unwrap();
    let spaced = format!("  {}\n", event.replace(',', " ,\t"));
    let headers = signed(spaced.as_bytes(), &secret, Some("d1"));
    let answer = world.flow.receive(ForgeKind::GITHUB, &hook, &headers, None, spaced.into()).await.unwrap();
    assert_eq!(answer.status, "accepted");
}

#[tokio::test]
async fn what_is_proved_and_asks_for_nothing_is_ignored_with_a_reason() {
    let world = World::connected().await;
    let (hook, secret) = world.hook();
    for (body, reason) in [("{ broken", "cannot be read"), ("\u{fffd}", "cannot be read")] {
        let headers = signed(body.as_bytes(), &secret, None);
        let answer = world.flow.receive(ForgeKind::GITHUB, &hook, &headers, None, body.into()).await.unwrap();
        assert_eq!(answer.status, "ignored");
        assert!(answer.reason.unwrap().contains(reason));
    }
    let mut ping = finished("10", true);
    ping.kind = forge_core::model::EventKind::Ping;
    ping.triggers_rca = false;
    assert_eq!(world.deliver("p1", &ping).await, "ignored");
    assert_eq!(world.deliver("p1", &ping).await, "duplicate");
    let mut foreign = finished("10", true);
    foreign.repo_id = Some("999".to_owned());
    assert_eq!(world.deliver("f1", &foreign).await, "ignored");
    assert_eq!(world.drain().await, 0);
    let counts = world.flow.store().count_deliveries(&world.caller.workspace).await.unwrap();
    assert!(counts.is_balanced());
    assert_eq!((counts.received, counts.ignored, counts.duplicate), (5, 4, 1));
    let filter = Default::default();
    let list = world.flow.list_repositories(&world.caller, &world.integration, &filter).await.unwrap();
    assert_eq!(list.items[0].hook.state, "active");
}

#[tokio::test]
async fn a_hundred_identical_deliveries_make_one_analysis() {
    let world = std::sync::Arc::new(World::connected().await);
    world.stub.add_failed_run("10", "aaa", &[("unit", PYTEST)], Some("42"));
    let mut sending = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let world = std::sync::Arc::clone(&world);
        sending.spawn(async move { world.deliver("same", &finished("10", true)).await });
    }
    let mut answers = sending.join_all().await;
    answers.sort_unstable();
    assert_eq!(answers.iter().filter(|status| **status == "accepted").count(), 1);
    assert_eq!(answers.iter().filter(|status| **status == "duplicate").count(), 99);
    world.drain().await;
    assert_eq!(world.stub.lock().comments.len(), 1);
    assert_eq!(world.stub.calls("job_log"), 1);
}

#[tokio::test]
async fn without_an_id_the_content_tells_what_is_the_same() {
    let world = World::connected().await;
    let (hook, secret) = world.hook();
    let body = serde_json::to_vec(&finished("10", true)).unwrap();
    let headers = signed(&body, &secret, None);
    let mut statuses = Vec::new();
    for _ in 0..2 {
        let answer = world.flow.receive(ForgeKind::GITHUB, &hook, &headers, None, body.clone().into()).await;
        statuses.push(answer.unwrap().status);
    }
    assert_eq!(statuses, ["accepted", "duplicate"]);
}

#[tokio::test]
async fn a_rotated_secret_works_beside_the_old_one() {
    let world = World::connected().await;
    let (_, old) = world.hook();
    let repository = world.repository().await;
    let rotated = world.flow.rotate_webhook_secret(&world.caller, &repository).await.unwrap();
    assert_eq!(rotated.secret.len(), 64);
    let (hook, new) = world.hook();
    assert_eq!(new, rotated.secret, "the forge has it");
    assert_ne!(new, old);
    assert!(rotated.webhook_url.starts_with("https://rca.example/base/v1/webhooks/github/"));
    for (number, secret) in [&old, &new, &old].into_iter().enumerate() {
        let body = serde_json::to_vec(&finished(&number.to_string(), true)).unwrap();
        let headers = signed(&body, secret, None);
        let answer = world.flow.receive(ForgeKind::GITHUB, &hook, &headers, None, body.into()).await;
        assert_eq!(answer.unwrap().status, "accepted");
    }
    assert!(!contains(&disk(&world), &new));
}

#[tokio::test]
async fn a_hook_can_be_found_by_its_token() {
    let world = World::connected().await;
    let (_, secret) = world.hook();
    let body = serde_json::to_vec(&finished("10", true)).unwrap();
    let headers = signed(&body, &secret, None);
    let token = SecretString::from(secret.clone());
    let answer = world
        .flow
        .receive_by_token(ForgeKind::GITHUB, Some(&token), &headers, None, body.clone().into())
        .await;
    assert_eq!(answer.unwrap().status, "accepted");
    let wrong = SecretString::from(sha256("wrong"));
    for token in [Some(&wrong), None] {
        let refused =
            world.flow.receive_by_token(ForgeKind::GITHUB, token, &headers, None, body.clone().into()).await;
        assert!(matches!(refused, Err(Refused::Unproved)));
    }
}

#[tokio::test]
async fn a_delivery_can_be_run_again() {
    let world = World::connected().await;
    let (_, _) = world.hook();
    world.deliver("d1", &finished("10", true)).await;
    let list = world.flow.list_deliveries(&world.caller, &Default::default()).await.unwrap();
    let id = list.items[0].id.clone();
    assert_eq!(list.items[0].status, "pending");
    world.stub.add_failed_run("10", "aaa", &[("unit", PYTEST)], Some("42"));
    world.drain().await;
    world.flow.replay_delivery(&world.caller, &id).await.unwrap();
    world.drain().await;
    let view = world.flow.get_delivery(&world.caller, &id).await.unwrap();
    assert_eq!(view.status, "done");
    assert_eq!(view.analyses.len(), 1);
    assert_eq!(world.stub.lock().comments.len(), 1);
}
