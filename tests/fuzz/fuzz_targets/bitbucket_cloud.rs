//! Deliveries of Bitbucket Cloud.
#![no_main]

use adapters_fuzz::{Forge, Proof, check};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let forge = Forge {
        receiver: &forge_bitbucket_cloud::BitbucketCloudWebhooks,
        event_header: "x-event-key",
        events: &[
            "repo:commit_status_created", "repo:commit_status_updated", "repo:push", "pullrequest:created",
        ],
        proof: Proof::Hmac("x-hub-signature"),
        has_standard_webhooks: false,
    };
    check(&forge, input);
});
