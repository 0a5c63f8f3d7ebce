//! What a credential must be allowed to do, in the words of OAuth consumers and in those of API tokens.

use forge_core::{Error, ErrorKind, ForgeKind};

/// One thing that this product needs.
struct Need {
    /// The scope of OAuth and access tokens.
    oauth: &'static str,
    /// The box at the OAuth consumer.
    tick_box: &'static str,
    /// The scopes of Atlassian API tokens.
    api: &'static [&'static str],
}

/// Scopes by operation: developer.atlassian.com/cloud/bitbucket/rest, "Authentication methods".
const NEEDS: [Need; 5] = [
    Need {
        oauth: "account",
        tick_box: "Account: Read",
        api: &["read:user:bitbucket", "read:workspace:bitbucket"],
    },
    Need {
        oauth: "repository",
        tick_box: "Repositories: Read",
        api: &["read:repository:bitbucket", "write:repository:bitbucket"],
    },
    Need {
        oauth: "pullrequest:write",
        tick_box: "Pull requests: Write",
        api: &["read:pullrequest:bitbucket", "write:pullrequest:bitbucket"],
    },
    Need {
        oauth: "webhook",
        tick_box: "Webhooks: Read and write",
        // Deleting has a scope of its own.
        api: &["read:webhook:bitbucket", "write:webhook:bitbucket", "delete:webhook:bitbucket"],
    },
    Need { oauth: "pipeline", tick_box: "Pipelines: Read", api: &["read:pipeline:bitbucket"] },
];

const BOXES: &str = "in the workspace's settings under OAuth consumers, tick Account: Read, Workspace membership: \
                     Read, Projects: Read, Repositories: Read, Pull requests: Read and Write, Webhooks: Read and \
                     write, Pipelines: Read, save, and connect again";

pub(crate) fn missing(granted: &[String]) -> Vec<String> {
    if granted.is_empty() {
        return Vec::new();
    }
    let is_api = granted.iter().any(|scope| scope.ends_with(":bitbucket"));
    let mut missing = Vec::new();
    for need in &NEEDS {
        if is_api {
            let absent = need.api.iter().filter(|scope| !granted.iter().any(|granted| granted == *scope));
            missing.extend(absent.map(|scope| (*scope).to_owned()));
        } else if !granted.iter().any(|granted| includes(granted, need.oauth)) {
            missing.push(described(need.oauth));
        }
    }
    missing
}

/// The scope with the box to tick, where it is one of a consumer's.
pub(crate) fn described(scope: &str) -> String {
    let plain = scope.strip_suffix(":write").unwrap_or(scope);
    let need = NEEDS
        .iter()
        .find(|need| need.oauth == scope)
        .or_else(|| NEEDS.iter().find(|need| need.oauth.strip_suffix(":write") == Some(plain)));
    match need {
        Some(need) => format!("{scope} ({})", need.tick_box),
        None => scope.to_owned(),
    }
}

/// `repository:write` includes `repository`, and every pull request scope includes reading the repository.
fn includes(granted: &str, wanted: &str) -> bool {
    let base = |scope: &str| scope.split(':').next().unwrap_or_default().to_owned();
    granted == wanted
        || (base(granted) == wanted && !granted.ends_with(":bitbucket"))
        || granted.strip_suffix(":admin").is_some_and(|base| wanted == format!("{base}:write"))
        || (wanted == "repository" && base(granted) == "pullrequest")
}

pub(crate) fn callback_error(code: &str) -> Error {
    let (kind, message, hint) = match code {
        "invalid_scope" => (
            ErrorKind::Invalid,
            "the OAuth consumer lacks permissions that were asked for (invalid_scope)",
            BOXES,
        ),
        "access_denied" => {
            (ErrorKind::Forbidden, "the access was denied (access_denied)", "connect again and grant access")
        }
        "unauthorized_client" | "invalid_client" => (
            ErrorKind::Unauthorized,
            "Bitbucket does not accept the OAuth consumer",
            "check key and secret of the consumer",
        ),
        _ => (
            ErrorKind::Invalid,
            "Bitbucket refuses the authorization",
            "check the OAuth consumer's callback URL and permissions, and connect again",
        ),
    };
    Error::new(kind, message)
        .with_forge(ForgeKind::BITBUCKET_CLOUD)
        .with_operation("authorize the OAuth consumer")
        .with_hint(hint)
}
