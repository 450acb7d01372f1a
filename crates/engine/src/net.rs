//! Addresses and networks as rules write them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network: an address and how many of its leading bits count.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Network {
    V4 { base: u32, mask: u32 },
    V6 { base: u128, mask: u128 },
}

impl Network {
    /// Whether the address lies in it; never if one is of IPv4 and the other of IPv6.
    pub(crate) fn holds(&self, address: IpAddr) -> bool {
        match (self, address) {
            (Network::V4 { base, mask }, IpAddr::V4(address)) => address.to_bits() & mask == *base,
            (Network::V6 { base, mask }, IpAddr::V6(address)) => address.to_bits() & mask == *base,
            _ => false,
        }
    }

    fn v4(address: Ipv4Addr, bits: u32) -> Network {
        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        Network::V4 { base: address.to_bits() & mask, mask }
    }

    fn v6(address: Ipv6Addr, bits: u32) -> Network {
        let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
        Network::V6 { base: address.to_bits() & mask, mask }
    }
}

/// What Falco says of a text that is no address.
pub(crate) fn address(text: &str) -> Result<IpAddr, String> {
    if text.contains('.') && !text.contains(':') {
        let parsed = text.parse().map(IpAddr::V4);
        parsed.map_err(|_| format!("unrecognized IPv4 address {text}"))
    } else {
        let parsed = text.parse().map(IpAddr::V6);
        parsed.map_err(|_| format!("unrecognized IPv6 address {text}"))
    }
}

/// What Falco says of a text that is no network.
pub(crate) fn network(text: &str) -> Result<Network, String> {
    let v4 = text.contains('.') && !text.contains(':');
    let Some((base, bits)) = text.split_once('/') else {
        let what = if v4 { "unrecognized IP network " } else { "invalid v6 netmask: " };
        return Err(format!("{what}{text}"));
    };
    let length =
        crate::number::unsigned(bits.as_bytes(), 8).ok_or_else(|| format!("{bits} is not a valid number"))?;
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    if v4 {
        let base = base.parse().map_err(|_| format!("unrecognized IP address {text}"))?;
        if length > 32 {
            return Err(format!("invalid netmask {bits}"));
        }
        Ok(Network::v4(base, length))
    } else {
        let base = base.parse().map_err(|_| format!("unrecognized IPv6 address {text}"))?;
        if length > 128 {
            return Err(format!("invalid v6 netmask {bits}"));
        }
        Ok(Network::v6(base, length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses() {
        let holds = |net: &str, address: &str| network(net).unwrap().holds(address.parse().unwrap());
        assert!(holds("10.0.0.0/8", "10.200.3.4"));
        assert!(holds("10.9.9.9/8", "10.200.3.4"));
        assert!(!holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("0.0.0.0/0", "1.2.3.4"));
        assert!(!holds("0.0.0.0/0", "::1"));
        assert!(holds("192.168.1.1/32", "192.168.1.1"));
        assert!(holds("fe80::/10", "fe80::1"));
        assert!(!holds("fe80::/10", "::1"));
        assert!(holds("::/0", "::1"));
    }

    #[test]
    fn what_is_no_network_is_named() {
        assert_eq!(network("10.0.0.0").unwrap_err(), "unrecognized IP network 10.0.0.0");
        assert_eq!(network("10.0.0.0/33").unwrap_err(), "invalid netmask 33");
        assert_eq!(network("10.0.0/8").unwrap_err(), "unrecognized IP address 10.0.0/8");
        assert_eq!(address("10.0.0").unwrap_err(), "unrecognized IPv4 address 10.0.0");
        assert_eq!(address("x").unwrap_err(), "unrecognized IPv6 address x");
    }
}
