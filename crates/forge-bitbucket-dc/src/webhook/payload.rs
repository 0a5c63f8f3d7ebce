use serde_json::Value;

/// A view into a payload by which nothing can fail: what is absent, null or of another type is `None`.
#[derive(Debug, Clone, Copy)]
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

    pub(super) fn items(self, key: &str) -> Option<Vec<Self>> {
        let items = self.at(key).0?.as_array()?;
        Some(items.iter().map(|item| Self(Some(item))).collect())
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

    /// A commit's hash that is none of zeros: those stand for nothing.
    pub(super) fn hash(self, key: &str) -> Option<String> {
        let hash = self.text(key)?;
        let is_hash = hash.bytes().all(|byte| byte.is_ascii_hexdigit()) && hash.len() >= 40;
        (is_hash && hash.bytes().any(|byte| byte != b'0')).then_some(hash)
    }
}
