//! The block below the heading of a failed test: where it failed, and with what.

use std::sync::LazyLock;

use regex::Regex;

use crate::literals::Literals;

/// What one line of the block says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Said<'a> {
    /// A file of the project and a line in it.
    pub(crate) place: Option<(&'a str, u64)>,
    /// The place is deeper in the call stack than the ones before, as Python prints them.
    pub(crate) deeper: bool,
    /// The error itself.
    pub(crate) message: Option<&'a str>,
    /// The line ends a Python traceback.
    pub(crate) ends_traceback: bool,
}

/// Frames of every runtime: one alternative each, so that a line is matched once.
static FRAME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        // Python
        r#"^\s*File "(?P<python>[^"]+)", line (?P<python_line>\d+)"#,
        // JVM
        r"|^\s*(?:\[\w+\]\s+)?at (?P<class>[\w.$]+)\.[\w$<>]+\((?P<java>\w+\.(?:java|kt|scala|groovy)):(?P<java_line>\d+)\)",
        // JavaScript: `at f (path:1:2)`, `at path:1:2`, `❯ path:1:2`
        r"|^\s*(?:at |❯ )(?:.*\()?(?:file://)?(?P<js>[^\s():]+\.[cm]?[jt]sx?):(?P<js_line>\d+):\d+\)?$",
        // .NET
        r"|^\s*at .+ in (?P<net>\S.*\.(?:cs|fs|vb)):line (?P<net_line>\d+)$",
        // PHP
        r"|^(?P<php>/?\S+\.php):(?P<php_line>\d+)$",
        // Ruby: RSpec's `# ./spec/a_spec.rb:1:in`, Minitest's `[test/a_test.rb:1]:`
        r"|^\s*(?:# )?(?P<ruby>\.?/?[\w./-]+\.rb):(?P<ruby_line>\d+):in |\[(?P<mini>[\w./-]+\.rb):(?P<mini_line>\d+)\]:",
        // ExUnit
        r"|^\s+(?P<exs>\S+\.exs?):(?P<exs_line>\d+)(?:: .*)?$",
    ))
    .ok()
});

/// One of these is in every frame.
static FRAME_SIGNS: LazyLock<Literals> =
    LazyLock::new(|| Literals::new(["File \"", "at ", "❯ ", ".php:", ".rb:", ".ex:", ".exs:"]));

/// Reads one line below the heading of the failed test `name`.
pub(crate) fn read<'a>(name: &str, text: &'a str, in_traceback: bool) -> Said<'a> {
    let mut said = Said::default();
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return said;
    }
    if in_traceback && !text.starts_with([' ', '\t']) && is_python_exception(trimmed) {
        said.message = Some(trimmed);
        said.ends_traceback = true;
        return said;
    }
    let frame = FRAME.as_ref().filter(|_| FRAME_SIGNS.is_match(text.as_bytes()));
    if let Some(captures) = frame.and_then(|frame| frame.captures(text)) {
        let group = |file: &str, line: &str| {
            Some((captures.name(file)?.as_str(), captures.name(line)?.as_str().parse().ok()?))
        };
        said.place = [
            ("python", "python_line"),
            ("java", "java_line"),
            ("js", "js_line"),
            ("net", "net_line"),
            ("php", "php_line"),
            ("ruby", "ruby_line"),
            ("mini", "mini_line"),
            ("exs", "exs_line"),
        ]
        .into_iter()
        .find_map(|(file, line)| group(file, line))
        .filter(|(file, _)| !is_foreign(file));
        if let Some(class) = captures.name("class") {
            // Frames of the test's own class name its file; the others are libraries or helpers.
            let simple = class.as_str().split('$').next().unwrap_or_default();
            let simple = simple.rsplit('.').next().unwrap_or_default();
            let mut parts = name.split(|character: char| !character.is_alphanumeric() && character != '_');
            said.place = said.place.filter(|_| parts.any(|part| part == simple));
        }
        said.deeper = captures.name("python").is_some();
        return said;
    }
    let error = trimmed.split([':', ' ']).next().unwrap_or_default();
    if (error.ends_with("Error") || error.ends_with("Exception") || error.ends_with("Failure"))
        && error.starts_with(|character: char| character.is_ascii_alphabetic())
        && (trimmed.len() == error.len()
            || trimmed
                .get(error.len()..)
                .is_some_and(|rest| rest.starts_with(": ") || rest.starts_with(" [")))
    {
        said.message = Some(trimmed);
    }
    said
}

/// Whether the line that follows a traceback's frames names an exception.
fn is_python_exception(line: &str) -> bool {
    let name = line.split([':', ' ']).next().unwrap_or_default();
    let class = name.rsplit('.').next().unwrap_or_default();
    class.starts_with(|character: char| character.is_ascii_uppercase())
        && class.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && (line.len() == name.len() || line.as_bytes().get(name.len()) == Some(&b':'))
}

/// Files of runtimes and installed packages.
fn is_foreign(file: &str) -> bool {
    [
        "site-packages/",
        "dist-packages/",
        "node_modules/",
        "/lib/python",
        "node:",
        "internal/",
        "vendor/",
        "/gems/",
        "/rubies/",
        "<frozen",
        "(stdin)",
        "/unittest/",
        "/_pytest/",
    ]
    .iter()
    .any(|part| file.contains(part))
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn frames_of_the_project_are_places() {
        for (name, line, place) in [
            ("t", "  File \"/b/tests/till.py\", line 12, in test_sum", Some(("/b/tests/till.py", 12))),
            ("t", "  File \"/v/site-packages/purse.py\", line 12, in open", None),
            ("shop.TillTest.sums", "\tat shop.TillTest.sums(TillTest.java:31)", Some(("TillTest.java", 31))),
            ("shop.TillTest.sums", "\tat org.junit.Assert.fail(Assert.java:89)", None),
            ("t", "      at Context.<anonymous> (test/till.js:14:30)", Some(("test/till.js", 14))),
            ("t", "    at f (/b/node_modules/purse/a.js:1:2)", None),
            ("t", " ❯ src/till.test.ts:5:13", Some(("src/till.test.ts", 5))),
            ("t", "   at Shop.Till.Sum() in /b/Till.cs:line 7", Some(("/b/Till.cs", 7))),
            ("t", "/b/tests/TillTest.php:19", Some(("/b/tests/TillTest.php", 19))),
            ("t", "     # ./spec/till_spec.rb:9:in `block'", Some(("./spec/till_spec.rb", 9))),
            ("t", "TillTest#test_sum [test/till_test.rb:9]:", Some(("test/till_test.rb", 9))),
            ("t", "     test/till_test.exs:5", Some(("test/till_test.exs", 5))),
            ("t", "nothing here", None),
        ] {
            assert_eq!(read(name, line, false).place, place, "{line}");
        }
    }

    #[test]
    fn the_exception_ends_a_traceback() {
        let said = read("t", "shop.errors.PriceInvalid: price below zero", true);
        assert!(said.ends_traceback);
        assert_eq!(said.message, Some("shop.errors.PriceInvalid: price below zero"));
        assert!(!read("t", "    raise PriceInvalid(price)", true).ends_traceback);
        assert!(read("t", "KeyError", true).ends_traceback);
        assert!(!read("t", "a sentence", true).ends_traceback);
    }
}
