//! What differs between the fakes: routes, error bodies, payloads, signatures.

use std::{fmt::Debug, time::Duration};

use forge_core::ForgeKind;
use url::Url;

use crate::{
    deliver::{DeliveryOutcome, Message, SignedRequest},
    spec::TokenKind,
    wire::{Incoming, Reply},
    world::{Hook, Job, RateLimit, Run, World},
};

/// What a route wants done.
pub(crate) enum Outcome {
    Reply(Reply),
    /// Send this first, then answer by its outcome.
    Deliver(Box<SignedRequest>, fn(&DeliveryOutcome) -> Reply),
    /// Answer at once, send this afterwards.
    ReplyThenDeliver(Reply, Box<SignedRequest>),
    /// POST this JSON to an OAuth callback first, then answer by whether it was taken.
    Callback(Box<Callback>),
    /// There is no such route: answered as the forge answers, and remembered.
    Unknown(Reply),
}

/// An OAuth code on its way from server to server.
pub(crate) struct Callback {
    pub(crate) url: Url,
    pub(crate) body: String,
    /// The browser's answer when the callback took it.
    pub(crate) taken: Reply,
    /// The browser's answer when it did not.
    pub(crate) refused: Reply,
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

pub(crate) trait Dialect: Debug + Send + Sync {
    fn kind(&self) -> ForgeKind;

    /// The id of a repository as the forge prints it.
    fn repo_id(&self, id: u64) -> String {
        id.to_string()
    }

    /// The id of a run as adapters see it.
    fn run_id(&self, run: &Run) -> String {
        run.id.to_string()
    }

    /// The id of a job as adapters see it.
    fn job_id(&self, _world: &World, job: &Job) -> String {
        job.id.to_string()
    }

    /// The id of a hook as the forge prints it.
    fn hook_id(&self, id: u64) -> String {
        id.to_string()
    }

    /// Whether repositories can be archived.
    fn archives(&self) -> bool {
        true
    }

    /// Whether there are deliveries about single jobs.
    fn sends_job_events(&self) -> bool {
        true
    }

    /// Whether deliveries tell how runs end; where not, a push is the sign to look.
    fn tells_runs(&self) -> bool {
        true
    }

    /// Whether listings name their next page by an address, which could lead elsewhere.
    fn links_pages(&self) -> bool {
        true
    }

    /// Whether answers name the addresses of logs or artifacts, which could lead elsewhere.
    fn names_logs(&self) -> bool {
        false
    }

    /// How many requests a listing of repositories takes before its first page.
    fn requests_before_repos(&self) -> usize {
        0
    }

    /// How many requests a listing of repositories takes after its last page, for another list.
    fn requests_after_repos(&self) -> usize {
        0
    }

    /// Whether the old name of a repository leads to it.
    fn redirects_renamed(&self) -> bool {
        true
    }

    /// Whether a hook that has to be changed gets another id, because hooks can only be made and removed.
    fn replaces_hooks(&self) -> bool {
        false
    }

    /// Whether a new hook gets a delivery at once, to say that it is there.
    fn greets_hooks(&self) -> bool {
        false
    }

    /// Whether the token endpoint says which scopes were granted.
    fn tells_scopes(&self) -> bool {
        true
    }

    /// Whether issues can be labelled by the names of labels.
    fn labels_issues(&self) -> bool {
        true
    }

    /// The path of the file that defines a run's jobs, where runs have one in the repository.
    fn ci_config_path(&self) -> Option<&'static str> {
        None
    }

    /// Prefixes of access and refresh tokens by OAuth, and of personal tokens.
    fn token_prefixes(&self) -> [&'static str; 3];

    /// The scopes of a token that may do all this product needs.
    fn full_scopes(&self) -> &'static [&'static str];

    /// Kind and scopes of a token that may read everything and write nothing.
    fn read_only(&self) -> (TokenKind, &'static [&'static str]);

    /// The scopes of a token that may only say who it is.
    fn identity_scopes(&self) -> &'static [&'static str];

    /// The events that a hook of this product wants.
    fn default_events(&self) -> &'static [&'static str];

    /// Whether a repetition counts attempts of the run, or repeats jobs inside it.
    fn counts_run_attempts(&self) -> bool;

    /// How long a receiver may take.
    fn delivery_timeout(&self) -> Duration;

    /// What starts a run that runs for a pull request, and one that was started by another run.
    fn triggers(&self) -> [&'static str; 2];

    fn route(&self, world: &mut World, request: &Incoming) -> Outcome;

    /// Whether this path counts against the rate limit.
    fn is_api(&self, path: &str) -> bool;

    /// The error body of a status that nobody asked for.
    fn error(&self, status: u16) -> Reply;

    /// The answer to one request too many.
    fn rate_limited(&self, limit: Option<&RateLimit>, retry_after: Option<u64>) -> Reply;

    /// The headers that say how much is left.
    fn with_rate_headers(&self, reply: Reply, limit: &RateLimit) -> Reply;

    /// What the forge sends for a run and its jobs as they are now.
    fn messages(&self, world: &World, run: &Run) -> Vec<Message>;

    /// Signs a message for a hook.
    fn sign(&self, world: &World, hook: &Hook, message: &Message, delivery_id: &str) -> SignedRequest;

    /// What becomes of the hook after a delivery.
    fn settle(&self, world: &mut World, hook_id: u64, outcome: &DeliveryOutcome);
}
