//! The forms of a report that other programs read.

use rca_engine::{Analyzer, Category, EvidenceRole, Finding, HumanOptions, Report, analyze};
use serde_json::Value;

use crate::detectors::fixtures;

pub(crate) fn reports() -> Vec<(String, Report)> {
    let classes = ["test", "build", "dependency", "infra", "config", "green"];
    let mut reports: Vec<(String, Report)> =
        classes.iter().flat_map(|class| fixtures(class)).map(|(name, log)| (name, analyze(&log))).collect();
    let hostile = "$ t\nFAILED t/a.py::test[<b>&\"'\u{1b}[31m\u{202e}\u{b}\u{fffe}] - assert ]]> @all /close\n\
                   E   assert 1 == 2\n= 1 failed in 0.1s =\n";
    reports.push(("hostile".to_owned(), analyze(hostile.as_bytes())));
    reports.push(("empty".to_owned(), analyze(b"")));
    reports
}

/// The members of an object; fails when there is one that the schema does not name.
fn members<'a>(value: &'a Value, allowed: &[&str], what: &str) -> &'a serde_json::Map<String, Value> {
    let object = value.as_object().unwrap_or_else(|| panic!("{what} is no object"));
    for key in object.keys() {
        assert!(allowed.contains(&key.as_str()), "{what} has `{key}`");
    }
    object
}

fn text<'a>(value: &'a Value, what: &str) -> &'a str {
    let text = value.as_str().unwrap_or_else(|| panic!("{what} is no string"));
    assert!(!text.is_empty(), "{what} is empty");
    text
}

fn check_message(value: &Value, what: &str) {
    text(&members(value, &["text"], what)["text"], what);
}

fn check_location(value: &Value, name: &str) {
    let location = members(value, &["id", "physicalLocation", "message"], name);
    let physical = members(&location["physicalLocation"], &["artifactLocation", "region"], name);
    let uri = text(&members(&physical["artifactLocation"], &["uri"], name)["uri"], name);
    assert!(
        uri.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~/%".contains(&byte))
            && !uri.starts_with('/'),
        "{name}: {uri}"
    );
    if let Some(region) = physical.get("region") {
        let region = members(region, &["startLine", "endLine", "startColumn", "snippet"], name);
        let start = region["startLine"].as_u64().unwrap();
        assert!(start >= 1);
        assert!(region.get("endLine").is_none_or(|end| end.as_u64().unwrap() >= start));
        assert!(region.get("startColumn").is_none_or(|column| column.as_u64().unwrap() >= 1));
    }
    if let Some(message) = location.get("message") {
        check_message(message, name);
    }
}

