//! Addresses at the forge: of a commit, a file, a branch, a pull request, made from the repository's web address.

use rca_flow::types::AnalysisView;
use url::Url;

use crate::frame::outer_link;

/// Where a repository is seen, and how its forge names what is in it.
pub(crate) struct Links {
    forge: String,
    repository: Option<Url>,
    commit: Option<String>,
}

impl Links {
    /// The links of an analysed job; none where its repository's address is not known.
    pub(crate) fn of(analysis: &AnalysisView, repository_url: Option<&str>) -> Self {
        let repository = repository_url.and_then(outer_link).and_then(|url| Url::parse(url).ok());
        Self {
            forge: analysis.forge.clone().unwrap_or_default(),
            repository: repository.map(without_tail),
            commit: analysis.commit_sha.clone(),
        }
    }

    pub(crate) fn repository(&self) -> Option<String> {
        self.repository.as_ref().map(Url::to_string)
    }

    pub(crate) fn commit(&self, sha: &str) -> Option<String> {
        match self.forge.as_str() {
            "gitlab" => self.below(&["-", "commit", sha]),
            "github" | "gitflic" => self.below(&["commit", sha]),
            "bitbucket-cloud" | "bitbucket-dc" => self.below(&["commits", sha]),
            _ => None,
        }
    }

    pub(crate) fn branch(&self, name: &str) -> Option<String> {
        let parts: Vec<&str> = name.split('/').collect();
        let with = |head: &[&str]| self.below(&[head, parts.as_slice()].concat());
        match self.forge.as_str() {
            "gitlab" => with(&["-", "tree"]),
            "github" => with(&["tree"]),
            "bitbucket-cloud" => with(&["branch"]),
            "bitbucket-dc" => self.asking(&["browse"], &[("at", &format!("refs/heads/{name}"))]),
            // Its address of a branch is not documented.
            _ => None,
        }
    }

    pub(crate) fn pull(&self, number: &str) -> Option<String> {
        match self.forge.as_str() {
            "gitlab" => self.below(&["-", "merge_requests", number]),
            "github" => self.below(&["pull", number]),
            "bitbucket-cloud" | "bitbucket-dc" => self.below(&["pull-requests", number]),
            "gitflic" => self.below(&["merge-request", number]),
            _ => None,
        }
    }

    /// A line of a file at the analysed commit; only for paths inside the repository.
    pub(crate) fn file(&self, path: &str, line: Option<u64>) -> Option<String> {
        let path = path.replace('\\', "/");
        let path = path.trim_start_matches("./");
        let is_inside = !path.starts_with('/')
            && !path.contains(':')
            && !path.is_empty()
            && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if !is_inside {
            return None;
        }
        let sha = self.commit.as_deref()?;
        let parts: Vec<&str> = path.split('/').collect();
        let with = |head: &[&str]| self.below(&[head, parts.as_slice()].concat());
        let (address, mark) = match self.forge.as_str() {
            "gitlab" => (with(&["-", "blob", sha])?, "L"),
            "github" => (with(&["blob", sha])?, "L"),
            "bitbucket-cloud" => (with(&["src", sha])?, "lines-"),
            "bitbucket-dc" => (self.asking(&[&["browse"], parts.as_slice()].concat(), &[("at", sha)])?, ""),
            "gitflic" => (self.asking(&["blob"], &[("file", path), ("commit", sha)])?, "L"),
            _ => return None,
        };
        Some(line.map_or_else(|| address.clone(), |line| format!("{address}#{mark}{line}")))
    }

    fn below(&self, parts: &[&str]) -> Option<String> {
        let mut url = self.repository.clone()?;
        // A name cannot leave the repository: each part is one segment, and dots are not pushed.
        url.path_segments_mut().ok()?.pop_if_empty().extend(parts);
        Some(url.to_string())
    }

    fn asking(&self, parts: &[&str], query: &[(&str, &str)]) -> Option<String> {
        let mut url = Url::parse(&self.below(parts)?).ok()?;
        url.query_pairs_mut().extend_pairs(query);
        Some(url.to_string())
    }
}

/// Bitbucket Data Center links a repository by its page of files.
fn without_tail(mut url: Url) -> Url {
    url.set_query(None);
    url.set_fragment(None);
    if let Some(path) = url.path().strip_suffix("/browse").map(str::to_owned) {
        url.set_path(&path);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(forge: &str, url: &str) -> Links {
        Links {
            forge: forge.to_owned(),
            repository: outer_link(url).and_then(|url| Url::parse(url).ok()).map(without_tail),
            commit: Some("c0ffee".to_owned()),
        }
    }

    #[test]
    fn each_forge_has_its_addresses() {
        let file = |forge: &str, url: &str| links(forge, url).file("src/a b.rs", Some(7)).unwrap();
        assert_eq!(file("gitlab", "https://g.test/a/b"), "https://g.test/a/b/-/blob/c0ffee/src/a%20b.rs#L7");
        assert_eq!(file("github", "https://g.test/a/b"), "https://g.test/a/b/blob/c0ffee/src/a%20b.rs#L7");
        assert_eq!(
            file("bitbucket-cloud", "https://g.test/a/b/"),
            "https://g.test/a/b/src/c0ffee/src/a%20b.rs#lines-7"
        );
        assert_eq!(
            file("bitbucket-dc", "https://g.test/projects/A/repos/b/browse"),
            "https://g.test/projects/A/repos/b/browse/src/a%20b.rs?at=c0ffee#7"
        );
        let branch = links("gitlab", "https://g.test/a/b").branch("feature/x?y").unwrap();
        assert_eq!(branch, "https://g.test/a/b/-/tree/feature/x%3Fy");
        assert_eq!(links("github", "https://g.test/a/b").pull("4").unwrap(), "https://g.test/a/b/pull/4");
    }

    #[test]
    fn nothing_leads_out_of_the_repository() {
        let links = links("github", "https://g.test/a/b");
        for path in ["/etc/passwd", "../x", "a//b", "C:\\x", "", "https://evil.test/x"] {
            assert_eq!(links.file(path, Some(1)), None, "{path}");
        }
        for name in ["../../../evil", "..", "a/../../b"] {
            let address = links.branch(name).unwrap();
            assert!(address.starts_with("https://g.test/a/b/tree"), "{address}");
        }
        for address in ["javascript:alert(1)", "//evil.test", "https://user:pass@h.test/", "data:text/html,x"]
        {
            assert_eq!(outer_link(address), None, "{address}");
        }
    }
}
