//! A Jenkins, a Bamboo and a TeamCity, as far as their logs go. Their credentials are not Bitbucket's.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;

use super::{CiServer, FakeBitbucketDc};
use crate::{
    dialect::Outcome,
    spec::Log,
    wire::{Incoming, Reply},
    world::World,
};

pub(super) fn root(server: CiServer) -> &'static str {
    match server {
        CiServer::Jenkins => "/jenkins",
        CiServer::Bamboo => "/bamboo",
        CiServer::TeamCity => "/teamcity",
    }
}

/// What the CI server tells Bitbucket as the address of a build.
pub(super) fn build_url(world: &World, job_id: u64) -> String {
    let server = world.bitbucket_dc.ci_server;
    let base = world.foreign_log_origin.as_ref().unwrap_or(&world.base_url);
    let root = format!("{base}{}", root(server));
    match server {
        CiServer::Jenkins => format!("{root}/job/ci/job/feature%252Fx/{job_id}/display/redirect"),
        CiServer::Bamboo => format!("{root}/browse/RCA-CI-JOB1-{job_id}"),
        CiServer::TeamCity => format!("{root}/viewLog.html?buildId={job_id}&buildTypeId=Rca_Ci"),
    }
}

pub(super) fn route(world: &mut World, request: &Incoming, segments: &[&str]) -> Outcome {
    let page =
        |status: u16, text: &str| Reply::bytes(status, "text/html", format!("<html>{text}</html>").into());
    if request.method != http::Method::GET {
        return Outcome::Unknown(page(404, "no such page"));
    }
    let (job_id, is_progressive) = match segments {
        ["jenkins", "job", "ci", "job", "feature%2Fx", build, "consoleText"] => (build.parse().ok(), false),
        ["jenkins", "job", "ci", "job", "feature%2Fx", build, "logText", "progressiveText"] => {
            (build.parse().ok(), true)
        }
        ["bamboo", "download", "RCA-CI-JOB1", "build_logs", file] => {
            let build = file.strip_prefix("RCA-CI-JOB1-").and_then(|rest| rest.strip_suffix(".log"));
            (build.and_then(|build| build.parse().ok()), false)
        }
        ["teamcity", "downloadBuildLog.html"] => {
            (request.query("buildId").and_then(|build| build.parse().ok()), false)
        }
        _ => return Outcome::Unknown(page(404, "no such page")),
    };
    let (user, token) = (FakeBitbucketDc::CI_USER, FakeBitbucketDc::CI_TOKEN);
    let expected = match segments.first() {
        Some(&"jenkins") => format!("Basic {}", STANDARD.encode(format!("{user}:{token}"))),
        _ => format!("Bearer {token}"),
    };
    match request.header("authorization") {
        Some(header) if header == expected => {}
        Some(_) => return page(401, "bad token").into(),
        // Whoever is not known is led to the login page.
        None => return page(403, "Authentication required").into(),
    }
    let redirects = world.redirects_logs;
    let job = job_id.and_then(|id: u64| world.jobs.get_mut(&id));
    let Some(job) = job.filter(|job| !job.is_log_expired && job.erased_at.is_none()) else {
        return page(404, "no such build").into();
    };
    if job.log_delay > 0 {
        job.log_delay -= 1;
        let began = Reply::bytes(200, "text/plain", Bytes::from_static(b"Started by an SCM change\n"));
        return if is_progressive {
            began.with_header("x-text-size", "25").with_header("x-more-data", "true").into()
        } else {
            began.into()
        };
    }
    let (id, log) = (job.id, job.log.clone());
    if redirects && log != Log::None {
        let location = world.blob_link(id);
        return Reply::redirect(302, &location).into();
    }
    match log {
        Log::Bytes(bytes) => {
            let size = bytes.len().to_string();
            Reply::bytes(200, "text/plain;charset=utf-8", bytes).with_header("x-text-size", &size)
        }
        Log::Generated(length) => Reply::generated(length),
        Log::None => Reply::bytes(200, "text/plain;charset=utf-8", Bytes::new()),
    }
    .into()
}