/// The rules of SARIF 2.1.0 for what we write: which members exist, which are needed, their types
/// and ranges (OASIS standard, sections 3.13 to 3.30).
#[test]
fn sarif_keeps_the_rules_of_its_standard() {
    for (name, report) in reports() {
        let log: Value = serde_json::from_str(&report.to_sarif()).unwrap();
        let log = members(&log, &["$schema", "version", "runs"], &name);
        assert_eq!(log["version"], "2.1.0");
        let runs = log["runs"].as_array().unwrap();
        assert_eq!(runs.len(), 1);
        let run = members(&runs[0], &["tool", "columnKind", "invocations", "results"], &name);
        assert!(["utf16CodeUnits", "unicodeCodePoints"].contains(&run["columnKind"].as_str().unwrap()));
        let driver = &members(&run["tool"], &["driver"], &name)["driver"];
        let driver = members(driver, &["name", "semanticVersion", "rules"], &name);
        text(&driver["name"], &name);
        let rules = driver["rules"].as_array().unwrap();
        for rule in rules {
            let rule = members(rule, &["id", "shortDescription", "help"], &name);
            text(&rule["id"], &name);
            check_message(&rule["shortDescription"], &name);
            check_message(&rule["help"], &name);
        }
        for invocation in run["invocations"].as_array().unwrap() {
            let invocation =
                members(invocation, &["executionSuccessful", "toolExecutionNotifications"], &name);
            assert!(invocation["executionSuccessful"].is_boolean());
            for note in invocation["toolExecutionNotifications"].as_array().unwrap() {
                check_message(&members(note, &["level", "message"], &name)["message"], &name);
            }
        }
        let results = run["results"].as_array().unwrap();
        assert_eq!(results.len(), usize::from(report.status == rca_engine::Status::CauseFound), "{name}");
        for result in results {
            let result = members(
                result,
                &[
                    "ruleId",
                    "ruleIndex",
                    "level",
                    "message",
                    "locations",
                    "relatedLocations",
                    "partialFingerprints",
                    "properties",
                ],
                &name,
            );
            let rule = &rules[result["ruleIndex"].as_u64().unwrap() as usize];
            assert_eq!(result["ruleId"], rule["id"]);
            assert!(["none", "note", "warning", "error"].contains(&result["level"].as_str().unwrap()));
            check_message(&result["message"], &name);
            let places = result["locations"].as_array().unwrap();
            assert!(!places.is_empty(), "code scanning needs a place: {name}");
            let related = result["relatedLocations"].as_array().unwrap();
            let consequences =
                report.evidence.iter().filter(|item| item.role == EvidenceRole::Consequence).count();
            assert_eq!(related.len(), report.evidence.len() - consequences);
            for place in places.iter().chain(related) {
                check_location(place, &name);
            }
            let mut ids: Vec<u64> = related.iter().map(|place| place["id"].as_u64().unwrap()).collect();
            ids.dedup();
            assert_eq!(ids.len(), related.len());
            for fingerprint in result["partialFingerprints"].as_object().unwrap().values() {
                text(fingerprint, &name);
            }
        }
    }
}

/// An element with its depth and attributes.
type Element = (usize, String, Vec<(String, String)>);

/// Elements with their depth and attributes, of a document without comments, sections and entities
/// of its own; fails where it is not well-formed.
fn elements(xml: &str) -> Vec<Element> {
    let body = xml.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").expect("a declaration");
    let mut open: Vec<String> = Vec::new();
    let mut found = Vec::new();
    let mut rest = body;
    while let Some(at) = rest.find('<') {
        let (before, tail) = rest.split_at(at);
        check_text(before);
        let end = tail.find('>').expect("a tag ends");
        let tag = &tail[1..end];
        rest = &tail[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name));
            continue;
        }
        let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut list: Vec<(String, String)> = Vec::new();
        while !attributes.trim().is_empty() {
            let (key, tail) = attributes.trim_start().split_once("=\"").expect("an attribute");
            let (value, tail) = tail.split_once('"').expect("a value ends");
            check_text(value);
            assert!(!list.iter().any(|(known, _)| known == key), "`{key}` twice");
            list.push((key.to_owned(), value.to_owned()));
            attributes = tail;
        }
        found.push((open.len(), name.to_owned(), list));
        open.push(name.to_owned());
    }
    check_text(rest);
    assert!(open.is_empty(), "{open:?} do not end");
    found
}

fn check_text(text: &str) {
    for (at, _) in text.match_indices('&') {
        let tail = &text[at..];
        assert!(["&amp;", "&lt;", "&gt;", "&quot;"].iter().any(|entity| tail.starts_with(entity)), "{tail}");
    }
    assert!(!text.contains(|character: char| {
        character.is_control() && character != '\n'
            || matches!(character, '<' | '>' | '\u{fffe}' | '\u{ffff}')
    }));
}

