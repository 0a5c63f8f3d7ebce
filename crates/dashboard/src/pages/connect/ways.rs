//! The ways into each forge: what each needs from the forge and asks of the person. Words are in the messages, under
//! `way.<forge>.<way>`.

use forge_core::ForgeKind;

/// What is done with what a person gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Consent in the browser, with an application of the instance.
    OAuth,
    /// A token that a person made.
    Token,
    /// A GitHub App that is made now.
    NewApp,
    /// A GitHub App that exists.
    KnownApp,
    /// The hook alone.
    Webhook,
}

/// A field of a way's form.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input {
    pub(super) name: &'static str,
    /// `text`, `email`, `password` or `area`; the last two are secrets and never come back to the page.
    pub(super) kind: &'static str,
    pub(super) is_required: bool,
}

impl Input {
    pub(super) fn is_secret(self) -> bool {
        matches!(self.kind, "password" | "area")
    }
}

const fn text(name: &'static str) -> Input {
    Input { name, kind: "text", is_required: true }
}

const fn secret(name: &'static str) -> Input {
    Input { name, kind: "password", is_required: true }
}

const fn optional(input: Input) -> Input {
    Input { is_required: false, ..input }
}

/// One way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub(super) id: &'static str,
    pub(super) kind: Kind,
    /// What to tick at the forge, as the forge names it.
    pub(super) scopes: &'static [&'static str],
    /// The forge's page to open: below its address, or a whole address.
    pub(super) page: &'static str,
    /// What a token was made for, where the forge cannot tell.
    pub(super) level: Option<&'static str>,
    pub(super) inputs: &'static [Input],
}

const CLIENT: &[Input] = &[text("client_id"), secret("client_secret")];
const TOKEN: &[Input] = &[secret("token")];
const GITLAB: &[&str] = &["api", "read_user", "read_api"];
const GITHUB: &[&str] = &["repo", "read:user", "admin:repo_hook"];

const GITLAB_WAYS: &[Way] = &[
    Way {
        id: "oauth",
        kind: Kind::OAuth,
        scopes: GITLAB,
        page: "/-/user_settings/applications",
        level: None,
        inputs: CLIENT,
    },
    Way {
        id: "personal",
        kind: Kind::Token,
        scopes: &["api"],
        page: "/-/user_settings/personal_access_tokens?name=Forge+RCA&scopes=api",
        level: None,
        inputs: TOKEN,
    },
    Way {
        id: "group",
        kind: Kind::Token,
        scopes: &["api"],
        page: "/dashboard/groups",
        level: None,
        inputs: TOKEN,
    },
    Way {
        id: "project",
        kind: Kind::Token,
        scopes: &["api"],
        page: "/dashboard/projects",
        level: None,
        inputs: TOKEN,
    },
];

const GITHUB_WAYS: &[Way] = &[
    Way {
        id: "app",
        kind: Kind::NewApp,
        scopes: &[],
        page: "",
        level: None,
        inputs: &[optional(text("organization"))],
    },
    Way {
        id: "known-app",
        kind: Kind::KnownApp,
        scopes: &[
            "actions: read",
            "checks: write",
            "contents: read",
            "issues: write",
            "metadata: read",
            "pull_requests: write",
            "statuses: read",
        ],
        page: "/settings/apps",
        level: None,
        inputs: &[
            text("app_id"),
            text("installation_id"),
            secret("webhook_secret"),
            Input { name: "private_key", kind: "area", is_required: true },
        ],
    },
    Way {
        id: "oauth",
        kind: Kind::OAuth,
        scopes: GITHUB,
        page: "/settings/applications/new",
        level: None,
        inputs: CLIENT,
    },
    Way {
        id: "classic",
        kind: Kind::Token,
        scopes: GITHUB,
        page: "/settings/tokens/new?description=Forge+RCA&scopes=repo,read:user,admin:repo_hook",
        level: None,
        inputs: TOKEN,
    },
    Way {
        id: "fine-grained",
        kind: Kind::Token,
        scopes: &[
            "Metadata: read",
            "Actions: read",
            "Contents: read",
            "Checks: read",
            "Pull requests: read and write",
            "Issues: read and write",
            "Commit statuses: read and write",
            "Webhooks: read and write",
        ],
        page: "/settings/personal-access-tokens/new",
        level: None,
        inputs: TOKEN,
    },
];

