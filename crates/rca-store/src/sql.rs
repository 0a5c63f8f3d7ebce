//! The one place that talks to sqlx: a statement with its values, and typed access to rows.

use crate::error::{Error, ErrorKind, Result};
use serde_json::Value;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::{AnyConnection, Arguments as _, AssertSqlSafe, Row as _};
use std::fmt::Write as _;

/// A statement and its values. Text only ever comes from this crate; what callers give is bound.
pub(crate) struct Sql {
    text: String,
    values: AnyArguments,
}

impl Sql {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), values: AnyArguments::default() }
    }

    /// Binds the next `$n` that already stands in the text.
    pub(crate) fn bind(mut self, value: impl Into<Bind>) -> Self {
        self.add(value.into());
        self
    }

    /// Appends text.
    pub(crate) fn push(mut self, text: &str) -> Self {
        self.text.push_str(text);
        self
    }

    /// Appends the next placeholder and binds it.
    pub(crate) fn arg(mut self, value: impl Into<Bind>) -> Self {
        self.add(value.into());
        let number = self.values.len();
        let _ = write!(self.text, "${number}");
        self
    }

    /// Appends `text` and a bound value when there is one: for optional filters.
    pub(crate) fn when(self, text: &str, value: Option<impl Into<Bind>>) -> Self {
        match value {
            Some(value) => self.push(text).arg(value),
            None => self,
        }
    }

    /// Appends a parenthesised list of bound values; an empty list matches nothing.
    pub(crate) fn list(self, values: impl IntoIterator<Item = impl Into<Bind>>) -> Self {
        let mut sql = self.push("(");
        let mut first = true;
        for value in values {
            sql = if first { sql } else { sql.push(", ") }.arg(value);
            first = false;
        }
        if first {
            sql = sql.push("NULL");
        }
        sql.push(")")
    }

    fn add(&mut self, value: Bind) {
        // Adding to `AnyArguments` only stores the value; it cannot fail for these types.
        let _ = match value {
            Bind::Text(value) => self.values.add(value),
            Bind::Int(value) => self.values.add(value),
            Bind::Blob(value) => self.values.add(value),
        };
    }

    pub(crate) async fn execute(self, connection: &mut AnyConnection) -> Result<u64> {
        let result = sqlx::query_with(AssertSqlSafe(self.text), self.values).execute(connection).await?;
        Ok(result.rows_affected())
    }

    pub(crate) async fn all(self, connection: &mut AnyConnection) -> Result<Vec<Row>> {
        let rows = sqlx::query_with(AssertSqlSafe(self.text), self.values).fetch_all(connection).await?;
        Ok(rows.into_iter().map(Row).collect())
    }

    /// The first row. All rows are read, so that a `RETURNING` statement is finished when this returns.
    pub(crate) async fn optional(self, connection: &mut AnyConnection) -> Result<Option<Row>> {
        Ok(self.all(connection).await?.into_iter().next())
    }

    pub(crate) async fn one(self, connection: &mut AnyConnection) -> Result<Row> {
        self.optional(connection)
            .await?
            .ok_or_else(|| Error::new(ErrorKind::Database, "a statement returned no row"))
    }
}

/// A value on its way into the database. Only what the drivers carry alike on both engines.
pub(crate) enum Bind {
    Text(Option<String>),
    Int(Option<i64>),
    Blob(Vec<u8>),
}

/// PostgreSQL refuses U+0000 in text (its manual, "Character Types"); names from a forge may hold it.
fn storable(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

impl From<String> for Bind {
    fn from(value: String) -> Self {
        Self::Text(Some(storable(value)))
    }
}
impl From<&String> for Bind {
    fn from(value: &String) -> Self {
        value.clone().into()
    }
}
impl From<&str> for Bind {
    fn from(value: &str) -> Self {
        value.to_owned().into()
    }
}
impl From<Option<String>> for Bind {
    fn from(value: Option<String>) -> Self {
        Self::Text(value.map(storable))
    }
}
impl From<&Option<String>> for Bind {
    fn from(value: &Option<String>) -> Self {
        value.clone().into()
    }
}
impl From<&Value> for Bind {
    fn from(value: &Value) -> Self {
        Self::Text(Some(value.to_string()))
    }
}
impl From<&Option<Value>> for Bind {
    fn from(value: &Option<Value>) -> Self {
        Self::Text(value.as_ref().map(Value::to_string))
    }
}
impl From<i64> for Bind {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}
impl From<Option<i64>> for Bind {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}
impl From<bool> for Bind {
    fn from(value: bool) -> Self {
        Self::Int(Some(i64::from(value)))
    }
}
impl From<Vec<u8>> for Bind {
    fn from(value: Vec<u8>) -> Self {
        Self::Blob(value)
    }
}

/// One row; columns are read by name.
pub(crate) struct Row(AnyRow);

impl Row {
    pub(crate) fn text(&self, column: &str) -> Result<String> {
        Ok(self.0.try_get::<String, _>(column)?)
    }
    pub(crate) fn text_opt(&self, column: &str) -> Result<Option<String>> {
        Ok(self.0.try_get::<Option<String>, _>(column)?)
    }
    pub(crate) fn int(&self, column: &str) -> Result<i64> {
        Ok(self.0.try_get::<i64, _>(column)?)
    }
    pub(crate) fn int_opt(&self, column: &str) -> Result<Option<i64>> {
        Ok(self.0.try_get::<Option<i64>, _>(column)?)
    }
    pub(crate) fn flag(&self, column: &str) -> Result<bool> {
        Ok(self.int(column)? != 0)
    }
    pub(crate) fn blob(&self, column: &str) -> Result<Vec<u8>> {
        Ok(self.0.try_get::<Vec<u8>, _>(column)?)
    }
    pub(crate) fn json(&self, column: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.text(column)?)?)
    }
    pub(crate) fn json_opt(&self, column: &str) -> Result<Option<Value>> {
        Ok(match self.text_opt(column)? {
            Some(text) => Some(serde_json::from_str(&text)?),
            None => None,
        })
    }
    pub(crate) fn strings(&self, column: &str) -> Result<Vec<String>> {
        Ok(serde_json::from_str(&self.text(column)?)?)
    }
}
