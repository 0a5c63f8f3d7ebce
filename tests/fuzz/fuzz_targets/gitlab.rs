//! Deliveries of GitLab.
#![no_main]

use adapters_fuzz::{Forge, Proof, check};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let forge = Forge {
        receiver: &forge_gitlab::GitLabWebhooks,
        event_header: "x-gitlab-event",
        events: &["Pipeline Hook"],
        proof: Proof::Token("x-gitlab-token"),
        has_standard_webhooks: true,
    };
    check(&forge, input);
});
