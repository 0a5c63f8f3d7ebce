//! People, tokens, and what was done: for admins.

mod audit;
mod members;
mod tokens;

use axum::Router;

use crate::Dashboard;

pub(super) use self::members::is_mendable;

pub(super) fn router() -> Router<Dashboard> {
    Router::new().merge(members::router()).merge(tokens::router()).merge(audit::router())
}
