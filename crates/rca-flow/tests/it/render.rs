//! The comment, as people read it.

use rca_flow::render::{FailedJob, Markup, ShownRun, Story, comment, gist, marker, status_line};

use rca_engine::{Category, Consequence, Evidence, EvidenceRole, Report, Retry, Status};

use crate::stub::PYTEST;

const PUBLIC: &str = "https://rca.example/";

fn run(number: &str) -> ShownRun {
    ShownRun {
        number: number.to_owned(),
        name: Some("checks".to_owned()),
        url: Some(format!("https://forge.example/runs/{number}")),
        attempt: 1,
    }
}

fn job(name: &str, log: &str) -> FailedJob {
    FailedJob {
        analysis_id: format!("id-{}", name.len()),
        name: name.to_owned(),
        url: Some("https://forge.example/jobs/7".to_owned()),
        attempt: 1,
        report: Some(rca_engine::analyze(log.as_bytes())),
        missing: None,
        introduced_by: None,
        memory: None,
    }
}

/// A report whose shown parts are given, so that the goldens are about the comment and not about the engine.
fn report(cause: &str, excerpt: &[&str], first: u64, focus: u64) -> Report {
    let mut report = rca_engine::analyze(b"");
    report.status = Status::CauseFound;
    report.root_cause = cause.to_owned();
    report.fingerprint = crate::stub::sha256(cause);
    report.explanation = "The compiler rejected the source.".to_owned();
    report.fix_suggestion = "Fix the first reported error; `main.c` and @team may know more.".to_owned();
    report.category = Category::CompileError;
    report.confidence = 0.84;
    report.retry_likely_helps = Retry::Yes;
    report.evidence = vec![Evidence {
        rank: 1,
        start_line: first,
        end_line: first + excerpt.len() as u64 - 1,
        focus_line: focus,
        role: EvidenceRole::Cause,
        step: "make".to_owned(),
        rule: "compiler".to_owned(),
        score: 100,
        why: Vec::new(),
        excerpt: excerpt.iter().map(|line| (*line).to_owned()).collect(),
    }];
    // The same lines again, as overlapping evidence does.
    report.evidence.push(Evidence { rank: 2, ..report.evidence[0].clone() });
    report.consequences = vec![Consequence { start_line: 99, end_line: 99, rule: "make".to_owned() }];
    report
}

fn shown(name: &str) -> FailedJob {
    let excerpt = ["gcc -c main.c", "main.c:3:5: error: 'total' undeclared", "    total += 1;"];
    FailedJob {
        report: Some(report("main.c:3:5: error: 'total' undeclared", &excerpt, 98, 99)),
        ..job(name, "")
    }
}

fn red(jobs: Vec<FailedJob>) -> Story {
    Story::Red { runs: vec![run("17")], jobs, pending: 0, fixed: 0 }
}

fn mark() -> String {
    marker(PUBLIC, "1", "pr:42", Markup::Html)
}

#[test]
fn one_job() {
    insta::assert_snapshot!(comment(
        &red(vec![shown("unit")]),
        &mark(),
        Some(PUBLIC.trim_end_matches('/')),
        60_000,
        Markup::Html
    ));
}

#[test]
fn one_cause_in_many_jobs_and_one_without_a_log() {
    let mut jobs = vec![shown("unit 3.11"), shown("unit 3.12"), shown("unit 3.13")];
    jobs.push(FailedJob {
        report: None,
        missing: Some("the log has expired or was erased".to_owned()),
        ..job("lint", "")
    });
    let story = Story::Red { runs: vec![run("18"), run("17")], jobs, pending: 2, fixed: 1 };
    insta::assert_snapshot!(comment(
        &story,
        &mark(),
        Some(PUBLIC.trim_end_matches('/')),
        60_000,
        Markup::Html
    ));
}

#[test]
fn green() {
    let fixed = vec!["unit".to_owned(), "`lint` @all".to_owned()];
    insta::assert_snapshot!(comment(
        &Story::Green { run: run("19"), fixed },
        &mark(),
        Some(PUBLIC.trim_end_matches('/')),
        60_000,
        Markup::Html
    ));
}

