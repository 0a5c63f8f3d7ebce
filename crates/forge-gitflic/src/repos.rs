//! Finding projects.

use async_trait::async_trait;
use forge_core::{
    BoxStream, Error, ErrorKind, ForgeKind, Repos, Result,
    model::{Repo, RepoRef},
};
use forge_http::each_once;
use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::{
    client::{Call, GitFlicClient, repo_path, segment},
    page::More,
    wire::{self, Fields},
};

#[async_trait]
impl Repos for GitFlicClient {
    /// Own projects, then shared ones, each once. There is no list of all that a token may see: those of teams and
    /// companies are among the shared ones.
    fn list_repos(&self) -> BoxStream<'static, Result<Repo>> {
        each_once(self.list_of("my").chain(self.list_of("shared")).boxed(), |repo| repo.id.clone())
    }

    /// By id it has to be looked for in the lists, because GitFlic addresses projects by their aliases.
    async fn get_repo(&self, id_or_name: &str) -> Result<Repo> {
        let operation = format!("read project {id_or_name}");
        let path = if id_or_name.contains('/') {
            repo_path(&RepoRef::new("", id_or_name))?
        } else {
            // Nothing says that this works, but a project that can be deleted by its id may be readable by it too.
            format!("project/{}", segment(id_or_name)?)
        };
        let web = self.web().to_owned();
        let answer = match self.send(&Call::get(path, operation.clone())).await {
            Ok(response) => wire::read(&response, "a project", |fields| wire::repository(fields, &web)),
            Err(error) => Err(error),
        };
        match answer {
            Err(error) if is_no_address(&error) && !id_or_name.contains('/') => {
                let mut all = self.list_repos();
                while let Some(repo) = all.try_next().await? {
                    if repo.id == id_or_name {
                        return Ok(repo);
                    }
                }
                Err(Error::new(ErrorKind::NotFound, "no own or shared project has this id")
                    .with_forge(ForgeKind::GITFLIC)
                    .with_operation(operation)
                    .with_hint("check that the token's user still has access to the project"))
            }
            answer => answer,
        }
    }
}

impl GitFlicClient {
    fn list_of(&self, which: &str) -> BoxStream<'static, Result<Repo>> {
        let web = self.web().to_owned();
        self.list_pages(Ok(format!("project/{which}")), "list projects".to_owned(), move |items| {
            let items = items.iter().map(|item| wire::repository(Fields::new(item), &web));
            Some((items.collect::<Option<Vec<_>>>()?, More::All))
        })
    }
}

fn is_no_address(error: &Error) -> bool {
    matches!(error.status(), Some(400 | 404 | 405))
}
