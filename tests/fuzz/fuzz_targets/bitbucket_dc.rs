//! Deliveries of Bitbucket Data Center.
#![no_main]

use adapters_fuzz::{Forge, Proof, check};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let forge = Forge {
        receiver: &forge_bitbucket_dc::BitbucketDcWebhooks,
        event_header: "x-event-key",
        events: &[
            "repo:build_status_updated", "repo:refs_changed", "pr:opened", "pr:merged", "diagnostics:ping",
        ],
        proof: Proof::Hmac("x-hub-signature"),
        has_standard_webhooks: false,
    };
    check(&forge, input);
});
