//! Which addresses may be spoken to: everything global, and what the operator allows besides.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use async_trait::async_trait;
use forge_core::{Error, ErrorKind, Result};
use url::{Host, Url};

/// A network in CIDR form, or one address.
///
/// ```
/// let network: forge_http::IpNetwork = "10.0.0.0/8".parse().unwrap();
/// assert!(network.contains("10.1.2.3".parse().unwrap()));
/// assert!(!network.contains("11.0.0.1".parse().unwrap()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IpNetwork {
    address: IpAddr,
    prefix: u8,
}

impl IpNetwork {
    /// Whether `address` lies in it. An IPv4-mapped IPv6 address counts as the IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.prefix);
                (u32::from(network) ^ u32::from(address)).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.prefix);
                (u128::from(network) ^ u128::from(address)).checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// The text is not a network.
#[derive(Debug, Clone, thiserror::Error)]
#[error("'{0}' is not a network: write 10.0.0.0/8, fd00::/8 or a single address")]
pub struct InvalidNetwork(String);

impl FromStr for IpNetwork {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let invalid = || InvalidNetwork(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse::<u8>().ok().filter(|prefix| *prefix <= longest).ok_or_else(invalid)?
            }
            Some(_) => return Err(invalid()),
        };
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for IpNetwork {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix)
    }
}

/// Finds the addresses of a host name. The system's resolver is the default; tests bring their own.
///
/// The answers are judged afterwards, on every connect, so an implementation need not judge them.
#[async_trait]
pub trait Resolve: fmt::Debug + Send + Sync {
    /// All addresses of `host`.
    ///
    /// # Errors
    /// When the name cannot be resolved; the connection is then not made.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The operating system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Why an address is refused. Travels through the HTTP library as a cause and is found again in [`crate::client`].
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("'{host}' is in a network that is not allowed")]
    Network { host: String },
    #[error("'{host}' is an address of the machine's own metadata or link")]
    Metadata { host: String },
    #[error("'{host}' has no address")]
    NoAddress { host: String },
}

impl Refusal {
    pub(crate) fn into_error(self) -> Error {
        let hint = match &self {
            Self::Network { .. } => "if the forge really is there, add its network to the allowed networks",
            Self::Metadata { .. } => {
                "metadata and link-local addresses stay closed unless switched on separately"
            }
            Self::NoAddress { .. } => "check the host name",
        };
        let kind = match &self {
            Self::NoAddress { .. } => ErrorKind::Unreachable,
            _ => ErrorKind::AddressRefused,
        };
        Error::new(kind, self.to_string()).with_hint(hint)
    }
}

/// The rules, and the resolver whose answers they judge.
#[derive(Debug, Clone)]
pub(crate) struct Guard {
    pub(crate) allowed: Vec<IpNetwork>,
    pub(crate) is_http_allowed: bool,
    pub(crate) is_metadata_allowed: bool,
    pub(crate) resolver: Arc<dyn Resolve>,
}

