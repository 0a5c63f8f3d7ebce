//! The signed statement by which an app proves itself (GitHub docs, apps/creating-github-apps/
//! authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app).

#![expect(clippy::disallowed_methods, reason = "the private key signs here")]

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use forge_core::{
    AppKey, Credential, CredentialKind, CredentialProvider, Error, ErrorKind, ForgeKind, Result,
};
use jiff::Timestamp;
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use secrecy::{ExposeSecret as _, SecretString, zeroize::Zeroizing};
use serde_json::json;

/// GitHub's clock may be behind ours; its documents advise a minute.
const ISSUED_SECONDS_AGO: i64 = 60;
/// GitHub refuses more than ten minutes, by its own clock.
const VALID_SECONDS: i64 = 9 * 60;

const KEY_HINT: &str = "give the whole file that GitHub handed out, from BEGIN RSA PRIVATE KEY (or BEGIN PRIVATE KEY) to its END line";

/// Signs as the app, anew for every request.
pub(crate) struct AppSigner {
    issuer: String,
    key: RsaKeyPair,
    random: SystemRandom,
}

impl AppSigner {
    pub(crate) fn new(key: &AppKey) -> Result<Self> {
        let issuer = key.app_id.trim().to_owned();
        if issuer.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "the app's id is empty")
                .with_forge(ForgeKind::GITHUB)
                .with_hint("give the app id or the client id of the app's settings page"));
        }
        Ok(Self { issuer, key: rsa_key(key.private_key.expose_secret())?, random: SystemRandom::new() })
    }

    fn token(&self, now: Timestamp) -> Result<SecretString> {
        let claims = json!({
            "iat": now.as_second() - ISSUED_SECONDS_AGO,
            "exp": now.as_second() + VALID_SECONDS,
            "iss": self.issuer,
        });
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({ "alg": "RS256", "typ": "JWT" })), part(&claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &self.random, signed.as_bytes(), &mut signature).map_err(|_| {
            Error::new(ErrorKind::InvalidInput, "the app's private key cannot sign")
                .with_forge(ForgeKind::GITHUB)
                .with_hint("generate a new private key on the app's settings page")
        })?;
        Ok(SecretString::from(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }
}

#[async_trait]
impl CredentialProvider for AppSigner {
    async fn credential(&self) -> Result<Arc<Credential>> {
        let token = self.token(Timestamp::now())?;
        Ok(Arc::new(Credential::new(CredentialKind::AccessToken, token)))
    }

    async fn refresh(&self, _rejected: &Credential) -> Result<Arc<Credential>> {
        Err(Error::new(ErrorKind::Unauthorized, "GitHub does not accept the app's signature (status 401)")
            .with_forge(ForgeKind::GITHUB)
            .with_status(401)
            .with_hint(
                "check the app's id, that the private key is still listed on its settings page, and this \
                 machine's clock",
            ))
    }
}

impl fmt::Debug for AppSigner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AppSigner").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// The key in PKCS#1 (as GitHub hands it out) or PKCS#8 (as key stores convert it).
fn rsa_key(pem: &str) -> Result<RsaKeyPair> {
    let invalid = |problem: &str| {
        Error::new(ErrorKind::InvalidInput, format!("the app's private key {problem}"))
            .with_forge(ForgeKind::GITHUB)
            .with_hint(KEY_HINT)
    };
    // Environment variables and JSON carry line ends as `\n`.
    let pem = Zeroizing::new(pem.replace("\\n", "\n"));
    let (_, rest) = pem.split_once("-----BEGIN ").ok_or_else(|| invalid("is not PEM"))?;
    let (label, rest) = rest.split_once("-----").ok_or_else(|| invalid("is not PEM"))?;
    let (body, _) = rest.split_once("-----END ").ok_or_else(|| invalid("ends too early"))?;
    if body.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(invalid("is protected by a pass phrase"));
    }
    let body: Zeroizing<String> = Zeroizing::new(body.split_whitespace().collect());
    let der = Zeroizing::new(STANDARD.decode(body.as_bytes()).map_err(|_| invalid("is not PEM"))?);
    let key = match label {
        "RSA PRIVATE KEY" => RsaKeyPair::from_der(&der),
        "PRIVATE KEY" => RsaKeyPair::from_pkcs8(&der),
        "ENCRYPTED PRIVATE KEY" => return Err(invalid("is protected by a pass phrase")),
        _ => return Err(invalid("is of another kind")),
    };
    key.map_err(|_| invalid("is no RSA key of 2048 bits or more"))
}
