//! Measures the engine on labelled logs: `calibrate INDEX.json [--tier NAME] [--baseline] [--misses] [--out FILE]`.
//!
//! The index is `{"entries": [...]}`; an entry has `id`, `group` (the project), `path`, `tier`, `dialect`,
//! `truth` (pairs of first and last line, 1-based, of the raw log), `key_line`, `expect` (short text of the
//! key line, may be null), `categories` (accepted ones, may be null) and `baseline_path` (a passing log, may
//! be missing). Paths are relative to the index; `.gz` is unpacked.
//!
//! Projects are dealt into five folds by a hash of their name, so that logs of one project never stand on
//! both sides. Fold 0 is the set-aside one: its misses are never listed, so nobody tunes on them.
//! The confidence is fitted on all projects but one and judged on that one, for each in turn; the tables
//! that are printed last belong into `src/rank/confidence.rs`.

#![expect(clippy::indexing_slicing, reason = "a missing key of a JSON value reads as null")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rca_engine::{Analyzer, Baseline, Report, Signs, Status};
use serde_json::{Value, json};

/// Lines of one evidence item that count.
const CAP: u64 = 10;
/// Folds the projects are dealt into.
const FOLDS: u64 = 5;

/// What one log yielded.
#[derive(Debug)]
struct Scored {
    id: String,
    group: String,
    tier: String,
    dialect: String,
    fold: u64,
    /// Rank of the first evidence item that holds a cause line, and the key line.
    cause: Option<usize>,
    key: Option<usize>,
    category: Option<bool>,
    shown: u64,
    claimed: bool,
    /// A cause is claimed on the passing log.
    alarm: Option<bool>,
    summary: Value,
    confidence: f64,
    signs: Option<Signs>,
    fingerprint: String,
    /// The labelled key line without its numbers and hashes.
    key_text: String,
}

fn main() -> io::Result<()> {
    let mut tier = "core".to_owned();
    let (mut index, mut out, mut use_baseline, mut misses) = (None, None, false, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--tier" => tier = arguments.next().unwrap_or(tier),
            "--out" => out = arguments.next(),
            "--baseline" => use_baseline = true,
            "--misses" => misses = true,
            _ => index = Some(PathBuf::from(argument)),
        }
    }
    let index = index.ok_or_else(|| {
        io::Error::other(
            "usage: calibrate INDEX.json [--tier core|extended|all] [--baseline] [--misses] [--out FILE]",
        )
    })?;
    let home = index.parent().unwrap_or(Path::new("."));
    let parsed: Value = serde_json::from_reader(File::open(&index)?)?;
    let entries: Vec<&Value> = parsed["entries"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|entry| tier == "all" || entry["tier"] == tier.as_str())
        .filter(|entry| !use_baseline || entry["baseline_path"].is_string())
        .collect();
    let scored = score_all(&entries, home, use_baseline)?;
    if scored.is_empty() {
        return Err(io::Error::other("the index names no log of this tier"));
    }
    let mut print = io::stdout().lock();
    print_figures(&mut print, &scored)?;
    print_confidence(&mut print, &scored)?;
    print_fingerprints(&mut print, &scored)?;
    if misses {
        let rows = scored.iter().filter(|row| row.fold != 0);
        for row in rows.filter(|row| row.cause != Some(1) || row.category == Some(false)) {
            let Scored { id, cause, key, category, summary, .. } = row;
            writeln!(print, "{id}: cause {cause:?} key {key:?} category {category:?}\n    {summary}")?;
        }
    }
    if let Some(out) = out {
        let rows: Vec<Value> = scored
            .iter()
            .map(|row| {
                json!({"id": row.id, "group": row.group, "fold": row.fold, "cause": row.cause,
                    "key": row.key, "category": row.category, "confidence": row.confidence,
                    "shown": row.shown, "signs": row.signs.map(|signs| (signs.lead, signs.went_on)), "summary": row.summary})
            })
            .collect();
        serde_json::to_writer(File::create(out)?, &rows)?;
    }
    Ok(())
}

