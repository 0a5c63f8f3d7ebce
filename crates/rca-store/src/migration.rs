//! Bringing a database's schema up to date. Forward only, each step in a transaction.

use crate::error::{Error, ErrorKind, Result};
use crate::sql::Sql;
use crate::store::{Engine, clock};
use sha2::{Digest as _, Sha256};
use sqlx::{AnyConnection, AssertSqlSafe};

struct Migration {
    version: i64,
    name: &'static str,
    text: &'static str,
}

/// In order. A released migration is never edited: its checksum is kept in the database.
const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "initial", text: include_str!("../migrations/0001_initial.sql") },
    Migration { version: 2, name: "product", text: include_str!("../migrations/0002_product.sql") },
    Migration { version: 3, name: "channels", text: include_str!("../migrations/0003_channels.sql") },
    Migration { version: 4, name: "session", text: include_str!("../migrations/0004_session.sql") },
    Migration {
        version: 5,
        name: "language_model",
        text: include_str!("../migrations/0005_language_model.sql"),
    },
    Migration { version: 6, name: "memory", text: include_str!("../migrations/0006_memory.sql") },
    Migration { version: 7, name: "digest", text: include_str!("../migrations/0007_digest.sql") },
    Migration { version: 8, name: "pages", text: include_str!("../migrations/0008_pages.sql") },
    Migration { version: 9, name: "lists", text: include_str!("../migrations/0009_lists.sql") },
];

const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migration (version BIGINT PRIMARY KEY NOT NULL, \
    name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL)";

/// Applies what is missing. Safe to run from several replicas at once.
pub(crate) async fn migrate(connection: &mut AnyConnection, engine: Engine) -> Result<()> {
    let begin = match engine {
        Engine::Sqlite => "BEGIN IMMEDIATE",
        // The number is ours alone: "frca" in ASCII.
        Engine::Postgres => "BEGIN; SELECT pg_advisory_xact_lock(1718772577)",
    };
    sqlx::raw_sql(begin).execute(&mut *connection).await?;
    let result = apply(connection, engine).await;
    let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
    sqlx::raw_sql(end).execute(&mut *connection).await?;
    result
}

async fn apply(connection: &mut AnyConnection, engine: Engine) -> Result<()> {
    sqlx::raw_sql(TABLE).execute(&mut *connection).await?;
    let applied =
        Sql::new("SELECT version, checksum FROM schema_migration ORDER BY version").all(connection).await?;
    for row in &applied {
        let version = row.int("version")?;
        let Some(known) = MIGRATIONS.iter().find(|known| known.version == version) else {
            return Err(Error::new(
                ErrorKind::SchemaTooNew,
                format!(
                    "the database has schema version {version}, newer than this program; run the newer version"
                ),
            ));
        };
        if row.text("checksum")? != known.checksum() {
            return Err(Error::new(
                ErrorKind::Database,
                format!(
                    "schema version {version} of the database differs from this program's; it was made by another build"
                ),
            ));
        }
    }
    for migration in MIGRATIONS.iter().skip(applied.len()) {
        let text = match engine {
            Engine::Sqlite => migration.text.replace("BYTEA", "BLOB"),
            Engine::Postgres => migration.text.to_owned(),
        };
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut *connection).await?;
        let now = clock(connection, engine).await?;
        Sql::new(
            "INSERT INTO schema_migration (version, name, checksum, applied_at) VALUES ($1, $2, $3, $4)",
        )
        .bind(migration.version)
        .bind(migration.name)
        .bind(migration.checksum())
        .bind(now)
        .execute(connection)
        .await?;
        tracing::info!(version = migration.version, "database schema migrated");
    }
    Ok(())
}

impl Migration {
    fn checksum(&self) -> String {
        hex::encode(Sha256::digest(self.text.as_bytes()))
    }
}
