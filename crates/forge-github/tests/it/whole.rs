//! The whole way through one forge that remembers: connect, discover, hook, deliver, read, say.

use std::{sync::Arc, time::Duration};

use forge_core::{
    CsrfState, Delivery, EnsureHook, ErrorKind, ForgeClient, ForgeClientExt as _, LogOptions, Pkce, Provider,
    Secrets, StaticCredential,
    model::{Comment, CommitStatus, HookSpec, Issue, PostAction, StatusState, Target},
};
use forge_github::GitHub;
use forge_testkit::{FakeGitHub, FakeOptions, JobSpec, Listener, Log, PullSpec, RunSpec, State};
use futures_util::TryStreamExt as _;
use secrecy::{ExposeSecret as _, SecretString};

use crate::server::http;

fn connect(fake: &FakeGitHub, token: SecretString) -> Arc<dyn ForgeClient> {
    GitHub::new(http()).connect(&fake.instance(), Arc::new(StaticCredential::token(token))).unwrap()
}

#[tokio::test]
async fn oauth_with_pkce_rotation_reuse_and_revocation() {
    let fake = FakeGitHub::start().await;
    fake.set_access_token_lifetime(Some(Duration::from_secs(28_800)));
    let redirect: url::Url = "https://rca.example.com/callback".parse().unwrap();
    let app = fake.add_oauth_app(&[redirect.as_str()], &[], true).oauth_app();
    fake.add_user("robin");
    fake.set_approver(Some("robin"));
    let flow = GitHub::new(http()).oauth(&fake.instance(), &app).unwrap().unwrap();

    let pkce = Pkce::from_entropy(&[3; 32]);
    let state = CsrfState::from_entropy(&[4; 32]);
    let back = fake.browse(&flow.authorize_url(&redirect, &state, Some(&pkce))).await.unwrap();
    let parameter = |name: &str| back.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    assert_eq!(parameter("state"), state.as_secret().expose_secret());
    let code = SecretString::from(parameter("code"));

    let wrong = Pkce::from_entropy(&[9; 32]);
    let error = flow.exchange_code(&code, &redirect, Some(&wrong)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidGrant);

    let back = fake.browse(&flow.authorize_url(&redirect, &state, Some(&pkce))).await.unwrap();
    let code = back.query_pairs().find(|(key, _)| key == "code").unwrap().1.into_owned().into();
    let first = flow.exchange_code(&code, &redirect, Some(&pkce)).await.unwrap();
    assert_eq!(first.scopes, ["repo", "read:user", "admin:repo_hook"]);
    let spent = first.refresh_token.unwrap();
    let second = flow.refresh(&spent, &redirect).await.unwrap();
    assert_eq!(connect(&fake, second.access_token.clone()).whoami().await.unwrap().account.login, "robin");
    assert_eq!(
        connect(&fake, first.access_token).whoami().await.unwrap_err().kind(),
        ErrorKind::Unauthorized,
        "a refresh ends the old token"
    );
    assert_eq!(fake.refreshes(), 1);

    assert!(flow.revoke(&second).await.unwrap());
    assert!(!fake.is_token_valid(&second.access_token));
    assert_eq!(fake.live_grants(), 0);
    assert!(
        !flow.revoke(&second).await.unwrap(),
        "a dead access token cannot end what its refresh token holds"
    );
    assert_eq!(flow.refresh(&spent, &redirect).await.unwrap_err().kind(), ErrorKind::InvalidGrant);
    assert!(fake.unknown_requests().is_empty(), "{:?}", fake.unknown_requests());
}

