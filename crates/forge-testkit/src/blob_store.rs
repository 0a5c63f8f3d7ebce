//! The storage on another origin that log downloads are redirected to.

use bytes::Bytes;

use crate::{
    record::presented,
    spec::Log,
    wire::{Incoming, Reply},
    world::World,
};

/// Answers as Azure Blob Storage does: XML errors, and a signed link together with `Authorization` is a 400.
pub(crate) fn answer(world: &mut World, request: &Incoming) -> Reply {
    if request.headers.contains_key(http::header::AUTHORIZATION)
        || presented(&request.headers, None).is_some()
    {
        return error(400, "InvalidAuthenticationInfo");
    }
    let ["logs", key, _] = *request.segments.iter().map(String::as_str).collect::<Vec<_>>() else {
        return error(404, "ResourceNotFound");
    };
    let now = world.now();
    let Some(link) = world.blobs.iter().find(|link| link.key == key) else {
        return error(404, "BlobNotFound");
    };
    if request.query("sig") != Some(link.signature.as_str()) || link.expires_at < now {
        return error(403, "AuthenticationFailed");
    }
    if world.is_blob_missing {
        return error(404, "BlobNotFound");
    }
    match world.jobs.get(&link.job_id).map(|job| job.log.clone()) {
        Some(Log::Bytes(bytes)) => ranged(request, bytes),
        Some(Log::Generated(length)) => Reply::generated(length),
        Some(Log::None) | None => error(404, "BlobNotFound"),
    }
}

/// Honours `Range: bytes=a-b`, `a-` and `-n`.
pub(crate) fn ranged(request: &Incoming, bytes: Bytes) -> Reply {
    let range = request.header("range").and_then(|value| value.strip_prefix("bytes=")?.split_once('-'));
    let Some((first, last)) = range else { return Reply::bytes(200, "text/plain", bytes) };
    let length = bytes.len();
    let (start, end) = match (first.parse::<usize>().ok(), last.parse::<usize>().ok()) {
        (Some(start), Some(last)) => (start, length.min(last + 1)),
        (Some(start), None) => (start, length),
        (None, Some(tail)) => (length.saturating_sub(tail), length),
        (None, None) => (0, length),
    };
    if start >= end {
        return error(416, "InvalidRange");
    }
    Reply::bytes(206, "text/plain", bytes.slice(start..end))
        .with_header("content-range", &format!("bytes {start}-{}/{length}", end - 1))
}

fn error(status: u16, name: &str) -> Reply {
    let body = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{name}</Code></Error>");
    Reply::bytes(status, "application/xml", Bytes::from(body))
}
