//! The suite that every adapter passes: what it claims works, what it does not claim sends no request.
//!
//! Implement [`Harness`] for your adapter and call [`conformance!`](crate::conformance!) in a test binary; it makes
//! one `#[tokio::test]` of each case. The cases are plain functions, so that one alone can be called too.

pub mod ci;
pub mod errors;
pub mod facts;
pub mod feedback;
pub mod hooks;
pub mod oauth;
pub mod repos;
pub mod webhooks;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use forge_core::{ForgeClient, Provider, StaticCredential};
use forge_http::{HttpClient, IpNetwork};
use secrecy::SecretString;

use crate::{Fake, RepoHandle};

/// What the suite needs of an adapter: its provider, and a fake of its forge.
#[async_trait]
pub trait Harness: Send + Sync + 'static {
    /// Starts a fake of the adapter's forge and makes the adapter's provider, e.g. with [`http_client`].
    async fn start() -> Self
    where
        Self: Sized;

    /// The adapter.
    fn provider(&self) -> Arc<dyn Provider>;

    /// The fake forge.
    fn fake(&self) -> &Fake;

    /// A client of the fake with this token.
    fn client_with(&self, token: SecretString) -> Arc<dyn ForgeClient> {
        let credentials = Arc::new(StaticCredential::token(token));
        self.provider().connect(&self.fake().instance(), credentials).expect("the fake's address is good")
    }

    /// A client of the fake whose token may do everything.
    fn client(&self) -> Arc<dyn ForgeClient> {
        self.client_with(self.fake().token())
    }
}

/// An HTTP client that may talk plain http to loopback and does not wait long.
///
/// # Panics
/// When the system cannot make one, e.g. without root certificates.
#[must_use]
pub fn http_client() -> HttpClient {
    let loopback: IpNetwork = "127.0.0.0/8".parse().expect("a network");
    HttpClient::builder()
        .with_http_allowed(true)
        .with_allowed_networks([loopback])
        .with_connect_timeout(Duration::from_secs(5))
        .with_read_timeout(Duration::from_secs(5))
        .with_total_timeout(Duration::from_secs(20))
        .build()
        .expect("an HTTP client")
}

/// Fails when the adapter asked for a path that the forge does not have.
pub(crate) fn assert_no_unknown_request(fake: &Fake) {
    let unknown: Vec<String> = fake
        .unknown_requests()
        .iter()
        .map(|request| format!("{} {}", request.method, request.path))
        .collect();
    assert!(unknown.is_empty(), "the forge has no such paths: {unknown:?}");
}

/// How many requests of any kind the forge has had.
pub(crate) fn requests(fake: &Fake) -> usize {
    fake.count("*", "**")
}

/// How many requests that change something the forge has had.
pub(crate) fn mutations(fake: &Fake) -> usize {
    ["POST", "PUT", "PATCH", "DELETE"].iter().map(|method| fake.count(method, "**")).sum()
}

/// A repository to do things in.
pub(crate) fn shop(fake: &Fake) -> RepoHandle {
    fake.add_repo("acme/shop")
}

/// Makes one `#[tokio::test]` of every case of the suite for a [`Harness`](crate::conformance::Harness).
///
/// The calling package needs `tokio` with the features `macros` and `rt`.
#[macro_export]
macro_rules! conformance {
    ($harness:ty) => {
        $crate::conformance! { @cases $harness;
            repos {
                whoami_names_the_account,
                whoami_names_missing_scopes,
                listing_is_lazy,
                listing_takes_the_fewest_requests,
                listing_ahead_is_bounded,
                listing_tells_a_failed_page,
                gets_by_id_and_name,
                unknown_and_hidden_are_not_found,
                archived_is_told_apart,
                renamed_is_found_by_its_old_name,
            }
            hooks {
                creates_what_is_missing,
                leaves_what_is_right,
                updates_what_is_wrong,
                removes_duplicates,
                reads_all_pages,
                deleting_twice_is_fine,
                test_deliveries_arrive,
                registered_hooks_get_deliveries_that_verify,
                past_deliveries_are_told_and_sent_again,
                namespace_hook_serves_all_its_repositories,
            }
            webhooks {
                every_form_of_proof_is_verified,
                wrong_missing_and_empty_secrets_are_refused,
                missing_proof_is_refused,
                duplicate_proof_is_refused,
                proof_of_another_forge_is_refused,
                previous_secret_is_accepted,
                stale_time_is_refused,
                flipped_byte_is_refused,
                no_downgrade_from_signatures,
                delivery_id_survives_redelivery,
                failed_run_triggers,
                other_states_do_not_trigger,
                job_events_name_their_job,
                unknown_events_are_harmless,
                broken_bodies_are_errors,
            }
            ci {
                gets_a_failed_run,
                refused_configuration_has_no_jobs,
                attempts_are_told_apart,
                lists_failed_and_green_jobs,
                lists_many_jobs,
                child_runs_are_walked,
                gets_a_job,
                log_is_exact,
                log_is_capped,
                long_log_is_streamed,
                log_that_is_not_ready,
                log_that_is_gone,
                log_that_never_was,
                log_redirect_carries_no_credential,
                lists_failed_runs_since,
                rerun_of_an_old_run_is_listed,
                finds_the_pull_request,
                finds_the_pull_request_of_a_fork,
                finds_no_closed_pull_request,
            }
            feedback {
                pull_comment_lives,
                pull_comment_is_found_among_many,
                pull_comment_is_posted_anew_after_deletion,
                commit_comment_lives,
                foreign_comment_with_our_marker_is_left_alone,
                issue_lives,
                status_is_set,
                long_status_is_cut,
            }
            facts {
                what_is_not_claimed_sends_nothing,
                diff_names_files_and_lines,
                commits_between_are_newest_first,
                unknown_commits_are_not_found,
                last_green_job_is_the_same_job_on_that_branch,
                passed_runs_of_a_branch,
                failing_tests_of_the_forges_report,
                annotations_of_a_job,
                ci_config_at_the_commit,
                files_on_a_branch_and_at_a_commit,
            }
            errors {
                rejected_token_is_unauthorized,
                missing_scope_is_forbidden,
                retry_after_is_obeyed,
                long_retry_after_is_reported,
                server_errors_are_retried_on_get,
                server_errors_are_not_retried_on_post,
                lost_answer_to_a_post_is_not_repeated,
                html_error_page,
                truncated_json,
                unexpected_json,
                foreign_next_link_gets_no_credential,
                foreign_redirect_gets_no_credential,
                foreign_redirect_of_a_change_gets_no_credential,
                foreign_log_address_gets_no_credential,
            }
            oauth {
                code_flow_works,
                wrong_verifier_is_refused,
                code_works_once,
                wrong_client_secret_is_refused,
                refresh_rotates,
                reused_refresh_token_kills_the_grant,
                revoke_ends_the_grant,
            }
        }
    };
    (@cases $harness:ty; $($module:ident { $($case:ident),* $(,)? })*) => {
        $(mod $module {
            use super::*;
            $(
                #[tokio::test]
                async fn $case() {
                    $crate::conformance::$module::$case::<$harness>().await;
                }
            )*
        })*
    };
}
