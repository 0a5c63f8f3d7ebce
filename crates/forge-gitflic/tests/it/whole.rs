//! The whole way through one forge that remembers: connect, discover, hook, deliver, read, say.

use std::{sync::Arc, time::Duration};

use forge_core::{
    Delivery, EnsureHook, ErrorKind, ForgeClientExt as _, LogOptions, Provider, Secrets, StaticCredential,
    model::{Comment, HookSpec, Issue, PostAction, RunRef, Target},
};
use forge_gitflic::GitFlic;
use forge_testkit::{FakeGitFlic, FakeOptions, JobSpec, PullSpec, Receiver, RunSpec, State};
use futures_util::TryStreamExt as _;
use secrecy::SecretString;

use crate::server::http;

async fn from_discovery_to_green(options: FakeOptions) {
    let fake = FakeGitFlic::start_with(&options).await;
    let provider = GitFlic::new(http());
    let credentials = Arc::new(StaticCredential::token(fake.token()));
    let client = provider.connect(&fake.instance(), credentials).unwrap();
    let repo = fake.add_repo("northwind/shop");
    fake.add_repos(1199);
    let all: Vec<_> = client.repos().list_repos().try_collect().await.unwrap();
    assert_eq!(all.len(), 1200);
    assert_eq!(fake.count("GET", "/rest-api/project/my"), 12, "as few as pages of 100 allow");

    // The hook, and what comes by it.
    let receiver = Receiver::start().await;
    let here = repo.repo_ref();
    let secret = SecretString::from("0123456789abcdef".repeat(4));
    let spec = HookSpec::new(receiver.url().clone(), secret.clone());
    assert_eq!(client.ensure_hook(&here, &spec, None).await.unwrap().action, EnsureHook::Created);
    let pull = fake.open_pull(&repo, &PullSpec::new("Basket", "patch/1"));
    let log = b"\xef\xbb\xbf$ cargo test\r\nerror: boom\r\n".to_vec();
    let jobs = vec![
        JobSpec::failed("unit", log.clone()).with_log_delay(1),
        JobSpec::failed("lint", "warned\n"),
        JobSpec::failed("docs", "broken\n"),
        JobSpec::failed("nightly", "never mind\n").with_allow_failure(),
        JobSpec::green("build"),
    ];
    let run = fake.add_run(&repo, &RunSpec::new(jobs).for_pull(&pull));
    assert!(fake.deliver(&run).await.iter().all(|outcome| outcome.is_success()));
    let received = &receiver.wait_for(1).await[0];
    let delivery = Delivery {
        headers: &received.headers,
        query: None,
        body: &received.body,
        received_at: jiff::Timestamp::now(),
    };
    let verified = provider.webhooks().verify(&delivery, &Secrets::new(secret)).unwrap();
    let event = provider.webhooks().parse(&verified).unwrap();
    assert!(event.triggers_rca, "{event:?}");
    assert_eq!(event.repo_ref().unwrap(), here);

    // What the forge itself says.
    let ci = client.require_ci().unwrap();
    let read = ci.get_run(&here, &event.run_ref().unwrap()).await.unwrap();
    assert!(read.is_failed() && read.config_error.is_none());
    let pulls = ci.find_pull_requests(&here, &read).await.unwrap();
    assert_eq!(pulls[0].number, pull.number.to_string());
    let jobs: Vec<_> = ci.list_jobs(&here, &read.as_ref()).try_collect().await.unwrap();
    let failed: Vec<_> = jobs.iter().filter(|job| job.is_failed() && !job.is_allowed_to_fail).collect();
    assert_eq!((jobs.len(), failed.len()), (5, 3));
    let early = ci.job_log(&here, failed[0], LogOptions::default()).await.unwrap_err();
    assert_eq!(early.kind(), ErrorKind::NotReady);
    let whole =
        ci.job_log(&here, failed[0], LogOptions::default()).await.unwrap().read_to_end().await.unwrap();
    assert_eq!(whole, (log, false));

    // What we say: once for each cause, and once that it is over.
    let feedback = client.require_feedback().unwrap();
    let marker = "<!-- forge-rca:v1 k=1 -->".to_owned();
    let target = Target::Pull(pull.number.to_string());
    let say = |text: &str| Comment { marker: marker.clone(), body: format!("{marker}\n{text}") };
    for (text, expected) in [
        ("red", PostAction::Created),
        ("red", PostAction::Unchanged),
        ("green", PostAction::Created),
        ("green", PostAction::Unchanged),
    ] {
        assert_eq!(feedback.upsert_comment(&here, &target, &say(text), None).await.unwrap().action, expected);
    }
    assert_eq!(fake.comments(&repo, &target).len(), 2);
    let issue =
        Issue { marker: marker.clone(), title: "Red".to_owned(), body: marker.clone(), labels: Vec::new() };
    let opened = feedback.upsert_issue(&here, &issue, None).await.unwrap();
    assert_eq!(feedback.upsert_issue(&here, &issue, None).await.unwrap().action, PostAction::Unchanged);
    feedback.close_issue(&here, &opened.id, None).await.unwrap();
    assert!(fake.issues().iter().all(|issue| !issue.is_open));

    // Green again.
    fake.rerun(&run, &[JobSpec::green("unit"), JobSpec::green("lint"), JobSpec::green("docs")]);
    fake.set_run_state(&run, State::Success);
    fake.deliver(&run).await;
    let now = ci.get_run(&here, &read.as_ref()).await.unwrap();
    assert!(!now.is_failed());
    assert!(fake.unknown_requests().is_empty(), "{:?}", fake.unknown_requests());
}

