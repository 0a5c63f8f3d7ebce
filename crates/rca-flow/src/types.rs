//! What goes in and out: requests refuse unknown fields, answers are exactly the objects of the HTTP API.

use forge_core::ForgeKind;
use rca_engine::Report;
use rca_store::PageRequest;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{FlowError, Result};

mod analysis;
mod app;
mod channel;
mod integration;
mod product;
mod repository;
mod run;
mod settings;
mod token;
#[cfg(feature = "openapi")]
pub mod words;

pub use analysis::{
    AnalyseRequest, Analysed, AnalysedJob, AnalysisFilter, AnalysisView, DeliveryAnswer, DeliveryView,
    FeedbackView, IngestAnswer, IngestRequest, IntroducedBy,
};
pub use app::{AppRequest, AppStartRequest, AppStarted, Id};
pub use channel::{
    ChannelFilters, ChannelMade, ChannelPatch, ChannelRequest, ChannelView, NotificationView, TelegramLink,
};
pub use integration::{
    AuthorizeRequest, Backfill, BackfillChange, Can, Credential, Disconnected, FeedbackChange, FeedbackPatch,
    FeedbackPolicy, Health, HealthStatus, IntegrationPatch, IntegrationView, LeftoverHook, Mode, Perimeter,
    PerimeterMode, Problem, ReplaceTokenRequest, Scopes, StartRequest, Started, TokenRequest, WebhookOnly,
    WebhookOnlyRequest,
};
pub use product::{
    AuditQuery, AuditView, CauseView, ClusterQuery, ClusterView, IncidentView, ListQuery, MemberRequest,
    MemberView, Overview, Percentiles, Point, RepositoryStatsView, RoleRequest, StatsQuery, TopQuery,
};
pub use repository::{
    BackfillItem, HookView, MonitorItem, MonitorOutcome, MonitorRequest, OperationItem, OperationQuery,
    OperationView, RepositoryFilter, RepositoryView, WebhookSecret,
};
pub use run::{EvidencePlace, ReportChange, Rerun, RunCause, RunJob, RunReport};
pub use settings::{
    Digest, LogSourceChange, LogSourceKind, LogSourceView, RateCaps, RetentionDays, SettingsChange,
    SettingsView, TimeZone,
};
pub use token::{NewTokenRequest, TokenMade, TokenView};

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct List<T> {
    /// The items.
    pub items: Vec<T>,
    /// Give this as `cursor` to read on; null at the end.
    pub next_cursor: Option<String>,
}

/// The part of a list that was asked for.
pub(crate) fn page(limit: Option<u32>, cursor: Option<&str>) -> Result<PageRequest> {
    let limit = limit.unwrap_or(100);
    if !(1..=500).contains(&limit) {
        return Err(FlowError::invalid_field("limit", "is not between 1 and 500"));
    }
    if cursor.is_some_and(|cursor| cursor.len() > 500 || !cursor.bytes().all(|byte| byte.is_ascii_graphic()))
    {
        return Err(FlowError::invalid_field("cursor", "is not one that a list has given"));
    }
    Ok(PageRequest { limit, cursor: cursor.map(str::to_owned) })
}

/// A time in RFC 3339 from milliseconds since 1970.
pub(crate) fn time(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds).map(|time| time.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(super::time(0), "1970-01-01T00:00:00Z");
    }
}
