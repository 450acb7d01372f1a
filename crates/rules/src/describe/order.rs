//! The order in which Falco lists things that have no order.
//!
//! Falco keeps names in `std::unordered_set<std::string>` and prints them as the set yields them. Tools
//! compare its listings, so this set yields them in the order of libstdc++ on 64-bit machines: its hash
//! (MurmurHash64A with the library's seed), its bucket counts and its way of linking nodes.

use std::collections::HashMap;

const SEED: u64 = 0xc70f_6907;
const MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;
/// What the bucket count grows to, time after time.
const BUCKETS: [u64; 10] = [13, 29, 59, 127, 257, 541, 1109, 2357, 5087, 10273];

/// A set of names with libstdc++'s order.
#[derive(Clone, Debug)]
pub struct UnorderedNames {
    /// Nodes in the order of insertion: hash, name, and the next node in order.
    nodes: Vec<(u64, String, Option<usize>)>,
    known: HashMap<String, usize>,
    first: Option<usize>,
    /// For each bucket with a node, what comes before its first one.
    buckets: HashMap<u64, Before>,
    count: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Before {
    Start,
    Node(usize),
}

impl Default for UnorderedNames {
    fn default() -> UnorderedNames {
        UnorderedNames {
            nodes: Vec::new(),
            known: HashMap::new(),
            first: None,
            buckets: HashMap::new(),
            count: 1,
        }
    }
}

impl UnorderedNames {
    /// The set of these names, inserted in this order.
    pub fn of<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> UnorderedNames {
        let mut set = UnorderedNames::default();
        names.into_iter().for_each(|name| set.insert(name.as_ref()));
        set
    }

    /// Adds a name.
    pub fn insert(&mut self, name: &str) {
        if self.known.contains_key(name) {
            return;
        }
        self.grow();
        let node = self.nodes.len();
        self.nodes.push((hash(name.as_bytes()), name.to_owned(), None));
        self.known.insert(name.to_owned(), node);
        self.link(node);
    }

    /// The names in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let mut next = self.first;
        std::iter::from_fn(move || {
            let (_, name, after) = self.nodes.get(next?)?;
            next = *after;
            Some(name.as_str())
        })
    }

    fn grow(&mut self) {
        let wanted = self.nodes.len() as u64 + 1;
        if self.count > 1 && wanted <= self.count {
            return;
        }
        let Some(count) = BUCKETS.into_iter().find(|&count| count >= wanted.max(self.count + 1)) else {
            return;
        };
        self.count = count;
        let mut order = Vec::with_capacity(self.nodes.len());
        let mut next = self.first.take();
        while let Some(node) = next {
            next = self.nodes[node].2;
            order.push(node);
        }
        self.buckets.clear();
        order.into_iter().for_each(|node| self.link(node));
    }

    /// Puts a node at the start of its bucket, or, if that is empty, before everything.
    fn link(&mut self, node: usize) {
        let bucket = self.nodes[node].0 % self.count;
        match self.buckets.get(&bucket) {
            Some(Before::Node(before)) => {
                let before = *before;
                self.nodes[node].2 = self.nodes[before].2;
                self.nodes[before].2 = Some(node);
            }
            Some(Before::Start) => {
                self.nodes[node].2 = self.first;
                self.first = Some(node);
            }
            None => {
                self.nodes[node].2 = self.first;
                if let Some(after) = self.first {
                    let bucket = self.nodes[after].0 % self.count;
                    self.buckets.insert(bucket, Before::Node(node));
                }
                self.first = Some(node);
                self.buckets.insert(bucket, Before::Start);
            }
        }
    }
}

fn mix(value: u64) -> u64 {
    value ^ (value >> 47)
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hash = SEED ^ (bytes.len() as u64).wrapping_mul(MULTIPLIER);
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        let mut data = u64::from_le_bytes(word);
        if chunk.len() == 8 {
            data = mix(data.wrapping_mul(MULTIPLIER)).wrapping_mul(MULTIPLIER);
        }
        hash = (hash ^ data).wrapping_mul(MULTIPLIER);
    }
    mix(mix(hash).wrapping_mul(MULTIPLIER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_in_the_order_of_libstdcxx() {
        // As listed by Falco 0.45-dev for a condition that names them from left to right.
        let fields = UnorderedNames::of(["evt.type", "proc.name", "json.value[/test]", "evt.type"]);
        assert_eq!(fields.iter().collect::<Vec<_>>(), ["json.value[/test]", "proc.name", "evt.type"]);
    }

    #[test]
    fn growing_loses_nothing() {
        let names: Vec<String> = (0..1000).map(|n| format!("name{n}")).collect();
        let set = UnorderedNames::of(&names);
        let mut listed: Vec<&str> = set.iter().collect();
        assert_eq!(listed.len(), 1000);
        listed.sort_unstable();
        listed.dedup();
        assert_eq!(listed.len(), 1000);
    }
}
