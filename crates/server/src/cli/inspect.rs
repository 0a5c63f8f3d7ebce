//! `webhook inspect`: what a delivery says, without a server.

use std::{
    io::{self, Read, Write},
    path::PathBuf,
};

use clap::Args;
use forge_core::{Delivery, ForgeKind, Secrets};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::Value;

use super::Failure;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The forge that sent it: gitlab, github, bitbucket-cloud, bitbucket-dc, gitflic.
    #[arg(long, value_name = "FORGE")]
    forge: ForgeKind,
    /// A header of the delivery as 'Name: value'; give all of them.
    #[arg(long = "header", value_name = "K: V")]
    headers: Vec<String>,
    /// The query string of the delivery's URL.
    #[arg(long, value_name = "QUERY")]
    query: Option<String>,
    /// The hook's secret (or GitLab signing token, whsec_...): checks the proof.
    #[arg(long, value_name = "SECRET", env = "FORGE_RCA_HOOK_SECRET", hide_env_values = true)]
    secret: Option<String>,
    /// The body exactly as received; - reads standard input.
    #[arg(value_name = "BODYFILE")]
    body: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let receiver = crate::providers::receiver(arguments.forge)
        .ok_or_else(|| Failure::input(format!("this build has no adapter for {}", arguments.forge)))?;
    let headers = parse_headers(&arguments.headers)?;
    let body = read_body(&arguments.body)?;
    let delivery = Delivery {
        headers: &headers,
        query: arguments.query.as_deref(),
        body: &body,
        received_at: signed_time(&headers),
    };
    let verdict = arguments.secret.as_ref().map(|secret| receiver.verify(&delivery, &secrets_of(secret)));
    let event = receiver
        .inspect(&delivery)
        .map_err(|error| Failure::input(format!("{}: {error}", arguments.body.display())))?;
    let mut facts = serde_json::to_value(&event).map_err(Failure::input)?;
    if let Value::Object(facts) = &mut facts {
        facts.insert("verified".to_owned(), verdict.as_ref().map(|verdict| verdict.is_ok()).into());
        facts.insert("delivery_id".to_owned(), receiver.delivery_id(&headers).into());
    }
    writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&facts).map_err(Failure::input)?)?;
    match verdict {
        Some(Err(problem)) => Err(Failure::Check(format!("the delivery is not proved: {problem}"))),
        _ => Ok(()),
    }
}

fn secrets_of(secret: &str) -> Secrets {
    let secret_string = SecretString::from(secret.to_owned());
    if secret.starts_with("whsec_") {
        Secrets::none().with_signing(secret_string)
    } else {
        Secrets::new(secret_string)
    }
}

/// A recorded delivery is judged by the time that it was signed at: its age says nothing about its proof.
fn signed_time(headers: &HeaderMap) -> Timestamp {
    headers
        .get("webhook-timestamp")
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .unwrap_or_else(Timestamp::now)
}

fn parse_headers(lines: &[String]) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| Failure::input(format!("--header '{line}' is not of the form 'Name: value'")))?;
        let name = HeaderName::try_from(name.trim())
            .map_err(|_| Failure::input(format!("'{name}' is no header name")))?;
        let value = HeaderValue::try_from(value.trim()).map_err(|_| {
            Failure::input(format!("the value of header {name} has characters that headers cannot carry"))
        })?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn read_body(path: &PathBuf) -> Result<Vec<u8>, Failure> {
    let unreadable = |error: io::Error| Failure::input(format!("cannot read {}: {error}", path.display()));
    if path.as_os_str() == "-" {
        let mut body = Vec::new();
        io::stdin().read_to_end(&mut body).map_err(unreadable)?;
        return Ok(body);
    }
    std::fs::read(path).map_err(unreadable)
}
