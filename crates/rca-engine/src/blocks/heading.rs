//! Names of failed tests that stand on another line than the failure.

/// Whether the line after the matched one is the name of the test.
pub(crate) fn names_below(rule: &str) -> bool {
    matches!(rule, "busted.failed" | "ginkgo.heading")
}

/// The name of the test, where the runner prints it above what failed. `above` begins with the nearest line.
pub(crate) fn name_above<'a>(rule: &str, mut above: impl Iterator<Item = &'a str>) -> Option<String> {
    match rule {
        "jasmine.failed" | "bats.failed" => {
            Some(without_mark(above.find(|line| !line.is_empty())?).to_owned())
        }
        "catch2.failed" => {
            // The name stands between two rules of dashes, each section of it on a line of its own.
            let is_dashes = |line: &&str| line.len() >= 60 && line.bytes().all(|byte| byte == b'-');
            above.find(is_dashes)?;
            let mut parts: Vec<&str> = above.take_while(|line| !is_dashes(line)).map(str::trim).collect();
            parts.reverse();
            Some(parts.join(", "))
        }
        _ => None,
    }
}

/// The line without the mark or the number in front of the name.
fn without_mark(line: &str) -> &str {
    let line = line.trim();
    let line = line.strip_prefix("✗ ").unwrap_or(line);
    let line = line.strip_prefix("not ok ").unwrap_or(line);
    let rest = line.trim_start_matches(|character: char| character.is_ascii_digit());
    if rest.len() == line.len() { line } else { rest.trim_start_matches([')', '-', ' ']) }
}

#[cfg(test)]
mod tests {
    use super::name_above;

    #[test]
    fn names_are_found_above() {
        let dashes = "-".repeat(79);
        let catch2 = format!("{dashes}\nadds up\n  with coins\n{dashes}\na.cpp:9\n....\n");
        for (rule, log, name) in [
            ("jasmine.failed", "1) Drawer adds up", Some("Drawer adds up")),
            ("bats.failed", " ✗ adds up", Some("adds up")),
            ("bats.failed", "not ok 2 adds up", Some("adds up")),
            ("bats.failed", "not ok 2 - 3 coins", Some("3 coins")),
            ("catch2.failed", catch2.as_str(), Some("adds up, with coins")),
            ("catch2.failed", "no heading", None),
            ("go.test", "x", None),
        ] {
            assert_eq!(name_above(rule, log.lines().rev()).as_deref(), name, "{log}");
        }
    }
}
