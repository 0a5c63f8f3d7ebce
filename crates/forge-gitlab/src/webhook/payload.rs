//! Reading payloads that may lack anything.
//!
//! Hook bodies differ between versions, carry `null` for what was deleted, and administrators can reshape them with a
//! template. So they are looked up field by field: a field of a wrong type is a field that is not there.

use serde_json::Value;

/// The value at `path`, `None` for `null`.
pub(super) fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    let found = path.iter().try_fold(value, |value, key| value.get(key))?;
    (!found.is_null()).then_some(found)
}

/// The text at `path`; an empty one says nothing.
pub(super) fn text<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    at(value, path)?.as_str().filter(|text| !text.is_empty())
}

/// The id at `path`: a number, or a string as newer versions may send.
pub(super) fn id(value: &Value, path: &[&str]) -> Option<String> {
    match at(value, path)? {
        Value::Number(number) => number.as_u64().map(|id| id.to_string()),
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}

/// The count at `path`.
pub(super) fn count(value: &Value, path: &[&str]) -> Option<u64> {
    at(value, path)?.as_u64()
}

/// The flag at `path`.
pub(super) fn flag(value: &Value, path: &[&str]) -> Option<bool> {
    at(value, path)?.as_bool()
}

/// The commit at `path`; all zeros mean none.
pub(super) fn sha(value: &Value, path: &[&str]) -> Option<String> {
    text(value, path).filter(|sha| sha.bytes().any(|byte| byte != b'0')).map(str::to_owned)
}
