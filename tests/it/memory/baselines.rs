//! Passing logs: learned from green jobs of the default branch, and what they change where the job fails.

use std::time::Duration;

use forge_testkit::{
    Fake, FakeBitbucketCloud, FakeGitFlic, FakeGitHub, FakeGitLab, JobSpec, PullSpec, RepoHandle, RunHandle,
    RunSpec, State,
};
use serde_json::Value;

use super::database;
use crate::support::{TestServer, eventually};

const BASE: &str = "4be1f20000000000000000000000000000000001";
const HEAD: &str = "4be1f20000000000000000000000000000000002";
const GREEN: &str = "starting build 11\nerror: cache is cold, filling it\ndone in 3.1 s\n";
const RED: &str = "starting build 12\nerror: cache is cold, filling it\nerror: ledger is locked by 4711\nThe command \"run\" exited with 1.\n";

fn red() -> RunSpec {
    RunSpec::new(vec![JobSpec::failed("build", RED)])
}

fn green() -> RunSpec {
    RunSpec::new(vec![JobSpec::new("build", State::Success, GREEN)])
}

async fn deliver(fake: &Fake, run: &RunHandle) {
    for outcome in fake.deliver(run).await {
        assert!(outcome.is_success(), "{outcome:?}");
    }
}

async fn watched(server: &TestServer, fake: &Fake) -> RepoHandle {
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(fake).await;
    server.monitor(&integration, &repo).await;
    repo
}

/// The report of the run's job.
async fn report(server: &TestServer, run: &RunHandle) -> Value {
    eventually("the run is analysed", async || {
        let all = server.get("/v1/analyses").await.expect(200);
        let item = all["items"]
            .as_array()?
            .iter()
            .find(|item| item["run_id"] == run.forge_id.as_str() && item["finished_at"] != Value::Null)?;
        Some(
            server.get(&format!("/v1/analyses/{}", item["id"].as_str()?)).await.expect(200)["report"].clone(),
        )
    })
    .await
}

async fn learned(server: &TestServer) -> Vec<String> {
    rca_store::testing::texts(&database(server), "SELECT learned FROM baseline ORDER BY job_name").await
}

/// The same failing log before and after a green run: with it the novel line is the cause.
async fn a_green_run_moves_the_cause_to_the_novel_line(fake: &Fake) {
    let server = TestServer::start().await;
    let repo = watched(&server, fake).await;
    // Of jobs that never failed nothing is learned.
    deliver(fake, &fake.add_run(&repo, &green().with_sha(HEAD))).await;
    server.idle().await;
    assert_eq!(learned(&server).await, Vec::<String>::new());
    fake.forget_requests();

    // The first asks for it, the second finds it stored.
    for branch in ["topic", "main"] {
        let run = fake.add_run(&repo, &red().with_branch(branch).with_sha(BASE));
        deliver(fake, &run).await;
        let report = report(&server, &run).await;
        assert_eq!(report["baseline"]["used"], true, "the green run before it was looked for: {report:#}");
        assert_eq!(report["evidence"][0]["focus_line"], 3, "{report:#}");
    }
    server.idle().await;
    assert_eq!(learned(&server).await.len(), 1);
    assert!(fake.unknown_requests().is_empty(), "{:?}", fake.unknown_requests());
    server.stop().await;
}

