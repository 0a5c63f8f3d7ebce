//! How Anvil behaves, written from its documents and not from the adapter: two readings that have to agree. Users,
//! repositories, runs, hooks, faults and records are the test kit's.

use bytes::Bytes;
use forge_core::ForgeKind;
use forge_testkit::{FakeRepo, FakeRun, FakeState, Message, OwnForge, State};
use http::{HeaderMap, HeaderValue, Request, Response, header};
use serde_json::{Value, json};

use crate::anvil::ANVIL;

#[derive(Debug)]
pub(crate) struct AnvilRules;

impl OwnForge for AnvilRules {
    fn kind(&self) -> ForgeKind {
        ANVIL
    }

    fn answer(&self, state: &FakeState<'_>, request: &Request<Bytes>) -> Option<Response<Bytes>> {
        let token = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let login = token.and_then(|text| state.login(text.strip_prefix("Bearer ")?));
        let Some(login) = login else { return Some(self.error(401)) };
        let query = |name: &str| {
            let query = request.uri().query().unwrap_or_default();
            let mut pairs = url::form_urlencoded::parse(query.as_bytes());
            pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        match (request.method().as_str(), request.uri().path()) {
            ("GET", "/api/user") => Some(reply(200, &json!({ "login": login }))),
            ("GET", "/api/repo") => {
                let repo = state.repo(&login, &query("key").unwrap_or_default());
                Some(repo.map_or_else(|| self.error(404), |repo| reply(200, &show(&repo))))
            }
            ("GET", "/api/repos") => {
                let number = |name: &str| query(name).and_then(|text| text.parse::<usize>().ok());
                let page = number("page").unwrap_or(1).max(1);
                let size = number("size").unwrap_or(20).clamp(1, 100);
                let repos = state.repos(&login);
                let items: Vec<Value> = repos.iter().skip((page - 1) * size).take(size).map(show).collect();
                let next = (page * size < repos.len()).then_some(page + 1);
                Some(reply(200, &json!({ "items": items, "next": next })))
            }
            _ => None,
        }
    }

    fn error(&self, status: u16) -> Response<Bytes> {
        reply(status, &json!({ "message": "no" }))
    }

    fn messages(&self, run: &FakeRun) -> Vec<Message> {
        let state = match run.state {
            State::Queued => "waiting",
            State::Running => "going",
            State::Success | State::Skipped => "passed",
            State::Cancelled => "stopped",
            _ => "broken",
        };
        let body = json!({
            "run": { "id": run.id, "sha": run.sha, "branch": run.branch, "state": state },
            "repository": show(&run.repo),
        });
        vec![Message::new("run", "", body.to_string())]
    }

    fn headers(&self, message: &Message, secret: Option<&str>, delivery_id: &str) -> HeaderMap {
        let values = [
            ("x-anvil-event", Some(message.event.as_str())),
            ("x-anvil-delivery", Some(delivery_id)),
            ("x-anvil-token", secret),
        ];
        let present = values.into_iter().filter_map(|(name, value)| Some((name, value?)));
        present
            .filter_map(|(name, value)| {
                Some((header::HeaderName::from_static(name), HeaderValue::from_str(value).ok()?))
            })
            .collect()
    }
}

fn show(repo: &FakeRepo) -> Value {
    json!({ "id": repo.id, "full_name": repo.full_name, "archived": repo.is_archived })
}

fn reply(status: u16, body: &Value) -> Response<Bytes> {
    let mut reply = Response::new(Bytes::from(body.to_string()));
    *reply.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}
