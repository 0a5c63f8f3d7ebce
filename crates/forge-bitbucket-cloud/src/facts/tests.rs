//! The test report of a step. Its answers have no schema in the API description: everything is read as far as it is
//! there.

use forge_core::{
    ErrorKind, Result,
    model::{Job, RepoRef, ReportedTest},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    client::{BitbucketCloudClient, More, segment, shown},
    wire,
};

const MAX_FAILING: usize = 1000;
/// Test cases are listed without a filter; those of a step beyond so many are not looked at.
const MAX_CASES: usize = 10_000;
/// The reason of a failure takes a request of its own.
const MAX_REASONS: usize = 20;
const AT_A_TIME: usize = 4;

pub(super) async fn read(
    client: &BitbucketCloudClient,
    repo: &RepoRef,
    job: &Job,
) -> Result<Vec<ReportedTest>> {
    let operation = format!("read the test report of job {} of {}", job.id, shown(repo));
    // As with logs: the report's address is the same for every run of the step.
    let (_, _, step) = client.step(repo, &job.id).await?;
    let report = format!("{step}/test_reports");
    let summary: wire::TestSummary = match client.get(report.clone(), operation.clone()).await {
        Ok(summary) => summary,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Gone) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let expected = summary.failing();
    if expected == Some(0) {
        return Ok(Vec::new());
    }
    let most = expected.map_or(MAX_FAILING, |count| count.min(MAX_FAILING));
    let path = Ok(format!("{report}/test_cases?pagelen=100"));
    let cases = client.list(path, operation.clone(), |cases: Vec<wire::TestCase>| (cases, More::AsLinked));
    let failing = cases.take(MAX_CASES).try_filter(|case| std::future::ready(case.is_failing())).take(most);
    let failing: Vec<wire::TestCase> = match failing.try_collect().await {
        Ok(failing) => failing,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Gone) => Vec::new(),
        Err(error) => return Err(error),
    };
    let (report, operation) = (&report, &operation);
    stream::iter(failing.into_iter().enumerate())
        .map(|(index, case)| async move {
            let has_message = case.message().is_some();
            let uuid = case.uuid().filter(|_| index < MAX_REASONS && !has_message).map(str::to_owned);
            let mut test = case.into_model();
            if let Some(uuid) = uuid {
                let path = format!("{report}/test_cases/{}/test_case_reasons", segment(&uuid)?);
                test.message = reason(client, path, operation).await?;
            }
            Ok(test)
        })
        .buffered(AT_A_TIME)
        .try_collect()
        .await
}

/// Why a test failed; `None` where the forge has nothing to say, in whatever shape.
async fn reason(client: &BitbucketCloudClient, path: String, operation: &str) -> Result<Option<String>> {
    match client.get::<wire::TestReasons>(path, operation.to_owned()).await {
        Ok(reasons) => Ok(reasons.into_text()),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::Gone | ErrorKind::UnexpectedResponse
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
