//! `docs/DETECTORS.md` says what is recognised.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use rca_engine::{Category, recognised};

fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).unwrap().as_str().unwrap().replace('_', " ")
}

fn code(text: &str) -> String {
    let text = text.trim().replace('|', "\\|");
    let fence = if text.contains('`') { "``" } else { "`" };
    format!("{fence} {text} {fence}")
}

fn document() -> String {
    let mut by_category: BTreeMap<usize, Vec<_>> = BTreeMap::new();
    for rule in recognised().filter(|rule| rule.role == "cause") {
        let place = Category::ALL.iter().position(|category| *category == rule.category).unwrap();
        by_category.entry(place).or_default().push(rule);
    }
    let mut text = "# What is recognised\n\n\
        Every kind of line that can be named as a cause, by category, with a line of that kind. Lines that only\n\
        add to a cause, count failures or pass them on are recognised too and are not listed.\n\n\
        This file is written by the tests of `rca-engine`: `UPDATE_DOCUMENTS=1 cargo test -p rca-engine documents`.\n"
        .to_owned();
    for (place, mut rules) in by_category {
        rules.sort_by_key(|rule| rule.id);
        let category = Category::ALL[place];
        let name = word(&category);
        let title = name[..1].to_uppercase() + &name[1..];
        let _ =
            write!(text, "\n## {title} ({})\n\n| rule | such as |\n|---|---|\n", word(&category.domain()));
        for rule in rules {
            let _ = writeln!(text, "| `{}` | {} |", rule.id, code(rule.example));
        }
    }
    text
}

#[test]
fn the_table_of_what_is_recognised_is_true() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/DETECTORS.md");
    let wanted = document();
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == wanted, "docs/DETECTORS.md is not up to date: run the tests with UPDATE_DOCUMENTS=1");
}
