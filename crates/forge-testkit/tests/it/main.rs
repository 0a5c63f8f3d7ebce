//! Tests of the fakes, through HTTP and the public interface.

mod conformance;
mod deliveries;
mod faults;
mod github;
mod gitlab;
mod http;
mod logs;
