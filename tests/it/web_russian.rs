//! Russian pages hold no English sentences, whatever state they are in. What forges, logs and the engine say stays as
//! it is, and so do the names of what is to be clicked at a forge.

use forge_testkit::{FakeGitLab, JobSpec, RunSpec, TokenKind, TokenSpec};
use secrecy::ExposeSecret as _;
use serde_json::json;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

use crate::{
    support::{TestServer, eventually, pytest_log},
    web::Web,
    web_report::ingest,
};

/// Elements whose text is a machine's, or names what stands on a forge's pages.
const NOT_OURS: [(&str, &str); 11] = [
    ("<script", "</script>"),
    ("<pre", "</pre>"),
    ("<code", "</code>"),
    ("<textarea", "</textarea>"),
    ("<datalist", "</datalist>"),
    ("<ol class=\"clicks\"", "</ol>"),
    ("<ol class=\"prose\"", "</ol>"),
    ("<section class=\"todo\"", "</section>"),
    ("<details class=\"why\"", "</details>"),
    ("class=\"mono\"", "</"),
    ("class=\"cause\"", "</a>"),
];

/// Runs of three or more small words in Latin letters: no name looks like that, and every English sentence does.
fn english(page: &str) -> Vec<String> {
    let mut text = page.to_owned();
    for (begin, end) in NOT_OURS {
        while let Some(at) = text.find(begin) {
            let after = text[at..].find(end).map_or(text.len(), |length| at + length + end.len());
            text.replace_range(at..after, " <");
        }
    }
    let mut found = Vec::new();
    for part in text.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text)) {
        let mut run: Vec<&str> = Vec::new();
        for word in part.split_whitespace().chain(["."]) {
            let bare = word.trim_matches(|c: char| c.is_ascii_punctuation());
            let is_english = bare.len() > 1 && bare.bytes().all(|byte| byte.is_ascii_lowercase());
            if is_english {
                run.push(word);
            } else {
                // Words of the API, listed.
                let is_list = run.iter().rev().skip(1).all(|word| word.ends_with(','));
                if run.len() >= 3 && !is_list {
                    found.push(run.join(" "));
                }
                run.clear();
            }
        }
    }
    found
}

#[test]
fn english_is_told_from_names() {
    assert_eq!(english("<p>the run did not fail</p><code>a b cc dd ee</code>"), ["the run did not fail"]);
    assert!(english("<p>Запуск не упал: GitLab, Personal access tokens</p>").is_empty());
}

