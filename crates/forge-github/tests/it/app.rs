//! Apps: made from a manifest, installed, minting tokens, writing as themselves.

use std::{sync::Arc, time::Duration};

use forge_core::{
    AppAddresses, AppKey, CredentialProvider, CsrfState, ErrorKind, ForgeClient, ForgeClientExt as _,
    Instance, Provider,
    model::{Comment, CommitStatus, HookSpec, Issue, PostAction, StatusState, Target},
};
use forge_github::GitHub;
use forge_testkit::{FakeApp, FakeGitHub, JobSpec, PullSpec, RunSpec};
use futures_util::{TryStreamExt as _, future::join_all};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

use crate::server::http;

const PKCS8: &str = include_str!("../../../../fixtures/github/keys/test-app-pkcs8.pem");
const STRANGER: &str = include_str!("../../../../fixtures/github/keys/test-stranger-pkcs8.pem");

fn key(app: &FakeApp, installation_id: &str) -> AppKey {
    AppKey {
        app_id: app.app_id.clone(),
        private_key: app.private_key.clone(),
        installation_id: installation_id.to_owned(),
    }
}

fn tokens(fake: &FakeGitHub, key: &AppKey) -> Arc<dyn CredentialProvider> {
    GitHub::new(http()).installation(&fake.instance(), key).unwrap()
}

fn client(fake: &FakeGitHub, key: &AppKey) -> Arc<dyn ForgeClient> {
    GitHub::new(http()).connect(&fake.instance(), tokens(fake, key)).unwrap()
}

struct Installed {
    fake: FakeGitHub,
    app: FakeApp,
    id: String,
}

async fn installed() -> Installed {
    let fake = FakeGitHub::start().await;
    let app = fake.add_app("northwind-rca");
    let id = fake.install_app(&app.app_id, "northwind");
    Installed { fake, app, id }
}

fn status(state: StatusState, description: &str) -> CommitStatus {
    CommitStatus {
        state,
        context: "forge-rca".to_owned(),
        description: description.to_owned(),
        target_url: Some("https://rca.example.com/r/1".to_owned()),
    }
}

fn addresses() -> AppAddresses {
    let at = |path: &str| format!("https://rca.example.com{path}").parse().unwrap();
    AppAddresses {
        homepage: at("/"),
        webhook: at("/v1/webhooks/github/h1"),
        created: at("/created"),
        installed: at("/installed"),
    }
}

#[tokio::test]
async fn a_manifest_becomes_an_app_that_works() {
    let fake = FakeGitHub::start().await;
    let setup = GitHub::new(http()).app_setup(&fake.instance()).unwrap().unwrap();
    let state = CsrfState::from_entropy(&[7; 32]);
    let manifest = setup.manifest("Northwind RCA", &addresses(), Some("northwind"), &state).unwrap();
    insta::assert_json_snapshot!(manifest.manifest);
    assert!(manifest.create_url.path().ends_with("/organizations/northwind/settings/apps/new"));
    let own = setup.manifest("Northwind RCA", &addresses(), None, &state).unwrap();
    assert!(own.create_url.path().ends_with("/settings/apps/new"));

    let back = fake.submit_manifest(&manifest).await.unwrap();
    let parameter = |name: &str| back.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    assert_eq!(parameter("state"), state.as_secret().expose_secret());
    let code = SecretString::from(parameter("code"));
    let created = setup.convert(&code).await.unwrap();
    assert_eq!(created.slug, "northwind-rca");
    assert!(created.private_key.expose_secret().contains("BEGIN RSA PRIVATE KEY"));
    assert!(!created.webhook_secret.expose_secret().is_empty());
    assert!(created.install_url.as_str().ends_with("/github-apps/northwind-rca/installations/new"));
    let again = setup.convert(&code).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::InvalidGrant, "a code works once");
    assert!(again.hint().is_some());

    let installation_id = fake.install_app(&created.app_id, "northwind");
    let key = AppKey { app_id: created.app_id, private_key: created.private_key, installation_id };
    let identity = client(&fake, &key).whoami().await.unwrap();
    assert_eq!(identity.account.login, "northwind-rca[bot]");
    assert_eq!(identity.missing_scopes, [""; 0], "the manifest asks for all that is needed");
    assert!(fake.unknown_requests().is_empty(), "{:?}", fake.unknown_requests());
}

#[tokio::test]
async fn manifests_that_cannot_be_are_refused_before_anything_is_sent() {
    let fake = FakeGitHub::start().await;
    let setup = GitHub::new(http()).app_setup(&fake.instance()).unwrap().unwrap();
    let state = CsrfState::from_entropy(&[7; 32]);
    for (name, organization) in [
        ("", None),
        ("RCA", Some("")),
        ("RCA", Some("../evil")),
        ("RCA", Some("a b")),
        (&*"x".repeat(35), None),
    ] {
        let error = setup.manifest(name, &addresses(), organization, &state).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name:?} {organization:?}");
    }
    let error = setup.convert(&"../../user".to_owned().into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidGrant);
    assert!(fake.requests().iter().all(|request| request.path.starts_with("/api/v3/app-manifests/")));
}

