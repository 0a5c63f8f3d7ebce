//! Each state that an analysis can be in, on its page and in the list: what it is, why, and what to do.

use forge_testkit::{
    FakeGitLab, JobSpec, PullSpec, RunSpec,
    logs::{self, Framing},
};
use serde_json::json;

use crate::{
    support::{OWNER, TestServer, cargo_log, pytest_log},
    web::Web,
    web_report::ingest,
};

async fn execute(server: &TestServer, statement: &str) {
    let database = format!("sqlite://{}", server.folder.path().join("forge-rca.db").display());
    rca_store::testing::execute(&database, statement).await;
}

#[track_caller]
fn has(page: &str, texts: &[&str]) {
    for text in texts {
        assert!(page.contains(text), "missing on the page: {text}\n{page}");
    }
}

/// A monitored repository of a GitLab whose runs end as given.
struct Ci {
    server: TestServer,
    fake: FakeGitLab,
    repo: forge_testkit::RepoHandle,
    integration: String,
}

impl Ci {
    async fn start() -> Self {
        let (server, fake) = (TestServer::start().await, FakeGitLab::start().await);
        let repo = fake.add_repo("acme/shop");
        let integration = server.connect(&fake).await;
        server.monitor(&integration, &repo).await;
        Self { server, fake, repo, integration }
    }

    /// The ids of the run's analyses by their jobs' order, once all is said.
    async fn fails(&self, jobs: Vec<JobSpec>) -> (forge_testkit::RunHandle, Vec<String>) {
        self.fails_after(jobs, |_| {}).await
    }

    async fn fails_after(
        &self,
        jobs: Vec<JobSpec>,
        change: impl FnOnce(&forge_testkit::RunHandle),
    ) -> (forge_testkit::RunHandle, Vec<String>) {
        let count = jobs.len();
        let pull = self.fake.open_pull(&self.repo, &PullSpec::new("Refunds", "feature/refund"));
        let run = self.fake.add_run(&self.repo, &RunSpec::new(jobs).for_pull(&pull));
        change(&run);
        for outcome in self.fake.deliver(&run).await {
            assert!(outcome.is_success(), "{outcome:?}");
        }
        let all = self.server.analyses("repository=acme/shop", count).await;
        self.server.idle().await;
        let of = |job: &u64| {
            let id = job.to_string();
            all.iter().find(|it| it["job_id"] == id.as_str()).unwrap()["id"].as_str().unwrap().to_owned()
        };
        let ids = run.jobs.iter().map(of).collect();
        (run, ids)
    }
}

#[tokio::test]
async fn what_waits_and_what_is_read_says_so_and_renews_itself() {
    let server = TestServer::start().await;
    let web = Web::owner(&server).await;
    let sent = ingest(&server, "project=shop&job_name=unit", pytest_log()).await;
    let path = format!("/analyses/{}", sent["id"].as_str().unwrap());
    for (state, badge, title, meaning) in [
        ("queued", "Waiting", "The log waits to be read", "next in line"),
        ("running", "Reading", "The log is being read", "being fetched and read"),
    ] {
        execute(&server, &format!("UPDATE analysis SET state = '{state}', report = NULL")).await;
        let page = web.get(&path).await.expect(200);
        has(&page, &[badge, title, meaning, "hx-trigger=\"every 2s\"", "<progress", "Reload"]);
        assert!(!page.contains("/rerun\"") && !page.contains("Was this right?"), "{page}");
        has(&web.get(&format!("/failures?status={state}")).await.expect(200), &[badge, title, &path]);
    }
    server.stop().await;
}

#[tokio::test]
async fn what_failed_says_what_and_what_to_do() {
    let ci = Ci::start().await;
    let (_, ids) = ci.fails(vec![JobSpec::failed("unit", pytest_log())]).await;
    let reason = "the forge did not answer in 12 attempts: connection refused";
    let web = Web::owner(&ci.server).await;
    let path = format!("/analyses/{}", ids[0]);
    execute(&ci.server, &format!("UPDATE analysis SET state = 'failed', report = NULL, error = '{reason}'"))
        .await;
    let page = web.get(&path).await.expect(200);
    has(&page, &["Not analysed", reason, "The job itself is not affected", "Send the log by hand"]);
    assert_eq!(page.matches(&format!("{path}/rerun")).count(), 1, "one button, beside the reason");
    has(&web.get("/failures?status=failed").await.expect(200), &["Not analysed", &path]);
    let address = web.post(&path, &format!("{path}/rerun"), &[]).await.redirect();
    has(
        &web.get(&address).await.expect(200),
        &["Test failure", "The report has changed".trim_start_matches("The ")],
    );

    // A log that was sent in is not there to be read again.
    let sent = ingest(&ci.server, "project=mail", pytest_log()).await;
    let id = sent["id"].as_str().unwrap();
    execute(
        &ci.server,
        &format!("UPDATE analysis SET state = 'failed', report = NULL, error = 'no' WHERE id = '{id}'"),
    )
    .await;
    let page = web.get(&format!("/analyses/{id}")).await.expect(200);
    has(&page, &["Send the log again", "Send the log by hand"]);
    assert!(!page.contains("/rerun"), "{page}");
    ci.server.stop().await;
}

