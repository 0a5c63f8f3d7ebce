//! Documents that are made from the code are as the code says. `UPDATE_DOCUMENTS=1 cargo test` writes them anew.

use std::{fmt::Write as _, fs, path::PathBuf};

use forge_core::Capabilities;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn check(path: &str, made: &str) {
    let path = root().join(path);
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        fs::write(&path, made).unwrap();
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == made,
        "{} is not as the code says: run UPDATE_DOCUMENTS=1 cargo test -p tests",
        path.display()
    );
}

#[test]
fn capabilities() {
    let http = forge_http::HttpClient::builder().build().unwrap();
    let all: Vec<(&str, Capabilities)> = server::providers::all(&http, &[])
        .unwrap()
        .iter()
        .map(|provider| (provider.kind().display_name(), provider.capabilities()))
        .collect();
    let mut text = String::from(
        "# What each adapter can do\n\nMade from the `Capabilities` constants by `cargo test`; a test keeps it true.\n\n| |",
    );
    for (name, _) in &all {
        write!(text, " {name} |").unwrap();
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(all.len()));
    text.push('\n');
    for (row, (flag, _)) in Capabilities::NONE.flags().iter().enumerate() {
        write!(text, "| {} |", flag.replace('_', " ")).unwrap();
        for (_, capabilities) in &all {
            text.push_str(if capabilities.flags()[row].1 { " yes |" } else { " |" });
        }
        text.push('\n');
    }
    text.push_str("| longest comment, characters |");
    for (_, capabilities) in &all {
        write!(text, " {} |", capabilities.max_comment_chars).unwrap();
    }
    text.push('\n');
    check("docs/CAPABILITIES.md", &text);
}

#[test]
fn openapi() {
    let made = server::openapi::document().to_pretty_json().unwrap();
    check("docs/openapi.json", &format!("{made}\n"));
    let document: serde_json::Value = serde_json::from_str(&made).unwrap();
    for part in made.split("\"$ref\": \"#").skip(1) {
        let place = part.split('"').next().unwrap();
        assert!(document.pointer(place).is_some(), "there is no {place}");
    }
}

#[test]
fn ingest() {
    let mut text = String::from(
        "# Sending logs from any CI system\n\nMade from the code by `cargo test`; a test runs each of them. A server gives them with its own \
         address at `GET /v1/ingest/snippets`.\n\n`FORGE_RCA_TOKEN` is a secret of the CI system: a token with the scope `ingest`. \
         Nothing but a shell and curl is needed; a variable that is not set is left out.\n",
    );
    for snippet in server::snippets::all("https://rca.example.com") {
        write!(text, "\n## {}\n\n{}:\n\n```\n{}\n```\n", snippet.ci, snippet.file, snippet.snippet).unwrap();
    }
    check("docs/INGEST.md", &text);
}
