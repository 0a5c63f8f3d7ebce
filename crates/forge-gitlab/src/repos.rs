//! Discovery: docs api/projects.md.

use async_trait::async_trait;
use forge_core::{
    BoxStream, Repos, Result,
    model::{Repo, RepoRef},
};

use crate::{client::Client, wire};

/// Reporter: below it a private project's pipelines cannot be read, so listing it would promise too much.
const LEAST_ROLE: &str = "20";

#[async_trait]
impl Repos for Client {
    fn list_repos(&self) -> BoxStream<'static, Result<Repo>> {
        // Keyset paging wants `order_by=id` here, has no end at 50,000 rows, and loses nothing when projects come and
        // go while it runs. The price is that only a page tells where the next one begins, so that none is fetched
        // ahead; numbered pages are not counted by GitLab above 10,000 rows.
        let first = self.api().get("projects").operation("list projects").query(&[
            ("membership", "true"),
            ("min_access_level", LEAST_ROLE),
            ("pagination", "keyset"),
            ("order_by", "id"),
            ("sort", "asc"),
            ("per_page", "100"),
        ]);
        self.pages(first, wire::Project::into_repo)
    }

    async fn get_repo(&self, id_or_name: &str) -> Result<Repo> {
        // A path always has a slash, so digits alone are an id.
        let repo = RepoRef::new(id_or_name, "");
        let operation = format!("get project {id_or_name}");
        let project: wire::Project = self.call(&repo, &operation, |api, path| api.get(path)).await?.json()?;
        Ok(project.into_repo())
    }
}
