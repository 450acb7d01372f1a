//! Which IP addresses and networks rules ask for.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::hash::mix;

/// Words of the bit set that says so.
pub const ADDRESS_WORDS: usize = 32;

/// How many leading bits of an address are told apart from all others; those of an IPv4 address are counted in the IPv6
/// address that has it in it.
pub const ADDRESS_LENGTHS: [u32; 13] = [7, 10, 16, 24, 32, 48, 64, 104, 108, 112, 120, 124, 128];

/// Bits before an IPv4 address in an IPv6 one.
const BEFORE_IPV4: u32 = 96;

/// Addresses that begin alike; a single one, if all of its bits count. IPv4 is the same as IPv4 in IPv6.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Network {
    base: Ipv6Addr,
    len: u32,
}

impl Network {
    /// That of addresses of which so many leading bits are the same as those of `base`, or a larger one: as far as one of
    /// [`ADDRESS_LENGTHS`] tells. `None` if that says too little to be worth a look.
    pub fn new(base: IpAddr, bits: u32) -> Option<Network> {
        let (bits, shortest) = match base {
            IpAddr::V4(_) => (BEFORE_IPV4 + bits, BEFORE_IPV4 + 1),
            IpAddr::V6(_) => (bits, 1),
        };
        let fits = |len: &u32| (shortest..=bits).contains(len);
        let len = ADDRESS_LENGTHS.into_iter().rev().find(fits)?;
        Some(Network { base: (in_ipv6(base).to_bits() & mask(len)).into(), len })
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Network {
        Network { base: in_ipv6(address), len: 128 }
    }
}

/// Networks, as a bit for the hash of each: one that is found by chance lets an event through that doesn't matter.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Addresses {
    bits: [u64; ADDRESS_WORDS],
    masks: Vec<[u64; 2]>,
}

impl Addresses {
    /// Those of some networks. If there are any, the address that says nothing is among them.
    pub fn new(networks: &BTreeSet<Network>) -> Addresses {
        let mut addresses = Addresses::default();
        if networks.is_empty() {
            return addresses;
        }
        let nothing = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()].map(Network::from);
        let lengths: BTreeSet<u32> = networks.iter().chain(&nothing).map(|network| network.len).collect();
        for (at, len) in lengths.into_iter().enumerate() {
            addresses.masks.push(words(mask(len).into()));
            for network in networks.iter().chain(&nothing).filter(|network| network.len == len) {
                let (word, bit) = place(at, words(network.base));
                addresses.bits[word] |= bit;
            }
        }
        addresses
    }

    /// Whether an address may lie in one of them.
    pub fn may_have(&self, address: IpAddr) -> bool {
        let [high, low] = words(in_ipv6(address));
        self.masks.iter().enumerate().any(|(at, mask)| {
            let (word, bit) = place(at, [high & mask[0], low & mask[1]]);
            self.bits[word] & bit != 0
        })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.masks.is_empty()
    }

    /// The bits.
    pub fn bits(&self) -> &[u64; ADDRESS_WORDS] {
        &self.bits
    }

    /// Which bits of an address count, for each length that there is.
    pub fn masks(&self) -> &[[u64; 2]] {
        &self.masks
    }
}

fn mask(len: u32) -> u128 {
    u128::MAX << (128 - len)
}

fn in_ipv6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(four) => four.to_ipv6_mapped(),
        IpAddr::V6(six) => six,
    }
}

/// An address as two numbers, as they lie in memory.
fn words(address: Ipv6Addr) -> [u64; 2] {
    let octets = address.octets();
    [0, 8].map(|at| octets[at..at + 8].try_into().map_or(0, u64::from_ne_bytes))
}

/// Where the bit of the beginning of an address is, by which mask it was made.
fn place(mask: usize, words: [u64; 2]) -> (usize, u64) {
    let hash = mix(mix(mask as u64, words[1]), words[0]);
    ((hash >> 59) as usize, 1 << (hash >> 53 & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn network(base: &str, bits: u32) -> Option<Network> {
        Network::new(address(base), bits)
    }

    #[test]
    fn what_was_put_in_is_found_and_little_else() {
        let all = ["169.254.169.254", "fd00:ec2::254"].map(|text| Network::from(address(text)));
        let addresses = Addresses::new(&all.into());
        for text in ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "0.0.0.0", "::"] {
            assert!(addresses.may_have(address(text)), "{text}");
        }
        let others = (0..=255u8).filter(|last| addresses.may_have([10, 0, 0, *last].into()));
        assert!(others.count() < 4);
        assert!(Addresses::new(&BTreeSet::new()).is_empty() && !Addresses::default().may_have(address("::")));
    }

    #[test]
    fn networks_hold_their_addresses_and_few_others() {
        let all = [network("10.9.8.7", 8), network("172.16.0.0", 12), network("fe80::", 10)];
        let addresses = Addresses::new(&all.into_iter().flatten().collect());
        for text in ["10.0.0.1", "10.255.3.4", "::ffff:10.1.1.1", "172.31.9.9", "fe80::1", "febf::9"] {
            assert!(addresses.may_have(address(text)), "{text}");
        }
        let others = (0..=255u8).filter(|first| addresses.may_have([*first, 44, 0, 1].into()));
        assert!(others.count() < 8);
        assert!(!addresses.may_have(address("172.32.0.1")) && !addresses.may_have(address("::1")));
    }

    #[test]
    fn a_network_is_taken_for_no_smaller_one() {
        assert_eq!(network("10.1.2.3", 15), network("10.0.0.0", 12));
        assert_eq!(network("10.1.2.3", 32), Some(address("10.1.2.3").into()));
        assert_eq!(network("10.1.2.3", 7), None);
        assert_eq!(network("fc00::", 7).map(|network| network.len), Some(7));
        assert_eq!(network("2000::", 3), None);
        assert_eq!(network("::ffff:10.0.0.0", 104), network("10.0.0.0", 8));
    }
}
