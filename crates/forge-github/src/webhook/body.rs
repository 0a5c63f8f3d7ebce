use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Value};

/// The keys that facts are read from. Anything else is skipped while parsing: a payload may have 25 MB, most of it
/// commits and texts, and a tree of it takes several times its size.
const KEYS: [&str; 52] = [
    "action",
    "after",
    "app",
    "base",
    "before",
    "branches",
    "check_run",
    "check_suite",
    "comment",
    "commit",
    "conclusion",
    "context",
    "deleted",
    "deployment",
    "deployment_status",
    "details_url",
    "event",
    "full_name",
    "head",
    "head_branch",
    "head_sha",
    "hook_id",
    "html_url",
    "id",
    "installation",
    "issue",
    "name",
    "number",
    "object_kind",
    "path",
    "pull_request",
    "pull_requests",
    "pusher",
    "ref",
    "ref_type",
    "repo",
    "repositories_added",
    "repository",
    "review",
    "run_attempt",
    "run_id",
    "security_advisory",
    "sender",
    "sha",
    "since",
    "slug",
    "state",
    "status",
    "thread",
    "workflow_job",
    "workflow_run",
    "zen",
];

/// Reads the keys of [`KEYS`] at every depth.
pub(super) fn parse(json: &str) -> serde_json::Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let value = Pruned.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

struct Pruned;

impl<'de> DeserializeSeed<'de> for Pruned {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Pruned {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(Self)? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(Key(key)) = entries.next_key()? {
            match key {
                // Of a key that stands there twice the last one counts, as with JavaScript.
                Some(key) => drop(values.insert(key.to_owned(), entries.next_value_seed(Self)?)),
                None => drop(entries.next_value::<IgnoredAny>()?),
            }
        }
        Ok(values.into())
    }
}

/// A key of [`KEYS`], or one that is not.
struct Key(Option<&'static str>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;

        impl Visitor<'_> for KeyVisitor {
            type Value = Key;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a key")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Key, E> {
                let place = KEYS.binary_search(&text).ok();
                Ok(Key(place.and_then(|place| KEYS.get(place).copied())))
            }
        }

        deserializer.deserialize_str(KeyVisitor)
    }
}
