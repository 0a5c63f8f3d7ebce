//! Whether there is a forge at an address, before anybody makes a token for it.

use std::sync::Arc;

use forge_core::{Credential, ErrorKind, ForgeKind, StaticCredential};

use crate::{
    connect::text,
    error::{FlowError, FlowErrorKind, Result},
    flow::{Caller, Flow},
};

/// A forge that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// Its address as an integration would keep it.
    pub base_url: String,
    /// Its version, where it tells strangers.
    pub version: Option<String>,
}

impl Flow {
    /// Asks the forge who we are, without a credential: being refused shows that it is there.
    ///
    /// # Errors
    /// `invalid_field`, `address_not_allowed`, `forge_unreachable`; `not_this_forge` where something else answers.
    pub async fn reach(&self, _caller: &Caller, forge: ForgeKind, base_url: &str) -> Result<Reached> {
        let place = self.place(forge, Some(base_url), None, None)?;
        let nobody = Arc::new(StaticCredential::new(Credential::none()));
        let client = self.provider(forge)?.connect(&place.instance, nobody)?;
        let base_url = text(place.instance.base_url());
        match client.whoami().await {
            Ok(identity) => Ok(Reached { base_url, version: identity.server_version }),
            Err(error) => match error.kind() {
                ErrorKind::Unauthorized
                | ErrorKind::InvalidGrant
                | ErrorKind::Forbidden
                | ErrorKind::RateLimited => Ok(Reached { base_url, version: None }),
                ErrorKind::NotFound | ErrorKind::Gone | ErrorKind::Invalid | ErrorKind::Conflict => {
                    Err(FlowError::new(
                        FlowErrorKind::Unprocessable,
                        "not_this_forge",
                        format!(
                            "something answers at {base_url}, but not as {} does: give the address that it has in the \
                             browser, with its path where it has one",
                            forge.display_name()
                        ),
                    ))
                }
                _ => Err(error.into()),
            },
        }
    }
}