/// Nothing green was there at first: then it comes by a delivery.
async fn a_delivered_green_run_is_learned_once(fake: &Fake, log_pattern: &str) {
    let server = TestServer::start().await;
    let repo = watched(&server, fake).await;
    let first = fake.add_run(&repo, &red().with_sha(BASE));
    deliver(fake, &first).await;
    let without = report(&server, &first).await;
    assert_eq!(without["baseline"]["used"], false, "{without:#}");
    assert_eq!(without["evidence"][0]["focus_line"], 2, "{without:#}");

    let passed = fake.add_run(&repo, &green().with_sha(HEAD));
    deliver(fake, &passed).await;
    deliver(fake, &passed).await;
    server.idle().await;
    assert_eq!(learned(&server).await.len(), 1);
    assert_eq!(fake.count("GET", log_pattern), 2, "one failed log and one green one");
    deliver(fake, &passed).await;
    // On another branch it says nothing of the default branch.
    deliver(fake, &fake.add_run(&repo, &green().with_branch("topic").with_sha(HEAD))).await;
    server.idle().await;
    assert_eq!(fake.count("GET", log_pattern), 2, "no green log is read twice, nor one of a topic");

    let second = fake.add_run(&repo, &red().with_sha("4be1f20000000000000000000000000000000003"));
    deliver(fake, &second).await;
    let with = report(&server, &second).await;
    assert_eq!(
        (&with["baseline"]["used"], &with["baseline"]["logs"], &with["baseline"]["novel_lines"]),
        (&Value::from(true), &Value::from(1), &Value::from(2)),
        "{with:#}"
    );
    assert_eq!(with["evidence"][0]["focus_line"], 3, "the novel line is the cause now: {with:#}");
    assert_eq!(fake.count("GET", log_pattern), 3);
    server.stop().await;
}

macro_rules! on_each {
    ($($forge:ident: $fake:ty, $log:literal);*) => { $(
        mod $forge {
            use super::*;

            #[tokio::test]
            async fn a_green_run_moves_the_cause_to_the_novel_line() {
                super::a_green_run_moves_the_cause_to_the_novel_line(&*<$fake>::start().await).await;
            }

            #[tokio::test]
            async fn a_delivered_green_run_is_learned_once() {
                super::a_delivered_green_run_is_learned_once(&*<$fake>::start().await, $log).await;
            }
        }
    )* };
}

on_each!(
    gitlab: FakeGitLab, "/api/v4/projects/*/jobs/*/trace";
    github: FakeGitHub, "/api/v3/repos/*/*/actions/jobs/*/logs";
    bitbucket_cloud: FakeBitbucketCloud, "/2.0/repositories/*/*/pipelines/*/steps/*/log";
    gitflic: FakeGitFlic, "/rest-api/project/*/*/cicd/job/*/artifact/*/download"
);

/// The facts share what was asked, and a second failure asks no more for green logs.
#[tokio::test]
async fn the_forge_is_asked_once_for_the_green_job_and_never_for_a_fork() {
    let fake = FakeGitHub::start().await;
    let server = TestServer::start().await;
    let repo = watched(&server, &fake).await;
    fake.add_run(&repo, &green().with_sha(BASE).with_age(Duration::from_hours(2)));
    let (runs, logs) =
        ("/api/v3/repos/*/*/actions/workflows/*/runs", "/api/v3/repos/*/*/actions/jobs/*/logs");

    let fork = fake.add_fork("stranger/shop", &repo);
    let foreign =
        fake.open_pull(&repo, &PullSpec::new("Mine", "feature/mine").with_sha(HEAD).from_fork(&fork));
    let run = fake.add_run(&repo, &red().for_pull(&foreign));
    deliver(&fake, &run).await;
    let of_fork = report(&server, &run).await;
    assert_eq!(of_fork["baseline"]["used"], false, "{of_fork:#}");
    assert_eq!(fake.count("GET", logs), 1, "its own log only");

    // Nothing is asked again for the job within the hour: another job shows the first need.
    let job = |state: State, log: &str| RunSpec::new(vec![JobSpec::new("deploy", state, log)]);
    fake.add_run(&repo, &job(State::Success, GREEN).with_sha(BASE).with_age(Duration::from_hours(1)));
    fake.forget_requests();
    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", "feature/refund").with_sha(HEAD));
    let run = fake.add_run(&repo, &job(State::Failed, RED).for_pull(&pull));
    deliver(&fake, &run).await;
    assert_eq!(report(&server, &run).await["baseline"]["used"], true);
    server.idle().await;
    assert_eq!(fake.count("GET", logs), 2, "the failed log and the green one");
    assert_eq!(fake.count("GET", runs), 2, "once for main, once for the branch of the change");

    fake.forget_requests();
    let again = fake.add_run(&repo, &job(State::Failed, &format!("{RED}again\n")).for_pull(&pull));
    deliver(&fake, &again).await;
    assert_eq!(report(&server, &again).await["baseline"]["used"], true);
    assert_eq!(fake.count("GET", logs), 1);
    server.stop().await;
}
