//! The whole loop with no account: `cargo demo`, or `cargo demo --once` to end by itself.
//!
//! A server on SQLite, fake forges on loopback, each connected, a pipeline broken in each with a log of a real kind,
//! deliveries signed and sent, the comments read back.
#![expect(clippy::print_stdout, reason = "a demonstration shows what it does")]
#![expect(clippy::indexing_slicing, reason = "indexing a JSON value gives null where there is nothing")]

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use forge_core::{ForgeKind, model::Target};
use forge_testkit::{
    CiServer, Fake, FakeBitbucketCloud, FakeBitbucketDc, FakeGitFlic, FakeGitHub, FakeGitLab, JobSpec,
    PullSpec, RunSpec, State,
    logs::{self, Framing, SampleLog},
};
use reqwest::Method;
use serde_json::{Value, json};
use server::{
    Application, Config, Role,
    config::{LogSource, LogSourceKind},
    shutdown,
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let once = std::env::args().any(|argument| argument == "--once");
    let folder = tempfile::tempdir()?;
    let owner = format!("frca_demo_{}", "0".repeat(24));
    let bitbucket_dc = FakeBitbucketDc::start().await;
    let mut config = Config::for_loopback(folder.path(), owner.clone().into());
    // Bitbucket Data Center has no CI: the logs lie at a Jenkins beside it.
    config.log_sources.push(LogSource {
        kind: LogSourceKind::Jenkins,
        base_url: bitbucket_dc.ci_url(CiServer::Jenkins).parse()?,
        username: Some(FakeBitbucketDc::CI_USER.to_owned()),
        token: FakeBitbucketDc::CI_TOKEN.to_owned().into(),
    });
    let application = Application::build(config, Role::All).await?;
    let base = application.base_url();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(application.run(async {
        // A dropped sender ends the server too.
        drop(stopped.await);
    }));
    say("server", &format!("listening on {base}, data in {}", folder.path().display()));
    let api = Api {
        base: base.clone(),
        owner: owner.clone(),
        http: reqwest::Client::builder().no_proxy().build()?,
    };

    let gitlab = FakeGitLab::start().await;
    let github = FakeGitHub::start().await;
    show_forge(&api, &gitlab, "test 3.12", logs::pytest(Framing::GitLabRunner)).await?;
    show_forge(&api, &github, "build", logs::cargo(Framing::GitHubActions)).await?;
    let bitbucket_cloud = FakeBitbucketCloud::start().await;
    show_forge(&api, &bitbucket_cloud, "test", logs::pytest(Framing::Plain)).await?;
    show_forge(&api, &bitbucket_dc, "build", logs::cargo(Framing::Plain)).await?;
    let gitflic = FakeGitFlic::start().await;
    show_forge(&api, &gitflic, "web", logs::npm(Framing::Plain)).await?;
    push_a_log(&api).await?;

    println!();
    if once {
        say("done", "every step went as it should");
    } else {
        say("open", &format!("{base} in a browser and sign in with {owner}; ctrl-c ends"));
        shutdown::signal().await;
    }
    drop(stop);
    running.await??;
    Ok(())
}