#[tokio::test]
async fn no_page_is_half_english() {
    let (server, fake, broken) =
        (TestServer::start().await, FakeGitLab::start().await, FakeGitLab::start().await);
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    let repository = server.monitor(&integration, &repo).await;
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", pytest_log())]));
    let green = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::green("test")]));
    for run in [&run, &green] {
        for outcome in fake.deliver(run).await {
            assert!(outcome.is_success(), "{outcome:?}");
        }
    }
    let analysis = server.analyses("repository=acme/shop", 1).await.swap_remove(0);
    let sent = ingest(&server, "project=shop&job_name=nightly", pytest_log()).await;
    // A token that may only read, and dies.
    let token = broken.add_token(&TokenSpec::new(TokenKind::Personal, &["read_api"]));
    let body =
        json!({"base_url": broken.base_url().as_str(), "token": token.expose_secret(), "mode": "webhook"});
    let poor = server.post("/v1/integrations/gitlab/token", body).await.expect(201);
    let poor = poor["id"].as_str().unwrap().to_owned();
    let web = Web::owner(&server).await;
    web.post("/settings", "/preferences", &[("language", "ru"), ("next", "/")]).await.redirect();
    let mut pages = Vec::new();
    let keep = async |pages: &mut Vec<(String, String)>, address: String| {
        let page = web.get(&address).await;
        pages.push((address, page.text));
    };
    keep(&mut pages, format!("/integrations/{poor}")).await;
    broken.revoke_token(&token);
    let path = format!("/integrations/{poor}");
    web.post(&path, &format!("{path}/check"), &[]).await.redirect();
    // A channel that is refused for good.
    let chat = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(410)).mount(&chat).await;
    let channel =
        json!({"kind": "webhook", "name": "команда", "config": {"url": format!("{}/x", chat.uri())}});
    let channel = server.post("/v1/channels", channel).await.expect(201);
    let channel = channel["id"].as_str().unwrap().to_owned();
    server.post(&format!("/v1/channels/{channel}/test"), json!({})).await.expect(200);
    let sync = web.post(&path, &format!("/integrations/{integration}/sync"), &[]).await.redirect();
    server.post("/v1/settings", json!({})).await;
    let ignored = eventually("a delivery was ignored", async || {
        let list = server.get("/v1/deliveries?status=ignored").await.expect(200);
        Some(list["items"].as_array()?.first()?["id"].as_str()?.to_owned())
    })
    .await;
    let id = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    for address in [
        "/".to_owned(),
        "/failures".to_owned(),
        "/failures?repository=none".to_owned(),
        format!("/analyses/{}", id(&analysis["id"])),
        format!("/analyses/{}", id(&sent["id"])),
        format!("/analyses/{}/log", id(&sent["id"])),
        "/clusters".to_owned(),
        format!("/clusters/{}", id(&analysis["cluster_id"])),
        format!("/run?integration={integration}&repository=acme/shop&run={}", run.forge_id),
        "/analyse".to_owned(),
        "/statistics".to_owned(),
        "/search?q=none".to_owned(),
        "/send".to_owned(),
        "/integrations".to_owned(),
        format!("/integrations/{integration}"),
        path.clone(),
        format!("/integrations/{integration}/repositories"),
        format!("/integrations/{integration}/repositories/{repository}"),
        format!("/integrations/{integration}/disconnect"),
        "/deliveries".to_owned(),
        format!("/deliveries/{ignored}"),
        "/channels".to_owned(),
        format!("/channels/{channel}"),
        "/channels/new?kind=slack".to_owned(),
        "/channels/new?kind=telegram".to_owned(),
        "/settings".to_owned(),
        "/members".to_owned(),
        "/tokens".to_owned(),
        "/audit".to_owned(),
        "/incidents".to_owned(),
        sync,
        "/connect".to_owned(),
        "/connect/gitlab".to_owned(),
        "/connect/github?way=known-app".to_owned(),
        "/connect/bitbucket-cloud?way=api-token".to_owned(),
        "/connect/bitbucket-dc?base_url=https://b.test&way=webhook".to_owned(),
        "/connect/gitflic/waiting".to_owned(),
        "/connect/done".to_owned(),
        "/no-such-page".to_owned(),
        "/failures?since=yesterday".to_owned(),
        "/failures?severity=awful".to_owned(),
        "/analyses/none".to_owned(),
    ] {
        keep(&mut pages, address).await;
    }
    // What is refused, on the page where it was entered.
    let base = broken.base_url().to_string();
    for (from, to, fields) in [
        ("/tokens", "/tokens".to_owned(), vec![("name", "x")]),
        ("/members", "/members".to_owned(), vec![("email", "no address"), ("role", "viewer")]),
        ("/settings", "/settings/retention".to_owned(), vec![("deliveries", "1")]),
        ("/settings", "/settings/rate-caps".to_owned(), vec![("repository_per_hour", "0")]),
        ("/settings", "/settings/digest".to_owned(), vec![("hour", "25")]),
        (
            "/settings",
            "/settings/log-source".to_owned(),
            vec![("kind", "Jenkins"), ("base_url", "https://j.test")],
        ),
        (
            "/channels",
            "/channels".to_owned(),
            vec![("kind", "webhook"), ("name", ""), ("url", "https://x.test")],
        ),
        (
            "/analyse",
            "/analyse".to_owned(),
            vec![("integration", integration.as_str()), ("repository", "acme/shop"), ("run", "999999")],
        ),
        (
            "/connect/gitlab",
            "/connect/gitlab".to_owned(),
            vec![("way", "personal"), ("base_url", base.as_str()), ("token", "glpat-wrong")],
        ),
        ("/settings", format!("{path}/token"), vec![("token", "glpat-wrong")]),
        ("/settings", path.clone(), vec![("part", "perimeter"), ("perimeter", "projects")]),
    ] {
        let page = web.post(from, &to, &fields).await;
        assert!((400..500).contains(&page.status), "{to}: {} {}", page.status, page.location);
        pages.push((format!("POST {to}"), page.text));
    }
    let left: Vec<String> = pages
        .iter()
        .flat_map(|(address, page)| english(page).into_iter().map(move |text| format!("{address}: {text}")))
        .collect();
    assert!(left.is_empty(), "{left:#?}");
    server.stop().await;
}
