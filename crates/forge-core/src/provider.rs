//! A forge kind's front door, and where an installation of it lives.

use std::{fmt, sync::Arc};

use ::url::Url;

use crate::{
    AppKey, AppSetup, Capabilities, CredentialProvider, Error, ErrorKind, ForgeClient, ForgeKind, OAuthApp,
    OAuthFlow, Result, WebhookReceiver,
};

/// One installation of a forge.
///
/// The web address says where it is; the API and OAuth addresses follow from it by the adapter's rules unless they
/// are given.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Instance {
    base_url: Url,
    api_base_url: Option<Url>,
    oauth_base_url: Option<Url>,
    namespace: Option<String>,
}

impl Instance {
    /// The installation at `base_url`: http or https, a path is kept, a trailing slash is not.
    ///
    /// ```
    /// let instance = forge_core::Instance::new("https://host.example/gitlab/").unwrap();
    /// assert_eq!(instance.base_url().as_str(), "https://host.example/gitlab");
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when it is not an http(s) URL, or has a user, password, query or fragment.
    pub fn new(base_url: &str) -> Result<Self> {
        let base_url = clean(base_url, "base URL")?;
        Ok(Self { base_url, api_base_url: None, oauth_base_url: None, namespace: None })
    }

    /// The root of the REST API, where it does not follow from the base URL.
    ///
    /// # Errors
    /// As [`Instance::new`].
    pub fn with_api_base_url(mut self, url: &str) -> Result<Self> {
        self.api_base_url = Some(clean(url, "API base URL")?);
        Ok(self)
    }

    /// The root of the OAuth pages, where it does not follow from the base URL.
    ///
    /// # Errors
    /// As [`Instance::new`].
    pub fn with_oauth_base_url(mut self, url: &str) -> Result<Self> {
        self.oauth_base_url = Some(clean(url, "OAuth base URL")?);
        Ok(self)
    }

    /// The only namespace to look for repositories in, for credentials that cannot find theirs: the workspace of a
    /// Bitbucket Cloud access token. Adapters whose credentials can, ignore it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when it is empty or holds a slash or a space.
    pub fn with_namespace(mut self, name: &str) -> Result<Self> {
        let name = name.trim();
        if name.is_empty() || name.contains(['/', '\\']) || name.contains(char::is_whitespace) {
            return Err(Error::new(ErrorKind::InvalidInput, "the namespace is not the name of one")
                .with_hint("give its name as it stands in addresses, without slashes"));
        }
        self.namespace = Some(name.to_owned());
        Ok(self)
    }

    /// The web address, without a trailing slash.
    #[must_use]
    pub fn base_url(&self) -> &Url {
        &self.base_url
    }

    /// The root of the REST API, where it was given.
    #[must_use]
    pub fn api_base_url(&self) -> Option<&Url> {
        self.api_base_url.as_ref()
    }

    /// The only namespace to look for repositories in, where one was given.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// The root of the OAuth pages, where it was given.
    #[must_use]
    pub fn oauth_base_url(&self) -> Option<&Url> {
        self.oauth_base_url.as_ref()
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Instance({})", self.base_url)
    }
}

fn clean(text: &str, what: &str) -> Result<Url> {
    let invalid = |problem: &str| {
        Error::new(ErrorKind::InvalidInput, format!("the {what} {problem}"))
            .with_hint("give the address of the instance as in the browser, e.g. https://gitlab.example.com")
    };
    let mut url = Url::parse(text.trim()).map_err(|error| invalid("is not a URL").with_source(error))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid("is neither https nor http"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(invalid("has no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("holds a user or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("has a query or fragment"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    // A URL without a path prints as `https://host/`; storing that is fine, `url::append` trims it.
    Ok(url)
}

/// One per forge kind. Holds what all its clients share, e.g. the HTTP client.
pub trait Provider: fmt::Debug + Send + Sync {
    /// Which forge this is.
    fn kind(&self) -> ForgeKind;

    /// What this adapter can do. The same for every client of it.
    fn capabilities(&self) -> Capabilities;

    /// The receiving side: pure, no I/O.
    fn webhooks(&self) -> &dyn WebhookReceiver;

    /// The OAuth flow of `app` at `instance`; `None` where the forge has no OAuth that we use.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the instance's addresses do not fit.
    fn oauth(&self, instance: &Instance, app: &OAuthApp) -> Result<Option<Box<dyn OAuthFlow>>>;

    /// A client for `instance`. Sends no request yet.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the instance's addresses do not fit.
    fn connect(
        &self,
        instance: &Instance,
        credentials: Arc<dyn CredentialProvider>,
    ) -> Result<Arc<dyn ForgeClient>>;

    /// How an app is made at `instance`; `None` where [`Capabilities::apps`] is false.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when the instance's addresses do not fit.
    fn app_setup(&self, instance: &Instance) -> Result<Option<Box<dyn AppSetup>>> {
        let _ = instance;
        Ok(None)
    }

    /// The tokens of one installation of an app, minted anew before they expire. Sends no request yet.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where [`Capabilities::apps`] is false, [`ErrorKind::InvalidInput`] when the private
    /// key is none.
    fn installation(&self, instance: &Instance, key: &AppKey) -> Result<Arc<dyn CredentialProvider>> {
        let _ = (instance, key);
        Err(Error::new(ErrorKind::Unsupported, format!("{} has no apps", self.kind().display_name()))
            .with_forge(self.kind())
            .with_operation("use an app"))
    }
}
