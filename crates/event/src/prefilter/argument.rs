//! Values of an argument, as far as rules tell them apart.

use super::States;
use crate::{Event, EventType, ParamType, types};

/// For each value from 0 on, the class of values that it belongs to: rules make no difference between two of one class.
/// Class 0 has what isn't told apart: values that are not listed, and those for which there are not classes enough.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ArgumentClasses(Box<[u8]>);

impl ArgumentClasses {
    /// How many classes there are, with class 0.
    pub const MOST: usize = 16;

    /// Puts values that have the same answers into one class each. `None` if there are too many of them.
    pub fn new<A: PartialEq>(answers: &[A]) -> Option<ArgumentClasses> {
        let mut known: Vec<&A> = Vec::new();
        let mut classes = Vec::with_capacity(answers.len());
        for answer in answers {
            let place = known.iter().position(|known| *known == answer).unwrap_or_else(|| {
                known.push(answer);
                known.len() - 1
            });
            classes.push(u8::try_from(place + 1).ok()?);
        }
        (known.len() < ArgumentClasses::MOST).then(|| ArgumentClasses(classes.into()))
    }

    /// The class of each value.
    pub fn by_value(&self) -> &[u8] {
        &self.0
    }

    /// The class of a value.
    pub fn of(&self, value: u64) -> u8 {
        usize::try_from(value).ok().and_then(|value| self.0.get(value)).copied().unwrap_or(0)
    }

    /// What a state of a call with a value of a class has set.
    pub const fn bits(class: u8) -> u8 {
        class << 1
    }

    /// The states of calls with values of a class.
    pub const fn states(class: u8) -> States {
        States(3 << ArgumentClasses::bits(class))
    }
}

/// Calls with an argument that rules tell apart, the parameter that it is, and how many values it may have. Sets of flags
/// have too many to be asked one by one.
const PLACES: [(EventType, usize, usize); 1] = [(types::SYSCALL_PTRACE_X, 3, 64)];

/// The parameter of a type's events of which values are told apart.
pub(super) fn place(ty: EventType) -> Option<usize> {
    PLACES.iter().find(|(of, ..)| *of == ty).map(|(_, at, _)| *at)
}

/// How many values that parameter may have; any above count as one.
pub fn values(ty: EventType) -> usize {
    PLACES.iter().find(|(of, ..)| *of == ty).map_or(0, |(_, _, values)| *values)
}

/// The value of that parameter, if the event has it.
pub(super) fn value(event: &Event<'_>, at: usize) -> Option<u64> {
    Some(match *event.param(at)? {
        [a, b] => u16::from_ne_bytes([a, b]).into(),
        [a, b, c, d] => u32::from_ne_bytes([a, b, c, d]).into(),
        _ => return None,
    })
}

/// The bytes that a value of the parameter has in an event.
pub fn bytes(ty: ParamType, value: u64) -> Vec<u8> {
    let bytes = value.to_ne_bytes();
    let width = if matches!(ty, ParamType::Enumflags16) { 2 } else { 4 };
    if cfg!(target_endian = "little") { bytes[..width].to_vec() } else { bytes[8 - width..].to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_with_the_same_answers_are_of_one_class() {
        let classes = ArgumentClasses::new(&[false, true, false, true]).unwrap();
        assert_eq!(classes.by_value(), [1, 2, 1, 2]);
        assert_eq!((classes.of(3), classes.of(4), classes.of(u64::MAX)), (2, 0, 0));
        let many: Vec<usize> = (0..16).collect();
        assert_eq!(ArgumentClasses::new(&many), None);
        assert!(ArgumentClasses::new(&many[1..]).is_some());
    }

    #[test]
    fn places_are_numbers_of_the_call() {
        for (ty, at, _) in PLACES {
            let param = &ty.info().unwrap().params[at];
            assert!(matches!(param.ty, ParamType::Enumflags16), "{}", param.name);
        }
    }
}
