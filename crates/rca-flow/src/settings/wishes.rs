//! The settings that are plain values: rules, retention, rate caps, the digest.

use rca_engine::Rules;
use rca_store::Retention;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    connect::value,
    error::{FlowError, Result},
    types::{RateCaps, RetentionDays, SettingsChange},
};

/// Milliseconds of a day.
const DAY: i64 = 24 * 60 * 60 * 1000;
/// The highest cap; more is none.
const HIGHEST_CAP: u32 = 10_000;

/// A setting by its name, and what it shall be; `None` removes it.
type Wish = (&'static str, Option<Value>);

/// What of these a change asks for. All of it can be.
pub(super) fn checked(change: &SettingsChange, operator: Retention) -> Result<Vec<Wish>> {
    let mut wishes = Vec::new();
    if let Some(rules) = &change.rules {
        let rules = rules.as_deref().filter(|text| !text.trim().is_empty());
        if let Some(text) = rules {
            Rules::parse(text).map_err(|error| {
                let remedy = "correct them and try them on a log with 'forge-rca rules test'";
                FlowError::invalid_field("rules", format!("{error}; {remedy}"))
            })?;
        }
        wishes.push(("rules", rules.map(Value::from)));
    }
    if let Some(days) = change.retention {
        if let Some(days) = &days {
            check_retention(days, operator)?;
        }
        wishes.push(("retention", days.as_ref().map(value)));
    }
    if let Some(caps) = change.rate_caps {
        if let Some(caps) = &caps {
            for (name, cap) in [
                ("rate_caps.pull_request_per_hour", caps.pull_request_per_hour),
                ("rate_caps.repository_per_hour", caps.repository_per_hour),
            ] {
                if cap.is_some_and(|cap| !(1..=HIGHEST_CAP).contains(&cap)) {
                    let problem = format!("is not between 1 and {HIGHEST_CAP}: leave it out for no limit");
                    return Err(FlowError::invalid_field(name, problem));
                }
            }
        }
        wishes.push(("rate_caps", caps.as_ref().map(value)));
    }
    if let Some(digest) = change.digest {
        if digest.is_some_and(|digest| digest.hour > 23) {
            return Err(FlowError::invalid_field("digest.hour", "is not between 0 and 23"));
        }
        wishes.push(("digest", digest.as_ref().map(value)));
    }
    Ok(wishes)
}

fn check_retention(days: &RetentionDays, operator: Retention) -> Result<()> {
    for (name, wish, least, most) in [
        ("retention.deliveries", days.deliveries, 7, operator.deliveries_ms),
        ("retention.dead", days.dead, 1, operator.dead_ms),
        ("retention.tasks", days.tasks, 1, operator.tasks_ms),
        ("retention.analyses", days.analyses, 1, operator.analyses_ms),
        ("retention.incidents", days.incidents, 1, operator.incidents_ms),
    ] {
        let most = most / DAY;
        if wish.is_some_and(|days| days < least || i64::from(days) > most) {
            let problem =
                format!("is not between {least} and {most} days, which is how long the operator keeps them");
            return Err(FlowError::invalid_field(name, problem));
        }
    }
    Ok(())
}

/// A setting as it is stored; `None` where there is none, and where another version wrote what this one cannot read.
pub(super) fn read<T: DeserializeOwned>(settings: &Value, name: &str) -> Option<T> {
    serde_json::from_value(settings.get(name)?.clone()).ok()
}

/// The caps on comments.
pub(crate) fn rate_caps(settings: &Value) -> RateCaps {
    read(settings, "rate_caps").unwrap_or_default()
}

/// The text of the workspace's rules.
pub(crate) fn rules(settings: &Value) -> Option<&str> {
    settings.get("rules").and_then(Value::as_str)
}

/// How long a workspace keeps what has ended: never longer than the operator, who may have changed his mind.
pub(crate) fn retention(settings: &Value, operator: Retention) -> Retention {
    let days: RetentionDays = read(settings, "retention").unwrap_or_default();
    let shorter =
        |wish: Option<u32>, operator: i64| wish.map_or(operator, |days| operator.min(i64::from(days) * DAY));
    Retention {
        deliveries_ms: shorter(days.deliveries, operator.deliveries_ms),
        dead_ms: shorter(days.dead, operator.dead_ms),
        tasks_ms: shorter(days.tasks, operator.tasks_ms),
        analyses_ms: shorter(days.analyses, operator.analyses_ms),
        incidents_ms: shorter(days.incidents, operator.incidents_ms),
    }
}