/// Connects a forge, breaks a pipeline in it, shows what is said there, and mends it.
async fn show_forge(api: &Api, fake: &Fake, job: &str, log: SampleLog) -> anyhow::Result<()> {
    let name = fake.kind().display_name();
    println!("\n-- {name} at {}", fake.base_url());
    let repo = fake.add_repo("acme/shop");
    let token = secret(&fake.token());
    let mut body =
        json!({"base_url": fake.base_url().as_str(), "token": token, "backfill": {"enabled": false}});
    if fake.kind() == ForgeKind::BITBUCKET_CLOUD {
        // An API token of Atlassian is the password of a mail address.
        body["email"] = "rca-bot@example.com".into();
    }
    let integration =
        api.call(Method::POST, &format!("/v1/integrations/{}/token", fake.kind()), Some(body)).await?;
    let id = text(&integration, "/id")?;
    say(
        "connected",
        &format!(
            "as {}, health {}",
            text(&integration, "/account/login")?,
            text(&integration, "/health/status")?
        ),
    );

    let path = format!("/v1/integrations/{id}/repositories");
    let list = api.until(&path, "its repositories are found", |list| list["items"].get(0).is_some()).await?;
    let body = json!({"add": [text(&list, "/items/0/id")?]});
    let monitored = api.call(Method::POST, &format!("{path}/monitor"), Some(body)).await?;
    ensure!(monitored["items"][0]["hook_registered"] == true, "the hook was not registered: {monitored}");
    say("watching", &format!("{}, hook registered at the forge", repo.full_name));

    let pull = fake.open_pull(
        &repo,
        &PullSpec::new("Refund in the shop's currency", "feature/refund").with_sha(&"4be1f2".repeat(7)[..40]),
    );
    let jobs = vec![JobSpec::green("lint"), JobSpec::failed(job, log.bytes)];
    let run = fake.add_run(&repo, &RunSpec::new(jobs).for_pull(&pull));
    for outcome in fake.deliver(&run).await {
        ensure!(outcome.is_success(), "the delivery was refused: {outcome:?}");
        say(
            "delivered",
            &format!("{}, signed, answered {}", outcome.event, outcome.status.unwrap_or_default()),
        );
    }
    let filter = format!("/v1/analyses?forge={}", fake.kind());
    let analyses =
        api.until(&filter, "the analysis is done", |list| list["items"][0]["state"] == "done").await?;
    let report = &analyses["items"][0]["report"];
    say(
        "cause",
        &format!(
            "{} ({}, {})",
            text(report, "/root_cause")?,
            text(report, "/category")?,
            report["confidence"]
        ),
    );
    say(
        "evidence",
        &format!(
            "lines {} to {} of {}",
            report["evidence"][0]["start_line"], report["evidence"][0]["end_line"], report["log"]["lines"]
        ),
    );

    let target = Target::Pull(pull.number.to_string());
    let comment = wait("the comment", || fake.comments(&repo, &target).pop()).await?;
    say("said", &format!("at pull request {}:", pull.number));
    for line in comment.body.lines() {
        println!("             | {line}");
    }

    let green = vec![JobSpec::green("lint"), JobSpec::green(job)];
    let mended = RunSpec::new(green).for_pull(&pull).with_state(State::Success);
    // At Bitbucket Data Center a run is a commit, so that what mends it is another one.
    let mended = if fake.kind() == ForgeKind::BITBUCKET_DC {
        mended.with_sha(&"5cf2a3".repeat(7)[..40])
    } else {
        mended
    };
    let run = fake.add_run(&repo, &mended);
    fake.deliver(&run).await;
    let turned = wait("the comment to turn green", || {
        fake.comments(&repo, &target).pop().filter(|now| now.body != comment.body)
    })
    .await?;
    let first = turned
        .body
        .lines()
        .find(|line| !line.starts_with("<!--") && !line.starts_with('[') && !line.is_empty());
    say("green", first.unwrap_or_default());
    let comments = fake.comments(&repo, &target).len();
    if fake.kind() == ForgeKind::GITFLIC {
        ensure!(comments == 2, "comments cannot be edited there: one that is red, one that is green");
    } else {
        ensure!(comments == 1, "one comment, edited");
    }
    Ok(())
}

async fn push_a_log(api: &Api) -> anyhow::Result<()> {
    println!("\n-- any other CI: curl --data-binary @build.log");
    let request =
        api.http.post(format!("{}/v1/ingest/raw?project=shop&wait=30", api.base)).bearer_auth(&api.owner);
    let analysis: Value =
        request.body(logs::npm(Framing::Plain).bytes).send().await?.error_for_status()?.json().await?;
    say("cause", &text(&analysis, "/report/root_cause")?);
    Ok(())
}

struct Api {
    base: String,
    owner: String,
    http: reqwest::Client,
}

impl Api {
    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.owner);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let status = response.status();
        let text = response.text().await?;
        ensure!(status.is_success(), "{path} answered {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    async fn until(&self, path: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        let began = Instant::now();
        loop {
            let value = self.call(Method::GET, path, None).await?;
            if is_so(&value) {
                return Ok(value);
            }
            ensure!(
                began.elapsed() < Duration::from_secs(60),
                "waited a minute, and still not: {what}\n{value:#}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn wait<T>(what: &str, ask: impl Fn() -> Option<T>) -> anyhow::Result<T> {
    let began = Instant::now();
    loop {
        if let Some(value) = ask() {
            return Ok(value);
        }
        ensure!(began.elapsed() < Duration::from_secs(60), "waited a minute for {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn text(value: &Value, pointer: &str) -> anyhow::Result<String> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    Ok(found.with_context(|| format!("no {pointer} in {value:#}"))?.to_owned())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the fake forge's token goes into the request that connects it"
)]
fn secret(secret: &secrecy::SecretString) -> String {
    secrecy::ExposeSecret::expose_secret(secret).to_owned()
}

fn say(step: &str, what: &str) {
    println!("{step:>11}  {what}");
}
