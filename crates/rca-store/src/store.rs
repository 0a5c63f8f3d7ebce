//! Opening a database, its clock, transactions and connections for reading.

use crate::error::{Error, ErrorKind, Result};
use crate::inbox::Inbox;
use crate::live_keys::LiveKeys;
use crate::seal::{KeyRing, Place};
use crate::sql::Sql;
use crate::writer::{Operation, Writer};
use sqlx::any::AnyPoolOptions;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, Connection as _};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;

/// A write that is not done after this long fails as `Unavailable`.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_millis(4_500);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// Between two attempts to open a file that another process is preparing.
const LOCKED_PAUSE: Duration = Duration::from_millis(20);
const READERS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 16;

pub(crate) const SQLITE_NOW: &str = "SELECT CAST(round(unixepoch('subsec') * 1000) AS INTEGER) AS now";
const POSTGRES_NOW: &str = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) AS now";

/// SQLite before this version can corrupt a database in WAL mode with several connections (its WAL-reset fault).
const SQLITE_LEAST: (u32, u32, u32) = (3, 51, 3);

/// The durable part of the product, on SQLite or PostgreSQL. Cloning is cheap; all clones share the connections.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) engine: Engine,
    pool: AnyPool,
    writer: Mutex<Option<(Writer, JoinHandle<()>)>>,
    pub(crate) quick_writer: std::sync::RwLock<Option<Writer>>,
    pub(crate) inbox: std::sync::RwLock<Option<Inbox>>,
    pub(crate) keys: LiveKeys,
    pub(crate) wake: Notify,
    default_workspace: String,
}

/// Which database engine a store runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Engine {
    /// One process, one file.
    Sqlite,
    /// A server, for several replicas.
    Postgres,
}

