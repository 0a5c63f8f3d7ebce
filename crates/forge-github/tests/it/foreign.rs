//! Programs that we did not write (`tests/foreign`): GitHub's description of its API judges what we send, and its own
//! library signs what we receive.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use forge_core::{
    AppKey, Delivery, ForgeClient, ForgeClientExt as _, Instance, LogOptions, Pkce, Provider, Secrets,
    StaticCredential,
    model::{Change, Comment, CommitStatus, FileChange, HookSpec, Issue, RunRef, StatusState, Target},
};
use forge_github::GitHub;
use forge_testkit::{ChangeSpec, FakeGitHub, HookSetup, JobSpec, PullSpec, RunSpec};
use futures_util::TryStreamExt as _;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use crate::server::http;

/// Starting on a busy machine; nothing is measured by it.
const PATIENCE: Duration = Duration::from_secs(120);
const BASE: &str = "1111111111111111111111111111111111111111";
const HEAD: &str = "3333333333333333333333333333333333333333";

/// A node program of `tests/foreign` that speaks in lines of JSON. Dropping it ends it.
struct Program {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Program {
    /// `None` where it is not installed, which it has to be in CI.
    fn start(test: &str, script: &str, package: &str, arguments: &[&str]) -> Option<Self> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/foreign");
        let is_installed = |folder: &Path| folder.join("node_modules").join(package).is_dir();
        let child = is_installed(&folder).then(|| {
            Command::new("node")
                .arg(script)
                .args(arguments)
                .current_dir(&folder)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
        });
        let Some(Ok(mut child)) = child else {
            let what = format!("{test} is left out: {package} is not installed (npm ci in tests/foreign)");
            assert!(std::env::var_os("CI").is_none(), "{what}");
            // Not captured as print is: it has to be seen.
            let _ = writeln!(std::io::stderr(), "{what}");
            return None;
        };
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Some(Self { _child: child, input, output: BufReader::new(output).lines() })
    }

    async fn say(&mut self, line: &Value) {
        self.input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    async fn hear(&mut self) -> Value {
        let line = timeout(PATIENCE, self.output.next_line()).await.expect("an answer in time").unwrap();
        serde_json::from_str(&line.expect("the program is still there")).unwrap()
    }
}

/// The adapter in front of a judging proxy in front of the fake.
struct Judged {
    proxy: Program,
    fake: FakeGitHub,
    instance: Instance,
}

impl Judged {
    async fn start(test: &str, description: &str) -> Option<Self> {
        let fake = FakeGitHub::start().await;
        let upstream = fake.base_url().to_string();
        let arguments = [description, &upstream];
        let mut proxy = Program::start(test, "prism.mjs", "@stoplight/prism-cli", &arguments)?;
        let url = proxy.hear().await["listening"].as_str().unwrap().to_owned();
        // Next pages lead through the proxy too.
        fake.set_next_link_origin(Some(&url));
        // The proxy would follow to the storage itself.
        fake.set_log_redirect(false);
        let instance = Instance::new(&url).unwrap();
        Some(Self { proxy, fake, instance })
    }

    fn client(&self, token: SecretString) -> Arc<dyn ForgeClient> {
        GitHub::new(http()).connect(&self.instance, Arc::new(StaticCredential::token(token))).unwrap()
    }

    /// Everything that was asked passed the proxy and was without fault.
    async fn assert_no_violation(mut self) {
        let (asked, faults) = self.violations().await;
        assert!(asked > 60 && faults.is_empty(), "of {asked} requests: {faults:#?}");
        assert!(self.fake.unknown_requests().is_empty(), "{:?}", self.fake.unknown_requests());
    }

