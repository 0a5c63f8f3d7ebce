use forge_core::model::{Conclusion, RefType, Status};
use serde_json::Value;

use crate::wire;

/// A view into a payload by which nothing can fail: what is absent, null or of another type is `None`.
///
/// Payloads are read this way and not into structs because GitHub adds, drops and nulls fields between versions, and
/// one surprising field must not cost the delivery.
#[derive(Clone, Copy)]
pub(super) struct Payload<'a>(Option<&'a Value>);

impl<'a> Payload<'a> {
    pub(super) fn new(value: &'a Value) -> Self {
        Self(Some(value))
    }

    pub(super) fn at(self, key: &str) -> Self {
        Self(self.0.and_then(|value| value.get(key)).filter(|value| !value.is_null()))
    }

    pub(super) fn has(self, key: &str) -> bool {
        self.at(key).0.is_some()
    }

    pub(super) fn is_object(self) -> bool {
        self.0.is_some_and(Value::is_object)
    }

    pub(super) fn is_true(self, key: &str) -> bool {
        self.at(key).0.and_then(Value::as_bool).unwrap_or(false)
    }

    pub(super) fn items(self, key: &str) -> impl Iterator<Item = Self> {
        self.at(key).0.and_then(Value::as_array).into_iter().flatten().map(|item| Self(Some(item)))
    }

    /// A non-empty string.
    pub(super) fn text(self, key: &str) -> Option<String> {
        self.at(key).0.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// An id or number, which some senders quote.
    pub(super) fn id(self, key: &str) -> Option<String> {
        match self.at(key).0? {
            Value::Number(number) => number.as_u64().map(|id| id.to_string()),
            Value::String(text) => {
                (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.clone())
            }
            _ => None,
        }
    }

    pub(super) fn count(self, key: &str) -> Option<u32> {
        self.id(key)?.parse().ok()
    }

    pub(super) fn status(self) -> Option<Status> {
        self.text("status").map(|word| wire::status(&word))
    }

    pub(super) fn conclusion(self) -> Option<Conclusion> {
        self.text("conclusion").map(|word| wire::conclusion(&word))
    }

    pub(super) fn ref_type(self, key: &str) -> Option<RefType> {
        match self.text(key)?.as_str() {
            "branch" => Some(RefType::Branch),
            "tag" => Some(RefType::Tag),
            _ => None,
        }
    }
}
