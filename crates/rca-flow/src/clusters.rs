//! Clusters: failures with one fingerprint, and what people decide about them.

use rca_store::{Cluster, ClusterFilter};

use crate::{
    analyses::one_of,
    error::{FlowError, Result},
    flow::{Caller, Flow},
    types::{ClusterQuery, ClusterView, List, page, time},
};

impl Flow {
    /// Clusters, the newest first.
    ///
    /// # Errors
    /// `invalid_field`.
    pub async fn list_clusters(&self, caller: &Caller, query: &ClusterQuery) -> Result<List<ClusterView>> {
        one_of("state", query.state.as_deref(), &["active", "acknowledged", "resolved"])?;
        let filter = ClusterFilter {
            state: query.state.clone(),
            category: query.category.clone(),
            repository: query.repository.clone(),
            ..ClusterFilter::default()
        };
        let page = page(query.limit, query.cursor.as_deref())?;
        let page = self.store().list_clusters(&caller.workspace, &filter, &page).await?;
        Ok(List { items: page.items.into_iter().map(view).collect(), next_cursor: page.next_cursor })
    }

    /// One cluster.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn get_cluster(&self, caller: &Caller, id: &str) -> Result<ClusterView> {
        let found = self.store().get_cluster(&caller.workspace, id).await?;
        found.map(view).ok_or_else(|| FlowError::not_found("cluster"))
    }

    /// Sets the state of a cluster: `acknowledged` and `resolved` by a person, `active` to open it again. A resolved
    /// one that recurs is active again by itself.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn set_cluster_state(&self, caller: &Caller, id: &str, state: &str) -> Result<ClusterView> {
        one_of("state", Some(state), &["active", "acknowledged", "resolved"])?;
        let before = self.get_cluster(caller, id).await?;
        if before.state == state {
            return Ok(before);
        }
        self.store().set_cluster_state(&caller.workspace, id, state, &caller.name).await?;
        self.get_cluster(caller, id).await
    }
}

pub(crate) fn view(cluster: Cluster) -> ClusterView {
    ClusterView {
        id: cluster.id,
        fingerprint: cluster.fingerprint,
        state: cluster.state,
        count: cluster.count,
        first_seen_at: time(cluster.first_seen_at),
        last_seen_at: time(cluster.last_seen_at),
        resolved_at: cluster.resolved_at.map(time),
        repository_count: cluster.repository_count,
        repositories: cluster.repositories,
        category: cluster.category,
        root_cause: cluster.root_cause,
        last_fix: cluster.last_fix,
        last_analysis_id: cluster.last_analysis,
    }
}
