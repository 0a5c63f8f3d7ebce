//! Pipelines, jobs, logs.

use forge_core::{
    ErrorKind, LogOptions,
    model::{Conclusion, Job, RefType, Run, RunRef, Status},
};
use futures_util::TryStreamExt as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::server::{Forge, PROJECT, failed_job, ok, page, refusal, repo};

const PIPELINES: &str = "/project/northwind/shop/cicd/pipeline";
const ARTIFACTS: &str = "/project/northwind/shop/cicd/job/345/artifacts";
const JOB: &str = "/project/northwind/shop/cicd/job/345";
const UUID: &str = "0d9f3b52-61c8-4e07-b5aa-93e4d8c7f216";

/// As GitFlic prints it in Moscow.
fn moscow(at: Timestamp) -> String {
    (at + SignedDuration::from_hours(3)).strftime("%Y-%m-%dT%H:%M:%S.123456").to_string()
}

fn pipeline(number: u64, status: &str, ended: Timestamp) -> Value {
    json!({
        "id": format!("{number:08}-0000-4000-8000-000000000000"), "localId": number, "status": status, "ref": "main",
        "commitId": "4b1d0c7e9a3f5582c6e1d4b7a0f39e2c8d5b6a71", "source": "PUSH",
        "createdAt": moscow(ended - SignedDuration::from_mins(5)), "startedAt": moscow(ended - SignedDuration::from_mins(4)),
        "finishedAt": moscow(ended), "failureReason": null,
    })
}

async fn get(forge: &Forge, id: &str) -> forge_core::Result<Run> {
    forge.client.ci().unwrap().get_run(&repo(), &RunRef::new(id)).await
}

#[tokio::test]
async fn a_pipeline_is_read_with_its_moscow_times() {
    let ended: Timestamp = "2026-11-20T11:05:40Z".parse().unwrap();
    let forge = Forge::start().await;
    forge.on("GET", &format!("{PIPELINES}/318"), ok(&pipeline(318, "FAILED", ended))).await;
    let run = get(&forge, "318").await.unwrap();
    assert_eq!((run.id.as_str(), run.number.as_deref(), run.attempt), ("318", Some("318"), 1));
    assert_eq!((run.status, run.conclusion), (Status::Completed, Some(Conclusion::Failure)));
    assert_eq!((run.git_ref.as_deref(), run.ref_type), (Some("main"), Some(RefType::Branch)));
    assert_eq!(run.finished_at.unwrap().as_second(), ended.as_second());
    assert_eq!(
        run.web_url,
        Some(format!("{}/project/northwind/shop/ci-cd/pipeline/318", forge.server.uri()))
    );
    assert_eq!((run.trigger.as_deref(), run.config_error), (Some("PUSH"), None));
}

#[tokio::test]
async fn every_status_word_has_its_meaning() {
    let completed = Status::Completed;
    let cases = [
        ("CREATED", Status::Queued, None),
        ("WAITING_FOR_RESOURCE", Status::Queued, None),
        ("PREPARING", Status::Queued, None),
        ("RUNNING", Status::Running, None),
        ("SUCCESS", completed, Some(Conclusion::Success)),
        ("WARNING", completed, Some(Conclusion::Success)),
        ("FAILED", completed, Some(Conclusion::Failure)),
        ("CANCELED", completed, Some(Conclusion::Cancelled)),
        ("SKIPPED", completed, Some(Conclusion::Skipped)),
        ("MANUAL", completed, Some(Conclusion::Manual)),
        ("ASCENDED", Status::Unknown, None),
    ];
    for (word, status, conclusion) in cases {
        let forge = Forge::start().await;
        let mut body = pipeline(1, word, Timestamp::UNIX_EPOCH);
        body["localId"] = json!("1");
        body["createdAt"] = json!("2 time.minute.multi time.ago");
        body["finishedAt"] = json!([2026, 11, 20]);
        forge.on("GET", &format!("{PIPELINES}/1"), ok(&body)).await;
        let run = get(&forge, "1").await.unwrap();
        assert_eq!((run.status, run.conclusion), (status, conclusion), "{word}");
        assert_eq!((run.created_at, run.finished_at), (None, None), "strange times are no error");
    }
}

