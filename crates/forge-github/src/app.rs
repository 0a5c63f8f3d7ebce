//! GitHub Apps: their signature, the tokens of an installation, and making one from a manifest.

mod installation;
mod jwt;
mod setup;

pub(crate) use installation::InstallationTokens;
pub(crate) use setup::ManifestSetup;
