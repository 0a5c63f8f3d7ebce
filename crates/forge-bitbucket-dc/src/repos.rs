//! Finding repositories.

use async_trait::async_trait;
use forge_core::{BoxStream, Error, ErrorKind, ForgeKind, Repos, Result, model::Repo};
use forge_http::{each_once, side_by_side};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    client::{DcClient, segment},
    error, wire,
};

/// Servers give fewer at a time where they are told to, and say how to go on.
const PAGE: &str = "1000";

#[async_trait]
impl Repos for DcClient {
    /// All that the credential sees: a whole instance, a project or a single repository, by the token's reach. With
    /// [`crate::BitbucketDcBuilder::with_projects`] those of the projects.
    ///
    /// Public repositories of which the credential has no permission are left out. One page after the other: where a page
    /// begins is only told by the one before it. Projects are read side by side.
    fn list_repos(&self) -> BoxStream<'static, Result<Repo>> {
        let client = self.clone();
        let base_url = self.base_url.clone();
        let repositories: BoxStream<'static, Result<wire::Repository>> = if self.settings.projects.is_empty()
        {
            // Unknown parameters are ignored by servers that do not archive.
            let query = [("permission", "REPO_READ"), ("archived", "ALL"), ("limit", PAGE)];
            self.list(Ok("api/1.0/repos".to_owned()), &query, "list repositories".to_owned())
        } else {
            let lists = stream::iter(self.settings.projects.clone()).map(move |key| {
                let path = segment(&key).map(|key| format!("api/1.0/projects/{key}/repos"));
                let operation = format!("list repositories of project {key}");
                Ok(client.list(path, &[("archived", "ALL"), ("limit", PAGE)], operation))
            });
            side_by_side(lists.boxed())
        };
        each_once(repositories.map_ok(move |repository| repository.into_model(&base_url)).boxed(), |repo| {
            repo.id.clone()
        })
    }

    /// By name in one request; by id by searching the list, because Bitbucket has no other way.
    async fn get_repo(&self, id_or_name: &str) -> Result<Repo> {
        let Some((project, slug)) = id_or_name.split_once('/') else {
            return self.find_by_id(id_or_name).await;
        };
        let path = format!("api/1.0/projects/{}/repos/{}", segment(project)?, segment(slug)?);
        let repository: wire::Repository = self.get(&path, format!("read repository {id_or_name}")).await?;
        let mut repo = repository.into_model(&self.base_url);
        if repo.default_branch.is_none() {
            repo.default_branch = self.default_branch(&path, id_or_name).await?;
        }
        Ok(repo)
    }
}

impl DcClient {
    async fn find_by_id(&self, id: &str) -> Result<Repo> {
        let mut all = self.list_repos();
        while let Some(repo) = all.try_next().await? {
            if repo.id == id {
                let found = self.get_repo(&repo.full_name).await?;
                return Ok(if found.id == id { found } else { repo });
            }
        }
        Err(Error::new(ErrorKind::NotFound, "not found, or not visible to the credential")
            .with_forge(ForgeKind::BITBUCKET_DC)
            .with_operation(format!("read repository {id}"))
            .with_hint("check the id, or give the repository as KEY/slug"))
    }

    /// Older servers do not name it with the repository; an empty repository has none.
    async fn default_branch(&self, path: &str, name: &str) -> Result<Option<String>> {
        let request = self
            .api
            .get(&format!("{path}/branches/default"))
            .operation(format!("read the default branch of {name}"));
        match self.send(request).await {
            Ok(response) if response.bytes().is_empty() => Ok(None),
            Ok(response) => Ok(response.json::<wire::Branch>()?.display_id),
            Err(error) if error::is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