#[test]
fn hostile_text_everywhere() {
    let excerpt = [
        "```",
        "/close",
        "~~~",
        "@all <img src=x> [x](http://evil.example) \u{202e}",
        "main.c:3:5: error: '@team' undeclared; fixes #1 ```` /merge",
    ];
    let mut hostile = job("@all `x` <b>\n/merge](http://evil.example)", "");
    let mut report = report(excerpt[4], &excerpt, 5, 9);
    report.explanation = "/close @all fixes #1 <script>".to_owned();
    report.fix_suggestion = "/merge\n/close [x](http://evil.example) ![x](http://evil.example)".to_owned();
    report.evidence[0].step = "`x` @all\n/close".to_owned();
    hostile.report = Some(report);
    hostile.url = Some("javascript:alert(1)".to_owned());
    let text =
        comment(&red(vec![hostile]), &mark(), Some(PUBLIC.trim_end_matches('/')), 60_000, Markup::Html);
    let mut fence: Option<String> = None;
    for line in text.lines() {
        match &fence {
            Some(open) if line == open => fence = None,
            Some(_) => {}
            None if line.starts_with("```") => fence = Some(line.trim_end_matches("text").to_owned()),
            None => {
                assert!(!line.starts_with('/'), "a quick action: {line}");
                assert!(!line.contains("@all") || line.contains('`'), "a mention: {line}");
                assert!(!line.contains("javascript:"), "{line}");
            }
        }
    }
    assert!(fence.is_none(), "a fence stays open");
    assert!(!text.contains('\u{202e}'));
    assert_eq!(text.matches("<!--").count(), 1);
    insta::assert_snapshot!(text);
}

#[test]
fn what_does_not_fit_is_counted() {
    let jobs: Vec<_> = (0..300)
        .map(|number| {
            job(
                &format!("job {number}"),
                &format!("$ run\nthing_{number}_x{}: command not found\n", "y".repeat(number % 50)),
            )
        })
        .collect();
    for limit in [2_000, 8_000, 32_767, 65_000] {
        let text =
            comment(&red(jobs.clone()), &mark(), Some(PUBLIC.trim_end_matches('/')), limit, Markup::Html);
        assert!(text.chars().count() <= limit, "{limit}: {}", text.chars().count());
        assert!(text.contains("300 jobs failed"));
        let sections = text.matches("\n#### ").count();
        let named: usize = text
            .lines()
            .filter_map(|line| line.strip_prefix("**")?.split(" more failed").next()?.parse::<usize>().ok())
            .sum();
        assert!(sections > 0 || limit < 3_000, "{limit}");
        if named > 0 {
            assert!(text.contains("not shown here"), "{limit}");
        }
        assert_eq!(
            text.matches("```text").count() * 2,
            text.matches("```").count(),
            "a block was cut at {limit}"
        );
    }
}

#[test]
fn the_mark_tells_installations_repositories_and_targets_apart() {
    let all = [
        marker("https://a.example/", "1", "pr:42", Markup::Html),
        marker("https://b.example/", "1", "pr:42", Markup::Html),
        marker("https://a.example/", "2", "pr:42", Markup::Html),
        marker("https://a.example/", "1", "pr:4", Markup::Html),
        marker("https://a.example/", "1p", "r:42", Markup::Html),
    ];
    for (index, one) in all.iter().enumerate() {
        assert!(all.iter().skip(index + 1).all(|other| other != one));
        assert!(!one.trim_start_matches("<!--").trim_end_matches("-->").contains("--"));
    }
}

#[test]
fn the_status_is_one_short_line() {
    let line = status_line(&red(vec![job("unit", PYTEST), job("two", PYTEST)]));
    assert!(line.starts_with("2 jobs failed: "), "{line}");
    assert!(line.chars().count() <= 141 && !line.contains('\n'));
    assert_eq!(status_line(&red(vec![job("x", "")])), "1 job failed: no cause found in the log");
}

#[test]
fn no_html_where_it_would_be_shown() {
    let mark = marker(PUBLIC, "1", "pr:42", Markup::NoHtml);
    let story = red(vec![shown("unit")]);
    let text = comment(&story, &mark, Some(PUBLIC.trim_end_matches('/')), 60_000, Markup::NoHtml);
    assert!(text.starts_with(&format!("{mark}\n\n### ")), "{text}");
    // Addresses of links stand in angle brackets; no tag does.
    assert!(!text.replace("(<https://", "").contains('<'), "{text}");
    assert!(text.chars().count() > 200, "{text}");
    for limit in [700, 1000, 5000] {
        let jobs = (0..200).map(|number| shown(&format!("unit {number}"))).collect();
        let text = comment(&red(jobs), &mark, None, limit, Markup::NoHtml);
        assert!(text.chars().count() <= limit, "{} of {limit}", text.chars().count());
    }
}

#[test]
fn the_gist_is_what_fails_and_not_where() {
    let unit = red(vec![shown("unit")]);
    let again = Story::Red { runs: vec![run("18")], jobs: vec![shown("unit")], pending: 0, fixed: 0 };
    assert_eq!(gist(&unit), gist(&again));
    let matrix = red(vec![shown("unit 1"), shown("unit 2")]);
    assert_eq!(gist(&unit), gist(&matrix), "one cause, more jobs");
    let more = red(vec![shown("unit"), job("lint", "")]);
    assert_ne!(gist(&unit), gist(&more));
    let green = Story::Green { run: run("19"), fixed: Vec::new() };
    let later = Story::Green { run: run("20"), fixed: vec!["unit".to_owned()] };
    assert_eq!(gist(&green), gist(&later));
    assert_ne!(gist(&green), gist(&unit));
}