#[tokio::test]
async fn a_pipeline_is_looked_for_where_single_ones_are_not_to_be_had() {
    let forge = Forge::start().await;
    let now = Timestamp::now();
    forge.on("GET", PIPELINES, page(&[pipeline(320, "SUCCESS", now), pipeline(318, "FAILED", now)])).await;
    assert_eq!(get(&forge, "318").await.unwrap().id, "318");
    let uuid = "00000318-0000-4000-8000-000000000000";
    assert_eq!(get(&forge, uuid).await.unwrap().id, "318", "$CI_PIPELINE_ID is the UUID");
    assert_eq!(get(&forge, "318").await.unwrap().id, "318");
    let list = format!("GET {PIPELINES}?page=0&size=100");
    assert_eq!(forge.asked().await, [format!("GET {PIPELINES}/318"), list.clone(), list.clone(), list]);
    for missing in ["319", UUID] {
        let error = get(&forge, missing).await.unwrap_err();
        assert_eq!((error.kind(), error.hint().is_some()), (ErrorKind::NotFound, true));
    }
}

#[tokio::test]
async fn a_reason_is_one_of_the_configuration_only_when_no_job_ran() {
    for (jobs, started, expected) in [
        (vec![], Value::Null, Some("yaml: line 3")),
        (vec![], json!("2026-11-20T11:05:40"), Some("yaml: line 3")),
        (vec![json!({"localId": 1, "name": "test", "status": "FAILED"})], Value::Null, None),
    ] {
        let forge = Forge::start().await;
        let mut body = pipeline(7, "FAILED", Timestamp::now());
        body["failureReason"] = json!("yaml: line 3");
        body["startedAt"] = started;
        forge.on("GET", &format!("{PIPELINES}/7"), ok(&body)).await;
        forge.on("GET", &format!("{PIPELINES}/7/jobs"), page(&jobs)).await;
        assert_eq!(get(&forge, "7").await.unwrap().config_error.as_deref(), expected);
    }
}

#[tokio::test]
async fn failed_pipelines_are_listed_until_they_are_old() {
    let now = Timestamp::now();
    let ago = |hours: i64| now - SignedDuration::from_hours(hours);
    let list = |items: Vec<Value>| ok(&json!({"_embedded": {"x": items}, "page": {"totalPages": 3}}));
    let mut timeless = pipeline(96, "FAILED", now);
    for key in ["createdAt", "startedAt", "finishedAt"] {
        timeless[key] = json!("time.unknown");
    }
    let forge = Forge::start().await;
    let first = vec![
        pipeline(99, "FAILED", ago(0)),
        pipeline(98, "WARNING", ago(0)),
        pipeline(97, "RUNNING", ago(0)),
        timeless,
    ];
    forge.once("GET", PIPELINES, list(first)).await;
    forge
        .once("GET", PIPELINES, list(vec![pipeline(60, "FAILED", ago(2)), pipeline(59, "FAILED", ago(40))]))
        .await;
    forge.once("GET", PIPELINES, list(vec![pipeline(2, "FAILED", ago(80))])).await;
    let runs: Vec<Run> =
        forge.client.ci().unwrap().list_failed_runs(&repo(), ago(1)).try_collect().await.unwrap();
    let ids: Vec<&str> = runs.iter().map(|run| run.id.as_str()).collect();
    // Number 60 would be new enough if its times were UTC.
    assert_eq!(ids, ["99", "96", "60"]);
    assert_eq!(forge.asked().await.len(), 3);

    let forge = Forge::start().await;
    forge.on("GET", PIPELINES, list(vec![pipeline(60, "FAILED", ago(100))])).await;
    let runs: Vec<Run> =
        forge.client.ci().unwrap().list_failed_runs(&repo(), ago(1)).try_collect().await.unwrap();
    assert_eq!((runs.len(), forge.asked().await.len()), (0, 1), "an old page ends the list");
}