    /// How many requests were judged, and what was wrong with them.
    async fn violations(&mut self) -> (usize, Vec<String>) {
        // The browser's pages and OAuth are in no description and do not pass the proxy.
        let requests = self.fake.requests();
        let asked = requests.iter().filter(|request| request.path.starts_with("/api/v3/")).count();
        let mut faults = Vec::new();
        for _ in 0..asked {
            let judged = self.proxy.hear().await;
            for violation in judged["violations"].as_array().unwrap() {
                faults.push(format!("{}: {violation}", judged["request"]));
            }
        }
        (asked, faults)
    }
}

#[tokio::test]
async fn requests_are_as_github_describes_them() {
    all_requests("requests_are_as_github_describes_them", "api.github.com").await;
}

#[tokio::test]
async fn requests_are_as_enterprise_server_describes_them() {
    all_requests("requests_are_as_enterprise_server_describes_them", "ghes-3.19").await;
}

#[tokio::test]
async fn the_proxy_notices_what_is_wrong() {
    let Some(mut judged) = Judged::start("the_proxy_notices_what_is_wrong", "api.github.com").await else {
        return;
    };
    let repo = judged.fake.add_repo("northwind/shop");
    let client = judged.client(judged.fake.token());
    let answer = client.require_ci().unwrap().get_run(&repo.repo_ref(), &RunRef::new("not-a-number")).await;
    assert!(answer.is_err());
    let (_, faults) = judged.violations().await;
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].contains("run_id must be integer"), "{faults:?}");
}

/// Every call that the adapter has, as a person and as an app.
async fn all_requests(test: &str, description: &str) {
    let Some(judged) = Judged::start(test, description).await else { return };
    as_a_person(&judged).await;
    as_an_app(&judged).await;
    judged.assert_no_violation().await;
}

