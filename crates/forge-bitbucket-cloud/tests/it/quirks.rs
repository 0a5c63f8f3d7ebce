//! One test for each oddity of Bitbucket Cloud, mostly against the fake, which has them.

use std::{sync::Arc, time::Duration};

use forge_bitbucket_cloud::BitbucketCloud;
use forge_core::{
    Credential, CredentialKind, ErrorKind, ForgeClient, ForgeClientExt as _, LogOptions, Provider,
    StaticCredential,
    model::{
        Comment, CommitStatus, Conclusion, HookSpec, Job, PostAction, RepoRef, RunRef, Status, StatusState,
        Target,
    },
};
use forge_testkit::{
    FakeBitbucketCloud, FakeOptions, HookSetup, JobSpec, Log, PullSpec, RunSpec, State,
    conformance::http_client,
};
use futures_util::TryStreamExt as _;

fn connect(fake: &FakeBitbucketCloud) -> Arc<dyn ForgeClient> {
    let credential = Credential::new(CredentialKind::ApiToken, fake.token()).with_user("rca-bot@example.com");
    let credentials = Arc::new(StaticCredential::new(credential));
    BitbucketCloud::new(http_client()).connect(&fake.instance(), credentials).unwrap()
}

fn failed() -> RunSpec {
    RunSpec::new(vec![JobSpec::failed("test", "boom\n")])
}

async fn jobs(client: &dyn ForgeClient, repo: &RepoRef, run: &RunRef) -> Vec<Job> {
    client.ci().unwrap().list_jobs(repo, run).try_collect().await.unwrap()
}

async fn log(client: &dyn ForgeClient, repo: &RepoRef, job: &Job) -> forge_core::Result<Vec<u8>> {
    let log = client.ci().unwrap().job_log(repo, job, LogOptions::default()).await?;
    Ok(log.read_to_end().await?.0)
}

#[tokio::test]
async fn removed_listings_across_workspaces_are_never_asked() {
    let fake = FakeBitbucketCloud::start_with(&FakeOptions::new().with_root("/bb")).await;
    for workspace in ["acme", "northwind", "zeta"] {
        fake.add_repo(&format!("{workspace}/shop"));
    }
    fake.add_repos(201);
    let listed: Vec<_> = connect(&fake).repos().list_repos().try_collect().await.unwrap();
    assert_eq!(listed.len(), 204);
    // One page of workspaces, one for each of three, three for the big one: the fewest that pages of 100 allow.
    assert_eq!(fake.count("GET", "**"), 7);
    assert!(fake.requests().iter().all(|request| request.status == 200));
}

