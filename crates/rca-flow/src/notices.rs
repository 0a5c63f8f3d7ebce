//! What channels are told, and which of them want it. Foreign text stays plain text here; each channel makes it inert.

use rca_engine::Report;
use rca_notify::{ExcerptLine, Link, Message, Tone};
use rca_store::{Analysis, Cluster, Incident};
use serde_json::json;
use url::Url;

use crate::types::{ChannelFilters, time};

/// Jobs that are named; the others are counted.
const JOBS: usize = 5;
/// Jobs whose facts a webhook gets.
const DATA_JOBS: usize = 100;

/// Failed jobs of one run with one cause.
#[derive(Debug)]
pub(crate) struct Failure<'a> {
    /// At least one.
    pub(crate) jobs: &'a [&'a Analysis],
    pub(crate) cluster: Option<&'a Cluster>,
    /// `Some` on the default branch: whether it was red before.
    pub(crate) was_red: Option<bool>,
}

/// Where something failed, as [`rca_store::Notification::place`] has it.
pub(crate) fn place(pr: Option<&str>, branch: Option<&str>) -> String {
    match (pr, branch) {
        (Some(pr), _) => format!("pr:{pr}"),
        (None, Some(branch)) => format!("branch:{branch}"),
        (None, None) => String::new(),
    }
}

/// A failure, told.
pub(crate) fn failed(failure: &Failure<'_>) -> Option<Message> {
    let first = *failure.jobs.first()?;
    let report = first.report.clone().and_then(|report| serde_json::from_value::<Report>(report).ok());
    let cause = report.as_ref().map(|report| report.root_cause.as_str()).filter(|cause| !cause.is_empty());
    let named: Vec<&str> = failure.jobs.iter().take(JOBS).map(|job| name(job)).collect();
    let count = failure.jobs.len();
    let more = if count > JOBS { format!(" and {} more", count - JOBS) } else { String::new() };
    let times = if count > 1 { format!(" (x{count})") } else { String::new() };
    let what = match cause {
        Some(cause) => format!("{cause}{times}"),
        None => format!("{} failed{times}, no cause found", named.first().copied().unwrap_or_default()),
    };
    let branch = first.branch.as_deref().unwrap_or_default();
    let title = match failure.was_red {
        Some(false) => format!("{}: {branch} is red: {what}", first.repository),
        Some(true) => format!("{}: {branch} is still red: {what}", first.repository),
        None => format!("{}: {what}", first.repository),
    };
    let mut message = Message::new("failed", Tone::Bad, title);
    let mut fact = |label: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            message.facts.push((label.to_owned(), value));
        }
    };
    fact("repository", Some(first.repository.clone()));
    fact("branch", first.branch.clone());
    fact("pull request", first.pr.clone());
    fact("commit", first.commit_sha.as_ref().map(|sha| sha.chars().take(12).collect()));
    fact(if count > 1 { "jobs" } else { "job" }, Some(format!("{}{more}", named.join(", "))));
    fact("severity", first.severity.clone());
    fact("seen", failure.cluster.filter(|cluster| cluster.count > 1).map(seen));
    if let Some(report) = &report {
        message.text = [&report.explanation, &report.fix_suggestion]
            .into_iter()
            .filter(|text| !text.is_empty())
            .cloned()
            .collect();
        if let Some(best) = report.evidence.first() {
            message.excerpt = (best.start_line..)
                .zip(&best.excerpt)
                .map(|(number, text)| ExcerptLine {
                    number,
                    text: text.clone(),
                    is_focus: number == best.focus_line,
                })
                .collect();
        }
    } else if let Some(error) = &first.error {
        message.text.push(error.clone());
    }
    let job_url = first.job_url.as_deref().filter(|_| count == 1);
    for (label, url) in [("the run", first.pipeline_url.as_deref()), ("the job", job_url)] {
        message.links.extend(link(label, url));
    }
    "analysis.failed".clone_into(&mut message.event);
    let jobs: Vec<_> = failure
        .jobs
        .iter()
        .take(DATA_JOBS)
        .map(|job| json!({ "analysis_id": job.id, "job_id": job.job_id, "name": job.job_name, "url": job.job_url }))
        .collect();
    let evidence = report.as_ref().and_then(|report| report.evidence.first()).map(|best| {
        json!({ "start_line": best.start_line, "end_line": best.end_line, "focus_line": best.focus_line,
            "excerpt": best.excerpt })
    });
    message.data = json!({
        "repository": first.repository,
        "branch": first.branch,
        "commit_sha": first.commit_sha,
        "pr": first.pr,
        "run_id": first.root_run_id.as_ref().unwrap_or(&first.run_id),
        "attempt": first.attempt,
        "cluster_id": first.cluster_id,
        "root_cause": cause,
        "category": first.category,
        "severity": first.severity,
        "evidence": evidence,
        "pipeline_url": first.pipeline_url,
        "jobs": jobs,
        "job_count": count,
    });
    Some(message)
}