const BITBUCKET_CLOUD_WAYS: &[Way] = &[
    Way {
        id: "oauth",
        kind: Kind::OAuth,
        scopes: &[
            "Account: Read",
            "Workspace membership: Read",
            "Projects: Read",
            "Repositories: Read",
            "Pull requests: Read and Write",
            "Webhooks: Read and write",
            "Pipelines: Read",
        ],
        page: "",
        level: None,
        inputs: CLIENT,
    },
    Way {
        id: "api-token",
        kind: Kind::Token,
        scopes: &[
            "read:user:bitbucket",
            "read:workspace:bitbucket",
            "read:repository:bitbucket",
            "write:repository:bitbucket",
            "read:pullrequest:bitbucket",
            "write:pullrequest:bitbucket",
            "read:pipeline:bitbucket",
            "read:webhook:bitbucket",
            "write:webhook:bitbucket",
            "delete:webhook:bitbucket",
        ],
        page: "https://id.atlassian.com/manage-profile/security/api-tokens",
        level: None,
        inputs: &[Input { name: "email", kind: "email", is_required: true }, secret("token")],
    },
    Way {
        id: "access-token",
        kind: Kind::Token,
        scopes: &["Repositories: Read", "Pull requests: Write", "Webhooks", "Pipelines: Read"],
        page: "",
        level: None,
        inputs: &[text("workspace"), secret("token")],
    },
    Way {
        id: "repository-token",
        kind: Kind::Token,
        scopes: &["Repositories: Read", "Pull requests: Write", "Webhooks", "Pipelines: Read"],
        page: "",
        level: Some("repository"),
        inputs: &[text("repository"), secret("token")],
    },
];

const DC_TOKENS: &str = "/plugins/servlet/access-tokens/manage";

const BITBUCKET_DC_WAYS: &[Way] = &[
    Way {
        id: "user-token",
        kind: Kind::Token,
        scopes: &["Project read", "Repository admin"],
        page: DC_TOKENS,
        level: Some("instance"),
        inputs: TOKEN,
    },
    Way {
        id: "project-token",
        kind: Kind::Token,
        scopes: &["Repository admin"],
        page: "/projects",
        level: Some("project"),
        inputs: &[text("project_key"), secret("token")],
    },
    Way {
        id: "repository-token",
        kind: Kind::Token,
        scopes: &["Repository admin"],
        page: "/projects",
        level: Some("repository"),
        inputs: &[text("repository"), secret("token")],
    },
    Way {
        id: "oauth",
        kind: Kind::OAuth,
        scopes: &["Repository: Admin"],
        page: "/admin",
        level: None,
        inputs: CLIENT,
    },
    Way {
        id: "webhook",
        kind: Kind::Webhook,
        scopes: &[],
        page: "/projects",
        level: None,
        inputs: &[text("project_key"), text("repository"), optional(secret("token"))],
    },
];

const GITFLIC_RIGHTS: &[&str] = &["USER_READ", "PROJECT_READ", "PROJECT_EDIT"];

const GITFLIC_WAYS: &[Way] = &[
    Way { id: "token", kind: Kind::Token, scopes: GITFLIC_RIGHTS, page: "", level: None, inputs: TOKEN },
    Way { id: "oauth", kind: Kind::OAuth, scopes: GITFLIC_RIGHTS, page: "", level: None, inputs: CLIENT },
];

/// The ways into a forge, the best first.
pub(super) fn of(forge: ForgeKind) -> &'static [Way] {
    match forge {
        ForgeKind::GITLAB => GITLAB_WAYS,
        ForgeKind::GITHUB => GITHUB_WAYS,
        ForgeKind::BITBUCKET_CLOUD => BITBUCKET_CLOUD_WAYS,
        ForgeKind::BITBUCKET_DC => BITBUCKET_DC_WAYS,
        ForgeKind::GITFLIC => GITFLIC_WAYS,
        _ => &[],
    }
}

/// The address of the forge's own cloud.
pub(super) fn cloud(forge: ForgeKind) -> Option<&'static str> {
    match forge {
        ForgeKind::GITLAB => Some("https://gitlab.com"),
        ForgeKind::GITHUB => Some("https://github.com"),
        ForgeKind::BITBUCKET_CLOUD => Some("https://bitbucket.org"),
        ForgeKind::GITFLIC => Some("https://gitflic.ru"),
        _ => None,
    }
}
