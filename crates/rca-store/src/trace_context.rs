//! Which trace a task belongs to: a task is done elsewhere and later than what made it, so its row says where it comes
//! from, in the form of W3C Trace Context (`traceparent`).

use std::sync::OnceLock;

use serde_json::Value;
use tracing::Span;

/// The name under which a task's payload keeps it.
const FIELD: &str = "traceparent";

/// Knows the traces of this process, where it makes any.
pub trait TraceContext: Send + Sync {
    /// What is being done now, as a `traceparent`.
    fn current(&self) -> Option<String>;

    /// Makes `span` a part of what `parent`, a `traceparent`, names. What is none changes nothing.
    fn follow(&self, span: &Span, parent: &str);
}

static CONTEXT: OnceLock<Box<dyn TraceContext>> = OnceLock::new();

/// Sets it for the process, once and for all: false when it was set before.
pub fn set_trace_context(context: Box<dyn TraceContext>) -> bool {
    CONTEXT.set(context).is_ok()
}

/// What was set.
pub fn trace_context() -> Option<&'static dyn TraceContext> {
    CONTEXT.get().map(|context| &**context)
}

/// Where a task with this payload comes from.
pub fn trace_parent(payload: &Value) -> Option<&str> {
    payload.get(FIELD)?.as_str()
}

pub(crate) fn noted(mut payload: Value) -> Value {
    let current = trace_context().and_then(TraceContext::current);
    if let (Some(payload), Some(current)) = (payload.as_object_mut(), current) {
        payload.insert(FIELD.to_owned(), current.into());
    }
    payload
}
