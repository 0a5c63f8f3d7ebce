//! What goes wrong, and what it must look like.

use std::time::{Duration, Instant};

use forge_core::{
    Error, ErrorKind, ForgeClient, ForgeClientExt, ForgeKind, LogOptions, Retry,
    model::{Comment, HookSpec, Job, Repo, Target},
};
use futures_util::TryStreamExt;
use secrecy::SecretString;
use url::Url;

use super::{Harness, requests, shop};
use crate::{Fault, JobSpec, Listener, PullSpec, RunSpec};

/// The error names its forge and what was being done, and holds no foreign page.
fn assert_well_told<H: Harness>(harness: &H, error: &Error) {
    assert_eq!(error.forge(), Some(harness.fake().kind()), "{error:?}");
    assert!(error.operation().is_some(), "no operation: {error:?}");
    let text = format!("{error} {error:?}");
    assert!(!text.contains("<html") && !text.contains("<!DOCTYPE"), "a page in the message: {text}");
}

async fn get(client: &dyn ForgeClient) -> forge_core::Result<Repo> {
    client.repos().get_repo("acme/shop").await
}

fn hook_spec() -> HookSpec {
    let url = Url::parse("http://127.0.0.1:9/hook").expect("a URL");
    HookSpec::new(url, SecretString::from("0123456789abcdef".repeat(4)))
}

/// A revoked, an unknown and an expired token are rejected at once, with a hint.
pub async fn rejected_token_is_unauthorized<H: Harness>() {
    let harness = H::start().await;
    shop(harness.fake());
    let revoked = harness.fake().token();
    harness.fake().revoke_token(&revoked);
    for token in [revoked, SecretString::from("no-such-token".to_owned())] {
        harness.fake().forget_requests();
        let error = get(harness.client_with(token).as_ref()).await.expect_err("the token is bad");
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
        assert!(error.hint().is_some(), "no remedy: {error:?}");
        assert_eq!(error.retry(), Retry::Never);
        // GitFlic's 403 stands for a missing right too, and one other question tells them apart.
        let most = 1 + usize::from(harness.fake().kind() == ForgeKind::GITFLIC);
        assert!(requests(harness.fake()) <= most, "a bad token does not get better");
    }
}

/// A token that may only read cannot post, and the error says what is missing.
pub async fn missing_scope_is_forbidden<H: Harness>() {
    let harness = H::start().await;
    if !harness.provider().capabilities().pull_comment {
        return;
    }
    let repo = shop(harness.fake());
    let pull = harness.fake().open_pull(&repo, &PullSpec::new("Fix it", "fix"));
    let client = harness.client_with(harness.fake().read_only_token());
    let comment = Comment { marker: "<!-- m -->".to_owned(), body: "<!-- m --> hello".to_owned() };
    let target = Target::Pull(pull.number.to_string());
    let feedback = client.feedback().expect("claimed");
    let error = feedback.upsert_comment(&repo.repo_ref(), &target, &comment, None).await;
    let error = error.expect_err("the token may not post");
    assert_eq!(error.kind(), ErrorKind::Forbidden, "{error:?}");
    assert!(error.hint().is_some(), "no remedy: {error:?}");
    assert_well_told(&harness, &error);
}

/// A short `Retry-After` is waited for.
pub async fn retry_after_is_obeyed<H: Harness>() {
    let harness = H::start().await;
    shop(harness.fake());
    harness.fake().fail_next("GET", "**", Fault::RateLimited { retry_after: Some(1) });
    let began = Instant::now();
    get(harness.client().as_ref()).await.expect("the second try works");
    assert!(began.elapsed() >= Duration::from_millis(950), "came back after {:?}", began.elapsed());
    assert_eq!(requests(harness.fake()), 2);
}