/// Analyses all logs on two threads, in the order of the index.
fn score_all(entries: &[&Value], home: &Path, use_baseline: bool) -> io::Result<Vec<Scored>> {
    let next = AtomicUsize::new(0);
    let work = || -> io::Result<Vec<(usize, Scored)>> {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(entry) = entries.get(at) else { return Ok(done) };
            done.push((at, score(entry, home, use_baseline)?));
        }
    };
    let mut all = std::thread::scope(|scope| -> io::Result<Vec<(usize, Scored)>> {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().map_err(|_| io::Error::other("an analysis panicked"))??);
        }
        Ok(all)
    })?;
    all.sort_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, row)| row).collect())
}

fn score(entry: &Value, home: &Path, use_baseline: bool) -> io::Result<Scored> {
    let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let log = read(&home.join(text("path")))?;
    let green = match entry["baseline_path"].as_str() {
        Some(path) => Some(read(&home.join(path))?),
        None => None,
    };
    let mut baseline = Baseline::new();
    if let Some(green) = green.as_ref().filter(|_| use_baseline) {
        let mut learner = baseline.learn();
        learner.push(green);
        baseline = learner.finish();
    }
    let mut analyzer = Analyzer::new().with_baseline(baseline);
    analyzer.push(&log);
    let (report, signs) = analyzer.finish_with_signs();

    let lines: Vec<&[u8]> = log.split(|byte| *byte == b'\n').collect();
    let expect = text("expect");
    let truth: Vec<(u64, u64)> = entry["truth"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|range| (range[0].as_u64().unwrap_or(0), range[1].as_u64().unwrap_or(0)))
        .collect();
    let expected = |number: u64| {
        let raw = usize::try_from(number).ok().and_then(|number| lines.get(number.saturating_sub(1)));
        !expect.is_empty() && raw.is_some_and(|raw| plain(raw).contains(&expect))
    };
    let is_key = |number: u64| entry["key_line"] == number || expected(number);
    let is_cause = |number: u64| {
        expected(number) || truth.iter().any(|(first, last)| (*first..=*last).contains(&number))
    };
    let rank = |hit: &dyn Fn(u64) -> bool| {
        let found = report
            .evidence
            .iter()
            .position(|item| (item.start_line..=item.end_line.min(item.start_line + CAP - 1)).any(hit));
        found.map(|at| at + 1)
    };
    let key = entry["key_line"].as_u64().and_then(|number| usize::try_from(number).ok());
    let key_text = key.and_then(|number| lines.get(number.saturating_sub(1)));
    let key_text = key_text.map(|raw| without_numbers(&plain(raw))).unwrap_or_default();
    let category = serde_json::to_value(report.category)?;
    let group = text("group");
    Ok(Scored {
        id: text("id"),
        dialect: text("dialect"),
        fold: fold(&group),
        group,
        cause: rank(&is_cause),
        key: rank(&is_key),
        category: entry["categories"].as_array().map(|accepted| accepted.contains(&category)),
        shown: report.evidence.iter().map(|item| item.end_line - item.start_line + 1).sum(),
        claimed: report.status == Status::CauseFound,
        alarm: green.map(|green| rca_engine::analyze(&green).status == Status::CauseFound),
        summary: summary(&report, entry),
        confidence: report.confidence,
        signs,
        fingerprint: report.fingerprint,
        key_text,
        tier: text("tier"),
    })
}

