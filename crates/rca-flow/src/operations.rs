//! Long work that people can watch: how far it is, and what became of each item.
//!
//! An operation is a head and a record of each item that has ended, every one a mark of its own. So items may end in any
//! order and in any process, and an operation that was broken off goes on behind what is recorded.

use std::collections::BTreeSet;

use rca_store::{Integration, Write};
use serde::{Deserialize, Serialize};

use crate::{
    connect::value,
    error::{FlowError, Result},
    flow::{Caller, Flow},
    types::{BackfillItem, OperationItem, OperationQuery, OperationView, page},
};

/// So many items are shown at once.
const MOST_ITEMS: u32 = 500;

/// What an operation is about and how it stands as a whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) kind: String,
    pub(crate) total: usize,
    /// For work that has no items of its own.
    pub(crate) done: usize,
    /// `None` while it runs.
    pub(crate) end: Option<End>,
    /// How often it was asked for.
    pub(crate) asked: usize,
}

/// How it ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    Done,
    Failed(String),
}

impl Head {
    pub(crate) fn new(kind: &str, total: usize) -> Self {
        Self { kind: kind.to_owned(), total, done: 0, end: None, asked: 0 }
    }

    pub(crate) fn write(&self, workspace: &str, id: &str) -> Write {
        set_mark(workspace, head_mark(id), self)
    }
}

/// The back-fills that one request leads to: an operation with an item per repository that was not monitored before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BackfillPlan {
    pub(crate) operation: String,
    pub(crate) repositories: Vec<String>,
}

impl BackfillPlan {
    /// The mark of a repository's item, where it has one.
    pub(crate) fn item(&self, repository: &str) -> Option<String> {
        let position = self.repositories.iter().position(|id| id == repository)?;
        Some(item_mark(&self.operation, position))
    }
}

/// An integration's repositories are listed in one operation, however often they are listed.
pub(crate) fn sync_operation(integration: &Integration) -> String {
    format!("sync-{}", integration.id)
}

pub(crate) fn item_write(workspace: &str, operation: &str, position: usize, item: &OperationItem) -> Write {
    set_mark(workspace, item_mark(operation, position), item)
}

/// Records how a back-fill has ended.
pub(crate) fn backfill_write(
    workspace: &str,
    mark: &str,
    repository: &str,
    runs: usize,
    error: Option<String>,
) -> Write {
    let item = BackfillItem { id: repository.to_owned(), runs, error };
    set_mark(workspace, mark.to_owned(), &OperationItem::Backfill(item))
}

impl Flow {
    /// How far a long operation is, with all its items.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn get_operation(&self, caller: &Caller, id: &str) -> Result<OperationView> {
        Ok(self.read_operation(caller, id).await?.0)
    }

    /// How far a long operation is, with a part of its items.
    ///
    /// # Errors
    /// `not_found`, `invalid_field` for a wrong limit or cursor.
    pub async fn operation_page(
        &self,
        caller: &Caller,
        id: &str,
        query: &OperationQuery,
    ) -> Result<OperationView> {
        let page = page(query.limit.or(Some(MOST_ITEMS)), query.cursor.as_deref())?;
        let (mut view, positions) = self.read_operation(caller, id).await?;
        let items = positions.into_iter().zip(std::mem::take(&mut view.items));
        let mut rest = items
            .filter(|(position, _)| page.cursor.as_ref().is_none_or(|cursor| position > cursor))
            .filter(|(_, item)| !query.failed || item.error().is_some())
            .peekable();
        let mut last = None;
        while view.items.len() < page.limit as usize {
            let Some((position, item)) = rest.next() else { break };
            view.items.push(item);
            last = Some(position);
        }
        view.next_cursor = last.filter(|_| rest.peek().is_some());
        Ok(view)
    }

    /// An operation, and the position of each of its items.
    async fn read_operation(&self, caller: &Caller, id: &str) -> Result<(OperationView, Vec<String>)> {
        let head = self.operation_head(&caller.workspace, id).await?;
        let head = head.ok_or_else(|| FlowError::not_found("operation"))?;
        let prefix = item_prefix(id);
        let marks = self.store().list_marks(&caller.workspace, &prefix).await?;
        let read = |(name, item): (String, serde_json::Value)| {
            Some((name.strip_prefix(&prefix)?.to_owned(), serde_json::from_value(item).ok()?))
        };
        let (positions, items): (Vec<String>, Vec<OperationItem>) =
            marks.into_iter().filter_map(read).unzip();
        let done = items.len().max(head.done);
        let (state, error) = match head.end {
            Some(End::Failed(error)) => ("failed", Some(error)),
            Some(End::Done) => ("done", None),
            None if head.total > 0 && items.len() >= head.total => ("done", None),
            None => ("running", None),
        };
        let view = OperationView {
            kind: head.kind,
            state: state.to_owned(),
            done,
            total: head.total.max(done),
            failed: items.iter().filter(|item| item.error().is_some()).count(),
            items,
            next_cursor: None,
            error,
        };
        Ok((view, positions))
    }

    pub(crate) async fn operation_head(&self, workspace: &str, id: &str) -> Result<Option<Head>> {
        let head = self.store().get_mark(workspace, &head_mark(id)).await?;
        Ok(head.and_then(|head| serde_json::from_value(head).ok()))
    }

    /// The positions whose items have ended.
    pub(crate) async fn ended_items(&self, workspace: &str, id: &str) -> Result<BTreeSet<usize>> {
        let prefix = item_prefix(id);
        let marks = self.store().list_marks(workspace, &prefix).await?;
        Ok(marks.iter().filter_map(|(name, _)| name.strip_prefix(&prefix)?.parse().ok()).collect())
    }

    /// The write that ends an operation, where there is one.
    pub(crate) async fn end_operation(&self, workspace: &str, id: &str, end: End) -> Result<Option<Write>> {
        let head = self.operation_head(workspace, id).await?;
        Ok(head.map(|head| Head { end: Some(end), ..head }.write(workspace, id)))
    }
}

fn head_mark(id: &str) -> String {
    format!("operation:{id}")
}

fn item_prefix(id: &str) -> String {
    format!("operation:{id}/")
}

fn item_mark(id: &str, position: usize) -> String {
    format!("operation:{id}/{position:06}")
}

fn set_mark(workspace: &str, name: String, document: &impl Serialize) -> Write {
    Write::SetMark { workspace: workspace.to_owned(), name, value: value(document) }
}