#[tokio::test]
async fn the_newest_version() {
    from_discovery_to_green(FakeOptions::new()).await;
}

#[tokio::test]
async fn an_old_version_under_a_path() {
    from_discovery_to_green(FakeOptions::new().with_version("2.9.0").with_root("/flic")).await;
}

#[tokio::test]
async fn renamed_shared_and_broken_projects() {
    let fake = FakeGitFlic::start().await;
    let credentials = Arc::new(StaticCredential::token(fake.token()));
    let client = GitFlic::new(http()).connect(&fake.instance(), credentials).unwrap();
    let mine = fake.add_repo("rca-bot/mine");
    let shared = fake.add_repo("northwind/shared");
    let both = fake.add_repo("rca-bot/both");
    fake.set_access(&shared, "rca-bot", 30);
    fake.make_public(&both);
    let all: Vec<_> = client.repos().list_repos().try_collect().await.unwrap();
    let names: Vec<&str> = all.iter().map(|repo| repo.full_name.as_str()).collect();
    assert_eq!(names, ["rca-bot/mine", "rca-bot/both", "northwind/shared"]);

    // A shared project gives its pipelines, but its settings are its administrators'.
    let broken = fake.add_run(&shared, &RunSpec::config_error("stages: unknown key"));
    let ci = client.require_ci().unwrap();
    let run = ci.get_run(&shared.repo_ref(), &broken.run_ref()).await.unwrap();
    assert_eq!(run.config_error.as_deref(), Some("stages: unknown key"));
    let hooks: Result<Vec<_>, _> =
        client.require_hooks().unwrap().list_hooks(&shared.repo_ref()).try_collect().await;
    let error = hooks.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.hint().unwrap().contains("administrator"));

    // Numbers count within a project.
    let first = fake.add_run(&mine, &RunSpec::new(vec![JobSpec::failed("a", "mine\n")]));
    assert_eq!(first.run_ref().id, broken.run_ref().id);
    let read = ci.get_run(&mine.repo_ref(), &RunRef::new(first.forge_id.clone())).await.unwrap();
    assert_eq!(read.sha.as_deref(), Some(first.sha.as_str()));

    fake.rename(&mine, "rca-bot/ours");
    let found = client.repos().get_repo(&mine.forge_id).await.unwrap();
    assert_eq!(found.full_name, "rca-bot/ours");
    let since = fake.now() - jiff::SignedDuration::from_mins(5);
    let runs: Vec<_> = ci.list_failed_runs(&found.as_ref(), since).try_collect().await.unwrap();
    assert_eq!(runs.len(), 1);
    fake.set_rate_limit(Some(0), Duration::from_secs(3600));
    let error = client.whoami().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
}
