//! The audit: who did what, append-only, each entry holding the hash of the one before.

use crate::error::{Error, Result};
use crate::page::{Page, PageRequest};
use crate::pages::holding;
use crate::sql::{Row, Sql};
use crate::store::Store;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use sqlx::AnyConnection;

/// An entry to append. No secrets.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAudit {
    /// The workspace that it belongs to.
    pub workspace: String,
    /// Who did it: a token, a member, `system`.
    pub actor: String,
    /// What was done, such as `integration.connect`.
    pub action: String,
    /// To what.
    pub target: String,
    /// Details.
    pub detail: Value,
}

/// A stored entry.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// Its number in the workspace, from 1 without gaps.
    pub seq: i64,
    /// When.
    pub at: i64,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// To what.
    pub target: String,
    /// Details.
    pub detail: Value,
    /// The hash over this entry and the one before.
    pub hash: String,
}

/// Which entries a list shows. Texts are parts of what is stored, in any case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Who.
    pub actor: Option<String>,
    /// What.
    pub action: Option<String>,
    /// To what.
    pub target: Option<String>,
    /// From, in milliseconds.
    pub since: Option<i64>,
    /// To, in milliseconds.
    pub until: Option<i64>,
}

/// What a check of the chain found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditCheck {
    /// Entries read.
    pub entries: i64,
    /// The first number that is altered, missing or cut off; `None` when the chain is whole.
    pub broken_at: Option<i64>,
}

impl Store {
    /// Audit entries of a workspace, the newest first.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn list_audit(&self, workspace: &str, page: &PageRequest) -> Result<Page<AuditEntry>> {
        self.find_audit(workspace, &AuditFilter::default(), page).await
    }

    /// Audit entries of a workspace that match, the newest first.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn find_audit(
        &self,
        workspace: &str,
        filter: &AuditFilter,
        page: &PageRequest,
    ) -> Result<Page<AuditEntry>> {
        let before = page.cursor.as_ref().and_then(|cursor| cursor.parse::<i64>().ok());
        let mut sql = Sql::new("SELECT * FROM audit WHERE workspace = $1")
            .bind(workspace)
            .when(" AND seq < ", before)
            .when(" AND at >= ", filter.since)
            .when(" AND at < ", filter.until);
        for (column, part) in
            [("actor", &filter.actor), ("action", &filter.action), ("target", &filter.target)]
        {
            if let Some(part) = part {
                let condition = format!(" AND lower({column}) LIKE ");
                sql = sql.push(&condition).arg(holding(part)).push(" ESCAPE '!'");
            }
        }
        let mut connection = self.read().await?;
        let rows = sql.push(" ORDER BY seq DESC LIMIT ").arg(page.fetch()).all(&mut connection).await?;
        let items = rows.iter().map(AuditEntry::from_row).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(items, page, |entry| entry.seq.to_string()))
    }

    /// Computes the chain of a workspace anew and compares.
    ///
    /// # Errors
    /// `NotFound` when there is no such workspace.
    pub async fn verify_audit(&self, workspace: &str) -> Result<AuditCheck> {
        let mut connection = self.read().await?;
        let head = Sql::new("SELECT audit_seq, audit_hash FROM workspace WHERE id = $1")
            .bind(workspace)
            .optional(&mut connection)
            .await?
            .ok_or_else(|| Error::not_found("workspace"))?;
        let (last, last_hash) = (head.int("audit_seq")?, head.text("audit_hash")?);
        let mut previous = String::new();
        let mut checked = 0;
        while checked < last {
            let rows = Sql::new(
                "SELECT * FROM audit WHERE workspace = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT 1000",
            )
            .bind(workspace)
            .bind(checked)
            .bind(last)
            .all(&mut connection)
            .await?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                let expected = checked + 1;
                let entry = Entry::from_row(&row)?;
                let hash = entry.hash(workspace, &previous);
                if entry.seq != expected || row.text("previous")? != previous || row.text("hash")? != hash {
                    return Ok(AuditCheck { entries: checked, broken_at: Some(expected) });
                }
                previous = hash;
                checked = expected;
            }
        }
        let whole = checked == last && previous == last_hash;
        Ok(AuditCheck { entries: checked, broken_at: (!whole).then_some(checked + 1) })
    }
}

/// An entry as it is hashed: the stored texts, not parsed values.
struct Entry {
    seq: i64,
    at: i64,
    actor: String,
    action: String,
    target: String,
    detail: String,
}

impl Entry {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            seq: row.int("seq")?,
            at: row.int("at")?,
            actor: row.text("actor")?,
            action: row.text("action")?,
            target: row.text("target")?,
            detail: row.text("detail")?,
        })
    }

    fn hash(&self, workspace: &str, previous: &str) -> String {
        let mut hash = Sha256::new();
        for part in [
            previous,
            workspace,
            &self.seq.to_string(),
            &self.at.to_string(),
            &self.actor,
            &self.action,
            &self.target,
            &self.detail,
        ] {
            // Lengths keep two neighbours from trading characters.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hex::encode(hash.finalize())
    }
}

impl AuditEntry {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            seq: row.int("seq")?,
            at: row.int("at")?,
            actor: row.text("actor")?,
            action: row.text("action")?,
            target: row.text("target")?,
            detail: row.json("detail")?,
            hash: row.text("hash")?,
        })
    }
}

pub(crate) async fn append(connection: &mut AnyConnection, now: i64, audit: &NewAudit) -> Result<()> {
    // Taking the number locks the workspace's row until COMMIT, so the chain has one order on both engines.
    let head = Sql::new(
        "UPDATE workspace SET audit_seq = audit_seq + 1 WHERE id = $1 RETURNING audit_seq, audit_hash",
    )
    .bind(&audit.workspace)
    .optional(connection)
    .await?
    .ok_or_else(|| Error::not_found("workspace"))?;
    let previous = head.text("audit_hash")?;
    let clean = |text: &str| text.replace('\0', "\u{fffd}");
    let entry = Entry {
        seq: head.int("audit_seq")?,
        at: now,
        actor: clean(&audit.actor),
        action: clean(&audit.action),
        target: clean(&audit.target),
        detail: audit.detail.to_string(),
    };
    let hash = entry.hash(&audit.workspace, &previous);
    Sql::new(
        "INSERT INTO audit (workspace, seq, at, actor, action, target, detail, previous, hash) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(&audit.workspace)
    .bind(entry.seq)
    .bind(entry.at)
    .bind(entry.actor)
    .bind(entry.action)
    .bind(entry.target)
    .bind(entry.detail)
    .bind(previous)
    .bind(&hash)
    .execute(connection)
    .await?;
    Sql::new("UPDATE workspace SET audit_hash = $1 WHERE id = $2")
        .bind(hash)
        .bind(&audit.workspace)
        .execute(connection)
        .await?;
    Ok(())
}
