//! `repos hooks runs jobs log` against every fake forge.

use forge_core::ForgeKind;
use forge_testkit::{
    CiServer, Fake, FakeBitbucketCloud, FakeBitbucketDc, FakeGitFlic, FakeGitHub, FakeGitLab, HookSetup,
    JobSpec, RunSpec, TokenKind, TokenSpec,
};
use secrecy::ExposeSecret as _;
use serde_json::Value;

use crate::program::{Ran, command};

const LOG: &str = "collecting\nE   AssertionError: 1 != 2\n";
const SHA: &str = "4be1f20000000000000000000000000000000001";

struct Program {
    connection: Vec<String>,
    environment: Vec<(&'static str, String)>,
}

impl Program {
    fn new(fake: &Fake, token: &secrecy::SecretString) -> Self {
        let mut connection = vec![
            "--forge".to_owned(),
            fake.kind().to_string(),
            "--base-url".to_owned(),
            fake.base_url().to_string(),
            "--allow-network".to_owned(),
            "127.0.0.0/8".to_owned(),
            "--dangerous-allow-http".to_owned(),
        ];
        if fake.kind() == ForgeKind::BITBUCKET_CLOUD {
            connection.extend(["--email".to_owned(), "rca-bot@example.com".to_owned()]);
        }
        Self { connection, environment: vec![("FORGE_RCA_FORGE_TOKEN", token.expose_secret().to_owned())] }
    }

    async fn run(&self, words: &[&str]) -> Ran {
        let mut program = command();
        program.args(words.iter().take(1)).args(&self.connection).args(words.iter().skip(1));
        program.envs(self.environment.iter().map(|(name, value)| (name, value)));
        tokio::task::spawn_blocking(move || crate::program::finish(program.output().unwrap())).await.unwrap()
    }

    /// The lines of a run that did what it should, each JSON.
    async fn lines(&self, words: &[&str]) -> Vec<Value> {
        let ran = self.run(words).await;
        assert_eq!(ran.code, 0, "{words:?}: {}", ran.stderr);
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

async fn all_commands(fake: &Fake, add: impl FnOnce(&mut Program)) {
    let repo = fake.add_repo("acme/shop");
    fake.add_hook(&repo, &HookSetup::new("https://rca.example/v1/webhooks/x/1"));
    let spec = RunSpec::new(vec![JobSpec::green("lint"), JobSpec::failed("test", LOG)])
        .with_branch("main")
        .with_sha(SHA);
    fake.add_run(&repo, &spec);
    let mut program = Program::new(fake, &fake.token());
    add(&mut program);

    let ran = program.run(&["repos"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let listed: Value = serde_json::from_str(ran.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(listed["full_name"], "acme/shop");
    assert!(ran.stderr.contains("account: ") && ran.stderr.contains("1 repositories"), "{}", ran.stderr);
    let token = &program.environment[0].1;
    assert!(!ran.stderr.contains(token) && !ran.stdout.contains(token), "the token is not printed");

    let hooks = program.lines(&["hooks", "--repo", "acme/shop"]).await;
    assert_eq!(hooks[0]["url"], "https://rca.example/v1/webhooks/x/1");
    let runs = program.lines(&["runs", "--repo", "acme/shop"]).await;
    assert_eq!((runs.len(), &runs[0]["conclusion"]), (1, &Value::from("failure")), "{runs:?}");
    let run = runs[0]["id"].as_str().unwrap();
    let one = program.lines(&["runs", "--repo", "acme/shop", "--run", run]).await;
    assert_eq!(one[0]["id"], run);
    let jobs = program.lines(&["jobs", "--repo", "acme/shop", "--run", run]).await;
    assert_eq!(jobs.len(), 2, "{jobs:?}");
    let failed = program.lines(&["jobs", "--repo", "acme/shop", "--run", run, "--failed"]).await;
    assert_eq!((failed.len(), &failed[0]["name"]), (1, &Value::from("test")), "{failed:?}");
    let job = failed[0]["id"].as_str().unwrap();
    let log = program.run(&["log", "--repo", "acme/shop", "--job", job]).await;
    assert_eq!(log.code, 0, "{}", log.stderr);
    assert!(log.stdout.contains("AssertionError: 1 != 2"), "{}", log.stdout);

    let missing = program.run(&["jobs", "--repo", "acme/none", "--run", run]).await;
    assert_eq!((missing.code, missing.stdout.as_str()), (1, ""), "{}", missing.stderr);
    let refused = Program::new(fake, &"not-a-token-of-this-forge-at-all".to_owned().into());
    let refused = refused.run(&["repos"]).await;
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""), "{}", refused.stderr);
}

#[tokio::test]
async fn gitlab() {
    all_commands(&*FakeGitLab::start().await, |_| {}).await;
}

#[tokio::test]
async fn github() {
    all_commands(&*FakeGitHub::start().await, |_| {}).await;
}

#[tokio::test]
async fn bitbucket_cloud() {
    all_commands(&*FakeBitbucketCloud::start().await, |_| {}).await;
}

#[tokio::test]
async fn bitbucket_dc() {
    let fake = FakeBitbucketDc::start().await;
    let source = format!("jenkins={}", fake.ci_url(CiServer::Jenkins));
    all_commands(&fake, |program| {
        program.connection.extend(["--log-source".to_owned(), source]);
        program.connection.extend(["--log-source-user".to_owned(), FakeBitbucketDc::CI_USER.to_owned()]);
        program.environment.push(("FORGE_RCA_LOG_SOURCE_TOKEN", FakeBitbucketDc::CI_TOKEN.to_owned()));
    })
    .await;
}

#[tokio::test]
async fn gitflic() {
    all_commands(&*FakeGitFlic::start().await, |_| {}).await;
}

#[tokio::test]
async fn what_a_token_lacks_is_named() {
    let (gitlab, github) = (FakeGitLab::start().await, FakeGitHub::start().await);
    let classic = github.add_token(&TokenSpec::new(TokenKind::Personal, &["read:user"]));
    for (fake, token) in [(&*gitlab, gitlab.read_only_token()), (&*github, classic)] {
        let ran = Program::new(fake, &token).run(&["repos"]).await;
        assert!(ran.stderr.contains("missing scopes: "), "{}: {}", fake.kind(), ran.stderr);
    }
}

#[test]
fn an_app_needs_all_its_parts() {
    let ran = crate::program::run(&["repos", "--forge", "github", "--app-id", "1"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("--private-key-file"), "{}", ran.stderr);
    let ran = crate::program::run(&[
        "repos",
        "--forge",
        "github",
        "--app-id",
        "1",
        "--installation",
        "2",
        "--private-key-file",
        "/nowhere/key",
    ]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("/nowhere/key"), "{}", ran.stderr);
}
