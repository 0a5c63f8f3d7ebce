//! Members: people of a workspace and their roles.

use crate::audit::{NewAudit, append};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::{Row, Sql};
use crate::store::{Store, new_id};
use serde_json::json;
use sqlx::AnyConnection;

/// A person of a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// The mail address, in lower case.
    pub email: String,
    /// `owner`, `admin`, `member` or `viewer`.
    pub role: String,
    /// When it was added.
    pub created_at: i64,
}

impl Store {
    /// The members of a workspace, by address.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn list_members(&self, workspace: &str) -> Result<Vec<Member>> {
        let mut connection = self.read().await?;
        Sql::new("SELECT * FROM member WHERE workspace = $1 ORDER BY email")
            .bind(workspace)
            .all(&mut connection)
            .await?
            .iter()
            .map(Member::from_row)
            .collect()
    }

    /// Adds a member and says so in the audit.
    ///
    /// # Errors
    /// `Conflict` when the address is a member already.
    pub async fn add_member(&self, workspace: &str, email: &str, role: &str, actor: &str) -> Result<Member> {
        let (workspace, email) = (workspace.to_owned(), email.to_owned());
        let (role, actor) = (role.to_owned(), actor.to_owned());
        self.transact(move |connection, now| {
            Box::pin(async move {
                let row = Sql::new(
                    "INSERT INTO member (id, workspace, email, role, created_at) VALUES ($1, $2, $3, $4, $5) \
                     ON CONFLICT (workspace, email) DO NOTHING RETURNING *",
                )
                .bind(new_id())
                .bind(&workspace)
                .bind(&email)
                .bind(&role)
                .bind(now)
                .optional(connection)
                .await?
                .ok_or_else(|| Error::new(ErrorKind::Conflict, "the address is a member already"))?;
                let member = Member::from_row(&row)?;
                note(connection, now, &workspace, &actor, "member.add", &member).await?;
                Ok(member)
            })
        })
        .await
    }

    /// Gives a member another role, or removes it where `role` is `None`.
    ///
    /// # Errors
    /// `NotFound` when there is none; `Conflict` when it is the last owner.
    pub async fn change_member(
        &self,
        workspace: &str,
        id: &str,
        role: Option<&str>,
        actor: &str,
    ) -> Result<Member> {
        let (workspace, id) = (workspace.to_owned(), id.to_owned());
        let (role, actor) = (role.map(str::to_owned), actor.to_owned());
        self.transact(move |connection, now| {
            Box::pin(async move {
                let row = Sql::new("SELECT * FROM member WHERE workspace = $1 AND id = $2")
                    .bind(&workspace)
                    .bind(&id)
                    .optional(connection)
                    .await?
                    .ok_or_else(|| Error::not_found("member"))?;
                let mut member = Member::from_row(&row)?;
                if member.role == "owner" && role.as_deref() != Some("owner") {
                    let owners = Sql::new(
                        "SELECT count(*) AS owners FROM member WHERE workspace = $1 AND role = 'owner'",
                    )
                    .bind(&workspace)
                    .one(connection)
                    .await?
                    .int("owners")?;
                    if owners < 2 {
                        return Err(Error::new(ErrorKind::Conflict, "the last owner has to stay one"));
                    }
                }
                let action = match &role {
                    Some(role) => {
                        Sql::new("UPDATE member SET role = $1 WHERE workspace = $2 AND id = $3")
                            .bind(role)
                            .bind(&workspace)
                            .bind(&id)
                            .execute(connection)
                            .await?;
                        member.role.clone_from(role);
                        "member.role"
                    }
                    None => {
                        Sql::new("DELETE FROM member WHERE workspace = $1 AND id = $2")
                            .bind(&workspace)
                            .bind(&id)
                            .execute(connection)
                            .await?;
                        "member.remove"
                    }
                };
                note(connection, now, &workspace, &actor, action, &member).await?;
                Ok(member)
            })
        })
        .await
    }
}

impl Member {
    pub(crate) fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.text("id")?,
            email: row.text("email")?,
            role: row.text("role")?,
            created_at: row.int("created_at")?,
        })
    }
}

async fn note(
    connection: &mut AnyConnection,
    now: i64,
    workspace: &str,
    actor: &str,
    action: &str,
    member: &Member,
) -> Result<()> {
    let entry = NewAudit {
        workspace: workspace.to_owned(),
        actor: actor.to_owned(),
        action: action.to_owned(),
        target: member.id.clone(),
        detail: json!({ "email": member.email, "role": member.role }),
    };
    append(connection, now, &entry).await
}
