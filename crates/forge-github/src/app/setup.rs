//! Making an app from a manifest (GitHub docs, apps/sharing-github-apps/registering-a-github-app-from-a-manifest).

#![expect(clippy::disallowed_methods, reason = "state and code go into the addresses of the flow")]

use std::sync::Arc;

use async_trait::async_trait;
use forge_core::{
    AppAddresses, AppManifest, AppSetup, CreatedApp, Credential, CsrfState, Error, ErrorKind, ForgeKind,
    Result, StaticCredential,
};
use forge_http::{ApiClient, HttpClient};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::{
    client::{GitHubDialect, segment},
    hooks::EVENTS,
    provider::append,
};

/// The least that serves: read runs, logs, annotations, changes; write comments, issues, check runs. Not `contents:
/// write`, which could push code.
pub(super) const PERMISSIONS: [(&str, &str); 7] = [
    ("actions", "read"),
    ("checks", "write"),
    ("contents", "read"),
    ("issues", "write"),
    ("metadata", "read"),
    ("pull_requests", "write"),
    ("statuses", "read"),
];
/// GitHub's limit of an app's name.
const MAX_NAME_CHARS: usize = 34;

#[derive(Debug)]
pub(crate) struct ManifestSetup {
    base_url: Url,
    api: ApiClient,
}

/// GitHub docs, rest/apps/apps, "Create a GitHub App from a manifest". `Debug` is left out: it holds secrets.
#[derive(Deserialize)]
struct Conversion {
    id: u64,
    slug: Option<String>,
    html_url: Option<String>,
    pem: String,
    webhook_secret: Option<String>,
}

impl ManifestSetup {
    pub(crate) fn new(http: HttpClient, base_url: Url, api_url: Url) -> Self {
        let nobody = Arc::new(StaticCredential::new(Credential::none()));
        Self { base_url, api: ApiClient::new(http, api_url, nobody, Arc::new(GitHubDialect)) }
    }
}

#[async_trait]
impl AppSetup for ManifestSetup {
    fn manifest(
        &self,
        name: &str,
        addresses: &AppAddresses,
        organization: Option<&str>,
        state: &CsrfState,
    ) -> Result<AppManifest> {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > MAX_NAME_CHARS {
            return Err(invalid("the app's name is empty or longer than 34 characters")
                .with_hint("choose a short name that nobody else at this GitHub has"));
        }
        let path = match organization {
            None => "settings/apps/new".to_owned(),
            Some(organization) if is_login(organization) => {
                format!("organizations/{organization}/settings/apps/new")
            }
            Some(_) => {
                return Err(invalid("the organisation's name is none")
                    .with_hint("give the name as it stands in its address, without the host"));
            }
        };
        let mut create_url = append(&self.base_url, &path)?;
        create_url.query_pairs_mut().append_pair("state", state.as_secret().expose_secret());
        let permissions: Value =
            PERMISSIONS.iter().map(|(name, level)| ((*name).to_owned(), json!(level))).collect();
        let manifest = json!({
            "name": name,
            "url": addresses.homepage.as_str(),
            "hook_attributes": { "url": addresses.webhook.as_str(), "active": true },
            "redirect_url": addresses.created.as_str(),
            "setup_url": addresses.installed.as_str(),
            "public": false,
            "default_permissions": permissions,
            "default_events": EVENTS,
        });
        Ok(AppManifest::new(manifest, create_url))
    }

    async fn convert(&self, code: &SecretString) -> Result<CreatedApp> {
        let operation = "make the app from its manifest";
        let path = format!("app-manifests/{}/conversions", segment(code.expose_secret())?);
        // Not repeated: the code works once.
        let response =
            self.api.post(&path).operation(operation).send().await.map_err(|error| match error.kind() {
                ErrorKind::NotFound | ErrorKind::Invalid => Error::new(
                    ErrorKind::InvalidGrant,
                    "GitHub does not know the manifest's code: it is wrong, used, or older than an hour",
                )
                .with_forge(ForgeKind::GITHUB)
                .with_status(error.status().unwrap_or(404))
                .with_operation(operation)
                .with_hint("begin again; an app that was made meanwhile can be deleted in the settings"),
                _ => error,
            })?;
        let app: Conversion = response.json()?;
        let webhook_secret = app.webhook_secret.filter(|secret| !secret.is_empty()).ok_or_else(|| {
            response
                .unexpected("GitHub made the app without a webhook secret")
                .with_hint("set one on the app's settings page")
        })?;
        let slug = app
            .slug
            .filter(|slug| is_login(slug))
            .ok_or_else(|| response.unexpected("GitHub names no usable slug of the app"))?;
        let install_url = self.install_url(app.html_url.as_deref(), &slug)?;
        Ok(CreatedApp::new(app.id.to_string(), slug, app.pem.into(), webhook_secret.into(), install_url))
    }
}

impl ManifestSetup {
    /// Below the app's own page, which lies elsewhere on Enterprise Server; only where that is on this GitHub.
    fn install_url(&self, page: Option<&str>, slug: &str) -> Result<Url> {
        let page = page.and_then(|page| Url::parse(page).ok());
        match page.filter(|page| forge_core::url::same_origin(&self.base_url, page)) {
            Some(page) => append(&page, "installations/new"),
            None => append(&self.base_url, &format!("apps/{slug}/installations/new")),
        }
    }
}

/// Letters, digits and inner hyphens; enterprise accounts have an underscore too.
fn is_login(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 100
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
        .with_forge(ForgeKind::GITHUB)
        .with_operation("make a manifest")
}
