//! The statements of the pages as they really run, and SQLite's plan of each.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use rca_store::{
    TraceContext,
    testing::{PlanStep, query_plan, texts},
};
use tracing::{
    Event, Span, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    filter::filter_fn,
    layer::{Context, SubscriberExt as _},
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

/// A table with so many rows must not be read whole.
const BIG: u64 = 10_000;

/// The statements that requests have run since they were last taken. What runs beside the requests is left out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Statements(Arc<Mutex<BTreeSet<String>>>);

/// With it the server makes a span of each request; nothing else is wanted of it.
struct Spans;

impl TraceContext for Spans {
    fn current(&self) -> Option<String> {
        None
    }

    fn follow(&self, _: &Span, _: &str) {}
}

impl Statements {
    /// Listens to what sqlx logs, from now on.
    pub(crate) fn listen() -> Self {
        let statements = Self::default();
        rca_store::set_trace_context(Box::new(Spans));
        let wanted = filter_fn(|metadata| {
            metadata.target() == "sqlx::query" || (metadata.is_span() && metadata.name() == "request")
        });
        tracing_subscriber::registry().with(statements.clone().with_filter(wanted)).init();
        statements
    }

    pub(crate) fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Statements {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if context.event_scope(event).is_none() {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        // A statement of few words is its own summary.
        let statement = if text.statement.trim().is_empty() { text.summary } else { text.statement };
        let statement = statement.split_whitespace().collect::<Vec<_>>().join(" ");
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(statement);
    }
}

#[derive(Default)]
struct Text {
    summary: String,
    statement: String,
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" => value.clone_into(&mut self.statement),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// Prints the plan of each statement, and gives what is wrong with them.
pub(crate) async fn check(url: &str, pages: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let big = big_tables(url).await;
    println!("\nTables of {BIG} rows or more: {}.\n", Vec::from_iter(big.iter().cloned()).join(", "));
    let mut faults = Vec::new();
    for (statement, pages) in pages {
        if !["SELECT", "WITH", "INSERT", "UPDATE", "DELETE"].iter().any(|verb| statement.starts_with(verb)) {
            continue;
        }
        let plan = query_plan(url, statement).await;
        println!("{statement}\n    of {}", pages.iter().take(3).cloned().collect::<Vec<_>>().join(" "));
        for step in &plan {
            println!("    | {}", step.detail);
        }
        for fault in faults_of(statement, &plan, &big) {
            println!("    ! {fault}");
            faults.push(format!("{fault}: {statement}"));
        }
    }
    println!("\n{} statements.", pages.len());
    faults
}

async fn big_tables(url: &str) -> BTreeSet<String> {
    let mut big = BTreeSet::new();
    for table in texts(url, "SELECT name FROM sqlite_master WHERE type = 'table'").await {
        let count = texts(url, &format!("SELECT CAST(count(*) AS TEXT) FROM {table}")).await;
        let count = count.first().and_then(|count| count.parse::<u64>().ok());
        if count.is_some_and(|count| count >= BIG) {
            big.insert(table);
        }
    }
    big
}

/// A big table that is read whole, and a sort of rows that only the workspace or a span of time bounds.
fn faults_of(statement: &str, plan: &[PlanStep], big: &BTreeSet<String>) -> Vec<String> {
    let aliases = aliases(statement);
    let table = |step: &PlanStep| {
        let name = step.detail.split_whitespace().nth(1)?;
        let table = aliases.get(name).map_or(name, String::as_str);
        big.contains(table).then(|| table.to_owned())
    };
    let mut faults = Vec::new();
    for step in plan {
        if step.detail.starts_with("SCAN ")
            && let Some(table) = table(step)
        {
            faults.push(format!("the big table {table} is read whole"));
        }
        if step.detail.starts_with("USE TEMP B-TREE") {
            let sorted =
                plan.iter().filter(|other| other.parent == step.parent && is_unbounded(&other.detail));
            for table in sorted.filter_map(table) {
                faults.push(format!("rows of the big table {table} are sorted without a bound"));
            }
        }
    }
    faults
}

/// `SEARCH analysis USING INDEX i (workspace=? AND created_at>?)`: no column but the workspace is compared for equality.
fn is_unbounded(detail: &str) -> bool {
    if detail.starts_with("SCAN ") {
        return true;
    }
    let terms = detail.split_once('(').map_or("", |(_, terms)| terms.trim_end_matches(')'));
    detail.starts_with("SEARCH ")
        && !terms.split(" AND ").any(|term| term.ends_with("=?") && term != "workspace=?")
}

/// The tables of a statement by the names that its plan calls them.
fn aliases(statement: &str) -> BTreeMap<String, String> {
    let words: Vec<&str> = statement.split(|c: char| c.is_whitespace() || "(),".contains(c)).collect();
    let mut aliases = BTreeMap::new();
    for window in words.windows(3) {
        if let [verb, table, alias] = window
            && matches!(*verb, "FROM" | "JOIN")
            && alias.chars().all(|c| c.is_ascii_lowercase())
        {
            aliases.insert((*alias).to_owned(), (*table).to_owned());
        }
    }
    aliases
}
