//! The day's budget of the language model, shared by all processes on one database.

use crate::error::Result;
use crate::sql::Sql;
use crate::store::Store;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

impl Store {
    /// Counts one request of today (UTC), where fewer than `requests` were made and fewer than `tokens` used. False, and
    /// nothing is counted, where the day's budget is spent.
    ///
    /// # Errors
    /// `Unavailable` when the write does not finish in time.
    pub async fn spend_language_model(&self, requests: i64, tokens: i64) -> Result<bool> {
        self.transact(move |connection, now| {
            Box::pin(async move {
                let day = now / DAY_MS;
                Sql::new("DELETE FROM language_model_use WHERE day < $1")
                    .bind(day)
                    .execute(connection)
                    .await?;
                let counted = Sql::new(
                    "INSERT INTO language_model_use (day, requests, tokens) VALUES ($1, 1, 0) \
                     ON CONFLICT (day) DO UPDATE SET requests = language_model_use.requests + 1 \
                     WHERE language_model_use.requests < $2 AND language_model_use.tokens < $3",
                )
                .bind(day)
                .bind(requests)
                .bind(tokens)
                .execute(connection)
                .await?;
                Ok(counted == 1)
            })
        })
        .await
    }

    /// Takes back a request of today that [`Store::spend_language_model`] counted and that was never sent.
    ///
    /// # Errors
    /// `Unavailable` when the write does not finish in time.
    pub async fn return_language_model_request(&self) -> Result<()> {
        self.transact(move |connection, now| {
            Box::pin(async move {
                Sql::new(
                    "UPDATE language_model_use SET requests = requests - 1 WHERE day = $1 AND requests > 0",
                )
                .bind(now / DAY_MS)
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Adds tokens that a request of today used.
    ///
    /// # Errors
    /// `Unavailable` when the write does not finish in time.
    pub async fn add_language_model_tokens(&self, tokens: i64) -> Result<()> {
        self.transact(move |connection, now| {
            Box::pin(async move {
                Sql::new("UPDATE language_model_use SET tokens = tokens + $1 WHERE day = $2")
                    .bind(tokens)
                    .bind(now / DAY_MS)
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }
}
