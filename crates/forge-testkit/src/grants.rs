//! OAuth applications, codes and grants: the rules that all forges share.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::{
    spec::TokenKind,
    world::{Token, World, random_hex, shift},
};

#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) redirects: Vec<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) requires_pkce: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Code {
    pub(crate) code: String,
    pub(crate) client_id: String,
    pub(crate) redirect: String,
    pub(crate) challenge: Option<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) user_id: u64,
    pub(crate) expires_at: Timestamp,
    pub(crate) is_used: bool,
}

/// One user's consent to one application, with every token it ever gave.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    pub(crate) client_id: String,
    pub(crate) user_id: u64,
    pub(crate) scopes: Vec<String>,
    pub(crate) redirect: String,
    pub(crate) access_tokens: Vec<String>,
    pub(crate) refresh_token: Option<String>,
    pub(crate) spent: Vec<String>,
    pub(crate) is_revoked: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Grants {
    pub(crate) apps: Vec<App>,
    pub(crate) codes: Vec<Code>,
    pub(crate) grants: Vec<Grant>,
    /// Who says yes at the authorize page; nobody means that the user refuses.
    pub(crate) approver: Option<u64>,
    /// Life of access tokens; `None` means that they do not expire and there is no refresh token.
    pub(crate) lifetime: Option<Duration>,
    pub(crate) refreshes: usize,
    pub(crate) invalid_grants: usize,
}

/// What a token endpoint gives.
#[derive(Debug, Clone)]
pub(crate) struct Issued {
    pub(crate) access_token: String,
    pub(crate) refresh_token: Option<String>,
    pub(crate) expires_in: Option<u64>,
    pub(crate) scopes: Vec<String>,
    pub(crate) created_at: Timestamp,
}

/// Why a token endpoint gives nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Client,
    Grant,
    Redirect,
}

/// What the authorize page was asked.
#[derive(Debug)]
pub(crate) struct Authorize<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) redirect: &'a str,
    pub(crate) scopes: Vec<String>,
    pub(crate) challenge: Option<&'a str>,
}

impl World {
    pub(crate) fn app(&self, client_id: &str, client_secret: &str) -> Option<&App> {
        let app = self.grants.apps.iter().find(|app| app.client_id == client_id)?;
        (app.client_secret == client_secret).then_some(app)
    }

    pub(crate) fn make_code(&mut self, asked: &Authorize<'_>, user_id: u64) -> String {
        let code = random_hex(16);
        self.grants.codes.push(Code {
            code: code.clone(),
            client_id: asked.client_id.to_owned(),
            redirect: asked.redirect.to_owned(),
            challenge: asked.challenge.map(str::to_owned),
            scopes: asked.scopes.clone(),
            user_id,
            expires_at: shift(self.now(), 600),
            is_used: false,
        });
        code
    }

