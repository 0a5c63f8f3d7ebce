//! The token families that are known by their prefix.

/// The bytes that the body of a token is made of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Alphabet {
    /// Letters and digits.
    Alphanumeric,
    /// Letters, digits, `_` and `-`.
    Word,
    /// `Word` and `.`.
    Dotted,
    /// Capital letters and digits.
    Capital,
    /// Hexadecimal digits.
    Hex,
    /// Standard base64, its URL-safe variant, padding and `.`.
    Base64,
    /// A path of a URL.
    Path,
}

impl Alphabet {
    pub(super) fn has(self, byte: u8) -> bool {
        match self {
            Self::Alphanumeric => byte.is_ascii_alphanumeric(),
            Self::Word => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Self::Dotted => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'),
            Self::Capital => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Hex => byte.is_ascii_hexdigit(),
            Self::Base64 => {
                byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'/' | b'=' | b'.')
            }
            Self::Path => {
                byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'/' | b'.' | b'@' | b'%')
            }
        }
    }
}

/// One family: `prefix` and at least `least` bytes of `alphabet`.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) kind: &'static str,
    pub(super) prefix: &'static str,
    pub(super) alphabet: Alphabet,
    pub(super) least: usize,
    /// A word may not run into the prefix: it is short enough to occur inside one.
    pub(super) bounded: bool,
    /// The body has a digit and a letter that tells it from a name written with dashes.
    pub(super) mixed: bool,
}

const fn strong(kind: &'static str, prefix: &'static str, alphabet: Alphabet, least: usize) -> Family {
    Family { kind, prefix, alphabet, least, bounded: false, mixed: false }
}

const fn short(kind: &'static str, prefix: &'static str, alphabet: Alphabet, least: usize) -> Family {
    Family { kind, prefix, alphabet, least, bounded: true, mixed: false }
}

const fn weak(kind: &'static str, prefix: &'static str, alphabet: Alphabet, least: usize) -> Family {
    Family { kind, prefix, alphabet, least, bounded: true, mixed: true }
}

use Alphabet::{Alphanumeric, Base64, Capital, Dotted, Hex, Path, Word};

