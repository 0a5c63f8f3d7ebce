use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Which forge product is spoken to.
///
/// The five known forges are constants; an adapter for another product makes its own with [`ForgeKind::custom`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForgeKind(&'static str);

impl ForgeKind {
    /// GitLab: gitlab.com, Self-Managed, Dedicated.
    pub const GITLAB: Self = Self("gitlab");
    /// GitHub: github.com, GHE.com, Enterprise Server.
    pub const GITHUB: Self = Self("github");
    /// Bitbucket Cloud: bitbucket.org.
    pub const BITBUCKET_CLOUD: Self = Self("bitbucket-cloud");
    /// Bitbucket Data Center, formerly Server.
    pub const BITBUCKET_DC: Self = Self("bitbucket-dc");
    /// GitFlic: gitflic.ru and self-hosted.
    pub const GITFLIC: Self = Self("gitflic");

    /// The five forges that have an adapter in this repository.
    pub const ALL: [Self; 5] =
        [Self::GITLAB, Self::GITHUB, Self::BITBUCKET_CLOUD, Self::BITBUCKET_DC, Self::GITFLIC];

    /// A forge that is not among [`ForgeKind::ALL`]; `id` is a short lower-case name such as `gitea`.
    #[must_use]
    pub const fn custom(id: &'static str) -> Self {
        Self(id)
    }

    /// The id that stands for this forge in URLs, settings and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// The product's name as its makers write it; a custom forge's id.
    #[must_use]
    pub fn display_name(self) -> &'static str {
        match self {
            Self::GITLAB => "GitLab",
            Self::GITHUB => "GitHub",
            Self::BITBUCKET_CLOUD => "Bitbucket Cloud",
            Self::BITBUCKET_DC => "Bitbucket Data Center",
            Self::GITFLIC => "GitFlic",
            Self(id) => id,
        }
    }
}

impl fmt::Display for ForgeKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

impl fmt::Debug for ForgeKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

/// The text is not the id of a known forge.
#[derive(Debug, Clone, thiserror::Error)]
#[error("unknown forge '{0}': use one of gitlab, github, bitbucket-cloud, bitbucket-dc, gitflic")]
pub struct UnknownForge(String);

impl FromStr for ForgeKind {
    type Err = UnknownForge;

    fn from_str(text: &str) -> Result<Self, UnknownForge> {
        Self::ALL.into_iter().find(|kind| kind.0 == text).ok_or_else(|| UnknownForge(text.to_owned()))
    }
}

impl Serialize for ForgeKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for ForgeKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