#[tokio::test]
async fn a_build_number_is_resolved_whichever_way_bitbucket_takes_it() {
    let fake = FakeBitbucketCloud::start().await;
    let repo = fake.add_repo("northwind/shop");
    let old = fake.add_run(&repo, &failed().with_age(Duration::from_secs(7200)));
    for _ in 0..120 {
        fake.add_run(&repo, &RunSpec::new(vec![JobSpec::green("test")]));
    }
    let here = repo.repo_ref();
    for (is_resolved, first) in [(true, 1), (false, 3)] {
        fake.set_build_numbers_resolved(is_resolved);
        let client = connect(&fake);
        fake.forget_requests();
        let run = client.ci().unwrap().get_run(&here, &RunRef::new("1")).await.unwrap();
        assert_eq!(
            (run.id.as_str(), run.number.as_deref(), run.sha.as_deref()),
            ("1", Some("1"), Some(&*old.sha))
        );
        assert_eq!(fake.count("GET", "**"), first, "numbers are resolved: {is_resolved}");
        // By then the UUID is known.
        assert_eq!(jobs(client.as_ref(), &here, &run.as_ref()).await.len(), 1);
        assert_eq!(fake.count("GET", "**"), first + 1);
        // Another one needs no useless try any more.
        fake.forget_requests();
        let other = fake.add_run(&repo, &failed());
        client.ci().unwrap().get_run(&here, &other.run_ref()).await.unwrap();
        assert_eq!(fake.count("GET", "**"), 1);
        let missing = client.ci().unwrap().get_run(&here, &RunRef::new("main")).await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }
    let by_uuid = RunRef::new("{00000044-0000-4000-8000-000000000001}");
    let error = connect(&fake).ci().unwrap().get_run(&here, &by_uuid).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn uuids_travel_with_encoded_braces_and_survive_renames() {
    let fake = FakeBitbucketCloud::start().await;
    let repo = fake.add_repo("northwind/shop");
    let run = fake.add_run(&repo, &failed());
    let client = connect(&fake);
    let moved = fake.rename(&repo, "northwind/store");
    let old_name = repo.repo_ref();
    let job = jobs(client.as_ref(), &old_name, &run.run_ref()).await.remove(0);
    assert_eq!(log(client.as_ref(), &old_name, &job).await.unwrap(), b"boom\n");
    assert_eq!(job.id, run.job_ids[0]);
    let comment = Comment { marker: "<!-- m -->".to_owned(), body: "<!-- m -->".to_owned() };
    let target = Target::Commit(run.sha.clone());
    client.require_feedback().unwrap().upsert_comment(&old_name, &target, &comment, None).await.unwrap();
    assert_eq!(fake.comments(&moved, &target).len(), 1);
    for request in fake.requests() {
        assert!(!request.path.contains('{') && !request.path.contains('}'), "{}", request.path);
    }
    assert!(fake.requests().iter().any(|request| request.path.contains("%7B00000033")));
}

#[tokio::test]
async fn a_repository_is_found_by_its_uuid_alone() {
    let fake = FakeBitbucketCloud::start().await;
    fake.add_repo("acme/tools");
    let repo = fake.add_repo("northwind/shop");
    let client = connect(&fake);
    for is_known in [true, false] {
        fake.set_bare_uuids_known(is_known);
        assert_eq!(client.repos().get_repo(&repo.forge_id).await.unwrap().full_name, "northwind/shop");
        let unknown = "{00000033-0000-4000-8000-00000000ffff}";
        assert_eq!(client.repos().get_repo(unknown).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
    assert_eq!(client.repos().get_repo("../..").await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_step_that_was_run_again_has_another_id_and_no_foreign_log() {
    let fake = FakeBitbucketCloud::start().await;
    let repo = fake.add_repo("northwind/shop");
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", "first\n")]));
    let client = connect(&fake);
    let here = repo.repo_ref();
    let first = jobs(client.as_ref(), &here, &run.run_ref()).await.remove(0);
    let again = fake.rerun(&run, &[JobSpec::failed("test", "second\n")]);
    let second = jobs(client.as_ref(), &here, &again.run_ref()).await.remove(0);
    assert_eq!((first.attempt, second.attempt), (1, 2));
    assert_eq!(first.id.trim_end_matches(":1"), second.id.trim_end_matches(":2"), "the step keeps its UUID");
    assert_eq!(log(client.as_ref(), &here, &second).await.unwrap(), b"second\n");
    let error = log(client.as_ref(), &here, &first).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Gone, "the second run's log must not stand for the first's");
    let error = client.ci().unwrap().get_job(&here, "17:nonsense").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    // Without the count it is whichever is the latest.
    let bare = second.id.trim_end_matches(":2");
    assert_eq!(client.ci().unwrap().get_job(&here, bare).await.unwrap().attempt, 2);
}

#[tokio::test]
async fn a_refused_configuration_says_why_and_its_delivery_is_born_failed() {
    let fake = FakeBitbucketCloud::start().await;
    let repo = fake.add_repo("northwind/shop");
    let run = fake.add_run(&repo, &RunSpec::config_error("step 2 has no script"));
    let client = connect(&fake);
    let ci = client.ci().unwrap();
    let read = ci.get_run(&repo.repo_ref(), &run.run_ref()).await.unwrap();
    assert_eq!(read.conclusion, Some(Conclusion::StartupFailure));
    assert_eq!(read.config_error.as_deref(), Some("step 2 has no script"));
    let since = fake.now() - jiff::SignedDuration::from_mins(5);
    let listed: Vec<_> = ci.list_failed_runs(&repo.repo_ref(), since).try_collect().await.unwrap();
    assert_eq!(listed.len(), 1, "ERROR has a list of its own");
    let event = fake.payload(&run).unwrap().event;
    assert_eq!(event, "repo:commit_status_created");
    assert!(fake.unknown_requests().is_empty());
}

#[tokio::test]
async fn states_of_steps_and_pipelines_are_told_apart() {
    let fake = FakeBitbucketCloud::start().await;
    let repo = fake.add_repo("northwind/shop");
    let spec = RunSpec::new(vec![
        JobSpec::new("slow", State::TimedOut, "tick\n"),
        JobSpec::new("later", State::Skipped, Log::None),
        JobSpec::new("stopped", State::Cancelled, "bye\n"),
    ]);
    let run = fake.add_run(&repo, &spec);
    let client = connect(&fake);
    let found = jobs(client.as_ref(), &repo.repo_ref(), &run.run_ref()).await;
    let conclusions: Vec<_> = found.iter().map(|job| job.conclusion.unwrap()).collect();
    assert_eq!(conclusions, [Conclusion::TimedOut, Conclusion::Skipped, Conclusion::Cancelled]);
    assert_eq!(found[0].failure_reason.as_deref(), Some("The step exceeded its time limit."));
    let error = log(client.as_ref(), &repo.repo_ref(), &found[1]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("did not run"), "{error}");

    let running = RunSpec::new(vec![JobSpec::new("test", State::Running, "so far\n")]);
    let running = fake.add_run(&repo, &running);
    let found = jobs(client.as_ref(), &repo.repo_ref(), &running.run_ref()).await;
    assert_eq!(found[0].status, Status::Running);
    let error = log(client.as_ref(), &repo.repo_ref(), &found[0]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady, "half a log proves nothing");
}

#[tokio::test]
async fn an_empty_log_is_an_empty_log() {
    let fake = FakeBitbucketCloud::start().await;
    fake.set_log_redirect(false);
    let repo = fake.add_repo("northwind/shop");
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", "")]));
    let client = connect(&fake);
    let job = jobs(client.as_ref(), &repo.repo_ref(), &run.run_ref()).await.remove(0);
    assert_eq!(log(client.as_ref(), &repo.repo_ref(), &job).await.unwrap(), b"");
    assert!(fake.requests().iter().any(|request| request.status == 416), "there is no first byte to give");
}

#[tokio::test]
async fn a_log_that_is_served_directly_is_asked_for_by_range() {
    let fake = FakeBitbucketCloud::start().await;
    fake.set_log_redirect(false);
    let repo = fake.add_repo("northwind/shop");
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", "0123456789")]));
    let client = connect(&fake);
    let job = jobs(client.as_ref(), &repo.repo_ref(), &run.run_ref()).await.remove(0);
    let ci = client.ci().unwrap();
    for (max, expected) in [(4, ("0123", true)), (10, ("0123456789", false))] {
        let read = ci.job_log(&repo.repo_ref(), &job, LogOptions::new(max)).await.unwrap();
        let (bytes, is_cut) = read.read_to_end().await.unwrap();
        assert_eq!((String::from_utf8(bytes).unwrap().as_str(), is_cut), expected);
    }
    let ranges: Vec<_> = fake.requests().iter().filter_map(|it| it.headers.get("range").cloned()).collect();
    assert_eq!(ranges, ["bytes=0-4", "bytes=0-10"]);
}

#[tokio::test]
async fn branches_of_the_same_name_in_other_forks_are_other_branches() {
    let fake = FakeBitbucketCloud::start().await;
    let repo = fake.add_repo("northwind/shop");
    let fork = fake.add_fork("eve/shop", &repo);
    fake.open_pull(&repo, &PullSpec::new("Theirs", "patch \"1\" & more").from_fork(&fork));
    let ours = fake.open_pull(&repo, &PullSpec::new("Ours", "patch \"1\" & more"));
    let client = connect(&fake);
    let ci = client.ci().unwrap();
    let run = fake.add_run(&repo, &failed().with_branch("patch \"1\" & more"));
    let run = ci.get_run(&repo.repo_ref(), &run.run_ref()).await.unwrap();
    let found = ci.find_pull_requests(&repo.repo_ref(), &run).await.unwrap();
    assert_eq!(found.iter().map(|pull| pull.number.clone()).collect::<Vec<_>>(), [ours.number.to_string()]);
    // The whole commit stands where Bitbucket shows twelve characters of it.
    let exact = fake.add_run(&repo, &failed().with_branch("patch \"1\" & more").with_sha(&ours.sha));
    let exact = ci.get_run(&repo.repo_ref(), &exact.run_ref()).await.unwrap();
    let found = ci.find_pull_requests(&repo.repo_ref(), &exact).await.unwrap();
    assert_eq!(found[0].head_sha.as_deref(), Some(ours.sha.as_str()));
    let tag = fake.add_run(&repo, &failed().with_tag("patch \"1\" & more"));
    let tag = ci.get_run(&repo.repo_ref(), &tag.run_ref()).await.unwrap();
    assert!(ci.find_pull_requests(&repo.repo_ref(), &tag).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_run_without_a_branch_is_looked_up_by_its_commit() {
    let fake = FakeBitbucketCloud::start().await;
    let repo = fake.add_repo("northwind/shop");
    let pull = fake.open_pull(&repo, &PullSpec::new("Ours", "basket"));
    let client = connect(&fake);
    let mut run = forge_core::model::Run::new("1");
    run.sha = Some(pull.sha.clone());
    let ci = client.ci().unwrap();
    assert!(
        ci.find_pull_requests(&repo.repo_ref(), &run).await.unwrap().is_empty(),
        "the app is not installed"
    );
    fake.set_commits_linked(true);
    assert_eq!(ci.find_pull_requests(&repo.repo_ref(), &run).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_marker_that_is_cut_out_does_not_make_us_say_it_twice() {
    let fake = FakeBitbucketCloud::start().await;
    fake.set_html_comments_stripped(true);
    let repo = fake.add_repo("northwind/shop");
    let pull = fake.open_pull(&repo, &PullSpec::new("Ours", "basket"));
    let client = connect(&fake);
    let (feedback, here) = (client.require_feedback().unwrap(), repo.repo_ref());
    let target = Target::Pull(pull.number.to_string());
    let say = |text: &str| Comment { marker: "<!-- m -->".to_owned(), body: format!("<!-- m -->\n{text}\n") };
    let first = feedback.upsert_comment(&here, &target, &say("red"), None).await.unwrap();
    let again = feedback.upsert_comment(&here, &target, &say("red"), Some(&first.id)).await.unwrap();
    assert_eq!((again.action, &again.id), (PostAction::Unchanged, &first.id));
    let green = feedback.upsert_comment(&here, &target, &say("green"), Some(&first.id)).await.unwrap();
    assert_eq!((green.action, &green.id), (PostAction::Updated, &first.id));
    assert_eq!(fake.comments(&repo, &target).len(), 1);
}

#[tokio::test]
async fn a_final_status_brings_a_report_and_needs_an_address() {
    let fake = FakeBitbucketCloud::start().await;
    let repo = fake.add_repo("northwind/shop");
    let client = connect(&fake);
    let sha = "8d2f4c6e1a3b5d7f9e0c2a4b6d8f1e3c5a7b9d0f";
    let feedback = client.require_feedback().unwrap();
    let set = async |state, target_url: Option<&str>| {
        let status = CommitStatus {
            state,
            context: "forge-rca".to_owned(),
            description: "assertion failed".to_owned(),
            target_url: target_url.map(str::to_owned),
        };
        feedback.set_status(&repo.repo_ref(), sha, &status).await.unwrap()
    };
    set(StatusState::Pending, None).await;
    assert!(fake.reports().is_empty(), "there is nothing to report yet");
    set(StatusState::Failure, Some("https://rca.example.com/1")).await;
    set(StatusState::Failure, Some("https://rca.example.com/1")).await;
    let reports = fake.reports();
    assert_eq!(reports.len(), 1, "the same id again replaces it");
    let body: serde_json::Value = serde_json::from_str(&reports[0].body).unwrap();
    assert_eq!(
        (body["result"].as_str(), body["link"].as_str()),
        (Some("FAILED"), Some("https://rca.example.com/1"))
    );
    let address = fake.statuses()[0].target_url.clone().unwrap();
    assert!(address.ends_with(&format!("/northwind/shop/commits/{sha}")), "{address}");
    assert_eq!(
        fake.statuses().iter().map(|it| it.state.as_str()).collect::<Vec<_>>(),
        ["INPROGRESS", "FAILED", "FAILED"]
    );
}

#[tokio::test]
async fn a_hook_without_a_secret_or_with_tls_off_is_put_right() {
    let fake = FakeBitbucketCloud::start().await;
    let repo = fake.add_repo("northwind/shop");
    let client = connect(&fake);
    let url = "https://rca.example.com/h/1";
    let spec = HookSpec::new(url.parse().unwrap(), "s".repeat(64).into());
    fake.add_hook(&repo, &HookSetup::new(url));
    let hooks = client.require_hooks().unwrap();
    for is_shown in [false, true] {
        fake.set_tls_field_shown(is_shown);
        let listed: Vec<_> = hooks.list_hooks(&repo.repo_ref()).try_collect().await.unwrap();
        assert_eq!(listed[0].verifies_tls, is_shown.then_some(true));
        assert!(is_shown || !hooks.is_as_specified(&listed[0], &spec), "it has no secret");
        client.ensure_hook(&repo.repo_ref(), &spec, None).await.unwrap();
        let listed: Vec<_> = hooks.list_hooks(&repo.repo_ref()).try_collect().await.unwrap();
        assert!(hooks.is_as_specified(&listed[0], &spec));
    }
    fake.set_local_hooks_allowed(false);
    let local = HookSpec::new("http://127.0.0.1:9/h".parse().unwrap(), "s".repeat(64).into());
    let error = hooks.create_hook(&repo.repo_ref(), &local).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().contains("publicly reachable"), "Bitbucket's own words are kept: {error}");
}

#[tokio::test]
async fn what_the_log_storage_lacks_is_late_at_first_and_gone_after_a_day() {
    let fake = FakeBitbucketCloud::start().await;
    let repo = fake.add_repo("northwind/shop");
    let client = connect(&fake);
    fake.set_blobs_missing(true);
    for (hours, expected) in [(1, ErrorKind::NotReady), (30, ErrorKind::Gone)] {
        let run = fake.add_run(&repo, &failed().with_age(Duration::from_secs(hours * 3600)));
        let job = jobs(client.as_ref(), &repo.repo_ref(), &run.run_ref()).await.remove(0);
        let error = log(client.as_ref(), &repo.repo_ref(), &job).await.unwrap_err();
        assert_eq!(error.kind(), expected, "{hours} hours: {error}");
        assert!(error.message().contains("log storage"), "{error}");
    }
}
