//! The pages that people read failures on: the report, its log, failures, clusters, search, the overview, sending a log.

use forge_core::model::Target;
use forge_testkit::{Fake, FakeGitHub, FakeGitLab, JobSpec, PullSpec, RunSpec};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    support::{OWNER, TestServer, cargo_log, pytest_log},
    webhook_to_comment::live_comments,
};

const SHA: &str = "4be1f20000000000000000000000000000000001";
/// Nothing of it may become an element, a handler or a request.
pub(crate) const HOSTILE: &str =
    "<img src=x onerror=alert(1)>\"'&amp;</code></script><script>alert(2)</script>{{7*7}}";

/// Somebody with a browser: a cookie, and what our forms carry.
struct Visitor<'server> {
    server: &'server TestServer,
    http: reqwest::Client,
    cookie: String,
}

/// A page, or where it sends the browser.
#[derive(Debug)]
struct Shown {
    status: u16,
    location: String,
    text: String,
}

impl Shown {
    #[track_caller]
    fn page(self) -> String {
        assert_eq!(self.status, 200, "{}", self.text);
        self.text
    }

    #[track_caller]
    fn gone_to(&self) -> &str {
        assert_eq!(self.status, 303, "{}", self.text);
        &self.location
    }
}

impl<'server> Visitor<'server> {
    async fn sign_in(server: &'server TestServer, token: &str) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let form = [("token", token), ("next", "/")];
        let response = http.post(format!("{}/sign-in", server.base)).form(&form).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 303);
        let cookie = response.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        Self { server, http, cookie }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Shown {
        let response = request.header("cookie", &self.cookie).send().await.unwrap();
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let location = headers.get("location").map_or("", |it| it.to_str().unwrap()).to_owned();
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
        Shown { status, location, text: response.text().await.unwrap() }
    }

    async fn get(&self, path: &str) -> Shown {
        self.send(self.http.get(format!("{}{path}", self.server.base))).await
    }

