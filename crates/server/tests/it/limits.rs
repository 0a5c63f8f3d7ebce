//! What a server allows itself and others: quotas, retention, and the numbers by which one sees it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    kill::{OWNER, Setting, eventually},
    program::{command, finish},
};

fn body(log: &str) -> Value {
    json!({"provider": "generic", "project": "acme/shop", "status": "failed", "log": log})
}

async fn status(request: reqwest::RequestBuilder) -> (u16, Option<u64>, Value) {
    let response = request.send().await.unwrap();
    let after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().parse().unwrap());
    (response.status().as_u16(), after, response.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_token_cannot_take_all_and_others_go_on() {
    let mut setting = Setting::new(None);
    setting.environment = vec![
        ("FORGE_RCA_QUOTA_REQUESTS_PER_MINUTE", "4".to_owned()),
        ("FORGE_RCA_QUOTA_BYTES_PER_DAY", "1000".to_owned()),
    ];
    let mut server = setting.start();
    setting.ready().await;
    let send = |token: &str, log: &str| {
        setting.http.post(setting.url("/v1/ingest/log")).bearer_auth(token).json(&body(log))
    };
    let log = |word: &str| format!("{}\nerror: {word}\n", "x".repeat(600));
    assert_eq!(status(send(OWNER, &log("one"))).await.0, 202);
    let (code, after, answer) = status(send(OWNER, &log("two"))).await;
    assert_eq!((code, answer["code"].as_str()), (429, Some("rate_limited")), "{answer}");
    // A day for 1000 bytes; about 240 are missing.
    assert!(after.is_some_and(|seconds| (10_000..86_400).contains(&seconds)), "{after:?}");
    let ask = |token: &str| setting.http.get(setting.url("/v1/analyses")).bearer_auth(token);
    let mut codes = Vec::new();
    let mut last = None;
    for _ in 0..4 {
        let (code, after, _) = status(ask(OWNER)).await;
        codes.push(code);
        last = after;
    }
    assert_eq!(codes.first(), Some(&200));
    assert_eq!(codes.last(), Some(&429), "four a minute: {codes:?}");
    assert!(last.is_some_and(|seconds| (1..=60).contains(&seconds)), "{last:?}");
    let made = command()
        .args(["token", "create", "other", "--scope", "read", "--scope", "ingest"])
        .env("FORGE_RCA_DATA_DIR", setting.data())
        .output()
        .unwrap();
    let other = finish(made).stdout.trim().to_owned();
    assert_eq!(status(ask(&other)).await.0, 200, "another token has its own quota");
    assert_eq!(status(send(&other, &log("three"))).await.0, 202);
    server.kill().unwrap();
    server.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_slowed_down_by_their_address_and_nobody_else() {
    let mut setting = Setting::new(None);
    setting.environment = vec![
        ("FORGE_RCA_QUOTA_UNPROVED_PER_MINUTE", "3".to_owned()),
        ("FORGE_RCA_TRUSTED_PROXIES", "127.0.0.0/8".to_owned()),
    ];
    let mut server = setting.start();
    setting.ready().await;
    let from = async |forwarded: &str| {
        let url = setting.url(&format!("/v1/webhooks/github/{}", "0".repeat(64)));
        let request = setting.http.post(url).header("x-forwarded-for", forwarded).body("{}");
        let (code, after, _) = status(request).await;
        assert_eq!(code == 429, after.is_some());
        code
    };
    for _ in 0..3 {
        assert_eq!(from("198.51.100.7").await, 401);
    }
    assert_eq!(from("198.51.100.7").await, 429);
    assert_eq!(from("203.0.113.9, 198.51.100.7").await, 429, "an invented hop does not help");
    assert_eq!(from("198.51.100.8").await, 401, "another address is not slowed down");
    // Who has a token is let in, also from that address.
    let request = setting.http.get(setting.url("/v1/analyses")).bearer_auth(OWNER);
    assert_eq!(status(request.header("x-forwarded-for", "198.51.100.7")).await.0, 200);
    let request = setting.http.get(setting.url("/v1/analyses")).bearer_auth("frca_guess");
    assert_eq!(status(request.header("x-forwarded-for", "198.51.100.7")).await.0, 429, "a guess is not");
    server.kill().unwrap();
    server.wait().unwrap();
}

fn value(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find(|line| line.split(' ').next() == Some(name));
    line.and_then(|line| line.split(' ').nth(1))
        .unwrap_or_else(|| panic!("no {name} in {metrics}"))
        .parse()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_numbers_add_up_and_what_is_old_is_removed() {
    let mut setting = Setting::new(None);
    let mut server = setting.start();
    setting.ready().await;
    let log =
        "$ make\nmain.c:3:1: error: expected ';' before 'return'\nmake: *** [Makefile:2: all] Error 1\n";
    let path = "/v1/ingest/log?wait=60";
    let done = setting.call(Method::POST, path, Some(body(log))).await.unwrap();
    assert_eq!(done["state"], "done", "{done}");
    let metrics = eventually(setting.folder.path(), "nothing is left to do", async || {
        let metrics = setting.metrics().await?;
        (value(&metrics, "forge_rca_tasks{state=\"running\"}") == 0.0
            && value(&metrics, "forge_rca_tasks{state=\"ready\"}") == 0.0)
            .then_some(metrics)
    })
    .await;
    assert_eq!(value(&metrics, "forge_rca_logs_analysed_total"), 1.0);
    assert_eq!(value(&metrics, "forge_rca_log_bytes_total"), log.len() as f64);
    assert!(value(&metrics, "forge_rca_engine_seconds_total") > 0.0);
    assert_eq!(value(&metrics, "forge_rca_deliveries_unaccounted"), 0.0);
    assert_eq!(value(&metrics, "forge_rca_queue_age_seconds"), 0.0);
    assert_eq!(
        value(&metrics, "forge_rca_tasks{state=\"recurring\"}"),
        1.0,
        "the removal waits for its turn"
    );

    // Two days later, by the rows: the server removes it at its next start.
    server.kill().unwrap();
    server.wait().unwrap();
    let database = setting.data().join("forge-rca.db");
    rca_store::testing::execute(
        &format!("sqlite://{}", database.display()),
        "UPDATE analysis SET created_at = created_at - 172800000; UPDATE task SET run_at = 0 WHERE kind = 'prune'",
    )
    .await;
    setting.environment.push(("FORGE_RCA_RETENTION_ANALYSES", "1".to_owned()));
    let mut server = setting.start();
    setting.ready().await;
    eventually(setting.folder.path(), "the old analysis is gone", async || {
        let list = setting.call(Method::GET, "/v1/analyses", None).await?;
        list["items"].as_array()?.is_empty().then_some(())
    })
    .await;
    server.kill().unwrap();
    server.wait().unwrap();
}
