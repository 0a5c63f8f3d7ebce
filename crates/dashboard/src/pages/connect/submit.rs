//! What a person gives on the page of a forge. What the forge refuses is said on the same page; nothing that was typed
//! is lost but secrets.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::{Html, IntoResponse, Redirect, Response},
};
use forge_core::ForgeKind;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use rca_flow::{
    Caller, FlowError,
    access::Scope,
    types::{
        AppRequest, AppStartRequest, BackfillChange, Id, IntegrationView, Mode, StartRequest, TokenRequest,
        WebhookOnlyRequest,
    },
};
use secrecy::SecretString;
use url::{Url, form_urlencoded};

use super::{Kind, Way, back, chosen, forge_page, known, ways};
use crate::{
    Dashboard,
    error::PageError,
    fields::{Fields, Posted},
    frame::{Frame, Nav},
    pages::html,
    policy,
    session::{Viewer, session_of},
};

/// Looks whether the forge answers at the address, before anybody makes a token for it.
pub(super) async fn reach(
    State(state): State<Dashboard>,
    Path(forge): Path<String>,
    posted: Posted,
) -> Result<Response, PageError> {
    let caller = posted.viewer.require(Scope::Admin)?;
    let forge = known(&state, &forge)?;
    let base_url = with_scheme(&posted.fields.text("base_url"));
    match state.flow.reach(&caller, forge, &base_url).await {
        Ok(reached) => {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("base_url", &reached.base_url).append_pair("reached", "yes");
            if let Some(version) = &reached.version {
                query.append_pair("version", version);
            }
            Ok(Redirect::to(&format!("/connect/{forge}?{}", query.finish())).into_response())
        }
        Err(error) => again(&state, &posted.viewer, forge, &posted.fields, &error).await,
    }
}

/// People type `git.example.com`.
fn with_scheme(address: &str) -> String {
    if address.is_empty() || address.contains("://") {
        address.to_owned()
    } else {
        format!("https://{address}")
    }
}

pub(super) async fn submit(
    State(state): State<Dashboard>,
    Path(forge): Path<String>,
    headers: HeaderMap,
    posted: Posted,
) -> Result<Response, PageError> {
    let Posted { viewer, fields } = posted;
    let caller = viewer.require(Scope::Admin)?;
    let forge = known(&state, &forge)?;
    let way = chosen(forge, &fields)?;
    let form = Form { state: &state, viewer: &viewer, caller: &caller, forge, way, fields: &fields };
    let done = match way.kind {
        Kind::OAuth => form.by_oauth(&headers).await,
        Kind::Token => form.by_token().await,
        Kind::NewApp => form.by_new_app(&headers).await,
        Kind::KnownApp => form.by_known_app().await,
        Kind::Webhook => form.by_webhook().await,
    };
    match done {
        Ok(response) => Ok(response),
        Err(Failed::Refused(error)) => again(&state, &viewer, forge, &fields, &error).await,
        Err(Failed::Broken(error)) => Err(error),
    }
}

/// The page again, with what went wrong.
pub(super) async fn again(
    state: &Dashboard,
    viewer: &Viewer,
    forge: ForgeKind,
    fields: &Fields,
    error: &FlowError,
) -> Result<Response, PageError> {
    let page = forge_page(state, viewer, forge, fields, Some(error)).await?;
    let status = StatusCode::from_u16(error.kind.status()).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
    Ok((status, html(&page)?).into_response())
}

enum Failed {
    /// Said on the page of the form.
    Refused(FlowError),
    Broken(PageError),
}

impl From<FlowError> for Failed {
    fn from(error: FlowError) -> Self {
        Self::Refused(error)
    }
}

impl From<PageError> for Failed {
    fn from(error: PageError) -> Self {
        Self::Broken(error)
    }
}

struct Form<'a> {
    state: &'a Dashboard,
    viewer: &'a Viewer,
    caller: &'a Caller,
    forge: ForgeKind,
    way: &'static Way,
    fields: &'a Fields,
}

