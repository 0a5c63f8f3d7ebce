//! Which pipeline started a child pipeline: no answer of the REST API names it, so the way is gone from above.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use forge_core::{
    Result,
    model::{RepoRef, Run},
};
use futures_util::TryStreamExt as _;

use crate::{
    client::{Client, name_of},
    error::absent,
    facts::BY_PARENT,
    wire,
};

/// How many children are remembered; what started a pipeline never changes.
const MAX_KNOWN: usize = 1_000;
/// How many pipelines of one commit are looked into. Each costs a request.
const MAX_PIPELINES: usize = 20;
/// GitLab lets children have children, and no deeper.
const MAX_DEPTH: u8 = 2;

/// Child pipelines by id, each with the top one.
#[derive(Debug, Default)]
pub(crate) struct Roots(Mutex<HashMap<String, String>>);

impl Roots {
    fn get(&self, child: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(child).cloned()
    }

    fn set(&self, child: String, root: String) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(child, root);
    }
}

impl Client {
    /// Fills `run.root_id` where the run is a child pipeline. One whose parent is out of sight keeps none.
    pub(super) async fn with_root(&self, repo: &RepoRef, mut run: Run) -> Result<Run> {
        if run.trigger.as_deref() == Some(BY_PARENT) {
            run.root_id = self.root_of(repo, &run).await?;
        }
        Ok(run)
    }

    async fn root_of(&self, repo: &RepoRef, child: &Run) -> Result<Option<String>> {
        if let Some(known) = self.roots().get(&child.id) {
            return Ok(Some(known));
        }
        let Some(sha) = &child.sha else { return Ok(None) };
        let operation = format!("list pipelines of a commit of {}", name_of(repo));
        // Children are not in this list.
        let answer = self
            .call(repo, &operation, |api, path| {
                api.get(&format!("{path}/pipelines")).query(&[("sha", sha), ("per_page", "100")])
            })
            .await;
        let Some(answer) = absent(answer)? else { return Ok(None) };
        let tops: Vec<wire::Pipeline> = answer.json()?;
        for top in tops.into_iter().take(MAX_PIPELINES) {
            let root = top.id.to_string();
            let mut stops = vec![(root.clone(), 0)];
            while let Some((pipeline_id, depth)) = stops.pop() {
                let bridges = self.list_bridges_of(repo, &pipeline_id).try_collect::<Vec<_>>().await;
                for bridge in absent(bridges)?.unwrap_or_default() {
                    // A pipeline of another project is no child, but one of its own.
                    let Some(started) = bridge.downstream_pipeline.filter(|it| it.is_in(repo)) else {
                        continue;
                    };
                    let id = started.id.to_string();
                    self.roots().set(id.clone(), root.clone());
                    if depth + 1 < MAX_DEPTH {
                        stops.push((id, depth + 1));
                    }
                }
            }
            if let Some(found) = self.roots().get(&child.id) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}
