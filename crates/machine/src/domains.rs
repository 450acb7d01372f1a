//! Domain names of addresses: those names that somebody compares with, and what they stood for when they were last
//! looked up.

use std::net::IpAddr;

use rustc_hash::FxHashMap;

use crate::Text;

/// Names by address.
#[derive(Default, Debug)]
pub(crate) struct Domains(FxHashMap<IpAddr, Vec<Text>>);

impl Domains {
    /// The names that stand for an address, in alphabetical order.
    pub(crate) fn of(&self, address: IpAddr) -> &[Text] {
        // Sockets of both families show IPv4 in IPv6's clothes.
        self.0.get(&address.to_canonical()).map_or(&[], Vec::as_slice)
    }

    /// What a name stands for from now on.
    pub(crate) fn set(&mut self, name: &Text, addresses: &[IpAddr]) {
        for names in self.0.values_mut() {
            names.retain(|known| known != name);
        }
        for address in addresses {
            let names = self.0.entry(address.to_canonical()).or_default();
            if let Err(place) = names.binary_search_by(|known| known[..].cmp(&name[..])) {
                names.insert(place, name.clone());
            }
        }
        self.0.retain(|_, names| !names.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_moves_with_its_addresses() {
        let (one, two) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let mut domains = Domains::default();
        domains.set(&"b.example".into(), &[one, two]);
        domains.set(&"a.example".into(), &[one, "::ffff:10.0.0.1".parse().unwrap()]);
        assert_eq!(domains.of(one), [Text::from("a.example"), Text::from("b.example")]);
        domains.set(&"b.example".into(), &[]);
        assert_eq!(domains.of(one), [Text::from("a.example")]);
        assert!(domains.of(two).is_empty() && domains.0.len() == 1);
    }
}
