//! Log sources: which address is asked for which build, and what is never asked.

use forge_bitbucket_dc::{LogSource, LogSourceKind, LogSources};
use forge_core::{
    ErrorKind, LogOptions,
    model::{Conclusion, Job, Status},
};
use serde_json::json;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

use crate::server::{Forge, SHA, TOKEN, repo};

const CI_TOKEN: &str = "ci-canary-0123456789";

fn job(url: &str) -> Job {
    let mut job = Job::new(format!("{SHA}:0:ci"), SHA, "ci");
    job.status = Status::Completed;
    job.conclusion = Some(Conclusion::Failure);
    job.web_url = Some(url.to_owned());
    job
}

async fn forge_with(kind: LogSourceKind, base: &str) -> Forge {
    let source = LogSource::new(kind, base, CI_TOKEN.to_owned().into()).unwrap().with_username("robot");
    Forge::with(|builder| builder.with_log_source(source)).await
}

async fn read(forge: &Forge, url: &str) -> forge_core::Result<Vec<u8>> {
    let ci = forge.client.ci().unwrap();
    Ok(ci.job_log(&repo(), &job(url), LogOptions::default()).await?.read_to_end().await?.0)
}

/// A CI server that has this one log.
async fn server(path: &str) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(matchers::method("GET"))
        .and(matchers::path(path))
        .and(matchers::basic_auth("robot", CI_TOKEN))
        .respond_with(ResponseTemplate::new(200).set_body_raw("boom\n", "text/plain"))
        .mount(&server)
        .await;
    server
}

async fn assert_no_forge_token(server: &MockServer) {
    for request in server.received_requests().await.unwrap() {
        assert!(!format!("{request:?}").contains(TOKEN), "the forge's token reached {}", request.url);
    }
}

#[tokio::test]
async fn every_form_of_address_leads_to_its_log() {
    use LogSourceKind::{Bamboo, Jenkins, TeamCity};
    let cases = [
        (Jenkins, "job/shop/22/display/redirect", "job/shop/22/logText/progressiveText"),
        (Jenkins, "job/shop/22", "job/shop/22/logText/progressiveText"),
        (
            Jenkins,
            "job/team/job/shop/job/feature%252Fx/7/",
            "job/team/job/shop/job/feature%252Fx/7/logText/progressiveText",
        ),
        (
            Jenkins,
            "blue/organizations/jenkins/team%2Fshop/detail/feature%2Fx/7/pipeline",
            "job/team/job/shop/job/feature%252Fx/7/logText/progressiveText",
        ),
        (
            Jenkins,
            "blue/organizations/jenkins/shop/detail/shop/7/pipeline",
            "job/shop/7/logText/progressiveText",
        ),
        (Bamboo, "browse/NW-SHOP-UNIT-12", "download/NW-SHOP-UNIT/build_logs/NW-SHOP-UNIT-12.log"),
        (TeamCity, "viewLog.html?buildId=412&buildTypeId=Shop_Unit", "downloadBuildLog.html"),
        (TeamCity, "buildConfiguration/Shop_Unit/412?mode=builds", "downloadBuildLog.html"),
        (TeamCity, "build/412", "downloadBuildLog.html"),
    ];
    for (kind, address, log) in cases {
        let ci = server(&format!("/ci/{log}")).await;
        let forge = forge_with(kind, &format!("{}/ci", ci.uri())).await;
        let read = read(&forge, &format!("{}/ci/{address}", ci.uri())).await;
        assert_eq!(read.unwrap_or_else(|error| panic!("{address}: {error:?}")), b"boom\n");
        let asked = ci.received_requests().await.unwrap();
        assert_eq!(asked.len(), 1);
        if kind == TeamCity {
            assert_eq!(asked[0].url.query(), Some("buildId=412"));
        }
        assert_no_forge_token(&ci).await;
        assert!(forge.asked().await.is_empty());
    }
}

#[tokio::test]
async fn a_status_cannot_send_us_anywhere_else() {
    let ci = server("/ci/job/shop/22/logText/progressiveText").await;
    let elsewhere = MockServer::start().await;
    let forge = forge_with(LogSourceKind::Jenkins, &format!("{}/ci", ci.uri())).await;
    let host = ci.uri();
    let addresses = [
        format!("{}/ci/job/shop/22/", elsewhere.uri()),
        format!("{host}/job/shop/22/"),
        format!("{host}/cinema/job/shop/22/"),
        format!("{host}/ci/../job/shop/22/"),
        format!("{host}/ci/%2e%2e/job/shop/22/"),
        host.replace("http://", "http://robot:x@") + "/ci/job/shop/22/",
        host.replace("http://", "https://") + "/ci/job/shop/22/",
        format!("{host}/ci/script?println=1"),
        format!("{host}/ci/job/shop/lastBuild/"),
        format!("{host}/ci/job/shop/doDelete"),
        format!("{host}/ci/job/..%2F..%2Fscript/22/"),
        format!("{host}/ci/job/..%5C..%5Cscript/22/"),
        format!("{host}/ci/22/"),
        "http://169.254.169.254/ci/job/shop/22/".to_owned(),
        "file:///etc/passwd".to_owned(),
    ];
    for address in &addresses {
        let error = read(&forge, address).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::NotFound), "{address}: {error:?}");
        assert!(error.hint().is_some(), "{address}");
    }
    assert!(ci.received_requests().await.unwrap().is_empty());
    assert!(elsewhere.received_requests().await.unwrap().is_empty());
    assert_eq!(read(&forge, &format!("{host}/ci/job/shop/22/")).await.unwrap(), b"boom\n");
}

