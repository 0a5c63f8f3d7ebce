//! What an adapter can do, as data.

/// What an adapter can do now. One `const` per adapter; shown in the documentation and the API.
///
/// A whole missing area is a `None` from [`crate::ForgeClient`]; this holds the finer differences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Capabilities {
    /// Users can connect by OAuth.
    pub oauth: bool,
    /// The OAuth flow uses PKCE (S256).
    pub oauth_pkce: bool,
    /// Access tokens expire and are refreshed, each refresh token working once.
    pub oauth_refresh: bool,
    /// Deliveries carry an HMAC over the body.
    pub signed_deliveries: bool,
    /// The HMAC covers a time, so that replays can be told by age.
    pub signed_delivery_time: bool,
    /// Deliveries can be proved by a shared token only (no HMAC).
    pub token_deliveries: bool,
    /// Hooks can be created, changed and removed by API.
    pub hooks: bool,
    /// A test delivery can be asked for.
    pub hook_test: bool,
    /// One hook can serve a whole namespace: a group, a project of repositories.
    pub namespace_hooks: bool,
    /// The forge tells how its past deliveries went.
    pub hook_deliveries: bool,
    /// A past delivery can be sent again.
    pub hook_redelivery: bool,
    /// There are apps: identities with a key of their own and one hook for all repositories.
    pub apps: bool,
    /// CI runs, jobs and logs can be read.
    pub ci: bool,
    /// No delivery tells how a run ends: pushes and pull requests say when to look.
    pub unannounced_runs: bool,
    /// A repeated run keeps its id and counts attempts.
    pub run_attempts: bool,
    /// Runs can start runs that have their own id (child pipelines).
    pub child_runs: bool,
    /// Comments on pull requests.
    pub pull_comment: bool,
    /// Comments on commits.
    pub commit_comment: bool,
    /// Comments can be changed after they were posted.
    pub edit_comment: bool,
    /// Issues can be opened and closed.
    pub issue: bool,
    /// A status can be set on a commit.
    pub status: bool,
    /// The files and lines of a change can be read.
    pub diff: bool,
    /// The commits between two others can be listed.
    pub commits: bool,
    /// The last green execution of a job can be found.
    pub green_jobs: bool,
    /// The forge keeps test reports.
    pub test_reports: bool,
    /// Jobs leave remarks at lines of files.
    pub annotations: bool,
    /// The CI configuration of a run can be read.
    pub ci_config: bool,
    /// Files of the repository can be read.
    pub files: bool,
    /// The longest comment body the forge takes, in characters.
    pub max_comment_chars: usize,
}

impl Capabilities {
    /// Nothing. Adapters start from here: `Capabilities { oauth: true, ..Capabilities::NONE }` does not work outside
    /// this crate (the struct may grow), so they use the setters.
    pub const NONE: Self = Self {
        oauth: false,
        oauth_pkce: false,
        oauth_refresh: false,
        signed_deliveries: false,
        signed_delivery_time: false,
        token_deliveries: false,
        hooks: false,
        hook_test: false,
        namespace_hooks: false,
        hook_deliveries: false,
        hook_redelivery: false,
        apps: false,
        ci: false,
        unannounced_runs: false,
        run_attempts: false,
        child_runs: false,
        pull_comment: false,
        commit_comment: false,
        edit_comment: false,
        issue: false,
        status: false,
        diff: false,
        commits: false,
        green_jobs: false,
        test_reports: false,
        annotations: false,
        ci_config: false,
        files: false,
        max_comment_chars: 0,
    };

    /// Claims OAuth, and whether with PKCE and with rotating refresh tokens.
    #[must_use]
    pub const fn with_oauth(mut self, pkce: bool, refresh: bool) -> Self {
        self.oauth = true;
        self.oauth_pkce = pkce;
        self.oauth_refresh = refresh;
        self
    }

    /// Claims HMAC-signed deliveries, and whether the signature covers a time.
    #[must_use]
    pub const fn with_signed_deliveries(mut self, time: bool) -> Self {
        self.signed_deliveries = true;
        self.signed_delivery_time = time;
        self
    }

    /// Claims deliveries proved by a shared token.
    #[must_use]
    pub const fn with_token_deliveries(mut self) -> Self {
        self.token_deliveries = true;
        self
    }