#[test]
fn junit_is_well_formed_and_counts_its_cases() {
    for (name, report) in reports() {
        let xml = report.to_junit();
        let all = elements(&xml);
        let depth_of = [("testsuites", 0), ("testsuite", 1), ("testcase", 2), ("failure", 3), ("error", 3)];
        for (depth, element, attributes) in &all {
            assert!(depth_of.contains(&(element.as_str(), *depth)), "{name}: {element} at {depth}");
            let needed: &[&str] = match element.as_str() {
                "testcase" => &["classname", "name"],
                "failure" | "error" => &["message", "type"],
                _ => &["name", "tests", "failures", "errors", "time"],
            };
            for key in needed {
                assert!(attributes.iter().any(|(known, _)| known == key), "{name}: {element} without {key}");
            }
        }
        let count = |wanted: &str| all.iter().filter(|(_, element, _)| element == wanted).count();
        let total = |key: &str| {
            let suite = all.iter().find(|(_, element, _)| element == "testsuite").unwrap();
            suite.2.iter().find(|(known, _)| known == key).unwrap().1.parse::<usize>().unwrap()
        };
        assert_eq!(
            (count("testcase"), count("failure"), count("error")),
            (total("tests"), total("failures"), total("errors"))
        );
        assert_eq!(total("tests"), total("failures") + total("errors"));
        let is_failed =
            matches!(report.status, rca_engine::Status::CauseFound | rca_engine::Status::NoCauseFound);
        assert_eq!(total("tests") > 0, is_failed, "{name}");
    }
}

#[test]
fn links_lead_only_to_the_file_that_was_given() {
    let report = analyze(b"$ make\na.c:1:1: error: see http://evil.example/ \x1b]8;;http://evil.example/\x07here\x1b]8;;\x07\nmake: *** [a] Error 1\n");
    let options = |color, path: &str| HumanOptions { color, width: 80, path: Some(path.to_owned()) };
    let text = report.to_human(options(true, "/tmp/a b;\u{7}.log"));
    let links: Vec<&str> =
        text.split("\u{1b}]8;;").skip(1).map(|part| part.split('\u{1b}').next().unwrap()).collect();
    assert!(!links.is_empty());
    assert!(links.iter().all(|link| link.is_empty() || *link == "file:///tmp/a%20b%3B%07.log"), "{links:?}");
    for plain in [report.to_human(options(false, "/tmp/a.log")), report.to_human(options(true, "a.log"))] {
        assert!(!plain.contains("\u{1b}]8"));
    }
    assert!(!report.to_human(options(false, "/tmp/a.log")).contains('\u{1b}'));
    let narrow = report.to_human(HumanOptions { color: false, width: 20, path: None });
    assert!(narrow.lines().take_while(|line| !line.is_empty()).all(|line| line.chars().count() <= 60));
}

#[derive(Debug)]
struct Loud;

impl rca_engine::Detector for Loud {
    fn detect(&self, line: &str) -> Option<Finding> {
        line.contains("boom").then(|| {
            Finding::new("loud", Category::Network)
                .with_cause("@all ``` /close #1 !2")
                .with_fix("/merge\n@team fixes #3 [x](http://evil.example) <script> password=hunter2hunter2")
        })
    }
}

/// A line of Markdown without its code: what stands between equal runs of backticks.
fn without_code(line: &str) -> String {
    let Some(at) = line.find('`') else { return line.to_owned() };
    let (prose, code) = line.split_at(at);
    let fence: String = code.chars().take_while(|character| *character == '`').collect();
    let rest = &code[fence.len()..];
    let end = rest.find(&format!(" {fence}")).expect("the code ends");
    format!("{prose}{}", without_code(&rest[end + 1 + fence.len()..]))
}

#[test]
fn texts_of_users_are_inert_in_markdown() {
    let mut analyzer = Analyzer::new().with_detector(std::sync::Arc::new(Loud));
    analyzer.push(b"$ run\nboom ``` ~~~ /close @all\n");
    let markdown = analyzer.finish().to_markdown();
    let mut is_fenced = false;
    for line in markdown.lines() {
        if line.starts_with("````") {
            is_fenced = !is_fenced;
        } else if !is_fenced {
            assert!(!line.starts_with('/'), "{line}");
            let prose = without_code(line);
            for hook in ["@all", "@team", "#3", "[x]", "<script", "http://"] {
                assert!(!prose.contains(hook), "{hook} in {line}");
            }
        }
    }
    assert!(!is_fenced);
    assert!(!markdown.contains("hunter2"), "{markdown}");
}
