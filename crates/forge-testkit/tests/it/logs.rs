use forge_testkit::{
    FakeGitLab, JobSpec, Log, RunSpec,
    logs::{self, Framing},
};
use proptest::prelude::*;
use serde_json::Value;

use crate::http::call;

#[test]
fn every_sample_says_where_its_cause_stands() {
    for framing in [Framing::GitHubActions, Framing::GitLabRunner, Framing::Plain] {
        for sample in logs::all(framing) {
            let text = String::from_utf8(sample.bytes).unwrap();
            let line = text.lines().nth(sample.cause_line - 1).unwrap();
            assert!(line.contains(sample.cause), "{} in {framing:?}: {line}", sample.name);
        }
    }
}

#[tokio::test]
async fn generated_logs_have_their_length_and_end_in_a_failure() {
    let fake = FakeGitLab::start().await;
    let repo = fake.add_repo("acme/shop");
    for length in [0_u64, 1, 70, 71, 65_535, 65_536, 65_537, 1_000_003] {
        let run = fake.add_run(&repo, &RunSpec::new(vec![JobSpec::failed("test", Log::Generated(length))]));
        let path = format!("/api/v4/projects/{}/jobs/{}/trace", repo.id, run.jobs[0]);
        let log = call(&fake, "GET", &path, &Value::Null).await.body;
        assert_eq!(log.len() as u64, length);
        if length > 1000 {
            let text = String::from_utf8(log).unwrap();
            assert!(
                text.ends_with("\nerror: assertion failed: left == right\nERROR: Job failed: exit code 1\n")
            );
            assert_eq!(text.lines().filter(|line| line.starts_with("error")).count(), 1);
        }
    }
}

proptest! {
    /// No path, however odd, makes the fake do anything but answer.
    #[test]
    fn odd_paths_are_answered(path in "[a-z0-9%/.:?&=+-]{0,40}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let fake = FakeGitLab::start().await;
            let answer = call(&fake, "GET", &format!("/api/v4/{path}"), &Value::Null).await;
            assert!(answer.status.as_u16() < 500, "{path}: {}", answer.status);
        });
    }
}
