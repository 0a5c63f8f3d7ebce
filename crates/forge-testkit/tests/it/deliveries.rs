use forge_testkit::{FakeGitHub, FakeGitLab, HookSetup, JobSpec, Message, Receiver, RunSpec};

/// The vector of GitHub's own documentation.
#[tokio::test]
async fn github_signs_as_documented() {
    let fake = FakeGitHub::start().await;
    let repo = fake.add_repo("acme/shop");
    let setup = HookSetup::new("http://127.0.0.1:9/hook").with_secret("It's a Secret to Everybody");
    let hook = fake.add_hook(&repo, &setup);
    let request = fake.sign(hook, &Message::new("ping", "", "Hello, World!")).unwrap();
    assert_eq!(
        request.headers["x-hub-signature-256"],
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    );
}

#[tokio::test]
async fn gitlab_signs_in_the_standard_webhooks_form() {
    let fake = FakeGitLab::start().await;
    let repo = fake.add_repo("acme/shop");
    let token = "whsec_dGVzdHRlc3R0ZXN0dGVzdHRlc3R0ZXN0dGVzdHRlc3Q=";
    let setup = HookSetup::new("http://127.0.0.1:9/hook").with_secret("s").with_signing_token(token);
    let hook = fake.add_hook(&repo, &setup);
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", "boom")]));
    let request = fake.signed_request(&run, hook).unwrap();
    assert_eq!(request.headers["webhook-id"], request.delivery_id.as_str());
    assert_eq!(request.headers["idempotency-key"], request.delivery_id.as_str());
    assert_eq!(request.headers["x-gitlab-token"], "s");
    let signature = request.headers["webhook-signature"].to_str().unwrap();
    assert!(signature.starts_with("v1,") && signature.len() == 47, "{signature}");
}

#[tokio::test]
async fn only_subscribed_and_active_hooks_get_something() {
    let fake = FakeGitLab::start().await;
    let receiver = Receiver::start().await;
    let repo = fake.add_repo("acme/shop");
    let url = receiver.url().as_str();
    fake.add_hook(&repo, &HookSetup::new(url).with_events(&["pipeline_events"]));
    fake.add_hook(&repo, &HookSetup::new(url).with_events(&["push_events"]));
    fake.add_hook(&repo, &HookSetup::new(url).inactive());
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", "boom")]));
    let outcomes = fake.deliver(&run).await;
    assert_eq!(outcomes.len(), 1);
    assert_eq!((outcomes[0].status, outcomes[0].event.as_str()), (Some(204), "Pipeline Hook"));
    assert_eq!(receiver.received().len(), 1);
    assert_eq!(fake.deliveries(), outcomes);
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_an_outcome() {
    let fake = FakeGitHub::start().await;
    let repo = fake.add_repo("acme/shop");
    let gone = Receiver::start().await.url().clone();
    fake.add_hook(&repo, &HookSetup::new(gone.as_str()).with_events(&["workflow_run"]));
    let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", "boom")]));
    let outcomes = fake.deliver(&run).await;
    assert!(outcomes.len() == 1 && outcomes[0].status.is_none() && outcomes[0].error.is_some());
}
