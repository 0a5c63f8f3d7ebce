//! Every documented way in which Bitbucket says no.

use std::time::Duration;

use forge_core::{ErrorKind, ForgeKind, LogOptions, Retry, model::RunRef};
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

use crate::server::{Forge, REPO, TOKEN, fixture, json as answer, repo};

fn said(status: u16, error: Value) -> ResponseTemplate {
    answer(status, &json!({ "type": "error", "error": error }))
}

async fn error_of(response: ResponseTemplate) -> forge_core::Error {
    let forge = Forge::start().await;
    forge.on("GET", "/repositories/northwind/shop", response).await;
    let error = forge.client.repos().get_repo("northwind/shop").await.unwrap_err();
    assert_eq!(error.forge(), Some(ForgeKind::BITBUCKET_CLOUD));
    assert_eq!(error.operation(), Some("read repository northwind/shop"));
    assert!(!format!("{error} {error:?}").contains(TOKEN));
    error
}

#[tokio::test]
async fn statuses_have_their_kinds_and_remedies() {
    let scopes = json!({
        "message": "Your credentials lack one or more required privilege scopes.",
        "detail": { "granted": ["account"], "required": ["webhook", "pipeline"] },
    });
    let announced = json!({
        "message": "CHANGE-2770 - Functionality has been deprecated",
        "data": { "announcement_url": "https://developer.atlassian.com/cloud/bitbucket/changelog/#CHANGE-2770" },
    });
    let cases = [
        (
            said(401, json!({ "message": "Token is invalid, expired, or not supported" })),
            ErrorKind::Unauthorized,
            "",
        ),
        (
            said(403, scopes),
            ErrorKind::Forbidden,
            "webhook (Webhooks: Read and write), pipeline (Pipelines: Read)",
        ),
        (
            said(403, json!({ "message": "Access denied", "detail": "You must have admin access." })),
            ErrorKind::Forbidden,
            "administrator",
        ),
        (
            said(403, json!({ "detail": { "required": [7, "<script>"] } })),
            ErrorKind::Forbidden,
            "administrator",
        ),
        (
            said(404, json!({ "message": "Repository northwind/shop not found" })),
            ErrorKind::NotFound,
            "404 for both",
        ),
        (said(410, announced), ErrorKind::Unsupported, "newer version"),
        (said(410, json!({ "message": "gone" })), ErrorKind::Gone, ""),
        (
            said(400, json!({ "message": "Bad request", "fields": { "url": ["Invalid."] } })),
            ErrorKind::Invalid,
            "",
        ),
        (said(500, json!({ "message": "Something went wrong" })), ErrorKind::Forge, ""),
        (
            ResponseTemplate::new(200).set_body_string("<html>login</html>"),
            ErrorKind::UnexpectedResponse,
            "base URL",
        ),
        (answer(200, &json!({ "uuid": 7 })), ErrorKind::UnexpectedResponse, ""),
    ];
    for (response, kind, hint) in cases {
        let error = error_of(response).await;
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.hint().unwrap_or_default().contains(hint), "{error}");
    }
}

#[tokio::test]
async fn a_rate_limit_without_a_time_is_minutes_not_seconds() {
    let limited = || said(429, json!({ "message": "Rate limit for this resource has been exceeded" }));
    let error = error_of(limited()).await;
    assert_eq!(
        (error.kind(), error.retry()),
        (ErrorKind::RateLimited, Retry::After(Duration::from_secs(180)))
    );
    let error = error_of(limited().insert_header("retry-after", "1800")).await;
    assert_eq!(error.retry(), Retry::After(Duration::from_secs(1800)));
}

