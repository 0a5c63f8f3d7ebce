//! The whole way through one forge that remembers, and what only it can show.

use std::sync::Arc;

use forge_bitbucket_dc::{BitbucketDc, LogSource, LogSourceKind};
use forge_core::{
    Delivery, EnsureHook, ErrorKind, ForgeClient, ForgeClientExt as _, Instance, LogOptions, OAuthApp,
    Provider, Secrets, StaticCredential,
    model::{Comment, CommitStatus, EventKind, HookSpec, PostAction, RunRef, StatusState, Target},
};
use forge_testkit::{
    CiServer, FakeBitbucketDc, FakeOptions, JobSpec, Listener, PullSpec, Receiver, RunSpec,
    conformance::http_client,
};
use futures_util::TryStreamExt as _;
use secrecy::SecretString;

use crate::suite::jenkins;

fn connect(provider: &BitbucketDc, fake: &FakeBitbucketDc, token: SecretString) -> Arc<dyn ForgeClient> {
    provider.connect(&fake.instance(), Arc::new(StaticCredential::token(token))).unwrap()
}

#[tokio::test]
async fn from_discovery_to_a_comment_that_is_edited_under_a_context_path() {
    let fake = FakeBitbucketDc::start_with(&FakeOptions::new().with_root("/bitbucket")).await;
    let provider = BitbucketDc::builder(http_client()).with_log_source(jenkins(&fake)).build();
    let client = connect(&provider, &fake, fake.token());
    let repo = fake.add_repo("NW/shop");
    fake.add_repos(249);
    let all: Vec<_> = client.repos().list_repos().try_collect().await.unwrap();
    assert_eq!((all.len(), fake.count("GET", "/rest/api/1.0/repos")), (250, 3));
    let here = repo.repo_ref();

    let receiver = Receiver::start().await;
    let secret = SecretString::from("0123456789abcdef".to_owned());
    let spec = HookSpec::new(receiver.url().clone(), secret.clone());
    let created = client.ensure_hook(&here, &spec, None).await.unwrap();
    assert_eq!(created.action, EnsureHook::Created);

    let fork = fake.add_fork("~eve/shop", &repo);
    let pull = fake.open_pull(&repo, &PullSpec::new("Round the total", "patch-1").from_fork(&fork));
    let jobs =
        vec![JobSpec::failed("unit", "boom\n"), JobSpec::green("lint"), JobSpec::failed("e2e", "bang\n")];
    let run = fake.add_run(&fork, &RunSpec::new(jobs).with_branch("patch-1").with_sha(&pull.sha));
    let of_fork = fork.repo_ref();

    // The push is sent where the hook is; here the poll of the target finds the fork's commit through the pull request.
    let ci = client.require_ci().unwrap();
    let since = fake.now() - jiff::SignedDuration::from_mins(5);
    let failed: Vec<_> = ci.list_failed_runs(&here, since).try_collect().await.unwrap();
    assert_eq!(failed.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), [run.sha.as_str()]);
    let read = ci.get_run(&of_fork, &RunRef::new(&run.sha)).await.unwrap();
    assert_eq!(read.git_ref.as_deref(), Some("patch-1"));
    let pulls = ci.find_pull_requests(&of_fork, &read).await.unwrap();
    assert_eq!((pulls[0].number.clone(), pulls[0].repo.clone()), (pull.number.to_string(), here.clone()));
    let jobs: Vec<_> = ci.list_jobs(&of_fork, &read.as_ref()).try_collect().await.unwrap();
    let unit = jobs.iter().find(|job| job.name == "unit").unwrap();
    let log = ci.job_log(&of_fork, unit, LogOptions::default()).await.unwrap().read_to_end().await.unwrap();
    assert_eq!(log, (b"boom\n".to_vec(), false));

    let feedback = client.require_feedback().unwrap();
    let target = Target::Pull(pull.number.to_string());
    let marker = "[forge-rca-1]: #".to_owned();
    let say = |text: &str| Comment { marker: marker.clone(), body: format!("{marker}\n\n{text}") };
    let first = feedback.upsert_comment(&here, &target, &say("red"), None).await.unwrap();
    let second = feedback.upsert_comment(&here, &target, &say("green"), None).await.unwrap();
    assert_eq!((second.id, second.action), (first.id, PostAction::Updated));
    let status = CommitStatus {
        state: StatusState::Failure,
        context: "forge-rca".to_owned(),
        description: "a total is rounded twice".to_owned(),
        target_url: None,
    };
    feedback.set_status(&of_fork, &run.sha, &status).await.unwrap();
    assert_eq!(fake.insights_reports()[0].2["result"], "FAIL");
    let again: Vec<_> = ci.list_jobs(&of_fork, &read.as_ref()).try_collect().await.unwrap();
    assert_eq!(again.len(), 3, "what we say is no build");
    assert!(fake.unknown_requests().is_empty(), "{:?}", fake.unknown_requests());
}

