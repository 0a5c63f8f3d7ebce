use jiff::Timestamp;
use serde_json::Value;

/// Milliseconds since 1970, or a text in one of the forms that have been seen: RFC 3339, or an offset without a colon.
pub(crate) fn time(value: Option<&Value>) -> Option<Timestamp> {
    match value? {
        Value::Number(number) => Timestamp::from_millisecond(number.as_i64()?).ok(),
        Value::String(text) => {
            let text = text.trim();
            let parsed = text.parse().ok();
            let parsed = parsed.or_else(|| Timestamp::strptime("%Y-%m-%dT%H:%M:%S%z", text).ok());
            let parsed = parsed.or_else(|| Timestamp::strptime("%Y-%m-%dT%H:%M:%S%.f%z", text).ok());
            parsed.or_else(|| text.parse().ok().and_then(|at| Timestamp::from_millisecond(at).ok()))
        }
        _ => None,
    }
}