    /// The code half of the flow. A second use of a code revokes what the first one gave (RFC 6749, 4.1.2).
    pub(crate) fn exchange_code(
        &mut self,
        client: (&str, &str),
        code: &str,
        redirect: Option<&str>,
        verifier: Option<&str>,
        prefix: (&str, &str),
    ) -> Result<Issued, Refused> {
        self.app(client.0, client.1).ok_or(Refused::Client)?;
        let now = self.now();
        let Some(known) =
            self.grants.codes.iter_mut().find(|known| known.code == code && known.client_id == client.0)
        else {
            return Err(self.refuse());
        };
        let was_used = std::mem::replace(&mut known.is_used, true);
        let known = known.clone();
        let proves = match (&known.challenge, verifier) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(challenge), Some(verifier)) => {
                URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())) == *challenge
            }
        };
        if was_used || known.expires_at < now || !proves {
            return Err(self.refuse());
        }
        if redirect.is_some_and(|redirect| redirect != known.redirect) {
            return Err(Refused::Redirect);
        }
        let grant = Grant {
            client_id: known.client_id,
            user_id: known.user_id,
            scopes: known.scopes,
            redirect: known.redirect,
            access_tokens: Vec::new(),
            refresh_token: None,
            spent: Vec::new(),
            is_revoked: false,
        };
        self.grants.grants.push(grant);
        let index = self.grants.grants.len() - 1;
        self.issue(index, prefix).ok_or(Refused::Grant)
    }

    /// The refresh half: each refresh token works once, and showing a spent one kills the whole grant.
    pub(crate) fn refresh_grant(
        &mut self,
        client: (&str, &str),
        refresh_token: &str,
        redirect: Option<&str>,
        prefix: (&str, &str),
    ) -> Result<Issued, Refused> {
        self.app(client.0, client.1).ok_or(Refused::Client)?;
        let is_spent = |grant: &Grant| grant.spent.iter().any(|token| token == refresh_token);
        if let Some(index) = self.grants.grants.iter().position(is_spent) {
            self.revoke_grant(index);
            return Err(self.refuse());
        }
        let found = self.grants.grants.iter().position(|grant| {
            grant.client_id == client.0
                && !grant.is_revoked
                && grant.refresh_token.as_deref() == Some(refresh_token)
                && redirect.is_none_or(|redirect| redirect == grant.redirect)
        });
        let Some(index) = found else { return Err(self.refuse()) };
        self.revoke_access_tokens(index);
        self.grants.refreshes += 1;
        self.issue(index, prefix).ok_or(Refused::Grant)
    }

    /// Revokes the grant that a token of it names; whether there was one.
    pub(crate) fn revoke_by_token(&mut self, token: &str) -> bool {
        let index = self.grants.grants.iter().position(|grant| {
            !grant.is_revoked
                && (grant.refresh_token.as_deref() == Some(token)
                    || grant.access_tokens.iter().any(|access| access == token))
        });
        if let Some(index) = index {
            self.revoke_grant(index);
        }
        index.is_some()
    }

    fn refuse(&mut self) -> Refused {
        self.grants.invalid_grants += 1;
        Refused::Grant
    }

    pub(crate) fn revoke_grant(&mut self, index: usize) {
        self.revoke_access_tokens(index);
        if let Some(grant) = self.grants.grants.get_mut(index) {
            grant.is_revoked = true;
            grant.spent.extend(grant.refresh_token.take());
        }
    }

    fn revoke_access_tokens(&mut self, index: usize) {
        let Some(grant) = self.grants.grants.get(index) else { return };
        for access in &grant.access_tokens {
            if let Some(token) = self.tokens.get_mut(access) {
                token.is_revoked = true;
            }
        }
    }

    fn issue(&mut self, index: usize, (access, refresh): (&str, &str)) -> Option<Issued> {
        let created_at = self.now();
        let id = self.next_id();
        let lifetime = self.grants.lifetime;
        let grant = self.grants.grants.get_mut(index)?;
        let access_token = format!("{access}{}", random_hex(20));
        let refresh_token = lifetime.map(|_| format!("{refresh}{}", random_hex(32)));
        let old = std::mem::replace(&mut grant.refresh_token, refresh_token.clone());
        grant.spent.extend(old);
        grant.access_tokens.push(access_token.clone());
        let expires_in = lifetime.map(|lifetime| lifetime.as_secs());
        let token = Token {
            id,
            kind: TokenKind::OAuth,
            user_id: grant.user_id,
            scopes: grant.scopes.clone(),
            created_at,
            expires_at: expires_in
                .map(|seconds| shift(created_at, i64::try_from(seconds).unwrap_or(i64::MAX))),
            is_revoked: false,
            client_id: Some(grant.client_id.clone()),
        };
        let scopes = grant.scopes.clone();
        self.tokens.insert(access_token.clone(), token);
        Some(Issued { access_token, refresh_token, expires_in, scopes, created_at })
    }
}