#[tokio::test]
async fn without_a_log_it_says_why_and_what_to_do() {
    let ci = Ci::start().await;
    let jobs = vec![JobSpec::failed("unit", "erased")];
    let (_, ids) = ci.fails_after(jobs, |run| ci.fake.erase_log(run.jobs[0])).await;
    let web = Web::owner(&ci.server).await;
    let path = format!("/analyses/{}", ids[0]);
    let page = web.get(&path).await.expect(200);
    let now = ci.server.get(&format!("/v1{path}")).await.expect(200);
    assert_eq!(now["state"], "no_log", "{now:#}");
    has(&page, &["No log", now["error"].as_str().unwrap(), "Check that the job still has a log"]);
    has(
        &page,
        &[&format!("/integrations/{}", ci.integration), "Send the log by hand", &format!("{path}/rerun")],
    );
    has(&web.get("/failures?status=no_log").await.expect(200), &["There is no log to analyse", &path]);
    ci.server.stop().await;
}

#[tokio::test]
async fn a_log_that_has_gone_or_changed_is_told_and_the_proof_stays() {
    let ci = Ci::start().await;
    let (run, ids) =
        ci.fails(vec![JobSpec::failed("unit", pytest_log()), JobSpec::failed("build", cargo_log())]).await;
    let web = Web::owner(&ci.server).await;
    ci.fake.set_log(run.jobs[0], format!("one line more\n{}", pytest_log()));
    let page = web.get(&format!("/analyses/{}/log", ids[0])).await.expect(200);
    has(&page, &["is not the one that was analysed", "then 17 lines, now 18", "analyse it again"]);
    ci.fake.erase_log(run.jobs[1]);
    let page = web.get(&format!("/analyses/{}/log", ids[1])).await.expect(200);
    has(&page, &["The log cannot be read again", "What the report cites is below", "cited focus"]);
    // The report itself needs no log.
    has(&web.get(&format!("/analyses/{}", ids[1])).await.expect(200), &["Compile error", "Evidence"]);
    let refused =
        web.post(&format!("/analyses/{}", ids[1]), &format!("/analyses/{}/rerun", ids[1]), &[]).await;
    has(&refused.expect(409), &["the report stays as it was"]);
    ci.server.stop().await;
}

#[tokio::test]
async fn many_jobs_of_one_cause_are_one_row() {
    let ci = Ci::start().await;
    let mut jobs: Vec<JobSpec> =
        (8..15).map(|minor| JobSpec::failed(&format!("test 3.{minor}"), pytest_log())).collect();
    jobs.push(JobSpec::failed("build", cargo_log()));
    let (_, ids) = ci.fails(jobs).await;
    let web = Web::owner(&ci.server).await;
    let page = web.get("/failures").await.expect(200);
    assert_eq!(page.matches("data-row").count(), 2, "{page}");
    has(&page, &["×7", "and 6 more", "6 more jobs failed by this cause"]);
    let page = web.get(&format!("/analyses/{}", ids[2])).await.expect(200);
    has(&page, &["6 more jobs failed by this cause", "1 job of this run failed by another cause"]);
    has(&page, &["The same log was read before"]);
    ci.server.stop().await;
}

#[tokio::test]
async fn steps_are_an_outline_and_a_cut_log_is_told() {
    let ci = Ci::start().await;
    let log = String::from_utf8(logs::pytest(Framing::GitLabRunner).bytes).unwrap();
    let cut: String = log.lines().take(log.lines().count() - 3).map(|line| format!("{line}\n")).collect();
    let (_, ids) = ci.fails(vec![JobSpec::failed("whole", log), JobSpec::failed("cut", cut)]).await;
    let web = Web::owner(&ci.server).await;
    let page = web.get(&format!("/analyses/{}", ids[0])).await.expect(200);
    has(&page, &["steps of the job", "class=\"bare steps\""]);
    assert!(!page.contains("The log is not complete"), "{page}");
    has(&web.get(&format!("/analyses/{}/log", ids[0])).await.expect(200), &["class=\"outline\""]);
    let now = ci.server.get(&format!("/v1/analyses/{}", ids[1])).await.expect(200);
    assert_eq!(now["report"]["truncated"], true, "{now:#}");
    has(&web.get(&format!("/analyses/{}", ids[1])).await.expect(200), &["The log is not complete"]);
    ci.server.stop().await;
}

