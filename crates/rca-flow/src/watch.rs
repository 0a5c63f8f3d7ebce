//! What people look at to know that all is well: incidents, and the audit.

use rca_store::{AuditFilter, PageRequest};

use crate::{
    analyses::{millisecond, one_of},
    error::{FlowError, FlowErrorKind, Result},
    flow::{Caller, Flow},
    types::{AuditQuery, AuditView, IncidentView, List, ListQuery, page, time},
};

/// Entries of an audit that one table takes; more than that is read in pages.
const TABLE_ROWS: usize = 100_000;

impl Flow {
    /// Incidents, the newest first.
    ///
    /// # Errors
    /// `invalid_field`.
    pub async fn list_incidents(&self, caller: &Caller, query: &ListQuery) -> Result<List<IncidentView>> {
        one_of("state", query.state.as_deref(), &["open", "all"])?;
        one_of("format", query.format.as_deref(), &["json"])?;
        let only_open = query.state.as_deref() == Some("open");
        let page = page(query.limit, query.cursor.as_deref())?;
        let page = self.store().list_incidents(&caller.workspace, only_open, &page).await?;
        let items = page
            .items
            .into_iter()
            .map(|incident| IncidentView {
                id: incident.id,
                code: incident.code,
                severity: incident.severity,
                message: incident.message,
                remedy: incident.remedy,
                integration_id: incident.integration,
                repository_id: incident.repository,
                opened_at: time(incident.opened_at),
                resolved_at: incident.resolved_at.map(time),
            })
            .collect();
        Ok(List { items, next_cursor: page.next_cursor })
    }

    /// The audit, the newest first.
    ///
    /// # Errors
    /// `invalid_field`.
    pub async fn list_audit(&self, caller: &Caller, query: &AuditQuery) -> Result<List<AuditView>> {
        let page = page(query.limit, query.cursor.as_deref())?;
        let page = self.store().find_audit(&caller.workspace, &audit_filter(query)?, &page).await?;
        let items = page
            .items
            .into_iter()
            .map(|entry| AuditView {
                seq: entry.seq,
                at: time(entry.at),
                actor: entry.actor,
                action: entry.action,
                target: entry.target,
                detail: entry.detail,
                hash: entry.hash,
            })
            .collect();
        Ok(List { items, next_cursor: page.next_cursor })
    }

    /// All entries that match as a table (RFC 4180), the newest first. Cells that a spreadsheet would take for a
    /// formula begin with an apostrophe.
    ///
    /// # Errors
    /// `invalid_field`; `too_many_rows` above 100,000 entries: read it in pages then.
    pub async fn audit_table(&self, caller: &Caller, query: &AuditQuery) -> Result<String> {
        let filter = audit_filter(query)?;
        let mut table = String::from("seq,at,actor,action,target,detail,hash\r\n");
        let (mut cursor, mut rows) = (None, 0);
        loop {
            let page = PageRequest { limit: 500, cursor };
            let page = self.store().find_audit(&caller.workspace, &filter, &page).await?;
            for entry in page.items {
                rows += 1;
                let detail = entry.detail.to_string();
                let cells = [
                    entry.seq.to_string(),
                    time(entry.at),
                    cell(&entry.actor),
                    cell(&entry.action),
                    cell(&entry.target),
                    cell(&detail),
                    entry.hash,
                ];
                table.push_str(&cells.join(","));
                table.push_str("\r\n");
            }
            if rows > TABLE_ROWS {
                return Err(FlowError::new(
                    FlowErrorKind::Unprocessable,
                    "too_many_rows",
                    "the audit has more than 100,000 entries: read it as JSON, page by page",
                ));
            }
            match page.next_cursor {
                Some(next) => cursor = Some(next),
                None => return Ok(table),
            }
        }
    }
}

fn audit_filter(query: &AuditQuery) -> Result<AuditFilter> {
    let part = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    Ok(AuditFilter {
        actor: part(&query.actor),
        action: part(&query.action),
        target: part(&query.target),
        since: millisecond("since", query.since.as_deref())?,
        until: millisecond("until", query.until.as_deref())?,
    })
}

/// One cell: quoted where it has to be, and never a formula.
fn cell(text: &str) -> String {
    let begins_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if begins_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn cells_are_quoted_and_never_formulas() {
        assert_eq!(cell("plain"), "plain");
        assert_eq!(cell("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(cell("=cmd()"), "'=cmd()");
        assert_eq!(cell("@x\ny"), "\"'@x\ny\"");
    }
}
