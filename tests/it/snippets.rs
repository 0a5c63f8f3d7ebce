//! What CI systems are told to run is run: a real shell, a real curl, a real server.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{OWNER, TestServer, pytest_log};

/// What each system has in its environment, some of it hard to quote.
const ENVIRONMENT: [(&str, &str); 48] = [
    ("CI_PROJECT_PATH", "acme/shop"),
    ("CI_PROJECT_NAMESPACE", "acme"),
    ("CI_PROJECT_NAME", "shop"),
    ("CI_PIPELINE_ID", "4711"),
    ("CI_JOB_ID", "99"),
    ("CI_JOB_NAME", "test: [a&b, \"c\" 100%]"),
    ("CI_JOB_STATUS", "failed"),
    ("CI_COMMIT_REF_NAME", "feature/ünïcode"),
    ("CI_COMMIT_SHA", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"),
    ("CI_PIPELINE_URL", "https://gitlab.example.com/acme/shop/-/pipelines/4711?a=b&c=d"),
    ("CI_REPO", "acme/shop"),
    ("CI_PIPELINE_NUMBER", "5"),
    ("CI_WORKFLOW_NAME", "unit tests"),
    ("CI_COMMIT_BRANCH", "main"),
    ("GITHUB_REPOSITORY", "acme/shop"),
    ("GITHUB_RUN_ID", "815"),
    ("GITHUB_JOB", "test"),
    ("GITHUB_REF_NAME", "feature/a+b"),
    ("GITHUB_SHA", "cccccccccccccccccccccccccccccccccccccccc"),
    ("GITHUB_RUN_NUMBER", "12"),
    ("GITHUB_SERVER_URL", "https://github.com"),
    ("BITBUCKET_REPO_FULL_NAME", "acme/shop"),
    ("BITBUCKET_PIPELINE_UUID", "{0b0e4a3c-0000-4000-8000-000000000001}"),
    ("BITBUCKET_STEP_UUID", "{0b0e4a3c-0000-4000-8000-000000000002}"),
    ("BITBUCKET_BRANCH", "main"),
    ("BITBUCKET_COMMIT", "dddddddddddddddddddddddddddddddddddddddd"),
    ("BITBUCKET_BUILD_NUMBER", "7"),
    ("BITBUCKET_EXIT_CODE", "2"),
    ("JOB_NAME", "acme/shop"),
    ("BUILD_NUMBER", "31"),
    ("BUILD_URL", "https://ci.example.com/job/acme%2Fshop/31/"),
    ("GIT_BRANCH", "origin/main"),
    ("GIT_COMMIT", "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"),
    ("CIRCLE_PROJECT_USERNAME", "acme"),
    ("CIRCLE_PROJECT_REPONAME", "shop"),
    ("CIRCLE_WORKFLOW_ID", "w-1"),
    ("CIRCLE_JOB", "test"),
    ("CIRCLE_BUILD_NUM", "77"),
    ("CIRCLE_SHA1", "ffffffffffffffffffffffffffffffffffffffff"),
    ("CIRCLE_BUILD_URL", "https://circleci.com/gh/acme/shop/77"),
    ("BUILD_VCS_NUMBER", "abababababababababababababababababababab"),
    ("TEAMCITY_PROJECT_NAME", "acme/shop"),
    ("DRONE_REPO", "acme/shop"),
    ("DRONE_BUILD_NUMBER", "3"),
    ("DRONE_STAGE_NAME", "default"),
    ("DRONE_BRANCH", "main"),
    ("DRONE_BUILD_LINK", "https://drone.example.com/acme/shop/3"),
    ("PROJECT", "acme/shop"),
];

/// Runs `command` as a CI system's shell does; gives what curl printed.
async fn run(command: &str, folder: &std::path::Path, changed: &[(&str, &str)]) -> String {
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", command]).current_dir(folder).stdin(Stdio::null()).env_clear();
    shell.envs(
        std::env::var_os("PATH")
            .map(|path| ("PATH".into(), path))
            .into_iter()
            .collect::<Vec<(std::ffi::OsString, _)>>(),
    );
    shell.env("FORGE_RCA_TOKEN", OWNER).envs(ENVIRONMENT).envs(changed.iter().copied());
    let ran = tokio::task::spawn_blocking(move || shell.output().unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{command}\n{text}{}", String::from_utf8_lossy(&ran.stderr));
    text
}

#[tokio::test]
async fn every_snippet_sends_the_log_as_it_stands() {
    if Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_err() {
        assert!(std::env::var_os("CI").is_none(), "curl is not installed");
        eprintln!("left out: curl is not installed");
        return;
    }
    let server = TestServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut log = pytest_log().into_bytes();
    log.extend_from_slice("a & b = 100% \"quoted\" + ünïcode\r\n".as_bytes());
    std::fs::write(folder.path().join("build.log"), &log).unwrap();
    let snippets = server.get("/v1/ingest/snippets").await.expect(200);
    let snippets = snippets["items"].as_array().unwrap();
    assert_eq!(snippets.len(), 10);
    for snippet in snippets {
        let (ci, command) = (snippet["ci"].as_str().unwrap(), snippet["command"].as_str().unwrap());
        for line in command.lines() {
            assert!(snippet["snippet"].as_str().unwrap().contains(line), "{ci}: {line}");
        }
        // TeamCity puts its own values in before the shell sees them.
        let command = command
            .replace("%system.teamcity.buildType.id%", "Shop_Test")
            .replace("%teamcity.build.id%", "4242");
        let printed = run(&command, folder.path(), &[]).await;
        let answer: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(
            (&answer["status"], &answer["warnings"]),
            (&json!("accepted"), &Value::Null),
            "{ci}: {answer}"
        );
        let path = format!("/v1/analyses/{}", answer["analysis_id"].as_str().unwrap());
        server.idle().await;
        let analysis = server.get(&path).await.expect(200);
        assert_eq!(analysis["report"]["status"], "cause_found", "{ci}: {analysis:#}");
        let lines = log.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(analysis["report"]["log"]["lines"], lines, "{ci}: line for line");
        let is_known = analysis["repository"].as_str().unwrap().ends_with("acme/shop");
        assert!(is_known, "{ci}: {analysis:#}");
        if ci == "gitlab" {
            assert_eq!(analysis["job_name"], "test: [a&b, \"c\" 100%]");
            assert_eq!(analysis["branch"], "feature/ünïcode");
            assert_eq!(
                analysis["pipeline_url"],
                "https://gitlab.example.com/acme/shop/-/pipelines/4711?a=b&c=d"
            );
            assert_eq!(
                run(&command, folder.path(), &[("CI_JOB_STATUS", "success")]).await,
                "",
                "only failures"
            );
        }
    }
    let one = server.get("/v1/ingest/snippets?ci=jenkins").await.expect(200);
    assert_eq!(one["items"].as_array().unwrap().len(), 1);
    let text = server.get("/v1/ingest/snippets?ci=make").await.expect_error(422, "invalid_parameter");
    assert!(text.contains("gitlab"), "says which there are: {text}");
    server.stop().await;
}

#[tokio::test]
async fn a_form_is_as_good_as_json() {
    let server = TestServer::start().await;
    let post = |body: String| {
        let request = server.request(reqwest::Method::POST, "/v1/ingest/log").bearer_auth(OWNER);
        server.send(request.header("content-type", "application/x-www-form-urlencoded").body(body))
    };
    let whole = "provider=x&project=shop&status=failed&log=Error%3A+it+broke%0A&branch=";
    post(whole.to_owned()).await.expect(202);
    for (wrong, name) in [
        (format!("{whole}&surprise=1"), "surprise"),
        (format!("{whole}&project=other"), "project"),
        ("provider=x&status=failed&log=y".to_owned(), "project"),
    ] {
        let text = post(wrong).await.expect_error(422, "invalid_field");
        assert!(text.contains(name), "{text}");
    }
    let huge = format!("{whole}&job_name={}", "x".repeat(31 * 1024 * 1024));
    post(huge).await.expect_error(413, "body_too_large");
    server.stop().await;
}

/// The body that a widely copied GitLab snippet sends: the project stands in single quotes and is never replaced.
#[tokio::test]
async fn the_body_of_the_old_gitlab_snippet_is_taken_with_a_warning() {
    let server = TestServer::start().await;
    let body = json!({
        "provider": "gitlab_ci", "project": "$CI_PROJECT_PATH", "pipeline_id": "4711", "job_id": "99",
        "job_name": "test", "status": "failed", "branch": "main",
        "commit_sha": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
        "pipeline_url": "https://gitlab.example.com/acme/shop/-/pipelines/4711", "log": pytest_log(),
    });
    let answer = server.post("/api/ingest/log", body.clone()).await.expect(202);
    let warning = answer["warnings"][0].as_str().unwrap();
    assert!(warning.contains("$CI_PROJECT_PATH") && warning.contains("double quotes"), "{warning}");
    assert_eq!(server.post("/v1/ingest/log", body).await.expect(200)["status"], "duplicate");
    let analyses = server.analyses("", 1).await;
    assert_eq!(analyses[0]["report"]["status"], "cause_found");
    server.stop().await;
}
