//! What changed, what was green before, what the forge itself has noted.

#![expect(clippy::indexing_slicing, reason = "a case that cannot go on may panic, like every test")]

use std::time::Duration;

use forge_core::{
    ErrorKind, Facts, ForgeClient, LogOptions,
    model::{
        Annotation, AnnotationLevel, Change, ChangedFile, Conclusion, FileChange, Job, LineRange,
        ReportedTest, Run, RunRef,
    },
};
use futures_util::TryStreamExt;

use super::{Harness, assert_no_unknown_request, requests, shop};
use crate::{ChangeSpec, JobSpec, PullSpec, RepoHandle, RunHandle, RunSpec};

const BASE: &str = "1111111111111111111111111111111111111111";
const MIDDLE: &str = "2222222222222222222222222222222222222222";
const HEAD: &str = "3333333333333333333333333333333333333333";
/// Replaces line 3 by two lines, and adds one further down that looks like a file header.
const PATCH: &str = "@@ -1,4 +1,5 @@\n fn main() {\n     let a = 1;\n-    let b = 2;\n+    let b = 3;\n+    let c = 4;\n }\n\
@@ -20,2 +21,3 @@ fn other() {\n one\n+++ two\n three\n";

fn facts(client: &dyn ForgeClient) -> &dyn Facts {
    client.facts().expect("claimed")
}

fn change(repo: &RepoHandle) -> ChangeSpec {
    ChangeSpec::new(repo, BASE, HEAD)
        .with_file("src/main.rs", FileChange::Modified, Some(PATCH))
        .with_file("src/new file.rs", FileChange::Added, Some("@@ -0,0 +1,2 @@\n+one\n+two\n"))
        .with_file("gone.rs", FileChange::Removed, Some("@@ -1,1 +0,0 @@\n-gone\n"))
        .with_renamed("old.rs", "moved.rs", "@@ -7,1 +7,1 @@\n-a\n+b\n")
        .with_commit(MIDDLE, "First half\n\nWith a body.")
        .with_commit(HEAD, "Second half")
}

async fn seen<H: Harness>(harness: &H, repo: &RepoHandle, run: &RunHandle) -> (Run, Vec<Job>) {
    let client = harness.client();
    let ci = client.ci().expect("facts about runs need CI");
    let found = ci.get_run(&repo.repo_ref(), &run.run_ref()).await.expect("the run is there");
    let jobs = ci.list_jobs(&repo.repo_ref(), &run.run_ref());
    (found, jobs.try_collect().await.expect("its jobs"))
}

/// Each method without its flag says so, and asks the forge nothing.
pub async fn what_is_not_claimed_sends_nothing<H: Harness>() {
    let harness = H::start().await;
    let can = harness.provider().capabilities();
    let (repo, client) = (shop(harness.fake()).repo_ref(), harness.client());
    let any = [can.diff, can.commits, can.green_jobs, can.test_reports, can.annotations, can.ci_config];
    assert_eq!(client.facts().is_some(), any.contains(&true), "facet and capabilities differ");
    let Some(facts) = client.facts() else { return };
    let (run, job) = (Run::new("1"), Job::new("2", "1", "test"));
    let change = Change::Commit(HEAD.to_owned());
    let mut results = Vec::new();
    if !can.diff {
        results.push(facts.diff(&repo, &change).await.err());
    }
    if !can.commits {
        results.push(facts.commits_between(&repo, BASE, HEAD).await.err());
    }
    if !can.green_jobs {
        results.push(facts.last_green_job(&repo, &run, &job, "main").await.err());
        results.push(facts.passed_runs(&repo, "main", None).await.err());
    }
    if !can.test_reports {
        results.push(facts.failing_tests(&repo, &run, &job).await.err());
    }
    if !can.annotations {
        results.push(facts.annotations(&repo, &job).await.err());
    }
    if !can.ci_config {
        results.push(facts.ci_config(&repo, &run).await.err());
    }
    for error in results {
        assert_eq!(error.expect("it is not claimed").kind(), ErrorKind::Unsupported);
    }
    assert_eq!(requests(harness.fake()), 0);
}

fn assert_lines(file: &ChangedFile, ranges: &[(u64, u64)]) {
    // A forge that gives no text says so; one that does gives exactly the lines written.
    if let Some(lines) = &file.lines {
        let expected: Vec<_> = ranges.iter().map(|&(start, end)| LineRange { start, end }).collect();
        assert_eq!(lines, &expected, "{}", file.path);
    }
}

