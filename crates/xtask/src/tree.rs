//! What the tree must look like.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::layers::is_adapter;

/// Longer source files are split.
const MOST_LINES: usize = 1000;

/// Names that may stand at the top level.
const TOP: [&str; 10] = [
    "Cargo.toml",
    "Cargo.lock",
    "README.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "crates",
    "examples",
    "tests",
    "fixtures",
    "docs",
];

/// What whoever embeds an adapter looks for in its documentation.
const ADAPTER_README: [(&str, &str); 4] = [
    ("```no_run", "example that is compiled"),
    ("| area | supported |", "table of capabilities"),
    ("\n## Errors", "section on errors"),
    ("\n## Limits", "section on limits"),
];

/// All faults, one line each.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut faults = Vec::new();
    for entry in fs::read_dir(root)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        // `target` and `data` are ignored by git.
        if !name.starts_with('.')
            && !TOP.contains(&name.as_str())
            && !matches!(name.as_str(), "target" | "data" | "SECURITY.md")
        {
            faults.push(format!("'{name}' does not belong at the top level"));
        }
    }
    for entry in fs::read_dir(root.join("crates"))? {
        let folder = entry?.path();
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name != "xtask" {
            for file in ["README.md", "CHANGELOG.md"] {
                if !folder.join(file).is_file() {
                    faults.push(format!("crates/{name} has no {file}"));
                }
            }
        }
        if is_adapter(&name) {
            let readme = fs::read_to_string(folder.join("README.md")).unwrap_or_default();
            let missing = ADAPTER_README.iter().filter(|(text, _)| !readme.contains(text));
            faults.extend(missing.map(|(_, what)| format!("crates/{name}/README.md has no {what}")));
        }
    }
    let mut sources = Vec::new();
    for folder in ["crates", "examples", "tests"] {
        collect(&root.join(folder), &mut sources)?;
    }
    for path in sources {
        let text = fs::read_to_string(&path)?;
        let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        let lines = text.lines().count();
        if lines > MOST_LINES {
            faults.push(format!("{shown} has {lines} lines: split it ({MOST_LINES} at most)"));
        }
        // Only a person's command may look at a delivery that nobody has proved.
        let is_inside = shown.starts_with("crates/server/src/cli/")
            || shown.starts_with("crates/forge-")
            || shown.contains("/tests/")
            || shown.starts_with("tests/")
            || shown.starts_with("crates/xtask/");
        if !is_inside && text.contains(".inspect(&delivery") {
            faults.push(format!("{shown} parses an unverified delivery: only `webhook inspect` may"));
        }
        if text.contains(concat!("to", "do!(")) || text.contains(concat!("unimple", "mented!(")) {
            faults.push(format!("{shown} holds a stub"));
        }
    }
    faults.sort();
    Ok(faults)
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, into)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
    Ok(())
}