async fn as_a_person(judged: &Judged) {
    let fake = &judged.fake;
    let client = judged.client(fake.token());
    let repo = fake.add_repo("northwind/shop");
    let here = repo.repo_ref();
    fake.add_repos(120);
    client.whoami().await.unwrap();
    let repos: Vec<_> = client.repos().list_repos().try_collect().await.unwrap();
    assert_eq!(repos.len(), 121, "over two pages");
    client.repos().get_repo("northwind/shop").await.unwrap();

    let hooks = client.require_hooks().unwrap();
    let spec =
        HookSpec::new("http://127.0.0.1:9/hook".parse().unwrap(), "0123456789abcdef".to_owned().into());
    let hook = client.ensure_hook(&here, &spec, None).await.unwrap().hook;
    client.ensure_hook(&here, &spec, None).await.unwrap();
    hooks.test_hook(&here, &hook.id).await.unwrap();

    let jobs = vec![JobSpec::failed("test (a, 1)", "boom\n"), JobSpec::green("lint")];
    let green = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::green("test (a, 1)")]));
    let pull = fake.open_pull(&repo, &PullSpec::new("Basket", "feature/basket #1").with_sha(HEAD));
    let run = fake.add_run(&repo, &RunSpec::new(jobs).for_pull(&pull).with_sha(HEAD));
    fake.deliver(&run).await;
    let past = hooks.list_deliveries(&here, &hook.id, Timestamp::UNIX_EPOCH).await.unwrap();
    hooks.redeliver(&here, &hook.id, &past[0].id).await.unwrap();

    let ci = client.require_ci().unwrap();
    let since = fake.now() - jiff::SignedDuration::from_hours(1);
    let failed: Vec<_> = ci.list_failed_runs(&here, since).try_collect().await.unwrap();
    assert_eq!(failed.len(), 1);
    let found = ci.get_run(&here, &RunRef::new(run.forge_id.clone())).await.unwrap();
    ci.get_run(&here, &found.as_ref()).await.unwrap();
    let jobs: Vec<_> = ci.list_jobs(&here, &found.as_ref()).try_collect().await.unwrap();
    let _: Vec<_> = ci.list_jobs(&here, &RunRef::new(run.forge_id.clone())).try_collect().await.unwrap();
    ci.get_job(&here, &jobs[0].id).await.unwrap();
    let log = ci.job_log(&here, &jobs[0], LogOptions::default()).await.unwrap().read_to_end().await.unwrap();
    assert_eq!(log.0, b"boom\n");
    assert_eq!(ci.find_pull_requests(&here, &found).await.unwrap().len(), 1);
    let pushed = ci.get_run(&here, &RunRef::new(green.forge_id.clone())).await.unwrap();
    ci.find_pull_requests(&here, &pushed).await.unwrap();

    fake.add_change(
        &ChangeSpec::new(&repo, BASE, HEAD)
            .with_file("src/main.rs", FileChange::Added, Some("@@ -0,0 +1 @@\n+x\n"))
            .with_commit(HEAD, "All"),
    );
    fake.add_file(&repo, HEAD, ".github/workflows/ci.yml", "on: push\n");
    let facts = client.require_facts().unwrap();
    for change in [
        Change::Pull(pull.number.to_string()),
        Change::Commit(HEAD.to_owned()),
        Change::Range { base: BASE.to_owned(), head: HEAD.to_owned() },
    ] {
        assert_eq!(facts.diff(&here, &change).await.unwrap().files.len(), 1);
    }
    assert_eq!(facts.commits_between(&here, BASE, HEAD).await.unwrap().items.len(), 1);
    assert!(facts.last_green_job(&here, &found, &jobs[0], "main").await.unwrap().is_some());
    assert_eq!(facts.annotations(&here, &jobs[0]).await.unwrap(), []);
    assert!(facts.ci_config(&here, &found).await.unwrap().is_some());

    let feedback = client.require_feedback().unwrap();
    let marker = "<!-- forge-rca:v1 k=1 -->".to_owned();
    for target in [Target::Pull(pull.number.to_string()), Target::Commit(HEAD.to_owned())] {
        let mut known = None;
        for text in ["red", "green"] {
            let comment = Comment { marker: marker.clone(), body: format!("{marker}\n{text} é 🦀") };
            known =
                Some(feedback.upsert_comment(&here, &target, &comment, known.as_deref()).await.unwrap().id);
        }
    }
    for title in ["Red", "Still red"] {
        let issue = Issue {
            marker: marker.clone(),
            title: title.to_owned(),
            body: marker.clone(),
            labels: vec!["ci".to_owned()],
        };
        let posted = feedback.upsert_issue(&here, &issue, None).await.unwrap();
        feedback.upsert_issue(&here, &issue, Some(&posted.id)).await.unwrap();
        if title == "Still red" {
            feedback.close_issue(&here, &posted.id, None).await.unwrap();
        }
    }
    feedback.set_status(&here, HEAD, &status(StatusState::Failure)).await.unwrap();
    hooks.delete_hook(&here, &hook.id).await.unwrap();

    // The OAuth application's own call.
    let redirect = "https://rca.example.com/callback".parse().unwrap();
    let app = fake.add_oauth_app(&["https://rca.example.com/callback"], &[], false).oauth_app();
    let direct = GitHub::new(http()).oauth(&fake.instance(), &app).unwrap().unwrap();
    let (pkce, state) = (Pkce::from_entropy(&[3; 32]), forge_core::CsrfState::from_entropy(&[4; 32]));
    let back = fake.browse(&direct.authorize_url(&redirect, &state, Some(&pkce))).await.unwrap();
    let code = back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned().into();
    let tokens = direct.exchange_code(&code, &redirect, Some(&pkce)).await.unwrap();
    let judged_flow = GitHub::new(http()).oauth(&judged.instance, &app).unwrap().unwrap();
    assert!(judged_flow.revoke(&tokens).await.unwrap());
}

