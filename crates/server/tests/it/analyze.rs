use std::{fs, io::Write as _};

use serde_json::Value;

use crate::program::{Ran, run, run_with_input};

const FAILED: &str = "$ cargo build\n   Compiling shop v0.1.0 (/build/shop)\nerror[E0308]: mismatched types\n  --> src/main.rs:2:18\n   |\n2  |     let n: u32 = \"three\";\n   |            ---   ^^^^^^^ expected `u32`, found `&str`\n\nFor more information about this error, try `rustc --explain E0308`.\nerror: could not compile `shop` (bin \"shop\") due to 1 previous error\n";

fn cites_line_three(report: &Value) {
    assert_eq!(report["schema"], "forge-rca/report/1");
    assert_eq!(report["status"], "cause_found", "{report:#}");
    assert_eq!(report["category"], "compile_error");
    let evidence = &report["evidence"][0];
    let (start, end) = (evidence["start_line"].as_u64().unwrap(), evidence["end_line"].as_u64().unwrap());
    assert!(start <= 3 && 3 <= end, "the error stands on line 3, cited are {start} to {end}");
}

#[test]
fn reads_a_file_a_pipe_and_packed_logs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("build.log");
    fs::write(&path, FAILED).unwrap();
    let path = path.to_str().unwrap();
    cites_line_three(&run(&["analyze", "--format", "json", path]).json());
    cites_line_three(&run_with_input(&["analyze", "--format", "json", "-"], FAILED.as_bytes()).json());
    cites_line_three(&run_with_input(&["analyze", "--format", "json"], FAILED.as_bytes()).json());

    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(FAILED.as_bytes()).unwrap();
    let packed = packer.finish().unwrap();
    cites_line_three(&run_with_input(&["analyze", "--format", "json"], &packed).json());
    let gz = folder.path().join("build.log.gz");
    fs::write(&gz, &packed).unwrap();
    cites_line_three(&run(&["analyze", "--format", "json", gz.to_str().unwrap()]).json());
    let zst = folder.path().join("build.log.zst");
    fs::write(&zst, zstd::encode_all(FAILED.as_bytes(), 3).unwrap()).unwrap();
    cites_line_three(&run(&["analyze", "--format", "json", zst.to_str().unwrap()]).json());
}

#[test]
fn several_files_give_one_object_each() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one.log"), folder.path().join("two.log"));
    fs::write(&one, FAILED).unwrap();
    fs::write(&two, "all well\n").unwrap();
    let ran = run(&["analyze", "--format", "json", one.to_str().unwrap(), two.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let objects: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects.len(), 2);
    cites_line_three(&objects[0]);
    assert_ne!(objects[1]["status"], "cause_found");
    assert!(objects[1]["file"].as_str().unwrap().ends_with("two.log"));
}

#[test]
fn many_files_are_reported_in_the_order_they_were_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut arguments = vec!["analyze".to_owned(), "--format".to_owned(), "json".to_owned()];
    for index in 0..24_usize {
        let path = folder.path().join(format!("{index}.log"));
        // The first are the longest, so that with several threads the later ones are done before them.
        let noise = "copying the menu\n".repeat((24 - index) * 4000);
        // One of them is not there.
        if index != 7 {
            fs::write(&path, format!("{noise}till.c:{}:5: error: 'purse' undeclared\n", index + 1)).unwrap();
        }
        arguments.push(path.to_str().unwrap().to_owned());
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ran = run(&arguments);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("7.log"), "{}", ran.stderr);
    let lines: Vec<u64> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|report| report["failing"]["locations"][0]["line"].as_u64().unwrap())
        .collect();
    let expected: Vec<u64> = (1..=24).filter(|line| *line != 8).collect();
    assert_eq!(lines, expected);
}

#[test]
fn forms_for_people_show_the_cause_and_its_line() {
    for format in ["human", "markdown"] {
        let ran = run_with_input(&["analyze", "--format", format], FAILED.as_bytes());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.stdout.contains("mismatched types"), "{format}: {}", ran.stdout);
        assert!(ran.stdout.contains('3'), "{format} shows line numbers: {}", ran.stdout);
        assert!(!ran.stdout.contains('\u{1b}'), "{format}: no colour in a pipe");
    }
}

