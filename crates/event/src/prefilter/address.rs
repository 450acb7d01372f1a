//! Which IP addresses rules ask for.

use std::net::IpAddr;

use super::hash::mix;

/// Words of the bit set that says so.
pub const ADDRESS_WORDS: usize = 16;

/// Addresses, as a bit for the hash of each: one that is found by chance lets an event through that doesn't matter.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Addresses([u64; ADDRESS_WORDS]);

impl Addresses {
    /// Adds one.
    pub fn insert(&mut self, address: IpAddr) {
        let (word, bit) = place(address);
        self.0[word] |= bit;
    }

    /// Whether it may be among them.
    pub fn may_have(&self, address: IpAddr) -> bool {
        let (word, bit) = place(address);
        self.0[word] & bit != 0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// The bits.
    pub fn words(&self) -> &[u64; ADDRESS_WORDS] {
        &self.0
    }
}

/// Where its bit is. An IPv4 address in an IPv6 one is the same.
fn place(address: IpAddr) -> (usize, u64) {
    let hash = match address.to_canonical() {
        IpAddr::V4(four) => mix(0, u32::from_ne_bytes(four.octets()).into()),
        IpAddr::V6(six) => {
            let octets = six.octets();
            let word = |at: usize| octets[at..at + 8].try_into().map_or(0, u64::from_ne_bytes);
            mix(mix(1, word(0)), word(8))
        }
    };
    ((hash >> 60) as usize, 1 << (hash >> 54 & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_found_and_little_else() {
        let mut addresses = Addresses::default();
        assert!(addresses.is_empty());
        for text in ["169.254.169.254", "fd00:ec2::254"] {
            addresses.insert(text.parse().unwrap());
        }
        for text in ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254"] {
            assert!(addresses.may_have(text.parse().unwrap()), "{text}");
        }
        let others = (0..=255u8).filter(|last| addresses.may_have([10, 0, 0, *last].into()));
        assert!(others.count() < 4);
    }
}
