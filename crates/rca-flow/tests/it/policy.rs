//! Decisions without a forge.

use std::time::Duration;

use forge_core::{Error, ErrorKind, ForgeKind, Retry};
use rca_flow::policy::{Verdict, default_feedback, falls_through, feedback, verdict};
use serde_json::{Value, json};

#[test]
fn a_forge_that_is_down_is_waited_for_three_days() {
    let down = Error::new(ErrorKind::Unreachable, "refused");
    for hours in [0, 1, 24, 71] {
        let Verdict::Wait(pause) = verdict(&down, Duration::from_hours(hours), 0.9) else {
            panic!("{hours} h")
        };
        assert!(pause <= Duration::from_mins(15));
    }
    assert_eq!(verdict(&down, Duration::from_hours(73), 0.5), Verdict::GiveUp);
}

#[test]
fn pauses_grow_with_age_and_are_spread() {
    let down = Error::new(ErrorKind::Forge, "5xx");
    let pause = |age, random| match verdict(&down, Duration::from_secs(age), random) {
        Verdict::Wait(pause) => pause,
        other => panic!("{other:?}"),
    };
    assert!(pause(1, 1.0) < pause(60, 1.0));
    assert!(pause(600, 0.1) < pause(600, 0.9));
    assert!(pause(0, 0.0) > Duration::ZERO);
}

#[test]
fn what_the_forge_says_is_obeyed() {
    let limited =
        Error::new(ErrorKind::RateLimited, "slow down").with_retry(Retry::After(Duration::from_secs(90)));
    let Verdict::Wait(pause) = verdict(&limited, Duration::ZERO, 0.0) else { panic!("it waits") };
    assert!(pause >= Duration::from_secs(90));
    assert_eq!(verdict(&Error::new(ErrorKind::Unauthorized, "x"), Duration::ZERO, 0.0), Verdict::Park);
    assert_eq!(verdict(&Error::new(ErrorKind::InvalidGrant, "x"), Duration::ZERO, 0.0), Verdict::Park);
    assert_eq!(verdict(&Error::new(ErrorKind::Invalid, "x"), Duration::ZERO, 0.0), Verdict::GiveUp);
}

#[test]
fn the_cascade_opens_on_refusals_only() {
    for status in [401, 403, 404, 410, 422] {
        assert!(falls_through(&Error::new(ErrorKind::Invalid, "x").with_status(status)));
    }
    for kind in [ErrorKind::RateLimited, ErrorKind::Timeout, ErrorKind::Unreachable, ErrorKind::Forge] {
        assert!(!falls_through(&Error::new(kind, "x")));
    }
    // GitHub's secondary rate limit.
    assert!(!falls_through(&Error::new(ErrorKind::RateLimited, "x").with_status(403)));
}

#[test]
fn the_nearer_wish_wins() {
    let defaults = default_feedback(ForgeKind::GITHUB);
    assert!(defaults.status && !default_feedback(ForgeKind::GITLAB).status);
    let policy = feedback(defaults, &json!({ "status": false, "issue": true }), &json!({ "issue": false }));
    assert!(policy.pr_comment && !policy.status && !policy.issue);
    assert_eq!(feedback(defaults, &Value::Null, &Value::Null), defaults);
    let blocked =
        feedback(defaults, &json!({ "pr_comment": false }), &json!({ "pr_comment": true, "issue": true }));
    assert!(!blocked.pr_comment && blocked.issue, "what the workspace has switched off stays off");
}
