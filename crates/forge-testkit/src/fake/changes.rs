//! What a fake knows beyond runs: changes, files, namespaces.

use forge_core::model::RepoRef;

use crate::{ChangeSpec, Fake, FakeHook, RepoHandle};

/// # Changes, files, namespaces
impl Fake {
    /// What leads from one commit to another: their files and commits can then be compared.
    pub fn add_change(&self, change: &ChangeSpec) {
        self.world().changes.push(change.clone());
    }

    /// The text of a file at a commit, or on a branch.
    pub fn add_file(&self, repo: &RepoHandle, sha: &str, path: &str, text: &str) {
        let key = (repo.id, sha.to_owned(), path.to_owned());
        self.world().files.insert(key, text.to_owned());
    }

    /// Where the file that defines a run's jobs lies, where runs have one in the repository.
    #[must_use]
    pub fn ci_config_path(&self) -> Option<&'static str> {
        self.dialect().ci_config_path()
    }

    /// The namespace of that path, e.g. `group/sub`, as adapters name it in calls about its hooks.
    #[must_use]
    pub fn namespace(&self, path: &str) -> RepoRef {
        let id = self.world().namespace_id(path);
        RepoRef::new(id.to_string(), path)
    }

    /// The hooks of a namespace itself.
    #[must_use]
    pub fn namespace_hooks(&self, path: &str) -> Vec<FakeHook> {
        let id = self.world().namespace_id(path);
        self.hooks_of_owner(id)
    }
}