/// Files with what was done to them and the lines written, for a pull request, a commit and a range.
pub async fn diff_names_files_and_lines<H: Harness>() {
    let harness = H::start().await;
    if !harness.provider().capabilities().diff {
        return;
    }
    let repo = shop(harness.fake());
    harness.fake().add_change(&change(&repo));
    let pull = harness.fake().open_pull(&repo, &PullSpec::new("Halves", "feature/halves").with_sha(HEAD));
    let client = harness.client();
    for change in [
        Change::Pull(pull.number.to_string()),
        Change::Commit(HEAD.to_owned()),
        Change::Range { base: BASE.to_owned(), head: HEAD.to_owned() },
    ] {
        let diff = facts(client.as_ref()).diff(&repo.repo_ref(), &change).await.expect("the diff");
        assert!(!diff.is_truncated, "{change:?}");
        let mut files = diff.files;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let named: Vec<_> = files.iter().map(|file| (file.path.as_str(), file.change)).collect();
        let expected = [
            ("gone.rs", FileChange::Removed),
            ("moved.rs", FileChange::Renamed),
            ("src/main.rs", FileChange::Modified),
            ("src/new file.rs", FileChange::Added),
        ];
        assert_eq!(named, expected, "{change:?}");
        assert_eq!(files[1].old_path.as_deref(), Some("old.rs"), "{change:?}");
        assert_lines(&files[0], &[]);
        assert_lines(&files[1], &[(7, 7)]);
        assert_lines(&files[2], &[(3, 4), (22, 22)]);
        assert_lines(&files[3], &[(1, 2)]);
    }
    assert_no_unknown_request(harness.fake());
}

/// The commits since a good one, newest first, with the first line of their messages.
pub async fn commits_between_are_newest_first<H: Harness>() {
    let harness = H::start().await;
    if !harness.provider().capabilities().commits {
        return;
    }
    let repo = shop(harness.fake());
    harness.fake().add_change(&change(&repo));
    let client = harness.client();
    let commits =
        facts(client.as_ref()).commits_between(&repo.repo_ref(), BASE, HEAD).await.expect("commits");
    let named: Vec<_> = commits.items.iter().map(|it| (it.sha.as_str(), it.title.as_str())).collect();
    assert_eq!(named, [(HEAD, "Second half"), (MIDDLE, "First half")]);
    assert!(!commits.is_truncated);
    assert_no_unknown_request(harness.fake());
}

