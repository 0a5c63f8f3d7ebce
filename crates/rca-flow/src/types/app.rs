use super::{BackfillChange, Deserialize, FeedbackChange, Mode, Perimeter, SecretString, Serialize, Value};

/// An id that is written as a number or as a text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Id(pub String);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(u64),
            Text(String),
        }
        Ok(Self(match Form::deserialize(deserializer)? {
            Form::Number(number) => number.to_string(),
            Form::Text(text) => text.trim().to_owned(),
        }))
    }
}

/// Begins to make an app at the forge.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AppStartRequest {
    /// Web address of the instance; the forge's cloud without it.
    pub base_url: Option<String>,
    /// Root of the API, where it does not follow from `base_url`.
    pub api_base_url: Option<String>,
    /// Root of the pages, where it does not follow from `base_url`.
    pub oauth_base_url: Option<String>,
    /// The organization that shall own the app; the person without it.
    pub organization: Option<String>,
    /// How failures reach us.
    pub mode: Option<Mode>,
    /// Which repositories.
    pub perimeter: Option<Perimeter>,
    /// How much of the past.
    pub backfill: Option<BackfillChange>,
    /// What is said at the forge.
    pub feedback: Option<FeedbackChange>,
}

/// An app that is to be made: a browser posts `manifest` as the form field of that name to `create_url`.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AppStarted {
    /// Comes back with the browser; good once.
    pub state: String,
    /// What the app is to be.
    pub manifest: Value,
    /// Where it is posted to.
    pub create_url: String,
    /// Until when, RFC 3339.
    pub expires_at: String,
}

/// Connects an app that exists.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AppRequest {
    /// Web address of the instance; the forge's cloud without it.
    pub base_url: Option<String>,
    /// Root of the API, where it does not follow from `base_url`.
    pub api_base_url: Option<String>,
    /// Root of the pages, where it does not follow from `base_url`.
    pub oauth_base_url: Option<String>,
    /// The app's id or client id.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub app_id: Id,
    /// Its private key, PEM.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub private_key: SecretString,
    /// The installation.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub installation_id: Id,
    /// What the app's deliveries are signed with.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub webhook_secret: SecretString,
    /// How failures reach us.
    pub mode: Option<Mode>,
    /// Which repositories.
    pub perimeter: Option<Perimeter>,
    /// How much of the past.
    pub backfill: Option<BackfillChange>,
    /// What is said at the forge.
    pub feedback: Option<FeedbackChange>,
}
