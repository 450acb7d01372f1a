//! Types as compilers and kernels describe them (BTF; Documentation/bpf/btf.rst): read, looked up, and extracted.
//!
//! libbpf looks for each type that the programs name through all of the kernel's, 130,000, one after the other. So it
//! is given an extract that holds no others.

use std::collections::{HashMap, HashSet};

/// What a type is, by its number in the format.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Kind(pub u32);

impl Kind {
    const INT: Kind = Kind(1);
    const POINTER: Kind = Kind(2);
    const ARRAY: Kind = Kind(3);
    /// `struct`.
    pub const STRUCT: Kind = Kind(4);
    const UNION: Kind = Kind(5);
    const ENUM: Kind = Kind(6);
    const FORWARD: Kind = Kind(7);
    /// `typedef`, which the kernel's tracepoints have, too.
    pub const TYPEDEF: Kind = Kind(8);
    const VOLATILE: Kind = Kind(9);
    const CONST: Kind = Kind(10);
    const RESTRICT: Kind = Kind(11);
    /// A function.
    pub const FUNC: Kind = Kind(12);
    const PROTOTYPE: Kind = Kind(13);
    const VARIABLE: Kind = Kind(14);
    const SECTION: Kind = Kind(15);
    const FLOAT: Kind = Kind(16);
    const DECL_TAG: Kind = Kind(17);
    const TYPE_TAG: Kind = Kind(18);
    const ENUM64: Kind = Kind(19);

    /// Bytes behind the first twelve, with so many elements.
    fn rest(self, elements: usize) -> Option<usize> {
        Some(match self {
            Kind::INT | Kind::VARIABLE | Kind::DECL_TAG => 4,
            Kind::ARRAY => 12,
            Kind::STRUCT | Kind::UNION | Kind::SECTION | Kind::ENUM64 => 12 * elements,
            Kind::ENUM | Kind::PROTOTYPE => 8 * elements,
            Kind::POINTER
            | Kind::FORWARD
            | Kind::TYPEDEF
            | Kind::VOLATILE
            | Kind::CONST
            | Kind::RESTRICT
            | Kind::FUNC
            | Kind::FLOAT
            | Kind::TYPE_TAG => 0,
            _ => return None,
        })
    }

    /// Whether programs may ask for a type of this kind by its name.
    fn is_askable(self) -> bool {
        matches!(
            self,
            Kind::STRUCT
                | Kind::UNION
                | Kind::ENUM
                | Kind::ENUM64
                | Kind::TYPEDEF
                | Kind::FORWARD
                | Kind::INT
        )
    }

    /// Whether it is another type, changed a little.
    fn is_change(self) -> bool {
        matches!(self, Kind::TYPEDEF | Kind::VOLATILE | Kind::CONST | Kind::RESTRICT | Kind::TYPE_TAG)
    }
}

const HEADER: usize = 24;
const MAGIC: u16 = 0xeb9f;

/// The types of a kernel or of an object.
pub struct Types {
    bytes: Vec<u8>,
    strings: usize,
    /// Where each type begins; its number is its place, plus one.
    at: Vec<u32>,
}

/// One type.
#[derive(Clone, Copy)]
struct Type {
    at: usize,
    name: u32,
    kind: Kind,
    elements: usize,
}

impl Type {
    /// Where in the bytes its name stands, and those of its elements.
    fn names(self) -> impl Iterator<Item = usize> {
        let (step, count) = match self.kind {
            Kind::STRUCT | Kind::UNION | Kind::ENUM64 => (12, self.elements),
            Kind::ENUM => (8, self.elements),
            _ => (0, 0),
        };
        std::iter::once(self.at).chain((0..count).map(move |n| self.at + 12 + n * step))
    }
}

impl Types {
    /// Reads them. `None`: they are of a form that isn't known here, or broken.
    pub fn parse(bytes: Vec<u8>) -> Option<Types> {
        if bytes.len() < HEADER || u16::from_ne_bytes(bytes[..2].try_into().ok()?) != MAGIC {
            return None;
        }
        let field = |at| number(&bytes, at).map(|n| n as usize);
        let header = field(4)?;
        let begin = header.checked_add(field(8)?)?;
        let end = begin.checked_add(field(12)?)?;
        let strings = header.checked_add(field(16)?)?;
        if end > bytes.len() || strings.checked_add(field(20)?)? > bytes.len() {
            return None;
        }
        let mut types = Types { bytes, strings, at: Vec::new() };
        let mut next = begin;
        while next < end {
            let one = types.at(next)?;
            types.at.push(u32::try_from(next).ok()?);
            next = next.checked_add(12 + one.kind.rest(one.elements)?)?;
        }
        (next == end).then_some(types)
    }

    fn at(&self, at: usize) -> Option<Type> {
        let info = number(&self.bytes, at + 4)?;
        Some(Type {
            at,
            name: number(&self.bytes, at)?,
            kind: Kind(info >> 24 & 0x1f),
            elements: (info & 0xffff) as usize,
        })
    }

