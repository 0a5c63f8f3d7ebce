//! Channels and settings by their pages, as a browser without scripts sends them.

use serde_json::json;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

use crate::{
    support::{OWNER, TestServer},
    web_sign_in::{Visitor, between},
};

const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'</textarea><script>alert(2)</script>";

#[tokio::test]
async fn a_channel_is_added_tested_changed_and_removed() {
    let server = TestServer::start().await;
    let owner = Visitor::signed_in(&server, OWNER).await;
    assert!(owner.get("/channels").await.expect(200).contains("Nobody is told anywhere yet"));
    for kind in ["slack", "telegram", "matrix", "email", "webhook"] {
        let page = owner.get(&format!("/channels/new?kind={kind}")).await.expect(200);
        assert!(page.contains("<li>"), "{kind}: what to click there is said");
    }
    owner.get("/channels/new?kind=pigeon").await.expect(404);

    let chat = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(500)).up_to_n_times(1).mount(&chat).await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).mount(&chat).await;
    let url = format!("{}/hook?secret=of-the-receiver", chat.uri());
    let fields = [("kind", "webhook"), ("name", HOSTILE), ("url", "not a url"), ("repositories", "acme/*")];
    let page = owner.post("/channels", &fields).await.expect(422);
    assert!(page.contains("role=\"alert\"") && page.contains("acme/*"), "what was entered stays");
    assert!(!page.contains("<img src=x") && !page.contains("<script>alert"));

    let fields =
        [("kind", "webhook"), ("name", HOSTILE), ("url", &url), ("repositories", "acme/*\nacme/shop, x/y")];
    let page = owner.post("/channels", &fields).await.expect(201);
    let secret = between(&page, "readonly value=\"", "\"").to_owned();
    assert!(secret.starts_with("whsec_"), "{secret}");
    assert!(!page.contains("<img src=x") && !page.contains("<script>alert"));
    let list = server.get("/v1/channels").await.expect(200);
    let channel = &list["items"][0];
    assert_eq!(channel["filters"]["repositories"], json!(["acme/*", "acme/shop", "x/y"]));
    let path = format!("/channels/{}", channel["id"].as_str().unwrap());
    let page = owner.get(&path).await.expect(200);
    assert!(!page.contains(&secret) && !page.contains("of-the-receiver"), "secrets are not shown again");

    let test = owner.post(&format!("{path}/test"), &[]).await;
    test.leads_to(&format!("{path}?said=channel_test_failed"));
    assert!(owner.get(&path).await.expect(200).contains("badge red"), "the log says that it failed");
    let test = owner.post(&format!("{path}/test"), &[]).await;
    test.leads_to(&format!("{path}?said=channel_test_sent"));

    owner
        .post(&path, &[("name", "ops"), ("min_severity", "high"), ("branches", "main")])
        .await
        .leads_to(&format!("{path}?said=saved"));
    let changed = server.get(&format!("/v1{path}")).await.expect(200);
    assert_eq!((&changed["name"], &changed["enabled"]), (&json!("ops"), &json!(false)));
    assert_eq!(changed["filters"]["min_severity"], "high");
    assert!(owner.post(&path, &[("name", "")]).await.expect(422).contains("role=\"alert\""));
    let other = format!("{}/other", chat.uri());
    owner.post(&format!("{path}/config"), &[("url", &other)]).await.leads_to(&format!("{path}?said=saved"));

    // A member tests, and changes nothing; a viewer does neither.
    for (role, may_test) in [("member", true), ("viewer", false)] {
        let made = server.post("/v1/tokens", json!({"name": role, "role": role})).await.expect(201);
        let guest = Visitor::signed_in(&server, made["token"].as_str().unwrap()).await;
        assert!(!guest.get(&path).await.expect(200).contains("/remove\""), "{role}");
        guest.post(&path, &[("name", "mine")]).await.expect(403);
        guest.post(&format!("{path}/config"), &[("url", "https://evil.example")]).await.expect(403);
        guest.post(&format!("{path}/remove"), &[]).await.expect(403);
        guest.get("/channels/new?kind=slack").await.expect(403);
        guest.post("/settings/rules", &[("rules", "")]).await.expect(403);
        let status = guest.post(&format!("{path}/test"), &[]).await.status.as_u16();
        assert_eq!(status, if may_test { 303 } else { 403 }, "{role}");
    }
    owner.post(&format!("{path}/remove"), &[]).await.leads_to("/channels?said=removed");
    owner.get(&path).await.expect(404);
    server.stop().await;
}

