//! What passing logs of a job look like, as the engine encodes it.

use crate::error::Result;
use crate::sql::Sql;
use crate::store::Store;
use serde_json::Value;

/// So many jobs of one repository are remembered, those learned last: names of matrix jobs can be without end.
const MOST_OF_REPOSITORY: i64 = 200;

/// The job whose passing logs a baseline was learned from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BaselineKey {
    /// The workspace.
    pub workspace: String,
    /// The repository.
    pub repository: String,
    /// The job's name.
    pub job_name: String,
    /// Which branches it was learned on, such as `default`.
    pub branch_class: String,
}

/// A stored baseline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBaseline {
    /// As the engine encodes it.
    pub encoded: Vec<u8>,
    /// The jobs it was learned from last, the newest first.
    pub learned: Vec<String>,
    /// When it was learned; set by the store.
    pub updated_at: i64,
}

impl Store {
    /// What is stored for a job.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn get_baseline(&self, key: &BaselineKey) -> Result<Option<StoredBaseline>> {
        let mut connection = self.read().await?;
        let text = "SELECT encoded, learned, updated_at FROM baseline WHERE workspace = $1 AND repository = $2 AND job_name = $3 \
             AND branch_class = $4";
        let row = bound(Sql::new(text), key).optional(&mut connection).await?;
        let stored = |row: crate::sql::Row| {
            Ok(StoredBaseline {
                encoded: row.blob("encoded")?,
                learned: row.strings("learned")?,
                updated_at: row.int("updated_at")?,
            })
        };
        row.map(stored).transpose()
    }

    /// Stores a baseline in place of `known`. Returns false, and has changed nothing, when somebody else was first:
    /// read it again then. Of each repository the 200 jobs are kept that were learned last.
    ///
    /// # Errors
    /// `Unavailable` when the write does not finish in time.
    pub async fn put_baseline(
        &self,
        key: &BaselineKey,
        known: Option<&StoredBaseline>,
        new: &StoredBaseline,
    ) -> Result<bool> {
        let (key, new) = (key.clone(), new.clone());
        let known = known.map(|known| Value::from(known.learned.clone()));
        self.transact(move |connection, now| {
            Box::pin(async move {
                let learned = Value::from(new.learned.clone());
                let changed = match &known {
                    Some(known) => {
                        let text = "UPDATE baseline SET encoded = $5, learned = $6, updated_at = $7 WHERE workspace = $1 \
                             AND repository = $2 AND job_name = $3 AND branch_class = $4 AND learned = $8";
                        bound(Sql::new(text), &key).bind(new.encoded).bind(&learned).bind(now).bind(known)
                    }
                    None => {
                        let text = "INSERT INTO baseline (workspace, repository, job_name, branch_class, encoded, learned, \
                             updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
                        bound(Sql::new(text), &key).bind(new.encoded).bind(&learned).bind(now)
                    }
                }
                .execute(connection)
                .await?;
                if changed == 0 {
                    return Ok(false);
                }
                Sql::new(
                    "DELETE FROM baseline WHERE workspace = $1 AND repository = $2 AND updated_at < (SELECT updated_at \
                     FROM baseline WHERE workspace = $1 AND repository = $2 ORDER BY updated_at DESC LIMIT 1 OFFSET $3)",
                )
                .bind(&key.workspace)
                .bind(&key.repository)
                .bind(MOST_OF_REPOSITORY - 1)
                .execute(connection)
                .await?;
                Ok(true)
            })
        })
        .await
    }
}

fn bound(sql: Sql, key: &BaselineKey) -> Sql {
    sql.bind(&key.workspace).bind(&key.repository).bind(&key.job_name).bind(&key.branch_class)
}
