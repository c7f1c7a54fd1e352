//! The hosts that a function may reach: only those that its operator names.
//!
//! A request is checked twice. Its URL must match a rule before any lookup; and
//! every address is checked again before a connection, because a name says
//! nothing about its addresses. An address that is not [public](super::address)
//! must be listed as an address: a rule for a name does not allow it, whatever
//! the name resolves to.

use std::net::IpAddr;

use ipnet::IpNet;
use url::Host;

use super::address;

/// The hosts that a function may reach.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hosts(Box<[Rule]>);

/// One of the operator's entries.
#[derive(Clone, Debug)]
struct Rule {
    /// The only allowed scheme, if any.
    scheme: Option<&'static str>,
    pattern: Pattern,
    /// The only allowed port, if any.
    port: Option<u16>,
}

/// What a rule matches.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// Any name, and any public address.
    Any,
    /// Any name and any address. No entry can express it.
    Anywhere,
    /// Exactly this name.
    Name(String),
    /// Any subdomain of this name.
    Below(String),
    /// An address in this range.
    Addresses(IpNet),
}

/// An entry that names no host.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{text}` names no host that may be reached: {reason}; write `api.example.com`, \
     `*.example.com`, `https://api.example.com:8443`, `10.0.0.7:8080`, `10.0.0.0/8` or `*`"
)]
pub(crate) struct NoHost {
    text: String,
    reason: String,
}

/// The scheme of a URL, if it is HTTP or HTTPS.
pub(super) fn scheme(text: &str) -> Option<&'static str> {
    ["http", "https"].into_iter().find(|scheme| *scheme == text)
}

impl Hosts {
    /// Parses the entries.
    ///
    /// # Errors
    /// The first entry that names no host.
    pub(crate) fn new(entries: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, NoHost> {
        let rules = entries.into_iter().map(|entry| {
            let text = entry.as_ref();
            Rule::parse(text).map_err(|reason| NoHost { text: text.to_owned(), reason })
        });
        Ok(Self(rules.collect::<Result<_, _>>()?))
    }

    /// Allows every host, for an address that the operator has named as a
    /// whole.
    pub(crate) fn anywhere() -> Self {
        Self([Rule { scheme: None, pattern: Pattern::Anywhere, port: None }].into())
    }

    /// Whether there are no entries.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether requests to a URL's host are allowed at all.
    pub(super) fn allow(&self, scheme: &str, host: &Host<&str>, port: u16) -> bool {
        let address = match host {
            Host::Domain(name) => {
                return self.rules(scheme, port).any(|rule| rule.pattern.has_name(name));
            }
            Host::Ipv4(address) => IpAddr::from(*address),
            Host::Ipv6(address) => IpAddr::from(*address),
        };
        let any = self.rules(scheme, port).any(|rule| rule.pattern == Pattern::Any);
        any && address::is_public(address) || self.list(scheme, address, port)
    }

    /// Whether an address that an allowed name resolved to may be connected to.
    pub(super) fn allow_address(&self, scheme: &str, address: IpAddr, port: u16) -> bool {
        address::is_public(address) || self.list(scheme, address, port)
    }

    /// Whether an entry lists the address as an address.
    fn list(&self, scheme: &str, address: IpAddr, port: u16) -> bool {
        self.rules(scheme, port).any(|rule| rule.pattern.has_address(address))
    }

    /// The rules for a scheme and a port.
    fn rules(&self, scheme: &str, port: u16) -> impl Iterator<Item = &Rule> {
        self.0.iter().filter(move |rule| {
            rule.scheme.is_none_or(|only| only == scheme)
                && rule.port.is_none_or(|only| only == port)
        })
    }
}

impl Rule {
    fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = match text.split_once("://") {
            Some((text, rest)) => {
                (Some(scheme(text).ok_or("its scheme is not http or https")?), rest)
            }
            None => (None, text),
        };
        if let Ok(net) = rest.parse::<IpNet>() {
            return Ok(Self { scheme, pattern: Pattern::Addresses(canonical(net)), port: None });
        }
        if rest.contains(['/', '?', '#', '@']) {
            return Err("it looks like a URL, or its address range is invalid".into());
        }
        // An IPv6 address contains colons, so it is in brackets if a port
        // follows.
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if address::literal(rest).is_none() && !port.ends_with(']') => {
                (host, Some(port.parse().map_err(|_| "its port is no number")?))
            }
            _ => (rest, None),
        };
        Ok(Self { scheme, pattern: Pattern::parse(host)?, port })
    }
}

