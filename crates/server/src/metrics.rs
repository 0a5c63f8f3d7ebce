//! Metrics in Prometheus' text form.

use rca_flow::Measured;
use rca_store::{DeliveryCounts, TaskCounts};

/// What is known of the queue at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Queue {
    pub(crate) tasks: TaskCounts,
    /// Ready ones that only wait to come again.
    pub(crate) recurring: i64,
    /// How long the longest waiting one has been due.
    pub(crate) age_ms: i64,
}

/// Inbox and queue of all workspaces as they are, and what this process measured. What was received is always done, dead, pending, ignored
/// or duplicate.
pub(crate) fn render(deliveries: &DeliveryCounts, queue: &Queue, measured: &Measured) -> String {
    let mut text = String::new();
    let mut states = |name: &str, help: &str, rows: &[(&str, i64)]| {
        text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n"));
        for (state, count) in rows {
            text.push_str(&format!("{name}{{state=\"{state}\"}} {count}\n"));
        }
    };
    states(
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
    let Queue { tasks, recurring, age_ms } = queue;
    states(
        "forge_rca_tasks",
        "Tasks by state.",
        &[
            ("ready", (tasks.ready - recurring).max(0)),
            ("recurring", *recurring),
            ("parked", tasks.parked),
            ("running", tasks.running),
            ("dead", tasks.dead),
        ],
    );
    let mut single = |name: &str, kind: &str, help: &str, value: String| {
        text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"));
    };
    // Conservation as a number to alert on: anything but 0 is a delivery without a place.
    let unaccounted = deliveries.received
        - (deliveries.done
            + deliveries.dead
            + deliveries.pending
            + deliveries.ignored
            + deliveries.duplicate);
    single(
        "forge_rca_deliveries_unaccounted",
        "gauge",
        "Deliveries received that are neither done, dead, pending, ignored nor duplicate: always 0.",
        unaccounted.to_string(),
    );
    single(
        "forge_rca_queue_age_seconds",
        "gauge",
        "How long the longest waiting task has been due.",
        seconds(*age_ms as f64 / 1000.0),
    );
    single(
        "forge_rca_logs_analysed_total",
        "counter",
        "Logs that the engine of this process read.",
        measured.logs.to_string(),
    );
    single(
        "forge_rca_log_bytes_total",
        "counter",
        "Bytes of the logs that the engine of this process read.",
        measured.log_bytes.to_string(),
    );
    single(
        "forge_rca_engine_seconds_total",
        "counter",
        "Time that the engine of this process took for them.",
        seconds(measured.engine_time.as_secs_f64()),
    );
    text
}

fn seconds(value: f64) -> String {
    format!("{value:.6}")
}
