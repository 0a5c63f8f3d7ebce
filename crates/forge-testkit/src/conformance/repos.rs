//! Identity and repositories.

use std::collections::HashSet;

use forge_core::ErrorKind;
use forge_http::MOST_AHEAD;
use futures_util::{StreamExt, TryStreamExt};

use super::{Harness, assert_no_unknown_request, requests, shop};
use crate::Fault;

/// The account of the token is known, and a token that may do everything lacks nothing.
pub async fn whoami_names_the_account<H: Harness>() {
    let harness = H::start().await;
    let identity = harness.client().whoami().await.expect("whoami works");
    assert_eq!(identity.account.login, "rca-bot");
    assert!(identity.missing_scopes.is_empty(), "missing: {:?}", identity.missing_scopes);
    assert_no_unknown_request(harness.fake());
}

/// A token that may only say who it is lacks something, where the forge tells scopes.
pub async fn whoami_names_missing_scopes<H: Harness>() {
    let harness = H::start().await;
    let client = harness.client_with(harness.fake().identity_token());
    let identity = client.whoami().await.expect("whoami works with the least of tokens");
    if identity.scopes.is_some() {
        assert!(!identity.missing_scopes.is_empty(), "scopes {:?} are not enough", identity.scopes);
    }
}

/// Reading one repository of 250 takes one request.
pub async fn listing_is_lazy<H: Harness>() {
    let harness = H::start().await;
    harness.fake().add_repos(250);
    let client = harness.client();
    let mut repos = client.repos().list_repos();
    repos.next().await.expect("there is a first one").expect("it can be read");
    assert_eq!(requests(harness.fake()), 1 + harness.fake().requests_before_repos());
}

/// All 250 come, each once, with three pages of 100.
pub async fn listing_takes_the_fewest_requests<H: Harness>() {
    let harness = H::start().await;
    let added = harness.fake().add_repos(250);
    let client = harness.client();
    let repos: Vec<_> = client.repos().list_repos().try_collect().await.expect("all pages can be read");
    let ids: HashSet<_> = repos.iter().map(|repo| repo.id.clone()).collect();
    assert_eq!((repos.len(), ids.len()), (250, 250));
    assert!(added.iter().all(|repo| ids.contains(&repo.forge_id)));
    let lists = harness.fake().requests_before_repos() + harness.fake().requests_after_repos();
    assert_eq!(requests(harness.fake()), 3 + lists);
}

/// A reader who stops at the second page of 20 has cost a few requests and not 20.
pub async fn listing_ahead_is_bounded<H: Harness>() {
    let harness = H::start().await;
    harness.fake().add_repos(2000);
    let client = harness.client();
    {
        let mut repos = client.repos().list_repos();
        for _ in 0..101 {
            repos.next().await.expect("there are many").expect("it can be read");
        }
    }
    let pages = requests(harness.fake()) - harness.fake().requests_before_repos();
    assert!(pages <= 1 + MOST_AHEAD, "{pages} requests for two pages");
}

/// A page that fails for good ends the listing behind the pages before it, and one that fails once does not.
pub async fn listing_tells_a_failed_page<H: Harness>() {
    let harness = H::start().await;
    harness.fake().add_repos(350);
    let client = harness.client();
    let mut repos = client.repos().list_repos();
    for _ in 0..100 {
        repos.next().await.expect("the first page is there").expect("it can be read");
    }
    harness.fake().fail_times("GET", "**", Fault::Status(503), 1);
    for _ in 0..50 {
        repos.next().await.expect("the second page is there").expect("it was asked for again");
    }
    harness.fake().fail_times("GET", "**", Fault::Status(403), 100);
    let rest: Vec<_> = repos.collect().await;
    let (last, before) = rest.split_last().expect("there is more, or an error");
    assert!(before.iter().all(Result::is_ok), "an error ends the listing");
    // What was fetched before the fault may be all of it.
    assert!(last.is_err() || rest.len() == 200, "{} came, the last one {last:?}", rest.len());
}

/// Both the forge's id and the full name lead to the repository.
pub async fn gets_by_id_and_name<H: Harness>() {
    let harness = H::start().await;
    let repo = shop(harness.fake());
    let client = harness.client();
    for key in [repo.forge_id.clone(), repo.full_name.clone()] {
        let found = client.repos().get_repo(&key).await.expect("the repository is found");
        assert_eq!((found.id, found.full_name), (repo.forge_id.clone(), repo.full_name.clone()));
        assert_eq!(found.default_branch.as_deref(), Some("main"));
        assert!(!found.is_archived);
    }
    assert_no_unknown_request(harness.fake());
}

/// What does not exist and what may not be seen are both not found.
pub async fn unknown_and_hidden_are_not_found<H: Harness>() {
    let harness = H::start().await;
    let hidden = harness.fake().add_repo("acme/hidden");
    harness.fake().set_access(&hidden, "rca-bot", 0);
    let client = harness.client();
    for key in ["acme/nothing", "987654321", "acme/hidden"] {
        let error = client.repos().get_repo(key).await.expect_err("it must not be found");
        assert_eq!(error.kind(), ErrorKind::NotFound, "{key}: {error}");
    }
}

/// An archived repository says so.
pub async fn archived_is_told_apart<H: Harness>() {
    let harness = H::start().await;
    if !harness.fake().archives() {
        return;
    }
    let repo = shop(harness.fake());
    harness.fake().archive(&repo);
    let client = harness.client();
    let found = client.repos().get_repo(&repo.full_name).await.expect("it is found");
    assert!(found.is_archived);
    let listed: Vec<_> = client.repos().list_repos().try_collect().await.expect("listing works");
    assert!(listed.iter().all(|repo| repo.is_archived), "listed as if it were not archived");
}

/// After a rename the old name still leads to it where the forge redirects, and its id everywhere.
pub async fn renamed_is_found_by_its_old_name<H: Harness>() {
    let harness = H::start().await;
    let repo = shop(harness.fake());
    harness.fake().rename(&repo, "acme/store");
    let client = harness.client();
    for key in [repo.forge_id.as_str(), "acme/shop"] {
        if key == "acme/shop" && !harness.fake().redirects_renamed() {
            let error = client.repos().get_repo(key).await.expect_err("the old name leads nowhere");
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
            continue;
        }
        let found = client.repos().get_repo(key).await.expect("it is found");
        assert_eq!((found.id, found.full_name.as_str()), (repo.forge_id.clone(), "acme/store"));
    }
}
