//! Every facet against the fake GitLab.

use std::{sync::Arc, time::Duration};

use forge_core::{
    EnsureHook, ErrorKind, ForgeClient, ForgeClientExt as _, LogOptions,
    model::{CommitStatus, Conclusion, Issue, Job, PostAction, RefType, RunRef, Status, StatusState, Target},
};
use forge_testkit::{
    FakeGitLab, FakeOptions, Fault, HookSetup, JobSpec, PullSpec, RepoHandle, RunSpec, State, TokenKind,
    TokenSpec,
};
use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::support::{MARKER, comment, connect, hook_spec};

async fn start() -> (FakeGitLab, Arc<dyn ForgeClient>, RepoHandle) {
    let fake = FakeGitLab::start_with(&FakeOptions::new().with_root("/git")).await;
    let client = connect(&fake.instance(), fake.token());
    let repo = fake.add_repo("shop/pos/till");
    (fake, client, repo)
}

async fn jobs(client: &dyn ForgeClient, repo: &RepoHandle, run: &RunRef) -> Vec<Job> {
    client.ci().unwrap().list_jobs(&repo.repo_ref(), run).try_collect().await.unwrap()
}

fn clean(fake: &FakeGitLab) {
    assert!(fake.unknown_requests().is_empty(), "{:?}", fake.unknown_requests());
}

#[tokio::test]
async fn whoami_tells_scopes_expiry_and_version() {
    let (fake, client, _) = start().await;
    let identity = client.whoami().await.unwrap();
    assert_eq!(identity.account.login, "rca-bot");
    assert_eq!(identity.server_version.as_deref(), Some("19.2.0-ee"));
    assert!(identity.missing_scopes.is_empty());

    let token = fake.add_token(
        &TokenSpec::new(TokenKind::Personal, &["read_api"])
            .with_expires_at("2027-01-31T00:00:00Z".parse().unwrap()),
    );
    let identity = connect(&fake.instance(), token).whoami().await.unwrap();
    assert_eq!(identity.missing_scopes, ["api"]);
    assert_eq!(identity.scopes, Some(vec!["read_api".to_owned()]));
    assert_eq!(identity.expires_at, Some("2027-01-31T00:00:00Z".parse().unwrap()));

    let error = connect(&fake.instance(), "wrong".into()).whoami().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(error.hint().is_some() && error.operation().is_some());
    clean(&fake);
}

#[tokio::test]
async fn repositories_are_listed_lazily_by_keyset() {
    let (fake, client, repo) = start().await;
    fake.archive(&repo);
    fake.add_repos(249);
    let mut stream = client.repos().list_repos();
    assert_eq!(fake.count("GET", "/api/v4/projects"), 0, "nothing is asked for before it is wanted");
    let first = stream.next().await.unwrap().unwrap();
    assert_eq!((first.full_name.as_str(), first.is_archived), ("shop/pos/till", true));
    assert_eq!(first.can_manage_hooks, Some(true));
    assert_eq!(fake.count("GET", "/api/v4/projects"), 1);
    let rest = stream.try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(rest.len(), 249);
    assert_eq!(fake.count("GET", "/api/v4/projects"), 3);
    clean(&fake);
}