impl Store {
    /// Opens (and for SQLite creates) the database at `sqlite:///path/file.db` or `postgres://...`, brings its schema
    /// up to date and checks that it is safe to write to.
    ///
    /// # Errors
    /// `Invalid` for an address of another kind, `Unavailable` when the database cannot be reached, `SchemaTooNew`
    /// when a newer program has migrated it, `WrongKey` when `keys` are not the ones it was sealed with, and
    /// `UnsafeSettings` when an acknowledged write could be lost (`fsync` or `synchronous_commit` off, SQLite
    /// settings that did not take).
    pub async fn open(url: &str, keys: KeyRing) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let store = match url.split_once(':') {
            Some(("sqlite", _)) => Self::open_sqlite(url, keys).await?,
            Some(("postgres" | "postgresql", _)) => Self::open_postgres(url, keys).await?,
            _ => {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    "the database address must begin with sqlite: or postgres:",
                ));
            }
        };
        Ok(store)
    }

    async fn open_sqlite(url: &str, keys: KeyRing) -> Result<Self> {
        let url = if url.contains('?') { format!("{url}&mode=rwc") } else { format!("{url}?mode=rwc") };
        let mut writing = connect_sqlite(&url).await?;
        check_sqlite(&mut writing).await?;
        crate::migration::migrate(&mut writing, Engine::Sqlite).await?;
        let default_workspace = prepare(&mut writing, Engine::Sqlite, &keys).await?;
        let pool = AnyPoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(CONNECT_TIMEOUT)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    sqlx::raw_sql(
                        "PRAGMA busy_timeout = 4000; PRAGMA query_only = ON; PRAGMA cache_size = -8192",
                    )
                    .execute(connection)
                    .await?;
                    Ok(())
                })
            })
            .connect(&url)
            .await?;
        let (writer, task) = Writer::start(writing);
        Ok(Self::assemble(Engine::Sqlite, pool, Some((writer, task)), keys, default_workspace))
    }

    async fn open_postgres(url: &str, keys: KeyRing) -> Result<Self> {
        let pool = AnyPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS)
            .acquire_timeout(CONNECT_TIMEOUT)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    // A server that stalls must not hold our callers; a client that died must not hold locks.
                    sqlx::raw_sql(
                        "SET statement_timeout = 4500; SET lock_timeout = 4000; \
                         SET idle_in_transaction_session_timeout = 30000; SET client_min_messages = warning",
                    )
                    .execute(connection)
                    .await?;
                    Ok(())
                })
            })
            .connect(url)
            .await?;
        let mut connection = pool.acquire().await?;
        check_postgres(&mut connection).await?;
        crate::migration::migrate(&mut connection, Engine::Postgres).await?;
        let default_workspace = prepare(&mut connection, Engine::Postgres, &keys).await?;
        drop(connection);
        Ok(Self::assemble(Engine::Postgres, pool, None, keys, default_workspace))
    }

    fn assemble(
        engine: Engine,
        pool: AnyPool,
        writer: Option<(Writer, JoinHandle<()>)>,
        keys: KeyRing,
        default_workspace: String,
    ) -> Self {
        let quick_writer = writer.as_ref().map(|(writer, _)| writer.clone());
        let store = Self {
            inner: Arc::new(Inner {
                engine,
                pool,
                writer: Mutex::new(writer),
                quick_writer: std::sync::RwLock::new(quick_writer),
                inbox: std::sync::RwLock::new(None),
                keys: LiveKeys::new(keys),
                wake: Notify::new(),
                default_workspace,
            }),
        };
        let inbox = Inbox::start(Arc::downgrade(&store.inner));
        if let Ok(mut slot) = store.inner.inbox.write() {
            *slot = Some(inbox);
        }
        store
    }

    /// Which engine this store runs on.
    pub fn engine(&self) -> Engine {
        self.inner.engine
    }

    /// The workspace that always exists.
    pub fn default_workspace(&self) -> &str {
        &self.inner.default_workspace
    }

    /// Checks that the database answers readers, and lets us write: an empty transaction goes the way of all writes.
    ///
    /// # Errors
    /// `Unavailable` when it does not within five seconds.
    pub async fn ping(&self) -> Result<()> {
        self.now().await?;
        self.transact(|_, _| Box::pin(async { Ok(()) })).await
    }

    /// The database's time in unix milliseconds. Leases and due times are measured by it, never by the host's clock.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn now(&self) -> Result<i64> {
        let mut connection = self.read().await?;
        clock(&mut connection, self.inner.engine).await
    }

    /// Finishes the writes that were accepted and closes all connections. Later calls fail as `Unavailable`.
    pub async fn close(&self) {
        let inbox = self.inner.inbox.write().ok().and_then(|mut slot| slot.take());
        if let Some(inbox) = inbox {
            inbox.close().await;
        }
        if let Ok(mut slot) = self.inner.quick_writer.write() {
            slot.take();
        }
        if let Some((writer, task)) = self.inner.writer.lock().await.take() {
            drop(writer);
            let _ = task.await;
        }
        self.inner.pool.close().await;
    }

    /// A connection for reading; on SQLite it cannot write.
    pub(crate) async fn read(&self) -> Result<PoolConnection<Any>> {
        Ok(self.inner.pool.acquire().await?)
    }

    pub(crate) async fn transact<T: Send + 'static>(&self, operation: impl Operation<T>) -> Result<T> {
        self.inner.transact(operation).await
    }

    /// SQLite: removes the bytes of wiped rows from the write-ahead log too. The rows themselves were overwritten in
    /// the file (`secure_delete`). PostgreSQL leaves old row versions to its vacuum.
    pub(crate) async fn wipe_log(&self) -> Result<()> {
        let writer = self.inner.quick_writer.read().ok().and_then(|slot| slot.clone());
        match writer {
            Some(writer) => {
                writer.request_checkpoint();
                self.transact(|_, _| Box::pin(async { Ok(()) })).await
            }
            None => Ok(()),
        }
    }

    /// Tells waiting workers of this process that there may be work.
    pub(crate) fn wake(&self) {
        self.inner.wake.notify_waiters();
    }
}

