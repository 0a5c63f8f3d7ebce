//! A refusal of a use case, shown beside what it was about.

use rca_flow::FlowError;
use serde_json::Value;

use crate::frame::Frame;

/// What went wrong, and what to do.
pub(crate) struct Problem {
    pub(crate) title: String,
    pub(crate) message: String,
    pub(crate) remedy: Option<String>,
}

impl Problem {
    /// In our words where there are some for the code; what the forge itself says stays as it is.
    pub(crate) fn new(f: &Frame, error: &FlowError) -> Self {
        let ours = f.find(&format!("connect_remedy.{}", error.code)).map(str::to_owned);
        let theirs = error.details.as_ref().and_then(|details| details.get("remedy")).and_then(Value::as_str);
        let title = f.find(&format!("connect_problem.{}", error.code)).map(str::to_owned);
        Self {
            title: title.unwrap_or_else(|| f.t("error.refused")),
            message: f.said(&error.message).into_owned(),
            remedy: ours.or(theirs.map(|text| f.said(text).into_owned())),
        }
    }
}
