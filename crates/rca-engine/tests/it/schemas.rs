//! SARIF and JUnit keep their published schemas (`fixtures/schemas`).

#![expect(clippy::disallowed_methods, reason = "no Rust crate reads XSD: xmllint is run")]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::output::reports;

fn schema(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/schemas").join(name)
}

/// The schema's pattern of a language has a bracket too many, which no strict reader takes. We write no language.
fn without_language(schema: &mut Value) {
    if let Value::Object(object) = schema {
        if let Some(Value::Object(language)) = object.get_mut("language") {
            language.remove("pattern");
        }
        object.values_mut().for_each(without_language);
    }
}

#[test]
fn sarif_keeps_its_published_schema() {
    let text = std::fs::read_to_string(schema("sarif-schema-2.1.0.json")).unwrap();
    let mut schema: Value = serde_json::from_str(&text).unwrap();
    without_language(&mut schema);
    let validator = jsonschema::draft7::new(&schema).unwrap();
    assert!(!validator.is_valid(&serde_json::json!({"version": "2.1.0", "runs": [{"results": []}]})));
    for (name, report) in reports() {
        let sarif: Value = serde_json::from_str(&report.to_sarif()).unwrap();
        let faults: Vec<String> = validator.iter_errors(&sarif).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{name}: {faults:#?}");
    }
}

fn xmllint(files: &[PathBuf]) -> Option<std::process::Output> {
    let run = Command::new("xmllint")
        .args(["--noout", "--nonet", "--schema"])
        .arg(schema("junit-10.xsd"))
        .args(files)
        .output();
    if run.is_err() {
        assert!(
            std::env::var_os("CI").is_none(),
            "the JUnit schema must be tested in CI, but xmllint is missing"
        );
        // Past the capture of the test harness: a test that is left out must be seen.
        let _ = writeln!(std::io::stderr(), "the JUnit schema is left out: no xmllint (libxml2-utils)");
    }
    run.ok()
}

#[test]
fn junit_keeps_its_published_schema() {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> = reports()
        .into_iter()
        .enumerate()
        .map(|(index, (name, report))| {
            let path = folder.path().join(format!("{index}-{name}.xml"));
            std::fs::write(&path, report.to_junit()).unwrap();
            path
        })
        .collect();
    let Some(output) = xmllint(&files) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let wrong = folder.path().join("wrong.xml");
    std::fs::write(&wrong, "<testsuite><case/></testsuite>").unwrap();
    assert!(xmllint(&[wrong]).is_some_and(|output| !output.status.success()));
}
