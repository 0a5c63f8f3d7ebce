//! Throw-away databases for tests, of this crate and of those above it (feature `testing`).
//!
//! PostgreSQL is found by `DATABASE_URL_TEST` (the address of a server on which databases may be created), or started
//! from an installed server on a free port with a data directory of its own. That server lives as long as the test
//! process: a shell that waits for the end of a pipe stops it and removes its files even after a `kill -9`.

use crate::{KeyRing, Store};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::sync::OnceCell;

/// One empty database for one test.
#[derive(Debug)]
pub struct Database {
    url: String,
    keys: KeyRing,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Directory(tempfile::TempDir),
    Server(&'static PostgresServer),
}

/// A PostgreSQL server for tests.
#[derive(Debug)]
pub struct PostgresServer {
    /// Ends in a slash; a database name is appended.
    base_url: String,
    /// Held so that its pipe stays open while this process lives.
    _guard: Option<Child>,
}

impl Database {
    /// A SQLite database in a directory of its own, removed on drop.
    ///
    /// # Panics
    /// When no temporary directory can be made.
    pub fn sqlite() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        Self {
            url: format!("sqlite://{}", directory.path().join("store.db").display()),
            keys: KeyRing::generate(),
            place: Place::Directory(directory),
        }
    }

    /// A new database on a PostgreSQL server.
    ///
    /// `None` when no server is installed and none is named: the reason is printed, and the caller leaves its test out.
    ///
    /// # Panics
    /// When a server is there and does not work; and without a server when the environment variable `CI` is set, so
    /// that continuous integration never leaves these tests out.
    pub async fn postgres() -> Option<Self> {
        let server = PostgresServer::shared().await?;
        let name = format!("test_{}", uuid::Uuid::new_v4().simple());
        server.execute(&format!("CREATE DATABASE {name}")).await;
        Some(Self {
            url: format!("{}{name}", server.base_url),
            keys: KeyRing::generate(),
            place: Place::Server(server),
        })
    }

    /// The address, for [`Store::open`].
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The master keys of this database.
    pub fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// The directory of a SQLite database.
    pub fn directory(&self) -> Option<&Path> {
        match &self.place {
            Place::Directory(directory) => Some(directory.path()),
            Place::Server(_) => None,
        }
    }

    /// Opens the store.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub async fn store(&self) -> Store {
        Store::open(&self.url, self.keys.clone()).await.expect("a new database can be opened")
    }

    /// Runs a statement past the store, to play an attacker or a fault.
    ///
    /// # Panics
    /// When the statement fails.
    pub async fn execute(&self, statement: &str) {
        execute(&self.url, statement).await;
    }

    /// The first column of the rows of a query as text, past the store. Give it text columns.
    ///
    /// # Panics
    /// When the query fails.
    pub async fn texts(&self, query: &str) -> Vec<String> {
        texts(&self.url, query).await
    }
}

