//! Types as compilers and kernels describe them (BTF; Documentation/bpf/btf.rst): read, looked up, and extracted.
//!
//! libbpf looks for each type that the programs name through all of the kernel's, 130,000, one after the other. So it
//! is given an extract that holds no others.

use std::collections::HashSet;

/// What a type is, by its number in the format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
    fn is_asked_for(self) -> bool {
        matches!(
            self,
            Kind::STRUCT | Kind::UNION | Kind::ENUM | Kind::ENUM64 | Kind::TYPEDEF | Kind::FORWARD | Kind::INT
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
        let text = self.bytes.get(self.strings + one.name as usize..).unwrap_or_default();
        &text[..text.iter().position(|&byte| byte == 0).unwrap_or(0)]
    }

    /// What the type at `at` of one is made of, or points to.
    fn reference(&self, one: Type) -> u32 {
        number(&self.bytes, one.at + 8).unwrap_or(0)
    }

    /// Names of what programs with these types may ask a kernel for, without what stands behind `___`.
    pub fn asked_for(&self) -> HashSet<&[u8]> {
        let named = self.iter().filter(|(_, one)| one.kind.is_asked_for());
        named.map(|(_, one)| essential(self.name(one))).filter(|name| !name.is_empty()).collect()
    }

    /// The number of each type that is asked for by kind and name; the first of several, 0 where there is none.
    pub fn find<const N: usize>(&self, asked: [(Kind, &str); N]) -> [u32; N] {
        let mut found = [0; N];
        for (id, one) in self.iter() {
            if !asked.iter().any(|(kind, _)| *kind == one.kind) {
                continue;
            }
            let name = self.name(one);
            for ((kind, asked), found) in asked.iter().zip(&mut found) {
                if *found == 0 && *kind == one.kind && asked.as_bytes() == name {
                    *found = id;
                }
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
        let roots = self.iter().filter(|(_, one)| one.kind.is_asked_for());
        let mut todo: Vec<u32> =
            roots.filter(|(_, one)| names.contains(essential(self.name(*one)))).map(|(id, _)| id).collect();
        while let Some(id) = todo.pop() {
            let slot = kept.get_mut(id as usize)?;
            if id != 0 && *slot == 0 {
                *slot = 1;
                let one = self.get(id)?;
                todo.extend(self.places(one).filter_map(|at| number(&self.bytes, at)));
            }
        }
        let mut count = 0;
        for slot in kept.iter_mut().filter(|slot| **slot != 0) {
            count += 1;
            *slot = count;
        }
        let mut types = Vec::new();
        for (id, one) in self.iter().filter(|(id, _)| kept[*id as usize] != 0) {
            let begin = types.len();
            let len = 12 + one.kind.rest(one.elements)?;
            types.extend_from_slice(self.bytes.get(one.at..one.at + len)?);
            let mut put = |at: usize, value: u32| {
                types[begin + at - one.at..][..4].copy_from_slice(&value.to_ne_bytes());
            };
            if one.kind == Kind::POINTER {
                put(one.at + 8, 0);
            }
            for at in self.places(one) {
                put(at, *kept.get(number(&self.bytes, at)? as usize)?);
            }
            debug_assert_ne!(id, 0);
        }
        let strings = self.bytes.get(self.strings..self.strings + number(&self.bytes, 20)? as usize)?;
        let lengths = [0, types.len(), types.len(), strings.len()];
        let mut out = self.bytes.get(..4)?.to_vec();
        out.extend_from_slice(&(HEADER as u32).to_ne_bytes());
        for length in lengths {
            out.extend_from_slice(&u32::try_from(length).ok()?.to_ne_bytes());
        }
        out.extend_from_slice(&types);
        out.extend_from_slice(strings);
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
    let variant = name.windows(3).rposition(|three| three == b"___").filter(|at| *at > 0);
    variant.map_or(name, |at| &name[..at])
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}
