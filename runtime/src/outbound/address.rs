//! Which addresses are public, that is, reachable by anyone on the internet.
//! All others are private or special, and a function reaches them only if its
//! operator names them.

use std::net::IpAddr;
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

static METADATA_ADDRESSES: LazyLock<Vec<IpAddr>> =
    LazyLock::new(|| METADATA.iter().filter_map(|text| text.parse().ok()).collect());

/// The allocated block of IPv6.
static GLOBAL: LazyLock<Option<IpNet>> = LazyLock::new(|| "2000::/3".parse().ok());

/// Whether an address is public. An IPv4 address counts as such in any
/// notation.
pub(super) fn is_public(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let given_out =
        address.is_ipv4() || GLOBAL.as_ref().is_some_and(|global| global.contains(&address));
    given_out && !SPECIAL.iter().any(|net| net.contains(&address))
}

/// Whether an address is a metadata service's, also through an IPv6 translator.
pub(super) fn is_metadata(address: IpAddr) -> bool {
    let address = match address {
        IpAddr::V6(address) => match address.segments() {
            [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                IpAddr::from((u32::from(high) << 16 | u32::from(low)).to_be_bytes())
            }
            _ => address.to_canonical(),
        },
        others => others,
    };
    METADATA_ADDRESSES.contains(&address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_whole() {
        assert_eq!(SPECIAL.len(), 24);
        assert_eq!(METADATA_ADDRESSES.len(), METADATA.len());
        for text in ["::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"] {
            assert!(is_metadata(text.parse().expect(text)), "{text}");
        }
        assert!(GLOBAL.is_some());
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
