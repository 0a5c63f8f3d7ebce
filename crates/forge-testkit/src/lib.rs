#![doc = include_str!("../README.md")]

mod bitbucket_cloud;
mod bitbucket_dc;
mod blob_store;
pub mod conformance;
mod deliver;
mod dialect;
mod fake;
mod fault;
mod feedback;
mod gitflic;
mod github;
mod gitlab;
mod grants;
pub mod logs;
mod own;
mod quick_actions;
mod receiver;
mod record;
mod runs;
mod send;
mod server;
mod spec;
mod wire;
mod world;

pub use bitbucket_cloud::{FakeBitbucketCloud, FakeReport};
pub use bitbucket_dc::{CiServer, FakeBitbucketDc};
pub use deliver::{DeliveryOutcome, Message, SignedRequest};
pub use fake::{Fake, FakeOptions};
pub use fault::Fault;
pub use gitflic::FakeGitFlic;
pub use github::{FakeApp, FakeCheckRun, FakeGitHub};
pub use gitlab::FakeGitLab;
pub use own::{FakeRepo, FakeRun, FakeState, OwnForge};
pub use receiver::{Received, Receiver};
pub use record::{Listener, Presented, Recorded};
pub use spec::{
    ChangeSpec, HookSetup, JobSpec, Log, PullHandle, PullSpec, RegisteredApp, RepoHandle, RunHandle, RunSpec,
    State, TokenKind, TokenSpec,
};
pub use world::{FakeComment, FakeHook, FakeIssue, FakeStatus};