/// The causes of a run that are counted and not told one by one; of each the first job.
pub(crate) fn left_out(firsts: &[&Analysis]) -> Option<Message> {
    let first = *firsts.first()?;
    let count = firsts.len();
    let s = if count == 1 { "" } else { "s" };
    let mut message = Message::new(
        "failed",
        Tone::Bad,
        format!("{}: {count} more cause{s} in the same run", first.repository),
    );
    message.facts.push(("repository".to_owned(), first.repository.clone()));
    let named: Vec<&str> = firsts.iter().take(JOBS).map(|job| name(job)).collect();
    let more = if count > JOBS { format!(" and {} more", count - JOBS) } else { String::new() };
    message.facts.push(("jobs".to_owned(), format!("{}{more}", named.join(", "))));
    message.text.push("They are not told one by one; the run shows them all.".to_owned());
    message.links.extend(link("the run", first.pipeline_url.as_deref()));
    "analysis.failed".clone_into(&mut message.event);
    message.data = json!({
        "repository": first.repository,
        "branch": first.branch,
        "commit_sha": first.commit_sha,
        "pr": first.pr,
        "run_id": first.root_run_id.as_ref().unwrap_or(&first.run_id),
        "attempt": first.attempt,
        "pipeline_url": first.pipeline_url,
        "cause_count": count,
        "analysis_ids": firsts.iter().take(DATA_JOBS).map(|job| &job.id).collect::<Vec<_>>(),
    });
    Some(message)
}

fn name(job: &Analysis) -> &str {
    job.job_name.as_deref().unwrap_or(&job.job_id)
}

fn seen(cluster: &Cluster) -> String {
    let places = match cluster.repositories.len() {
        0 | 1 => String::new(),
        many => format!(" in {many} repositories"),
    };
    let since = time(cluster.first_seen_at);
    let since = since.split('T').next().unwrap_or_default();
    let fix = cluster.last_fix.as_ref().map(|fix| format!(", last fixed by {}", short(fix)));
    format!("{} times{places} since {since}{}", cluster.count, fix.unwrap_or_default())
}

fn short(sha: &str) -> String {
    sha.chars().take(12).collect()
}

fn link(label: &str, url: Option<&str>) -> Option<Link> {
    let url = Url::parse(url?).ok().filter(|url| matches!(url.scheme(), "https" | "http"))?;
    Some(Link { label: label.to_owned(), url })
}

/// What turned green, as the task that tells of it says.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Healed {
    /// The repository, as analyses name it.
    pub(crate) repository_key: String,
    /// Further names of it: logs that were sent in have one each.
    #[serde(default)]
    pub(crate) other_keys: Vec<String>,
    /// Its full name.
    pub(crate) repository: String,
    pub(crate) place: String,
    pub(crate) branch: Option<String>,
    pub(crate) pr: Option<String>,
    /// Whether it is the default branch.
    pub(crate) is_default: bool,
    /// The failed top runs that are over now.
    pub(crate) runs: Vec<String>,
    /// The run that passed, and its commit.
    pub(crate) run: String,
    pub(crate) commit_sha: Option<String>,
    pub(crate) url: Option<String>,
    /// The same commit had failed: nobody repaired anything.
    pub(crate) is_same_commit: bool,
}

