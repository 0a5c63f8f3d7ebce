//! Numbers and look-ups for people who look at many integrations and repositories at once.

use crate::error::Result;
use crate::hook::Hook;
use crate::repository::{RepositoryFilter, filtered};
use crate::sql::Sql;
use crate::store::Store;
use std::collections::BTreeMap;

/// What an integration has, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IntegrationCount {
    /// Repositories that it sees.
    pub repositories: i64,
    /// Those of them that are monitored.
    pub monitored: i64,
    /// Live hooks in each state.
    pub hooks: BTreeMap<String, i64>,
    /// When the last delivery came.
    pub last_delivery_at: Option<i64>,
}

impl Store {
    /// The numbers of each integration of a workspace that has repositories or hooks, by its id.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn count_integrations(&self, workspace: &str) -> Result<BTreeMap<String, IntegrationCount>> {
        let mut connection = self.read().await?;
        let mut counts: BTreeMap<String, IntegrationCount> = BTreeMap::new();
        let rows = Sql::new(
            "SELECT integration, count(*) AS repositories, CAST(sum(monitored) AS BIGINT) AS monitored \
             FROM repository WHERE workspace = $1 GROUP BY integration",
        )
        .bind(workspace)
        .all(&mut connection)
        .await?;
        for row in rows {
            let count = counts.entry(row.text("integration")?).or_default();
            (count.repositories, count.monitored) = (row.int("repositories")?, row.int("monitored")?);
        }
        let rows = Sql::new(
            "SELECT integration, state, count(*) AS hooks, max(last_delivery_at) AS last_delivery_at \
             FROM hook WHERE workspace = $1 AND removed_at IS NULL GROUP BY integration, state",
        )
        .bind(workspace)
        .all(&mut connection)
        .await?;
        for row in rows {
            let count = counts.entry(row.text("integration")?).or_default();
            count.hooks.insert(row.text("state")?, row.int("hooks")?);
            count.last_delivery_at = count.last_delivery_at.max(row.int_opt("last_delivery_at")?);
        }
        Ok(counts)
    }

    /// How many repositories match.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn count_repositories(&self, workspace: &str, filter: &RepositoryFilter) -> Result<i64> {
        let mut connection = self.read().await?;
        filtered("count(*) AS number", workspace, filter).one(&mut connection).await?.int("number")
    }

    /// The ids of all repositories that match, in order of their names.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn repository_ids(&self, workspace: &str, filter: &RepositoryFilter) -> Result<Vec<String>> {
        let mut connection = self.read().await?;
        let rows =
            filtered("id", workspace, filter).push(" ORDER BY full_name, id").all(&mut connection).await?;
        rows.iter().map(|row| row.text("id")).collect()
    }

    /// The live hooks of some repositories of an integration, by repository, without secrets.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn list_hooks_of_repositories(
        &self,
        workspace: &str,
        integration: &str,
        repositories: &[String],
    ) -> Result<BTreeMap<String, Hook>> {
        let mut connection = self.read().await?;
        let rows =
            Sql::new("SELECT * FROM hook WHERE workspace = $1 AND integration = $2 AND repository IN ")
                .bind(workspace)
                .bind(integration)
                .list(repositories)
                .push(" AND removed_at IS NULL ORDER BY created_at")
                .all(&mut connection)
                .await?;
        let mut hooks = BTreeMap::new();
        for row in rows {
            let hook = Hook::from_row(&row)?;
            // The newest of a repository comes last and stays.
            if let Some(repository) = hook.repository.clone() {
                hooks.insert(repository, hook);
            }
        }
        Ok(hooks)
    }
}
