//! Five hundred failed jobs on one pull request: one comment that the forge takes, and nothing hidden in silence.

use std::time::Instant;

use forge_core::model::Target;
use forge_testkit::{
    Fake, FakeBitbucketCloud, FakeBitbucketDc, FakeGitFlic, FakeGitHub, FakeGitLab, JobSpec, PullSpec,
    RunSpec,
};

use crate::{
    five_forges::server_with_jenkins,
    support::{TestServer, eventually, pytest_log},
    webhook_to_comment::live_comments,
};

const SHA: &str = "4be1f20000000000000000000000000000000001";
const JOBS: usize = 500;

/// A cause of its own for each number.
pub(crate) fn own_cause(number: usize) -> String {
    let letter = |place: usize| char::from(b'a' + u8::try_from(number / place % 26).unwrap());
    let name = format!("shop_{}{}{}", letter(676), letter(26), letter(1));
    pytest_log().replace("total_with_tax", &name)
}

/// What the comment accounts for: its sections, each with so many jobs, and those that it says are not shown.
fn accounted(body: &str) -> (usize, usize) {
    let number = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok();
    let mut shown = 0;
    for line in body.lines().filter_map(|line| line.strip_prefix("#### ")) {
        shown += line.split_once(" \u{d7}").map_or(Some(1), |(_, count)| number(count)).unwrap_or(1);
    }
    let left_out = body.lines().find(|line| line.contains("not shown here"));
    (shown, left_out.and_then(|line| number(line.trim_start_matches('*'))).unwrap_or(0))
}

/// Five hundred takes its time; only when nothing goes on any more it is given up.
async fn worked_off(server: &TestServer) {
    let mut left = usize::MAX;
    while left > 0 {
        left = eventually(&format!("fewer than {left} tasks are left"), async || {
            let text =
                server.http.get(format!("{}/metrics", server.admin)).send().await.ok()?.text().await.ok()?;
            let is_open = |line: &&str| {
                [
                    "forge_rca_tasks{state=\"ready\"}",
                    "forge_rca_tasks{state=\"running\"}",
                    "forge_rca_deliveries{state=\"pending\"}",
                ]
                .iter()
                .any(|name| line.starts_with(name))
            };
            let counts = text
                .lines()
                .filter(is_open)
                .filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok());
            let now = counts.sum::<usize>();
            (now < left).then_some(now)
        })
        .await;
    }
}

/// As [`worked_off`], of analyses. Those that are not done have no report, so that asking for them costs little.
async fn analysed(server: &TestServer) {
    let mut left = usize::MAX;
    while left > 0 {
        left = eventually(&format!("fewer than {left} analyses are left"), async || {
            let mut now = 0;
            for status in ["queued", "running"] {
                let list = server.get(&format!("/v1/analyses?status={status}&limit=500")).await.expect(200);
                now += list["items"].as_array()?.len();
            }
            (now < left).then_some(now)
        })
        .await;
    }
}

async fn five_hundred(fake: &Fake, server: TestServer, limit: usize) {
    let repo = fake.add_repo("acme/shop");
    let integration = server.connect(fake).await;
    server.monitor(&integration, &repo).await;
    let pull = fake.open_pull(&repo, &PullSpec::new("Refunds", "feature/refund").with_sha(SHA));
    let jobs = (0..JOBS).map(|number| {
        // Half of them are the legs of a matrix that fail of the same.
        let log = if number % 2 == 0 { pytest_log() } else { own_cause(number) };
        JobSpec::failed(&format!("leg {number:03}"), log)
    });
    let run = fake.add_run(&repo, &RunSpec::new(jobs.collect()).for_pull(&pull));
    for outcome in fake.deliver(&run).await {
        assert!(outcome.is_success(), "{outcome:?}");
    }
    let begun = Instant::now();
    let target = Target::Pull(pull.number.to_string());
    eventually("the run is planned", async || {
        let list = server.get("/v1/analyses?limit=500").await.expect(200);
        (list["items"].as_array()?.len() == JOBS).then_some(())
    })
    .await;
    if fake.tells_runs() {
        worked_off(&server).await;
    } else {
        // The task of a push goes on looking, so that the server is never idle.
        analysed(&server).await;
    }
    let comment = eventually("all are told", async || {
        let comments = live_comments(fake, &repo, &target, 1).await;
        assert_eq!(comments.len(), 1, "one comment");
        comments[0].body.contains("500 jobs failed").then(|| comments[0].clone())
    })
    .await;
    assert_eq!(fake.all_comments().len(), 1, "nowhere else either");
    // While jobs are still being analysed it is said again every five seconds at most: more on a slower machine.
    let most = JOBS / 10 + usize::try_from(begun.elapsed().as_secs()).unwrap() / 5;
    assert!(comment.history.len() < most, "edited {} times, {most} are enough", comment.history.len());
    let body = &comment.body;
    assert!(body.chars().count() <= limit, "{} characters", body.chars().count());
    let (shown, left_out) = accounted(body);
    assert!(left_out > 0, "{body}");
    assert_eq!(shown + left_out, JOBS, "each is shown or counted:\n{body}");
    let note = body.lines().find(|line| line.contains("not shown here")).unwrap();
    assert!(note.contains("](<http"), "where to see them: {note}");
    assert!(body.contains("\u{d7}250") && body.contains("and 229 more"), "{body}");
    for fence in ["~~~", "```"] {
        assert_eq!(
            body.lines().filter(|line| line.starts_with(fence)).count() % 2,
            0,
            "{fence} closes:\n{body}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn on_gitlab() {
    five_hundred(&*FakeGitLab::start().await, TestServer::start().await, 60_000).await;
}

#[tokio::test]
async fn on_github() {
    five_hundred(&*FakeGitHub::start().await, TestServer::start().await, 60_000).await;
}

#[tokio::test]
async fn on_bitbucket_cloud() {
    five_hundred(&*FakeBitbucketCloud::start().await, TestServer::start().await, 30_000).await;
}

#[tokio::test]
async fn on_bitbucket_dc() {
    let fake = FakeBitbucketDc::start().await;
    let server = server_with_jenkins(&fake).await;
    five_hundred(&fake, server, 30_000).await;
}

#[tokio::test]
async fn on_gitflic() {
    five_hundred(&*FakeGitFlic::start().await, TestServer::start().await, 10_000).await;
}
