//! `doctor`: what would keep the server from working, each with a remedy.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::Args;
use rca_store::{PageRequest, Store};
use serde::Serialize;

use super::Failure;
use crate::{Config, app};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The server's configuration file.
    #[arg(long, value_name = "FILE", env = "FORGE_RCA_CONFIG")]
    config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    message: String,
    remedy: Option<String>,
}

impl Check {
    fn passed(name: &'static str, message: impl Into<String>) -> Self {
        Self { name, ok: true, message: message.into(), remedy: None }
    }

    fn failed(name: &'static str, message: impl Into<String>, remedy: &str) -> Self {
        Self { name, ok: false, message: message.into(), remedy: Some(remedy.to_owned()) }
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut checks = Vec::new();
    match Config::load(arguments.config.as_deref(), std::env::vars()) {
        Err(error) => {
            for fault in error.faults() {
                checks.push(Check::failed(
                    "configuration",
                    fault,
                    "correct it; config.default.toml explains every setting",
                ));
            }
        }
        Ok(config) => {
            checks.push(Check::passed("configuration", "readable"));
            checks.push(public_address(&config));
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::input)?;
            runtime.block_on(look_deeper(&config, &mut checks));
        }
    }
    print(&checks, arguments.json)?;
    if checks.iter().all(|check| check.ok) { Ok(()) } else { Err(Failure::Check(String::new())) }
}

fn public_address(config: &Config) -> Check {
    let name = "public_address";
    match &config.public_url {
        None => Check::failed(
            name,
            "no public URL is set: forges cannot reach webhooks at a local address",
            "set FORGE_RCA_PUBLIC_URL to the https address that leads here; until then polling and ingest work",
        ),
        Some(url) if url.scheme() == "http" => Check::failed(
            name,
            "the public URL is plain http: deliveries, codes and logs can be read on the way",
            "put a TLS proxy in front and set FORGE_RCA_PUBLIC_URL to its https address",
        ),
        Some(url) => Check::passed(name, url.as_str()),
    }
}

/// Whether the settings can be used; nothing is sent.
fn mail(config: &Config) -> Check {
    let made = app::http_client(config).and_then(|http| app::outlets(config, http));
    match made {
        Ok(outlets) if outlets.has_mail() => Check::passed("mail", "a mail server is set"),
        Ok(_) => Check::passed("mail", "no mail server is set: channels of the kind email cannot be made"),
        Err(error) => Check::failed(
            "mail",
            format!("{error:#}"),
            "correct FORGE_RCA_SMTP_URL (smtps://user:password@host) and FORGE_RCA_SMTP_FROM",
        ),
    }
}

async fn look_deeper(config: &Config, checks: &mut Vec<Check>) {
    match app::http_client(config) {
        Ok(_) => {
            checks.push(Check::passed("outgoing_requests", "certificates and proxy settings are usable"))
        }
        Err(error) => checks.push(Check::failed(
            "outgoing_requests",
            format!("{error:#}"),
            "install the system's CA certificates (package ca-certificates), or correct the network settings",
        )),
    }
    checks.push(mail(config));
    if !config.master_key_file.exists() {
        checks.push(Check::passed(
            "database",
            "not made yet: the first start makes the master key and the database",
        ));
        return;
    }
    match app::open_store(config).await {
        Ok(store) => {
            checks.push(Check::passed("database", "opens, migrations are done, the master key fits"));
            match look_at_work(&store).await {
                Ok(found) => checks.extend(found),
                Err(error) => checks.push(Check::failed("work", error.to_string(), "run `forge-rca verify`")),
            }
            store.close().await;
        }
        Err(error) => checks.push(Check::failed(
            "database",
            format!("{error:#}"),
            "check DATABASE_URL, the data directory's owner and free space, and that the master key is the one it was made with",
        )),
    }
}

/// What the server itself has found, and what it could not do.
async fn look_at_work(store: &Store) -> rca_store::Result<Vec<Check>> {
    let workspace = store.default_workspace();
    let mut checks = Vec::new();
    let incidents = store.list_incidents(workspace, true, &PageRequest::first(20)).await?.items;
    for incident in &incidents {
        checks.push(Check::failed(
            "incident",
            format!("{}: {}", incident.code, incident.message),
            &incident.remedy,
        ));
    }
    if incidents.is_empty() {
        checks.push(Check::passed("incidents", "none is open"));
    }
    let (deliveries, tasks) = (store.count_deliveries(workspace).await?, store.count_tasks(workspace).await?);
    checks.push(if deliveries.is_balanced() {
        Check::passed("deliveries", format!("{} received, each is accounted for", deliveries.received))
    } else {
        let remedy = "replay those that GET /v1/deliveries shows as pending, and report this as a fault";
        Check::failed("deliveries", "some have neither an end nor a task that leads to one", remedy)
    });
    checks.push(if tasks.dead == 0 {
        let parked = match tasks.parked {
            0 => String::new(),
            parked => {
                format!(", {parked} wait until their integration is switched on or gets a new credential")
            }
        };
        Check::passed("tasks", format!("{} to do{parked}, none was given up", tasks.ready + tasks.running))
    } else {
        let remedy = "GET /v1/deliveries and /v1/analyses show them with their reasons; replay or rerun them";
        Check::failed("tasks", format!("{} were given up", tasks.dead), remedy)
    });
    Ok(checks)
}

fn print(checks: &[Check], json: bool) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(checks).map_err(Failure::input)?)?;
        return Ok(());
    }
    for check in checks {
        writeln!(out, "{:<6} {}: {}", if check.ok { "ok" } else { "FAILED" }, check.name, check.message)?;
        if let Some(remedy) = &check.remedy {
            writeln!(out, "       {remedy}")?;
        }
    }
    Ok(())
}