/// A long one is not slept through: the caller is told when to come back.
pub async fn long_retry_after_is_reported<H: Harness>() {
    let harness = H::start().await;
    shop(harness.fake());
    harness.fake().fail_times("GET", "**", Fault::RateLimited { retry_after: Some(3600) }, 9);
    let began = Instant::now();
    let error = get(harness.client().as_ref()).await.expect_err("an hour is too long");
    assert_eq!(error.kind(), ErrorKind::RateLimited, "{error:?}");
    let Retry::After(wait) = error.retry() else { panic!("no time is told: {error:?}") };
    assert!(wait >= Duration::from_secs(3500) && began.elapsed() < Duration::from_secs(30));
    assert_eq!(requests(harness.fake()), 1);
}

/// Reading is tried again after 502, 503 and a closed connection.
pub async fn server_errors_are_retried_on_get<H: Harness>() {
    let harness = H::start().await;
    shop(harness.fake());
    for fault in [Fault::Status(502), Fault::Status(503), Fault::Close] {
        harness.fake().forget_requests();
        harness.fake().fail_next("GET", "**", fault.clone());
        get(harness.client().as_ref()).await.unwrap_or_else(|error| panic!("{fault:?}: {error:?}"));
        assert_eq!(requests(harness.fake()), 2, "{fault:?}");
    }
}

/// Creating is not: it might happen twice.
pub async fn server_errors_are_not_retried_on_post<H: Harness>() {
    let harness = H::start().await;
    if !harness.provider().capabilities().hooks {
        return;
    }
    let repo = shop(harness.fake());
    harness.fake().fail_times("POST", "**", Fault::Status(502), 9);
    let error = harness.client().ensure_hook(&repo.repo_ref(), &hook_spec(), None).await;
    let error = error.expect_err("the forge fails");
    assert_eq!(error.kind(), ErrorKind::Forge, "{error:?}");
    assert_well_told(&harness, &error);
    assert_eq!(harness.fake().count("POST", "**"), 1);
}

/// When the answer to a creation is lost, it is not sent again.
pub async fn lost_answer_to_a_post_is_not_repeated<H: Harness>() {
    let harness = H::start().await;
    if !harness.provider().capabilities().hooks {
        return;
    }
    let repo = shop(harness.fake());
    harness.fake().fail_next("POST", "**", Fault::CloseAfter);
    let result = harness.client().ensure_hook(&repo.repo_ref(), &hook_spec(), None).await;
    assert!(result.is_err(), "an answer that never came was believed");
    assert_eq!((harness.fake().count("POST", "**"), harness.fake().hooks(&repo).len()), (1, 1));
}

/// A proxy's page instead of JSON, as an error and as a success.
pub async fn html_error_page<H: Harness>() {
    let harness = H::start().await;
    shop(harness.fake());
    for (status, kinds) in [
        (502, vec![ErrorKind::Forge]),
        (403, vec![ErrorKind::Forbidden, ErrorKind::Forge, ErrorKind::UnexpectedResponse]),
        (200, vec![ErrorKind::UnexpectedResponse]),
    ] {
        harness.fake().fail_times("GET", "**", Fault::Html(status), 9);
        let error = get(harness.client().as_ref()).await.expect_err("that is no repository");
        assert!(kinds.contains(&error.kind()), "{status}: {error:?}");
        assert_well_told(&harness, &error);
        harness.fake().clear_faults();
    }
}

/// JSON that ends in the middle.
pub async fn truncated_json<H: Harness>() {
    let harness = H::start().await;
    shop(harness.fake());
    harness.fake().fail_times("GET", "**", Fault::TruncatedJson, 9);
    let client = harness.client();
    let error = get(client.as_ref()).await.expect_err("that is half a repository");
    assert_eq!(error.kind(), ErrorKind::UnexpectedResponse, "{error:?}");
    assert_well_told(&harness, &error);
    let listed: forge_core::Result<Vec<Repo>> = client.repos().list_repos().try_collect().await;
    assert_eq!(listed.expect_err("that is half a list").kind(), ErrorKind::UnexpectedResponse);
}

