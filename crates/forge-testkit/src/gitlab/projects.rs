//! Projects: listing, looking up, and everything below one.

use serde_json::{Value, json};

use super::{Answer, access::Caller, ci, facts, feedback, hooks, json as shape, refuse, unknown};
use crate::{
    wire::{Incoming, Reply, with_query},
    world::{Repo, World},
};

pub(super) fn route(world: &mut World, request: &Incoming, caller: &Caller, segments: &[&str]) -> Answer {
    let method = request.method.as_str();
    let ["projects", rest @ ..] = segments else { return Ok(unknown()) };
    let [id, rest @ ..] = rest else {
        return if method == "GET" { Ok(list(world, request, caller).into()) } else { Ok(unknown()) };
    };
    let repo = find(world, request, caller, id)?;
    if repo.is_archived && method != "GET" {
        return Err(refuse(403, "403 Forbidden"));
    }
    if let Some(answer) = facts::route(world, request, &repo, rest) {
        return answer;
    }
    match rest {
        [] if method == "GET" => Ok(Reply::json(200, &shape::project(world, &repo, caller.user_id)).into()),
        ["hooks", rest @ ..] => hooks::of_project(world, request, caller, &repo, rest),
        ["pipelines" | "jobs", ..] | ["merge_requests", _, "pipelines"] => {
            ci::route(world, request, &repo, rest)
        }
        _ => feedback::route(world, request, caller, &repo, rest),
    }
}

/// By number or by path; an old path answers with a redirect to the number (GitLab docs, api/rest/_index.md).
fn find(world: &World, request: &Incoming, caller: &Caller, id: &str) -> Result<Repo, Box<Reply>> {
    let not_found = || refuse(404, "404 Project Not Found");
    let by_number = id.parse::<u64>().ok();
    let found = by_number.or_else(|| world.repos_by_name.get(&id.to_lowercase()).copied());
    let repo = found.and_then(|id| world.repo(id)).ok_or_else(not_found)?;
    if repo.access_of(caller.user_id) == 0 && repo.is_private {
        return Err(not_found());
    }
    if by_number.is_none() && !repo.full_name.eq_ignore_ascii_case(id) {
        // The third segment of the path (api, v4, projects, ID) as it was sent, encoded.
        let rest = request.path.splitn(6, '/').nth(5).map(|rest| format!("/{rest}")).unwrap_or_default();
        let query = request.raw_query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        let location = format!("{}/api/v4/projects/{}{rest}{query}", world.base_url, repo.id);
        return Err(Box::new(Reply::redirect(301, &location)));
    }
    Ok(repo.clone())
}

fn list(world: &World, request: &Incoming, caller: &Caller) -> Reply {
    let min_level: u8 = request.query("min_access_level").and_then(|text| text.parse().ok()).unwrap_or(0);
    let archived = request.query("archived").map(|text| text == "true");
    let is_wanted = |repo: &&Repo| {
        let level = repo.access_of(caller.user_id);
        level >= min_level.max(1) && archived.is_none_or(|wanted| wanted == repo.is_archived)
    };
    let is_ascending = request.query("sort") == Some("asc");
    let is_keyset = request.query("pagination") == Some("keyset");
    if is_keyset && request.query("order_by") != Some("id") {
        let body = json!({ "error": "Keyset pagination is not yet available for this type of request" });
        return Reply::json(405, &body);
    }
    let sorted: Vec<&Repo> = if is_ascending {
        world.repos.values().filter(is_wanted).collect()
    } else {
        world.repos.values().rev().filter(is_wanted).collect()
    };
    if !is_keyset {
        return page(world, request, &sorted, |repo| shape::project(world, repo, caller.user_id));
    }
    let (_, size) = request.paging(20);
    let cursor = if is_ascending { "id_after" } else { "id_before" };
    let after = request.query(cursor).and_then(|text| text.parse::<u64>().ok());
    let is_behind = |repo: &&&Repo| match after {
        None => true,
        Some(id) if is_ascending => repo.id > id,
        Some(id) => repo.id < id,
    };
    let items: Vec<&Repo> = sorted.iter().filter(is_behind).take(size + 1).copied().collect();
    let shown = items.get(..size.min(items.len())).unwrap_or_default();
    let values = shown.iter().map(|repo| shape::project(world, repo, caller.user_id)).collect();
    let reply = Reply::json(200, &Value::Array(values)).with_header("x-per-page", &size.to_string());
    match shown.last() {
        Some(last) if items.len() > size => {
            let url = with_query(
                &address(world, request),
                request.raw_query.as_deref(),
                cursor,
                &last.id.to_string(),
            );
            reply.with_header("link", &format!("<{url}>; rel=\"next\""))
        }
        _ => reply,
    }
}

/// Offset paging with GitLab's headers (GitLab docs, api/rest/_index.md#pagination).
pub(super) fn page<T>(world: &World, request: &Incoming, items: &[T], show: impl Fn(&T) -> Value) -> Reply {
    let (number, size) = request.paging(20);
    let pages = items.len().div_ceil(size).max(1);
    let start = (number - 1).saturating_mul(size).min(items.len());
    let shown = items.get(start..items.len().min(start + size)).unwrap_or_default();
    let reply = Reply::json(200, &Value::Array(shown.iter().map(show).collect()));
    let url = address(world, request);
    let link_to = |page: usize| with_query(&url, request.raw_query.as_deref(), "page", &page.to_string());
    let mut links = Vec::new();
    let mut next = String::new();
    if number < pages {
        next = (number + 1).to_string();
        links.push(format!("<{}>; rel=\"next\"", link_to(number + 1)));
    }
    links.push(format!("<{}>; rel=\"first\"", link_to(1)));
    links.push(format!("<{}>; rel=\"last\"", link_to(pages)));
    reply
        .with_header("link", &links.join(", "))
        .with_header("x-page", &number.to_string())
        .with_header("x-per-page", &size.to_string())
        .with_header("x-next-page", &next)
        .with_header("x-total", &items.len().to_string())
        .with_header("x-total-pages", &pages.to_string())
}

fn address(world: &World, request: &Incoming) -> String {
    match &world.foreign_next_link {
        Some(origin) => format!("{origin}{}", request.path),
        None => format!("{}{}", world.base_url, request.path),
    }
}