impl Form<'_> {
    fn text(&self, name: &str) -> Option<String> {
        self.fields.get(name).map(str::to_owned)
    }

    fn secret(&self, name: &str) -> Option<SecretString> {
        self.text(name).map(SecretString::from)
    }

    fn base_url(&self) -> Option<String> {
        self.text("base_url").map(|address| with_scheme(&address))
    }

    fn mode(&self) -> Option<Mode> {
        match self.fields.get("mode")? {
            "webhook" => Some(Mode::Webhook),
            "polling" => Some(Mode::Polling),
            _ => Some(Mode::Hybrid),
        }
    }

    fn backfill(&self) -> Result<Option<BackfillChange>, FlowError> {
        let runs = match self.fields.get("runs") {
            Some(text) => Some(
                text.parse().map_err(|_| FlowError::invalid_field("runs", "is not a number up to 100"))?,
            ),
            None => None,
        };
        Ok(Some(BackfillChange { enabled: Some(self.fields.is_on("backfill")), runs }))
    }

    async fn by_token(&self) -> Result<Response, Failed> {
        let request = TokenRequest {
            base_url: self.base_url(),
            api_base_url: self.text("api_base_url"),
            oauth_base_url: self.text("oauth_base_url"),
            token: self.secret("token").unwrap_or_default(),
            level: self.way.level.map(str::to_owned),
            project_key: self.text("project_key"),
            repository: self.text("repository"),
            email: self.text("email"),
            workspace: self.text("workspace"),
            mode: self.mode(),
            perimeter: None,
            backfill: self.backfill()?,
            feedback: None,
        };
        Ok(connected(&self.state.flow.connect_token(self.caller, self.forge, request).await?))
    }

    async fn by_known_app(&self) -> Result<Response, Failed> {
        let request = AppRequest {
            base_url: self.base_url(),
            api_base_url: self.text("api_base_url"),
            oauth_base_url: self.text("oauth_base_url"),
            app_id: Id(self.text("app_id").unwrap_or_default()),
            private_key: self.secret("private_key").unwrap_or_default(),
            installation_id: Id(self.text("installation_id").unwrap_or_default()),
            webhook_secret: self.secret("webhook_secret").unwrap_or_default(),
            mode: self.mode(),
            perimeter: None,
            backfill: self.backfill()?,
            feedback: None,
        };
        Ok(connected(&self.state.flow.connect_app(self.caller, self.forge, request).await?))
    }

    /// GitFlic sends the code from its server, which has no cookie: its state is bound to the workspace alone.
    fn browser(&self, headers: &HeaderMap) -> Option<SecretString> {
        if self.forge == ForgeKind::GITFLIC {
            None
        } else {
            session_of(headers, &self.state.flow.config().public_url)
        }
    }

    async fn by_oauth(&self, headers: &HeaderMap) -> Result<Response, Failed> {
        let request = StartRequest {
            base_url: self.base_url(),
            client_id: self.text("client_id"),
            client_secret: self.secret("client_secret"),
            api_base_url: self.text("api_base_url"),
            oauth_base_url: self.text("oauth_base_url"),
            mode: self.mode(),
            backfill: self.backfill()?,
            ..StartRequest::default()
        };
        let browser = self.browser(headers);
        let started = self.state.flow.start_oauth(self.caller, self.forge, request, browser.as_ref()).await?;
        // Browsers hold a form's redirects to the page's policy, so that a redirect to the forge would be stopped: the
        // page goes on by itself.
        let page = LeavePage {
            f: self.frame().await?,
            step: 4,
            name: self.forge.display_name(),
            host: host(&started.authorize_url),
            address: started.authorize_url,
            manifest: None,
        };
        self.leave(&page, None)
    }

    async fn by_new_app(&self, headers: &HeaderMap) -> Result<Response, Failed> {
        let request = AppStartRequest {
            base_url: self.base_url(),
            organization: self.text("organization"),
            api_base_url: self.text("api_base_url"),
            oauth_base_url: self.text("oauth_base_url"),
            mode: self.mode(),
            backfill: self.backfill()?,
            ..AppStartRequest::default()
        };
        let browser = session_of(headers, &self.state.flow.config().public_url);
        let started = self.state.flow.start_app(self.caller, self.forge, request, browser.as_ref()).await?;
        let origin = Url::parse(&started.create_url).map(|url| url.origin().ascii_serialization());
        let page = LeavePage {
            f: self.frame().await?,
            step: 4,
            name: self.forge.display_name(),
            host: host(&started.create_url),
            address: started.create_url,
            manifest: Some(started.manifest.to_string()),
        };
        self.leave(&page, origin.ok().and_then(|origin| policy::with_form_target(&origin)))
    }

    async fn by_webhook(&self) -> Result<Response, Failed> {
        let request = WebhookOnlyRequest {
            base_url: self.base_url().unwrap_or_default(),
            project_key: self.text("project_key").unwrap_or_default(),
            repository: self.text("repository").unwrap_or_default(),
            token: self.secret("token"),
        };
        let made = self.state.flow.connect_webhook_only(self.caller, self.forge, request).await?;
        let list =
            self.state.flow.list_repositories(self.caller, &made.integration.id, &<_>::default()).await?;
        let repository = list.items.into_iter().next().ok_or_else(PageError::not_found)?;
        let page = crate::pages::integrations::SecretPage {
            f: self.frame().await?,
            repository: repository.full_name,
            repository_id: repository.id,
            integration: made.integration.id,
            steps: if made.registered {
                Vec::new()
            } else {
                crate::pages::integrations::hook_steps(&self.frame().await?, self.forge)
            },
            webhook_url: made.webhook_url,
            secret: made.secret,
            expires_old_at: None,
        };
        Ok(html(&page)?.into_response())
    }

    async fn frame(&self) -> Result<Frame, PageError> {
        Frame::inside(self.state, self.viewer, Nav::Integrations).await
    }

    fn leave(&self, page: &LeavePage, policy: Option<HeaderValue>) -> Result<Response, Failed> {
        let html = Html(page.render().map_err(PageError::from)?);
        let mut response = html.into_response();
        let headers = response.headers_mut();
        if let Some(policy) = policy {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        if let Some(cookie) = back::draft(self.state, self.fields, self.way.inputs) {
            headers.append(header::SET_COOKIE, cookie);
        }
        Ok(response)
    }
}

