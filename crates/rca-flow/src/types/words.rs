//! The words that fields take which are texts for the code, as the description of the API lists them.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Type, schema::Schema},
};

macro_rules! words {
    ($($(#[$doc:meta])+ $name:ident: $($word:literal)+;)+) => {$(
        $(#[$doc])+
        #[derive(Debug)]
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new().schema_type(Type::String).enum_values(Some([$($word),+])).build().into()
            }
        }

        impl ToSchema for $name {}
    )+};
}

words! {
    /// A forge.
    ForgeWord: "gitlab" "github" "bitbucket-cloud" "bitbucket-dc" "gitflic";
    /// What a person or token may do at most.
    RoleWord: "owner" "admin" "member" "viewer";
    /// What a token may do.
    ScopeWord: "ingest" "read" "write" "admin";
    /// How bad a failure is.
    SeverityWord: "low" "medium" "high";
    /// How far an analysis is.
    AnalysisStateWord: "queued" "running" "done" "failed" "no_log";
    /// What became of a delivery.
    DeliveryStateWord: "pending" "done" "ignored" "dead";
    /// How a cluster stands.
    ClusterStateWord: "active" "acknowledged" "resolved";
    /// What a token of Bitbucket Data Center is for.
    LevelWord: "instance" "project" "repository";
    /// Where people are told.
    ChannelKindWord: "slack" "telegram" "matrix" "email" "webhook";
}
