//! Finding repositories.

use async_trait::async_trait;
use forge_core::{BoxStream, Repos, Result, model::Repo};
use forge_http::each_once;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    client::{GitHubClient, More, segment},
    wire::{Repository, RepositoryPage},
};

#[async_trait]
impl Repos for GitHubClient {
    fn list_repos(&self) -> BoxStream<'static, Result<Repo>> {
        let client = self.clone();
        let pages = stream::once(async move {
            let operation = "list repositories".to_owned();
            // `GET /user/repos` refuses installation tokens, and the installation's list is wrapped in an object.
            Ok::<_, forge_core::Error>(if client.is_installation().await? {
                client.list(Ok("installation/repositories?per_page=100".to_owned()), operation, |response| {
                    Ok((response.json::<RepositoryPage>()?.repositories, More::AsCounted))
                })
            } else {
                // Oldest first: one that is made meanwhile comes last, and a rename moves nothing.
                let path = "user/repos?sort=created&direction=asc&per_page=100".to_owned();
                client.list(Ok(path), operation, |response| {
                    Ok((response.json::<Vec<Repository>>()?, More::AsCounted))
                })
            })
        });
        each_once(pages.try_flatten().map_ok(Repository::into_model).boxed(), |repo| repo.id.clone())
    }

    async fn get_repo(&self, id_or_name: &str) -> Result<Repo> {
        let path = match id_or_name.split_once('/') {
            Some((owner, name)) => format!("repos/{}/{}", segment(owner)?, segment(name)?),
            None => format!("repositories/{}", segment(id_or_name)?),
        };
        let repository: Repository = self.get(path, format!("read repository {id_or_name}")).await?;
        Ok(repository.into_model())
    }
}