impl Guard {
    /// What can be known without asking the resolver: scheme, user information, literal addresses, `localhost`.
    pub(crate) fn check_url(&self, url: &Url) -> Result<()> {
        match url.scheme() {
            "https" => {}
            "http" if self.is_http_allowed => {}
            "http" => {
                return Err(Error::new(ErrorKind::AddressRefused, "the address is http, not https")
                    .with_hint("use https, or allow http for this forge"));
            }
            _ => {
                return Err(Error::new(ErrorKind::AddressRefused, "the address is neither http nor https"));
            }
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::new(ErrorKind::AddressRefused, "the address holds a user or a password")
                .with_hint("give the credential separately"));
        }
        self.check_literal(url).map_err(Refusal::into_error)
    }

    /// Judges a literal address, which no resolver hook ever sees, and the name that always means this machine.
    pub(crate) fn check_literal(&self, url: &Url) -> Result<(), Refusal> {
        match url.host() {
            Some(Host::Ipv4(address)) => self.check_address(IpAddr::V4(address), &address.to_string()),
            Some(Host::Ipv6(address)) => self.check_address(IpAddr::V6(address), &address.to_string()),
            Some(Host::Domain(domain)) => {
                let name = domain.trim_end_matches('.').to_ascii_lowercase();
                if name == "localhost" || name.ends_with(".localhost") {
                    // Either family will do: which one is tried is decided, and judged, at connect.
                    return self
                        .check_address(Ipv4Addr::LOCALHOST.into(), domain)
                        .or_else(|_| self.check_address(Ipv6Addr::LOCALHOST.into(), domain));
                }
                Ok(())
            }
            None => Err(Refusal::NoAddress { host: String::new() }),
        }
    }

    fn check_address(&self, address: IpAddr, host: &str) -> Result<(), Refusal> {
        let address = address.to_canonical();
        let embedded = embedded_v4(address);
        let is_metadata = is_metadata(address) || embedded.is_some_and(|inner| is_metadata(inner.into()));
        if is_metadata && !self.is_metadata_allowed {
            return Err(Refusal::Metadata { host: host.to_owned() });
        }
        if is_global(address) || self.allowed.iter().any(|network| network.contains(address)) {
            return Ok(());
        }
        Err(Refusal::Network { host: host.to_owned() })
    }

    /// All addresses of `host`, if every one of them may be spoken to. One bad answer among good ones refuses all:
    /// otherwise whoever owns the name only has to wait until the bad one is picked.
    pub(crate) async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let addresses = self.resolver.resolve(host).await?;
        if addresses.is_empty() {
            return Err(io::Error::other(Refusal::NoAddress { host: host.to_owned() }));
        }
        for address in &addresses {
            self.check_address(*address, host).map_err(io::Error::other)?;
        }
        Ok(addresses)
    }
}

/// The hook by which every connect of the HTTP library passes the guard.
pub(crate) struct ResolverHook(pub(crate) Arc<Guard>);

impl reqwest::dns::Resolve for ResolverHook {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let guard = Arc::clone(&self.0);
        Box::pin(async move {
            let addresses = guard.resolve(name.as_str()).await?;
            let addresses: reqwest::dns::Addrs =
                Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

/// The IPv4 address inside NAT64 (RFC 6052, RFC 8215), 6to4 (RFC 3056) and IPv4-compatible addresses.
fn embedded_v4(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return None };
    let bits = u128::from(address);
    let low = Ipv4Addr::from(u32::try_from(bits & 0xffff_ffff).unwrap_or_default());
    match address.segments() {
        [0x64, 0xff9b, ..] | [0, 0, 0, 0, 0, 0, ..] => Some(low),
        [0x2002, high, rest, ..] => Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(rest))),
        _ => None,
    }
}

/// Where clouds answer with the machine's own credentials, and all that is link-local.
fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            address.is_link_local()
                // Alibaba Cloud, Oracle Cloud's alternative and Azure's host agent, from their documentation.
                || matches!(address.octets(), [100, 100, 100, 200] | [192, 0, 0, 192] | [168, 63, 129, 16])
        }
        IpAddr::V6(address) => {
            address.is_unicast_link_local()
                // AWS: fd00:ec2::254, and Google Cloud: fd20:ce::254.
                || matches!(
                    address.segments(),
                    [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254] | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254]
                )
        }
    }
}

/// The IANA special-purpose registries, read strictly: what is not plainly global is not global. The standard
/// library's `is_global` is not stable.
fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !matches!(
            address.octets(),
            [0 | 10 | 127, ..]
                | [100, 64..=127, ..]
                | [169, 254, ..]
                | [172, 16..=31, ..]
                | [192, 0, 0, _]
                | [192, 0, 2, _]
                | [192, 88, 99, _]
                | [192, 168, ..]
                | [198, 18..=19, ..]
                | [198, 51, 100, _]
                | [203, 0, 113, _]
                | [224..=255, ..]
        ),
        // Only 2000::/3 is given out. Within it: Teredo and the other special 2001::/23 blocks, documentation, 6to4.
        IpAddr::V6(address) => match address.segments() {
            [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x2002, ..] => false,
            [0x3fff, 0..=0xfff, ..] => false,
            [first, ..] => first & 0xe000 == 0x2000,
        },
    }
}
