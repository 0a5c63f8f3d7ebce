//! Repositories that an integration can see.

use crate::error::{Error, ErrorKind, Result};
use crate::page::{Page, PageRequest};
use crate::sql::{Row, Sql};
use crate::store::{Store, new_id};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// A repository as the forge lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRepository {
    /// The workspace that it belongs to.
    pub workspace: String,
    /// The integration that sees it.
    pub integration: String,
    /// The forge's own id; it survives renames.
    pub forge_id: String,
    /// Its full name, such as `group/project`.
    pub full_name: String,
    /// Its default branch.
    pub default_branch: Option<String>,
    /// Where people look at it.
    pub web_url: Option<String>,
    /// It is read-only at the forge.
    pub archived: bool,
    /// The forge runs CI for it.
    pub has_ci: bool,
    /// Whatever else the adapter wants to keep.
    pub data: Value,
}

/// A stored repository.
#[derive(Debug, Clone, PartialEq)]
pub struct Repository {
    /// Its id.
    pub id: String,
    /// The workspace that it belongs to.
    pub workspace: String,
    /// The integration that sees it.
    pub integration: String,
    /// The forge's own id.
    pub forge_id: String,
    /// Its full name.
    pub full_name: String,
    /// Its default branch.
    pub default_branch: Option<String>,
    /// Where people look at it.
    pub web_url: Option<String>,
    /// It is read-only at the forge.
    pub archived: bool,
    /// The forge runs CI for it.
    pub has_ci: bool,
    /// It is in the perimeter.
    pub monitored: bool,
    /// Whatever else the adapter keeps.
    pub data: Value,
    /// When it was first seen.
    pub created_at: i64,
    /// When a sync last saw it.
    pub seen_at: i64,
}

/// Which repositories a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepositoryFilter {
    /// Only of this integration.
    pub integration: Option<String>,
    /// Only with this in the full name, whatever the case.
    pub search: Option<String>,
    /// Only monitored ones, or only others.
    pub monitored: Option<bool>,
    /// Only those that no sync has seen since: the forge does not list them any more.
    pub not_seen_since: Option<i64>,
}

/// Rows of one statement; 11 values each, far below both engines' limits.
const CHUNK: usize = 200;

impl Store {
    /// Stores what a sync has listed, thousands at a time: new ones are added, known ones get their new names. Whether
    /// they are monitored is left alone. Returns the time of the sync, for `not_seen_since`.
    ///
    /// # Errors
    /// `Unavailable` when a write does not finish in time; the parts before it are stored, and a repeat is harmless.
    pub async fn upsert_repositories(&self, repositories: Vec<NewRepository>) -> Result<i64> {
        let started = self.now().await?;
        let mut repositories = repositories;
        // A page that moved while it was listed can name a repository twice; one statement must not.
        repositories.sort_by(|a, b| (&a.integration, &a.forge_id).cmp(&(&b.integration, &b.forge_id)));
        repositories.dedup_by(|a, b| a.integration == b.integration && a.forge_id == b.forge_id);
        for chunk in repositories.chunks(CHUNK) {
            let chunk = chunk.to_vec();
            self.transact(move |connection, now| {
                Box::pin(async move {
                    let mut sql = Sql::new(
                        "INSERT INTO repository (id, workspace, integration, forge_id, full_name, default_branch, web_url, \
                         archived, has_ci, data, created_at, seen_at) VALUES ",
                    );
                    let mut separator = "(";
                    for repository in &chunk {
                        sql = sql
                            .push(separator)
                            .arg(new_id())
                            .push(", ")
                            .arg(&repository.workspace)
                            .push(", ")
                            .arg(&repository.integration)
                            .push(", ")
                            .arg(&repository.forge_id)
                            .push(", ")
                            .arg(&repository.full_name)
                            .push(", ")
                            .arg(&repository.default_branch)
                            .push(", ")
                            .arg(&repository.web_url)
                            .push(", ")
                            .arg(repository.archived)
                            .push(", ")
                            .arg(repository.has_ci)
                            .push(", ")
                            .arg(&repository.data)
                            .push(", ")
                            .arg(now)
                            .push(", ")
                            .arg(now)
                            .push(")");
                        separator = ", (";
                    }
                    sql.push(
                        " ON CONFLICT (integration, forge_id) DO UPDATE SET full_name = excluded.full_name, \
                         default_branch = excluded.default_branch, web_url = excluded.web_url, \
                         archived = excluded.archived, has_ci = excluded.has_ci, data = excluded.data, \
                         seen_at = excluded.seen_at",
                    )
                    .execute(connection)
                    .await
                })
            })
            .await?;
        }
        Ok(started)
    }

