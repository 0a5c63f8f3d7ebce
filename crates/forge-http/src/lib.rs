#![doc = include_str!("../README.md")]

mod ahead;
mod api;
mod client;
mod dialect;
mod egress_guard;
mod oauth_code;
mod paginate;
mod response;
mod stream;
mod token_cache;

pub use ahead::{Ahead, MOST_AHEAD, side_by_side};
pub use api::{ApiClient, Request};
pub use client::{HttpClient, HttpClientBuilder};
pub use dialect::{Answer, Dialect, RateLimit, default_classify};
pub use egress_guard::{InvalidNetwork, IpNetwork, Resolve};
pub use oauth_code::CodeGrant;
pub use paginate::{Next, each_once, next_link, numbered_link, pages};
pub use response::Response;
pub use stream::StreamResponse;
pub use token_cache::{Lease, RefreshingCredential, StoredTokens, TokenStorage};