    async fn csrf(&self) -> String {
        let page = self.get("/send").await.page();
        let after = page.split("name=\"csrf\" value=\"").nth(1).unwrap();
        after.split('"').next().unwrap().to_owned()
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Shown {
        let csrf = self.csrf().await;
        let mut all = vec![("csrf", csrf.as_str())];
        all.extend_from_slice(fields);
        self.send(self.http.post(format!("{}{path}", self.server.base)).form(&all)).await
    }

    /// Sends a file as a browser does.
    async fn upload(&self, fields: &[(&str, &str)], file: &[u8]) -> Shown {
        const EDGE: &str = "forge-rca-test-boundary";
        let mut body = Vec::new();
        for (name, value) in fields {
            let head =
                format!("--{EDGE}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend_from_slice(head.as_bytes());
        }
        let head = format!(
            "--{EDGE}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"build.log\"\r\n\
             content-type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(file);
        body.extend_from_slice(format!("\r\n--{EDGE}--\r\n").as_bytes());
        let request = self
            .http
            .post(format!("{}/send", self.server.base))
            .header("content-type", format!("multipart/form-data; boundary={EDGE}"))
            .body(body);
        self.send(request).await
    }
}

#[track_caller]
fn has(page: &str, texts: &[&str]) {
    for text in texts {
        assert!(page.contains(text), "missing on the page: {text}\n{page}");
    }
}

/// Two jobs of one cause and one of another, at a pull request; gives the id of "test 3.12".
pub(crate) async fn red(server: &TestServer, fake: &Fake) -> String {
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(fake).await;
    server.monitor(&integration, &repo).await;
    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", "feature/refund").with_sha(SHA));
    let jobs = vec![
        JobSpec::failed("test 3.12", pytest_log()),
        JobSpec::failed("build", cargo_log()),
        JobSpec::failed("test 3.13", pytest_log()),
    ];
    let run = fake.add_run(&repo, &RunSpec::new(jobs).for_pull(&pull));
    for outcome in fake.deliver(&run).await {
        assert!(outcome.is_success(), "{outcome:?}");
    }
    let analyses = server.analyses("repository=acme/shop", 3).await;
    live_comments(fake, &repo, &Target::Pull(pull.number.to_string()), 1).await;
    server.idle().await;
    let wanted = analyses.iter().find(|item| item["job_name"] == "test 3.12").unwrap();
    wanted["id"].as_str().unwrap().to_owned()
}

pub(crate) async fn ingest(server: &TestServer, query: &str, log: String) -> Value {
    let path = format!("/v1/ingest/raw?wait=30&{query}");
    server.send(server.request(Method::POST, &path).bearer_auth(OWNER).body(log)).await.expect(200)
}

#[tokio::test]
async fn a_report_answers_first_and_proves_it() {
    let (server, fake) = (TestServer::start().await, FakeGitLab::start().await);
    let id = red(&server, &fake).await;
    let analysis = server.get(&format!("/v1/analyses/{id}")).await.expect(200);
    let visitor = Visitor::sign_in(&server, OWNER).await;
    let page = visitor.get(&format!("/analyses/{id}")).await.page();
    let proof = &analysis["report"]["evidence"][0];
    let line = format!("id=\"L{}\"", proof["start_line"]);
    let log = format!("/analyses/{id}/log?lines={}", proof["focus_line"]);
    has(&page, &["acme/shop", "feature/refund", "Test failure", "What to do", "Evidence", &line, &log]);
    has(
        &page,
        &["1 more job failed by this cause", "failed by another cause", "% sure", "Posted", "Comment at PR"],
    );
    has(&page, &[&format!("/-/commit/{SHA}"), "/-/merge_requests/", "Was this right?", "Seen before"]);
    let order = ["<h1>", "What to do", "Evidence", "Seen before", "Posted", "Was this right?"];
    let places: Vec<_> = order.iter().map(|text| page.find(text).unwrap()).collect();
    assert!(places.is_sorted(), "{places:?}");

    for (format, kind, text) in [
        ("json", "application/json", "\"schema\": \"forge-rca/report/1\""),
        ("markdown", "text/markdown", "Test failure"),
        ("sarif", "application/sarif+json", "2.1.0"),
        ("junit", "application/xml", "<testsuite"),
    ] {
        let url = format!("{}/analyses/{id}/export?format={format}", server.base);
        let answer = visitor.http.get(url).header("cookie", &visitor.cookie).send().await.unwrap();
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with(kind));
        assert!(answer.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"));
        has(&answer.text().await.unwrap(), &[text]);
    }
    assert_eq!(visitor.get(&format!("/analyses/{id}/export?format=exe")).await.status, 404);
    assert_eq!(visitor.get("/analyses/none").await.status, 404);

    let path = format!("/analyses/{id}/verdict");
    let said = visitor.post(&path, &[("correct", "no"), ("note", "the clock")]).await;
    assert_eq!(said.gone_to(), format!("/analyses/{id}?said=verdict"));
    let page = visitor.get(said.gone_to()).await.page();
    has(&page, &["marked as wrong", "the clock", "It is remembered"]);
    assert_eq!(visitor.post(&path, &[("correct", "perhaps")]).await.status, 422);
    let again = visitor.post(&format!("/analyses/{id}/rerun"), &[]).await;
    has(&visitor.get(again.gone_to()).await.page(), &["the report is the same"]);

    let russian = visitor.http.get(format!("{}/analyses/{id}", server.base)).header("accept-language", "ru");
    has(&visitor.send(russian).await.page(), &["Упавший тест", "Что делать", "Доказательство"]);
    server.stop().await;
}

#[tokio::test]
async fn a_log_opens_at_its_lines() {
    let (server, fake) = (TestServer::start().await, FakeGitHub::start().await);
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    server.monitor(&integration, &repo).await;
    let green: String = (1..=2000).map(|number| format!("setting up part {number}\n")).collect();
    let log = format!("{green}password=hunter2hunter2\n{}", pytest_log());
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", log)]));
    for outcome in fake.deliver(&run).await {
        assert!(outcome.is_success(), "{outcome:?}");
    }
    let analyses = server.analyses("repository=acme/shop", 1).await;
    let id = analyses[0]["id"].as_str().unwrap();
    let focus = analyses[0]["report"]["evidence"][0]["focus_line"].as_u64().unwrap();
    assert!(focus > 2000);
    let visitor = Visitor::sign_in(&server, OWNER).await;
    let path = format!("/analyses/{id}/log");
    let page = visitor.get(&path).await.page();
    has(&page, &[&format!("id=\"L{focus}\""), "cited focus", "Back to the report", "removed: password"]);
    assert!(!page.contains("hunter2"), "a secret is on the page");
    assert!(!page.contains("id=\"L1\""), "only the part around the lines is sent");
    let page = visitor.get(&format!("{path}?lines=3-5")).await.page();
    has(
        &page,
        &["line selected\" id=\"L3\"", "line selected\" id=\"L5\"", "setting up part 4", "Lines 501–1000"],
    );
    assert!(!page.contains("line selected\" id=\"L6\""));
    let below = visitor.get(&format!("{path}?from=501&lines=501-1000&part=below")).await.page();
    has(&below, &["id=\"L501\"", "id=\"L1000\"", "Lines 1001–1500"]);
    let above = visitor.get(&format!("{path}?from=1&lines=1-500&part=above")).await.page();
    has(&above, &["id=\"L1\"", "id=\"L500\""]);
    assert!(!above.contains("id=\"L501\""), "a part above ends where the page begins");
    let found = visitor.get(&format!("{path}?q=PART+1999")).await.page();
    has(&found, &["1 line found", "<mark>part 1999</mark>"]);
    for odd in ["?lines=x", "?from=-1", "?lines=999999", "?from=99999999999999999999", "?q=%FF"] {
        let status = visitor.get(&format!("{path}{odd}")).await.status;
        assert!(status == 200 || status == 400, "{odd}: {status}");
    }

    let sent = ingest(&server, "project=mail&job_name=nightly", pytest_log()).await;
    let page = visitor.get(&format!("/analyses/{}/log", sent["id"].as_str().unwrap())).await.page();
    has(&page, &["Logs that are sent in are not kept", "cited focus"]);
    server.stop().await;
}

#[tokio::test]
async fn failures_are_filtered_in_the_address() {
    let server = TestServer::start().await;
    let visitor = Visitor::sign_in(&server, OWNER).await;
    has(&visitor.get("/failures").await.page(), &["No failures yet", "/connect", "/send"]);
    ingest(&server, "project=shop&branch=main&job_name=unit", pytest_log()).await;
    ingest(&server, "project=till&branch=dev&job_name=compile", cargo_log()).await;
    let page = visitor.get("/failures").await.page();
    has(&page, &["shop", "till", "hx-trigger=\"every 10s\"", "data-row"]);
    let page = visitor.get("/failures?repository=shop&branch=main").await.page();
    assert!(page.contains(">unit<") && !page.contains(">compile<"), "{page}");
    let page = visitor.get("/failures?category=compile_error&since=7d").await.page();
    assert!(page.contains(">compile<") && !page.contains(">unit<"), "{page}");
    has(&visitor.get("/failures?repository=none").await.page(), &["No failure matches", "Clear filters"]);
    assert_eq!(visitor.get("/failures?severity=awful").await.status, 422);
    assert_eq!(visitor.get("/failures?since=yesterday").await.status, 422);
    server.stop().await;
}

#[tokio::test]
async fn the_overview_has_two_doors_and_then_numbers() {
    let server = TestServer::start().await;
    let visitor = Visitor::sign_in(&server, OWNER).await;
    has(&visitor.get("/").await.page(), &["Why did the build fail?", "href=\"/connect\"", "href=\"/send\""]);
    let sent = ingest(&server, "project=shop", pytest_log()).await;
    let page = visitor.get("/").await.page();
    let cluster = format!("/clusters/{}", sent["cluster_id"].as_str().unwrap());
    has(
        &page,
        &[
            "causes red now",
            "new today",
            "/clusters?state=active",
            &cluster,
            "Failures per day",
            "<svg",
            "As a table",
        ],
    );
    server.stop().await;
}

#[tokio::test]
async fn clusters_are_taken_and_resolved_by_hand() {
    let server = TestServer::start().await;
    let visitor = Visitor::sign_in(&server, OWNER).await;
    has(&visitor.get("/clusters").await.page(), &["No clusters yet"]);
    let sent = ingest(&server, "project=shop", pytest_log()).await;
    ingest(&server, "project=till&job_id=2", pytest_log()).await;
    let cause = sent["report"]["root_cause"].as_str().unwrap();
    let path = format!("/clusters/{}", sent["cluster_id"].as_str().unwrap());
    has(&visitor.get("/clusters").await.page(), &["2 times", "active", &path]);
    has(&visitor.get(&path).await.page(), &["Acknowledge", "Resolve", "till", "By day", "Latest failures"]);
    for (wanted, shown) in
        [("acknowledged", "Acknowledged."), ("resolved", "Resolved."), ("active", "Open again.")]
    {
        let changed = visitor.post(&format!("{path}/state"), &[("state", wanted)]).await;
        has(&visitor.get(changed.gone_to()).await.page(), &[shown]);
        let now = server.get(&format!("/v1{path}")).await.expect(200);
        assert_eq!(now["state"], wanted);
        assert_eq!(now["resolved_at"].is_string(), wanted == "resolved");
    }
    assert_eq!(visitor.post(&format!("{path}/state"), &[("state", "gone")]).await.status, 422);
    has(&visitor.get("/clusters?state=resolved").await.page(), &["No cluster matches"]);

    let word: String = cause.chars().skip(2).take(8).collect();
    let query: String = url::form_urlencoded::byte_serialize(word.to_uppercase().as_bytes()).collect();
    has(&visitor.get(&format!("/search?q={query}")).await.page(), &["Causes", &path]);
    server.stop().await;
}

#[tokio::test]
async fn search_finds_repositories_runs_commits_and_tests() {
    let server = TestServer::start().await;
    let visitor = Visitor::sign_in(&server, OWNER).await;
    let query = format!("project=group/shop&pipeline_id=4711&commit_sha={SHA}");
    let sent = ingest(&server, &query, pytest_log()).await;
    let link = format!("/analyses/{}", sent["id"].as_str().unwrap());
    let test = sent["report"]["failing"]["tests"][0]["name"].as_str().unwrap();
    has(&visitor.get("/search?q=SHO").await.page(), &["Repositories", "/failures?repository=group%2Fshop"]);
    has(&visitor.get("/search?q=%234711").await.page(), &["Runs and commits", &link]);
    has(&visitor.get(&format!("/search?q={}", &SHA[..8])).await.page(), &["Runs and commits", &link]);
    let part: String = test.chars().rev().take(6).collect::<Vec<_>>().into_iter().rev().collect();
    let part: String = url::form_urlencoded::byte_serialize(part.as_bytes()).collect();
    has(&visitor.get(&format!("/search?q={part}")).await.page(), &["Failed tests", &link]);
    for nothing in ["x", "%25%25", "zzzzzz", "__", "%27%20OR%201=1"] {
        has(&visitor.get(&format!("/search?q={nothing}")).await.page(), &["class=\"empty\""]);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_log_that_is_sent_by_hand_opens_its_report() {
    let server = TestServer::start().await;
    let visitor = Visitor::sign_in(&server, OWNER).await;
    let csrf = visitor.csrf().await;
    let fields = [("csrf", csrf.as_str()), ("project", "by/hand"), ("job", "unit"), ("log", "")];
    let shown = visitor.upload(&fields, pytest_log().as_bytes()).await;
    has(&visitor.get(shown.gone_to()).await.page(), &["by/hand", "Test failure", "Evidence"]);
    let pasted = [("csrf", csrf.as_str()), ("log", &cargo_log())];
    let shown = visitor.upload(&pasted, b"").await;
    has(&visitor.get(shown.gone_to()).await.page(), &["Compile error", "default"]);
    let packed = zstd::encode_all(pytest_log().as_bytes(), 3).unwrap();
    let shown = visitor.upload(&[("csrf", &csrf), ("project", "packed")], &packed).await;
    has(&visitor.get(shown.gone_to()).await.page(), &["packed", "Test failure"]);

    assert_eq!(visitor.upload(&[("csrf", &csrf)], b" \n").await.status, 422, "nothing was sent");
    assert_eq!(visitor.upload(&[("csrf", "wrong")], b"log").await.status, 403);
    assert_eq!(visitor.upload(&[("csrf", &csrf)], &vec![b'x'; 11 * 1024 * 1024]).await.status, 413);
    let bomb = zstd::encode_all(vec![b'x'; 11 * 1024 * 1024].as_slice(), 3).unwrap();
    assert_eq!(visitor.upload(&[("csrf", &csrf)], &bomb).await.status, 413);
    assert_eq!(server.get("/v1/analyses").await.expect(200)["items"].as_array().unwrap().len(), 3);
    server.stop().await;
}

#[tokio::test]
async fn viewers_look_and_change_nothing() {
    let server = TestServer::start().await;
    let sent = ingest(&server, "project=shop", pytest_log()).await;
    let body = json!({ "name": "viewer", "scopes": ["read"] });
    let token = server.post("/v1/tokens", body).await.expect(201)["token"].as_str().unwrap().to_owned();
    let visitor = Visitor::sign_in(&server, &token).await;
    let (id, cluster) = (sent["id"].as_str().unwrap(), sent["cluster_id"].as_str().unwrap());
    let page = visitor.get(&format!("/analyses/{id}")).await.page();
    has(&page, &["Members can say whether it was right"]);
    assert!(!page.contains("/verdict") && !page.contains("/rerun"));
    assert!(!visitor.get(&format!("/clusters/{cluster}")).await.page().contains("Acknowledge"));
    // The form token of the preferences, which everybody has.
    let after = page.split("name=\"csrf\" value=\"").nth(1).unwrap();
    let csrf = after.split('"').next().unwrap();
    for (path, field) in [
        (format!("/analyses/{id}/verdict"), ("correct", "yes")),
        (format!("/analyses/{id}/rerun"), ("", "")),
        (format!("/clusters/{cluster}/state"), ("state", "resolved")),
    ] {
        let request = visitor.http.post(format!("{}{path}", server.base)).form(&[("csrf", csrf), field]);
        assert_eq!(visitor.send(request).await.status, 403, "{path}");
    }
    assert_eq!(visitor.upload(&[("csrf", csrf)], pytest_log().as_bytes()).await.status, 403);
    let owner = Visitor::sign_in(&server, OWNER).await;
    let request =
        owner.http.post(format!("{}/clusters/{cluster}/state", server.base)).form(&[("state", "resolved")]);
    assert_eq!(owner.send(request).await.status, 403, "without the form's token");
    server.stop().await;
}

#[tokio::test]
async fn hostile_names_and_logs_are_text() {
    let (server, fake) = (TestServer::start().await, FakeGitLab::start().await);
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(&fake).await;
    server.monitor(&integration, &repo).await;
    let log = format!("{}\nE   AssertionError: {HOSTILE}\n", pytest_log().replace("assert", HOSTILE));
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed(HOSTILE, log.clone())]));
    for outcome in fake.deliver(&run).await {
        assert!(outcome.is_success(), "{outcome:?}");
    }
    let analyses = server.analyses("repository=acme/shop", 1).await;
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("project", HOSTILE)
        .append_pair("job_name", HOSTILE)
        .append_pair("branch", HOSTILE)
        .append_pair("commit_sha", HOSTILE)
        .finish();
    let sent = ingest(&server, &query, log).await;
    let visitor = Visitor::sign_in(&server, OWNER).await;
    let word: String = url::form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect();
    let ids = [analyses[0]["id"].as_str().unwrap(), sent["id"].as_str().unwrap()];
    let mut paths = vec!["/".to_owned(), "/failures".to_owned(), "/clusters".to_owned(), "/send".to_owned()];
    paths.extend(
        ids.iter().flat_map(|id| [format!("/analyses/{id}"), format!("/analyses/{id}/log?q={word}")]),
    );
    paths.push(format!("/failures?repository={word}&branch={word}"));
    paths.push(format!("/search?q={word}"));
    if let Some(cluster) = sent["cluster_id"].as_str() {
        paths.push(format!("/clusters/{cluster}"));
    }
    for path in paths {
        let page = visitor.get(&path).await.page();
        for element in ["<img", "<script>", "</code></script>"] {
            assert!(!page.contains(element), "{path} has {element}");
        }
        assert!(!page.contains("{{7*7}}") || page.contains("&#60;img") || page.contains("&lt;img"), "{path}");
    }
    server.stop().await;
}