#[tokio::test]
async fn from_discovery_to_a_comment_that_is_edited() {
    let fake = FakeGitHub::start_with(&FakeOptions::new().with_root("/hub")).await;
    let client = connect(&fake, fake.token());
    let repo = fake.add_repo("northwind/shop");
    fake.add_repos(249);
    let all: Vec<_> = client.repos().list_repos().try_collect().await.unwrap();
    assert_eq!(all.len(), 250);
    assert_eq!(fake.count("GET", "/api/v3/user/repos"), 3);

    // The hook.
    let secret = SecretString::from("0123456789abcdef".to_owned());
    let spec = HookSpec::new("https://rca.example.com/h/1".parse().unwrap(), secret.clone());
    let here = repo.repo_ref();
    let created = client.ensure_hook(&here, &spec, None).await.unwrap();
    assert_eq!(created.action, EnsureHook::Created);
    let again = client.ensure_hook(&here, &spec, Some(&created.hook.id)).await.unwrap();
    assert_eq!(again.action, EnsureHook::Unchanged);
    let unsure = client.ensure_hook(&here, &spec, None).await.unwrap();
    assert_eq!(unsure.action, EnsureHook::Updated);
    let stored = &fake.hooks(&repo)[0];
    assert_eq!((stored.secret.as_deref(), stored.content_type.as_str()), (Some("0123456789abcdef"), "json"));

    // A pull request from a fork breaks.
    let fork = fake.add_fork("eve/shop", &repo);
    let pull = fake.open_pull(&repo, &PullSpec::new("Basket", "patch/1").from_fork(&fork));
    let log: Vec<u8> = b"\xef\xbb\xbf2026-10-02T08:00:00.0000000Z ##[error]boom\r\n".to_vec();
    let jobs = vec![
        JobSpec::failed("test (a, 1)", log.clone()).with_log_delay(1),
        JobSpec::failed("lint", Log::from("never read")),
        JobSpec::green("build"),
    ];
    let run = fake.add_run(&repo, &RunSpec::new(jobs).for_pull(&pull));

    // Its delivery, proved and read.
    let hook_id = created.hook.id.parse().unwrap();
    let request = fake.signed_request(&run, hook_id).unwrap();
    let provider = GitHub::new(http());
    let receiver = provider.webhooks();
    let delivery = Delivery {
        headers: &request.headers,
        query: None,
        body: &request.message.body,
        received_at: jiff::Timestamp::now(),
    };
    let verified = receiver.verify(&delivery, &Secrets::new(secret)).unwrap();
    let event = receiver.parse(&verified).unwrap();
    assert!(event.triggers_rca, "{event:?}");
    assert_eq!(receiver.delivery_id(&request.headers), Some(request.delivery_id.clone()));

    // What the forge itself says.
    let ci = client.require_ci().unwrap();
    let read = ci.get_run(&event.repo_ref().unwrap(), &event.run_ref().unwrap()).await.unwrap();
    assert!(read.is_failed());
    let pulls = ci.find_pull_requests(&here, &read).await.unwrap();
    assert_eq!(pulls[0].number, pull.number.to_string());
    let jobs: Vec<_> = ci.list_jobs(&here, &read.as_ref()).try_collect().await.unwrap();
    let failed: Vec<_> = jobs.iter().filter(|job| job.is_failed()).collect();
    assert_eq!((jobs.len(), failed.len()), (3, 2));
    let early = ci.job_log(&here, failed[0], LogOptions::default()).await.unwrap_err();
    assert_eq!(early.kind(), ErrorKind::NotReady);
    let read_log =
        ci.job_log(&here, failed[0], LogOptions::default()).await.unwrap().read_to_end().await.unwrap();
    assert_eq!(read_log, (log, false));
    fake.expire_log(failed[1].id.parse().unwrap());
    let expired = ci.job_log(&here, failed[1], LogOptions::default()).await.unwrap_err();
    assert_eq!(expired.kind(), ErrorKind::Gone);
    let stored = fake.requests();
    let at_storage: Vec<_> =
        stored.iter().filter(|request| request.listener == Listener::BlobStore).collect();
    assert!(!at_storage.is_empty() && at_storage.iter().all(|request| request.credential.is_none()));

    // What we say.
    let feedback = client.require_feedback().unwrap();
    let marker = "<!-- forge-rca:v1 k=1 -->".to_owned();
    let target = Target::Pull(pull.number.to_string());
    fake.add_comment(&repo, &target, "eve", &format!("{marker} not yours"));
    let say = |text: &str| Comment { marker: marker.clone(), body: format!("{marker}\n{text}") };
    let first = feedback.upsert_comment(&here, &target, &say("red"), None).await.unwrap();
    assert_eq!(first.action, PostAction::Created);
    let second = feedback.upsert_comment(&here, &target, &say("green"), None).await.unwrap();
    assert_eq!((second.id.as_str(), second.action), (first.id.as_str(), PostAction::Updated));
    let third = feedback.upsert_comment(&here, &target, &say("green"), Some(&first.id)).await.unwrap();
    assert_eq!(third.action, PostAction::Unchanged);
    let comments = fake.comments(&repo, &target);
    assert_eq!(comments.len(), 2);
    assert!(comments[0].history.len() <= 1, "the foreign comment is as it was");

    let sha = run.sha.clone();
    let on_commit = Target::Commit(sha.clone());
    let posted = feedback.upsert_comment(&here, &on_commit, &say("red"), None).await.unwrap();
    assert_eq!(posted.action, PostAction::Created);
    let issue =
        Issue { marker: marker.clone(), title: "Red".to_owned(), body: marker.clone(), labels: Vec::new() };
    let opened = feedback.upsert_issue(&here, &issue, None).await.unwrap();
    let found = feedback.upsert_issue(&here, &issue, None).await.unwrap();
    assert_eq!((found.id.as_str(), found.action), (opened.id.as_str(), PostAction::Unchanged));
    feedback.close_issue(&here, &opened.id, None).await.unwrap();
    assert!(fake.issues().iter().all(|issue| !issue.is_open));
    let status = CommitStatus {
        state: StatusState::Failure,
        context: "forge-rca".to_owned(),
        description: "red".to_owned(),
        target_url: None,
    };
    feedback.set_status(&here, &sha, &status).await.unwrap();
    assert_eq!(fake.statuses()[0].state, "failure");
    assert!(fake.unknown_requests().is_empty(), "{:?}", fake.unknown_requests());
}

