//! Foreign text in Markdown: a corpus of what people try, and whatever a generator thinks of.

use proptest::prelude::*;
use rca_flow::markdown::{code, cut, link, numbered_block, prose, visible};

const HOSTILE: &[&str] = &[
    "@all",
    "&#64;all",
    "@here and @group/sub",
    "fixes #1",
    "closes group/shop#12",
    "!42 &7 %3 ~bug $5 ^alert#1 [vulnerability:3]",
    "/merge",
    "/close",
    "\n/approve",
    "```\n/close\n```",
    "~~~\n/close",
    "````````",
    "`<b>`",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<!-- forge-rca:v1 0123 -->",
    "-->",
    "</details>",
    "[click](https://evil.example)",
    "![x](https://evil.example/track.png)",
    "[ref]: https://evil.example",
    "https://evil.example/path",
    "www.evil.example",
    "me@evil.example",
    "*bold* _it_ **b** ~~s~~",
    "# heading\n## another",
    "- [x] task\n1. one",
    "| a | b |\n|---|---|",
    "a\u{202e}gnp.exe",
    "zero\u{200b}width \u{feff}bom \u{e0041}tag",
    "line\u{2028}separator\rcarriage",
    "\u{1b}[31mred\u{1b}[0m \u{1b}]8;;https://evil.example\u{7}link\u{1b}]8;;\u{7}",
    "    indented code",
    "\\`not escaped\\`",
    "deadbeefcafe0123456789abcdef0123456789ab",
    ":tada: ::set-env name=x::y ##vso[task.complete]",
    "",
    "   ",
];

/// Nothing of what forges and browsers react to, outside of code.
fn assert_inert(safe: &str, of: &str) {
    for (position, _) in safe.match_indices('@') {
        assert!(safe[position + 1..].starts_with('\u{200b}'), "a mention in {safe:?} of {of:?}");
    }
    for mark in ['#', '!', '%', '~', '$', ':'] {
        for (position, _) in safe.match_indices(mark) {
            assert!(
                safe[position + mark.len_utf8()..].starts_with('\u{200b}'),
                "{mark} in {safe:?} of {of:?}"
            );
        }
    }
    assert!(!safe.contains('<') && !safe.contains('>'), "HTML in {safe:?} of {of:?}");
    assert!(!safe.contains("://") && !safe.contains("www.e"), "a link in {safe:?} of {of:?}");
    assert!(!safe.contains('\n') && !safe.contains('\r'), "a second line in {safe:?} of {of:?}");
    assert!(!safe.starts_with('/'), "a quick action in {safe:?} of {of:?}");
    let mut is_escaped = false;
    for character in safe.chars() {
        if matches!(character, '`' | '*' | '_' | '[' | ']' | '(' | ')' | '|') {
            assert!(is_escaped, "live {character} in {safe:?} of {of:?}");
        }
        is_escaped = character == '\\' && !is_escaped;
    }
}

/// The span is what Markdown takes for one: it opens and closes with a run that stands nowhere inside.
fn assert_span(span: &str, of: &str) {
    if span == "\u{2014}" {
        return;
    }
    let ticks = span.len() - span.trim_start_matches('`').len();
    assert!(ticks > 0 && span.ends_with(&"`".repeat(ticks)), "{span:?} of {of:?}");
    let inner = &span[ticks..span.len() - ticks];
    assert!(inner.split(|character| character != '`').all(|run| run.len() != ticks), "{span:?} of {of:?}");
    assert!(!inner.contains('\n'));
}

fn assert_block(block: &str, of: &[String]) {
    let lines: Vec<&str> = block.lines().collect();
    let fence = lines[0].trim_end_matches("text");
    assert!(fence.len() >= 3 && fence.chars().all(|character| character == '`'));
    assert_eq!(lines[lines.len() - 1], fence);
    assert_eq!(lines.len(), of.len() + 2, "{block}");
    for line in &lines[1..lines.len() - 1] {
        assert!(!line.contains(fence), "the fence can be closed by {line:?}");
        assert!(line.starts_with([' ', '>']) && line.contains(" | "), "{line:?}");
    }
}

#[test]
fn the_corpus_is_inert() {
    for text in HOSTILE {
        assert_inert(&prose(text), text);
        assert_span(&code(text), text);
        let lines = vec![(*text).to_owned(), (*text).to_owned()];
        assert_block(&numbered_block(&lines, 41, 42), &lines);
        for hidden in ['\u{202e}', '\u{feff}', '\u{e0041}', '\u{2028}', '\u{1b}'] {
            assert!(!visible(text).contains(hidden));
            assert!(!prose(text).contains(hidden) && !code(text).contains(hidden));
        }
    }
}

#[test]
fn hidden_characters_are_named() {
    assert_eq!(visible("a\u{202e}b"), "a<U+202E>b");
    assert_eq!(visible("tab\tstays, bell\u{7}"), "tab\tstays, bell<U+0007>");
    assert_eq!(visible("ordinary \u{e9}\u{4e2d}\u{1f600}"), "ordinary \u{e9}\u{4e2d}\u{1f600}");
}

#[test]
fn lines_keep_their_numbers_and_the_focus_its_mark() {
    let lines = vec!["one".to_owned(), "two".to_owned()];
    assert_eq!(numbered_block(&lines, 99, 100), "```text\n  99 | one\n>100 | two\n```\n");
    let ticks = vec!["````` five".to_owned()];
    assert!(numbered_block(&ticks, 1, 1).starts_with("``````text\n"));
}

#[test]
fn only_web_addresses_become_links() {
    assert_eq!(link("run 7", Some("https://forge.example/r/7")), "[run 7](<https://forge.example/r/7>)");
    for url in ["javascript:alert(1)", "data:text/html,x", "not a url", "https://u:p@forge.example/"] {
        assert_eq!(link("x", Some(url)), "x", "{url}");
    }
    assert_eq!(link("x", None), "x");
    let broken = link("x", Some("https://forge.example/a)b>c<d\"e`f|g\\h i\nj"));
    assert_eq!(broken.matches(['<', '>', ')', '(']).count(), 4, "{broken}");
}

#[test]
fn cutting_counts_characters() {
    assert_eq!(cut("\u{e9}\u{e9}\u{e9}", 3), "\u{e9}\u{e9}\u{e9}");
    assert_eq!(cut("\u{e9}\u{e9}\u{e9}", 2), "\u{e9}\u{e9}\u{2026}");
}

proptest! {
    #[test]
    fn anything_is_inert(text in any::<String>()) {
        assert_inert(&prose(&text), &text);
        assert_span(&code(&text), &text);
    }

    #[test]
    fn markup_soup_is_inert(text in "[`@#!/<>&:\\[\\]()~*_|\\\\ \n\ra-c0-9.w-]{0,60}") {
        assert_inert(&prose(&text), &text);
        assert_span(&code(&text), &text);
        let lines = vec![text.clone()];
        assert_block(&numbered_block(&lines, 1, 1), &lines);
    }
}
