//! The settings as a document for people, made from the commented defaults.

use crate::config::{DEFAULTS, ENVIRONMENT};

const HEAD: &str = "# Configuration\n\n\
This file is written by the tests of `server`: `UPDATE_DOCUMENTS=1 cargo test -p server --test it config`.\n\n\
`forge-rca serve --config FILE` (or `FORGE_RCA_CONFIG`) reads a TOML file; it needs only what differs from the defaults \
below. Environment variables win over the file. Unknown settings and unknown `FORGE_RCA_*` names are errors, and all \
faults are reported at once. `FORGE_RCA_OWNER_TOKEN` has no place in the file: it is the first owner token, at least 12 \
characters; without it one is made and printed once.\n";

/// The document, in Markdown.
#[must_use]
pub fn document() -> String {
    let mut text = HEAD.to_owned();
    let (mut section, mut comment) = (String::new(), Vec::new());
    // The words at the top of the file speak of the file.
    let body = DEFAULTS.split_once("\n\n").map_or(DEFAULTS, |(_, body)| body);
    for line in body.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.to_owned();
            text.push_str(&format!("\n## {name}\n\n"));
            if !comment.is_empty() {
                text.push_str(&format!("{}\n\n", comment.join(" ")));
            }
            comment.clear();
        } else if let Some(words) = line.strip_prefix("# ") {
            // An example of a section that is empty by itself.
            if words.contains(" = {") || words.contains(" = \"/") {
                text.push_str(&format!("```toml\n[{section}]\n{words}\n```\n"));
            } else {
                comment.push(words);
            }
        } else if let Some((key, value)) = line.split_once(" = ") {
            let variable =
                ENVIRONMENT.iter().find(|(_, in_section, name, _)| *in_section == section && *name == key);
            let words = comment.join(" ");
            let words = words.split("FORGE_RCA_").next().unwrap_or_default();
            let words = words.trim_end().trim_end_matches("DATABASE_URL").trim_end();
            let variable = variable.map_or_else(String::new, |(name, ..)| format!(" (`{name}`)"));
            text.push_str(&format!("- `{key} = {value}`{variable}: {words}\n"));
            comment.clear();
        }
    }
    text
}