#[tokio::test]
async fn a_repository_is_found_by_id_path_and_old_path() {
    let (fake, client, repo) = start().await;
    let id = repo.id.to_string();
    for name in [id.as_str(), "shop/pos/till"] {
        let found = client.repos().get_repo(name).await.unwrap();
        assert_eq!((found.id.as_str(), found.full_name.as_str()), (id.as_str(), "shop/pos/till"));
    }
    fake.rename(&repo, "shop/pos/till2");
    let found = client.repos().get_repo("shop/pos/till").await.unwrap();
    assert_eq!((found.id.as_str(), found.full_name.as_str()), (id.as_str(), "shop/pos/till2"));
    // A change at the old path goes to the project too.
    let old = forge_core::model::RepoRef::new("", "shop/pos/till");
    client.require_hooks().unwrap().create_hook(&old, &hook_spec()).await.unwrap();
    assert_eq!(fake.hooks(&repo).len(), 1);
    let listed = client.require_hooks().unwrap().list_hooks(&old).try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(listed.len(), 1);
    let error = client.repos().get_repo("shop/nothing").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    for odd in ["..", "", "."] {
        assert_eq!(client.repos().get_repo(odd).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    clean(&fake);
}

#[tokio::test]
async fn hooks_are_ensured_once() {
    let (fake, client, repo) = start().await;
    let (reference, spec) = (repo.repo_ref(), hook_spec());
    for number in 0..98 {
        fake.add_hook(&repo, &HookSetup::new(&format!("https://other.example/{number}")));
    }
    let created = client.ensure_hook(&reference, &spec, None).await.unwrap();
    assert_eq!(created.action, EnsureHook::Created);
    let id = created.hook.id;
    let unchanged = client.ensure_hook(&reference, &spec, Some(&id)).await.unwrap();
    assert_eq!((unchanged.action, unchanged.hook.id.as_str()), (EnsureHook::Unchanged, id.as_str()));
    // Unknown secret: it has to be set again.
    assert_eq!(client.ensure_hook(&reference, &spec, None).await.unwrap().action, EnsureHook::Updated);
    fake.add_hook(&repo, &HookSetup::new(spec.url.as_str()).with_events(&["push_events"]));
    let tidied = client.ensure_hook(&reference, &spec, Some(&id)).await.unwrap();
    assert_eq!((tidied.action, tidied.removed_duplicates), (EnsureHook::Unchanged, 1));
    let ours: Vec<_> = fake.hooks(&repo).into_iter().filter(|hook| hook.url == spec.url.as_str()).collect();
    assert_eq!(ours.len(), 1);
    assert_eq!(ours[0].events, ["job_events", "pipeline_events"]);
    assert_eq!(ours[0].secret.as_deref(), Some("hook-secret"));
    assert!(ours[0].verifies_tls);
    let hooks = client.require_hooks().unwrap();
    hooks.delete_hook(&reference, &id).await.unwrap();
    hooks.delete_hook(&reference, &id).await.unwrap();
    clean(&fake);
}

#[tokio::test]
async fn signing_tokens_are_asked_for_where_the_version_has_them() {
    let token = "whsec_dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0dGVzdHRlc3Q=";
    let spec = hook_spec().with_signing_token(token.into());
    for (version, is_signed) in [("19.2.0-ee", true), ("18.4.0", false)] {
        let fake = FakeGitLab::start_with(&FakeOptions::new().with_version(version)).await;
        let client = connect(&fake.instance(), fake.token());
        let repo = fake.add_repo("a/b");
        let made = client.ensure_hook(&repo.repo_ref(), &spec, None).await.unwrap();
        assert_eq!(made.hook.is_signed, is_signed, "{version}");
        // An old version is not asked again and again for what it cannot do.
        let again = client.ensure_hook(&repo.repo_ref(), &spec, Some(&made.hook.id)).await.unwrap();
        assert_eq!(again.action, EnsureHook::Unchanged, "{version}");
        // A hook made without one gets one.
        let plain = client
            .require_hooks()
            .unwrap()
            .create_hook(&repo.repo_ref(), &HookSpecAt::other())
            .await
            .unwrap();
        let wanted = HookSpecAt::other().with_signing_token(token.into());
        let action = client.ensure_hook(&repo.repo_ref(), &wanted, Some(&plain.id)).await.unwrap().action;
        assert_eq!(action == EnsureHook::Updated, is_signed, "{version}");
    }
}

struct HookSpecAt;

impl HookSpecAt {
    fn other() -> forge_core::model::HookSpec {
        forge_core::model::HookSpec::new(
            "https://rca.example/v1/webhooks/gitlab/def".parse().unwrap(),
            "s".into(),
        )
    }
}

#[tokio::test]
async fn jobs_of_all_attempts_and_child_pipelines_are_found() {
    let (fake, client, repo) = start().await;
    let other = fake.add_repo("shop/other");
    let hidden = fake.add_repo("shop/hidden");
    let spec = RunSpec::new(vec![JobSpec::failed("unit", "boom"), JobSpec::green("compile")])
        .with_child(RunSpec::new(vec![JobSpec::failed("child job", "child")]))
        .with_child_in(&other, RunSpec::new(vec![JobSpec::failed("far job", "far")]))
        .with_child_in(&hidden, RunSpec::new(vec![JobSpec::failed("unseen job", "unseen")]));
    let run = fake.add_run(&repo, &spec);
    fake.set_access(&hidden, "rca-bot", 0);
    let found = jobs(&*client, &repo, &run.run_ref()).await;
    let names: Vec<&str> = found.iter().map(|job| job.name.as_str()).collect();
    assert!(["unit", "compile", "child job", "far job"].iter().all(|name| names.contains(name)), "{names:?}");
    assert!(!names.contains(&"unseen job"));
    let job = |name: &str| found.iter().find(|job| job.name == name).unwrap().clone();
    assert_eq!(job("unit").run_id, run.id.to_string());
    assert!(job("unit").is_failed() && job("unit").repo.is_none());
    assert_eq!(job("child job").run_id, run.children[0].to_string());
    assert_eq!(job("far job").repo.unwrap().id, other.id.to_string());
    let log =
        client.ci().unwrap().job_log(&repo.repo_ref(), &job("far job"), LogOptions::default()).await.unwrap();
    assert_eq!(log.read_to_end().await.unwrap(), (b"far".to_vec(), false));

    let again = fake.rerun(&run, &[JobSpec::failed("unit", "again")]);
    let found = jobs(&*client, &repo, &again.run_ref()).await;
    let mut attempts: Vec<(u32, bool)> =
        found.iter().filter(|job| job.name == "unit").map(|job| (job.attempt, job.is_retried)).collect();
    attempts.sort();
    assert_eq!(attempts, [(1, true), (2, false)]);
    let latest = found.iter().find(|job| job.name == "unit" && !job.is_retried).unwrap();
    let one = client.ci().unwrap().get_job(&repo.repo_ref(), &latest.id).await.unwrap();
    assert_eq!(one, *latest);
    clean(&fake);
}

#[tokio::test]
async fn many_jobs_come_in_pages() {
    let (fake, client, repo) = start().await;
    let specs = (0..120).map(|number| JobSpec::failed(&format!("job {number}"), "x")).collect();
    let run = fake.add_run(&repo, &RunSpec::new(specs));
    assert_eq!(jobs(&*client, &repo, &run.run_ref()).await.len(), 120);
    assert_eq!(fake.count("GET", "/api/v4/projects/*/pipelines/*/jobs"), 2);
}

#[tokio::test]
async fn runs_are_told() {
    let (fake, client, repo) = start().await;
    let ci = client.ci().unwrap();
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("unit", "x")]).with_branch("main"));
    let found = ci.get_run(&repo.repo_ref(), &run.run_ref()).await.unwrap();
    assert!(found.is_failed());
    assert_eq!((found.git_ref.as_deref(), found.ref_type), (Some("main"), Some(RefType::Branch)));
    assert_eq!(found.sha.as_deref(), Some(run.sha.as_str()));

    let broken = fake.add_run(&repo, &RunSpec::config_error("jobs:unit config should be a hash"));
    let found = ci.get_run(&repo.repo_ref(), &broken.run_ref()).await.unwrap();
    assert_eq!(found.conclusion, Some(Conclusion::StartupFailure));
    assert_eq!(found.config_error.as_deref(), Some("jobs:unit config should be a hash"));

    let green = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::green("unit")]));
    let found = ci.get_run(&repo.repo_ref(), &green.run_ref()).await.unwrap();
    assert_eq!((found.status, found.conclusion), (Status::Completed, Some(Conclusion::Success)));

    let error = ci.get_run(&repo.repo_ref(), &RunRef::new("99999999")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = ci.get_run(&repo.repo_ref(), &RunRef::new("1/../2")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    clean(&fake);
}

#[tokio::test]
async fn failed_runs_since_a_time_include_children() {
    let (fake, client, repo) = start().await;
    let failed = || RunSpec::new(vec![JobSpec::failed("unit", "x")]);
    let old = fake.add_run(&repo, &failed().with_age(Duration::from_secs(86_400)));
    let fresh = fake.add_run(&repo, &failed().with_child(failed()));
    let green = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::green("unit")]));
    let since = fake.now() - Duration::from_secs(3600);
    let found: Vec<_> =
        client.ci().unwrap().list_failed_runs(&repo.repo_ref(), since).try_collect().await.unwrap();
    let ids: Vec<String> = found.iter().map(|run| run.id.clone()).collect();
    assert!(ids.contains(&fresh.id.to_string()) && ids.contains(&fresh.children[0].to_string()), "{ids:?}");
    assert!(!ids.contains(&old.id.to_string()) && !ids.contains(&green.id.to_string()), "{ids:?}");
    clean(&fake);
}

