//! `migrate`, `backup`, `restore`, `verify`: the database as a whole.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::Args;
use rca_store::{KeyRing, Store, Verification, backup_sqlite};
use serde_json::json;

use super::{
    Failure,
    installation::{Installation, block_on, failed, open, open_existing},
};
use crate::app;

#[derive(Debug, Args)]
pub(super) struct MigrateArguments {
    #[command(flatten)]
    installation: Installation,
}

#[derive(Debug, Args)]
pub(super) struct FileArguments {
    #[command(flatten)]
    installation: Installation,
    /// The backup.
    file: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct VerifyArguments {
    #[command(flatten)]
    installation: Installation,
    /// A backup to look at; the database itself when left out.
    file: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Brings the schema up to date, as the server does at its start: for those who want it done before.
pub(super) fn migrate(arguments: &MigrateArguments) -> Result<(), Failure> {
    let config = arguments.installation.config()?;
    block_on(async {
        let store = open(&config).await?;
        let version = store.schema_version().await.map_err(failed("cannot read the schema"))?;
        store.close().await;
        writeln!(io::stdout(), "the schema has version {version}")?;
        Ok(())
    })
}

pub(super) fn backup(arguments: &FileArguments) -> Result<(), Failure> {
    let config = arguments.installation.config()?;
    let source = sqlite_only(app::sqlite_file(&config), "pg_dump --format=custom --file=FILE")?;
    block_on(async {
        backup_sqlite(&source, &arguments.file).await.map_err(Failure::input)?;
        // A copy that nobody has read is a hope.
        let verification = look_at_copy(&arguments.file, &config.master_key_file).await?;
        writeln!(
            io::stderr(),
            "Keep a copy of {} too, apart from this one: without the key no secret in the backup opens.",
            config.master_key_file.display()
        )?;
        report(&verification, false)
    })
}

pub(super) fn restore(arguments: &FileArguments) -> Result<(), Failure> {
    let config = arguments.installation.config()?;
    let target = sqlite_only(app::sqlite_file(&config), "pg_restore --dbname=URL FILE")?;
    let refuse = || {
        Failure::Input(format!(
            "{} is there already and nothing is overwritten: stop the server and move the old files (also -wal and -shm) away",
            target.display()
        ))
    };
    for suffix in ["", "-wal", "-shm"] {
        if beside(&target, suffix).exists() {
            return Err(refuse());
        }
    }
    let place = target.parent().unwrap_or(Path::new("."));
    app::private_folder(place)
        .map_err(|error| Failure::Input(format!("cannot make {}: {error}", place.display())))?;
    block_on(async {
        // Looked at before it is put in place, and then linked, which never overwrites.
        let folder = tempfile::Builder::new().prefix("restore").tempdir_in(place).map_err(Failure::input)?;
        let copy = folder.path().join("forge-rca.db");
        copy_private(&arguments.file, &copy)?;
        let verification = verify_file(&copy, &config.master_key_file).await?;
        report(&verification, false)?;
        fs::hard_link(&copy, &target).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => refuse(),
            _ => Failure::Check(format!("cannot make {}: {error}", target.display())),
        })?;
        fs::File::open(place).and_then(|folder| folder.sync_all()).map_err(Failure::input)?;
        writeln!(
            io::stderr(),
            "Restored. Tokens that a forge has renewed since the backup must be replaced: `forge-rca serve` reports them."
        )?;
        Ok(())
    })
}

pub(super) fn verify(arguments: &VerifyArguments) -> Result<(), Failure> {
    let config = arguments.installation.config()?;
    block_on(async {
        let verification = match &arguments.file {
            Some(file) => look_at_copy(file, &config.master_key_file).await?,
            None => {
                let store = open_existing(&config).await?;
                let verification = store.verify().await.map_err(failed("cannot read all of the database"))?;
                store.close().await;
                verification
            }
        };
        report(&verification, arguments.json)
    })
}

fn sqlite_only(file: Option<PathBuf>, instead: &str) -> Result<PathBuf, Failure> {
    file.ok_or_else(|| {
        Failure::Input(format!(
            "the database is PostgreSQL: use `{instead}`, then `forge-rca verify`; the master key is a file of its own"
        ))
    })
}

/// Looks at a copy of the copy: opening a database may bring its schema up to date, and a backup stays as it is.
async fn look_at_copy(file: &Path, key_file: &Path) -> Result<Verification, Failure> {
    let folder = tempfile::tempdir().map_err(Failure::input)?;
    let copy = folder.path().join("forge-rca.db");
    copy_private(file, &copy)?;
    verify_file(&copy, key_file).await
}

async fn verify_file(file: &Path, key_file: &Path) -> Result<Verification, Failure> {
    let keys = KeyRing::from_file(key_file).map_err(Failure::input)?;
    let store = Store::open(&format!("sqlite://{}", file.display()), keys)
        .await
        .map_err(failed("the backup is not a database of ours that this key opens"))?;
    let verification = store.verify().await;
    store.close().await;
    verification.map_err(failed("cannot read all of the backup"))
}

fn copy_private(from: &Path, to: &Path) -> Result<(), Failure> {
    let unreadable = |error: io::Error| Failure::Input(format!("cannot copy {}: {error}", from.display()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut source = fs::File::open(from).map_err(unreadable)?;
    let mut target = options.open(to).map_err(unreadable)?;
    io::copy(&mut source, &mut target).and_then(|_| target.sync_all()).map_err(unreadable)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Prints what was found; a fault is exit code 1.
fn report(found: &Verification, json: bool) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if json {
        let counts: serde_json::Map<_, _> =
            found.counts.iter().map(|count| (count.table.to_owned(), count.rows.into())).collect();
        let broken: Vec<_> = found
            .broken_audits
            .iter()
            .map(|(workspace, at)| json!({"workspace": workspace, "at": at}))
            .collect();
        let unopened: Vec<_> = found
            .unopened
            .iter()
            .map(|value| json!({"table": value.table, "row": value.row, "reason": value.reason}))
            .collect();
        let found = json!({
            "whole": found.is_whole(), "schema_version": found.schema_version, "damage": found.damage,
            "audit": {"entries": found.audit_entries, "broken": broken},
            "sealed": {"opened": found.opened, "unopened": unopened}, "counts": counts,
        });
        writeln!(out, "{found:#}")?;
    } else {
        for line in &found.damage {
            writeln!(out, "FAILED integrity: {line}")?;
        }
        for (workspace, at) in &found.broken_audits {
            writeln!(out, "FAILED audit of workspace {workspace}: altered or cut off at entry {at}")?;
        }
        for value in &found.unopened {
            writeln!(out, "FAILED {} {}: {}", value.table, value.row, value.reason)?;
        }
        let counts: Vec<String> =
            found.counts.iter().map(|count| format!("{} {}", count.table, count.rows)).collect();
        writeln!(
            out,
            "schema {}, {} audit entries, {} sealed values open; {}",
            found.schema_version,
            found.audit_entries,
            found.opened,
            counts.join(", ")
        )?;
    }
    if found.is_whole() {
        Ok(())
    } else {
        Err(Failure::Check("the database is not whole: restore the last good backup".to_owned()))
    }
}
