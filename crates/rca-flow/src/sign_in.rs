//! How members sign in: by a link that works once, made by an admin.

#![expect(clippy::disallowed_methods, reason = "the one answer that shows the link")]

use rca_notify::{ChannelConfig, Link, Message, Outlets, Place, Tone};
use rca_store::Member;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use url::Url;

use crate::{
    access::{self, Holder},
    error::{FlowError, FlowErrorKind, Result},
    flow::{Caller, Flow},
    types::time,
};

/// A link that was just made. The only time that it is shown.
#[derive(Clone)]
pub struct SignInLink {
    /// Whom it signs in.
    pub email: String,
    /// The link.
    pub url: String,
    /// RFC 3339.
    pub ends_at: String,
    /// Whether it was mailed: nothing where the installation has no mail server, else how that went.
    pub mailed: Option<std::result::Result<(), String>>,
}

impl std::fmt::Debug for SignInLink {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SignInLink").field("ends_at", &self.ends_at).finish_non_exhaustive()
    }
}

impl Flow {
    /// Makes a link that signs a member in once, within 24 hours. Earlier links of the member end. It is mailed too,
    /// where there is a mail server.
    ///
    /// # Errors
    /// `not_found`; `role_missing` where it would sign in an owner and `holder` is none.
    pub async fn make_sign_in_link(
        &self,
        caller: &Caller,
        holder: &Holder,
        member: &str,
    ) -> Result<SignInLink> {
        let members = self.store().list_members(&caller.workspace).await?;
        let known = members.iter().find(|known| known.id == member);
        let known = known.ok_or_else(|| FlowError::not_found("member"))?;
        if known.role == "owner" {
            holder.require_owner("make a link that signs an owner in")?;
        }
        let secret = access::random_token("");
        let hash = access::hash(&secret);
        let store = self.store();
        let (member, ends_at) =
            store.make_sign_in_link(&caller.workspace, member, &hash, &caller.name).await?;
        let path = format!("sign-in/link/{}", secret.expose_secret());
        let url = forge_core::url::append(&self.config().public_url, &path).map_err(|_| {
            FlowError::new(
                FlowErrorKind::Unavailable,
                "public_url_invalid",
                "the public URL cannot carry a path",
            )
        })?;
        let mailed = match self.config().outlets.as_ref().filter(|outlets| outlets.has_mail()) {
            Some(outlets) => {
                Some(mail(outlets, &member, &url, &hash).await.map_err(|error| error.to_string()))
            }
            None => None,
        };
        Ok(SignInLink { email: member.email, url: url.into(), ends_at: time(ends_at), mailed })
    }

    /// Whether a link's secret can still be used. Opening a link uses nothing up: mail scanners open links too.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn is_sign_in_link(&self, secret: &SecretString) -> Result<bool> {
        Ok(self.store().is_sign_in_link(&access::hash(secret)).await?)
    }

    /// Uses a link up. Gives workspace and member; nothing where it is unknown, used or has ended.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn use_sign_in_link(&self, secret: &SecretString) -> Result<Option<(String, Member)>> {
        Ok(self.store().use_sign_in_link(&access::hash(secret)).await?)
    }
}

async fn mail(outlets: &Outlets, member: &Member, url: &Url, key: &str) -> forge_core::Result<()> {
    let config = ChannelConfig::parse("email", &json!({ "to": [member.email] }))?;
    let mut message = Message::new(key, Tone::Neutral, "Sign in to Forge RCA");
    message.text.push(format!("The link signs {} in, once, within 24 hours.", member.email));
    message.links.push(Link { label: "Sign in".to_owned(), url: url.clone() });
    outlets.open(&config, None)?.send(&message, Place::New).await.map(drop)
}
