#![doc = include_str!("../README.md")]

mod api;
mod client;
mod dialect;
mod egress_guard;
mod paginate;
mod stream;

pub use api::{ApiClient, Request, Response};
pub use client::{HttpClient, HttpClientBuilder};
pub use dialect::{Answer, Dialect, RateLimit, default_classify};
pub use egress_guard::{InvalidNetwork, IpNetwork, Resolve};
pub use paginate::{Next, next_link, pages};
pub use stream::StreamResponse;
