//! `ingest` and `analyses list|show`: sending logs to a server and reading what it found.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use clap::{Args, Subcommand};
use http::{HeaderName, HeaderValue};
use rca_engine::Report;
use serde_json::{Map, Value};

use super::{
    Failure,
    analyze::{self, Format, Named},
    client::Server,
    installation::block_on,
};
use crate::body::LOG_LIMIT;

#[derive(Debug, Args)]
pub(super) struct IngestArguments {
    #[command(flatten)]
    server: Server,
    /// The log, also gzip, zstd or GitHub's zip; - reads standard input.
    file: PathBuf,
    /// The CI system.
    #[arg(long, default_value = "generic")]
    provider: String,
    /// The project, e.g. its full name.
    #[arg(long, default_value = "default")]
    project: String,
    /// How the job ended, in the CI system's words.
    #[arg(long, default_value = "failed")]
    status: String,
    /// The run.
    #[arg(long)]
    pipeline_id: Option<String>,
    /// The job.
    #[arg(long)]
    job_id: Option<String>,
    /// The job's name.
    #[arg(long)]
    job_name: Option<String>,
    /// The branch.
    #[arg(long)]
    branch: Option<String>,
    /// The commit.
    #[arg(long)]
    commit_sha: Option<String>,
    /// Where a person looks at the run.
    #[arg(long)]
    pipeline_url: Option<String>,
    /// The run's number.
    #[arg(long)]
    build_number: Option<String>,
    /// The same key again is the same log; without it the content decides.
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Wait so many seconds for the report and print it, 60 at most.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=60))]
    wait: Option<u64>,
    /// How the report is printed; without --wait the answer is JSON.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