#[tokio::test]
async fn settings_are_changed_part_by_part() {
    let server = TestServer::start().await;
    let owner = Visitor::signed_in(&server, OWNER).await;
    let saved = async |part: &str, fields: &[(&str, &str)]| {
        owner
            .post(&format!("/settings/{part}"), fields)
            .await
            .leads_to(&format!("/settings?said=saved#{part}"));
        server.get("/v1/settings").await.expect(200)
    };
    let feedback = [("pr_comment", "on"), ("commit_comment", ""), ("issue", "off"), ("status", "")];
    let set = saved("feedback", &feedback).await;
    assert_eq!(set["feedback"], json!({"pr_comment": true, "issue": false}));
    let set = saved("feedback", &[("pr_comment", ""), ("issue", "off")]).await;
    assert_eq!(set["feedback"], json!({"issue": false}), "a wish can be taken back");
    let set = saved("retention", &[("analyses", "30"), ("deliveries", "14"), ("dead", "")]).await;
    assert_eq!(set["retention"], json!({"analyses": 30, "deliveries": 14}));
    let set = saved("rate-caps", &[("pull_request_per_hour", "12"), ("repository_per_hour", "")]).await;
    assert_eq!(set["rate_caps"], json!({"pull_request_per_hour": 12}));
    let set = saved("digest", &[("hour", "7")]).await;
    assert_eq!(set["digest"]["hour"], 7);
    assert_eq!(saved("digest", &[("hour", "")]).await["digest"], json!(null));

    // What is wrong is said in its place, what was entered stays, and nothing is changed.
    let wrong = format!("[[rule]\n# {HOSTILE}");
    let page = owner.post("/settings/rules", &[("rules", &wrong)]).await.expect(422);
    assert!(page.contains("id=\"rules-problem\"") && page.contains("[[rule]"));
    assert!(!page.contains("<img src=x") && !page.contains("<script>alert"));
    for (part, fields) in [
        ("retention", ("analyses", "many")),
        ("retention", ("deliveries", "1")),
        ("rate-caps", ("repository_per_hour", "-1")),
        ("digest", ("hour", "24")),
        ("log-source", ("kind", "Abacus")),
    ] {
        let page = owner.post(&format!("/settings/{part}"), &[fields]).await.expect(422);
        assert!(page.contains("role=\"alert\""), "{part} {fields:?}");
    }
    owner.post("/settings/nothing", &[]).await.expect(404);
    let unchanged = server.get("/v1/settings").await.expect(200);
    assert_eq!(unchanged["retention"], set["retention"]);

    let source = [("kind", "Jenkins"), ("base_url", "https://jenkins.example.com"), ("token", "of-jenkins")];
    let set = saved("log-source", &source).await;
    assert_eq!(set["log_sources"].as_array().unwrap().len(), 1);
    let second =
        [("kind", "TeamCity"), ("base_url", "https://teamcity.example.com"), ("token", "of-teamcity")];
    let set = saved("log-source", &second).await;
    assert_eq!(set["log_sources"].as_array().unwrap().len(), 2, "the first keeps its token");
    let page = owner.get("/settings").await.expect(200);
    assert!(!page.contains("of-jenkins"));
    let set = saved("log-source-removed", &[("base_url", "https://jenkins.example.com")]).await;
    assert_eq!(set["log_sources"][0]["base_url"], "https://teamcity.example.com");
    server.stop().await;
}