/// What a person needs to see why a log was missed.
fn summary(report: &Report, entry: &Value) -> Value {
    let evidence: Vec<Value> = report
        .evidence
        .iter()
        .map(|item| {
            let focus = item.excerpt.get((item.focus_line - item.start_line) as usize);
            json!([item.start_line, item.end_line, item.rule, item.score, focus])
        })
        .collect();
    json!({"status": report.status, "category": report.category, "accepted": entry["categories"],
        "truth": entry["truth"], "key_line": entry["key_line"], "expect": entry["expect"],
        "fingerprint": report.fingerprint, "template": report.template, "dialect": entry["dialect"],
        "confidence": report.confidence, "tests": report.failing.tests.iter().map(|test| json!([test.name, test.file, test.line, test.message])).collect::<Vec<_>>(),
        "tool": entry["tool"], "why": report.evidence.first().map(|item| &item.why), "evidence": evidence})
}

fn print_figures(print: &mut impl Write, scored: &[Scored]) -> io::Result<()> {
    writeln!(
        print,
        "{:<16} {:>4} {:>8} {:>8} {:>7} {:>7} {:>9} {:>7}",
        "logs", "n", "cause@1", "cause@5", "key@1", "key@5", "category", "lines"
    )?;
    let all: Vec<&Scored> = scored.iter().collect();
    print_row(print, "all", &all)?;
    for fold in 0..FOLDS {
        let rows: Vec<&Scored> = scored.iter().filter(|row| row.fold == fold).collect();
        let name = if fold == 0 { "fold 0 (aside)".to_owned() } else { format!("fold {fold}") };
        print_row(print, &name, &rows)?;
    }
    let mut dialects: BTreeMap<&str, Vec<&Scored>> = BTreeMap::new();
    let mut groups: BTreeMap<&str, Vec<&Scored>> = BTreeMap::new();
    for row in scored {
        dialects.entry(&row.dialect).or_default().push(row);
        groups.entry(&row.group).or_default().push(row);
    }
    for (name, rows) in dialects {
        print_row(print, name, &rows)?;
    }
    let by_project: f64 = groups.values().map(|rows| share(rows, |row| row.cause == Some(1))).sum::<f64>()
        / groups.len() as f64;
    writeln!(print, "projects: {}; cause@1 with each project counted once: {by_project:.3}", groups.len())?;
    let alarms = scored.iter().filter(|row| row.alarm == Some(true)).count();
    let green = scored.iter().filter(|row| row.alarm.is_some()).count();
    writeln!(print, "passing logs: {green}; a cause claimed on {alarms}")
}

fn print_row(print: &mut impl Write, name: &str, rows: &[&Scored]) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let within = |rank: Option<usize>, most: usize| rank.is_some_and(|rank| rank <= most);
    let judged: Vec<&Scored> = rows.iter().copied().filter(|row| row.category.is_some()).collect();
    let mut lines: Vec<u64> = rows.iter().map(|row| row.shown).collect();
    lines.sort_unstable();
    writeln!(
        print,
        "{name:<16} {:>4} {:>8.3} {:>8.3} {:>7.3} {:>7.3} {:>9.3} {:>7}",
        rows.len(),
        share(rows, |row| within(row.cause, 1)),
        share(rows, |row| within(row.cause, 5)),
        share(rows, |row| within(row.key, 1)),
        share(rows, |row| within(row.key, 5)),
        share(&judged, |row| row.category == Some(true)),
        lines.get(lines.len() / 2).copied().unwrap_or(0),
    )
}

fn share(rows: &[&Scored], is_hit: impl Fn(&Scored) -> bool) -> f64 {
    rows.iter().filter(|row| is_hit(row)).count() as f64 / rows.len().max(1) as f64
}