#[tokio::test]
async fn the_token_goes_to_no_other_origin() {
    let elsewhere = MockServer::start().await;
    Mock::given(matchers::any())
        .respond_with(ResponseTemplate::new(200).set_body_string("log"))
        .mount(&elsewhere)
        .await;
    let forge = Forge::start().await;
    // A next page elsewhere.
    let next = format!("{}/2.0/user/workspaces?page=2", elsewhere.uri());
    let page = json!({ "values": [{ "workspace": { "slug": "northwind" } }], "next": next });
    forge.on("GET", "/user/workspaces?pagelen=100", answer(200, &page)).await;
    let repos = json!({ "values": [], "next": format!("{}/x", elsewhere.uri()) });
    forge
        .on("GET", "/repositories/northwind?role=member&sort=created_on&pagelen=100", answer(200, &repos))
        .await;
    let error = forge.client.repos().list_repos().try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddressRefused);
    // A redirect elsewhere, for reading and for changing.
    let away = || ResponseTemplate::new(307).insert_header("location", format!("{}/x", elsewhere.uri()));
    forge.on("GET", "/repositories/northwind/shop", away()).await;
    forge.on("DELETE", &format!("{REPO}/hooks/%7Bx%7D"), away()).await;
    assert!(forge.client.repos().get_repo("northwind/shop").await.is_err());
    let hooks = forge.client.hooks().unwrap();
    assert!(hooks.delete_hook(&repo(), "{x}").await.is_err());
    assert!(elsewhere.received_requests().await.unwrap().is_empty(), "nothing at all went there");
    // A log elsewhere is fetched, without anything of ours.
    let step = fixture("step.json");
    let run = format!("{REPO}/pipelines/17");
    let uuid = "%7B9b1f0c55-3a2d-4e0b-8a7c-4e1d0c9a0017%7D";
    let place = format!("{REPO}/pipelines/{uuid}/steps/%7B0c9a4e1d-7777-4b7e-9a1c-5d6e7f8091a2%7D");
    forge.on("GET", &run, answer(200, &fixture("pipeline.json"))).await;
    forge.on("GET", &place, answer(200, &step)).await;
    forge.on("GET", &format!("{place}/log"), away()).await;
    let ci = forge.client.ci().unwrap();
    let job = ci.get_job(&repo(), "17:{0c9a4e1d-7777-4b7e-9a1c-5d6e7f8091a2}:1").await.unwrap();
    let log = ci.job_log(&repo(), &job, LogOptions::default()).await.unwrap().read_to_end().await.unwrap();
    assert_eq!(log, (b"log".to_vec(), false));
    for request in elsewhere.received_requests().await.unwrap() {
        let text = format!("{:?} {} {:?}", request.headers, request.url, request.body);
        assert!(!text.contains("canary") && !request.headers.contains_key("authorization"), "{text}");
        assert!(!request.headers.contains_key("range"), "no header of ours at all");
    }
    assert!(!format!("{:?}", forge.client).contains("canary"));
}

#[tokio::test]
async fn odd_answers_of_the_api_are_read_as_far_as_they_go() {
    let forge = Forge::start().await;
    let ci = forge.client.ci().unwrap();
    let mut pipeline = fixture("pipeline.json");
    let states = [
        (json!({ "name": "IN_PROGRESS", "stage": { "name": "PAUSED" } }), "Running None"),
        (json!({ "name": "PENDING" }), "Queued None"),
        (json!({ "name": "COMPLETED", "result": { "name": "EXPIRED" } }), "Completed Some(Stale)"),
        (json!({ "name": "COMPLETED", "result": { "name": "EXPLODED" } }), "Completed Some(Unknown)"),
        (json!({ "name": "COMPLETED" }), "Completed Some(Unknown)"),
        (json!({ "name": "COMPLETED", "result": { "name": "ERROR" } }), "Completed Some(Failure)"),
        (
            json!({ "name": "COMPLETED", "result": { "name": "ERROR", "error": { "key": "plan.parse" } } }),
            "Completed Some(StartupFailure)",
        ),
        (json!({ "name": "DANCING", "result": null }), "Unknown None"),
        (Value::Null, "Unknown None"),
    ];
    for (state, expected) in states {
        pipeline["state"] = state.clone();
        pipeline["target"] = json!({
            "type": "pipeline_pullrequest_target",
            "source": { "branch": { "name": "basket" } },
            "commit": { "hash": "8d2f4c6e1a3b" },
            "pullrequest": { "id": 88 },
        });
        forge.server.reset().await;
        forge.on("GET", &format!("{REPO}/pipelines/17"), answer(200, &pipeline)).await;
        forge
            .on(
                "GET",
                &format!("{REPO}/pipelines/%7B9b1f0c55-3a2d-4e0b-8a7c-4e1d0c9a0017%7D"),
                answer(200, &pipeline),
            )
            .await;
        let run = ci.get_run(&repo(), &RunRef::new("17")).await.unwrap();
        assert_eq!(format!("{:?} {:?}", run.status, run.conclusion), expected, "{state}");
        assert_eq!(
            (run.git_ref.as_deref(), run.pull_requests.as_slice()),
            (Some("basket"), &["88".to_owned()][..])
        );
        assert_eq!(run.config_error.is_some(), expected.contains("StartupFailure"));
    }
}
