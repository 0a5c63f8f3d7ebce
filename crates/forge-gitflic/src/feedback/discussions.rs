use forge_core::{
    Error, ErrorKind, ForgeKind, Result,
    model::{Comment, PostAction, Posted, RepoRef},
};
use futures_util::TryStreamExt as _;
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::is_same_text;
use crate::{
    client::{Call, GitFlicClient, repo_path, segment, shown},
    clock::Clock,
    wire::{self, Fields},
};

/// The first note of a discussion. Public clients read it under `rootNote`, the documents show it flat.
struct Note {
    id: Option<String>,
    text: String,
    is_ours: Option<bool>,
    created_at: Option<Timestamp>,
}

impl Note {
    fn read(fields: Fields<'_>, user: &wire::User, clock: Clock) -> Self {
        let note = if fields.has("rootNote") { fields.at("rootNote") } else { fields };
        Self {
            id: id_of(note).or_else(|| id_of(fields)),
            // `message` may be rendered, and rendering drops the marker.
            text: note.first_text(&["rawMessage", "message"]).unwrap_or_default(),
            is_ours: user.is(note.at("author")).or_else(|| user.is(fields.at("author"))),
            created_at: note.time("createdAt", clock),
        }
    }
}

fn id_of(fields: Fields<'_>) -> Option<String> {
    ["uuid", "id", "discussionUuid"].iter().find_map(|key| fields.id(key))
}

/// Posts `comment` unless our last one with its marker says the same. One that somebody else wrote is not ours.
pub(super) async fn post(
    client: &GitFlicClient,
    repo: &RepoRef,
    number: &str,
    comment: &Comment,
) -> Result<Posted> {
    let place = format!("{}/merge-request/{}/discussions", repo_path(repo)?, segment(number)?);
    let name = format!("merge request {number} of {}", shown(repo));
    let page = wire::web_url(client.web(), repo, &format!("/merge-request/{number}"));
    let earlier = earlier(client, &place, &name, &comment.marker).await?;
    if let Some(same) = last_saying(&earlier, &comment.body) {
        let mut posted = Posted::new(same.id.clone().unwrap_or_default(), PostAction::Unchanged);
        posted.web_url = page;
        return Ok(posted);
    }
    let call = Call {
        method: Method::POST,
        path: format!("{place}/create"),
        body: Some(json!({ "message": comment.body })),
        operation: format!("comment on {name}"),
    };
    let response = client.send(&call).await?;
    let value = serde_json::from_slice::<Value>(response.bytes()).unwrap_or_default();
    let fields = Fields::new(&value);
    let mut id = id_of(fields.at("rootNote")).or_else(|| id_of(fields));
    if id.is_none() {
        // It was posted, but the answer does not say which it is.
        let notes = self::earlier(client, &place, &name, &comment.marker).await?;
        id = last_saying(&notes, &comment.body).and_then(|note| note.id.clone());
    }
    let id = id.ok_or_else(|| {
        Error::new(ErrorKind::UnexpectedResponse, "GitFlic took the comment, but does not show it")
            .with_forge(ForgeKind::GITFLIC)
            .with_operation(call.operation)
    })?;
    let mut posted = Posted::new(id, PostAction::Created);
    posted.web_url = page;
    Ok(posted)
}

async fn earlier(client: &GitFlicClient, place: &str, name: &str, marker: &str) -> Result<Vec<Note>> {
    let (user, clock, marker) = (client.own_user().await?, client.clock, marker.to_owned());
    client
        .list(Ok(place.to_owned()), format!("list discussions of {name}"), move |fields| {
            let note = Note::read(fields, &user, clock);
            Some((note.text.contains(&marker) && note.is_ours != Some(false)).then_some(note))
        })
        .try_filter_map(|note| std::future::ready(Ok(note)))
        .try_collect()
        .await
}

/// Our last note, if it says `text`. Where times are missing nobody knows which is the last: then any of them.
fn last_saying<'a>(notes: &'a [Note], text: &str) -> Option<&'a Note> {
    let has_times = notes.iter().all(|note| note.created_at.is_some());
    let candidates = if has_times {
        notes.iter().max_by_key(|note| note.created_at).into_iter().collect()
    } else {
        notes.iter().collect::<Vec<_>>()
    };
    candidates.into_iter().find(|note| is_same_text(&note.text, text))
}