impl Inner {
    /// Runs `operation` in a transaction and returns after COMMIT. On failure nothing of it is written.
    pub(crate) async fn transact<T: Send + 'static>(&self, operation: impl Operation<T>) -> Result<T> {
        let work = async {
            match self.engine {
                Engine::Sqlite => {
                    let writer = self.quick_writer.read().ok().and_then(|slot| slot.clone());
                    let writer = writer.ok_or_else(|| Error::unavailable("the store is closed"))?;
                    writer.run(operation).await
                }
                Engine::Postgres => {
                    let mut transaction = self.pool.begin().await?;
                    let now = clock(&mut transaction, Engine::Postgres).await?;
                    // Dropping the transaction on an error rolls it back.
                    let value = operation(&mut transaction, now).await?;
                    transaction.commit().await?;
                    Ok(value)
                }
            }
        };
        tokio::time::timeout(WRITE_TIMEOUT, work)
            .await
            .unwrap_or_else(|_| Err(Error::unavailable("the database did not finish a write in time")))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("engine", &self.inner.engine)
            .field("keys", &self.inner.keys)
            .finish_non_exhaustive()
    }
}

/// A new row id: a version 7 UUID, so ids sort by time of creation.
pub fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

pub(crate) async fn clock(connection: &mut AnyConnection, engine: Engine) -> Result<i64> {
    let text = match engine {
        Engine::Sqlite => SQLITE_NOW,
        Engine::Postgres => POSTGRES_NOW,
    };
    Sql::new(text).one(connection).await?.int("now")
}

const SQLITE_PRAGMAS: &[&str] = &[
    "PRAGMA busy_timeout = 4000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
    "PRAGMA cache_size = -16384",
];

/// Connects for writing. Switching a new file to WAL needs it alone, and SQLite answers "locked" there without calling
/// its busy handler: whoever starts at the same moment asks again instead.
async fn connect_sqlite(url: &str) -> Result<AnyConnection> {
    let deadline = tokio::time::Instant::now() + CONNECT_TIMEOUT;
    loop {
        match try_connect_sqlite(url).await {
            Err(error) if error.is_transient() && tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(LOCKED_PAUSE).await;
            }
            result => return result,
        }
    }
}

async fn try_connect_sqlite(url: &str) -> Result<AnyConnection> {
    let mut connection = AnyConnection::connect(url).await?;
    for pragma in SQLITE_PRAGMAS {
        sqlx::raw_sql(*pragma).execute(&mut connection).await?;
    }
    Ok(connection)
}

/// Reads the settings back: a PRAGMA that does not take is silently ignored by SQLite.
async fn check_sqlite(connection: &mut AnyConnection) -> Result<()> {
    let unsafe_setting = |name: &str, found: &str| {
        Error::new(
            ErrorKind::UnsafeSettings,
            format!(
                "SQLite runs with {name} = {found}, under which accepted deliveries can be lost; use a local file"
            ),
        )
    };
    let mode = Sql::new("SELECT journal_mode AS value FROM pragma_journal_mode")
        .one(connection)
        .await?
        .text("value")?;
    if mode != "wal" {
        return Err(unsafe_setting("journal_mode", &mode));
    }
    for (text, name, least) in [
        ("SELECT synchronous AS value FROM pragma_synchronous", "synchronous", 2),
        ("SELECT foreign_keys AS value FROM pragma_foreign_keys", "foreign_keys", 1),
        ("SELECT timeout AS value FROM pragma_busy_timeout", "busy_timeout", 1),
        ("SELECT secure_delete AS value FROM pragma_secure_delete", "secure_delete", 1),
    ] {
        let value = Sql::new(text).one(connection).await?.int("value")?;
        if value < least {
            return Err(unsafe_setting(name, &value.to_string()));
        }
    }
    let version = Sql::new("SELECT sqlite_version() AS value").one(connection).await?.text("value")?;
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    if (next(), next(), next()) < SQLITE_LEAST {
        return Err(unsafe_setting("version", &version));
    }
    Ok(())
}