#[tokio::test]
async fn both_forms_of_the_key_and_both_ids_sign() {
    let Installed { fake, app, id } = installed().await;
    let escaped = app.private_key.expose_secret().replace('\n', "\\n");
    for (app_id, private_key) in [
        (app.app_id.clone(), app.private_key.expose_secret().to_owned()),
        (app.client_id.clone(), PKCS8.to_owned()),
        (app.client_id.clone(), PKCS8.replace('\n', "\r\n")),
        (app.app_id.clone(), escaped),
    ] {
        let key = AppKey { app_id, private_key: private_key.into(), installation_id: id.clone() };
        let credential = tokens(&fake, &key).credential().await.unwrap();
        assert!(credential.secret().expose_secret().len() > 600, "no length is taken for granted");
        assert!(credential.expires_at().is_some());
    }
}

#[tokio::test]
async fn keys_that_are_none_are_refused_with_a_remedy() {
    let instance = Instance::new("https://github.com").unwrap();
    let encrypted =
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----";
    let ec = "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----";
    let cut = PKCS8.split("-----END").next().unwrap();
    let damaged = PKCS8.replacen("MII", "MIJ", 1);
    for pem in ["", "not a key", encrypted, ec, cut, &damaged] {
        let key = AppKey {
            app_id: "1".to_owned(),
            private_key: pem.to_owned().into(),
            installation_id: "2".to_owned(),
        };
        let error = GitHub::new(http()).installation(&instance, &key).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("PRIVATE KEY")), "{error}");
        assert!(pem.is_empty() || !format!("{error:?}").contains(pem));
    }
    for (app_id, installation_id) in [("", "2"), ("1", ""), ("1", "2/../3"), ("1", "northwind")] {
        let key = AppKey {
            app_id: app_id.to_owned(),
            private_key: PKCS8.to_owned().into(),
            installation_id: installation_id.to_owned(),
        };
        let error = GitHub::new(http()).installation(&instance, &key).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn a_foreign_key_is_unauthorized_and_says_what_to_check() {
    let Installed { fake, app, id } = installed().await;
    let mut wrong = key(&app, &id);
    wrong.private_key = STRANGER.to_owned().into();
    let error = client(&fake, &wrong).whoami().await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Unauthorized, Some(401)));
    assert!(error.hint().is_some_and(|hint| hint.contains("clock")), "{error}");
    assert_eq!(fake.minted_tokens(), 0);
}

#[tokio::test]
async fn one_token_serves_all_until_it_is_about_to_end() {
    let Installed { fake, app, id } = installed().await;
    let tokens = tokens(&fake, &key(&app, &id));
    let all = join_all((0..50).map(|_| tokens.credential())).await;
    let first = all[0].as_ref().unwrap();
    assert!(all.iter().all(|credential| credential.as_ref().unwrap().is_same_secret(first)));
    assert_eq!(fake.minted_tokens(), 1, "all who come at once wait for one");

    // It ended at the forge: the 401 mints another one, once for all.
    fake.add_repo("northwind/shop");
    fake.advance_clock(Duration::from_secs(3601));
    let client = GitHub::new(http()).connect(&fake.instance(), Arc::clone(&tokens)).unwrap();
    let reads = join_all((0..8).map(|_| client.repos().get_repo("northwind/shop"))).await;
    assert!(reads.iter().all(Result::is_ok), "{reads:?}");
    assert_eq!(fake.minted_tokens(), 2);

    // What is over by our own clock is not even tried.
    fake.set_installation_token_lifetime(Duration::ZERO);
    let Installed { fake, app, id } = installed().await;
    fake.set_installation_token_lifetime(Duration::ZERO);
    let short = self::tokens(&fake, &key(&app, &id));
    short.credential().await.unwrap();
    short.credential().await.unwrap();
    assert_eq!(fake.minted_tokens(), 2);
}

#[tokio::test]
async fn an_installation_that_is_gone_or_suspended_says_so() {
    let Installed { fake, app, id } = installed().await;
    fake.add_repo("northwind/shop");
    let client = client(&fake, &key(&app, &id));
    client.repos().get_repo("northwind/shop").await.unwrap();

    fake.suspend_installation(&id, true);
    let error = client.repos().get_repo("northwind/shop").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.hint().is_some_and(|hint| hint.contains("suspended")), "{error}");
    let error = tokens(&fake, &key(&app, &id)).credential().await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Forbidden, Some(403)));
    assert!(error.hint().is_some_and(|hint| hint.contains("installation's settings page")), "{error}");
    fake.suspend_installation(&id, false);
    client.repos().get_repo("northwind/shop").await.unwrap();

    fake.delete_installation(&id);
    let error = client.repos().get_repo("northwind/shop").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidGrant, "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("install the app again")), "{error}");
}

