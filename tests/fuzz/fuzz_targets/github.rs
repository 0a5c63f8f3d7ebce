//! Deliveries of GitHub.
#![no_main]

use adapters_fuzz::{Forge, Proof, check};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let forge = Forge {
        receiver: &forge_github::GitHubWebhooks,
        event_header: "x-github-event",
        events: &[
            "workflow_run", "workflow_job", "check_run", "check_suite", "status", "push", "pull_request", "ping",
        ],
        proof: Proof::Hmac("x-hub-signature-256"),
        has_standard_webhooks: false,
    };
    check(&forge, input);
});
