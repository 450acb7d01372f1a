//! Which ports rules ask for.

use std::collections::BTreeSet;

/// Words of the bit set that says so.
pub const PORT_WORDS: usize = 1 << 10;

/// Ports, a bit for each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ports(Box<[u64; PORT_WORDS]>);

impl Default for Ports {
    fn default() -> Ports {
        Ports(Box::new([0; PORT_WORDS]))
    }
}

impl Ports {
    /// Some ports. If there are any, 0, which says nothing, is among them.
    pub fn new(all: &BTreeSet<u16>) -> Ports {
        let mut ports = Ports::default();
        let nothing = (!all.is_empty()).then_some(0);
        for port in all.iter().copied().chain(nothing) {
            ports.0[usize::from(port >> 6)] |= 1 << (port & 63);
        }
        ports
    }

    /// Whether it is among them.
    pub fn has(&self, port: u16) -> bool {
        self.0[usize::from(port >> 6)] >> (port & 63) & 1 != 0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        !self.has(0)
    }

    /// The bits.
    pub fn bits(&self) -> &[u64; PORT_WORDS] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_what_was_put_in_and_what_says_nothing() {
        let ports = Ports::new(&[3333, 4444, 65_535].into());
        let all: Vec<u16> = (0..=u16::MAX).filter(|port| ports.has(*port)).collect();
        assert_eq!(all, [0, 3333, 4444, 65_535]);
        assert!(!ports.is_empty() && Ports::new(&BTreeSet::new()).is_empty());
    }
}
