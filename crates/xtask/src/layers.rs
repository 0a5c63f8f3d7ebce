//! Which crate may name which: the layers of the workspace.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::Context;

/// Packages that exist for tests and demonstrations; they may name everything.
const UNBOUND: [&str; 3] = ["tests", "examples", "xtask"];

/// A dependency that only the listed packages may name in `[dependencies]`.
const RESERVED: &[(&str, &[&str], &str)] = &[
    (
        "reqwest",
        &["forge-http", "forge-testkit"],
        "outgoing HTTP goes through forge-http, which guards addresses and credentials",
    ),
    ("oauth2", &["forge-http"], "the OAuth crate stays behind forge_http::CodeGrant"),
    ("axum", &["dashboard", "server", "forge-testkit"], "incoming HTTP is for the server and its pages"),
    ("utoipa-axum", &["server"], "routes are the server's alone"),
    ("sqlx", &["rca-store"], "SQL stays in rca-store"),
    ("askama", &["dashboard"], "HTML is made in one place"),
    ("dashboard", &["server"], "pages belong to the product, not to libraries"),
    ("clap", &["server"], "the command line is the server's alone"),
    ("forge-gitlab", &["server"], "only the server chooses adapters"),
    ("forge-github", &["server"], "only the server chooses adapters"),
    ("forge-bitbucket-cloud", &["server"], "only the server chooses adapters"),
    ("forge-bitbucket-dc", &["server"], "only the server chooses adapters"),
    ("forge-gitflic", &["server"], "only the server chooses adapters"),
    ("forge-testkit", &[], "the test kit is a dev-dependency"),
    ("rca-store", &["rca-flow", "dashboard", "server"], "storage belongs to the product, not to libraries"),
    ("lettre", &["rca-notify"], "mail leaves through rca-notify"),
    ("rca-notify", &["rca-flow", "server"], "notifications belong to the product, not to libraries"),
    ("rca-flow", &["dashboard", "server"], "use cases belong to the product, not to libraries"),
];

/// Packages that must stay free of whole families of dependencies.
const PURE: &[(&str, &[&str], &str)] = &[
    (
        "forge-core",
        &["tokio", "reqwest", "hyper", "axum", "sqlx", "tracing"],
        "forge-core has no I/O and no runtime",
    ),
    (
        "rca-engine",
        &["tokio", "async-trait", "futures-util", "jiff", "reqwest", "forge-core", "forge-http", "tracing"],
        "rca-engine has no I/O, clock, async or forge dependency",
    ),
    ("rca-flow", &["reqwest", "axum", "sqlx", "hyper"], "rca-flow is written over traits"),
];

/// Our own packages that an adapter may name.
const ADAPTER_MAY_NAME: [&str; 2] = ["forge-core", "forge-http"];

/// All faults, one line each.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut faults = Vec::new();
    for entry in fs::read_dir(root.join("crates"))? {
        let manifest = entry?.path().join("Cargo.toml");
        let text =
            fs::read_to_string(&manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
        let table: toml::Table =
            text.parse().with_context(|| format!("{} is not TOML", manifest.display()))?;
        let Some(name) =
            table.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str)
        else {
            faults.push(format!("{} has no package name", manifest.display()));
            continue;
        };
        if UNBOUND.contains(&name) {
            continue;
        }
        let dependencies = dependencies(&table);
        for (dependency, allowed, why) in RESERVED {
            if dependencies.contains(*dependency) && !allowed.contains(&name) {
                faults.push(format!("{name} depends on {dependency}: {why}"));
            }
        }
        for (pure, banned, why) in PURE {
            if *pure == name {
                let named = banned.iter().filter(|banned| dependencies.contains(**banned));
                faults.extend(named.map(|banned| format!("{name} depends on {banned}: {why}")));
            }
        }
        if is_adapter(name) {
            let others = dependencies.iter().filter(|dependency| {
                (dependency.starts_with("forge-") || dependency.starts_with("rca-"))
                    && !ADAPTER_MAY_NAME.contains(&dependency.as_str())
            });
            faults.extend(others.map(|other| {
                format!("{name} depends on {other}: an adapter stands on forge-core and forge-http only")
            }));
        }
        if table.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool)
            != Some(true)
        {
            faults.push(format!("{name} does not take the workspace lints"));
        }
    }
    faults.sort();
    Ok(faults)
}

pub(crate) fn is_adapter(name: &str) -> bool {
    name.starts_with("forge-") && !matches!(name, "forge-core" | "forge-http" | "forge-testkit")
}

/// Names in `[dependencies]` and `[build-dependencies]`, also those of single targets; dev-dependencies are free.
fn dependencies(table: &toml::Table) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut tables = vec![table];
    if let Some(targets) = table.get("target").and_then(toml::Value::as_table) {
        tables.extend(targets.values().filter_map(toml::Value::as_table));
    }
    for table in tables {
        for section in ["dependencies", "build-dependencies"] {
            if let Some(section) = table.get(section).and_then(toml::Value::as_table) {
                names.extend(section.keys().cloned());
            }
        }
    }
    names
}
