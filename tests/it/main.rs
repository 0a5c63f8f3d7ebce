//! End-to-end tests: real server, real HTTP, fake forges.
