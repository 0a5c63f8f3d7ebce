#![doc = include_str!("../README.md")]

mod assets;
mod error;
mod escape;
mod fields;
mod frame;
mod locale;
mod pages;
mod policy;
mod said;
mod session;

use axum::{Router, middleware};
use rca_flow::{Caller, Flow};

pub use error::{not_found_page, too_many_page};
pub use fields::is_from_our_page;
pub use pages::{after_connecting, connecting_session};
pub use session::{SESSION_COOKIE, csrf_of, session_of};

/// What every page can reach.
#[derive(Debug, Clone)]
pub(crate) struct Dashboard {
    pub(crate) flow: Flow,
    pub(crate) numbers: pages::Numbers,
}

impl Dashboard {
    pub(crate) fn new(flow: Flow) -> Self {
        Self { flow, numbers: pages::Numbers::default() }
    }

    /// Whether people reach us encrypted, so that cookies can insist on it.
    pub(crate) fn is_https(&self) -> bool {
        self.flow.config().public_url.scheme() == "https"
    }
}

/// All pages over the use cases of `flow`, to be merged into the server's router.
///
/// Must be called inside a Tokio runtime: the numbers of the overview are counted at once, beside the first requests.
///
/// Every answer carries its own content security policy; nothing here answers under `/v1`.
pub fn router(flow: Flow) -> Router {
    let dashboard = Dashboard::new(flow);
    let workspace = dashboard.flow.store().default_workspace().to_owned();
    dashboard.numbers.prepare(&dashboard.flow, Caller::new(workspace, "overview"));
    pages::router()
        .layer(middleware::from_fn_with_state(dashboard.clone(), error::render))
        .layer(middleware::from_fn(policy::add))
        .with_state(dashboard)
}