#[tokio::test]
async fn logs_are_exact_bounded_and_typed_when_they_are_not_there() {
    let (fake, client, repo) = start().await;
    let (ci, reference) = (client.ci().unwrap(), repo.repo_ref());
    let text = "line 1\r\n\u{1b}[0Ksection_start:1:x\r\u{1b}[0K\nERROR: Job failed: exit code 1\n";
    let run = fake.add_run(
        &repo,
        &RunSpec::new(vec![
            JobSpec::failed("exact", text),
            JobSpec::failed("late", "there now").with_log_delay(1),
            JobSpec::failed("erased", "gone"),
            JobSpec::new("never", State::Failed, forge_testkit::Log::None),
        ]),
    );
    fake.erase_log(run.jobs[2]);
    let found = jobs(&*client, &repo, &run.run_ref()).await;
    let job = |name: &str| found.iter().find(|job| job.name == name).unwrap();
    let read = |name: &str, max: u64| ci.job_log(&reference, job(name), LogOptions::new(max));

    assert_eq!(
        read("exact", 1 << 20).await.unwrap().read_to_end().await.unwrap(),
        (text.as_bytes().to_vec(), false)
    );
    assert_eq!(read("exact", 6).await.unwrap().read_to_end().await.unwrap(), (b"line 1".to_vec(), true));
    assert_eq!(read("late", 100).await.unwrap_err().kind(), ErrorKind::NotReady);
    assert_eq!(read("late", 100).await.unwrap().read_to_end().await.unwrap().0, b"there now");
    assert_eq!(read("erased", 100).await.unwrap_err().kind(), ErrorKind::Gone);
    let error = read("never", 100).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady, "it has just ended");
    assert!(error.hint().is_some() && error.operation().unwrap().contains("log of job"));
    clean(&fake);
}