async fn check_postgres(connection: &mut AnyConnection) -> Result<()> {
    for name in ["fsync", "synchronous_commit", "full_page_writes"] {
        let value = Sql::new("SELECT current_setting($1) AS value")
            .bind(name)
            .one(connection)
            .await?
            .text("value")?;
        // `remote_write`, `local` and stronger settings all flush our own server's log first.
        if value == "off" {
            return Err(Error::new(
                ErrorKind::UnsafeSettings,
                format!(
                    "PostgreSQL runs with {name} = off, under which accepted deliveries can be lost; set it to on"
                ),
            ));
        }
    }
    Ok(())
}

const KEY_CHECK: &[u8] = b"forge-rca key check 1";

fn key_check_place(id: &str) -> Place<'_> {
    Place { workspace: "", table: "key_check", row: id, column: "sealed" }
}

/// Checks the master key against the database and makes sure that the default workspace exists.
async fn prepare(connection: &mut AnyConnection, engine: Engine, keys: &KeyRing) -> Result<String> {
    let wrong = |id: i64, why: &str| {
        Error::new(
            ErrorKind::WrongKey,
            format!(
                "this database was sealed with master key {id}, {why}; restore the key file that belongs to it"
            ),
        )
    };
    let checks = Sql::new("SELECT key_id, sealed FROM key_check ORDER BY key_id").all(connection).await?;
    let primary = i64::from(keys.primary_id());
    let mut primary_known = false;
    for row in &checks {
        let id = row.int("key_id")?;
        let key_id = u8::try_from(id).map_err(|_| wrong(id, "which cannot be"))?;
        if keys.has(key_id) {
            let plain = keys
                .open(key_check_place(&id.to_string()), &row.blob("sealed")?)
                .map_err(|_| wrong(id, "and the given key of that number is another one"))?;
            if *plain != KEY_CHECK {
                return Err(wrong(id, "and the given key of that number is another one"));
            }
            primary_known |= id == primary;
        } else if is_key_used(connection, id).await? {
            return Err(wrong(id, "which is not among the given keys"));
        }
    }
    if !checks.is_empty() && !primary_known {
        // A new primary is trusted only beside a key that this database already knows.
        let mut any_known = false;
        for row in &checks {
            any_known |= u8::try_from(row.int("key_id")?).is_ok_and(|id| keys.has(id));
        }
        if !any_known {
            return Err(wrong(
                checks.first().map_or(Ok(0), |row| row.int("key_id"))?,
                "and none of the given keys is known to it",
            ));
        }
    }
    let now = clock(connection, engine).await?;
    if !primary_known {
        let sealed = keys.seal(key_check_place(&primary.to_string()), KEY_CHECK)?;
        Sql::new("INSERT INTO key_check (key_id, sealed) VALUES ($1, $2) ON CONFLICT (key_id) DO NOTHING")
            .bind(primary)
            .bind(sealed)
            .execute(connection)
            .await?;
        // Two replicas may start on an empty database with different keys: only one of them wins.
        let row =
            Sql::new("SELECT sealed FROM key_check WHERE key_id = $1").bind(primary).one(connection).await?;
        keys.open(key_check_place(&primary.to_string()), &row.blob("sealed")?)
            .map_err(|_| wrong(primary, "and the given key of that number is another one"))?;
    }
    Sql::new(
        "INSERT INTO workspace (id, name, is_default, created_at) VALUES ($1, 'default', 1, $2) ON CONFLICT DO NOTHING",
    )
    .bind(new_id())
    .bind(now)
    .execute(connection)
    .await?;
    Sql::new("SELECT id FROM workspace WHERE is_default = 1").one(connection).await?.text("id")
}

pub(crate) async fn is_key_used(connection: &mut AnyConnection, id: i64) -> Result<bool> {
    let row = Sql::new(
        "SELECT (SELECT count(*) FROM (SELECT 1 FROM secret WHERE key_id = $1 LIMIT 1) a) \
         + (SELECT count(*) FROM (SELECT 1 FROM oauth_state WHERE key_id = $1 LIMIT 1) b) \
         + (SELECT count(*) FROM (SELECT 1 FROM delivery WHERE key_id = $1 LIMIT 1) c) AS used",
    )
    .bind(id)
    .one(connection)
    .await?;
    Ok(row.int("used")? > 0)
}
