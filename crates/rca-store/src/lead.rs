//! Which index leads a list on SQLite.
//!
//! Its planner does not know how many rows a value has. Statistics (`ANALYZE`) would tell it, but they would change the
//! plans of all other statements too, such as the claiming of tasks, with whatever lies in the database. So a list of
//! several filters counts the rows of each, up to a few, and names the index itself. PostgreSQL has its own statistics
//! and is left alone.

use sqlx::AnyConnection;

use crate::error::Result;
use crate::sql::Sql;
use crate::store::Engine;

/// A filter with fewer rows than this leads the list, and they are looked up one by one. When all have more, a walk
/// through an index that holds all of the filters finds the rows of a page sooner.
const FEW: i64 = 1_000;
/// How far the clock that made an id may be from the database's.
const CLOCKS_MS: i64 = 24 * 60 * 60 * 1_000;

/// Filters of a list: each a column, the index over the workspace, that column and the id, and the value.
pub(crate) type Filters<'a> = [(&'static str, &'static str, Option<&'a str>)];

/// What stands after `FROM`: the table, on SQLite with the index that leads. `walk` is the index over the workspace, the
/// id, and the columns of all filters.
pub(crate) async fn source(
    connection: &mut AnyConnection,
    engine: Engine,
    (table, walk): (&'static str, &'static str),
    workspace: &str,
    filters: &Filters<'_>,
) -> Result<String> {
    if engine == Engine::Postgres {
        return Ok(table.to_owned());
    }
    let filters = filters.iter().filter_map(|(column, index, value)| Some((column, index, (*value)?)));
    let filters: Vec<_> = filters.collect();
    let index = match filters.as_slice() {
        [] => walk,
        [(_, index, _)] => index,
        several => {
            let mut sql = Sql::new("SELECT ");
            for (place, (column, index, value)) in several.iter().enumerate() {
                sql = sql
                    .push(if place == 0 { "" } else { ", " })
                    .push(&format!(
                        "(SELECT count(*) FROM (SELECT 1 FROM {table} INDEXED BY {index} WHERE workspace = "
                    ))
                    .arg(workspace)
                    .push(&format!(" AND {column} = "))
                    .arg(*value)
                    .push(&format!(" LIMIT {FEW})) AS {column}"));
            }
            let row = sql.one(connection).await?;
            let mut rarest = (FEW, walk);
            for (column, index, _) in several {
                let rows = row.int(column)?;
                if rows < rarest.0 {
                    rarest = (rows, index);
                }
            }
            rarest.1
        }
    };
    Ok(format!("{table} INDEXED BY {index}"))
}

/// An id before all that were made at this time of the database or later: ids are version 7 UUIDs, which begin with the
/// milliseconds of the host's clock.
pub(crate) fn before(time: i64) -> String {
    bound(time.saturating_sub(CLOCKS_MS))
}

/// An id after all that were made before this time of the database.
pub(crate) fn after(time: i64) -> String {
    bound(time.saturating_add(CLOCKS_MS))
}

fn bound(time: i64) -> String {
    let time = time.clamp(0, (1 << 48) - 1);
    format!("{:08x}-{:04x}-0000-0000-000000000000", time >> 16, time & 0xffff)
}