#[tokio::test]
async fn it_is_known_who_the_app_is_and_what_it_may_not() {
    let Installed { fake, app, id } = installed().await;
    let identity = client(&fake, &key(&app, &id)).whoami().await.unwrap();
    assert_eq!(
        (identity.account.id, identity.account.login),
        (app.app_id.clone(), "northwind-rca[bot]".to_owned())
    );
    assert_eq!(identity.missing_scopes, [""; 0]);
    assert_eq!(identity.expires_at, None, "its tokens are renewed for ever");
    fake.set_installation_permissions(
        &id,
        &[
            ("actions", "read"),
            ("checks", "read"),
            ("issues", "write"),
            ("metadata", "read"),
            ("contents", "write"),
        ],
    );
    let identity = client(&fake, &key(&app, &id)).whoami().await.unwrap();
    assert_eq!(identity.missing_scopes, ["checks:write", "pull_requests:write", "statuses:read"]);
}

#[tokio::test]
async fn discovery_sees_the_installations_repositories_only() {
    let Installed { fake, app, id } = installed().await;
    for index in 0..201 {
        fake.add_repo(&format!("northwind/repo-{index:03}"));
    }
    fake.add_repo("elsewhere/shop");
    let client = client(&fake, &key(&app, &id));
    let repos: Vec<_> = client.repos().list_repos().try_collect().await.unwrap();
    assert_eq!(repos.len(), 201);
    assert_eq!(fake.count("GET", "/api/v3/installation/repositories"), 3);
    assert_eq!(client.repos().get_repo("elsewhere/shop").await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn the_status_is_a_check_run_that_is_changed_and_never_doubled() {
    let Installed { fake, app, id } = installed().await;
    let repo = fake.add_repo("northwind/shop");
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", "boom\n")]));
    let client = client(&fake, &key(&app, &id));
    let feedback = client.require_feedback().unwrap();
    let long = "é".repeat(400);
    let steps = [
        (status(StatusState::Pending, "looking"), PostAction::Created, "in_progress", None),
        (status(StatusState::Failure, &long), PostAction::Updated, "completed", Some("failure")),
        (status(StatusState::Failure, &long), PostAction::Unchanged, "completed", Some("failure")),
        (status(StatusState::Pending, "again"), PostAction::Updated, "in_progress", None),
        (status(StatusState::Error, "lost"), PostAction::Updated, "completed", Some("failure")),
        (status(StatusState::Success, "fixed"), PostAction::Updated, "completed", Some("success")),
    ];
    for (status, action, state, conclusion) in steps {
        let posted = feedback.set_status(&repo.repo_ref(), &run.sha, &status).await.unwrap();
        assert_eq!(posted.action, action, "{}", status.description);
        let runs = fake.check_runs();
        assert_eq!(runs.len(), 1, "never a second one");
        assert_eq!((runs[0].status.as_str(), runs[0].conclusion.as_deref()), (state, conclusion));
        assert_eq!(
            runs[0].summary.as_deref(),
            Some(&*status.description),
            "nothing is lost to the title's limit"
        );
        assert_eq!(posted.id, runs[0].id.to_string());
    }
    assert!(fake.statuses().is_empty());

    // Another app's check run of the same name is not ours, and another context is another check run.
    let other = fake.add_app("other-rca");
    let other_id = fake.install_app(&other.app_id, "northwind");
    let other = self::client(&fake, &key(&other, &other_id));
    let posted = other.feedback().unwrap();
    let posted = posted.set_status(&repo.repo_ref(), &run.sha, &status(StatusState::Failure, "theirs")).await;
    assert_eq!(posted.unwrap().action, PostAction::Created);
    let mut second = status(StatusState::Failure, "red");
    second.context = "forge-rca/2".to_owned();
    feedback.set_status(&repo.repo_ref(), &run.sha, &second).await.unwrap();
    let ours = status(StatusState::Success, "fixed");
    let unchanged = feedback.set_status(&repo.repo_ref(), &run.sha, &ours).await.unwrap();
    assert_eq!((unchanged.action, fake.check_runs().len()), (PostAction::Unchanged, 3));
    assert!(fake.unknown_requests().is_empty(), "{:?}", fake.unknown_requests());
}

#[tokio::test]
async fn what_the_app_wrote_is_found_as_the_bots_own() {
    let Installed { fake, app, id } = installed().await;
    let repo = fake.add_repo("northwind/shop");
    let pull = fake.open_pull(&repo, &PullSpec::new("Basket", "feature/basket"));
    let target = Target::Pull(pull.number.to_string());
    let marker = "<!-- forge-rca:v1 k=1 -->".to_owned();
    fake.add_comment(&repo, &target, "eve", &format!("{marker} a person's"));
    fake.add_comment(&repo, &target, "dependabot[bot]", &format!("{marker} another bot's"));
    let client = client(&fake, &key(&app, &id));
    let feedback = client.require_feedback().unwrap();
    let say = |text: &str| Comment { marker: marker.clone(), body: format!("{marker}\n{text}") };
    let here = repo.repo_ref();
    let first = feedback.upsert_comment(&here, &target, &say("red"), None).await.unwrap();
    let second = feedback.upsert_comment(&here, &target, &say("green"), None).await.unwrap();
    assert_eq!((first.action, second.action), (PostAction::Created, PostAction::Updated));
    assert_eq!(first.id, second.id);
    let comments = fake.comments(&repo, &target);
    assert_eq!((comments.len(), comments[2].author.as_str()), (3, "northwind-rca[bot]"));
    assert!(comments[..2].iter().all(|comment| comment.history.is_empty()), "others' are left alone");

    let issue = Issue { marker: marker.clone(), title: "Red".to_owned(), body: marker, labels: Vec::new() };
    let opened = feedback.upsert_issue(&here, &issue, None).await.unwrap();
    let found = feedback.upsert_issue(&here, &issue, None).await.unwrap();
    assert_eq!((found.id, found.action), (opened.id, PostAction::Unchanged));
}

#[tokio::test]
async fn an_app_makes_no_hooks_of_repositories() {
    let Installed { fake, app, id } = installed().await;
    let repo = fake.add_repo("northwind/shop");
    let client = client(&fake, &key(&app, &id));
    let spec =
        HookSpec::new("https://rca.example.com/h/1".parse().unwrap(), "0123456789abcdef".to_owned().into());
    let error = client.ensure_hook(&repo.repo_ref(), &spec, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.hint().is_some_and(|hint| hint.contains("app's settings page")), "{error}");
    assert_eq!(fake.count("*", "/api/v3/repos/**"), 0);
}

#[tokio::test]
async fn a_person_may_not_write_check_runs_and_sets_a_status() {
    let fake = FakeGitHub::start().await;
    let repo = fake.add_repo("northwind/shop");
    let credentials = Arc::new(forge_core::StaticCredential::token(fake.token()));
    let client = GitHub::new(http()).connect(&fake.instance(), credentials).unwrap();
    let sha = "1".repeat(40);
    let red = status(StatusState::Failure, "red");
    client.feedback().unwrap().set_status(&repo.repo_ref(), &sha, &red).await.unwrap();
    assert_eq!((fake.statuses().len(), fake.check_runs().len()), (1, 0));
}

#[tokio::test]
async fn odd_answers_to_minting_are_typed_errors() {
    let html = ResponseTemplate::new(200).set_body_raw("<html>Sign in</html>", "text/html");
    let cases = [
        (html, ErrorKind::UnexpectedResponse),
        (ResponseTemplate::new(201).set_body_json(json!({"token": 5})), ErrorKind::UnexpectedResponse),
        (ResponseTemplate::new(201).set_body_string("{\"token\": \"gh"), ErrorKind::UnexpectedResponse),
        (
            ResponseTemplate::new(201).set_body_json(json!({"token": "ghs_1", "expires_at": "soon"})),
            ErrorKind::UnexpectedResponse,
        ),
        (ResponseTemplate::new(422).set_body_json(json!({"message": "no"})), ErrorKind::Invalid),
        (
            ResponseTemplate::new(403)
                .set_body_json(json!({"message": "You have exceeded a secondary rate limit."}))
                .insert_header("retry-after", "3000"),
            ErrorKind::RateLimited,
        ),
    ];
    for (answer, expected) in cases {
        let server = MockServer::start().await;
        Mock::given(matchers::any()).respond_with(answer).mount(&server).await;
        let key = AppKey {
            app_id: "12".to_owned(),
            private_key: PKCS8.to_owned().into(),
            installation_id: "34".to_owned(),
        };
        let instance = Instance::new(&server.uri()).unwrap();
        let error =
            GitHub::new(http()).installation(&instance, &key).unwrap().credential().await.unwrap_err();
        assert_eq!(error.kind(), expected, "{error}");
        assert_eq!(error.operation(), Some("get a token for installation 34 of the app"));
        let asked = server.received_requests().await.unwrap();
        assert_eq!(asked[0].url.path(), "/api/v3/app/installations/34/access_tokens");
        assert_eq!(asked[0].method.as_str(), "POST");
    }
}