async fn as_an_app(judged: &Judged) {
    let fake = &judged.fake;
    let provider = GitHub::new(http());
    let setup = provider.app_setup(&fake.instance()).unwrap().unwrap();
    let at = |path: &str| format!("https://rca.example.com{path}").parse().unwrap();
    let addresses = forge_core::AppAddresses {
        homepage: at("/"),
        webhook: at("/hook"),
        created: at("/created"),
        installed: at("/installed"),
    };
    let state = forge_core::CsrfState::from_entropy(&[7; 32]);
    let manifest = setup.manifest("RCA", &addresses, None, &state).unwrap();
    let back = fake.submit_manifest(&manifest).await.unwrap();
    let code: SecretString =
        back.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned().into();
    let judged_setup = provider.app_setup(&judged.instance).unwrap().unwrap();
    let created = judged_setup.convert(&code).await.unwrap();
    let key = AppKey {
        installation_id: fake.install_app(&created.app_id, "northwind"),
        app_id: created.app_id,
        private_key: created.private_key,
    };
    let credentials = provider.installation(&judged.instance, &key).unwrap();
    let client = provider.connect(&judged.instance, credentials).unwrap();
    client.whoami().await.unwrap();
    let repos: Vec<_> = client.repos().list_repos().try_collect().await.unwrap();
    let here = repos[0].as_ref();
    let feedback = client.require_feedback().unwrap();
    feedback.set_status(&here, HEAD, &status(StatusState::Pending)).await.unwrap();
    feedback.set_status(&here, HEAD, &status(StatusState::Failure)).await.unwrap();
}

fn status(state: StatusState) -> CommitStatus {
    CommitStatus {
        state,
        context: "forge-rca/é 1".to_owned(),
        description: "red".to_owned(),
        target_url: Some("https://rca.example.com/r/1".to_owned()),
    }
}

#[tokio::test]
async fn deliveries_that_githubs_library_signed_are_proved() {
    let test = "deliveries_that_githubs_library_signed_are_proved";
    let Some(mut library) = Program::start(test, "webhooks.mjs", "@octokit/webhooks", &[]) else { return };
    let (secret, other) = ("It's a Secret to Everybody", "another secret");
    let provider = GitHub::new(http());
    let bodies = [r#"{"zen":"Keep it small."}"#, r#"{"a":"é 🦀 \u0000","b":[1, 2]}"#, "{}"];
    for body in bodies {
        for (signed_with, is_right) in [(secret, true), (other, false)] {
            library.say(&json!({ "secret": signed_with, "payload": body })).await;
            let signature = library.hear().await["signature"].as_str().unwrap().to_owned();
            let mut headers = HeaderMap::new();
            headers.insert("x-hub-signature-256", HeaderValue::from_str(&signature).unwrap());
            headers.insert("x-github-event", HeaderValue::from_static("ping"));
            let delivery = Delivery {
                headers: &headers,
                query: None,
                body: body.as_bytes(),
                received_at: Timestamp::now(),
            };
            let secrets = Secrets::new(SecretString::from(secret.to_owned()));
            let verified = provider.webhooks().verify(&delivery, &secrets);
            assert_eq!(verified.is_ok(), is_right, "{body} signed with '{signed_with}'");
        }
    }
}

#[tokio::test]
async fn githubs_library_proves_what_the_fake_signs() {
    let test = "githubs_library_proves_what_the_fake_signs";
    let Some(mut library) = Program::start(test, "webhooks.mjs", "@octokit/webhooks", &[]) else { return };
    let fake = FakeGitHub::start().await;
    let repo = fake.add_repo("northwind/shop");
    let hook = fake.add_hook(&repo, &HookSetup::new("http://127.0.0.1:9/h").with_secret("right"));
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", "boom\n")]));
    let signed = fake.signed_request(&run, hook).unwrap();
    let signature = signed.headers["x-hub-signature-256"].to_str().unwrap();
    let payload = std::str::from_utf8(signed.body()).unwrap();
    for (secret, verified) in [("right", true), ("wrong", false)] {
        library.say(&json!({ "secret": secret, "payload": payload, "signature": signature })).await;
        assert_eq!(library.hear().await, json!({ "verified": verified }));
    }
}
