#![doc = include_str!("../README.md")]

pub mod capabilities;
pub mod client;
pub mod credential;
pub mod error;
mod kind;
pub mod model;
pub mod oauth;
pub mod provider;
pub mod secret;
pub mod url;
pub mod webhook;

pub use capabilities::Capabilities;
pub use client::{
    BoxStream, Ci, EnsureHook, Ensured, Feedback, ForgeClient, ForgeClientExt, Hooks, LogOptions, LogStream,
    Repos,
};
pub use credential::{Credential, CredentialKind, CredentialProvider, StaticCredential};
pub use error::{Error, ErrorKind, Result, Retry};
pub use kind::{ForgeKind, UnknownForge};
pub use oauth::{CsrfState, OAuthApp, OAuthFlow, Pkce, TokenSet};
pub use provider::{Instance, Provider};
pub use webhook::{Delivery, Proof, Secrets, Verified, VerifyError, WebhookReceiver};
