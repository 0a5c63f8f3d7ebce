//! Settings that are plain values: kept, shown, refused when wrong, and followed.

use serde_json::{Value, json};

use super::execute;
use crate::support::{OWNER, TestServer, eventually, pytest_log};

const RULES: &str = "[[rule]]\nid = \"acme.cart\"\npattern = \"assert cart\"\ncategory = \"test_failure\"\n\
    cause = \"the cart is wrong\"\nmatches = [\"E  assert cart.total\"]\n";

#[tokio::test]
async fn settings_are_kept_and_null_takes_them_back() {
    let server = TestServer::start().await;
    let empty = server.get("/v1/settings").await.expect(200);
    assert_eq!(
        empty,
        json!({ "feedback": {}, "log_sources": [], "rules": null, "retention": {}, "rate_caps": {}, "digest": null })
    );
    let wishes = json!({
        "rules": RULES,
        "retention": { "analyses": 30, "deliveries": 7 },
        "rate_caps": { "pull_request_per_hour": 4, "repository_per_hour": 100 },
        "digest": { "hour": 7 },
    });
    let set = server.put("/v1/settings", wishes.clone()).await.expect(200);
    for name in ["rules", "retention", "rate_caps"] {
        assert_eq!(set[name], wishes[name], "{set}");
    }
    assert_eq!(set["digest"], json!({ "hour": 7, "timezone": "UTC" }));
    // What is not given stays, and what was shown can be put back.
    let other = server.put("/v1/settings", json!({ "feedback": { "issue": true } })).await.expect(200);
    assert_eq!(other["rules"], RULES);
    assert_eq!(server.put("/v1/settings", other.clone()).await.expect(200), other);
    let caps =
        server.put("/v1/settings", json!({ "rate_caps": { "repository_per_hour": 5 } })).await.expect(200);
    assert_eq!(caps["rate_caps"], json!({ "repository_per_hour": 5 }), "the object is replaced");
    let gone = json!({ "rules": null, "retention": null, "rate_caps": null, "digest": null });
    let set = server.put("/v1/settings", gone).await.expect(200);
    assert_eq!((&set["rules"], &set["retention"], &set["digest"]), (&Value::Null, &json!({}), &Value::Null));
    let audit = server.get("/v1/audit").await.expect(200).to_string();
    assert!(audit.contains("rate_caps") && !audit.contains("acme.cart"), "{audit}");
    server.stop().await;
}

#[tokio::test]
async fn wrong_values_are_refused_with_what_to_do() {
    let server = TestServer::start_with(|config| config.retention.analyses_ms = 90 * 24 * 3_600_000).await;
    let rule = |line: &str| format!("{RULES}\n[[rule]]\nid = \"b\"\n{line}\n");
    for (body, parts) in [
        (json!({ "rules": "[[rule]\n" }), vec!["rules: line 1 of the rules file", "forge-rca rules test"]),
        (json!({ "rules": rule("pattern = \"(\"") }), vec!["rule `b` at line 8", "correct it"]),
        (
            json!({ "rules": rule("pattern = \"x\"") }),
            vec!["rule `b` at line 8", "`category` is missing: name one"],
        ),
        (json!({ "rules": 1 }), vec!["rules"]),
        (json!({ "rules": "#".repeat(256 * 1024 + 1) }), vec!["rules is longer than 262144 bytes"]),
        (
            json!({ "retention": { "deliveries": 6 } }),
            vec!["retention.deliveries: is not between 7 and 30 days"],
        ),
        (
            json!({ "retention": { "analyses": 91 } }),
            vec!["retention.analyses: is not between 1 and 90 days"],
        ),
        (json!({ "retention": { "tasks": 0 } }), vec!["retention.tasks: is not between 1 and 7 days"]),
        (json!({ "retention": { "days": 9 } }), vec!["days"]),
        (
            json!({ "rate_caps": { "repository_per_hour": 0 } }),
            vec!["rate_caps.repository_per_hour", "leave it out"],
        ),
        (json!({ "digest": { "hour": 24 } }), vec!["digest.hour: is not between 0 and 23"]),
        (json!({ "digest": { "hour": 7, "timezone": "Europe/Berlin" } }), vec!["timezone", "UTC"]),
    ] {
        let shown: String = body.to_string().chars().take(200).collect();
        let error = server.put("/v1/settings", body).await.expect_error(422, "invalid_field");
        for part in parts {
            assert!(error.contains(part), "{shown}: '{part}' is missing in: {error}");
        }
    }
    let long = format!("{}{RULES}", "# why\n".repeat(20_000));
    let set = server.put("/v1/settings", json!({ "rules": long })).await.expect(200);
    assert_eq!(set["rules"].as_str().map(str::len), Some(long.len()));
    server.stop().await;
}

#[tokio::test]
async fn a_shorter_retention_of_the_workspace_is_followed() {
    let server = TestServer::start().await;
    let request = server.request(reqwest::Method::POST, "/v1/ingest/raw?project=shop&wait=30");
    let analysis = server.send(request.bearer_auth(OWNER).body(pytest_log())).await.expect(200);
    let id = analysis["id"].as_str().unwrap();
    server.idle().await;
    let days = |days: u64| days * 24 * 3_600_000;
    let age = days(5);
    execute(&server, &format!("UPDATE analysis SET created_at = created_at - {age}")).await;
    let prune_now = "UPDATE task SET run_at = 0 WHERE kind = 'prune'";
    execute(&server, prune_now).await;
    let path = format!("/v1/analyses/{id}");
    server.get(&path).await.expect(200);
    server.put("/v1/settings", json!({ "retention": { "analyses": 4 } })).await.expect(200);
    execute(&server, prune_now).await;
    eventually("the analysis is removed", async || {
        (server.get(&path).await.status.as_u16() == 404).then_some(())
    })
    .await;
    server.stop().await;
}