impl PostgresServer {
    /// The server of this process: the one named by `DATABASE_URL_TEST`, or one that is started now.
    ///
    /// # Panics
    /// As [`Database::postgres`].
    pub async fn shared() -> Option<&'static Self> {
        static SHARED: OnceCell<Option<PostgresServer>> = OnceCell::const_new();
        SHARED
            .get_or_init(|| async {
                if let Ok(url) = std::env::var("DATABASE_URL_TEST") {
                    return Some(Self::named(&url));
                }
                let Some(programs) = find_programs() else {
                    let reason =
                        "no PostgreSQL server is installed (no initdb) and DATABASE_URL_TEST is not set";
                    assert!(
                        std::env::var_os("CI").is_none(),
                        "the PostgreSQL tests must run in CI, but {reason}"
                    );
                    // Past the capture of the test harness: a test that is left out must be seen.
                    let _ = writeln!(std::io::stderr(), "PostgreSQL tests are left out: {reason}");
                    return None;
                };
                Some(Self::start(&programs).await)
            })
            .await
            .as_ref()
    }

    fn named(url: &str) -> Self {
        // The last part of the path is a database's name; ours take its place.
        let base = url.rsplit_once('/').map_or(url, |(base, _)| base);
        Self { base_url: format!("{base}/"), _guard: None }
    }

    async fn start(programs: &Path) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("rca-postgres-")
            .tempdir()
            .expect("a temporary directory can be made")
            .keep();
        let user = unprivileged_user();
        if let Some((user, group)) = user {
            std::os::unix::fs::chown(&directory, Some(user), Some(group))
                .expect("the data directory can be given to the user postgres");
        }
        let data = directory.join("data");
        let status = program(&programs.join("initdb"), &directory, user)
            .args(["--username=rca", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status()
            .expect("initdb can be started");
        assert!(status.success(), "initdb failed for {}", data.display());
        let port = free_port();
        // The server ends when the pipe to this shell does, that is with the test process, however that ends.
        let script = r#""$1" -D "$2" -p "$3" -k "$4" -c listen_addresses=127.0.0.1 -c max_connections=400 >"$4/log" 2>&1 &
            server=$!; read -r _; kill -INT $server; wait $server; rm -rf "$4""#;
        let guard = program(Path::new("/bin/sh"), &directory, user)
            .args(["-c", script, "sh"])
            .arg(programs.join("postgres"))
            .arg(&data)
            .arg(port.to_string())
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell can be started");
        let server = Self { base_url: format!("postgres://rca@127.0.0.1:{port}/"), _guard: Some(guard) };
        server.wait_until_ready(&data).await;
        server
    }

    async fn wait_until_ready(&self, data: &Path) {
        use sqlx::Row as _;
        sqlx::any::install_default_drivers();
        let url = format!("{}postgres", self.base_url);
        for _ in 0..300 {
            if let Ok(mut connection) = AnyConnection::connect(&url).await {
                let row = sqlx::query("SELECT current_setting('data_directory')")
                    .fetch_one(&mut connection)
                    .await
                    .expect("the server tells its data directory");
                let found: String = row.try_get(0).expect("a setting is text");
                // Ours, and not another server that took the port.
                assert_eq!(Path::new(&found), data, "another server answers at our port");
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the PostgreSQL server did not come up; see {}", data.with_file_name("log").display());
    }

    async fn execute(&self, statement: &str) {
        execute(&format!("{}postgres", self.base_url), statement).await;
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Place::Server(server) = &self.place
            && server._guard.is_none()
        {
            // A named server outlives us. Dropping needs a connection, and drop is not async: leave a hint instead.
            let _ = writeln!(
                std::io::stderr(),
                "the test database {} can be dropped",
                self.url.rsplit('/').next().unwrap_or_default()
            );
        }
    }
}

/// Runs a statement on the database at `url`, past the store, e.g. to let an hour pass for what waits.
///
/// # Panics
/// When the database does not answer or the statement fails.
pub async fn execute(url: &str, statement: &str) {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await.expect("the database answers");
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(&mut connection)
        .await
        .expect("the statement runs");
    let _ = connection.close().await;
}

/// Holds the one place to write in a SQLite database, until it is dropped.
#[derive(Debug)]
pub struct WriteLock {
    _connection: AnyConnection,
}

/// Takes the place to write in the SQLite database at `url`: everybody else who wants to write waits in vain.
///
/// # Panics
/// When it cannot be had.
pub async fn lock_writes(url: &str) -> WriteLock {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await.expect("the database answers");
    sqlx::raw_sql("PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE")
        .execute(&mut connection)
        .await
        .expect("the lock can be had");
    WriteLock { _connection: connection }
}

/// The first column of the rows of a query as text, on any database. Give it text columns.
///
/// # Panics
/// When the query fails.
pub async fn texts(url: &str, query: &str) -> Vec<String> {
    use sqlx::Row as _;
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await.expect("the database answers");
    let rows = sqlx::query(AssertSqlSafe(query.to_owned()))
        .fetch_all(&mut connection)
        .await
        .expect("the query runs");
    rows.iter().map(|row| row.try_get::<String, _>(0).expect("the column is text")).collect()
}

/// A step of SQLite's plan of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanStep {
    /// The step that it is a part of; 0 for none.
    pub parent: i64,
    /// What is done, such as `SEARCH analysis USING INDEX analysis_branch (workspace=? AND branch=?)`.
    pub detail: String,
}

/// How the SQLite database at `url` would run a statement, whatever its values are.
///
/// # Panics
/// When it cannot.
pub async fn query_plan(url: &str, statement: &str) -> Vec<PlanStep> {
    use sqlx::Row as _;
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await.expect("the database answers");
    // What is not bound is NULL.
    let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")))
        .fetch_all(&mut connection)
        .await
        .expect("the statement has a plan");
    let step = |row: &sqlx::any::AnyRow| PlanStep {
        parent: row.try_get(1).expect("the second column is a number"),
        detail: row.try_get(3).expect("the fourth column is text"),
    };
    rows.iter().map(step).collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests start a database server; the product does not compile this module"
)]
fn program(path: &Path, directory: &Path, user: Option<(u32, u32)>) -> Command {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new(path);
    command.current_dir(directory);
    if let Some((user, group)) = user {
        command.uid(user).gid(group);
    }
    // Its own group: Ctrl-C at the terminal goes to the tests, and the pipe then stops the server in order.
    command.process_group(0);
    command
}

/// initdb refuses to run as root; then the user that Debian's package makes is used.
fn unprivileged_user() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt as _;
    let me = std::fs::metadata("/proc/self").ok()?.uid();
    if me != 0 {
        return None;
    }
    let passwd = std::fs::read_to_string("/etc/passwd").expect("/etc/passwd can be read");
    let line = passwd
        .lines()
        .find(|line| line.starts_with("postgres:"))
        .expect("tests that run as root need the user postgres");
    let mut fields = line.split(':').skip(2);
    let mut number = || fields.next().and_then(|field| field.parse().ok());
    Some((number()?, number()?))
}

fn find_programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    // Debian keeps each version's server programs outside PATH.
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        let mut versions: Vec<PathBuf> =
            versions.flatten().map(|version| version.path().join("bin")).collect();
        versions.sort();
        places.extend(versions.into_iter().rev());
    }
    places.into_iter().find(|place| place.join("initdb").is_file() && place.join("postgres").is_file())
}

fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .expect("a loopback port is free")
        .port()
}
