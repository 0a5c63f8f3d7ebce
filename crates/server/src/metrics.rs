//! Metrics in Prometheus' text form.

use rca_store::{DeliveryCounts, TaskCounts};

/// The counters of inbox and queue; `recurring` of the ready tasks only wait to come again. What was received is always done, dead, pending, ignored or duplicate.
pub(crate) fn render(deliveries: &DeliveryCounts, tasks: &TaskCounts, recurring: i64) -> String {
    let mut text = String::new();
    let mut family = |name: &str, help: &str, rows: &[(&str, i64)]| {
        text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n"));
        for (state, count) in rows {
            text.push_str(&format!("{name}{{state=\"{state}\"}} {count}\n"));
        }
    };
    family(
        "forge_rca_deliveries",
        "Deliveries by what became of them.",
        &[
            ("received", deliveries.received),
            ("pending", deliveries.pending),
            ("done", deliveries.done),
            ("ignored", deliveries.ignored),
            ("dead", deliveries.dead),
            ("duplicate", deliveries.duplicate),
        ],
    );
    family(
        "forge_rca_tasks",
        "Tasks by state.",
        &[
            ("ready", (tasks.ready - recurring).max(0)),
            ("recurring", recurring),
            ("running", tasks.running),
            ("dead", tasks.dead),
        ],
    );
    text
}