#[tokio::test]
async fn jobs_of_one_name_are_attempts_and_a_warning_was_allowed_to_fail() {
    let forge = Forge::start().await;
    let job = |number: Value, name: &str, status: &str| json!({"localId": number, "name": name, "status": status, "stageName": "test", "pipelineLocalId": "12"});
    let jobs = [
        job(json!(347), "unit", "SUCCESS"),
        job(json!("345"), "unit", "FAILED"),
        job(json!(346), "lint", "WARNING"),
    ];
    forge.on("GET", &format!("{PIPELINES}/12/jobs"), page(&jobs)).await;
    let jobs = forge.client.ci().unwrap().list_jobs(&repo(), &RunRef::new("12"));
    let jobs: Vec<Job> = jobs.try_collect().await.unwrap();
    let facts: Vec<_> = jobs
        .iter()
        .map(|job| (job.id.as_str(), job.attempt, job.is_retried, job.is_failed(), job.is_allowed_to_fail))
        .collect();
    assert_eq!(
        facts,
        [("345", 1, true, true, false), ("346", 1, false, true, true), ("347", 2, false, false, false)]
    );
    assert!(jobs.iter().all(|job| job.run_id == "12" && job.stage.as_deref() == Some("test")));
}

async fn log(forge: &Forge, max: u64) -> forge_core::Result<(Vec<u8>, bool)> {
    let ci = forge.client.ci().unwrap();
    ci.job_log(&repo(), &failed_job("345"), LogOptions::new(max)).await?.read_to_end().await
}

fn artifact(id: &str, name: &str, kind: &str, url: Value) -> Value {
    json!({"id": id, "fileName": name, "fileType": kind, "downloadUrl": url})
}

#[tokio::test]
async fn the_log_is_the_trace_and_never_just_the_first_file() {
    let zip = |forge: &Forge| artifact("z", "debug.log.zip", "archive", json!(forge.url("/zip")));
    for (name, kind) in [("console", "trace"), ("x.txt", "TRACE"), ("job.LOG", "file")] {
        let forge = Forge::start().await;
        let url = forge.url("/somewhere/trace?x=1");
        let files = [zip(&forge), artifact("t", name, kind, json!(url))];
        forge.on("GET", ARTIFACTS, page(&files)).await;
        forge
            .on(
                "GET",
                "/somewhere/trace",
                ResponseTemplate::new(200).set_body_bytes(b"\xff\x00log\r\n".to_vec()),
            )
            .await;
        assert_eq!(log(&forge, 100).await.unwrap(), (b"\xff\x00log\r\n".to_vec(), false), "{name}");
        assert_eq!(log(&forge, 3).await.unwrap(), (b"\xff\x00l".to_vec(), true));
    }
    let forge = Forge::start().await;
    forge.on("GET", ARTIFACTS, page(&[zip(&forge)])).await;
    forge
        .on("GET", JOB, ok(&json!({"localId": 345, "status": "FAILED", "finishedAt": "2026-01-01T00:00:00"})))
        .await;
    let error = log(&forge, 100).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.hint().unwrap().contains("4.10"));
}

#[tokio::test]
async fn without_a_usable_address_the_documented_one_is_taken() {
    for url in [Value::Null, json!("https://storage.example.com/t"), json!("::"), json!(7), json!("/gone")] {
        let forge = Forge::start().await;
        forge.on("GET", ARTIFACTS, page(&[artifact("t-1", "console", "trace", url)])).await;
        forge
            .on(
                "GET",
                &format!("{JOB}/artifact/t-1/download"),
                ResponseTemplate::new(200).set_body_string("log"),
            )
            .await;
        assert_eq!(log(&forge, 100).await.unwrap().0, b"log");
    }
}