/// The page between ours and the forge's.
#[derive(Template)]
#[template(path = "connect/leave.html")]
struct LeavePage {
    f: Frame,
    step: usize,
    name: &'static str,
    host: String,
    address: String,
    /// What is posted there; without it the address is a link.
    manifest: Option<String>,
}

fn host(address: &str) -> String {
    Url::parse(address).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

/// On to the choice of repositories.
pub(super) fn connected(integration: &IntegrationView) -> Response {
    Redirect::to(&format!("/integrations/{}/repositories?step=connect", integration.id)).into_response()
}

/// The names that a draft may hold.
pub(super) fn drafted(inputs: &[ways::Input]) -> impl Iterator<Item = &'static str> {
    let typed = inputs.iter().filter(|input| !input.is_secret()).map(|input| input.name);
    typed.chain([
        "sent",
        "way",
        "at",
        "base_url",
        "api_base_url",
        "oauth_base_url",
        "mode",
        "backfill",
        "runs",
    ])
}

#[cfg(test)]
mod tests {
    use super::with_scheme;

    #[test]
    fn an_address_may_be_typed_without_its_scheme() {
        assert_eq!(with_scheme("git.example.com/gitlab"), "https://git.example.com/gitlab");
        assert_eq!(with_scheme("http://git.example.com"), "http://git.example.com");
        assert_eq!(with_scheme(""), "");
    }
}
