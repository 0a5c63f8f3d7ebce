//! The command line: results on standard output, progress and diagnostics on standard error.
//!
//! Exit codes: 0 done, 1 a check failed, 2 usage or unreadable input.

mod analyze;
mod client;
mod database;
mod doctor;
mod forge;
mod inspect;
mod installation;
mod keys;
#[cfg(feature = "mcp")]
mod mcp;
mod reports;
mod rules;
mod serve;
mod token;
mod workspace;

use std::{
    fmt,
    io::{self, Write},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

/// Finds the root cause of failed CI jobs and says it where people look.
#[derive(Debug, Parser)]
#[command(name = "forge-rca", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Report the root cause of a failed job from its log.
    Analyze(analyze::Arguments),
    /// Run the server.
    Serve(serve::Arguments),
    /// Look at webhook deliveries.
    #[command(subcommand)]
    Webhook(WebhookCommand),
    /// Rules of your own.
    #[command(subcommand)]
    Rules(RulesCommand),
    /// List the repositories that a token can see.
    Repos(forge::Connection),
    /// List the hooks of a repository.
    Hooks(forge::InRepository),
    /// List the runs of a repository that failed lately, or show one.
    Runs(forge::RunsArguments),
    /// List the jobs of a run.
    Jobs(forge::JobsArguments),
    /// Print the raw log of a job.
    Log(forge::LogArguments),
    /// Check configuration, key, database and addresses before or while the server runs.
    Doctor(doctor::Arguments),
    /// Workspaces: each has its own integrations, tokens and analyses.
    #[command(subcommand)]
    Workspace(WorkspaceCommand),
    /// Send a log to a server.
    Ingest(reports::IngestArguments),
    /// Read what a server found.
    #[command(subcommand)]
    Analyses(reports::AnalysesCommand),
    /// Bring the database's schema up to date; the server does so too at its start.
    Migrate(database::MigrateArguments),
    /// The tokens of the API.
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// The master keys, which seal every stored secret.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Write a consistent copy of the SQLite database to a new file, while the server may run.
    Backup(database::FileArguments),
    /// Put a backup in place where no database is.
    Restore(database::FileArguments),
    /// Check that a database is whole: its pages, the audit's chain, every sealed secret.
    Verify(database::VerifyArguments),
    /// Serve reports to editors and agents, over the Model Context Protocol on standard input and output.
    #[cfg(feature = "mcp")]
    Mcp(mcp::Arguments),
    /// Print the OpenAPI document of the HTTP API.
    Openapi,
}

#[derive(Debug, Subcommand)]
enum WebhookCommand {
    /// Print the normalised facts of a recorded delivery, and whether its proof holds.
    Inspect(inspect::Arguments),
}

#[derive(Debug, Subcommand)]
enum WorkspaceCommand {
    /// Make a workspace; prints its id and its owner's token, once, as JSON.
    Create(workspace::CreateArguments),
}

#[derive(Debug, Subcommand)]
enum RulesCommand {
    /// Say which lines of a log each rule matches.
    Test(rules::TestArguments),
}

/// Why a command ends other than well.
#[derive(Debug)]
enum Failure {
    /// A check failed: exit code 1. The text, if any, goes to standard error.
    Check(String),
    /// Wrong usage or unreadable input: exit code 2.
    Input(String),
}

impl Failure {
    fn input(what: impl fmt::Display) -> Self {
        Self::Input(what.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Input(format!("cannot write the result: {error}"))
    }
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    // clap itself exits with 2 on wrong usage.
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Analyze(arguments) => analyze::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Webhook(WebhookCommand::Inspect(arguments)) => inspect::run(&arguments),
        Command::Rules(RulesCommand::Test(arguments)) => rules::test(&arguments),
        Command::Repos(connection) => forge::repos(&connection),
        Command::Hooks(arguments) => forge::hooks(&arguments),
        Command::Runs(arguments) => forge::runs(&arguments),
        Command::Jobs(arguments) => forge::jobs(&arguments),
        Command::Log(arguments) => forge::log(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Workspace(WorkspaceCommand::Create(arguments)) => workspace::create(&arguments),
        Command::Ingest(arguments) => reports::ingest(&arguments),
        Command::Analyses(command) => reports::analyses(&command),
        Command::Migrate(arguments) => database::migrate(&arguments),
        Command::Token(command) => token::run(&command),
        Command::Keys(command) => keys::run(&command),
        Command::Backup(arguments) => database::backup(&arguments),
        Command::Restore(arguments) => database::restore(&arguments),
        Command::Verify(arguments) => database::verify(&arguments),
        #[cfg(feature = "mcp")]
        Command::Mcp(arguments) => mcp::run(&arguments),
        Command::Openapi => print_openapi(),
    };
    let (code, text) = match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Check(text)) => (1, text),
        Err(Failure::Input(text)) => (2, text),
    };
    if !text.is_empty() && writeln!(io::stderr(), "forge-rca: {text}").is_err() {
        // Nobody reads standard error; the exit code still tells.
    }
    ExitCode::from(code)
}

fn print_openapi() -> Result<(), Failure> {
    let document = crate::openapi::document().to_pretty_json().map_err(Failure::input)?;
    writeln!(io::stdout(), "{document}")?;
    Ok(())
}