    fn get(&self, id: u32) -> Option<Type> {
        self.at(*self.at.get(usize::try_from(id).ok()?.checked_sub(1)?)? as usize)
    }

    fn iter(&self) -> impl Iterator<Item = (u32, Type)> + '_ {
        (1..).zip(self.at.iter().filter_map(|at| self.at(*at as usize)))
    }

    fn name(&self, one: Type) -> &[u8] {
        self.text(one.name)
    }

    fn text(&self, at: u32) -> &[u8] {
        let text = self.bytes.get(self.strings + at as usize..).unwrap_or_default();
        &text[..text.iter().position(|&byte| byte == 0).unwrap_or(0)]
    }

    /// What the type at `at` of one is made of, or points to.
    fn reference(&self, one: Type) -> u32 {
        number(&self.bytes, one.at + 8).unwrap_or(0)
    }

    /// The number of each type that programs may ask a kernel for, and its name without its variant.
    pub fn askable(&self) -> impl Iterator<Item = (u32, &[u8])> {
        let askable = self.iter().filter(|(_, one)| one.kind.is_askable());
        askable.map(|(id, one)| (id, essential(self.name(one)))).filter(|(_, name)| !name.is_empty())
    }

    /// The numbers of types that are asked for by kind and name; of several the first, of those that aren't there none.
    pub fn find<'a>(&self, asked: &[(Kind, &'a str)]) -> HashMap<(Kind, &'a str), u32> {
        let mut found = HashMap::new();
        let kinds = asked.iter().fold(0u32, |kinds, (kind, _)| kinds | 1 << kind.0);
        for (id, one) in self.iter().filter(|(_, one)| kinds & 1 << one.kind.0 != 0) {
            let name = self.name(one);
            for key in asked.iter().filter(|(kind, asked)| *kind == one.kind && asked.as_bytes() == name) {
                found.entry(*key).or_insert(id);
            }
        }
        found
    }

    /// How many parameters a function has that a type stands for, by whatever way.
    pub fn parameters(&self, mut id: u32) -> Option<usize> {
        for _ in 0..8 {
            let one = self.get(id)?;
            match one.kind {
                Kind::PROTOTYPE => return Some(one.elements),
                kind if kind.is_change() || kind == Kind::POINTER || kind == Kind::FUNC => {
                    id = self.reference(one);
                }
                _ => return None,
            }
        }
        None
    }

    /// These types alone, with all that lies in them; what they point to is left out. Numbers are others there.
    pub fn extract(&self, names: &HashSet<&[u8]>) -> Option<Vec<u8>> {
        let mut kept = vec![0u32; self.at.len() + 1];
        let mut todo: Vec<u32> =
            self.askable().filter(|(_, name)| names.contains(name)).map(|(id, _)| id).collect();
        let mut ids = Vec::new();
        while let Some(id) = todo.pop() {
            let slot = kept.get_mut(id as usize)?;
            if id != 0 && *slot == 0 {
                *slot = 1;
                ids.push(id);
                todo.extend(self.places(self.get(id)?).filter_map(|at| number(&self.bytes, at)));
            }
        }
        ids.sort_unstable();
        for (new, id) in (1..).zip(&ids) {
            kept[*id as usize] = new;
        }
        let (mut types, mut strings, mut known) = (Vec::new(), vec![0], HashMap::from([(0, 0)]));
        for id in ids {
            let one = self.get(id)?;
            let begin = types.len();
            types.extend_from_slice(self.bytes.get(one.at..one.at + 12 + one.kind.rest(one.elements)?)?);
            let mut put = |at: usize, value: u32| {
                types[begin + at - one.at..][..4].copy_from_slice(&value.to_ne_bytes());
            };
            for at in one.names() {
                let name = number(&self.bytes, at)?;
                let new = *known.entry(name).or_insert_with(|| {
                    let at = strings.len() as u32;
                    strings.extend_from_slice(self.text(name));
                    strings.push(0);
                    at
                });
                put(at, new);
            }
            if one.kind == Kind::POINTER {
                put(one.at + 8, 0);
            }
            for at in self.places(one) {
                put(at, *kept.get(number(&self.bytes, at)? as usize)?);
            }
        }
        let mut out = self.bytes.get(..4)?.to_vec();
        for word in [HEADER, 0, types.len(), types.len(), strings.len()] {
            out.extend_from_slice(&u32::try_from(word).ok()?.to_ne_bytes());
        }
        out.append(&mut types);
        out.append(&mut strings);
        Some(out)
    }

    /// Where in the bytes the numbers of the types stand that lie in one.
    fn places(&self, one: Type) -> impl Iterator<Item = usize> + use<> {
        let (first, step, count) = match one.kind {
            kind if kind.is_change() => (8, 4, 1),
            // of its elements, and of its index
            Kind::ARRAY => (12, 4, 2),
            Kind::STRUCT | Kind::UNION => (16, 12, one.elements),
            _ => (0, 0, 0),
        };
        (0..count).map(move |n| one.at + first + n * step)
    }
}

