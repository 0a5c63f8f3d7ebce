//! Takes secrets out of a log before anything is stored or sent.
//!
//! [`Redactor`] reads a log in chunks of any size and writes it with every secret replaced by
//! `[REDACTED:<kind>]`. Line ends are kept one to one, so line numbers stay true. Memory is bounded
//! (about 200 KiB, a few MiB on lines made of nothing but beginnings of secrets) whatever the length of
//! the log or of a line, and time is linear.
//!
//! ```
//! use rca_engine::redact::Redactor;
//!
//! let mut redactor = Redactor::new().with_known(["correct horse"]);
//! let mut out = Vec::new();
//! redactor.push(b"login with password=abc123\nand correct", &mut out);
//! redactor.push(b" horse\n", &mut out);
//! let redactions = redactor.finish(&mut out);
//! assert_eq!(out, b"login with password=[REDACTED:password]\nand [REDACTED:known-secret]\n");
//! assert_eq!(redactions.count, 2);
//! ```
//!
//! # What is found
//!
//! | family | found by |
//! |---|---|
//! | secrets given with [`Redactor::with_known`] | raw, base64 (three alignments, also URL-safe), percent-encoded, JSON-escaped, hex; pieces of long ones |
//! | GitHub, GitLab, Bitbucket and Atlassian tokens, webhook secrets, our own tokens | prefix and length |
//! | AWS, GCP, Azure, DigitalOcean, Heroku, Alibaba, Fly.io keys | prefix and length; AWS, Azure and Datadog secrets by name |
//! | Slack, Discord, Teams webhooks and tokens, Telegram bot tokens | prefix or shape |
//! | Stripe, Square, Shopify, Twilio, `SendGrid`, Mailgun | prefix and length |
//! | npm, `PyPI`, `RubyGems`, NuGet, Docker Hub, Artifactory, the Rust package registry | prefix and length |
//! | OpenAI, Anthropic, Hugging Face, Groq, xAI, Replicate | prefix and length |
//! | Vault, Doppler, Databricks, New Relic, Grafana, Sentry, Terraform, Pulumi, Sonar, Tailscale, `CircleCI`, Buildkite and others | prefix and length |
//! | JSON web tokens | shape |
//! | PEM, OpenSSH and PGP private keys | BEGIN to END, also behind timestamps or stream names, on one line, or in base64 |
//! | `scheme://user:password@host`, also percent-encoded | shape |
//! | `Authorization`, `Proxy-Authorization`, `Cookie`, `Set-Cookie`, `Bearer x`, `curl -u` | name |
//! | `password=`, `--token x`, `"secret": "..."`, `API_KEY: ...`, `<password>`, `.netrc`, `.npmrc`, connection strings | name of the value |
//! | tokens without a known form | chance: 32 to 160 mixed characters; checksums, identifiers and paths are let through |
//!
//! Tokens are also found with colour codes, carriage returns or NULs inside, wrapped over two lines,
//! and, for the families with a prefix, in base64. What a CI system has masked (`***`, `[MASKED]`)
//! and variables that are not expanded (`$TOKEN`) stay and are not counted.
//!
//! # Limits
//!
//! Known secrets of fewer than four bytes are not looked for. A line is looked at in windows of
//! 64 KiB with 16 KiB in common; a token that is longer is dropped to its end.

mod families;
mod known;
mod lines;
mod names;
mod scan;
mod skim;
mod view;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use known::Known;
use lines::Lines;
use scan::{Scope, detect};
use view::View;

/// How many secrets were taken out, and of which kinds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redactions {
    /// All of them. A key block or a wrapped token counts once.
    pub count: u64,
    /// By kind, as it stands in `[REDACTED:<kind>]`.
    pub kinds: BTreeMap<String, u64>,
}

impl Redactions {
    fn add(&mut self, kind: &str) {
        self.count += 1;
        match self.kinds.get_mut(kind) {
            Some(count) => *count += 1,
            None => {
                self.kinds.insert(kind.to_owned(), 1);
            }
        }
    }
}

/// Replaces secrets in a stream of log text. See the [module](self) for what it finds.
#[derive(Clone)]
pub struct Redactor {
    known: Option<Arc<Known>>,
    lines: Lines,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What it knows and holds may be secret.
        f.debug_struct("Redactor").field("has_known", &self.known.is_some()).finish_non_exhaustive()
    }
}

impl Default for Redactor {
    fn default() -> Self {
        Self::new()
    }
}

impl Redactor {
    /// A redactor of all families, for one log.
    #[must_use]
    pub fn new() -> Self {
        Self { known: None, lines: Lines::default() }
    }

    /// Also takes out exactly these secrets, in every usual encoding. A later call replaces the
    /// secrets of an earlier one. Secrets of fewer than four bytes are not looked for.
    #[must_use]
    pub fn with_known<'a>(mut self, secrets: impl IntoIterator<Item = &'a str>) -> Self {
        self.known = Known::of(secrets).map(Arc::new);
        self
    }

    /// Reads the next chunk and appends what is settled to `out`. At most one line and one window
    /// of a long line are held back.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        self.lines.push(chunk, self.known.as_deref(), out);
    }

    /// Appends the rest to `out` and says what was taken out. The redactor is then as new.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Redactions {
        self.lines.finish(self.known.as_deref(), out)
    }

    /// Redacts one line by itself, without what the lines around it would tell.
    #[must_use]
    pub fn redact_line<'a>(&self, line: &'a str) -> Cow<'a, str> {
        if line.contains('\n') || line.len() > lines::WINDOW {
            return Cow::Owned(self.redact_text(line).0);
        }
        let view = View::of(line.as_bytes());
        let spans = detect(&view, self.known.as_deref(), Scope::Line);
        if spans.is_empty() && !view.is_edited() {
            return Cow::Borrowed(line);
        }
        Cow::Owned(self.redact_text(line).0)
    }

    /// Redacts a whole text, apart from what was pushed.
    #[must_use]
    pub fn redact_text(&self, text: &str) -> (String, Redactions) {
        let mut lines = Lines::default();
        let mut out = Vec::with_capacity(text.len());
        lines.push(text.as_bytes(), self.known.as_deref(), &mut out);
        let redactions = lines.finish(self.known.as_deref(), &mut out);
        let text = String::from_utf8(out)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        (text, redactions)
    }
}