#[tokio::test]
async fn an_old_job_without_a_log_never_had_one() {
    let (fake, client, repo) = start().await;
    let run = fake.add_run(
        &repo,
        &RunSpec::new(vec![JobSpec::new("never", State::Failed, forge_testkit::Log::None)])
            .with_age(Duration::from_secs(86_400)),
    );
    let found = jobs(&*client, &repo, &run.run_ref()).await;
    let error =
        client.ci().unwrap().job_log(&repo.repo_ref(), &found[0], LogOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_redirected_log_is_fetched_without_the_token() {
    let (fake, client, repo) = start().await;
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("unit", "from the store")]));
    fake.set_log_redirect(true);
    let found = jobs(&*client, &repo, &run.run_ref()).await;
    let log = client.ci().unwrap().job_log(&repo.repo_ref(), &found[0], LogOptions::default()).await.unwrap();
    assert_eq!(log.read_to_end().await.unwrap().0, b"from the store");
    let stored: Vec<_> = fake
        .requests()
        .into_iter()
        .filter(|request| request.listener == forge_testkit::Listener::BlobStore)
        .collect();
    assert_eq!(stored.len(), 1);
    assert!(stored[0].credential.is_none() && !stored[0].headers.contains_key("authorization"));
}

#[tokio::test]
async fn merge_requests_are_found_for_branches_forks_and_merge_request_pipelines() {
    let (fake, client, repo) = start().await;
    let ci = client.ci().unwrap();
    let pull = fake.open_pull(&repo, &PullSpec::new("Round totals", "rounding"));
    let failed = || RunSpec::new(vec![JobSpec::failed("unit", "x")]);
    let find = |repo: RepoHandle, run: RunRef| async move {
        let run = ci.get_run(&repo.repo_ref(), &run).await.unwrap();
        let found = ci.find_pull_requests(&repo.repo_ref(), &run).await.unwrap();
        (run, found)
    };
    let branch = fake.add_run(&repo, &failed().with_branch("rounding"));
    let (_, found) = find(repo.clone(), branch.run_ref()).await;
    assert_eq!(found.iter().map(|pull| pull.number.as_str()).collect::<Vec<_>>(), [pull.number.to_string()]);

    let detached = fake.add_run(&repo, &failed().for_pull(&pull));
    let (run, found) = find(repo.clone(), detached.run_ref()).await;
    assert_eq!(run.pull_requests, [pull.number.to_string()]);
    assert_eq!(run.git_ref.as_deref(), Some("rounding"));
    assert_eq!(found.len(), 1);

    let main = fake.add_run(&repo, &failed().with_branch("main"));
    assert!(find(repo.clone(), main.run_ref()).await.1.is_empty());

    let fork = fake.add_fork("vera/till", &repo);
    let from_fork = fake.open_pull(&repo, &PullSpec::new("From a fork", "fix").from_fork(&fork));
    let in_fork = fake.add_run(&fork, &failed().with_branch("fix"));
    let (_, found) = find(fork.clone(), in_fork.run_ref()).await;
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].number.clone(), found[0].repo.id.clone()),
        (from_fork.number.to_string(), repo.id.to_string())
    );

    fake.close_pull(&pull);
    assert!(find(repo.clone(), branch.run_ref()).await.1.is_empty());
    clean(&fake);
}

