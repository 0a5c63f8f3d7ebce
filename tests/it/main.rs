//! End-to-end tests: the real server over real HTTP, against the fake forges.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]
#![expect(clippy::indexing_slicing, reason = "reading JSON answers")]
#![expect(clippy::disallowed_methods, reason = "tests look at the secrets that they made")]

mod abuse;
mod api;
mod app;
mod bad_input;
mod browser;
mod channels;
mod connect;
mod described;
mod discovery;
mod documents;
mod down;
mod echo;
mod five_forges;
mod forge_limits;
mod health;
mod ingest;
mod introduced_by;
mod language_model;
mod many_jobs;
mod memory;
mod perimeter;
mod polled_green;
mod product;
mod quotas;
mod readiness;
mod replicas;
mod run_report;
mod secrets;
mod settings;
mod snippets;
mod support;
mod tenants;
mod web;
mod web_connect;
mod web_everything;
mod web_manage;
mod web_numbers;
mod web_report;
mod web_russian;
mod web_safety;
mod web_secure;
mod web_sign_in;
mod web_states;
mod webhook_to_comment;