#[tokio::test]
async fn attempts_renames_and_runs_that_never_started() {
    let fake = FakeGitHub::start().await;
    let client = connect(&fake, fake.token());
    let repo = fake.add_repo("northwind/shop");
    let ci = client.require_ci().unwrap();
    let since = fake.now() - jiff::SignedDuration::from_mins(5);

    let old =
        RunSpec::new(vec![JobSpec::failed("test", Log::from("x"))]).with_age(Duration::from_secs(86_400));
    let first = fake.add_run(&repo, &old);
    let second = fake.rerun(&first, &[JobSpec::failed("test", Log::from("y"))]);
    fake.add_run(&repo, &RunSpec::new(vec![JobSpec::green("test")]));
    fake.add_run(&repo, &RunSpec::new(Vec::new()).with_state(State::Cancelled));
    let broken = fake.add_run(&repo, &RunSpec::config_error("line 3: mapping values are not allowed here"));

    let here = repo.repo_ref();
    let failed: Vec<_> = ci.list_failed_runs(&here, since).try_collect().await.unwrap();
    let ids: Vec<_> = failed.iter().map(|run| (run.id.clone(), run.attempt)).collect();
    assert!(ids.contains(&(second.id.to_string(), 2)), "the re-run of an old run: {ids:?}");
    assert!(ids.contains(&(broken.id.to_string(), 1)), "{ids:?}");
    assert_eq!(ids.len(), 2, "{ids:?}");
    let broken = ci.get_run(&here, &broken.run_ref()).await.unwrap();
    assert!(broken.config_error.is_some());

    let moved = fake.rename(&repo, "northwind/store");
    let run = ci.get_run(&here, &first.run_ref()).await.unwrap();
    assert_eq!(run.attempt, 1, "an attempt is read as it was, under the old name");
    assert_eq!(client.repos().get_repo("northwind/shop").await.unwrap().full_name, moved.full_name);
    let comment = Comment { marker: "<!-- m -->".to_owned(), body: "<!-- m -->".to_owned() };
    let target = Target::Commit(first.sha.clone());
    client.require_feedback().unwrap().upsert_comment(&here, &target, &comment, None).await.unwrap();
    assert_eq!(fake.comments(&moved, &target).len(), 1);
    assert!(fake.unknown_requests().is_empty(), "{:?}", fake.unknown_requests());
}
