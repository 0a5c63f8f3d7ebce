//! One delivery with what it brought, for people who ask why nothing happened.

use rca_engine::redact::Redactor;
use serde_json::Value;

use crate::{
    error::{FlowError, Result},
    flow::{Caller, Flow},
    types::time,
};

/// So much of a payload is shown.
const MOST_BYTES: usize = 256 * 1024;

/// What belongs to a delivery besides [`crate::types::DeliveryView`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryDetails {
    /// The forge that sent it.
    pub forge: String,
    /// What makes it the same delivery when it comes again.
    pub key: String,
    /// How often it came again.
    pub duplicates: i64,
    /// When it reached its end, RFC 3339.
    pub finished_at: Option<String>,
    /// How it is worked on; nothing for one that was ignored at intake.
    pub work: Option<DeliveryWork>,
    /// The body, indented and redacted.
    pub payload: String,
    /// How large the body is as it was received.
    pub bytes: usize,
    /// Whether `payload` is a part of it only.
    pub is_cut: bool,
}

/// How a delivery is worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryWork {
    /// `ready`, `running`, `done` or `dead`.
    pub state: String,
    /// Starts so far.
    pub attempts: i64,
    /// Starts after which it is given up.
    pub max_attempts: i64,
    /// The last failure.
    pub last_error: Option<String>,
    /// When it is due, RFC 3339; nothing for one that has ended.
    pub due_at: Option<String>,
}

impl Flow {
    /// What a delivery brought and how it is worked on.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn delivery_details(&self, caller: &Caller, id: &str) -> Result<DeliveryDetails> {
        let store = self.store();
        let delivery = store.get_delivery(&caller.workspace, id).await?;
        let delivery = delivery.ok_or_else(|| FlowError::not_found("delivery"))?;
        let body = store.get_delivery_content(&caller.workspace, id).await?.body;
        let (payload, is_cut) = shown(&body);
        let task = match &delivery.task {
            Some(task) => store.get_task(&caller.workspace, task).await?,
            None => None,
        };
        let work = task.map(|task| DeliveryWork {
            due_at: (task.state == "ready").then(|| time(task.run_at)),
            state: task.state,
            attempts: task.attempts,
            max_attempts: task.max_attempts,
            last_error: task.last_error,
        });
        Ok(DeliveryDetails {
            forge: delivery.forge,
            key: delivery.delivery_key,
            duplicates: delivery.duplicates,
            finished_at: delivery.finished_at.map(time),
            work,
            payload,
            bytes: body.len(),
            is_cut,
        })
    }
}

/// The body as people read it. Indented before it is redacted: a rule may look at the name of a field.
fn shown(body: &[u8]) -> (String, bool) {
    let text = match serde_json::from_slice::<Value>(body) {
        Ok(json) => serde_json::to_string_pretty(&json).unwrap_or_default(),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let cut = text.floor_char_boundary(MOST_BYTES);
    let part = text.get(..cut).unwrap_or_default();
    (Redactor::new().redact_text(part).0, cut < text.len())
}

#[cfg(test)]
mod tests {
    use super::{MOST_BYTES, shown};

    #[test]
    fn payloads_are_indented_redacted_and_cut() {
        let (text, is_cut) = shown(br#"{"token":"glpat-aaaaaaaaaaaaaaaaaaaa","n":1}"#);
        assert!(text.contains("\n  \"n\": 1") && !text.contains("glpat-aaaaaaaaaaaaaaaaaaaa"), "{text}");
        assert!(!is_cut);
        let (text, is_cut) = shown("ж".repeat(MOST_BYTES).as_bytes());
        assert!(is_cut && text.len() <= MOST_BYTES);
    }
}
