#![doc = include_str!("../README.md")]

mod analysis;
mod api_token;
mod audit;
mod channel;
mod cluster;
mod comment;
mod counts;
mod delivery;
mod error;
mod hook;
mod inbox;
mod incident;
mod integration;
mod live_keys;
mod maintenance;
mod member;
mod migration;
mod notification;
mod oauth_state;
mod page;
mod repository;
mod retention;
mod seal;
mod secrets;
mod session;
mod sql;
mod stats;
mod store;
mod task;
#[cfg(feature = "testing")]
pub mod testing;
mod workspace;
mod write;
mod writer;

pub use analysis::{Analysis, AnalysisFilter, Feedback};
pub use api_token::{ApiToken, NewApiToken};
pub use audit::{AuditCheck, AuditEntry, NewAudit};
pub use channel::Channel;
pub use cluster::{Cluster, ClusterFilter, ClusterHit};
pub use comment::Comment;
pub use counts::IntegrationCount;
pub use delivery::{
    Accepted, Delivery, DeliveryContent, DeliveryCounts, DeliveryFilter, DeliveryStatus, NewDelivery,
};
pub use error::{Error, ErrorKind, Result};
pub use hook::{Hook, HookChange, HookWithSecrets, NewHook};
pub use incident::{ANNOUNCE_INCIDENT, Incident, NewIncident};
pub use integration::{Integration, IntegrationChange, NewIntegration, RefreshLease};
pub use maintenance::{TableCount, Unopened, Verification, backup_sqlite};
pub use member::Member;
pub use notification::Notification;
pub use oauth_state::OauthState;
pub use page::{Page, PageRequest};
pub use repository::{NewRepository, Repository, RepositoryFilter};
pub use retention::{Pruned, Retention};
pub use seal::KeyRing;
pub use secrets::SecretOwner;
pub use session::{SESSION_IDLE_MS, SESSION_LIFE_MS, Session, SignedIn};
pub use stats::{CauseCount, DayCount, FinishedRun, RepositoryCount, Span, Totals};
pub use store::{Engine, Store, new_id};
pub use task::{ClaimedTask, DEFAULT_MAX_ATTEMPTS, NewTask, Outcome, Task, TaskCounts};
pub use write::Write;