impl Pattern {
    fn parse(host: &str) -> Result<Self, String> {
        if host == "*" {
            return Ok(Self::Any);
        }
        if let Some(address) = address::literal(host) {
            return Ok(Self::Addresses(address.to_canonical().into()));
        }
        let below = host.strip_prefix("*.");
        // Parsed like a URL's host, so that both have the same form.
        match Host::parse(below.unwrap_or(host).trim_end_matches('.')) {
            Ok(Host::Domain(name)) if !name.contains('*') => {
                Ok(if below.is_some() { Self::Below(name) } else { Self::Name(name) })
            }
            Ok(Host::Domain(_)) => Err("a `*` stands alone, or in front as `*.`".into()),
            Ok(_) => Err("write the address in its usual form".into()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn has_name(&self, name: &str) -> bool {
        match self {
            Self::Any | Self::Anywhere => true,
            Self::Name(this) => this == name,
            Self::Below(this) => name
                .strip_suffix(&**this)
                .is_some_and(|below| below.len() > 1 && below.ends_with('.')),
            Self::Addresses(_) => false,
        }
    }

    fn has_address(&self, address: IpAddr) -> bool {
        let Self::Addresses(net) = self else { return *self == Self::Anywhere };
        let address = address.to_canonical();
        // A range must not include the services that hand out a machine's
        // credentials.
        let one = net.prefix_len() == net.max_prefix_len();
        net.contains(&address) && (one || !address::is_metadata(address))
    }
}

/// Canonicalizes a range like the addresses it is compared with: IPv4-mapped
/// ranges become IPv4.
fn canonical(net: IpNet) -> IpNet {
    let mapped = match net.addr().to_canonical() {
        address @ IpAddr::V4(_) if net.prefix_len() >= 96 => {
            IpNet::new(address, net.prefix_len() - 96).ok()
        }
        _ => None,
    };
    mapped.unwrap_or(net)
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    fn hosts(entries: &[&str]) -> Hosts {
        Hosts::new(entries).expect("good entries")
    }

    fn allows(hosts: &Hosts, url: &str) -> bool {
        let url = Url::parse(url).expect("a URL");
        let port = url.port_or_known_default().expect("a port");
        hosts.allow(url.scheme(), &url.host().expect("a host"), port)
    }

    #[test]
    fn a_rule_is_for_what_it_names() {
        for (rule, good, bad) in [
            ("a.example", "http://a.example/x", "http://b.a.example/"),
            ("a.example", "https://A.EXAMPLE:8443/", "http://a.example.evil/"),
            ("*.a.example", "http://b.a.example/", "http://a.example/"),
            ("*.a.example", "http://c.b.a.example/", "http://ba.example/"),
            ("*.a.example", "http://b.a.example/", "http://eviла.example/"),
            ("a.example:80", "http://a.example/", "http://a.example:81/"),
            ("https://a.example", "https://a.example/", "http://a.example/"),
            ("https://a.example:8443", "https://a.example:8443/", "https://a.example/"),
            ("bücher.example", "http://xn--bcher-kva.example/", "http://bucher.example/"),
            ("*", "http://any.example:99/", "http://10.0.0.1/"),
            ("*", "http://93.184.215.14/", "http://127.0.0.1/"),
            ("10.0.0.7:8080", "http://10.0.0.7:8080/", "http://10.0.0.7/"),
            ("10.0.0.0/8", "http://10.1.2.3:5/", "http://11.0.0.1/"),
            ("[::1]:80", "http://[::1]/", "http://[::2]/"),
            ("::1", "http://[::1]:99/", "http://127.0.0.1/"),
            ("127.0.0.1", "http://2130706433/", "http://127.0.0.2/"),
            ("127.0.0.1", "http://0x7f.1/", "http://localhost/"),
            ("127.0.0.1", "http://[::ffff:127.0.0.1]/", "http://[::1]/"),
            ("::ffff:10.0.0.0/104", "http://10.9.9.9/", "http://11.0.0.1/"),
        ] {
            let hosts = hosts(&[rule]);
            assert!(allows(&hosts, good), "{rule}: {good}");
            assert!(!allows(&hosts, bad), "{rule}: {bad}");
        }
        assert!(!allows(&Hosts::default(), "http://a.example/"));
    }

    #[test]
    fn a_name_leads_to_public_addresses_alone_unless_others_are_named() {
        let leads = |entries: &[&str], address: &str, port| {
            hosts(entries).allow_address("http", address.parse().expect("an address"), port)
        };
        assert!(leads(&["a.example"], "93.184.215.14", 80));
        assert!(!leads(&["a.example", "*"], "10.0.0.7", 80));
        assert!(leads(&["a.example", "10.0.0.0/8"], "10.0.0.7", 80));
        assert!(leads(&["a.example", "10.0.0.0/8"], "::ffff:10.0.0.7", 80));
        assert!(!leads(&["a.example", "10.0.0.7:8080"], "10.0.0.7", 80));
        assert!(!leads(&["a.example", "https://10.0.0.7"], "10.0.0.7", 80));
    }

    #[test]
    fn credentials_of_a_machine_are_in_no_range() {
        let metadata = "http://169.254.169.254/latest";
        assert!(!allows(&hosts(&["*", "0.0.0.0/0", "169.254.0.0/16"]), metadata));
        assert!(allows(&hosts(&["169.254.169.254"]), metadata));
        assert!(allows(&hosts(&["169.254.0.0/16"]), "http://169.254.1.1/"));
    }

    #[test]
    fn anywhere_is_anywhere() {
        let anywhere = Hosts::anywhere();
        for url in ["http://a.example/", "http://127.0.0.1/", "http://169.254.169.254/"] {
            assert!(allows(&anywhere, url), "{url}");
        }
        let inside = "10.0.0.7".parse().expect("an address");
        assert!(anywhere.allow_address("https", inside, 8443));
    }

    #[test]
    fn what_names_no_host_says_why() {
        for bad in [
            "",
            "http://",
            "a b",
            "ftp://a.example",
            "a.example/path",
            "a.example:http",
            "a.*.b",
            "a@b.example",
            "10.0.0.0/33",
            "*:x",
            "[::1",
            "a.example:70000",
            "0x7f.1",
            "https://*.",
        ] {
            let error = Hosts::new([bad]).expect_err(bad).to_string();
            assert!(error.contains("10.0.0.0/8"), "{error}");
        }
    }
}