#[tokio::test]
async fn logs_come_from_bamboo_and_teamcity_too() {
    for (server, kind) in
        [(CiServer::Bamboo, LogSourceKind::Bamboo), (CiServer::TeamCity, LogSourceKind::TeamCity)]
    {
        let fake = FakeBitbucketDc::start().await;
        fake.set_ci_server(server);
        let token = FakeBitbucketDc::CI_TOKEN.to_owned().into();
        let source = LogSource::new(kind, &fake.ci_url(server), token).unwrap();
        // The one that fits is asked, whatever else there is.
        let provider = BitbucketDc::builder(http_client())
            .with_log_source(jenkins(&fake))
            .with_log_source(source)
            .build();
        let client = connect(&provider, &fake, fake.token());
        let repo = fake.add_repo("NW/shop");
        let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("unit", "boom\n")]));
        let ci = client.require_ci().unwrap();
        let jobs: Vec<_> = ci.list_jobs(&repo.repo_ref(), &run.run_ref()).try_collect().await.unwrap();
        let log = ci.job_log(&repo.repo_ref(), &jobs[0], LogOptions::default()).await.unwrap();
        assert_eq!(log.read_to_end().await.unwrap().0, b"boom\n");
    }
}

#[tokio::test]
async fn with_the_apps_event_a_failed_build_is_told_at_once() {
    let fake = FakeBitbucketDc::start().await;
    fake.set_build_event(Some("repo:build_status_updated"));
    let provider = BitbucketDc::new(http_client());
    let client = connect(&provider, &fake, fake.token());
    let repo = fake.add_repo("NW/shop");
    let receiver = Receiver::start().await;
    let secret = SecretString::from("0123456789abcdef".to_owned());
    let spec = HookSpec::new(receiver.url().clone(), secret.clone());
    client.ensure_hook(&repo.repo_ref(), &spec, None).await.unwrap();
    assert_eq!(fake.hooks(&repo)[0].events, ["repo:build_status_updated", "repo:modified"]);
    let run =
        fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("unit", "boom\n"), JobSpec::green("lint")]));
    assert_eq!(fake.deliver(&run).await.len(), 2);
    let mut triggered = Vec::new();
    for received in receiver.received() {
        let delivery = Delivery {
            headers: &received.headers,
            query: None,
            body: &received.body,
            received_at: fake.now(),
        };
        let webhooks = provider.webhooks();
        let event =
            webhooks.parse(&webhooks.verify(&delivery, &Secrets::new(secret.clone())).unwrap()).unwrap();
        assert_eq!((event.kind, event.run_id.as_deref()), (EventKind::Status, Some(run.sha.as_str())));
        if event.triggers_rca {
            triggered.extend(event.job_id);
        }
    }
    assert_eq!(triggered, run.job_ids[..1], "the id is that of the job list");
}

