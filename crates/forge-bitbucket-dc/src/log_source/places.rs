//! From the address of a build to that of its log. Everything is taken apart and put together anew: nothing of a build
//! status is asked for as it stands.

use serde_json::Value;

use super::LogSourceKind;

/// Where a log is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The path of a Jenkins build.
    Jenkins(String),
    /// A file with the log.
    File { path: String, query: Vec<(&'static str, String)> },
    /// The key of a Bamboo plan's result.
    BambooPlan(String),
}

/// `path` is below the server's base, without a leading slash and still encoded.
pub(super) fn find(kind: LogSourceKind, path: &str, query: Option<&str>) -> Option<Place> {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    match kind {
        LogSourceKind::Jenkins => jenkins(&segments).map(Place::Jenkins),
        LogSourceKind::Bamboo => bamboo(&segments),
        LogSourceKind::TeamCity => {
            let id = teamcity(&segments, query)?;
            Some(Place::File { path: "downloadBuildLog.html".to_owned(), query: vec![("buildId", id)] })
        }
    }
}

/// `job/<folder>/job/<name>/<number>/...`, or Blue Ocean's
/// `blue/organizations/<organisation>/<full name>/detail/<branch>/<number>/...`.
fn jenkins(segments: &[&str]) -> Option<String> {
    if let ["blue", "organizations", _, name, "detail", branch, number, ..] = segments {
        if !is_number(number) {
            return None;
        }
        let names: Vec<&str> = name.split("%2F").flat_map(|part| part.split("%2f")).collect();
        let mut path = names.iter().map(|name| format!("job/{name}/")).collect::<String>();
        // A job of a single branch gives its own name there. A branch's job is named by the branch with its slashes
        // encoded, and that name is encoded again in an address.
        if names.last() != Some(branch) {
            path.push_str(&format!("job/{}/", branch.replace('%', "%25")));
        }
        return Some(format!("{path}{number}"));
    }
    let mut rest = segments;
    let mut path = String::new();
    while let ["job", name, after @ ..] = rest {
        // A slash within a name is encoded twice; one that is encoded once would lead out of the job where a proxy
        // decodes it.
        if ["%2f", "%5c"].iter().any(|code| name.to_ascii_lowercase().contains(code)) {
            return None;
        }
        path.push_str(&format!("job/{name}/"));
        rest = after;
    }
    let number = rest.first().filter(|number| is_number(number))?;
    (!path.is_empty()).then(|| format!("{path}{number}"))
}

/// `browse/<project>-<plan>-<number>` or `browse/<project>-<plan>-<job>-<number>`.
fn bamboo(segments: &[&str]) -> Option<Place> {
    let ["browse", key, ..] = segments else { return None };
    if !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
        return None;
    }
    let parts: Vec<&str> = key.split('-').collect();
    if !parts.last().is_some_and(|number| is_number(number)) || parts.iter().any(|part| part.is_empty()) {
        return None;
    }
    match parts.len() {
        3 => Some(Place::BambooPlan((*key).to_owned())),
        4 => Some(Place::File { path: bamboo_log(key)?, query: Vec::new() }),
        _ => None,
    }
}

/// The log of a job's result.
pub(super) fn bamboo_log(key: &str) -> Option<String> {
    let (job, _) = key.rsplit_once('-')?;
    Some(format!("download/{job}/build_logs/{key}.log"))
}

/// The first failed job in the result of a plan, with its stages expanded.
pub(super) fn failed_bamboo_job(result: &Value) -> Option<String> {
    let stages = result.pointer("/stages/stage")?.as_array()?;
    let mut jobs = stages.iter().filter_map(|stage| stage.pointer("/results/result")?.as_array()).flatten();
    let failed = jobs.find(|job| {
        let state = job.get("buildState").or_else(|| job.get("state")).and_then(Value::as_str);
        state.is_some_and(|state| state.eq_ignore_ascii_case("failed"))
    })?;
    let key = failed.get("buildResultKey").or_else(|| failed.get("key"))?.as_str()?;
    // The answer is not believed either.
    match bamboo(&["browse", key]) {
        Some(Place::File { .. }) => Some(key.to_owned()),
        _ => None,
    }
}

/// `viewLog.html?buildId=<id>`, `buildConfiguration/<name>/<id>`, `build/<id>`.
fn teamcity(segments: &[&str], query: Option<&str>) -> Option<String> {
    let id = match segments {
        ["viewLog.html", ..] => url::form_urlencoded::parse(query?.as_bytes())
            .find_map(|(name, value)| (name == "buildId").then(|| value.into_owned()))?,
        ["buildConfiguration", _, id, ..] | ["build", id, ..] => (*id).to_owned(),
        _ => return None,
    };
    is_number(&id).then_some(id)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit())
}