/// Every family. A token longer than its family asks for is taken whole.
pub(super) const FAMILIES: &[Family] = &[
    strong("github-token", "ghp_", Alphanumeric, 36),
    strong("github-token", "gho_", Alphanumeric, 36),
    strong("github-token", "ghu_", Alphanumeric, 36),
    // Installation tokens come as 36 characters and, newer, as long ones with the dots of a JWT.
    strong("github-token", "ghs_", Dotted, 36),
    strong("github-token", "ghr_", Alphanumeric, 36),
    strong("github-token", "github_pat_", Word, 22),
    strong("gitlab-token", "glpat-", Dotted, 20),
    strong("gitlab-token", "gloas-", Dotted, 20),
    strong("gitlab-token", "glcbt-", Dotted, 20),
    strong("gitlab-token", "glrt-", Dotted, 20),
    strong("gitlab-token", "glrtr-", Dotted, 20),
    strong("gitlab-token", "gldt-", Dotted, 20),
    strong("gitlab-token", "glptt-", Dotted, 20),
    strong("gitlab-token", "glft-", Dotted, 20),
    strong("gitlab-token", "glimt-", Dotted, 20),
    strong("gitlab-token", "glagent-", Dotted, 20),
    strong("gitlab-token", "glsoat-", Dotted, 20),
    strong("gitlab-token", "glffct-", Dotted, 20),
    short("gitlab-token", "GR1348941", Word, 20),
    strong("webhook-secret", "whsec_", Base64, 16),
    short("atlassian-token", "ATATT3", Base64, 20),
    short("atlassian-token", "ATCTT3", Base64, 20),
    weak("atlassian-token", "ATAT", Base64, 32),
    weak("atlassian-token", "ATCT", Base64, 32),
    weak("atlassian-token", "ATBB", Alphanumeric, 24),
    strong("bitbucket-token", "BBDC-", Base64, 20),
    short("forge-rca-token", "frca_", Word, 16),
    short("aws-key", "AKIA", Capital, 16),
    short("aws-key", "ASIA", Capital, 16),
    short("aws-key", "ABIA", Capital, 16),
    short("aws-key", "ACCA", Capital, 16),
    short("gcp-key", "AIza", Word, 35),
    short("gcp-token", "ya29.", Dotted, 20),
    strong("gcp-token", "GOCSPX-", Word, 20),
    weak("azure-secret", "Q~", Dotted, 31),
    strong("slack-token", "xoxa-", Word, 10),
    strong("slack-token", "xoxb-", Word, 10),
    strong("slack-token", "xoxc-", Word, 10),
    strong("slack-token", "xoxd-", Base64, 10),
    strong("slack-token", "xoxe-", Word, 10),
    strong("slack-token", "xoxe.", Dotted, 10),
    strong("slack-token", "xoxo-", Word, 10),
    strong("slack-token", "xoxp-", Word, 10),
    strong("slack-token", "xoxr-", Word, 10),
    strong("slack-token", "xoxs-", Word, 10),
    weak("slack-token", "xapp-", Word, 20),
    strong("slack-webhook", "hooks.slack.com/services/", Path, 12),
    strong("slack-webhook", "hooks.slack.com/workflows/", Path, 12),
    strong("slack-webhook", "hooks.slack.com/triggers/", Path, 12),
    strong("discord-webhook", "discord.com/api/webhooks/", Path, 20),
    strong("discord-webhook", "discordapp.com/api/webhooks/", Path, 20),
    strong("teams-webhook", ".webhook.office.com/webhookb2/", Path, 20),
    strong("stripe-key", "sk_live_", Alphanumeric, 10),
    strong("stripe-key", "sk_test_", Alphanumeric, 10),
    strong("stripe-key", "rk_live_", Alphanumeric, 10),
    strong("stripe-key", "rk_test_", Alphanumeric, 10),
    short("sendgrid-key", "SG.", Dotted, 40),
    weak("mailgun-key", "key-", Hex, 32),
    short("npm-token", "npm_", Alphanumeric, 30),
    strong("pypi-token", "pypi-AgE", Word, 20),
    strong("rubygems-key", "rubygems_", Hex, 40),
    strong("docker-token", "dckr_pat_", Word, 20),
    strong("docker-token", "dckr_oat_", Word, 20),
    short("huggingface-token", "hf_", Alphanumeric, 30),
    weak("openai-key", "sk-", Word, 20),
    strong("anthropic-key", "sk-ant-", Word, 16),
    weak("groq-key", "gsk_", Alphanumeric, 32),
    weak("replicate-key", "r8_", Alphanumeric, 30),
    weak("xai-key", "xai-", Alphanumeric, 40),
    short("sentry-token", "sntrys_", Base64, 20),
    short("sentry-token", "sntryu_", Alphanumeric, 20),
    weak("vault-token", "hvs.", Word, 20),
    weak("vault-token", "hvb.", Word, 20),
    weak("vault-token", "hvr.", Word, 20),
    strong("digitalocean-token", "dop_v1_", Hex, 32),
    strong("digitalocean-token", "doo_v1_", Hex, 32),
    strong("digitalocean-token", "dor_v1_", Hex, 32),
    short("heroku-key", "HRKU-", Word, 20),
    short("doppler-token", "dp.pt.", Alphanumeric, 20),
    short("doppler-token", "dp.ct.", Alphanumeric, 20),
    short("doppler-token", "dp.sa.", Alphanumeric, 20),
    short("doppler-token", "dp.st.", Dotted, 20),
    short("doppler-token", "dp.scim.", Alphanumeric, 20),
    short("doppler-token", "dp.audit.", Alphanumeric, 20),
    short("databricks-token", "dapi", Hex, 32),
    short("newrelic-key", "NRAK-", Alphanumeric, 20),
    short("newrelic-key", "NRII-", Word, 20),
    short("newrelic-key", "NRRA-", Word, 20),
    short("newrelic-key", "NRJS-", Word, 15),
    strong("grafana-token", "glsa_", Word, 20),
    weak("grafana-token", "glc_", Base64, 30),
    strong("shopify-token", "shpat_", Hex, 20),
    strong("shopify-token", "shpss_", Hex, 20),
    strong("shopify-token", "shpca_", Hex, 20),
    strong("shopify-token", "shppa_", Hex, 20),
    strong("square-token", "sq0atp-", Word, 20),
    strong("square-token", "sq0csp-", Word, 20),
    strong("linear-key", "lin_api_", Alphanumeric, 20),
    weak("notion-token", "ntn_", Alphanumeric, 30),
    strong("figma-token", "figd_", Word, 20),
    strong("postman-key", "PMAK-", Word, 20),
    weak("pulumi-token", "pul-", Hex, 32),
    strong("terraform-token", ".atlasv1.", Word, 40),
    weak("supabase-token", "sbp_", Hex, 32),
    weak("netlify-token", "nfp_", Alphanumeric, 30),
    strong("tailscale-key", "tskey-", Word, 16),
    strong("circleci-token", "CCIPAT_", Word, 20),
    strong("circleci-token", "CCIPRJ_", Word, 20),
    weak("sonar-token", "sqp_", Hex, 32),
    weak("sonar-token", "squ_", Hex, 32),
    weak("sonar-token", "sqa_", Hex, 32),
    strong("dynatrace-token", "dt0c01.", Dotted, 24),
    strong("planetscale-token", "pscale_tkn_", Dotted, 20),
    strong("planetscale-token", "pscale_pw_", Dotted, 20),
    short("artifactory-key", "AKCp", Alphanumeric, 50),
    weak("alibaba-key", "LTAI", Alphanumeric, 16),
    strong("age-key", "AGE-SECRET-KEY-1", Alphanumeric, 40),
    strong("flyio-token", "fm2_", Base64, 40),
    strong("buildkite-token", "bkua_", Alphanumeric, 30),
];
