//! Finding repositories, workspace by workspace: the listings across workspaces were removed in 2026.

use async_trait::async_trait;
use forge_core::{BoxStream, Error, ErrorKind, ForgeKind, Repos, Result, model::Repo};
use forge_http::{each_once, side_by_side};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    client::{BitbucketCloudClient, More, segment},
    wire,
};

#[async_trait]
impl Repos for BitbucketCloudClient {
    /// In the order of the workspaces, a few of which are read side by side; the rate limit counts requests, not how
    /// many are under way.
    fn list_repos(&self) -> BoxStream<'static, Result<Repo>> {
        let client = self.clone();
        let lists = self.list_workspaces().map_ok(move |workspace| client.list_repos_of(&workspace)).boxed();
        each_once(side_by_side(lists), |repo| repo.id.clone())
    }

    async fn get_repo(&self, id_or_name: &str) -> Result<Repo> {
        let operation = format!("read repository {id_or_name}");
        if id_or_name.starts_with('{') {
            return self.get_repo_by_uuid(id_or_name, operation).await;
        }
        let Some((workspace, name)) = id_or_name.split_once('/') else {
            return Err(Error::new(ErrorKind::NotFound, "that is no repository's name or UUID")
                .with_forge(ForgeKind::BITBUCKET_CLOUD)
                .with_operation(operation)
                .with_hint("give workspace/repository, or the UUID in braces"));
        };
        let path = format!("repositories/{}/{}", segment(workspace)?, segment(name)?);
        Ok(self.get::<wire::Repository>(path, operation).await?.into_model())
    }
}

impl BitbucketCloudClient {
    fn list_workspaces(&self) -> BoxStream<'static, Result<String>> {
        if let Some(workspace) = &self.place.workspace {
            let workspace = workspace.clone();
            return stream::once(async move { Ok(workspace) }).boxed();
        }
        let client = self.clone();
        let path = Ok("user/workspaces?pagelen=100".to_owned());
        self.list(path, "list workspaces".to_owned(), |values: Vec<wire::WorkspaceAccess>| {
            (values.into_iter().filter_map(wire::WorkspaceAccess::into_slug).collect(), More::AsLinked)
        })
        .or_else(move |error: Error| {
            let client = client.clone();
            async move {
                if !client.is_without_user(&error).await? {
                    return Err(error);
                }
                Err(Error::new(ErrorKind::Unsupported, "an access token cannot list workspaces")
                    .with_forge(ForgeKind::BITBUCKET_CLOUD)
                    .with_operation("list repositories")
                    .with_hint(
                        "give the token's workspace beside it (or https://bitbucket.org/<workspace> as the base URL), \
                         or name the repository as workspace/repository",
                    ))
            }
        })
        .boxed()
    }

    fn list_repos_of(&self, workspace: &str) -> BoxStream<'static, Result<Repo>> {
        // Without a role, everything that is public comes too. A token that is bound to a workspace has no role.
        let role = if self.place.workspace.is_some() { "" } else { "role=member&" };
        // Oldest first: one that is made meanwhile comes last.
        let path = segment(workspace)
            .map(|segment| format!("repositories/{segment}?{role}sort=created_on&pagelen=100"));
        self.list(path, format!("list repositories of {workspace}"), |values: Vec<wire::Repository>| {
            (values.into_iter().map(wire::Repository::into_model).collect(), More::AsCounted)
        })
    }

    /// The workspace may be left out in braces; where that is not taken, each workspace is asked.
    async fn get_repo_by_uuid(&self, uuid: &str, operation: String) -> Result<Repo> {
        let path = format!("repositories/%7B%7D/{}", segment(uuid)?);
        let missing = match self.get::<wire::Repository>(path, operation.clone()).await {
            Ok(found) => return Ok(found.into_model()),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Invalid) => error,
            Err(error) => return Err(error),
        };
        let mut workspaces = self.list_workspaces();
        loop {
            let workspace = match workspaces.try_next().await {
                Ok(Some(workspace)) => workspace,
                Ok(None) => break,
                Err(error) if error.kind() == ErrorKind::Unsupported => break,
                Err(error) => return Err(error),
            };
            let path = format!("repositories/{}/{}", segment(&workspace)?, segment(uuid)?);
            match self.get::<wire::Repository>(path, operation.clone()).await {
                Ok(found) => return Ok(found.into_model()),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Err(missing)
    }
}
