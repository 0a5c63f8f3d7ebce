#![doc = include_str!("../README.md")]

mod api;
mod client;
mod dialect;
mod egress_guard;
mod oauth_code;
mod paginate;
mod response;
mod stream;
mod token_cache;

pub use api::{ApiClient, Request};
pub use client::{HttpClient, HttpClientBuilder};
pub use dialect::{Answer, Dialect, RateLimit, default_classify};
pub use egress_guard::{InvalidNetwork, IpNetwork, Resolve};
pub use oauth_code::CodeGrant;
pub use paginate::{Next, next_link, pages};
pub use response::Response;
pub use stream::StreamResponse;
pub use token_cache::{Lease, RefreshingCredential, StoredTokens, TokenStorage};
