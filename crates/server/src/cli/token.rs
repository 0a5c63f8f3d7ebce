//! `token create|list|revoke`: the API's tokens, at the machine that holds the database.

use std::io::{self, Write as _};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use rca_store::{ApiToken, NewAudit, Store, Write};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::{
    Failure,
    installation::{Installation, block_on, failed, open, open_existing},
};
use crate::middleware::auth::{self, Scope};

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token and print it, this once.
    Create(CreateArguments),
    /// List the tokens, without their secrets.
    List(ListArguments),
    /// End a token at once.
    Revoke(RevokeArguments),
}

#[derive(Debug, Args)]
pub(super) struct CreateArguments {
    #[command(flatten)]
    installation: Installation,
    /// What people call it.
    name: String,
    /// What it may do: ingest, read, write, admin. May be given several times.
    #[arg(long = "scope", required = true, value_parser = scope)]
    scopes: Vec<Scope>,
    /// When it ends, e.g. 2027-01-31T00:00:00Z; never when left out.
    #[arg(long, value_name = "TIME")]
    expires_at: Option<Timestamp>,
    /// Print a JSON object instead of the bare token.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    installation: Installation,
    /// Print a JSON array.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct RevokeArguments {
    #[command(flatten)]
    installation: Installation,
    /// The token's id, as `token list` shows it.
    id: String,
}

pub(super) fn run(command: &TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Create(arguments) => block_on(create(arguments)),
        TokenCommand::List(arguments) => block_on(list(arguments)),
        TokenCommand::Revoke(arguments) => block_on(revoke(arguments)),
    }
}

fn scope(word: &str) -> Result<Scope, String> {
    Scope::ALL
        .into_iter()
        .find(|scope| scope.as_str() == word)
        .ok_or_else(|| "use ingest, read, write or admin".to_owned())
}

async fn create(arguments: &CreateArguments) -> Result<(), Failure> {
    let name = arguments.name.trim();
    if name.is_empty() || name.chars().count() > 100 {
        return Err(Failure::Input("the name must have 1 to 100 characters".to_owned()));
    }
    if arguments.expires_at.is_some_and(|end| end <= Timestamp::now()) {
        return Err(Failure::Input("--expires-at lies in the past".to_owned()));
    }
    let store = open(&arguments.installation.config()?).await?;
    let token = auth::new_token();
    let end = arguments.expires_at.map(Timestamp::as_millisecond);
    let described = auth::describe(store.default_workspace(), name, &arguments.scopes, None, end, &token);
    let made = store.create_api_token(described).await.map_err(failed("the token was not made"))?;
    note(&store, "token.create", &made.id, json!({"name": made.name, "scopes": made.scopes})).await?;
    store.close().await;
    print_made(&made, &token, arguments.json)
}

#[expect(clippy::disallowed_methods, reason = "the one time that the new token is shown")]
fn print_made(made: &ApiToken, token: &SecretString, json: bool) -> Result<(), Failure> {
    let token = token.expose_secret();
    if json {
        let made = json!({"id": made.id, "name": made.name, "prefix": made.prefix, "scopes": made.scopes, "token": token});
        writeln!(io::stdout(), "{made:#}")?;
    } else {
        writeln!(io::stderr(), "Token {} '{}', shown only this once:", made.id, made.name)?;
        writeln!(io::stdout(), "{token}")?;
    }
    Ok(())
}

async fn list(arguments: &ListArguments) -> Result<(), Failure> {
    let store = open_existing(&arguments.installation.config()?).await?;
    let tokens = store.list_api_tokens(store.default_workspace()).await.map_err(failed("cannot list"))?;
    store.close().await;
    let mut out = io::stdout().lock();
    if arguments.json {
        let tokens: Vec<Value> = tokens.iter().map(view).collect();
        writeln!(out, "{:#}", Value::from(tokens))?;
        return Ok(());
    }
    for token in &tokens {
        let state = match (token.revoked_at, token.expires_at) {
            (Some(at), _) => format!("revoked {}", time(at)),
            (None, Some(at)) => format!("ends {}", time(at)),
            (None, None) => "no end".to_owned(),
        };
        let used =
            token.last_used_at.map_or_else(|| "never used".to_owned(), |at| format!("used {}", time(at)));
        let name = console::strip_ansi_codes(&token.name).replace(char::is_control, " ");
        writeln!(
            out,
            "{}  {}…  [{}]  {state}  {used}  {name}",
            token.id,
            token.prefix,
            token.scopes.join(" ")
        )?;
    }
    Ok(())
}

fn view(token: &ApiToken) -> Value {
    json!({
        "id": token.id, "name": token.name, "prefix": token.prefix, "scopes": token.scopes, "role": token.role,
        "created_at": time(token.created_at), "expires_at": token.expires_at.map(time),
        "last_used_at": token.last_used_at.map(time), "revoked_at": token.revoked_at.map(time),
    })
}

fn time(milliseconds: i64) -> String {
    Timestamp::from_millisecond(milliseconds).map(|time| time.to_string()).unwrap_or_default()
}

async fn revoke(arguments: &RevokeArguments) -> Result<(), Failure> {
    let store = open_existing(&arguments.installation.config()?).await?;
    match store.revoke_api_token(store.default_workspace(), &arguments.id).await {
        Ok(()) => {}
        Err(error) if error.kind() == rca_store::ErrorKind::NotFound => {
            return Err(Failure::Check(format!(
                "there is no live token {}: `forge-rca token list` shows them",
                arguments.id
            )));
        }
        Err(error) => return Err(failed("the token was not revoked")(error)),
    }
    note(&store, "token.revoke", &arguments.id, json!({})).await?;
    store.close().await;
    Ok(())
}

/// Writes into the audit what was done at this machine.
async fn note(store: &Store, action: &str, target: &str, detail: Value) -> Result<(), Failure> {
    let audit = NewAudit {
        workspace: store.default_workspace().to_owned(),
        actor: "command line".to_owned(),
        action: action.to_owned(),
        target: target.to_owned(),
        detail,
    };
    store.write(vec![Write::Audit(audit)]).await.map_err(failed("done, but the audit has no entry of it"))
}