#[derive(Debug, Subcommand)]
pub(super) enum AnalysesCommand {
    /// List analyses, the newest first.
    List(ListArguments),
    /// Print one analysis.
    Show(ShowArguments),
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    server: Server,
    /// Only of this repository: its full name or id.
    #[arg(long)]
    repository: Option<String>,
    /// Only of this branch.
    #[arg(long)]
    branch: Option<String>,
    /// Only of this forge or CI system.
    #[arg(long)]
    forge: Option<String>,
    /// Only of this category.
    #[arg(long)]
    category: Option<String>,
    /// low, medium or high.
    #[arg(long)]
    severity: Option<String>,
    /// queued, running, done, failed or no_log.
    #[arg(long)]
    status: Option<String>,
    /// Created at or after, RFC 3339.
    #[arg(long)]
    since: Option<String>,
    /// Created before, RFC 3339.
    #[arg(long)]
    until: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ShowArguments {
    #[command(flatten)]
    server: Server,
    /// The analysis.
    id: String,
    /// How to print it; json is the whole analysis, the others are its report.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

pub(super) fn ingest(arguments: &IngestArguments) -> Result<(), Failure> {
    let client = arguments.server.client()?;
    let shown = arguments.file.display();
    let (logs, problem) = analyze::for_each_log(&arguments.file, Vec::new, |log: &mut Vec<u8>, chunk| {
        // One byte more than is taken tells that it was too much, without holding all of it.
        let room = (LOG_LIMIT + 1).saturating_sub(log.len()).min(chunk.len());
        log.extend_from_slice(chunk.get(..room).unwrap_or_default());
    })
    .map_err(Failure::Input)?;
    if let Some(problem) = problem {
        return Err(Failure::Input(problem));
    }
    if logs.iter().any(|(_, log)| log.len() > LOG_LIMIT) {
        return Err(Failure::Input(format!(
            "{shown} is larger than {} MiB, the most that a server takes: `forge-rca analyze` reads logs of any size",
            LOG_LIMIT >> 20
        )));
    }
    if logs.len() > 1 && (arguments.job_id.is_some() || arguments.idempotency_key.is_some()) {
        return Err(Failure::Input(format!(
            "{shown} holds several jobs: --job-id and --idempotency-key name only one"
        )));
    }
    block_on(async {
        for (name, log) in logs {
            let mut request =
                client.post("/v1/ingest/log").json(&body(arguments, &log)).operation(format!("send {name}"));
            if let Some(seconds) = arguments.wait {
                request = request.query(&[("wait", &seconds.to_string())]);
            }
            if let Some(key) = &arguments.idempotency_key {
                let key = HeaderValue::from_str(key)
                    .map_err(|_| Failure::input("--idempotency-key is no header value"))?;
                request = request.header(HeaderName::from_static("idempotency-key"), key);
            }
            let answer: Value = request.fetch().await.map_err(refused)?;
            for warning in answer.get("warnings").and_then(Value::as_array).into_iter().flatten() {
                writeln!(io::stderr(), "forge-rca: {}", plain(warning))?;
            }
            // The report, or what tells where it will be.
            if answer.get("report").is_some() {
                print_analysis(name, &answer, arguments.format)?;
            } else {
                writeln!(io::stdout(), "{answer}")?;
            }
        }
        Ok(())
    })
}

fn body(arguments: &IngestArguments, log: &[u8]) -> Value {
    let optional = [
        ("pipeline_id", &arguments.pipeline_id),
        ("job_id", &arguments.job_id),
        ("job_name", &arguments.job_name),
        ("branch", &arguments.branch),
        ("commit_sha", &arguments.commit_sha),
        ("pipeline_url", &arguments.pipeline_url),
        ("build_number", &arguments.build_number),
    ];
    let mut body = Map::new();
    for (name, value) in optional {
        if let Some(value) = value {
            body.insert(name.to_owned(), value.as_str().into());
        }
    }
    body.insert("provider".to_owned(), arguments.provider.as_str().into());
    body.insert("project".to_owned(), arguments.project.as_str().into());
    body.insert("status".to_owned(), arguments.status.as_str().into());
    body.insert("log".to_owned(), String::from_utf8_lossy(log).into());
    Value::Object(body)
}

pub(super) fn analyses(command: &AnalysesCommand) -> Result<(), Failure> {
    match command {
        AnalysesCommand::List(arguments) => block_on(list(arguments)),
        AnalysesCommand::Show(arguments) => block_on(show(arguments)),
    }
}

async fn list(arguments: &ListArguments) -> Result<(), Failure> {
    let client = arguments.server.client()?;
    let filters: Vec<(&str, &str)> = [
        ("repository", &arguments.repository),
        ("branch", &arguments.branch),
        ("forge", &arguments.forge),
        ("category", &arguments.category),
        ("severity", &arguments.severity),
        ("status", &arguments.status),
        ("since", &arguments.since),
        ("until", &arguments.until),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    .collect();
    let (mut left, mut cursor) = (arguments.limit, None::<String>);
    while left > 0 {
        let limit = left.min(500).to_string();
        let mut request = client.get("/v1/analyses").query(&filters).query(&[("limit", &limit)]);
        if let Some(cursor) = &cursor {
            request = request.query(&[("cursor", cursor)]);
        }
        let page: Value = request.operation("list analyses").fetch().await.map_err(refused)?;
        let items = page.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        left = left.saturating_sub(items.len());
        for item in &items {
            print_row(item, arguments.json)?;
        }
        cursor = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() || items.is_empty() {
            break;
        }
    }
    Ok(())
}

fn print_row(item: &Value, json: bool) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{item}")?;
        return Ok(());
    }
    let field = |pointer: &str| item.pointer(pointer).map_or_else(|| "-".to_owned(), plain);
    writeln!(
        out,
        "{}  {}  {:<7} {}  run {} job {}  {}",
        field("/id"),
        field("/created_at"),
        field("/state"),
        field("/repository"),
        field("/run_id"),
        field("/job_name"),
        field("/report/root_cause")
    )?;
    Ok(())
}

async fn show(arguments: &ShowArguments) -> Result<(), Failure> {
    let client = arguments.server.client()?;
    if !is_id(&arguments.id) {
        return Err(Failure::input(
            "an id has letters, digits and hyphens: `forge-rca analyses list` shows them",
        ));
    }
    let path = format!("/v1/analyses/{}", arguments.id);
    let analysis: Value = client.get(&path).operation("read the analysis").fetch().await.map_err(refused)?;
    let name = format!("{} run {}", plain(analysis.get("repository").unwrap_or(&Value::Null)), arguments.id);
    print_analysis(name, &analysis, arguments.format)
}

fn print_analysis(name: String, analysis: &Value, format: Format) -> Result<(), Failure> {
    if matches!(format, Format::Json) {
        writeln!(io::stdout(), "{analysis:#}")?;
        return Ok(());
    }
    let report = analysis.get("report").cloned().unwrap_or_default();
    if report.is_null() {
        let field = |name: &str| analysis.get(name).map_or_else(String::new, plain);
        return Err(Failure::Check(format!(
            "there is no report: state {}, {}",
            field("state"),
            field("error")
        )));
    }
    let report: Report = serde_json::from_value(report).map_err(Failure::input)?;
    analyze::print(&[Named { name, report }], format)
}

/// Whether it can be put into a path as it is.
pub(super) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A value as one line of a terminal: what is in it was written by others.
fn plain(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    console::strip_ansi_codes(&text).replace(char::is_control, " ")
}

/// What the server refuses is a failed check; the error names what was asked.
pub(super) fn refused(error: forge_core::Error) -> Failure {
    if error.kind() == forge_core::ErrorKind::Unauthorized {
        let text =
            "the server does not accept the token (status 401): make one with `forge-rca token create`";
        return Failure::Check(text.to_owned());
    }
    Failure::Check(error.to_string())
}
