//! Notes on merge requests and threads on commits: docs api/notes.md, api/discussions.md.
//!
//! Plain commit comments can never be changed, so commits get a thread instead; its notes can.

use forge_core::{
    BoxStream, Error, ErrorKind, Result,
    model::{Comment, PostAction, Posted, RepoRef, Target},
};
use futures_util::TryStreamExt as _;

use crate::{
    client::{Client, name_of, number, segment},
    error::{Fault, absent},
    wire::{Discussion, Note, NoteBody},
};

/// A comment that we have found again.
struct Found {
    /// The discussion, for commits.
    discussion: Option<String>,
    note: u64,
    body: String,
}

impl Found {
    /// The id that the caller keeps: `note`, or `discussion:note`.
    fn key(&self) -> String {
        match &self.discussion {
            Some(discussion) => format!("{discussion}:{}", self.note),
            None => self.note.to_string(),
        }
    }
}

/// Where comments go, with the paths that follow from it.
struct Place {
    /// Below the project: `merge_requests/7` or `repository/commits/<sha>`.
    path: String,
    /// Below `/-/` of the web address.
    page: String,
    is_commit: bool,
    name: String,
}

impl Place {
    fn of(repo: &RepoRef, target: &Target) -> Result<Self> {
        let repo = name_of(repo);
        match target {
            Target::Pull(iid) => {
                let iid = number(iid, "merge request number")?;
                let path = format!("merge_requests/{iid}");
                Ok(Self {
                    page: path.clone(),
                    path,
                    is_commit: false,
                    name: format!("merge request {iid} of {repo}"),
                })
            }
            Target::Commit(sha) => {
                let sha = segment(sha, "commit")?;
                Ok(Self {
                    path: format!("repository/commits/{sha}"),
                    page: format!("commit/{sha}"),
                    is_commit: true,
                    name: format!("commit {sha} of {repo}"),
                })
            }
            _ => Err(Error::new(ErrorKind::Unsupported, "GitLab has no comments on this kind of target")),
        }
    }
}

impl Client {
    pub(super) async fn put_comment(
        &self,
        repo: &RepoRef,
        target: &Target,
        comment: &Comment,
        known_id: Option<&str>,
    ) -> Result<Posted> {
        let place = Place::of(repo, target)?;
        let own_id = self.own_id().await?;
        let mut found = None;
        if let Some(known_id) = known_id {
            found = self.get_comment(repo, &place, known_id, own_id, &comment.marker).await?;
        }
        if found.is_none() {
            found = self.find_comment(repo, &place, own_id, &comment.marker).await?;
        }
        let (found, action) = match found {
            Some(found) if found.body == comment.body => (found, PostAction::Unchanged),
            Some(found) => {
                (self.change_comment(repo, &place, found, &comment.body).await?, PostAction::Updated)
            }
            None => (self.create_comment(repo, &place, &comment.body).await?, PostAction::Created),
        };
        let mut posted = Posted::new(found.key(), action);
        posted.web_url = self.web_url(repo, &format!("{}#note_{}", place.page, found.note));
        Ok(posted)
    }

    /// The comment that the caller remembers, where it is still there and still ours.
    async fn get_comment(
        &self,
        repo: &RepoRef,
        place: &Place,
        known_id: &str,
        own_id: u64,
        marker: &str,
    ) -> Result<Option<Found>> {
        let operation = format!("get the comment on {}", place.name);
        let (discussion, note) = match known_id.split_once(':') {
            Some((discussion, note)) if place.is_commit => (Some(discussion), note),
            None if !place.is_commit => (None, known_id),
            _ => return Ok(None),
        };
        let note = number(note, "comment id")?;
        let path = match discussion {
            Some(discussion) => format!("{}/discussions/{}", place.path, segment(discussion, "thread id")?),
            None => format!("{}/notes/{note}", place.path),
        };
        let answer = self.call(repo, &operation, |api, project| api.get(&format!("{project}/{path}"))).await;
        let Some(answer) = absent(answer)? else { return Ok(None) };
        if discussion.is_none() {
            return Ok(ours(answer.json()?, own_id, marker, None));
        }
        let thread: Discussion = answer.json()?;
        let wanted = thread.notes.into_iter().find(|found| found.id.is_some_and(|id| id.to_string() == note));
        Ok(wanted.and_then(|found| ours(found, own_id, marker, discussion)))
    }

    /// The comment that carries our marker. One by somebody else is not ours, whatever it carries.
    async fn find_comment(
        &self,
        repo: &RepoRef,
        place: &Place,
        own_id: u64,
        marker: &str,
    ) -> Result<Option<Found>> {
        let operation = format!("list comments on {}", place.name);
        if place.is_commit {
            let path = format!("{}/discussions", place.path);
            let mut threads: BoxStream<'static, Result<Discussion>> = self.list(
                repo,
                operation,
                move |api, project| api.get(&format!("{project}/{path}")).query(&[("per_page", "100")]),
                |thread| thread,
            );
            while let Some(thread) = threads.try_next().await? {
                for note in thread.notes {
                    if let Some(found) = ours(note, own_id, marker, Some(&thread.id)) {
                        return Ok(Some(found));
                    }
                }
            }
            return Ok(None);
        }
        let path = format!("{}/notes", place.path);
        let mut notes: BoxStream<'static, Result<Note>> = self.list(
            repo,
            operation,
            move |api, project| {
                api.get(&format!("{project}/{path}")).query(&[
                    ("order_by", "created_at"),
                    ("sort", "desc"),
                    ("per_page", "100"),
                ])
            },
            |note| note,
        );
        while let Some(note) = notes.try_next().await? {
            if let Some(found) = ours(note, own_id, marker, None) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    async fn create_comment(&self, repo: &RepoRef, place: &Place, body: &str) -> Result<Found> {
        let operation = format!("comment on {}", place.name);
        let kind = if place.is_commit { "discussions" } else { "notes" };
        let answer = self
            .call(repo, &operation, |api, project| {
                api.post(&format!("{project}/{}/{kind}", place.path)).json(&NoteBody { body })
            })
            .await?;
        let made = if place.is_commit {
            let thread: Discussion = answer.json()?;
            let note = thread.notes.first().and_then(|note| note.id);
            note.map(|note| Found { discussion: Some(thread.id), note, body: body.to_owned() })
        } else {
            let note: Note = answer.json()?;
            note.id.map(|note| Found { discussion: None, note, body: body.to_owned() })
        };
        made.ok_or_else(|| Error::from(Fault::NoNote).with_operation(operation))
    }

    async fn change_comment(&self, repo: &RepoRef, place: &Place, found: Found, body: &str) -> Result<Found> {
        let operation = format!("edit the comment on {}", place.name);
        let path = match &found.discussion {
            Some(discussion) => {
                format!(
                    "{}/discussions/{}/notes/{}",
                    place.path,
                    segment(discussion, "thread id")?,
                    found.note
                )
            }
            None => format!("{}/notes/{}", place.path, found.note),
        };
        let answer = self
            .call(repo, &operation, |api, project| {
                api.put(&format!("{project}/{path}")).json(&NoteBody { body })
            })
            .await;
        match answer {
            Ok(_) => Ok(found),
            // Deleted between our look and our hand.
            Err(error) if error.kind() == ErrorKind::NotFound => self.create_comment(repo, place, body).await,
            Err(error) => Err(error),
        }
    }
}

fn ours(note: Note, own_id: u64, marker: &str, discussion: Option<&str>) -> Option<Found> {
    let id = note.id.filter(|_| note.is_ours(own_id, marker))?;
    Some(Found { discussion: discussion.map(str::to_owned), note: id, body: note.body })
}