/// A type's name without its variant: what stands behind the last `___`.
fn essential(name: &[u8]) -> &[u8] {
    let variant = name
        .windows(5)
        .rposition(|five| matches!(five, [a, b'_', b'_', b'_', b] if ![*a, *b].contains(&b'_')));
    variant.map_or(name, |at| &name[..=at])
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Types in the kernel's form: their names, kinds, and what follows the first two words.
    fn types(of: &[(&str, u32, u32, &[u32])]) -> Vec<u8> {
        let (mut strings, mut body) = (vec![0u8], Vec::new());
        for (name, kind, elements, words) in of {
            let at = if name.is_empty() { 0 } else { strings.len() as u32 };
            strings.extend(name.bytes().chain((!name.is_empty()).then_some(0)));
            for word in [&[at, kind << 24 | elements], *words].concat() {
                body.extend_from_slice(&word.to_ne_bytes());
            }
        }
        let mut bytes = MAGIC.to_ne_bytes().to_vec();
        bytes.extend([1, 0]);
        let header = [HEADER, 0, body.len(), body.len(), strings.len()];
        bytes.extend(header.iter().flat_map(|n| (*n as u32).to_ne_bytes()));
        bytes.extend(body.into_iter().chain(strings));
        bytes
    }

    fn sample() -> Vec<u8> {
        types(&[
            ("int", 1, 0, &[4, 32]),
            ("other", 4, 1, &[4, 0, 1, 0]),
            ("", 2, 0, &[2]),                          // 3: a pointer to it
            ("inner", 4, 1, &[4, 0, 1, 0]),            // 4: a structure of a number
            ("outer", 4, 2, &[16, 0, 4, 0, 0, 6, 64]), // 5: of that, and of 6
            ("", 10, 0, &[3]),                         // 6: a constant pointer
            ("run", 12, 0, &[8]),
            ("", 13, 2, &[0, 0, 1, 0, 3]),
            ("btf_trace_x", 8, 0, &[10]),
            ("", 2, 0, &[8]),
        ])
    }

    #[test]
    fn types_are_found_by_kind_and_name() {
        let types = Types::parse(sample()).unwrap();
        let asked = [
            (Kind::STRUCT, "outer"),
            (Kind::FUNC, "run"),
            (Kind::FUNC, "outer"),
            (Kind::TYPEDEF, "btf_trace_x"),
        ];
        let found = types.find(&asked);
        assert_eq!(asked.map(|key| found.get(&key).copied()), [Some(5), Some(7), None, Some(9)]);
        assert_eq!((types.parameters(9), types.parameters(7), types.parameters(5)), (Some(2), Some(2), None));
    }

    #[test]
    fn an_extract_has_what_is_asked_for_and_what_lies_in_it() {
        let all = Types::parse(sample()).unwrap();
        let extract = Types::parse(all.extract(&[&b"outer"[..]].into()).unwrap()).unwrap();
        let kinds: Vec<u32> = extract.iter().map(|(_, one)| one.kind.0).collect();
        assert_eq!(kinds, [1, 2, 4, 4, 10]);
        let asked = ["outer", "inner", "other"].map(|name| (Kind::STRUCT, name));
        let found = extract.find(&asked);
        assert_eq!(asked.map(|key| found.get(&key).copied()), [Some(4), Some(3), None]);
        let outer = extract.get(4).unwrap();
        let of: Vec<u32> = extract.places(outer).filter_map(|at| number(&extract.bytes, at)).collect();
        assert_eq!(of, [3, 5]);
        // what it pointed to is not there
        assert_eq!(extract.reference(extract.get(2).unwrap()), 0);
        assert_eq!(extract.name(outer), b"outer");
    }

    #[test]
    fn what_is_broken_is_refused() {
        let bytes = sample();
        assert!(Types::parse(bytes[..bytes.len() - 1].to_vec()).is_none());
        assert!(Types::parse(Vec::new()).is_none());
        let mut unknown = bytes.clone();
        unknown[HEADER + 7] = 31;
        assert!(Types::parse(unknown).is_none());
    }

    proptest::proptest! {
        /// However they are damaged, types are read to what is left of them, or refused.
        #[test]
        fn damage_harms_nothing(damage in proptest::collection::vec((0usize..400, 0u8..), 1..6)) {
            let mut bytes = sample();
            for (at, byte) in damage {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            if let Some(types) = Types::parse(bytes) {
                let names: HashSet<&[u8]> = types.askable().map(|(_, name)| name).collect();
                if let Some(extract) = types.extract(&names) {
                    proptest::prop_assert!(Types::parse(extract).is_some());
                }
                types.find(&[(Kind::STRUCT, "outer"), (Kind::FUNC, "run")]);
                assert!((0..12).all(|id| types.parameters(id).is_none_or(|n| n <= 0xffff)));
            }
        }
    }

    #[test]
    fn variants_of_a_name_are_left_out() {
        for (name, expected) in [
            ("inode___6_6", "inode"),
            ("inode", "inode"),
            ("__x", "__x"),
            ("a____b", "a____b"),
            ("a___", "a___"),
        ] {
            assert_eq!(essential(name.as_bytes()), expected.as_bytes());
        }
    }
}