/// A commit that a force push took away.
pub async fn unknown_commits_are_not_found<H: Harness>() {
    let harness = H::start().await;
    let can = harness.provider().capabilities();
    let repo = shop(harness.fake());
    let (gone, client) = ("9".repeat(40), harness.client());
    if can.diff {
        let change = Change::Range { base: gone.clone(), head: HEAD.to_owned() };
        let error = facts(client.as_ref()).diff(&repo.repo_ref(), &change).await.expect_err("it is gone");
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
    if can.commits {
        let error = facts(client.as_ref()).commits_between(&repo.repo_ref(), &gone, HEAD).await;
        assert_eq!(error.expect_err("it is gone").kind(), ErrorKind::NotFound);
    }
}

/// The newest success of the job of that name on the branch, whose log can be read; not another job's, not another
/// branch's, not one of the run itself.
pub async fn last_green_job_is_the_same_job_on_that_branch<H: Harness>() {
    let harness = H::start().await;
    if !harness.provider().capabilities().green_jobs {
        return;
    }
    let (fake, client) = (harness.fake(), harness.client());
    let repo = shop(fake);
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let green = |name: &str| JobSpec::new(name, crate::State::Success, format!("green {name}\n"));
    let run = |jobs: Vec<JobSpec>, age: u64| RunSpec::new(jobs).with_age(hours(age));
    let _too_old = fake.add_run(&repo, &run(vec![green("build"), green("test")], 9));
    let wanted = fake.add_run(&repo, &run(vec![green("build"), green("test")], 8));
    // The job was green here although the run was not: it is the newest execution that counts for `build`.
    let half = fake.add_run(&repo, &run(vec![green("build"), JobSpec::failed("test", "boom\n")], 7));
    let _other_branch =
        fake.add_run(&repo, &run(vec![green("build"), green("test")], 6).with_branch("other"));
    let failed = fake.add_run(&repo, &run(vec![green("build"), JobSpec::failed("test", "boom\n")], 1));
    let (found, jobs) = seen(&harness, &repo, &failed).await;
    let job = |name: &str| jobs.iter().find(|job| job.name == name).expect("the job").clone();
    let facts = facts(client.as_ref());
    let test = facts.last_green_job(&repo.repo_ref(), &found, &job("test"), "main").await.expect("an answer");
    let test = test.expect("there is one");
    assert_eq!(
        (test.run.id.as_str(), test.run.sha.as_deref()),
        (wanted.forge_id.as_str(), Some(wanted.sha.as_str()))
    );
    assert_eq!(test.job.name, "test");
    let ci = client.ci().expect("claimed");
    let log = ci.job_log(&repo.repo_ref(), &test.job, LogOptions::default()).await.expect("its log");
    assert_eq!(log.read_to_end().await.expect("its bytes").0, b"green test\n");
    let build =
        facts.last_green_job(&repo.repo_ref(), &found, &job("build"), "main").await.expect("an answer");
    assert_eq!(build.expect("there is one").run.id, half.forge_id);
    let never = Job::new("5", found.id.clone(), "deploy");
    for (job, branch) in [(never, "main"), (job("test"), "nowhere")] {
        let none = facts.last_green_job(&repo.repo_ref(), &found, &job, branch).await.expect("an answer");
        assert_eq!(none, None);
    }
    assert_no_unknown_request(harness.fake());
}

/// The newest run that passed on a branch, or for its pull request, in few requests.
pub async fn passed_runs_of_a_branch<H: Harness>() {
    let harness = H::start().await;
    if !harness.provider().capabilities().green_jobs {
        return;
    }
    let (fake, client) = (harness.fake(), harness.client());
    let repo = shop(fake);
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let green = |age: u64| RunSpec::new(vec![JobSpec::green("test")]).with_age(hours(age));
    let _older = fake.add_run(&repo, &green(9));
    let wanted = fake.add_run(&repo, &green(8));
    let red = RunSpec::new(vec![JobSpec::failed("test", "boom\n")]);
    let _red = fake.add_run(&repo, &red.with_age(hours(7)));
    let _elsewhere = fake.add_run(&repo, &green(6).with_branch("other"));
    let pull = fake.open_pull(&repo, &PullSpec::new("Halves", "feature/halves").with_sha(HEAD));
    let of_pull = fake.add_run(&repo, &green(5).for_pull(&pull));
    let facts = facts(client.as_ref());
    let number = pull.number.to_string();
    // What connecting costs is paid before.
    facts.passed_runs(&repo.repo_ref(), "nowhere", None).await.expect("an answer");
    for (branch, pull, run) in [("main", None, &wanted), ("feature/halves", Some(number.as_str()), &of_pull)]
    {
        let before = requests(fake);
        let found = facts.passed_runs(&repo.repo_ref(), branch, pull).await.expect("an answer");
        assert!(requests(fake) - before <= 3, "it is asked often");
        let newest = found.first().unwrap_or_else(|| panic!("a run passed on {branch}"));
        assert_eq!(
            (newest.id.as_str(), newest.sha.as_deref()),
            (run.forge_id.as_str(), Some(run.sha.as_str()))
        );
        assert_eq!((newest.git_ref.as_deref(), newest.conclusion), (Some(branch), Some(Conclusion::Success)));
        assert!(found.iter().all(|run| run.conclusion == Some(Conclusion::Success)), "{found:#?}");
    }
    assert_eq!(facts.passed_runs(&repo.repo_ref(), "nowhere", None).await.expect("an answer"), []);
    assert_no_unknown_request(harness.fake());
}

/// The failing tests that the forge itself knows of.
pub async fn failing_tests_of_the_forges_report<H: Harness>() {
    let harness = H::start().await;
    if !harness.provider().capabilities().test_reports {
        return;
    }
    let repo = shop(harness.fake());
    let mut test = ReportedTest::new("adds_two");
    test.suite = Some("math".to_owned());
    test.message = Some("expected 4, got 5".to_owned());
    let jobs = vec![
        JobSpec::failed("test", "boom\n").with_failing_tests(&[test, ReportedTest::new("divides")]),
        JobSpec::failed("other", "boom\n"),
    ];
    let run = harness.fake().add_run(&repo, &RunSpec::new(jobs));
    let (found, jobs) = seen(&harness, &repo, &run).await;
    let client = harness.client();
    for job in &jobs {
        let tests =
            facts(client.as_ref()).failing_tests(&repo.repo_ref(), &found, job).await.expect("a report");
        if job.name == "other" {
            assert_eq!(tests, [], "a job without a report");
            continue;
        }
        let names: Vec<_> = tests.iter().map(|test| test.name.as_str()).collect();
        assert_eq!(names, ["adds_two", "divides"]);
        assert!(
            tests[0].message.as_deref().is_some_and(|text| text.contains("expected 4, got 5")),
            "{tests:?}"
        );
    }
    assert_no_unknown_request(harness.fake());
}

/// Remarks at lines of files.
pub async fn annotations_of_a_job<H: Harness>() {
    let harness = H::start().await;
    if !harness.provider().capabilities().annotations {
        return;
    }
    let repo = shop(harness.fake());
    let mut annotation = Annotation::new(AnnotationLevel::Failure, "mismatched types");
    annotation.path = Some("src/main.rs".to_owned());
    annotation.line = Some(12);
    let annotations = [annotation, Annotation::new(AnnotationLevel::Warning, "unused import")];
    let jobs = vec![JobSpec::failed("test", "boom\n").with_annotations(&annotations)];
    let run = harness.fake().add_run(&repo, &RunSpec::new(jobs));
    let (_, jobs) = seen(&harness, &repo, &run).await;
    let client = harness.client();
    let found = facts(client.as_ref()).annotations(&repo.repo_ref(), &jobs[0]).await.expect("annotations");
    assert_eq!(found[0].message, "mismatched types");
    assert_eq!(
        (found[0].level, found[0].path.as_deref(), found[0].line),
        (AnnotationLevel::Failure, Some("src/main.rs"), Some(12))
    );
    assert_eq!((found[1].level, found.len()), (AnnotationLevel::Warning, 2));
    assert_no_unknown_request(harness.fake());
}

/// The file that defines the jobs, as it was at the run's commit; `None` where it is not there.
pub async fn ci_config_at_the_commit<H: Harness>() {
    let harness = H::start().await;
    if !harness.provider().capabilities().ci_config {
        return;
    }
    let (fake, client) = (harness.fake(), harness.client());
    let repo = shop(fake);
    let path = fake.ci_config_path().expect("a forge with CI configurations has a path for them");
    let with = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", "boom\n")]).with_sha(HEAD));
    let without = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", "boom\n")]).with_sha(BASE));
    fake.add_file(&repo, HEAD, path, "test:\n  script: make\n");
    for (run, text) in [(&with, Some("test:\n  script: make\n")), (&without, None)] {
        let run = RunRef::new(run.forge_id.clone());
        let found = client.ci().expect("claimed").get_run(&repo.repo_ref(), &run).await.expect("the run");
        let config = facts(client.as_ref()).ci_config(&repo.repo_ref(), &found).await.expect("an answer");
        assert_eq!(config.as_ref().map(|config| config.text.as_str()), text);
        assert!(config.is_none_or(|config| config.path == path));
    }
    assert_no_unknown_request(fake);
}

/// Files, as they are on a branch and were at a commit; `None` where something of it is not there.
pub async fn files_on_a_branch_and_at_a_commit<H: Harness>() {
    let harness = H::start().await;
    if !harness.provider().capabilities().files {
        return;
    }
    let (fake, client) = (harness.fake(), harness.client());
    let repo = shop(fake);
    let path = "docs/rules of ci.toml";
    fake.add_file(&repo, "main", path, "on = 'main'\n");
    fake.add_file(&repo, "release/1.0", path, "on = 'release'\n");
    fake.add_file(&repo, HEAD, path, "at = 'head'\n");
    for (git_ref, path, text) in [
        ("main", path, Some("on = 'main'\n")),
        ("release/1.0", path, Some("on = 'release'\n")),
        (HEAD, path, Some("at = 'head'\n")),
        ("main", "docs/other.toml", None),
        ("release", path, None),
        (BASE, path, None),
    ] {
        let found =
            facts(client.as_ref()).read_file(&repo.repo_ref(), git_ref, path).await.expect("an answer");
        assert_eq!(found.as_deref(), text, "{path} on {git_ref}");
    }
    // A path that leaves the repository is refused here or not found there.
    match facts(client.as_ref()).read_file(&repo.repo_ref(), "main", "../secret").await {
        Ok(found) => assert_eq!(found, None),
        Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}"),
    }
    fake.add_file(&repo, "main", path, &"#".repeat(1024 * 1024 + 1));
    let error =
        facts(client.as_ref()).read_file(&repo.repo_ref(), "main", path).await.expect_err("it is too large");
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error:?}");
    assert_no_unknown_request(fake);
}
