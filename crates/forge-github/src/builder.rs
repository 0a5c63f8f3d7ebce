//! Adjusting the adapter.

use forge_http::HttpClient;

use crate::provider::GitHub;

/// Makes a [`GitHub`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is built"]
pub struct GitHubBuilder {
    http: HttpClient,
    is_pkce_everywhere: bool,
}

impl GitHubBuilder {
    pub(crate) fn new(http: HttpClient) -> Self {
        Self { http, is_pkce_everywhere: true }
    }

    /// Whether Enterprise Servers get PKCE parameters too; on unless set.
    ///
    /// github.com and GHE.com always get them. Enterprise Server's documents do not promise PKCE, but an OAuth server
    /// must ignore parameters that it does not know (RFC 6749, section 3.1), so switch this off only for one that
    /// does not.
    pub fn with_pkce_on_servers(mut self, is_on: bool) -> Self {
        self.is_pkce_everywhere = is_on;
        self
    }

    /// The adapter.
    #[must_use]
    pub fn build(self) -> GitHub {
        GitHub::from_parts(self.http, self.is_pkce_everywhere)
    }
}
