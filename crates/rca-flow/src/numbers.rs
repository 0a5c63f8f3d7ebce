//! What people see of integrations and repositories besides the objects of the API: numbers, and what blocks what.

use std::collections::BTreeMap;

use rca_store::RepositoryFilter as StoreFilter;

use crate::{
    error::Result,
    flow::{Caller, Flow},
    types::{FeedbackChange, MonitorOutcome, MonitorRequest, RepositoryFilter, time},
};

/// What an integration has, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IntegrationNumbers {
    /// Repositories that it sees.
    pub repositories: i64,
    /// Those of them that are monitored.
    pub monitored: i64,
    /// Live hooks by their state.
    pub hooks: BTreeMap<String, i64>,
    /// When the last delivery came, RFC 3339.
    pub last_delivery_at: Option<String>,
}

impl Flow {
    /// The numbers of each integration of the caller's workspace, by its id; one without repositories and hooks is not
    /// there.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn integration_numbers(&self, caller: &Caller) -> Result<BTreeMap<String, IntegrationNumbers>> {
        let counts = self.store().count_integrations(&caller.workspace).await?;
        let numbers = counts.into_iter().map(|(id, count)| {
            let numbers = IntegrationNumbers {
                repositories: count.repositories,
                monitored: count.monitored,
                hooks: count.hooks,
                last_delivery_at: count.last_delivery_at.map(time),
            };
            (id, numbers)
        });
        Ok(numbers.collect())
    }

    /// How many repositories of an integration match; limit and cursor do not count.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn count_repositories(
        &self,
        caller: &Caller,
        integration: &str,
        filter: &RepositoryFilter,
    ) -> Result<i64> {
        let integration = self.integration(&caller.workspace, integration).await?;
        let wanted = matching(&integration.id, filter);
        Ok(self.store().count_repositories(&caller.workspace, &wanted).await?)
    }

    /// Monitors all repositories of an integration that match, or stops to.
    ///
    /// # Errors
    /// As [`Flow::monitor`].
    pub async fn monitor_matching(
        &self,
        caller: &Caller,
        integration: &str,
        search: Option<&str>,
        monitored: bool,
    ) -> Result<MonitorOutcome> {
        let filter = RepositoryFilter {
            search: search.map(str::to_owned),
            monitored: Some(!monitored),
            ..RepositoryFilter::default()
        };
        let known = self.integration(&caller.workspace, integration).await?;
        let ids = self.store().repository_ids(&caller.workspace, &matching(&known.id, &filter)).await?;
        let request = if monitored {
            MonitorRequest { add: ids, ..MonitorRequest::default() }
        } else {
            MonitorRequest { remove: ids, ..MonitorRequest::default() }
        };
        self.monitor(caller, integration, request).await
    }

    /// The full name of a repository, where it is still there.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn repository_name(&self, caller: &Caller, id: &str) -> Result<Option<String>> {
        let found = self.store().get_repository(&caller.workspace, id).await?;
        Ok(found.map(|repository| repository.full_name))
    }

    /// What the workspace has decided about feedback for all its integrations.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn workspace_feedback(&self, caller: &Caller) -> Result<FeedbackChange> {
        let settings = self.store().get_settings(&caller.workspace).await?;
        let feedback = settings.get("feedback").cloned().unwrap_or_default();
        Ok(serde_json::from_value(feedback).unwrap_or_default())
    }
}

fn matching(integration: &str, filter: &RepositoryFilter) -> StoreFilter {
    StoreFilter {
        integration: Some(integration.to_owned()),
        search: filter.search.clone(),
        monitored: filter.monitored,
        not_seen_since: None,
    }
}
