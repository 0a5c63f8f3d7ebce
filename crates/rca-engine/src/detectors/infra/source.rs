//! Git checkouts.
//!
//! **What:** references that are gone, repositories that cannot be read, submodules, LFS.
//! **Why:** `fatal:` is git's own last word; what Jenkins or the runner says after it is its stack.
//! **What to do:** check that the reference exists and that the job's credential may read it.

use crate::report::Category::{Auth, ConfigError, Network, Permission, ScmCheckout};
use crate::rules::{Role, Rule};

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("git.key", Auth, 88, &["Permission denied (publickey", "Host key verification failed", "could not read Username", "could not read Password", "Authentication failed for"], r"(?:Permission denied \(publickey|Host key verification failed|could not read (?:Username|Password) for|Authentication failed for ')")
        .span(0, 1)
        .tested(&["git@example.org: Permission denied (publickey).", "fatal: could not read Username for 'https://example.org': terminal prompts disabled"], &["publickey"]),
    Rule::cause("git.reference", ScmCheckout, 86, &["couldn't find remote ref", "Remote branch", "not our ref", "unable to read tree", "reference is not a tree", "did not match any file(s) known to git", "bad object", "No such hash"], r"(?:couldn't find remote ref|[Rr]emote branch .+ not found|not our ref |reference is not a tree|unable to read tree|pathspec .+ did not match any|fatal: bad object)")
        .tested(&["fatal: couldn't find remote ref refs/tags/x", "fatal: Remote branch x not found in upstream origin"], &["Remote branch x set up"]),
    Rule::cause("git.ownership", Permission, 86, &["detected dubious ownership"], r"fatal: detected dubious ownership in repository")
        .with_advice("Git refuses a repository that belongs to another user.", "Add the directory to safe.directory or run the step as its owner.")
        .tested(&["fatal: detected dubious ownership in repository at '/till'"], &["ownership"]),
    Rule::cause("git.unreachable", Network, 84, &["unable to access '", "early EOF", "RPC failed", "The remote end hung up", "unable to connect to"], r"^(?:remote: )?(?:fatal|error): (?:unable to access '.+|early EOF|RPC failed.*|[Tt]he remote end hung up.*|unable to connect to .*)")
        .span(1, 1)
        .tested(&["fatal: unable to access 'https://example.org/x/': Empty reply from server"], &["unable to access"]),
    Rule::cause("git.repository", ScmCheckout, 80, &["not found", "Could not read from remote repository", "does not appear to be a git repository", "not a git repository"], r"^(?:remote: |fatal: )(?:[Rr]epository (?:'.+' )?not found|Could not read from remote repository|.* does not appear to be a git repository|not a git repository)")
        .span(1, 0)
        .tested(&["fatal: repository 'https://example.org/x/' not found", "remote: Repository not found."], &["repository found"]),
    Rule::cause("git.submodule", ScmCheckout, 78, &["submodule"], r"fatal: (?:No url found for submodule path|.*clone of .* into submodule path .* failed)")
        .tested(&["fatal: No url found for submodule path 'x' in .gitmodules"], &["submodule ok"]),
    Rule::cause("git.merge", ScmCheckout, 76, &["CONFLICT (", "Automatic merge failed", "unmerged files"], r"^(?:CONFLICT \(\w+\)|Automatic merge failed)")
        .tested(&["CONFLICT (content): Merge conflict in a.rs"], &["CONFLICT"]),
    Rule::cause("git.fatal", ConfigError, 62, &["fatal: "], r"^(?:.*stderr: ')?fatal: (?P<message>.+)")
        .span(1, 0)
        .tested(&["fatal: ambiguous argument 'x': unknown revision"], &["non-fatal: x"]),
    Rule::cause("jenkins.checkout", ScmCheckout, 82, &["Error cloning remote repo", "Could not checkout", "Error fetching remote repo", "Maximum checkout retry"], r"^(?:ERROR|FATAL): (?:Error (?:cloning|fetching) remote repo|Could not checkout|Maximum checkout retry).*")
        .span(0, 5)
        .tested(&["ERROR: Error cloning remote repo 'origin'", "FATAL: Could not checkout 0f0f0f0f"], &["Error cloning"]),
    Rule::of(Role::Noise, "git.hint", ScmCheckout, &["hint: "], r"^hint: ")
        .tested(&["hint: Using 'master' as the name for the initial branch."], &[]),
];
