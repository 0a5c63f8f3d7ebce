//! Copies of a database, and whether one is whole.

use crate::error::{Error, ErrorKind, Result};
use crate::seal::{KeyRing, Place};
use crate::sql::{Row, Sql};
use crate::store::{Engine, Store};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AnyConnection, ConnectOptions as _, Connection as _};
use std::path::Path;

/// Sealed deliveries that are held in memory at once.
const BATCH: i64 = 20;

const TABLES: [&str; 14] = [
    "workspace",
    "member",
    "api_token",
    "secret",
    "integration",
    "repository",
    "hook",
    "delivery",
    "task",
    "analysis",
    "feedback",
    "cluster",
    "incident",
    "audit",
];

/// What a look at a whole database found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// The version of its schema.
    pub schema_version: i64,
    /// What the engine says is damaged. PostgreSQL checks its pages itself and leaves this empty.
    pub damage: Vec<String>,
    /// Workspaces whose audit is altered or cut, each with the first wrong number.
    pub broken_audits: Vec<(String, i64)>,
    /// Entries of all audits.
    pub audit_entries: i64,
    /// Sealed values that open.
    pub opened: u64,
    /// Sealed values that do not.
    pub unopened: Vec<Unopened>,
    /// Rows per table.
    pub counts: Vec<TableCount>,
}

/// A sealed value that does not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unopened {
    /// The kind of object that it belongs to.
    pub table: String,
    /// Its id.
    pub row: String,
    /// Why.
    pub reason: String,
}

/// Rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableCount {
    /// The table.
    pub table: &'static str,
    /// Its rows.
    pub rows: i64,
}

impl Verification {
    /// Whether nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.damage.is_empty() && self.broken_audits.is_empty() && self.unopened.is_empty()
    }
}

/// Writes a consistent copy of a SQLite database, while it may be in use. The copy has mode 0600 and is on the disk
/// when this returns; the master key is not in it.
///
/// # Errors
/// `Invalid` when `source` is not there or `destination` exists already, `Unavailable` when the copy cannot be written.
/// What was written by then is removed.
pub async fn backup_sqlite(source: &Path, destination: &Path) -> Result<()> {
    let invalid = |text: String| Error::new(ErrorKind::Invalid, text);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    if !source.is_file() {
        return Err(invalid(format!("there is no database at {}", source.display())));
    }
    let file = options.open(destination).map_err(|error| {
        invalid(format!(
            "cannot make {}: it must be a new file in a folder that exists",
            destination.display()
        ))
        .with_source(error)
    })?;
    let result = async {
        let target = destination
            .to_str()
            .ok_or_else(|| invalid("the backup's path must be valid UTF-8".to_owned()))?;
        // Not read-only: a database whose server was killed has a log to be recovered first.
        let mut connection = SqliteConnectOptions::new().filename(source).connect().await?;
        sqlx::query("PRAGMA busy_timeout = 10000").execute(&mut connection).await?;
        // SQLite takes a file that is there if it is empty; so nobody else can ever read it.
        sqlx::query("VACUUM INTO $1").bind(target).execute(&mut connection).await?;
        connection.close().await?;
        file.sync_all().map_err(|error| {
            Error::unavailable(format!("cannot write {}", destination.display())).with_source(error)
        })
    }
    .await;
    if result.is_err() {
        // Half a backup is none; the first error tells more than a failed removal.
        let _ = std::fs::remove_file(destination);
    }
    result
}

impl Store {
    /// The version of the schema that the database has.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn schema_version(&self) -> Result<i64> {
        let mut connection = self.read().await?;
        Sql::new("SELECT max(version) AS version FROM schema_migration")
            .one(&mut connection)
            .await?
            .int("version")
    }

    /// Looks at everything: the engine's own check, the chain of every audit, every sealed value, the rows of each
    /// table. Reads the whole database.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer; what is wrong inside is in the answer.
    pub async fn verify(&self) -> Result<Verification> {
        let schema_version = self.schema_version().await?;
        let mut connection = self.read().await?;
        let mut damage = Vec::new();
        if self.engine() == Engine::Sqlite {
            for row in Sql::new("SELECT integrity_check AS value FROM pragma_integrity_check")
                .all(&mut connection)
                .await?
            {
                let line = row.text("value")?;
                if line != "ok" {
                    damage.push(line);
                }
            }
            for row in Sql::new("SELECT DISTINCT \"table\" AS value FROM pragma_foreign_key_check")
                .all(&mut connection)
                .await?
            {
                damage.push(format!("rows of the table {} belong to nothing", row.text("value")?));
            }
        }
        let mut counts = Vec::new();
        for table in TABLES {
            let rows =
                Sql::new(format!("SELECT count(*) AS rows_in FROM {table}")).one(&mut connection).await?;
            counts.push(TableCount { table, rows: rows.int("rows_in")? });
        }
        let workspaces = Sql::new("SELECT id FROM workspace ORDER BY id").all(&mut connection).await?;
        let sealed = open_all(&mut connection, &self.inner.keys.current()).await?;
        drop(connection);
        let (mut broken_audits, mut audit_entries) = (Vec::new(), 0);
        for row in workspaces {
            let workspace = row.text("id")?;
            let check = self.verify_audit(&workspace).await?;
            audit_entries += check.entries;
            broken_audits.extend(check.broken_at.map(|at| (workspace, at)));
        }
        let Opened { opened, unopened } = sealed;
        Ok(Verification { schema_version, damage, broken_audits, audit_entries, opened, unopened, counts })
    }
}

#[derive(Default)]
struct Opened {
    opened: u64,
    unopened: Vec<Unopened>,
}

impl Opened {
    fn look(&mut self, keys: &KeyRing, row: &Row) -> Result<()> {
        let (workspace, table, id, column) = (
            row.text("workspace")?,
            row.text("place_table")?,
            row.text("place_row")?,
            row.text("place_column")?,
        );
        let place = Place { workspace: &workspace, table: &table, row: &id, column: &column };
        // SQLite stores whatever it is given; what is no blob does not open either.
        match row.blob("sealed").and_then(|sealed| keys.open(place, &sealed)) {
            Ok(_) => self.opened += 1,
            Err(error) => self.unopened.push(Unopened { table, row: id, reason: error.to_string() }),
        }
        Ok(())
    }
}

async fn open_all(connection: &mut AnyConnection, keys: &KeyRing) -> Result<Opened> {
    let mut found = Opened::default();
    for text in [
        "SELECT workspace, owner_table AS place_table, owner_id AS place_row, name AS place_column, sealed FROM secret",
        "SELECT workspace, 'oauth_state' AS place_table, state_hash AS place_row, 'sealed' AS place_column, sealed \
         FROM oauth_state",
    ] {
        for row in Sql::new(text).all(connection).await? {
            found.look(keys, &row)?;
        }
    }
    let mut last = String::new();
    loop {
        let rows = Sql::new(
            "SELECT workspace, 'delivery' AS place_table, id AS place_row, 'sealed' AS place_column, sealed \
             FROM delivery WHERE id > $1 ORDER BY id LIMIT $2",
        )
        .bind(&last)
        .bind(BATCH)
        .all(connection)
        .await?;
        let Some(row) = rows.last() else { return Ok(found) };
        last = row.text("place_row")?;
        for row in &rows {
            found.look(keys, row)?;
        }
    }
}
