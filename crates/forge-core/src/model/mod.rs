//! What forges have in common: plain data, public fields.
//!
//! Ids are strings as the forge prints them. Structs are `#[non_exhaustive]`: make one with `new` and set fields.

mod event;
mod facts;
mod feedback;
mod hook;
mod identity;
mod job;
mod repo;
mod run;

pub use event::{Event, EventKind, RefType};
pub use facts::{
    Annotation, AnnotationLevel, Change, ChangedFile, CiConfig, Commit, Commits, Diff, FileChange, GreenJob,
    LineRange, ReportedTest, written_lines,
};
pub use feedback::{Comment, CommitStatus, Issue, PostAction, Posted, StatusState, Target};
pub use hook::{Hook, HookDelivery, HookHealth, HookSpec};
pub use identity::{Account, Identity};
pub use job::{Job, JobStep};
pub use repo::{Repo, RepoRef};
pub use run::{Conclusion, PullRequest, Run, RunRef, Status};
