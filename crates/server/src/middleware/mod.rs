//! What happens to every request.

pub mod auth;
pub mod headers;
pub mod log;
pub mod quota;
