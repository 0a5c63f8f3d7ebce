//! URLs that print without what must not be printed.

use std::fmt;

use ::url::Url;

/// Shows a URL without user, password, query and fragment: any of them may hold a secret.
///
/// ```
/// let url = url::Url::parse("https://rca.example/webhook/gitflic?secret=s3cr3t").unwrap();
/// assert_eq!(forge_core::url::SafeUrl(&url).to_string(), "https://rca.example/webhook/gitflic?...");
/// ```
#[derive(Clone, Copy)]
pub struct SafeUrl<'a>(pub &'a Url);

impl fmt::Display for SafeUrl<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.0;
        write!(formatter, "{}://{}", url.scheme(), url.host_str().unwrap_or_default())?;
        if let Some(port) = url.port() {
            write!(formatter, ":{port}")?;
        }
        formatter.write_str(url.path())?;
        if url.query().is_some() {
            formatter.write_str("?...")?;
        }
        Ok(())
    }
}

impl fmt::Debug for SafeUrl<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// `base` with `path` appended to whatever path it has, so that an instance under a sub-path keeps it.
///
/// `path` is already percent-encoded and may carry a query.
///
/// ```
/// let base = url::Url::parse("https://host.example/git").unwrap();
/// assert_eq!(forge_core::url::append(&base, "/api/v4/user").unwrap().as_str(), "https://host.example/git/api/v4/user");
/// ```
///
/// # Errors
/// When the result is not a URL.
pub fn append(base: &Url, path: &str) -> Result<Url, ::url::ParseError> {
    let trimmed = base.as_str().trim_end_matches('/');
    let separator = if path.starts_with('/') { "" } else { "/" };
    Url::parse(&format!("{trimmed}{separator}{path}"))
}

/// Whether both URLs have the same scheme, host and port: the only case in which a credential may travel along.
#[must_use]
pub fn same_origin(left: &Url, right: &Url) -> bool {
    left.origin() == right.origin()
}
