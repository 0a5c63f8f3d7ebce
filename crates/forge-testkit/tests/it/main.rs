//! Tests of the fakes, through HTTP and the public interface.
#![expect(clippy::disallowed_methods, reason = "tests look at the secrets that they made")]

mod bitbucket_cloud;
mod bitbucket_dc;
mod conformance;
mod deliveries;
mod faults;
mod gitflic;
mod github;
mod gitlab;
mod http;
mod logs;
