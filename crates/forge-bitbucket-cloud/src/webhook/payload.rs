use serde_json::Value;

/// A view into a payload by which nothing can fail: what is absent, null or of another type is `None`.
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

    pub(super) fn items(self, key: &str) -> impl Iterator<Item = Self> {
        self.at(key).0.and_then(Value::as_array).into_iter().flatten().map(|item| Self(Some(item)))
    }

    /// A non-empty string.
    pub(super) fn text(self, key: &str) -> Option<&'a str> {
        self.at(key).0.and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    pub(super) fn owned(self, key: &str) -> Option<String> {
        self.text(key).map(str::to_owned)
    }

    /// A number, which some senders quote.
    pub(super) fn number(self, key: &str) -> Option<String> {
        match self.at(key).0? {
            Value::Number(number) => number.as_u64().map(|number| number.to_string()),
            Value::String(text) => text.parse::<u64>().ok().map(|number| number.to_string()),
            _ => None,
        }
    }
}
