//! A server that has been in use for a month: five forges of which some do not work, failures of many kinds in clusters
//! with a history, channels that speak and channels that do not, people, tokens, incidents, long work under way.

use std::time::Duration;

use forge_testkit::{
    Fake, FakeBitbucketDc, FakeGitFlic, FakeGitHub, FakeGitLab, JobSpec, PullSpec, RepoHandle, RunSpec,
    TokenKind, TokenSpec,
    logs::{self, Framing, SampleLog},
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

use crate::{
    support::{TestServer, eventually},
    web::Web,
    web_report::ingest,
};

const SHA: &str = "4be1f20000000000000000000000000000000001";
const LONG: &str = "acme/a-repository-with-a-rather-long-name-that-goes-on-and-on-and-on";

pub(super) struct Used {
    pub(super) server: TestServer,
    gitlab: FakeGitLab,
    github: FakeGitHub,
    gitflic: FakeGitFlic,
    dead: FakeGitLab,
    dc: FakeBitbucketDc,
    chats: [MockServer; 2],
    /// Of the GitLab that works.
    integration: String,
    /// Of the one whose token died.
    broken: String,
}

fn text(log: SampleLog) -> String {
    String::from_utf8(log.bytes).unwrap()
}

async fn deliver(fake: &Fake, repo: &RepoHandle, spec: &RunSpec) {
    for outcome in fake.deliver(&fake.add_run(repo, spec)).await {
        assert!(outcome.is_success(), "{outcome:?}");
    }
}

impl Used {
    pub(super) async fn start() -> Self {
        let server = TestServer::start_with(|config| {
            config.smtp_url = Some("smtp://127.0.0.1:9".into());
            config.smtp_from = Some("rca@example.com".to_owned());
        })
        .await;
        let gitlab = FakeGitLab::start().await;
        let integration = server.connect(&gitlab).await;
        let used = Self {
            gitlab,
            github: FakeGitHub::start().await,
            gitflic: FakeGitFlic::start().await,
            dead: FakeGitLab::start().await,
            dc: FakeBitbucketDc::start().await,
            chats: [MockServer::start().await, MockServer::start().await],
            broken: String::new(),
            integration,
            server,
        };
        let used = Self { broken: used.connect_those_in_trouble().await, ..used };
        used.add_channels().await;
        used.add_people().await;
        used.break_builds().await;
        used.add_a_month().await;
        used
    }

    pub(super) async fn execute(&self, statement: &str) {
        let database = format!("sqlite://{}", self.server.folder.path().join("forge-rca.db").display());
        rca_store::testing::execute(&database, statement).await;
    }

    async fn connect_those_in_trouble(&self) -> String {
        let server = &self.server;
        let connect = async |fake: &Fake, token: &secrecy::SecretString| {
            let path = format!("/v1/integrations/{}/token", fake.kind());
            let body = json!({
                "base_url": fake.base_url().as_str(),
                "token": token.expose_secret(),
                "backfill": {"enabled": false},
            });
            server.post(&path, body).await.expect(201)["id"].as_str().unwrap().to_owned()
        };
        self.gitflic.add_repo("acme/pay");
        connect(&self.gitflic, &self.gitflic.read_only_token()).await;
        self.dead.add_repos(3);
        let token = self.dead.add_token(&TokenSpec::new(TokenKind::Personal, &["api"]).with_login("grace"));
        let broken = connect(&self.dead, &token).await;
        self.dead.revoke_token(&token);
        let path = format!("/integrations/{broken}");
        Web::owner(server).await.post(&path, &format!("{path}/check"), &[]).await.redirect();
        let by_hand =
            json!({"base_url": self.dc.base_url().as_str(), "project_key": "SHOP", "repository": "till"});
        server.post("/v1/integrations/bitbucket-dc/webhook", by_hand).await.expect(201);
        broken
    }

    async fn add_channels(&self) {
        let answer = ResponseTemplate::new(200).set_body_string("ok");
        Mock::given(method("POST")).respond_with(answer).mount(&self.chats[0]).await;
        let refusal = json!({"ok": false, "error_code": 401, "description": "Unauthorized"});
        let refusal = ResponseTemplate::new(401).set_body_json(refusal);
        Mock::given(method("POST")).respond_with(refusal).mount(&self.chats[1]).await;
        let (ok, no) = (self.chats[0].uri(), self.chats[1].uri());
        for channel in [
            json!({"kind": "slack", "name": "#ci", "config": {"webhook_url": format!("{ok}/T/incoming")}}),
            json!({"kind": "telegram", "name": "Team chat", "config": {"bot_token": "12:of-the-bot", "chat_id": -1001, "api_base_url": no}}),
            json!({"kind": "matrix", "name": "Room", "config": {"homeserver_url": ok, "access_token": "of-matrix", "room_id": "!r:example.com"},
                "filters": {"repositories": ["acme/billing-*", "acme/shop"], "min_severity": "high"}, "enabled": false}),
            json!({"kind": "email", "name": "On call", "config": {"to": ["team@example.com"]}}),
            json!({"kind": "webhook", "name": "Archive", "config": {"url": format!("{ok}/archive/incoming")}}),
        ] {
            self.server.post("/v1/channels", channel).await.expect(201);
        }
    }

    async fn add_people(&self) {
        let server = &self.server;
        for (email, role) in [
            ("ada@example.com", "owner"),
            ("grace.hopper@a-company-with-a-long-name.example.com", "admin"),
            ("linus@example.com", "member"),
            ("margaret@example.com", "viewer"),
        ] {
            server.post("/v1/members", json!({"email": email, "role": role})).await.expect(201);
        }
        for (name, scopes) in [("Jenkins", "ingest"), ("Grafana", "read"), ("Old laptop", "write")] {
            let ends = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(12 * 24);
            let body = json!({"name": name, "scopes": [scopes], "expires_at": ends.to_string()});
            server.post("/v1/tokens", body).await.expect(201);
        }
        self.execute(
            "UPDATE api_token SET expires_at = unixepoch() * 1000 - 86400000 WHERE name = 'Old laptop'",
        )
        .await;
    }

    async fn break_builds(&self) {
        let (server, gitlab, github) = (&self.server, &self.gitlab, &self.github);
        let [shop, till, long] = ["acme/shop", "acme/till", LONG].map(|name| gitlab.add_repo(name));
        gitlab.add_repos(60);
        let engine = github.add_repo("acme/engine");
        server.post(&format!("/v1/integrations/{}/sync", self.integration), json!({})).await;
        let on_github = server.connect(github).await;
        for repo in [&shop, &till, &long] {
            server.monitor(&self.integration, repo).await;
        }
        server.monitor(&on_github, &engine).await;

        let pull = gitlab.open_pull(&shop, &PullSpec::new("Refunds", "feature/refund").with_sha(SHA));
        let matrix = (9..=14).map(|minor| {
            JobSpec::failed(&format!("test 3.{minor}"), text(logs::pytest(Framing::GitLabRunner)))
        });
        let matrix: Vec<JobSpec> =
            matrix.chain([JobSpec::failed("build", text(logs::cargo(Framing::GitLabRunner)))]).collect();
        deliver(gitlab, &shop, &RunSpec::new(matrix).for_pull(&pull)).await;
        let secret = format!(
            "export DEPLOY_TOKEN=glpat-{}\npassword=hunter2hunter2\n{}",
            "x7Kq9TfW2mLp4RzD8sVb",
            text(logs::npm(Framing::Plain))
                .replace("npm error Found:", "npm error password=hunter2hunter2 Found:")
        );
        let jobs = vec![
            JobSpec::failed("install", secret),
            JobSpec::failed("worker", text(logs::out_of_memory(Framing::GitLabRunner))),
            JobSpec::failed("quiet", "hello\nworld\n##[error]Process completed with exit code 3.\n"),
            JobSpec::failed("lost", "erased\n"),
        ];
        let run = gitlab.add_run(&till, &RunSpec::new(jobs).with_branch("main"));
        gitlab.erase_log(run.jobs[3]);
        assert!(gitlab.deliver(&run).await.iter().all(|outcome| outcome.is_success()));
        deliver(gitlab, &till, &RunSpec::new(vec![JobSpec::green("install")]).with_branch("main")).await;
        let green: String = (1..=1500).map(|number| format!("compiled part {number} of 1500\n")).collect();
        let jobs = vec![
            JobSpec::failed("go test ./...", text(logs::go(Framing::GitHubActions))),
            JobSpec::failed("image", text(logs::docker(Framing::GitHubActions))),
            JobSpec::failed("long", format!("{green}{}", text(logs::pytest(Framing::Plain)))),
        ];
        deliver(
            github,
            &engine,
            &RunSpec::new(jobs).with_branch("release/2026-11-with-a-rather-long-name-of-a-branch"),
        )
        .await;
        let query = "project=nightly/firmware&job_name=flash&branch=main&pipeline_id=77";
        ingest(server, query, text(logs::cargo(Framing::Plain))).await;
        server.analyses("", 15).await;
        eventually("a channel gave up", async || {
            let list = server.get("/v1/channels").await.expect(200);
            list["items"].as_array()?.iter().any(|it| it["disabled_reason"].is_string()).then_some(())
        })
        .await;
    }

    /// What took a month: copies of the failures, with the clusters that they make, and what else has a past.
    async fn add_a_month(&self) {
        let seeds = "(SELECT *, row_number() OVER (ORDER BY id) - 1 AS nr, COUNT(*) OVER () AS many FROM analysis \
            WHERE state = 'done' AND cluster_id IS NOT NULL)";
        let time = "unixepoch() * 1000 - 3600000 - (260 - i) * (30 * 86400000 / 260)";
        for statement in [
            format!(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 260) \
                 INSERT INTO analysis (id, workspace, integration_key, forge, repository_key, repository, run_id, root_run_id, \
                 attempt, job_id, job_name, branch, commit_sha, pr, source, state, category, severity, fingerprint, cluster_id, \
                 introduced_by, report, data, created_at, finished_at, duration_seconds) \
                 SELECT printf('01900000-0000-7000-8000-%012d', i), s.workspace, s.integration_key, s.forge, s.repository_key, \
                 s.repository, printf('%d', 4000 + i), printf('%d', 4000 + i), 1, printf('%d', 90000 + i), s.job_name, \
                 CASE WHEN i % 3 = 0 THEN 'main' ELSE printf('feature/%d', i) END, printf('%040x', i * 7919), NULL, 'webhook', 'done', \
                 s.category, s.severity, s.fingerprint, s.cluster_id, s.introduced_by, s.report, s.data, {time}, {time} + 4000, \
                 60 + i * 37 % 900 FROM n JOIN {seeds} s ON s.nr = (i * i / 3 + i) % s.many"
            ),
            "UPDATE cluster SET count = (SELECT COUNT(*) FROM analysis WHERE cluster_id = cluster.id), \
             first_seen_at = (SELECT MIN(created_at) FROM analysis WHERE cluster_id = cluster.id)".to_owned(),
            format!("UPDATE cluster SET state = 'acknowledged', last_fix = '{SHA}' WHERE id = (SELECT id FROM cluster ORDER BY id LIMIT 1)"),
            format!("UPDATE cluster SET state = 'resolved', resolved_at = unixepoch() * 1000 - 7200000, last_fix = '{SHA}' \
                WHERE id = (SELECT id FROM cluster ORDER BY id DESC LIMIT 1)"),
            "INSERT INTO incident SELECT 'old-' || id, workspace, code, severity, message, remedy, integration_key, repository_key, \
             opened_at - 864000000, opened_at - 777600000 FROM incident WHERE resolved_at IS NULL".to_owned(),
            "UPDATE delivery SET status = 'ignored', reason = 'the run has not failed' WHERE id = (SELECT id FROM delivery ORDER BY id DESC LIMIT 1)".to_owned(),
            "UPDATE delivery SET status = 'dead', reason = 'the forge did not answer in 20 attempts: connection refused. Check that it is up, then run it again.' \
             WHERE id = (SELECT id FROM delivery ORDER BY id LIMIT 1)".to_owned(),
            "UPDATE delivery SET status = 'pending', finished_at = NULL WHERE id = (SELECT id FROM delivery ORDER BY id LIMIT 1 OFFSET 1)".to_owned(),
            "INSERT INTO mark SELECT id, 'operation:long-work', '{\"kind\":\"monitor\",\"total\":3000,\"done\":1204,\"end\":null,\"asked\":1}', \
             unixepoch() * 1000 FROM workspace".to_owned(),
        ] {
            self.execute(&statement).await;
        }
    }

    /// The id of the newest analysis of a job.
    pub(super) async fn analysis(&self, job: &str) -> String {
        let list = self.server.get("/v1/analyses?limit=100").await.expect(200);
        let is_it = |item: &&Value| item["job_name"] == job;
        let found = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(is_it)
            .unwrap_or_else(|| panic!("{job} is analysed"));
        found["id"].as_str().unwrap().to_owned()
    }

    /// Every page that something is on: name of its pictures, and address.
    pub(super) async fn pages(&self) -> Vec<(String, String)> {
        let server = &self.server;
        let first = async |path: &str, index: usize| {
            let list = server.get(path).await.expect(200);
            list["items"][index]["id"].as_str().unwrap_or_else(|| panic!("{path}: {list}")).to_owned()
        };
        let (integration, broken) = (&self.integration, &self.broken);
        let repositories = format!("/integrations/{integration}/repositories");
        let repository = first(&format!("/v1{repositories}?monitored=true"), 0).await;
        let mut pages: Vec<(String, String)> = [
            ("overview", "/".to_owned()),
            ("failures", "/failures".to_owned()),
            ("failures-filtered", "/failures?repository=acme/shop&since=7d".to_owned()),
            ("failures-none", "/failures?repository=acme/none".to_owned()),
            ("clusters", "/clusters".to_owned()),
            ("cluster", format!("/clusters/{}", first("/v1/clusters", 0).await)),
            ("search", "/search?q=test".to_owned()),
            ("integrations", "/integrations".to_owned()),
            ("integration", format!("/integrations/{integration}")),
            ("integration-broken", format!("/integrations/{broken}")),
            ("disconnect", format!("/integrations/{integration}/disconnect")),
            ("repositories", repositories.clone()),
            ("repositories-connecting", format!("{repositories}?step=connect")),
            ("repository", format!("{repositories}/{repository}")),
            ("deliveries", "/deliveries".to_owned()),
            ("deliveries-none", "/deliveries?status=dead&repository=none".to_owned()),
            ("incidents", "/incidents".to_owned()),
            ("operation", format!("/operations/long-work?integration={integration}")),
            ("channels", "/channels".to_owned()),
            ("members", "/members".to_owned()),
            ("tokens", "/tokens".to_owned()),
            ("audit", "/audit".to_owned()),
            ("settings", "/settings".to_owned()),
            ("connect", "/connect".to_owned()),
            ("connect-done", format!("/connect/done?integration={integration}")),
        ]
        .map(|(name, path)| (name.to_owned(), path))
        .into();
        for status in ["done", "ignored", "dead", "pending"] {
            let id = first("/v1/deliveries", 0).await;
            let list = server.get("/v1/deliveries?limit=100").await.expect(200);
            let found = list["items"].as_array().unwrap().iter().find(|item| item["status"] == status);
            let id = found.map_or(id, |item| item["id"].as_str().unwrap().to_owned());
            pages.push((format!("delivery-{status}"), format!("/deliveries/{id}")));
        }
        let channels = server.get("/v1/channels").await.expect(200);
        for channel in channels["items"].as_array().unwrap() {
            let (kind, id) = (channel["kind"].as_str().unwrap(), channel["id"].as_str().unwrap());
            pages.push((format!("channel-{kind}"), format!("/channels/{id}")));
        }
        for (name, job) in [
            ("matrix", "test 3.12"),
            ("redacted", "install"),
            ("no-cause", "quiet"),
            ("no-log", "lost"),
            ("go", "go test ./..."),
            ("image", "image"),
            ("sent", "flash"),
        ] {
            let id = self.analysis(job).await;
            pages.push((format!("report-{name}"), format!("/analyses/{id}")));
            if matches!(name, "matrix" | "redacted" | "sent" | "go") {
                pages.push((format!("log-{name}"), format!("/analyses/{id}/log")));
            }
        }
        let long = self.analysis("long").await;
        pages.push(("log-long".to_owned(), format!("/analyses/{long}/log?q=part+14")));
        pages
    }

    pub(super) async fn stop(self) {
        tokio::time::timeout(Duration::from_secs(30), self.server.stop()).await.unwrap();
    }
}