#[tokio::test]
async fn why_there_is_no_log() {
    let now = Timestamp::now();
    let at = |hours: i64| json!(moscow(now - SignedDuration::from_hours(hours)));
    let cases = [
        (json!({"status": "RUNNING"}), ErrorKind::NotReady),
        (json!({"status": "FAILED", "finishedAt": at(0)}), ErrorKind::NotReady),
        // Printed in UTC after all, it has just ended too.
        (json!({"status": "FAILED", "finishedAt": at(3)}), ErrorKind::NotReady),
        (json!({"status": "FAILED", "finishedAt": "time.now"}), ErrorKind::NotReady),
        (json!({"status": "FAILED", "finishedAt": at(30)}), ErrorKind::NotFound),
        (json!({"status": "FAILED", "finishedAt": at(30), "artifactsExpireAt": at(20)}), ErrorKind::Gone),
        (
            json!({"status": "FAILED", "finishedAt": at(30), "artifactsExpireAt": at(-20)}),
            ErrorKind::NotFound,
        ),
        (json!({"status": "FAILED", "finishedAt": at(30), "erasedAt": at(1)}), ErrorKind::Gone),
        (json!({"status": "SKIPPED", "finishedAt": at(0)}), ErrorKind::NotFound),
    ];
    for (mut job, expected) in cases {
        job["localId"] = json!(345);
        for no_artifacts in [page(&[]), refusal(404, "error.not.found")] {
            let forge = Forge::start().await;
            forge.on("GET", ARTIFACTS, no_artifacts).await;
            forge.on("GET", JOB, ok(&job)).await;
            let error = log(&forge, 100).await.unwrap_err();
            assert_eq!(error.kind(), expected, "{job}: {error}");
            assert_eq!(error.operation(), Some("read the log of job 345 of northwind/shop"));
        }
    }
    let forge = Forge::start().await;
    let error = log(&forge, 100).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "not even the job is there");
    let mut erased = failed_job("345");
    erased.is_log_erased = true;
    let ci = forge.client.ci().unwrap();
    let error = ci.job_log(&repo(), &erased, LogOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Gone);
}

#[tokio::test]
async fn merge_requests_are_found_by_branch() {
    let request = |number: u64, branch: Value, project: &str, status: Value| json!({"localId": number, "title": "t", "sourceBranch": branch, "targetBranch": "main", "sourceProject": {"id": project}, "status": status});
    let all = [
        request(1, json!("fix"), PROJECT, json!("CLOSED")),
        request(2, json!({"id": "b-uuid", "title": "fix"}), PROJECT, json!({"id": "OPENED"})),
        request(3, json!("fix"), "a-fork", json!("OPENED")),
        request(4, json!("other"), PROJECT, json!("OPENED")),
        request(5, json!("fix"), PROJECT, json!({"id": "MERGED"})),
    ];
    let forge = Forge::start().await;
    forge.on("GET", "/project/northwind/shop/merge-request/list", page(&all)).await;
    let find = async |git_ref: &str, ref_type, trigger: &str| {
        let mut run = Run::new("12");
        run.git_ref = Some(git_ref.to_owned());
        run.ref_type = Some(ref_type);
        run.trigger = Some(trigger.to_owned());
        let found = forge.client.ci().unwrap().find_pull_requests(&repo(), &run).await.unwrap();
        found.into_iter().map(|it| it.number).collect::<Vec<_>>()
    };
    assert_eq!(find("fix", RefType::Branch, "PUSH").await, ["2"]);
    assert_eq!(find("fix", RefType::Branch, "MERGE_REQUEST_EVENT").await, ["2", "3"]);
    assert_eq!(find("refs/merge-requests/4/head", RefType::Branch, "MERGE_REQUEST_EVENT").await, ["4"]);
    assert!(find("main", RefType::Branch, "PUSH").await.is_empty());
    assert!(find("fix", RefType::Tag, "PUSH").await.is_empty());
}
