//! Provoking faults, and seeing what was asked and said.

use std::time::Duration;

use forge_core::model::Target;

use super::Fake;
use crate::{
    fault::{Armed, Fault},
    record::{Listener, Recorded, method_matches, path_matches},
    server::window_seconds,
    spec::RepoHandle,
    world::{FakeComment, FakeHook, FakeIssue, FakeStatus, RateLimit, shift},
};

/// # Faults
impl Fake {
    /// The next request that fits goes wrong. `method` may be `*`; in `pattern` (a path below the base URL) `*` stands
    /// for one segment and a final `**` for any rest.
    pub fn fail_next(&self, method: &str, pattern: &str, fault: Fault) {
        self.fail_times(method, pattern, fault, 1);
    }

    /// The next `times` requests that fit go wrong.
    pub fn fail_times(&self, method: &str, pattern: &str, fault: Fault, times: u32) {
        let armed = Armed { method: method.to_owned(), pattern: pattern.to_owned(), fault, left: times };
        self.world().faults.push(armed);
    }

    /// Disarms all faults that have not struck yet.
    pub fn clear_faults(&self) {
        self.world().faults.clear();
    }

    /// Allows `limit` API requests per `window`, counted from now; `None` lifts the limit.
    pub fn set_rate_limit(&self, limit: Option<u32>, window: Duration) {
        let mut world = self.world();
        let resets_at = shift(world.now(), window_seconds(window));
        world.rate_limit = limit.map(|limit| RateLimit { limit, remaining: limit, window, resets_at });
    }

    /// Every answer takes this much longer.
    pub fn set_latency(&self, latency: Duration) {
        self.world().latency = latency;
    }

    /// Listings give a next link to this origin (e.g. `http://127.0.0.1:9`) instead of their own: an attack.
    pub fn set_next_link_origin(&self, origin: Option<&str>) {
        self.world().foreign_next_link = origin.map(str::to_owned);
    }

    /// Where the forge names the addresses of logs and artifacts, they lie at this origin instead of its own: an attack.
    /// Set it before the runs are added.
    pub fn set_log_origin(&self, origin: Option<&str>) {
        self.world().foreign_log_origin = origin.map(str::to_owned);
    }
}

/// # What was asked and said
impl Fake {
    /// Every request so far, to the forge and to its blob store, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.world().requests.clone()
    }

    /// How many requests to the forge fit; see [`Fake::fail_next`] for the pattern.
    #[must_use]
    pub fn count(&self, method: &str, pattern: &str) -> usize {
        let root = self.shared.root.as_str();
        self.world()
            .requests
            .iter()
            .filter(|request| request.listener == Listener::Forge)
            .filter(|request| {
                let path = request.path.strip_prefix(root).unwrap_or(&request.path);
                method_matches(method, &request.method) && path_matches(pattern, path)
            })
            .count()
    }

    /// Requests to paths that the forge does not have (or that the fake does not know), each answered 404.
    #[must_use]
    pub fn unknown_requests(&self) -> Vec<Recorded> {
        self.world().unknown.clone()
    }

    /// Forgets all recorded requests.
    pub fn forget_requests(&self) {
        let mut world = self.world();
        world.requests.clear();
        world.unknown.clear();
    }

    /// The hooks of a repository.
    #[must_use]
    pub fn hooks(&self, repo: &RepoHandle) -> Vec<FakeHook> {
        self.hooks_of_owner(repo.id)
    }

    pub(crate) fn hooks_of_owner(&self, owner_id: u64) -> Vec<FakeHook> {
        let world = self.world();
        let now = world.now();
        world
            .hooks_of(owner_id)
            .map(|hook| {
                let mut events = hook.events.clone();
                events.sort();
                FakeHook {
                    id: hook.id,
                    forge_id: self.dialect().hook_id(hook.id),
                    repo_id: hook.repo_id,
                    url: hook.url.clone(),
                    events,
                    is_active: hook.is_active,
                    verifies_tls: hook.verifies_tls,
                    content_type: hook.content_type.clone(),
                    secret: hook.secret.clone(),
                    signing_token: hook.signing_token.clone(),
                    is_disabled: hook.is_disabled || hook.disabled_until.is_some_and(|until| until > now),
                    failures: hook.failures,
                }
            })
            .collect()
    }

    /// Adds a comment as a person would; gives its id.
    pub fn add_comment(&self, repo: &RepoHandle, target: &Target, login: &str, body: &str) -> u64 {
        let mut world = self.world();
        let author_id = world.add_user(login);
        world.add_comment(repo.id, target.clone(), author_id, body.to_owned(), None)
    }

    /// A person deletes a comment.
    pub fn delete_comment(&self, comment_id: u64) {
        let mut world = self.world();
        if let Some(comment) = world.comments.iter_mut().find(|comment| comment.id == comment_id) {
            comment.is_deleted = true;
        }
    }

    /// The comments on a target that were not deleted, oldest first.
    #[must_use]
    pub fn comments(&self, repo: &RepoHandle, target: &Target) -> Vec<FakeComment> {
        let mut comments = self.all_comments();
        comments
            .retain(|comment| comment.repo_id == repo.id && comment.target == *target && !comment.is_deleted);
        comments
    }

    /// Every comment there ever was, deleted ones included, oldest first.
    #[must_use]
    pub fn all_comments(&self) -> Vec<FakeComment> {
        self.world().comments.clone()
    }

    /// Quick actions (`/close`, `/merge`, ...) that GitLab found in notes and executed: there should be none.
    #[must_use]
    pub fn executed_quick_actions(&self) -> Vec<String> {
        self.world().quick_actions.clone()
    }

    /// Every issue, oldest first.
    #[must_use]
    pub fn issues(&self) -> Vec<FakeIssue> {
        self.world().issues.clone()
    }

    /// Every status that was set, oldest first.
    #[must_use]
    pub fn statuses(&self) -> Vec<FakeStatus> {
        self.world().statuses.clone()
    }
}