/// Fits the model to all projects but one and judges it on that one, for each in turn; then fits it to all.
fn print_confidence(print: &mut impl Write, scored: &[Scored]) -> io::Result<()> {
    let claims: Vec<&Scored> = scored.iter().filter(|row| row.claimed).collect();
    writeln!(print, "confidence as stated:")?;
    print_bins(print, claims.iter().map(|row| (*row, row.confidence)).collect())?;
    let signed: Vec<(&Scored, Signs)> = claims.iter().filter_map(|row| Some((*row, row.signs?))).collect();
    let mut models: BTreeMap<&str, Model> = BTreeMap::new();
    let judged: Vec<(&Scored, f64)> = signed
        .iter()
        .map(|(row, signs)| {
            let model = models
                .entry(&row.group)
                .or_insert_with(|| fit(signed.iter().filter(|(other, _)| other.group != row.group)));
            (*row, (predict(model, signs) * 100.0).round() / 100.0)
        })
        .collect();
    writeln!(print, "confidence fitted on the other projects, to two digits:")?;
    print_bins(print, judged.clone())?;
    for tier in ["core", "extended"] {
        let of_tier: Vec<_> = judged.iter().copied().filter(|(row, _)| row.tier == tier).collect();
        if !of_tier.is_empty() && of_tier.len() < judged.len() {
            writeln!(print, "  of these {tier}:")?;
            print_bins(print, of_tier)?;
        }
    }
    let model = fit(signed.iter());
    for (name, went_on) in [("RIGHT", false), ("RIGHT_WENT_ON", true)] {
        let at = |lead: f64| logistic(model[0] + model[1] * lead + model[2] * f64::from(u8::from(went_on)));
        let table: Vec<String> = (0..4).map(|step| format!("{:.2}", at(f64::from(step) / 3.0))).collect();
        writeln!(print, "fitted on all: const {name}: [f64; 4] = [{}];", table.join(", "))?;
    }
    writeln!(print, "fitted on all: const RIGHT_GENERAL: f64 = {:.2};", model[3])
}

/// The weights of the logistic model's terms, and how often general wording is right.
type Model = [f64; 4];

/// The logistic model's terms: always, the lead, the job went on.
fn terms(signs: &Signs) -> [f64; 3] {
    [1.0, signs.lead, f64::from(u8::from(signs.went_on))]
}

fn logistic(sum: f64) -> f64 {
    1.0 / (1.0 + (-sum).exp())
}

fn predict(model: &Model, signs: &Signs) -> f64 {
    let right = logistic(model.iter().zip(terms(signs)).map(|(weight, term)| weight * term).sum());
    if signs.general { right.min(model[3]) } else { right }
}

/// Logistic regression by Newton's method. A project of n logs weighs as much as the root of n, and the
/// weights of the signs are held back (ridge), so that neither one project nor rare signs decide.
fn fit<'a>(rows: impl Iterator<Item = &'a (&'a Scored, Signs)>) -> Model {
    const RIDGE: f64 = 0.3;
    let rows: Vec<_> = rows.collect();
    let general: Vec<_> = rows.iter().filter(|(_, signs)| signs.general).collect();
    // Begins with two claims of which one and a half are right, since there are few.
    let right = general.iter().filter(|(row, _)| row.cause == Some(1)).count() as f64;
    let general = (right + 1.5) / (general.len() as f64 + 2.0);
    let mut sizes: BTreeMap<&str, f64> = BTreeMap::new();
    for (row, _) in &rows {
        *sizes.entry(&row.group).or_default() += 1.0;
    }
    let mut model: Model = [2.0, 0.0, 0.0, general];
    for _ in 0..30 {
        let mut gradient = [0.0, -RIDGE * model[1], -RIDGE * model[2]];
        let mut curve = [[1e-6, 0.0, 0.0], [0.0, RIDGE, 0.0], [0.0, 0.0, RIDGE]];
        for (row, signs) in &rows {
            let weight = sizes[row.group.as_str()].sqrt().recip();
            let (terms, said) = (terms(signs), predict(&model, signs));
            let right = f64::from(u8::from(row.cause == Some(1)));
            for i in 0..3 {
                gradient[i] += weight * (right - said) * terms[i];
                for j in 0..3 {
                    curve[i][j] += weight * said * (1.0 - said) * terms[i] * terms[j];
                }
            }
        }
        for i in 0..3 {
            for j in (0..3).filter(|j| *j != i) {
                let factor = curve[j][i] / curve[i][i];
                let above = curve[i];
                curve[j].iter_mut().zip(above).for_each(|(value, from)| *value -= factor * from);
                gradient[j] -= factor * gradient[i];
            }
        }
        for i in 0..3 {
            model[i] += gradient[i] / curve[i][i];
        }
    }
    model
}