#[tokio::test]
async fn a_comment_is_one_comment_for_ever() {
    let (fake, client, repo) = start().await;
    let feedback = client.feedback().unwrap();
    let pull = fake.open_pull(&repo, &PullSpec::new("Round totals", "rounding"));
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("unit", "x")]));
    for target in [Target::Pull(pull.number.to_string()), Target::Commit(run.sha.clone())] {
        let put = |text: &str, known: Option<String>| {
            let (comment, repo, target) = (comment(text), repo.repo_ref(), target.clone());
            async move { feedback.upsert_comment(&repo, &target, &comment, known.as_deref()).await.unwrap() }
        };
        // Somebody else's comment with our marker stays as it is, and others push ours onto a later page.
        fake.add_user("mallory");
        let foreign = fake.add_comment(&repo, &target, "mallory", &format!("{MARKER} hello"));
        let first = put("red", None).await;
        assert_eq!(first.action, PostAction::Created);
        assert!(first.web_url.as_deref().unwrap().contains("/git/shop/pos/till/-/"), "{first:?}");
        for _ in 0..120 {
            fake.add_comment(&repo, &target, "mallory", "noise");
        }
        assert_eq!(put("red", None).await.action, PostAction::Unchanged);
        let edited = put("green", None).await;
        assert_eq!((edited.action, &edited.id), (PostAction::Updated, &first.id));
        fake.forget_requests();
        assert_eq!(put("green", Some(first.id.clone())).await.action, PostAction::Unchanged);
        assert_eq!(fake.requests().len(), 1, "a known id saves the search");
        let own: Vec<_> = fake
            .comments(&repo, &target)
            .into_iter()
            .filter(|comment| comment.author == "rca-bot" && !comment.is_deleted)
            .collect();
        assert_eq!(own.len(), 1);
        assert_eq!(own[0].body, comment("green").body);
        fake.delete_comment(own[0].id);
        let anew = put("green", Some(first.id.clone())).await;
        assert_eq!(anew.action, PostAction::Created);
        assert_ne!(anew.id, first.id);
        let foreign =
            fake.comments(&repo, &target).into_iter().find(|comment| comment.id == foreign).unwrap();
        assert!(foreign.history.is_empty());
    }
    clean(&fake);
}