    /// Repositories of a workspace in order of their names.
    ///
    /// # Errors
    /// `Invalid` for a cursor that is not from this list.
    pub async fn list_repositories(
        &self,
        workspace: &str,
        filter: &RepositoryFilter,
        page: &PageRequest,
    ) -> Result<Page<Repository>> {
        let mut sql = filtered("*", workspace, filter);
        if let Some(cursor) = &page.cursor {
            let (name, id) = read_cursor(cursor)
                .ok_or_else(|| Error::new(ErrorKind::Invalid, "the cursor is not one of this list"))?;
            sql = sql.push(" AND (full_name, id) > (").arg(name).push(", ").arg(id).push(")");
        }
        let mut connection = self.read().await?;
        let rows = sql.push(" ORDER BY full_name, id LIMIT ").arg(page.fetch()).all(&mut connection).await?;
        let items = rows.iter().map(Repository::from_row).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(items, page, |repository| {
            URL_SAFE_NO_PAD.encode(format!("{}\n{}", repository.id, repository.full_name))
        }))
    }

    /// One repository by our id.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn get_repository(&self, workspace: &str, id: &str) -> Result<Option<Repository>> {
        self.one_repository(
            Sql::new("SELECT * FROM repository WHERE workspace = $1 AND id = $2").bind(workspace).bind(id),
        )
        .await
    }

    /// One repository by the forge's id.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn find_repository_by_forge_id(
        &self,
        workspace: &str,
        integration: &str,
        forge_id: &str,
    ) -> Result<Option<Repository>> {
        self.one_repository(
            Sql::new("SELECT * FROM repository WHERE workspace = $1 AND integration = $2 AND forge_id = $3")
                .bind(workspace)
                .bind(integration)
                .bind(forge_id),
        )
        .await
    }

    /// One repository by its full name, whatever the case.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn find_repository_by_name(
        &self,
        workspace: &str,
        integration: &str,
        full_name: &str,
    ) -> Result<Option<Repository>> {
        self.one_repository(
            Sql::new(
                "SELECT * FROM repository WHERE workspace = $1 AND integration = $2 AND lower(full_name) = lower($3) \
                 ORDER BY seen_at DESC LIMIT 1",
            )
            .bind(workspace)
            .bind(integration)
            .bind(full_name),
        )
        .await
    }

    /// Puts repositories into the perimeter or takes them out; returns how many there were.
    ///
    /// # Errors
    /// `Unavailable` when the write does not finish in time.
    pub async fn set_monitored(&self, workspace: &str, ids: &[String], monitored: bool) -> Result<u64> {
        let (workspace, ids) = (workspace.to_owned(), ids.to_vec());
        self.transact(move |connection, _| {
            Box::pin(async move {
                let mut changed = 0;
                for ids in ids.chunks(CHUNK) {
                    changed +=
                        Sql::new("UPDATE repository SET monitored = $1 WHERE workspace = $2 AND id IN ")
                            .bind(monitored)
                            .bind(&workspace)
                            .list(ids)
                            .execute(connection)
                            .await?;
                }
                Ok(changed)
            })
        })
        .await
    }

    /// Removes repositories that the forge does not list any more, and the secrets of their hooks.
    ///
    /// # Errors
    /// `Unavailable` when the write does not finish in time.
    pub async fn delete_repositories(&self, workspace: &str, ids: &[String]) -> Result<u64> {
        let (workspace, ids) = (workspace.to_owned(), ids.to_vec());
        let changed = self
            .transact(move |connection, now| {
                Box::pin(async move {
                    let mut changed = 0;
                    for ids in ids.chunks(CHUNK) {
                        Sql::new(
                            "DELETE FROM secret WHERE workspace = $1 AND owner_table = 'hook' \
                         AND owner_id IN (SELECT id FROM hook WHERE workspace = $1 AND repository IN ",
                        )
                        .bind(&workspace)
                        .list(ids)
                        .push(")")
                        .execute(connection)
                        .await?;
                        Sql::new(
                            "UPDATE hook SET removed_at = $1, token_hash = NULL, previous_token_hash = NULL \
                         WHERE workspace = $2 AND removed_at IS NULL AND repository IN ",
                        )
                        .bind(now)
                        .bind(&workspace)
                        .list(ids)
                        .execute(connection)
                        .await?;
                        crate::incident::resolve_all_of(connection, now, &workspace, None, ids).await?;
                        changed += Sql::new("DELETE FROM repository WHERE workspace = $1 AND id IN ")
                            .bind(&workspace)
                            .list(ids)
                            .execute(connection)
                            .await?;
                    }
                    Ok(changed)
                })
            })
            .await?;
        self.wipe_log().await?;
        Ok(changed)
    }

    async fn one_repository(&self, sql: Sql) -> Result<Option<Repository>> {
        let mut connection = self.read().await?;
        sql.optional(&mut connection).await?.map(|row| Repository::from_row(&row)).transpose()
    }
}

impl Repository {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.text("id")?,
            workspace: row.text("workspace")?,
            integration: row.text("integration")?,
            forge_id: row.text("forge_id")?,
            full_name: row.text("full_name")?,
            default_branch: row.text_opt("default_branch")?,
            web_url: row.text_opt("web_url")?,
            archived: row.flag("archived")?,
            has_ci: row.flag("has_ci")?,
            monitored: row.flag("monitored")?,
            data: row.json("data")?,
            created_at: row.int("created_at")?,
            seen_at: row.int("seen_at")?,
        })
    }
}

/// The repositories of a workspace that match.
pub(crate) fn filtered(columns: &str, workspace: &str, filter: &RepositoryFilter) -> Sql {
    let sql = Sql::new(format!("SELECT {columns} FROM repository WHERE workspace = $1"))
        .bind(workspace)
        .when(" AND integration = ", filter.integration.clone())
        .when(" AND monitored = ", filter.monitored)
        .when(" AND seen_at < ", filter.not_seen_since);
    match &filter.search {
        Some(search) => sql.push(" AND lower(full_name) LIKE ").arg(contains(search)).push(" ESCAPE '!'"),
        None => sql,
    }
}

/// A LIKE pattern for "contains", with `!` before what LIKE would take as a wildcard.
fn contains(search: &str) -> String {
    let mut pattern = String::from("%");
    for character in search.to_lowercase().chars() {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

fn read_cursor(cursor: &str) -> Option<(String, String)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let (id, name) = text.split_once('\n')?;
    Some((name.to_owned(), id.to_owned()))
}