/// The good news. `is_still_red`: other failures of the place go on.
pub(crate) fn fixed(healed: &Healed, is_still_red: bool) -> Message {
    let place = match (&healed.pr, &healed.branch) {
        (Some(pr), _) => format!("pull request {pr}"),
        (None, Some(branch)) => branch.clone(),
        (None, None) => "the run".to_owned(),
    };
    let by = how(healed);
    let what = match (is_still_red, healed.is_default) {
        (true, _) => format!("a failure of {place} is {by}, others go on"),
        (false, true) => format!("{place} is green again, {by}"),
        (false, false) => format!("{place} is green, {by}"),
    };
    let mut message = Message::new("fixed", Tone::Good, format!("{}: {what}", healed.repository));
    message.facts.push(("repository".to_owned(), healed.repository.clone()));
    if let Some(branch) = &healed.branch {
        message.facts.push(("branch".to_owned(), branch.clone()));
    }
    message.links.extend(link("the run", healed.url.as_deref()));
    "run.fixed".clone_into(&mut message.event);
    message.data = json!({
        "repository": healed.repository,
        "branch": healed.branch,
        "pr": healed.pr,
        "run_id": healed.run,
        "commit_sha": healed.commit_sha,
        "is_same_commit": healed.is_same_commit,
        "is_default_branch": healed.is_default,
        "is_still_red": is_still_red,
        "fixed_run_ids": healed.runs,
    });
    message
}

fn how(healed: &Healed) -> String {
    match &healed.commit_sha {
        _ if healed.is_same_commit => "passed when run again".to_owned(),
        Some(sha) => format!("fixed by {}", short(sha)),
        None => "fixed".to_owned(),
    }
}

/// The message of a failure, once it is over: for channels that can edit.
pub(crate) fn closed(mut message: Message, healed: &Healed) -> Message {
    message.tone = Tone::Good;
    message.text.insert(0, format!("This is over: {}.", how(healed)));
    message
}

/// An incident that began, or is over.
pub(crate) fn incident(incident: &Incident, event: &str) -> Message {
    let is_over = event == "resolved";
    let tone = if is_over { Tone::Good } else { Tone::Bad };
    let title = if is_over { format!("over: {}", incident.message) } else { incident.message.clone() };
    let mut message = Message::new("incident", tone, title);
    message.facts.push(("severity".to_owned(), incident.severity.clone()));
    if !is_over {
        message.text.push(incident.remedy.clone());
    }
    message.event = format!("incident.{event}");
    message.data = json!({
        "incident_id": incident.id,
        "code": incident.code,
        "severity": incident.severity,
        "message": incident.message,
        "remedy": incident.remedy,
        "integration_id": incident.integration,
        "repository_id": incident.repository,
        "opened_at": time(incident.opened_at),
        "resolved_at": incident.resolved_at.map(time),
    });
    message
}

/// Whether a channel wants to be told of these failed jobs.
pub(crate) fn wants(filters: &ChannelFilters, jobs: &[&Analysis], cluster: Option<&Cluster>) -> bool {
    let Some(first) = jobs.first() else { return false };
    let is_named = |globs: &[String], name: Option<&str>| {
        globs.is_empty() || name.is_some_and(|name| globs.iter().any(|glob| is_like(name, glob)))
    };
    let severity = jobs.iter().filter_map(|job| job.severity.as_deref()).map(rank).max().unwrap_or(0);
    let is_new =
        cluster.is_none_or(|cluster| usize::try_from(cluster.count).is_ok_and(|it| it <= jobs.len()));
    is_named(&filters.repositories, Some(&first.repository))
        && is_named(&filters.branches, first.branch.as_deref())
        && severity >= filters.min_severity.as_deref().map_or(0, rank)
        && (is_new || !filters.first_occurrence_only)
}

fn rank(severity: &str) -> u8 {
    match severity {
        "high" => 2,
        "medium" => 1,
        _ => 0,
    }
}

/// `*` stands for any text, also across slashes; capitals do not matter, since forges do not tell names apart by them.
/// Takes time in proportion to the product of both lengths at most.
fn is_like(name: &str, glob: &str) -> bool {
    let (name, glob) = (name.to_lowercase(), glob.to_lowercase());
    let mut parts = glob.split('*');
    let head = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(head) else { return false };
    let Some(tail) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::is_like;

    #[test]
    fn globs() {
        for (name, glob, is) in [
            ("acme/shop", "acme/shop", true),
            ("acme/shop", "ACME/*", true),
            ("acme/shop", "*", true),
            ("acme/shop", "*/shop", true),
            ("acme/shop", "a*e/*p", true),
            ("acme/shop", "acme", false),
            ("acme/shop", "acme/shop*x", false),
            ("release/1.2", "release/*", true),
            ("ab", "ab*b", false),
            ("", "*", true),
            ("a", "**", true),
        ] {
            assert_eq!(is_like(name, glob), is, "{name} {glob}");
        }
    }
}
