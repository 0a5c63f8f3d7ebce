//! Deliveries of GitFlic.
#![no_main]

use adapters_fuzz::{Forge, Proof, check};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let forge = Forge {
        receiver: &forge_gitflic::GitFlicWebhooks,
        event_header: "",
        events: &[],
        proof: Proof::Token("gitflic-webhook-secret"),
        has_standard_webhooks: false,
    };
    check(&forge, input);
});
