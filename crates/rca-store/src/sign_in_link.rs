//! Links that members sign in with, each once. Only a hash of their secret is stored.

use crate::audit::{NewAudit, append};
use crate::error::{Error, Result};
use crate::member::Member;
use crate::sql::Sql;
use crate::store::Store;
use serde_json::json;

/// A link that nobody used for so long has ended.
pub const SIGN_IN_LINK_LIFE_MS: i64 = 24 * 3_600_000;

impl Store {
    /// Stores a link for a member and says so in the audit. Earlier links of the member end. Gives the member and when
    /// the link ends.
    ///
    /// # Errors
    /// `NotFound` when the workspace has no such member.
    pub async fn make_sign_in_link(
        &self,
        workspace: &str,
        member: &str,
        link_hash: &str,
        actor: &str,
    ) -> Result<(Member, i64)> {
        let (workspace, member) = (workspace.to_owned(), member.to_owned());
        let (link_hash, actor) = (link_hash.to_owned(), actor.to_owned());
        self.transact(move |connection, now| {
            Box::pin(async move {
                let row = Sql::new("SELECT * FROM member WHERE workspace = $1 AND id = $2")
                    .bind(&workspace)
                    .bind(&member)
                    .optional(connection)
                    .await?
                    .ok_or_else(|| Error::not_found("member"))?;
                let member = Member::from_row(&row)?;
                Sql::new("DELETE FROM sign_in_link WHERE member = $1 OR ends_at <= $2")
                    .bind(&member.id)
                    .bind(now)
                    .execute(connection)
                    .await?;
                let ends_at = now + SIGN_IN_LINK_LIFE_MS;
                Sql::new(
                    "INSERT INTO sign_in_link (link_hash, workspace, member, ends_at) VALUES ($1, $2, $3, $4)",
                )
                .bind(link_hash)
                .bind(&workspace)
                .bind(&member.id)
                .bind(ends_at)
                .execute(connection)
                .await?;
                append(connection, now, &entry(&workspace, &actor, "member.sign_in_link", &member)).await?;
                Ok((member, ends_at))
            })
        })
        .await
    }

    /// Whether a link can still be used, by the database's clock.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn is_sign_in_link(&self, link_hash: &str) -> Result<bool> {
        let now = self.now().await?;
        let mut connection = self.read().await?;
        let found = Sql::new(
            "SELECT link_hash FROM sign_in_link WHERE link_hash = $1 AND used_at IS NULL AND ends_at > $2",
        )
        .bind(link_hash)
        .bind(now)
        .optional(&mut connection)
        .await?;
        Ok(found.is_some())
    }

    /// Uses a link up. Gives the workspace and the member that it signs in; `None` where it is unknown, used or has
    /// ended. Of two that use it at once one gets in.
    ///
    /// # Errors
    /// `Unavailable` when the write does not finish in time.
    pub async fn use_sign_in_link(&self, link_hash: &str) -> Result<Option<(String, Member)>> {
        let link_hash = link_hash.to_owned();
        self.transact(move |connection, now| {
            Box::pin(async move {
                let used = Sql::new(
                    "UPDATE sign_in_link SET used_at = $1 WHERE link_hash = $2 AND used_at IS NULL AND ends_at > $1 \
                     RETURNING workspace, member",
                )
                .bind(now)
                .bind(link_hash)
                .optional(connection)
                .await?;
                let Some(used) = used else { return Ok(None) };
                let workspace = used.text("workspace")?;
                let row = Sql::new("SELECT * FROM member WHERE workspace = $1 AND id = $2")
                    .bind(&workspace)
                    .bind(used.text("member")?)
                    .one(connection)
                    .await?;
                let member = Member::from_row(&row)?;
                let actor = format!("member:{}", member.email);
                append(connection, now, &entry(&workspace, &actor, "member.sign_in", &member)).await?;
                Ok(Some((workspace, member)))
            })
        })
        .await
    }
}

fn entry(workspace: &str, actor: &str, action: &str, member: &Member) -> NewAudit {
    NewAudit {
        workspace: workspace.to_owned(),
        actor: actor.to_owned(),
        action: action.to_owned(),
        target: member.id.clone(),
        detail: json!({ "email": member.email, "role": member.role }),
    }
}
