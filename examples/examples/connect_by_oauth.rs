//! Connecting to GitLab by OAuth from a terminal, with a redirect to loopback:
//! `GITLAB_CLIENT_ID=... GITLAB_CLIENT_SECRET=... cargo run -p examples --example connect_by_oauth`.
//!
//! Register the application with the redirect URI http://127.0.0.1:7391/callback first.
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::{collections::HashMap, sync::Arc};

use anyhow::Context as _;
use axum::{Router, extract::Query, routing::get};
use forge_core::{CsrfState, Instance, OAuthApp, Pkce, Provider as _, StaticCredential};
use forge_gitlab::GitLab;
use forge_http::HttpClient;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{net::TcpListener, sync::mpsc};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let base_url = std::env::args().nth(1).unwrap_or_else(|| "https://gitlab.com".to_owned());
    let instance = Instance::new(&base_url)?;
    let app = OAuthApp {
        client_id: std::env::var("GITLAB_CLIENT_ID")?,
        client_secret: std::env::var("GITLAB_CLIENT_SECRET")?.into(),
        scopes: Vec::new(),
    };
    let gitlab = GitLab::new(HttpClient::builder().build()?);
    // Listening comes first: the browser may be faster than we are.
    let listener = TcpListener::bind("127.0.0.1:7391").await?;
    let login = connect(&gitlab, &instance, &app, listener, |page| println!("open {page}")).await?;
    println!("connected as {login}");
    Ok(())
}

/// `open` shows the page to the user, in a browser or as a link.
async fn connect(
    gitlab: &GitLab,
    instance: &Instance,
    app: &OAuthApp,
    listener: TcpListener,
    open: impl FnOnce(url::Url),
) -> anyhow::Result<String> {
    let flow = gitlab.oauth(instance, app)?.context("the forge has no OAuth")?;

    let (state, pkce) = (CsrfState::from_entropy(&rand::random()), Pkce::from_entropy(&rand::random()));
    let redirect = url::Url::parse(&format!("http://{}/callback", listener.local_addr()?))?;
    open(flow.authorize_url(&redirect, &state, Some(&pkce)));

    let mut answer = one_callback(listener).await?;
    // Whoever sends another state did not begin here.
    anyhow::ensure!(
        answer.remove("state").is_some_and(|given| is_same(&given, &state)),
        "the state is not ours"
    );
    let code: SecretString = answer.remove("code").context("the forge sent no code")?.into();
    let tokens = flow.exchange_code(&code, &redirect, Some(&pkce)).await?;

    let client = gitlab.connect(instance, Arc::new(StaticCredential::token(tokens.access_token)))?;
    Ok(client.whoami().await?.account.login)
}

/// Listens until the browser comes back once.
async fn one_callback(listener: TcpListener) -> anyhow::Result<HashMap<String, String>> {
    let (sender, mut receiver) = mpsc::channel(1);
    let router = Router::new().route(
        "/callback",
        get(move |Query(answer): Query<HashMap<String, String>>| {
            let sender = sender.clone();
            async move {
                // A second callback finds nobody waiting.
                drop(sender.send(answer).await);
                "You can close this window."
            }
        }),
    );
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let answer = receiver.recv().await.context("nobody came back")?;
    server.abort();
    Ok(answer)
}

#[expect(clippy::disallowed_methods, reason = "the state that came back is compared with the one sent")]
fn is_same(given: &str, state: &CsrfState) -> bool {
    given == state.as_secret().expose_secret()
}

#[cfg(test)]
mod tests {
    use forge_testkit::{FakeGitLab, conformance::http_client};

    use super::*;

    #[tokio::test]
    async fn a_user_who_says_yes_is_connected() -> anyhow::Result<()> {
        let fake = Arc::new(FakeGitLab::start().await);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let callback = format!("http://{}/callback", listener.local_addr()?);
        let app = fake.add_oauth_app(&[&callback], &["api", "read_user"], true);
        let app = OAuthApp { scopes: vec!["read_user".to_owned()], ..app.oauth_app() };
        let browser = Arc::clone(&fake);
        let open = move |page: url::Url| {
            tokio::spawn(async move {
                let back = browser.browse(&page).await.expect("the user says yes");
                browser.browse(&back).await.expect_err("our page does not redirect")
            });
        };
        let login = connect(&GitLab::new(http_client()), &fake.instance(), &app, listener, open).await?;
        assert_eq!(login, "rca-bot");
        Ok(())
    }
}