#[tokio::test]
async fn issues_and_statuses_are_set_once() {
    let (fake, client, repo) = start().await;
    let (feedback, reference) = (client.feedback().unwrap(), repo.repo_ref());
    let issue = |body: &str| Issue {
        marker: MARKER.to_owned(),
        title: "main is red".to_owned(),
        body: format!("{MARKER}\n{body}"),
        labels: vec!["ci".to_owned(), "rca".to_owned()],
    };
    let opened = feedback.upsert_issue(&reference, &issue("a"), None).await.unwrap();
    assert_eq!(opened.action, PostAction::Created);
    assert_eq!(
        feedback.upsert_issue(&reference, &issue("a"), None).await.unwrap().action,
        PostAction::Unchanged
    );
    let edited = feedback.upsert_issue(&reference, &issue("b"), Some(&opened.id)).await.unwrap();
    assert_eq!((edited.action, &edited.id), (PostAction::Updated, &opened.id));
    assert_eq!(fake.issues()[0].labels, ["ci", "rca"]);
    feedback.close_issue(&reference, &opened.id, None).await.unwrap();
    assert!(!fake.issues()[0].is_open);
    let again = feedback.upsert_issue(&reference, &issue("b"), Some(&opened.id)).await.unwrap();
    assert_eq!((again.action, &again.id), (PostAction::Updated, &opened.id));
    assert!(fake.issues()[0].is_open, "it is opened again, and no second one");

    let sha = "4f2d1c9be07a5d3386c1b0a9f4e7d2c853b6a190";
    let status = |state| CommitStatus {
        state,
        context: "forge-rca".to_owned(),
        description: "ü".repeat(300),
        target_url: Some("https://rca.example/a/1".to_owned()),
    };
    let set = |state| {
        let (status, reference) = (status(state), reference.clone());
        async move { feedback.set_status(&reference, sha, &status).await.unwrap().action }
    };
    assert_eq!(set(StatusState::Failure).await, PostAction::Created);
    assert_eq!(set(StatusState::Failure).await, PostAction::Unchanged);
    assert_eq!(set(StatusState::Success).await, PostAction::Updated);
    assert_eq!(fake.statuses().len(), 2);
    assert_eq!(fake.statuses()[0].description.as_ref().unwrap().chars().count(), 255);
    clean(&fake);
}

#[tokio::test]
async fn failures_are_typed_and_posts_are_not_repeated() {
    let (fake, client, repo) = start().await;
    client.whoami().await.unwrap();
    let notes = "/api/v4/projects/*/merge_requests/*/notes";
    for (fault, kind) in [
        (Fault::Status(403), ErrorKind::Forbidden),
        (Fault::Status(404), ErrorKind::NotFound),
        (Fault::Status(410), ErrorKind::Gone),
        (Fault::Status(422), ErrorKind::Invalid),
        (Fault::Status(409), ErrorKind::Conflict),
        (Fault::Status(500), ErrorKind::Forge),
        (Fault::Html(502), ErrorKind::Forge),
        (Fault::TruncatedJson, ErrorKind::UnexpectedResponse),
        (Fault::WrongType, ErrorKind::UnexpectedResponse),
    ] {
        let pull = fake.open_pull(&repo, &PullSpec::new("t", "b"));
        let target = Target::Pull(pull.number.to_string());
        fake.forget_requests();
        fake.fail_next("POST", notes, fault.clone());
        let error = client
            .feedback()
            .unwrap()
            .upsert_comment(&repo.repo_ref(), &target, &comment("x"), None)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{fault:?}: {error}");
        assert_eq!(error.forge(), Some(forge_core::ForgeKind::GITLAB), "{fault:?}");
        assert!(error.operation().unwrap().starts_with("comment on merge request"), "{fault:?}: {error}");
        assert_eq!(fake.count("POST", notes), 1, "{fault:?}");
    }
    // Reading is repeated.
    fake.fail_next("GET", "/api/v4/user", Fault::Status(503));
    assert!(client.whoami().await.is_ok());
    // A missing scope is named.
    let token = fake.add_token(&TokenSpec::new(TokenKind::Personal, &["read_api"]));
    let error = connect(&fake.instance(), token)
        .require_hooks()
        .unwrap()
        .create_hook(&repo.repo_ref(), &hook_spec())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.hint().unwrap().contains("api"), "{error}");
}
