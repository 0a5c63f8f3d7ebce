//! Health of an integration: what the credential may do, and what is wrong.

use forge_core::{Error, ErrorKind, ForgeClient, model::Identity};
use jiff::{SignedDuration, Timestamp};
use rca_store::Integration;

use crate::types::{Can, Credential, Health, HealthStatus, Problem, Scopes};

/// A credential that ends this soon and cannot be refreshed is said to be expiring.
const SOON: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The last known health.
pub(crate) fn of(integration: &Integration) -> Health {
    serde_json::from_value(integration.health.clone()).unwrap_or_default()
}

/// Whether the credential is renewed by itself.
pub(crate) fn is_refreshed(integration: &Integration) -> bool {
    matches!(integration.auth.as_str(), "oauth" | "app")
}

/// Whether the error means that the credential is of no use any more. For an installation of an app the forge says that
/// it does not exist, or is forbidden, when it was removed or suspended.
pub(crate) fn is_lost(integration: &Integration, error: &Error) -> bool {
    error.kind().is_credential()
        || (integration.auth == "app"
            && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Gone | ErrorKind::Forbidden))
}

/// What a successful `whoami` says.
pub(crate) fn assess(
    client: &dyn ForgeClient,
    identity: &Identity,
    is_refreshed: bool,
    now: Timestamp,
) -> Health {
    let missing = &identity.missing_scopes;
    let capabilities = client.capabilities();
    let is_hook_scope = |scope: &String| scope.contains("hook");
    let granted = identity.scopes.clone().unwrap_or_default();
    // Without a scope for hooks of its own, a forge puts them under the general right to write.
    let lacks_write = missing.iter().any(|scope| !is_hook_scope(scope) && !scope.starts_with("read"));
    let has_hook_scope = granted.iter().any(is_hook_scope);
    let can = Can {
        discover: true,
        hook: client.hooks().is_some()
            && !missing.iter().any(is_hook_scope)
            && (!lacks_write || has_hook_scope),
        read_logs: client.ci().is_some(),
        comment: client.feedback().is_some()
            && (capabilities.pull_comment || capabilities.commit_comment)
            && !lacks_write,
        set_status: client.feedback().is_some() && capabilities.status && !lacks_write,
    };
    let mut problems = Vec::new();
    let mut problem = |code: &str, message: String, remedy: &str| {
        problems.push(Problem {
            code: code.to_owned(),
            message,
            remedy: remedy.to_owned(),
            since: now.to_string(),
        });
    };
    if !missing.is_empty() {
        problem(
            "scope_missing",
            format!("the credential lacks the scopes {}{}", missing.join(", "), consequences(can)),
            &format!(
                "replace the token with one that has {}, or connect again and allow them",
                missing.join(", ")
            ),
        );
    }
    let mut credential = Credential::Valid;
    if let Some(expires_at) = identity.expires_at.filter(|_| !is_refreshed) {
        if expires_at <= now {
            credential = Credential::Expired;
            problem("credential_expired", "the token has expired".to_owned(), "replace the token");
        } else if expires_at.duration_since(now) < SOON {
            credential = Credential::Expiring;
            problem(
                "credential_expiring",
                format!("the token expires at {expires_at}"),
                "replace the token before it ends",
            );
        }
    }
    let status = match credential {
        Credential::Expired => HealthStatus::Broken,
        _ if problems.is_empty() => HealthStatus::Healthy,
        _ => HealthStatus::Degraded,
    };
    Health {
        status,
        credential,
        expires_at: identity.expires_at.map(|time| time.to_string()),
        version: identity.server_version.clone(),
        scopes: Scopes { granted, missing: missing.clone() },
        can,
        problems,
    }
}

/// What was wrong before began then.
pub(crate) fn with_beginnings(health: &Health, known: &Health) -> Health {
    let mut health = health.clone();
    for problem in &mut health.problems {
        if let Some(known) = known.problems.iter().find(|known| known.code == problem.code) {
            problem.since.clone_from(&known.since);
        }
    }
    health
}

/// What will not work, in words.
fn consequences(can: Can) -> String {
    let lost: Vec<&str> = [
        (can.hook, "manage hooks"),
        (can.comment, "comment"),
        (can.set_status, "set the status of a commit"),
        (can.read_logs, "read logs"),
    ]
    .into_iter()
    .filter_map(|(can, what)| (!can).then_some(what))
    .collect();
    if lost.is_empty() { String::new() } else { format!(": it cannot {}", lost.join(", ")) }
}

/// Adds something that is wrong to a health that is not broken by it.
pub(crate) fn add(health: &mut Health, code: &str, message: &str, remedy: &str, since: Timestamp) {
    if health.status == HealthStatus::Healthy {
        health.status = HealthStatus::Degraded;
    }
    health.problems.push(Problem {
        code: code.to_owned(),
        message: message.to_owned(),
        remedy: remedy.to_owned(),
        since: since.to_string(),
    });
}

/// The health after the forge has rejected the credential: the rest stays readable.
pub(crate) fn rejected(known: &Health, reason: &str, now: Timestamp) -> Health {
    let mut health = known.clone();
    health.status = HealthStatus::Broken;
    health.credential = Credential::Rejected;
    let since = health
        .problems
        .iter()
        .find(|problem| problem.code == "credential_rejected")
        .map_or_else(|| now.to_string(), |problem| problem.since.clone());
    health.problems.retain(|problem| problem.code != "credential_rejected");
    health.problems.push(Problem {
        code: "credential_rejected".to_owned(),
        message: reason.to_owned(),
        remedy: "replace the token, or connect again; everything that waits then goes on".to_owned(),
        since,
    });
    health
}