#[tokio::test]
async fn no_cause_redactions_reuse_and_a_models_words_are_told() {
    let server = TestServer::start().await;
    let web = Web::owner(&server).await;
    let of = |sent: &serde_json::Value| format!("/analyses/{}", sent["id"].as_str().unwrap());

    let none = ingest(
        &server,
        "project=a",
        "hello\nworld\n##[error]Process completed with exit code 3.\n".to_owned(),
    )
    .await;
    let page = web.get(&of(&none)).await.expect(200);
    has(&page, &["No cause found", "No line of the log says why the job failed", "More verbose output"]);
    has(&page, &["What would help"]);
    assert!(!page.contains("% sure"), "what is not found is not rated");

    let log = pytest_log().replace("cart = Cart", "password = 'hunter2hunter2'; cart = Cart");
    let redacted = ingest(&server, "project=b", log).await;
    let page = web.get(&of(&redacted)).await.expect(200);
    has(&page, &["class=\"redacted\">removed: ", "Secrets removed"]);
    assert!(!page.contains("hunter2"));

    let first = ingest(&server, "project=c&pipeline_id=1", cargo_log()).await;
    let second = ingest(&server, "project=c&pipeline_id=2", cargo_log()).await;
    assert_eq!(second["reused_from"], first["id"]);
    let page = web.get(&of(&second)).await.expect(200);
    has(&page, &["The same log was read before", &of(&first)]);
    assert!(!web.get(&of(&first)).await.expect(200).contains("The same log was read before"));
    assert!(!page.contains("A language model"));

    let id = second["id"].as_str().unwrap();
    let note =
        "the explanation and the advice are in the words of the language model m; all else is the engine''s";
    execute(
        &server,
        &format!(
            "UPDATE analysis SET report = json_insert(report, '$.notes[#]', '{note}') WHERE id = '{id}'"
        ),
    )
    .await;
    has(
        &web.get(&of(&second)).await.expect(200),
        &["A language model put the explanation and the advice into words"],
    );
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_posted_says_why_and_where_to_change_it() {
    let ci = Ci::start().await;
    let wishes = json!({
        "feedback": {"pr_comment": true, "commit_comment": true, "issue": false, "status": false},
        "rate_caps": {"repository_per_hour": 1},
    });
    ci.server.put("/v1/settings", wishes).await.expect(200);
    let web = Web::owner(&ci.server).await;
    let path = format!("/integrations/{}", ci.integration);
    has(&web.get(&path).await.expect(200), &["blocked by workspace", "/settings"]);
    ci.fails(vec![JobSpec::failed("first", cargo_log())]).await;
    let pull = ci.fake.open_pull(&ci.repo, &PullSpec::new("Carts", "feature/cart"));
    let spec = RunSpec::new(vec![JobSpec::failed("capped", pytest_log())]).for_pull(&pull);
    ci.fake.deliver(&ci.fake.add_run(&ci.repo, &spec)).await;
    let all = crate::support::eventually("the second is capped", async || {
        let list = ci.server.get("/v1/analyses").await.expect(200);
        let items = list["items"].as_array()?.clone();
        let is_capped = |it: &&serde_json::Value| it["feedback"].to_string().contains("it is said at");
        items.iter().find(is_capped).map(|it| it["id"].as_str().unwrap().to_owned())
    })
    .await;
    let page = web.get(&format!("/analyses/{all}")).await.expect(200);
    has(&page, &["left out", "1 comment an hour are allowed for this repository", "it is said at"]);
    has(&page, &["What is posted where is chosen in", &format!("{path}#feedback")]);

    let viewer = ci.server.post("/v1/tokens", json!({"name": "v", "role": "viewer"})).await.expect(201);
    assert_ne!(viewer["token"], OWNER);
    let viewer = Web::signed_in(&ci.server, viewer["token"].as_str().unwrap()).await;
    let page = viewer.get(&format!("/analyses/{all}")).await.expect(200);
    assert!(!page.contains("drop-anywhere"), "who may not send logs is not asked for them");
    drop(ci);
}

#[tokio::test]
async fn the_audit_names_who_did_what() {
    let server = TestServer::start().await;
    server.post("/v1/tokens", json!({"name": "Grafana", "scopes": ["read", "write"]})).await.expect(201);
    let page = Web::owner(&server).await.get("/audit").await.expect(200);
    has(&page, &[">owner</td>", "token.create", "Grafana", "read, write"]);
    assert!(!page.contains("&#34;scopes&#34;"), "nobody has to read JSON: {page}");
    server.stop().await;
}
