#![doc = include_str!("../README.md")]

pub mod app;
pub mod capabilities;
pub mod client;
pub mod credential;
pub mod error;
pub mod facts;
mod kind;
pub mod model;
pub mod oauth;
pub mod provider;
pub mod secret;
pub mod text;
pub mod url;
pub mod webhook;

pub use app::{AppAddresses, AppKey, AppManifest, AppSetup, CreatedApp};
pub use capabilities::Capabilities;
pub use client::{
    BoxStream, Ci, EnsureHook, Ensured, Feedback, ForgeClient, ForgeClientExt, Hooks, LogOptions, LogStream,
    Repos, ensure_hook,
};
pub use credential::{Credential, CredentialKind, CredentialProvider, StaticCredential};
pub use error::{Error, ErrorKind, Result, Retry};
pub use facts::Facts;
pub use kind::{ForgeKind, UnknownForge};
pub use oauth::{CsrfState, OAuthApp, OAuthFlow, Pkce, TokenSet};
pub use provider::{Instance, Provider};
pub use webhook::{Delivery, Proof, Secrets, Verified, VerifyError, WebhookReceiver};