/// Five bins of equal size in the order of what is said. Logs that say the same are dealt by a hash of their
/// name: in the order of the index one project would fill a bin.
fn print_bins(print: &mut impl Write, mut rows: Vec<(&Scored, f64)>) -> io::Result<()> {
    rows.sort_by(|left, right| left.1.total_cmp(&right.1).then(hash(&left.0.id).cmp(&hash(&right.0.id))));
    let size = rows.len().div_ceil(5).max(1);
    let mut worst: f64 = 0.0;
    for bin in rows.chunks(size) {
        let count = bin.len() as f64;
        let said = bin.iter().map(|row| row.1).sum::<f64>() / count;
        let right = bin.iter().filter(|row| row.0.cause == Some(1)).count() as f64 / count;
        worst = worst.max((said - right).abs());
        writeln!(print, "    said {said:.3} right {right:.3} of {count}")?;
    }
    writeln!(print, "    largest gap {worst:.3}")
}

/// Of two logs of one project, both with the right line first: whether the fingerprints are equal where the
/// labelled key lines are equal but for numbers and hashes, and different where those differ.
fn print_fingerprints(print: &mut impl Write, scored: &[Scored]) -> io::Result<()> {
    let right: Vec<&Scored> =
        scored.iter().filter(|row| row.cause == Some(1) && !row.key_text.is_empty()).collect();
    let (mut same, mut different) = ((0, 0), (0, 0));
    for (index, first) in right.iter().enumerate() {
        for second in right.iter().skip(index + 1).filter(|second| second.group == first.group) {
            let equal = first.fingerprint == second.fingerprint;
            if first.key_text == second.key_text {
                same = (same.0 + usize::from(equal), same.1 + 1);
            } else {
                different = (different.0 + usize::from(!equal), different.1 + 1);
            }
        }
    }
    writeln!(print, "pairs with one key line: {} of {} have one fingerprint", same.0, same.1)?;
    writeln!(print, "pairs with two key lines: {} of {} have two fingerprints", different.0, different.1)
}

/// The text with every run of digits, and every word of hex digits, as `#`.
fn without_numbers(text: &str) -> String {
    let is_word = |character: char| character.is_ascii_alphanumeric();
    let mut out = String::new();
    for part in text.trim().split_inclusive(|character| !is_word(character)) {
        let word = part.trim_end_matches(|character| !is_word(character));
        let is_hash = word.len() >= 7 && word.chars().all(|character| character.is_ascii_hexdigit());
        if is_hash {
            out.push('#');
        } else {
            let mut in_number = false;
            for character in word.chars() {
                if !character.is_ascii_digit() {
                    out.push(character);
                } else if !in_number {
                    out.push('#');
                }
                in_number = character.is_ascii_digit();
            }
        }
        out.push_str(&part[word.len()..]);
    }
    out
}

/// The fold of a project.
fn fold(group: &str) -> u64 {
    (hash(group) >> 32) % FOLDS
}

/// FNV-1a, so that it is the same everywhere.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |state, byte| {
        (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A line without control sequences and timestamps, as a person reads it.
fn plain(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\u{1b}' {
            out.push(character);
            continue;
        }
        if characters.next() == Some('[') {
            for next in characters.by_ref() {
                if ('@'..='~').contains(&next) {
                    break;
                }
            }
        }
    }
    out.replace('\r', "")
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    if path.extension().is_some_and(|extension| extension == "gz") {
        flate2::read::MultiGzDecoder::new(file).read_to_end(&mut bytes)?;
    } else {
        io::BufReader::new(file).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}