#[tokio::test]
async fn a_log_source_can_be_confined_to_a_folder() {
    let ci = server("/job/team-a/job/shop/22/logText/progressiveText").await;
    let forge = forge_with(LogSourceKind::Jenkins, &format!("{}/job/team-a", ci.uri())).await;
    assert_eq!(read(&forge, &format!("{}/job/team-a/job/shop/22/", ci.uri())).await.unwrap(), b"boom\n");
    let error = read(&forge, &format!("{}/job/team-b/job/shop/22/", ci.uri())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(ci.received_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_log_sources_token_stays_there_when_the_log_is_kept_elsewhere() {
    let storage = MockServer::start().await;
    Mock::given(matchers::any())
        .respond_with(ResponseTemplate::new(200).set_body_string("from the storage"))
        .mount(&storage)
        .await;
    let ci = MockServer::start().await;
    let location = format!("{}/bucket/log?sig=x", storage.uri());
    Mock::given(matchers::any())
        .respond_with(ResponseTemplate::new(302).insert_header("location", location.as_str()))
        .mount(&ci)
        .await;
    let forge = forge_with(LogSourceKind::Jenkins, &ci.uri()).await;
    assert_eq!(read(&forge, &format!("{}/job/shop/22/", ci.uri())).await.unwrap(), b"from the storage");
    let asked = storage.received_requests().await.unwrap();
    assert_eq!(asked.len(), 1);
    assert!(!asked[0].headers.contains_key("authorization") && !format!("{asked:?}").contains(CI_TOKEN));
    assert_no_forge_token(&ci).await;
}

#[tokio::test]
async fn what_a_ci_server_refuses_is_never_the_forges_credential() {
    let html = ResponseTemplate::new(200).set_body_raw("<html>log in</html>", "text/html;charset=utf-8");
    let running =
        ResponseTemplate::new(200).set_body_string("started\n").insert_header("x-more-data", "true");
    let cases = [
        (ResponseTemplate::new(401), ErrorKind::Forbidden),
        (ResponseTemplate::new(403), ErrorKind::Forbidden),
        (ResponseTemplate::new(404), ErrorKind::Gone),
        (ResponseTemplate::new(500), ErrorKind::Forge),
        (html, ErrorKind::Forbidden),
        (running, ErrorKind::NotReady),
        (ResponseTemplate::new(200), ErrorKind::NotFound),
    ];
    for (response, expected) in cases {
        let ci = MockServer::start().await;
        Mock::given(matchers::any()).respond_with(response).mount(&ci).await;
        let forge = forge_with(LogSourceKind::Jenkins, &ci.uri()).await;
        let error = read(&forge, &format!("{}/job/shop/22/", ci.uri())).await.unwrap_err();
        assert_eq!(error.kind(), expected, "{error:?}");
        assert_eq!(error.operation(), Some("read the log of build ci of NW/shop"));
        let text = format!("{error:?}");
        assert!(!text.contains(CI_TOKEN) && !text.contains("log in"), "{text}");
    }
}

#[tokio::test]
async fn where_the_progressive_text_is_hidden_the_whole_text_is_read() {
    let ci = server("/job/shop/22/consoleText").await;
    let forge = forge_with(LogSourceKind::Jenkins, &ci.uri()).await;
    assert_eq!(read(&forge, &format!("{}/job/shop/22/", ci.uri())).await.unwrap(), b"boom\n");
}

#[tokio::test]
async fn the_log_of_a_bamboo_plan_is_that_of_its_first_failed_job() {
    let ci = server("/download/NW-SHOP-UNIT/build_logs/NW-SHOP-UNIT-12.log").await;
    let result = |key: &str, state: &str| json!({"buildResultKey": key, "state": state});
    let plan = json!({"key": "NW-SHOP-12", "state": "Failed", "stages": {"stage": [
        {"results": {"result": [result("NW-SHOP-LINT-12", "Successful")]}},
        {"results": {"result": [result("NW-SHOP-UNIT-12", "Failed"), result("NW-SHOP-E2E-12", "Failed")]}},
    ]}});
    Mock::given(matchers::path("/rest/api/latest/result/NW-SHOP-12.json"))
        .and(matchers::query_param("expand", "stages.stage.results.result"))
        .respond_with(ResponseTemplate::new(200).set_body_json(plan))
        .mount(&ci)
        .await;
    let forge = forge_with(LogSourceKind::Bamboo, &ci.uri()).await;
    assert_eq!(read(&forge, &format!("{}/browse/NW-SHOP-12", ci.uri())).await.unwrap(), b"boom\n");
    let error = read(&forge, &format!("{}/browse/NW-SHOP-..-12", ci.uri())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn a_build_that_runs_is_not_asked_for() {
    let ci = MockServer::start().await;
    let forge = forge_with(LogSourceKind::TeamCity, &ci.uri()).await;
    let mut job = job(&format!("{}/build/4", ci.uri()));
    job.status = Status::Running;
    let error = forge.client.ci().unwrap().job_log(&repo(), &job, LogOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady);
    assert!(ci.received_requests().await.unwrap().is_empty());
}

#[test]
fn a_log_source_shows_no_token_and_takes_web_addresses_only() {
    let source =
        LogSource::new(LogSourceKind::Jenkins, "https://ci.example.com/", CI_TOKEN.to_owned().into());
    assert!(!format!("{:?}", source.unwrap()).contains(CI_TOKEN));
    for bad in
        ["ftp://ci.example.com", "https://u:p@ci.example.com", "ci.example.com", "https://ci.example.com?x=1"]
    {
        let error = LogSource::new(LogSourceKind::Jenkins, bad, CI_TOKEN.to_owned().into()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad}");
    }
}

#[tokio::test]
async fn the_list_of_log_sources_can_be_replaced_while_it_is_in_use() {
    let log = "job/shop/22/logText/progressiveText";
    let (old, new) = (server(&format!("/ci/{log}")).await, server(&format!("/ci/{log}")).await);
    let source = |base: &str, token: &str| {
        let source = LogSource::new(LogSourceKind::Jenkins, base, token.to_owned().into()).unwrap();
        source.with_username("robot")
    };
    let sources = LogSources::new(&forge_testkit::conformance::http_client());
    let forge = Forge::with(|builder| builder.with_log_sources(&sources)).await;
    let at = |server: &MockServer| format!("{}/ci/job/shop/22/", server.uri());
    let none = read(&forge, &at(&old)).await.unwrap_err();
    assert_eq!(none.kind(), ErrorKind::Unsupported);

    sources.replace([source(&format!("{}/ci", old.uri()), CI_TOKEN)]);
    assert_eq!(read(&forge, &at(&old)).await.unwrap(), b"boom\n");

    // The old server is gone from the list, and its credential is not sent any more, not even to itself.
    sources.replace([source(&format!("{}/ci", new.uri()), CI_TOKEN)]);
    assert_eq!(read(&forge, &at(&old)).await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(read(&forge, &at(&new)).await.unwrap(), b"boom\n");
    assert_eq!(old.received_requests().await.unwrap().len(), 1);

    // Of two that hold the address the nearer one counts.
    let wide = source(&new.uri(), "another-token");
    sources.replace([wide, source(&format!("{}/ci", new.uri()), CI_TOKEN)]);
    assert_eq!(read(&forge, &at(&new)).await.unwrap(), b"boom\n");
    assert!(!format!("{sources:?}").contains(CI_TOKEN), "{sources:?}");
}

/// A megabyte comes through whole, and is cut where it is too much.
#[tokio::test]
async fn a_long_log_of_jenkins_is_streamed_to_the_limit() {
    let ci = MockServer::start().await;
    let log = "0123456789abcdef\n".repeat(70_000);
    Mock::given(matchers::path("/job/shop/22/logText/progressiveText"))
        .and(matchers::query_param("start", "0"))
        .respond_with(
            ResponseTemplate::new(200)
                .set_body_raw(log.clone(), "text/plain")
                .insert_header("x-text-size", log.len().to_string().as_str()),
        )
        .mount(&ci)
        .await;
    let forge = forge_with(LogSourceKind::Jenkins, &ci.uri()).await;
    assert_eq!(read(&forge, &format!("{}/job/shop/22/", ci.uri())).await.unwrap().len(), log.len());
    let job = job(&format!("{}/job/shop/22/", ci.uri()));
    let stream = forge.client.ci().unwrap().job_log(&repo(), &job, LogOptions::new(1000)).await.unwrap();
    let (bytes, is_cut) = stream.read_to_end().await.unwrap();
    assert_eq!((bytes.len(), is_cut), (1000, true));
}
