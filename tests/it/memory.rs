//! What people tell the product to do: rules, retention, caps; and what it remembers of passing logs.

mod baselines;
mod issues;
mod rate_caps;
mod reuse;
mod rules;
mod scenarios;
mod wishes;

use crate::support::TestServer;

/// The server's database.
fn database(server: &TestServer) -> String {
    format!("sqlite://{}", server.folder.path().join("forge-rca.db").display())
}

async fn execute(server: &TestServer, statement: &str) {
    rca_store::testing::execute(&database(server), statement).await;
}
