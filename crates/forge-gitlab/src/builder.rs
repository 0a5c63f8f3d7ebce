use forge_http::HttpClient;

use crate::GitLab;

/// Makes a [`GitLab`]. It has no settings of its own today: what differs between installations is in
/// [`forge_core::Instance`], what differs between networks in [`HttpClient`].
#[derive(Debug, Clone)]
pub struct GitLabBuilder {
    http: HttpClient,
}

impl GitLabBuilder {
    pub(crate) fn new(http: HttpClient) -> Self {
        Self { http }
    }

    /// The adapter.
    #[must_use]
    pub fn build(self) -> GitLab {
        GitLab::new(self.http)
    }
}
