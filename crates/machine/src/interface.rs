//! Addresses of the host, which complete sockets of which only one end is known.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{Machine, Thread};

/// A network interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
    /// Which bits of the address name the network.
    pub netmask: IpAddr,
}

/// The host's address from which `peer` is most likely reached: the same one, one in the same network, or
/// the first that is not the loopback's.
pub(crate) fn address_towards(interfaces: &[Interface], peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(peer) => towards_v4(interfaces, peer).into(),
        IpAddr::V6(peer) => towards_v6(interfaces, peer).into(),
    }
}

fn towards_v4(interfaces: &[Interface], peer: Ipv4Addr) -> Ipv4Addr {
    let own = || {
        interfaces.iter().filter_map(|i| match (i.address, i.netmask) {
            (IpAddr::V4(address), IpAddr::V4(mask)) => Some((address, mask)),
            _ => None,
        })
    };
    own()
        .find(|&(address, _)| address == peer)
        .or_else(|| own().find(|&(address, mask)| address & mask == peer & mask))
        .or_else(|| own().find(|&(address, _)| address != Ipv4Addr::LOCALHOST))
        .map_or(Ipv4Addr::UNSPECIFIED, |(address, _)| address)
}

fn towards_v6(interfaces: &[Interface], peer: Ipv6Addr) -> Ipv6Addr {
    let own = || {
        interfaces.iter().filter_map(|i| match i.address {
            IpAddr::V6(address) => Some(address),
            IpAddr::V4(_) => None,
        })
    };
    own()
        .find(|&address| address == peer)
        .or_else(|| own().find(|&address| network_v6(address) == network_v6(peer)))
        .or_else(|| own().find(|&address| address != Ipv6Addr::LOCALHOST))
        .unwrap_or(Ipv6Addr::UNSPECIFIED)
}

/// The part of an address that names its network, by the fixed division: 48 bits of prefix, 16 of subnet.
fn network_v6(address: Ipv6Addr) -> u128 {
    address.to_bits() >> 64
}

impl Machine {
    /// Whether an address is one of those that the thread's host or container has.
    pub fn is_own_address(&self, thread: &Thread, ip: IpAddr) -> bool {
        if !thread.container.is_empty() {
            return match (ip, self.container(&thread.container).and_then(|c| c.ip)) {
                (IpAddr::V6(_), _) => false,
                (_, Some(own)) => own == ip,
                (_, None) => self.containers.iter().any(|c| c.ip == Some(ip)),
            };
        }
        self.interfaces.iter().any(|i| match (i.address, ip) {
            (IpAddr::V6(own), IpAddr::V6(ip)) => network_v6(own) == network_v6(ip),
            (own, ip) => own == ip,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_address_is_taken() {
        let interface = |name: &str, address: &str, netmask: &str| Interface {
            name: name.to_owned(),
            address: address.parse().unwrap(),
            netmask: netmask.parse().unwrap(),
        };
        let all = [
            interface("lo", "127.0.0.1", "255.0.0.0"),
            interface("eth0", "10.0.0.5", "255.255.255.0"),
            interface("eth1", "192.168.1.5", "255.255.255.0"),
            interface("lo", "::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            interface("eth0", "fe80::5", "ffff:ffff:ffff:ffff::"),
        ];
        for (peer, want) in [
            ("127.0.0.9", "127.0.0.1"),
            ("192.168.1.77", "192.168.1.5"),
            ("192.168.1.5", "192.168.1.5"),
            ("8.8.8.8", "10.0.0.5"),
            ("fe80::9", "fe80::5"),
            ("2001:db8::1", "fe80::5"),
        ] {
            assert_eq!(address_towards(&all, peer.parse().unwrap()).to_string(), want, "{peer}");
        }
        assert_eq!(address_towards(&[], "1.2.3.4".parse().unwrap()).to_string(), "0.0.0.0");
    }
}