    /// Claims hook management, and whether a test delivery can be asked for.
    #[must_use]
    pub const fn with_hooks(mut self, test: bool) -> Self {
        self.hooks = true;
        self.hook_test = test;
        self
    }

    /// Claims hooks of whole namespaces.
    #[must_use]
    pub const fn with_namespace_hooks(mut self) -> Self {
        self.namespace_hooks = true;
        self
    }

    /// Claims the history of deliveries, and whether a delivery can be sent again.
    #[must_use]
    pub const fn with_hook_deliveries(mut self, redelivery: bool) -> Self {
        self.hook_deliveries = true;
        self.hook_redelivery = redelivery;
        self
    }

    /// Claims apps.
    #[must_use]
    pub const fn with_apps(mut self) -> Self {
        self.apps = true;
        self
    }

    /// Claims that changes can be read: their files and lines, and the commits between two others.
    #[must_use]
    pub const fn with_changes(mut self) -> Self {
        self.diff = true;
        self.commits = true;
        self
    }

    /// Claims that the last green execution of a job can be found.
    #[must_use]
    pub const fn with_green_jobs(mut self) -> Self {
        self.green_jobs = true;
        self
    }

    /// Claims test reports.
    #[must_use]
    pub const fn with_test_reports(mut self) -> Self {
        self.test_reports = true;
        self
    }

    /// Claims annotations.
    #[must_use]
    pub const fn with_annotations(mut self) -> Self {
        self.annotations = true;
        self
    }

    /// Claims that the CI configuration of a run can be read.
    #[must_use]
    pub const fn with_ci_config(mut self) -> Self {
        self.ci_config = true;
        self
    }

    /// Claims that files of the repository can be read.
    #[must_use]
    pub const fn with_files(mut self) -> Self {
        self.files = true;
        self
    }

    /// Claims CI, with attempts and child runs or not.
    #[must_use]
    pub const fn with_ci(mut self, attempts: bool, children: bool) -> Self {
        self.ci = true;
        self.run_attempts = attempts;
        self.child_runs = children;
        self
    }

    /// Claims that no delivery tells how a run ends.
    #[must_use]
    pub const fn with_unannounced_runs(mut self) -> Self {
        self.unannounced_runs = true;
        self
    }

    /// Claims comments on pull requests and commits, whether they can be edited, and their longest body.
    #[must_use]
    pub const fn with_comments(mut self, pull: bool, commit: bool, edit: bool, max_chars: usize) -> Self {
        self.pull_comment = pull;
        self.commit_comment = commit;
        self.edit_comment = edit;
        self.max_comment_chars = max_chars;
        self
    }

    /// Claims issues.
    #[must_use]
    pub const fn with_issues(mut self) -> Self {
        self.issue = true;
        self
    }

    /// Claims commit statuses.
    #[must_use]
    pub const fn with_status(mut self) -> Self {
        self.status = true;
        self
    }

    /// Name and value of every yes-or-no field, in the order of the struct: for tables.
    #[must_use]
    pub fn flags(&self) -> Vec<(&'static str, bool)> {
        vec![
            ("oauth", self.oauth),
            ("oauth_pkce", self.oauth_pkce),
            ("oauth_refresh", self.oauth_refresh),
            ("signed_deliveries", self.signed_deliveries),
            ("signed_delivery_time", self.signed_delivery_time),
            ("token_deliveries", self.token_deliveries),
            ("hooks", self.hooks),
            ("hook_test", self.hook_test),
            ("namespace_hooks", self.namespace_hooks),
            ("hook_deliveries", self.hook_deliveries),
            ("hook_redelivery", self.hook_redelivery),
            ("apps", self.apps),
            ("ci", self.ci),
            ("unannounced_runs", self.unannounced_runs),
            ("run_attempts", self.run_attempts),
            ("child_runs", self.child_runs),
            ("pull_comment", self.pull_comment),
            ("commit_comment", self.commit_comment),
            ("edit_comment", self.edit_comment),
            ("issue", self.issue),
            ("status", self.status),
            ("diff", self.diff),
            ("commits", self.commits),
            ("green_jobs", self.green_jobs),
            ("test_reports", self.test_reports),
            ("annotations", self.annotations),
            ("ci_config", self.ci_config),
            ("files", self.files),
        ]
    }
}