#[test]
fn rules_of_the_user_count_first() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.toml");
    let written = "[[rule]]\nid = \"flux\"\npattern = \"flux capacitor is dry\"\ncategory = \"config_error\"\n\
        cause = \"nobody refilled the capacitor\"\nfix = \"refill it\"\n";
    fs::write(&rules, written).unwrap();
    let log = folder.path().join("build.log");
    fs::write(&log, "$ ./drive\nflux capacitor is dry\nERROR: Job failed: exit code 1\n").unwrap();
    let (rules, log) = (rules.to_str().unwrap(), log.to_str().unwrap());
    let tried = run(&["rules", "test", "--rules", rules, log]);
    assert_eq!((tried.code, tried.stdout.trim()), (0, "flux: 1 line (2)"), "{}", tried.stderr);
    let report = run(&["analyze", "--rules", rules, "--format", "json", log]).json();
    assert_eq!(report["root_cause"], "nobody refilled the capacitor", "{report:#}");
    assert_eq!(report["evidence"][0]["focus_line"], 2);
    fs::write(folder.path().join("bad.toml"), "[[rule]]\nid = \"x\"\npattern = \"(\"\n").unwrap();
    let bad = run(&["rules", "test", "--rules", folder.path().join("bad.toml").to_str().unwrap(), log]);
    assert_unreadable(&bad, "x");
}

fn assert_unreadable(ran: &Ran, part: &str) {
    assert_eq!(ran.code, 2, "stdout: {} stderr: {}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains(part), "'{part}' is not in: {}", ran.stderr);
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
}

#[test]
fn bad_input_is_named() {
    let folder = tempfile::tempdir().unwrap();
    assert_unreadable(&run(&["analyze", "/nowhere/build.log"]), "/nowhere/build.log");
    assert_unreadable(&run(&["analyze", folder.path().to_str().unwrap()]), "folder");
    assert_unreadable(&run(&["analyze", "--format", "yaml", "x"]), "yaml");
    assert_unreadable(&run(&["analyse"]), "analyse");

    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(FAILED.repeat(500).as_bytes()).unwrap();
    let packed = packer.finish().unwrap();
    let cut = run_with_input(&["analyze", "--format", "json"], &packed[..packed.len() / 2]);
    // What could be read is reported and marked, and the fault is not hidden.
    assert!(cut.code == 2 || cut.json()["truncated"] == true, "{} {}", cut.code, cut.stderr);
}

#[test]
fn no_cause_is_invented() {
    for (input, status) in [
        (&b""[..], "not_a_log"),
        (&[0_u8, 159, 146, 150, 0, 1, 2, 3].repeat(4096)[..], "not_a_log"),
        (&b"$ cargo test\ntest result: ok. 3 passed; 0 failed; 0 ignored\n"[..], "not_failed"),
    ] {
        let ran = run_with_input(&["analyze", "--format", "json"], input);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let report = ran.json();
        assert_eq!(report["status"], status, "{report:#}");
        assert_eq!(report["evidence"].as_array().unwrap().len(), 0);
        assert_eq!(report["root_cause"], "");
    }
}

/// A log of `megabytes`, most of it noise, with candidates for a cause all over and the real one in its middle.
#[cfg(target_os = "linux")]
fn feed_noise(into: &mut impl std::io::Write, megabytes: usize) {
    let mut block = String::new();
    while block.len() < 1 << 20 {
        let line = block.len();
        block.push_str(&format!(
            "step {line}: compiled module_{line} in 0.{line} s, warning: retrying connection {line}\n"
        ));
    }
    for index in 0..megabytes {
        into.write_all(block.as_bytes()).unwrap();
        if index == megabytes / 2 {
            into.write_all(b"error[E0308]: mismatched types\n  --> src/main.rs:2:18\n").unwrap();
        }
    }
    into.write_all(b"error: could not compile `shop` (bin \"shop\") due to 1 previous error\n").unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_log() {
    use std::process::Stdio;
    let mut child = crate::program::command()
        .args(["analyze", "--format", "json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    feed_noise(&mut stdin, 128);
    // The pipe is empty but for its last few kilobytes; the process lives as long as it is open.
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let peak: u64 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["root_cause"], "error[E0308]: mismatched types", "{report:#}");
    assert!(peak < 64 * 1024, "{peak} KiB resident at the most");
    assert!(output.status.success());
}