/// JSON of another type than documented.
pub async fn unexpected_json<H: Harness>() {
    let harness = H::start().await;
    shop(harness.fake());
    harness.fake().fail_times("GET", "**", Fault::WrongType, 9);
    let error = get(harness.client().as_ref()).await.expect_err("that is a string");
    assert_eq!(error.kind(), ErrorKind::UnexpectedResponse, "{error:?}");
    assert_well_told(&harness, &error);
}

/// A next link to another origin gets nothing from us. Where pages are numbered, links do not even count.
pub async fn foreign_next_link_gets_no_credential<H: Harness>() {
    let harness = H::start().await;
    harness.fake().add_repos(150);
    harness.fake().set_next_link_origin(Some(&harness.fake().blob_store_url()));
    let listed: forge_core::Result<Vec<Repo>> = harness.client().repos().list_repos().try_collect().await;
    if harness.fake().links_pages() {
        listed.expect_err("the next page is somewhere else");
    } else {
        assert_eq!(listed.expect("pages by number").len(), 150, "a page is missing and nobody said so");
    }
    assert_nothing_leaked(&harness);
}

/// A redirect of an API call to another origin gets no credential from us.
pub async fn foreign_redirect_gets_no_credential<H: Harness>() {
    let harness = H::start().await;
    shop(harness.fake());
    for status in [301, 302, 307, 308] {
        let location = format!("{}/api/anything", harness.fake().blob_store_url());
        harness.fake().fail_next("GET", "**", Fault::Redirect(status, location));
        get(harness.client().as_ref()).await.expect_err("it is somewhere else");
    }
    assert_nothing_leaked(&harness);
}

/// A call that changes something is not carried to another origin either, and gets no credential from us.
pub async fn foreign_redirect_of_a_change_gets_no_credential<H: Harness>() {
    let harness = H::start().await;
    let repo = shop(harness.fake());
    let Some(hooks) = harness.client().hooks().map(|_| harness.client()) else { return };
    for status in [301, 302, 303, 307, 308] {
        let location = format!("{}/api/anything", harness.fake().blob_store_url());
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            harness.fake().fail_next(method, "**", Fault::Redirect(status, location.clone()));
        }
        hooks.ensure_hook(&repo.repo_ref(), &hook_spec(), None).await.expect_err("it is somewhere else");
        harness.fake().clear_faults();
    }
    assert_nothing_leaked(&harness);
}

/// Where the forge names the address of a log or an artifact, one at another origin gets nothing of ours, whether it is
/// asked or not.
pub async fn foreign_log_address_gets_no_credential<H: Harness>() {
    let harness = H::start().await;
    let client = harness.client();
    let (Some(ci), true) = (client.ci(), harness.fake().names_logs()) else { return };
    let repo = shop(harness.fake());
    harness.fake().set_log_origin(Some(&harness.fake().blob_store_url()));
    let run = harness.fake().add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", "boom\n")]));
    let jobs: Vec<Job> =
        ci.list_jobs(&repo.repo_ref(), &run.run_ref()).try_collect().await.expect("the jobs");
    for job in &jobs {
        // Another way to the log may be open; that of the address may not be taken for ours.
        if let Ok(log) = ci.job_log(&repo.repo_ref(), job, LogOptions::default()).await {
            assert_eq!(log.read_to_end().await.expect("its bytes").0, b"boom\n");
        }
    }
    assert!(!jobs.is_empty());
    assert_nothing_leaked(&harness);
}

/// No credential in any of the known forms, and the text of no token anywhere in a request.
pub(super) fn assert_nothing_leaked<H: Harness>(harness: &H) {
    let tokens: Vec<String> = harness.fake().world().tokens.keys().cloned().collect();
    assert!(!tokens.is_empty(), "there was nothing that could leak");
    for request in harness.fake().requests() {
        if request.listener != Listener::BlobStore {
            continue;
        }
        assert_eq!(request.credential, None, "a credential reached another origin: {}", request.path);
        let text = format!("{request:?} {}", String::from_utf8_lossy(&request.body));
        assert!(!tokens.iter().any(|token| text.contains(token)), "a token reached another origin");
    }
}
