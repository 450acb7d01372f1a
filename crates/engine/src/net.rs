//! Addresses and networks as rules write them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network: an address and how many of its leading bits count.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Network {
    V4 { base: u32, mask: u32 },
    V6 { base: u128, mask: u128 },
}

/// A set of networks: for each length of prefix the bases in order, so that thousands cost a search per length.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Networks {
    v4: Box<[Prefixes<u32>]>,
    v6: Box<[Prefixes<u128>]>,
}

/// Networks whose prefixes are equally long.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Prefixes<T> {
    mask: T,
    /// In order, each once.
    bases: Box<[T]>,
}

impl Networks {
    pub(crate) fn new(networks: &[Network]) -> Networks {
        let (mut v4, mut v6) = (BTreeMap::<u32, Vec<u32>>::new(), BTreeMap::<u128, Vec<u128>>::new());
        for network in networks {
            match *network {
                Network::V4 { base, mask } => v4.entry(mask).or_default().push(base),
                Network::V6 { base, mask } => v6.entry(mask).or_default().push(base),
            }
        }
        Networks { v4: by_mask(v4), v6: by_mask(v6) }
    }

    /// Whether the address lies in one of them; an address of IPv4 lies in none of IPv6.
    pub(crate) fn hold(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => {
                let bits = address.to_bits();
                self.v4.iter().any(|prefixes| prefixes.bases.binary_search(&(bits & prefixes.mask)).is_ok())
            }
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                self.v6.iter().any(|prefixes| prefixes.bases.binary_search(&(bits & prefixes.mask)).is_ok())
            }
        }
    }

    /// Each network: an address in it, and how many of its leading bits count.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (IpAddr, u32)> {
        let v4 = self.v4.iter().flat_map(|of| of.bases.iter().map(|base| (of.mask, *base)));
        let v6 = self.v6.iter().flat_map(|of| of.bases.iter().map(|base| (of.mask, *base)));
        let v4 = v4.map(|(mask, base)| (Ipv4Addr::from(base).into(), mask.leading_ones()));
        v4.chain(v6.map(|(mask, base)| (Ipv6Addr::from(base).into(), mask.leading_ones())))
    }

    /// How many searches that takes at most.
    pub(crate) fn searches(&self) -> usize {
        self.v4.len().max(self.v6.len())
    }
}

fn by_mask<T: Ord>(bases: BTreeMap<T, Vec<T>>) -> Box<[Prefixes<T>]> {
    let prefixes = |(mask, mut bases): (T, Vec<T>)| {
        bases.sort_unstable();
        bases.dedup();
        Prefixes { mask, bases: bases.into() }
    };
    bases.into_iter().map(prefixes).collect()
}

impl Network {
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
    use proptest::prelude::*;

    use super::*;

    /// By the definition: the leading bits are the same.
    fn holds(network: &Network, address: IpAddr) -> bool {
        match (network, address) {
            (Network::V4 { base, mask }, IpAddr::V4(address)) => address.to_bits() & mask == *base,
            (Network::V6 { base, mask }, IpAddr::V6(address)) => address.to_bits() & mask == *base,
            _ => false,
        }
    }

    fn any_network() -> impl Strategy<Value = Network> {
        // Few different bits, so that addresses lie in several, in one and in none.
        let v4 = (0..4_u32, 0..4_u32, 0..=32_u32)
            .prop_map(|(high, low, bits)| Network::v4((high << 30 | low).into(), bits));
        let v6 = (0..4_u128, 0..4_u128, 0..=128_u32)
            .prop_map(|(high, low, bits)| Network::v6((high << 126 | low).into(), bits));
        prop_oneof![v4, v6]
    }

    proptest! {
        #[test]
        fn a_set_holds_what_one_of_its_networks_holds(
            networks in proptest::collection::vec(any_network(), 0..20),
            high in 0..4_u32,
            low in 0..4_u32,
            four in any::<bool>(),
        ) {
            let address = match four {
                true => IpAddr::V4((high << 30 | low).into()),
                false => IpAddr::V6((u128::from(high) << 126 | u128::from(low)).into()),
            };
            let expected = networks.iter().any(|network| holds(network, address));
            prop_assert_eq!(Networks::new(&networks).hold(address), expected);
        }
    }

    #[test]
    fn thousands_of_networks_are_searched_once_for_each_length() {
        let networks: Vec<Network> =
            (0..5_000_u32).map(|n| Network::v4(Ipv4Addr::from(n << 12), 20 + n % 3)).collect();
        let set = Networks::new(&networks);
        assert_eq!(set.searches(), 3);
        assert!(set.hold(Ipv4Addr::from(4_998 << 12).into()) && !set.hold(Ipv4Addr::from(u32::MAX).into()));
    }

    #[test]
    fn networks_hold_their_addresses() {
        let holds =
            |net: &str, address: &str| Networks::new(&[network(net).unwrap()]).hold(address.parse().unwrap());
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
    fn networks_are_told_one_by_one() {
        let texts = ["10.0.0.0/8", "1.2.3.4/32", "fe80::/10"];
        let networks = Networks::new(&texts.map(|text| network(text).unwrap()));
        let mut told: Vec<String> = networks.iter().map(|(base, bits)| format!("{base}/{bits}")).collect();
        told.sort();
        assert_eq!(told, ["1.2.3.4/32", "10.0.0.0/8", "fe80::/10"]);
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
