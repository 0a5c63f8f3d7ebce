//! Every kind of credential, and where it may go.

use std::sync::Arc;

use forge_bitbucket_cloud::BitbucketCloud;
use forge_core::{
    Credential, CredentialKind, ErrorKind, ForgeClient, ForgeClientExt as _, Instance, LogOptions, Provider,
    StaticCredential,
    model::{Comment, HookSpec, PostAction, Target},
};
use forge_testkit::{
    FakeBitbucketCloud, JobSpec, Listener, Presented, PullSpec, RunSpec, TokenKind, TokenSpec,
    conformance::http_client,
};
use futures_util::TryStreamExt as _;
use secrecy::SecretString;

const SCOPES: [&str; 5] = ["account", "repository", "pullrequest:write", "webhook", "pipeline"];

fn connect(instance: &Instance, kind: CredentialKind, token: SecretString) -> Arc<dyn ForgeClient> {
    let credential = Credential::new(kind, token);
    let credential = match kind {
        CredentialKind::ApiToken => credential.with_user("rca-bot@example.com"),
        _ => credential,
    };
    let credentials = Arc::new(StaticCredential::new(credential));
    BitbucketCloud::new(http_client()).connect(instance, credentials).unwrap()
}

#[tokio::test]
async fn each_kind_is_sent_in_its_form_and_the_whole_way_works() {
    let fake = FakeBitbucketCloud::start().await;
    let oauth = fake.add_token(&TokenSpec::new(TokenKind::OAuth, &SCOPES));
    let access = fake.add_token(&TokenSpec::new(TokenKind::FineGrained, &SCOPES));
    let kinds = [
        (CredentialKind::OAuth, oauth, Presented::Bearer),
        (CredentialKind::AccessToken, access, Presented::Bearer),
        (CredentialKind::ApiToken, fake.token(), Presented::Basic),
    ];
    for (index, (kind, token, form)) in kinds.into_iter().enumerate() {
        fake.forget_requests();
        let client = connect(&fake.instance(), kind, token);
        let handle = fake.add_repo(&format!("northwind/shop-{index}"));
        let repo = client.repos().get_repo(&handle.full_name).await.unwrap().as_ref();
        assert_eq!(repo.id, handle.forge_id);
        let spec = HookSpec::new("https://rca.example.com/h/1".parse().unwrap(), "s".repeat(64).into());
        client.ensure_hook(&repo, &spec, None).await.unwrap();
        let pull = fake.open_pull(&handle, &PullSpec::new("Basket", "basket"));
        let run =
            RunSpec::new(vec![JobSpec::failed("test", "boom\n"), JobSpec::green("lint")]).for_pull(&pull);
        let run = fake.add_run(&handle, &run);
        let ci = client.require_ci().unwrap();
        let read = ci.get_run(&repo, &run.run_ref()).await.unwrap();
        let jobs: Vec<_> = ci.list_jobs(&repo, &read.as_ref()).try_collect().await.unwrap();
        let failed = jobs.iter().find(|job| job.is_failed()).unwrap();
        let log =
            ci.job_log(&repo, failed, LogOptions::default()).await.unwrap().read_to_end().await.unwrap();
        assert_eq!(log, (b"boom\n".to_vec(), false));
        let pulls = ci.find_pull_requests(&repo, &read).await.unwrap();
        let target = Target::Pull(pulls[0].number.clone());
        let comment = Comment { marker: "<!-- m -->".to_owned(), body: "<!-- m -->\nred".to_owned() };
        let feedback = client.require_feedback().unwrap();
        let first = feedback.upsert_comment(&repo, &target, &comment, None).await.unwrap();
        let again = feedback.upsert_comment(&repo, &target, &comment, Some(&first.id)).await.unwrap();
        assert_eq!(again.action, PostAction::Unchanged, "{kind:?}");
        let found = feedback.upsert_comment(&repo, &target, &comment, None).await.unwrap();
        assert_eq!((found.action, found.id), (PostAction::Unchanged, first.id), "{kind:?}");
        for request in fake.requests() {
            let expected = (request.listener == Listener::Forge).then_some(form);
            assert_eq!(request.credential, expected, "{kind:?}: {} {}", request.method, request.path);
        }
        assert!(fake.unknown_requests().is_empty(), "{:?}", fake.unknown_requests());
    }
}

#[tokio::test]
async fn an_access_token_has_no_user_and_lists_nothing_without_its_workspace() {
    let fake = FakeBitbucketCloud::start().await;
    fake.add_repo("northwind/shop");
    fake.add_repo("acme/tools");
    let token = || fake.add_token(&TokenSpec::new(TokenKind::FineGrained, &SCOPES));
    let client = connect(&fake.instance(), CredentialKind::AccessToken, token());
    assert_eq!(client.whoami().await.unwrap().account.login, "access token");
    let error = client.repos().list_repos().try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.hint().unwrap().contains("workspace/repository"), "{error}");

    // The workspace in the base URL.
    let instance = Instance::new("https://bitbucket.org/northwind").unwrap();
    let instance = instance.with_api_base_url(&format!("{}2.0", fake.base_url())).unwrap();
    let client = connect(&instance, CredentialKind::AccessToken, token());
    let listed: Vec<_> = client.repos().list_repos().try_collect().await.unwrap();
    assert_eq!(listed.iter().map(|repo| repo.full_name.as_str()).collect::<Vec<_>>(), ["northwind/shop"]);
}

#[tokio::test]
async fn an_api_token_needs_its_mail_address() {
    let fake = FakeBitbucketCloud::start().await;
    let client = connect(&fake.instance(), CredentialKind::AccessToken, fake.token());
    let error = client.whoami().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);

    let credentials =
        Arc::new(StaticCredential::new(Credential::new(CredentialKind::ApiToken, fake.token())));
    let client = BitbucketCloud::new(http_client()).connect(&fake.instance(), credentials).unwrap();
    fake.forget_requests();
    let error = client.whoami().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.hint().unwrap().contains("mail address"));
    assert!(fake.requests().is_empty());
}

#[tokio::test]
async fn scopes_are_told_where_bitbucket_tells_them() {
    let fake = FakeBitbucketCloud::start().await;
    let token = fake.add_token(&TokenSpec::new(TokenKind::OAuth, &["account", "pullrequest"]));
    let client = connect(&fake.instance(), CredentialKind::OAuth, token);
    let identity = client.whoami().await.unwrap();
    assert_eq!(identity.scopes.unwrap(), ["account", "pullrequest"]);
    assert_eq!(identity.missing_scopes[0], "pullrequest:write (Pull requests: Write)");
    fake.set_scopes_told(false);
    let identity = client.whoami().await.unwrap();
    assert_eq!((identity.scopes, identity.missing_scopes), (None, Vec::new()));

    // What is missing is tried all the same, and the refusal names the box.
    let repo = fake.add_repo("northwind/shop");
    let pull = fake.open_pull(&repo, &PullSpec::new("Basket", "basket"));
    let comment = Comment { marker: "<!-- m -->".to_owned(), body: "<!-- m -->".to_owned() };
    let target = Target::Pull(pull.number.to_string());
    let posted =
        client.require_feedback().unwrap().upsert_comment(&repo.repo_ref(), &target, &comment, None).await;
    let error = posted.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert!(error.hint().unwrap().contains("pullrequest:write (Pull requests: Write)"), "{error}");
}
