//! Which addresses are public, that is, reachable by anyone on the internet.
//! All others are private or special, and a function reaches them only if its
//! operator names them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use ipnet::IpNet;

/// For IPv4, the special-purpose address registry. For IPv6, everything outside
/// the one allocated block; and, within it, what is special or embeds an IPv4
/// address.
static SPECIAL: LazyLock<Vec<IpNet>> = LazyLock::new(|| {
    [
        "0.0.0.0/8",         // this network; 0.0.0.0 connects to this host
        "10.0.0.0/8",        // private
        "100.64.0.0/10",     // shared by a provider's customers
        "127.0.0.0/8",       // loopback
        "168.63.129.16/32",  // a cloud's own services
        "169.254.0.0/16",    // link-local, and clouds' metadata
        "172.16.0.0/12",     // private
        "192.0.0.0/24",      // protocols
        "192.0.2.0/24",      // documentation
        "192.31.196.0/24",   // AS112 name servers
        "192.52.193.0/24",   // AMT multicast relays
        "192.88.99.0/24",    // 6to4 relays
        "192.168.0.0/16",    // private
        "192.175.48.0/24",   // AS112 name servers
        "198.18.0.0/15",     // benchmarks
        "198.51.100.0/24",   // documentation
        "203.0.113.0/24",    // documentation
        "224.0.0.0/4",       // multicast
        "240.0.0.0/4",       // reserved, and broadcast
        "2001::/23",         // protocols, and Teredo tunnels with IPv4 addresses
        "2001:db8::/32",     // documentation
        "2002::/16",         // 6to4 tunnels with IPv4 addresses
        "2620:4f:8000::/48", // AS112 name servers
        "3fff::/20",         // documentation
    ]
    .iter()
    .filter_map(|text| text.parse().ok())
    .collect()
});

/// Metadata services, which hand out a machine's credentials: AWS and most
/// others; AWS over IPv6, and the two for its tasks and pods; Google and Oracle
/// over IPv6; Alibaba; Oracle's former one; Azure.
const METADATA: [&str; 10] = [
    "169.254.169.254",
    "fd00:ec2::254",
    "169.254.170.2",
    "169.254.170.23",
    "fd00:ec2::23",
    "fd20:ce::254",
    "fd00:c1::a9fe:a9fe",
    "100.100.100.200",
    "192.0.0.192",
    "168.63.129.16",
];

/// Whether an address is public. An IPv4 address counts as such in any
/// notation.
pub(super) fn is_public(address: IpAddr) -> bool {
    let address = address.to_canonical();
    // The allocated block of IPv6 is 2000::/3.
    let is_allocated = match address {
        IpAddr::V4(_) => true,
        IpAddr::V6(address) => address.to_bits() >> 125 == 0b001,
    };
    is_allocated && !SPECIAL.iter().any(|net| net.contains(&address))
}

/// Whether an address is a metadata service's, also through an IPv6 translator.
pub(super) fn is_metadata(address: IpAddr) -> bool {
    let address = match address {
        IpAddr::V6(address) if address.to_bits() >> 32 == 0x64_ff9b << 64 => {
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() as u32))
        }
        other => other.to_canonical(),
    };
    METADATA.iter().any(|text| text.parse() == Ok(address))
}

/// The address that a host is, which in a URL is in brackets if it is one of
/// IPv6.
pub(crate) fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_whole() {
        assert_eq!(SPECIAL.len(), 24);
        assert!(METADATA.iter().all(|text| text.parse::<IpAddr>().is_ok()));
        for text in ["::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"] {
            assert!(is_metadata(text.parse().expect(text)), "{text}");
        }
    }

    #[test]
    fn what_is_public_can_be_told() {
        let is_public = |text: &str| is_public(text.parse().expect(text));
        for public in ["1.1.1.1", "93.184.215.14", "172.15.0.1", "172.32.0.1", "::ffff:1.1.1.1"] {
            assert!(is_public(public), "{public}");
        }
        for public in ["2606:4700::1111", "2a00:1450::1", "2003::1"] {
            assert!(is_public(public), "{public}");
        }
        for private in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.1.2.3",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "100::1",
        ] {
            assert!(!is_public(private), "{private}");
        }
    }
}