#[tokio::test]
async fn what_a_token_is_worth_is_known_at_connect() {
    let fake = FakeBitbucketDc::start().await;
    let provider = BitbucketDc::new(http_client());
    let identity = connect(&provider, &fake, fake.token()).whoami().await.unwrap();
    assert_eq!(identity.account.login, "rca-bot");
    assert_eq!(identity.account.id, fake.add_user("rca-bot").to_string());
    assert_eq!((identity.scopes, identity.server_version.as_deref()), (None, Some("9.4.3")));

    for (version, is_good) in
        [("7.5.1", false), ("7.6.0", true), ("6.10.17", false), ("10.0.0-m3", true), ("x", true)]
    {
        let fake = FakeBitbucketDc::start_with(&FakeOptions::new().with_version(version)).await;
        let told = connect(&provider, &fake, fake.token()).whoami().await;
        assert_eq!(told.is_ok(), is_good, "{version}: {told:?}");
        if let Err(error) = told {
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.hint().unwrap().contains("7.6"));
        }
    }
}

#[tokio::test]
async fn projects_can_be_listed_alone_and_old_servers_tell_the_default_branch_when_asked() {
    let fake = FakeBitbucketDc::start_with(&FakeOptions::new().with_version("7.21.0")).await;
    let shop = fake.add_repo("NW/shop");
    fake.add_repo("OTHER/thing");
    fake.add_repo("~eve/toy");
    let empty = fake.add_repo("NW/empty");
    fake.make_empty(&empty);
    let provider = BitbucketDc::builder(http_client()).with_projects(["NW", "~eve"]).build();
    let client = connect(&provider, &fake, fake.token());
    let names: Vec<_> =
        client.repos().list_repos().map_ok(|repo| repo.full_name).try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(names, ["NW/shop", "NW/empty", "~eve/toy"]);
    let read = client.repos().get_repo("NW/shop").await.unwrap();
    assert_eq!((read.id, read.default_branch.as_deref()), (shop.id.to_string(), Some("main")));
    assert_eq!(client.repos().get_repo("NW/empty").await.unwrap().default_branch, None);
}

#[tokio::test]
async fn a_server_without_oauth_says_so() {
    let fake = FakeBitbucketDc::start_with(&FakeOptions::new().with_version("7.19.0")).await;
    let app = OAuthApp {
        client_id: "id".to_owned(),
        client_secret: "secret".to_owned().into(),
        scopes: Vec::new(),
    };
    let flow = BitbucketDc::new(http_client()).oauth(&fake.instance(), &app).unwrap().unwrap();
    let redirect = "https://rca.example.com/callback".parse().unwrap();
    let error = flow.exchange_code(&"code".to_owned().into(), &redirect, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.hint().unwrap().contains("HTTP access token"), "{error}");
    let tokens = forge_core::TokenSet {
        access_token: "a".to_owned().into(),
        refresh_token: None,
        expires_at: None,
        scopes: Vec::new(),
    };
    assert!(!flow.revoke(&tokens).await.unwrap(), "there is no way to");
}

#[tokio::test]
async fn addresses_that_the_server_names_are_not_followed() {
    let fake = FakeBitbucketDc::start().await;
    // The capabilities then name an address at another origin.
    fake.set_next_link_origin(Some(&fake.blob_store_url()));
    let client = connect(&BitbucketDc::new(http_client()), &fake, fake.token());
    let repo = fake.add_repo("NW/shop");
    fake.add_build_status(
        &repo,
        &"ab".repeat(20),
        "evil",
        "FAILED",
        &format!("{}/job/x/1/", fake.blob_store_url()),
    );
    let spec =
        HookSpec::new("https://rca.example.com/h".parse().unwrap(), "0123456789abcdef".to_owned().into());
    client.ensure_hook(&repo.repo_ref(), &spec, None).await.unwrap();
    let ci = client.require_ci().unwrap();
    let jobs: Vec<_> =
        ci.list_jobs(&repo.repo_ref(), &RunRef::new("ab".repeat(20))).try_collect().await.unwrap();
    let error = ci.job_log(&repo.repo_ref(), &jobs[0], LogOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(fake.requests().iter().all(|request| request.listener == Listener::Forge));
}

#[test]
fn the_cloud_is_another_product() {
    let instance = Instance::new("https://bitbucket.org").unwrap();
    let nobody = Arc::new(StaticCredential::token("x".to_owned().into()));
    let error = BitbucketDc::new(http_client()).connect(&instance, nobody).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
