//! How to test a program of your own against a forge that lives on loopback and remembers everything:
//! `cargo run -p examples --example test_against_fake_forge`.
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::sync::Arc;

use forge_core::{
    ForgeClientExt as _, Provider as _, StaticCredential,
    model::{Comment, Target},
};
use forge_gitlab::GitLab;
use forge_http::HttpClient;
use forge_testkit::{FakeGitLab, Fault, PullSpec};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let fake = FakeGitLab::start().await;
    let repo = fake.add_repo("acme/shop");
    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", "feature/refund"));

    // What you would test: here, a program that comments on a merge request.
    let http = HttpClient::builder()
        .with_http_allowed(true)
        .with_allowed_networks(["127.0.0.0/8".parse()?])
        .build()?;
    let client =
        GitLab::new(http).connect(&fake.instance(), Arc::new(StaticCredential::token(fake.token())))?;
    let feedback = client.require_feedback()?;
    let comment = Comment { marker: "<!-- mine -->".into(), body: "<!-- mine -->\nHello".into() };
    let target = Target::Pull(pull.number.to_string());
    feedback.upsert_comment(&repo.repo_ref(), &target, &comment, None).await?;

    // The forge can be told to fail, and says what it was asked.
    fake.fail_next("PUT", "/api/v4/projects/*/merge_requests/*/notes/*", Fault::Status(403));
    let edited = Comment { body: "<!-- mine -->\nGoodbye".into(), ..comment };
    let refused = feedback.upsert_comment(&repo.repo_ref(), &target, &edited, None).await;
    println!("refused: {}", refused.err().map(|error| error.to_string()).unwrap_or_default());
    println!(
        "said: {:?}",
        fake.comments(&repo, &target).iter().map(|comment| &comment.body).collect::<Vec<_>>()
    );
    println!("notes posted: {}", fake.count("POST", "/api/v4/projects/*/merge_requests/*/notes"));
    Ok(())
}

#[test]
fn it_runs() -> anyhow::Result<()> {
    main()
}
