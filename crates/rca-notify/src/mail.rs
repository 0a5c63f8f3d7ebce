//! Mail by SMTP.

#![expect(clippy::disallowed_methods, reason = "the server's address holds its password")]

use async_trait::async_trait;
use forge_core::{Error, ErrorKind, Result, Retry};
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport as _, Message as Letter, Tokio1Executor,
    message::{Mailbox, MultiPart, header},
    transport::smtp::Error as SmtpError,
};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    Message, Notifier, Place, Sent,
    config::EmailConfig,
    matrix::{html, plain},
    message::line,
};

/// The operator's mail server.
#[derive(Clone)]
pub struct MailServer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl MailServer {
    /// The server at `url`, e.g. `smtps://user:password@mail.example.com` or `smtp://localhost:25`, from which mail is
    /// sent as `from`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`], which does not repeat the address.
    pub fn new(url: &SecretString, from: &str) -> Result<Self> {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose_secret())
            .map_err(|_| {
                Error::new(ErrorKind::InvalidInput, "the mail server's address is not usable").with_hint(
                    "write smtps://user:password@host, smtp://host?tls=required, or smtp://localhost:25",
                )
            })?
            .timeout(Some(std::time::Duration::from_secs(30)))
            .build();
        let from = from.parse().map_err(|_| {
            Error::new(ErrorKind::InvalidInput, "the sender is no mail address")
                .with_hint("write rca@example.com or Forge RCA <rca@example.com>")
        })?;
        Ok(Self { transport, from })
    }
}

impl std::fmt::Debug for MailServer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("MailServer").field("from", &self.from.email).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(crate) struct Mail {
    server: MailServer,
    to: Vec<Address>,
}

impl Mail {
    pub(crate) fn new(server: &MailServer, config: &EmailConfig) -> Result<Self> {
        let to = config
            .to
            .iter()
            .map(|address| address.parse())
            .collect::<Result<_, _>>()
            .map_err(|_| Error::new(ErrorKind::InvalidInput, "a receiver is no mail address"))?;
        Ok(Self { server: server.clone(), to })
    }
}

#[async_trait]
impl Notifier for Mail {
    fn can_edit(&self) -> bool {
        false
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    async fn send(&self, message: &Message, place: Place<'_>) -> Result<Sent> {
        // The same message has the same id, so that a mail that was taken twice is shown once by most programs.
        let id = format!("<{}@{}>", message.key, self.server.from.email.domain());
        let mut letter = Letter::builder()
            .from(self.server.from.clone())
            .subject(format!("[{}] {}", message.tone.word(), line(&message.title, 150)))
            .message_id(Some(id.clone()))
            // RFC 3834: no out-of-office answers to this.
            .header(AutoSubmitted);
        for address in &self.to {
            letter = letter.to(Mailbox::new(None, address.clone()));
        }
        let mut thread = id;
        if let Place::Reply(earlier) | Place::Edit(earlier) = place {
            letter = letter.in_reply_to(earlier.id.clone()).references(earlier.id.clone());
            thread.clone_from(&earlier.id);
        }
        let page = format!("<!doctype html><html><body>{}</body></html>", html(message));
        let letter =
            letter.multipart(MultiPart::alternative_plain_html(plain(message), page)).map_err(|_| {
                Error::new(ErrorKind::Invalid, "the mail cannot be written").with_operation("send mail")
            })?;
        self.server.transport.send(letter).await.map_err(|error| refusal(&error))?;
        Ok(Sent::new(thread))
    }
}

fn refusal(error: &SmtpError) -> Error {
    // The library's text repeats the server's, which may repeat addresses; the code says enough.
    let code = error.status().map(|code| format!(" (code {code})")).unwrap_or_default();
    let failure = if error.is_permanent() {
        let code_text = error.status().map(|code| code.to_string()).unwrap_or_default();
        match code_text.as_str() {
            "530" | "534" | "535" | "538" => {
                Error::new(ErrorKind::Unauthorized, format!("the mail server refuses the login{code}"))
                    .with_hint("check user and password in FORGE_RCA_SMTP_URL")
            }
            _ => Error::new(ErrorKind::Invalid, format!("the mail server refuses the mail{code}"))
                .with_hint("check the sender and the receivers"),
        }
    } else if error.is_timeout() {
        Error::new(ErrorKind::Timeout, "no answer from the mail server in time").with_retry(Retry::Backoff)
    } else if error.is_transient() {
        Error::new(ErrorKind::Forge, format!("the mail server does not take mail now{code}"))
    } else {
        Error::new(ErrorKind::Unreachable, "the mail server cannot be reached, or speaks no TLS")
            .with_hint("check FORGE_RCA_SMTP_URL")
    };
    failure.with_operation("send mail")
}

#[derive(Clone)]
struct AutoSubmitted;

impl header::Header for AutoSubmitted {
    fn name() -> header::HeaderName {
        header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> header::HeaderValue {
        header::HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}
