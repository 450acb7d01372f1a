//! Fields that plugins have added to tables, and their values.

use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::hash::Hash;
use std::sync::Mutex;

use rustc_hash::FxHashMap;

use super::cell::{Cell, is_kept, nothing};
use super::lock;

/// Fields that plugins may add to a table.
const MAX_ADDED: usize = 256;
/// Values of added fields that are kept; further ones are refused.
const MAX_KEPT: usize = 100_000;

/// Whose a value is. A thread or fd has a number that no later one of the same id has.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Bearer {
    Born(u64),
    Named(Vec<u8>),
}

struct Added {
    name: CString,
    ty: u32,
}

#[derive(Default)]
struct State {
    /// It only grows, so that plugins may keep the names' addresses.
    added: Vec<Added>,
    values: FxHashMap<(Bearer, usize), Cell>,
}

/// The fields added to a kind of tables.
#[derive(Default)]
pub(super) struct Grown(Mutex<State>);

impl Grown {
    /// The number of a field, if it is of that type; `add`: which is made where there is none.
    pub(super) fn field(&self, name: &CStr, ty: u32, add: bool) -> Result<usize, String> {
        let mut state = lock(&self.0);
        let shown = name.to_string_lossy();
        if let Some(number) = state.added.iter().position(|field| *field.name == *name) {
            return match state.added[number].ty {
                known if known == ty => Ok(number),
                known => Err(format!("field {shown} is of type {known}, not {ty}")),
            };
        }
        match () {
            () if !add => Err(format!("there is no field {shown}")),
            () if !is_kept(ty) => Err(format!("a field can't be of type {ty}")),
            () if state.added.len() >= MAX_ADDED => {
                Err(format!("there are {MAX_ADDED} added fields already"))
            }
            () => {
                state.added.push(Added { name: name.to_owned(), ty });
                Ok(state.added.len() - 1)
            }
        }
    }

    /// Shows name and type of each.
    pub(super) fn each(&self, mut show: impl FnMut(&CStr, u32)) {
        lock(&self.0).added.iter().for_each(|field| show(&field.name, field.ty));
    }

    /// The type of a field.
    pub(super) fn ty(&self, number: usize) -> Option<u32> {
        lock(&self.0).added.get(number).map(|field| field.ty)
    }

    /// What was last written, or nothing of the field's type.
    pub(super) fn read(&self, bearer: Option<Bearer>, number: usize) -> Option<(Cell, u32)> {
        let state = lock(&self.0);
        let ty = state.added.get(number)?.ty;
        let known = bearer.and_then(|bearer| state.values.get(&(bearer, number)).cloned());
        Some((known.unwrap_or_else(|| nothing(ty)), ty))
    }

    /// Writes a value of the field's type.
    pub(super) fn write(&self, bearer: Bearer, number: usize, value: Cell) -> Result<(), String> {
        let mut state = lock(&self.0);
        let place = (bearer, number);
        if state.values.len() >= MAX_KEPT && !state.values.contains_key(&place) {
            return Err(format!("{MAX_KEPT} values are kept already"));
        }
        state.values.insert(place, value);
        Ok(())
    }

    /// Forgets the values of those that are not among the living.
    pub(super) fn keep_born<I: Iterator<Item = u64>>(&self, living: impl FnOnce() -> I) {
        let mut state = lock(&self.0);
        if state.values.is_empty() {
            return;
        }
        let living: HashSet<u64, rustc_hash::FxBuildHasher> = living().collect();
        state.values.retain(|(bearer, _), _| matches!(bearer, Bearer::Born(born) if living.contains(born)));
    }

    /// Forgets the values of those that `is` doesn't know.
    pub(super) fn keep_named(&self, is: impl Fn(&[u8]) -> bool) {
        lock(&self.0).values.retain(|(bearer, _), _| matches!(bearer, Bearer::Named(name) if is(name)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::abi::state_type::{INT32, STRING, TABLE};

    #[test]
    fn a_field_is_made_once_and_of_one_type() {
        let grown = Grown::default();
        assert_eq!(grown.field(c"a", INT32, false).unwrap_err(), "there is no field a");
        assert_eq!(grown.field(c"a", INT32, true), Ok(0));
        assert_eq!(grown.field(c"a", INT32, true), Ok(0));
        assert_eq!(grown.field(c"a", STRING, true).unwrap_err(), "field a is of type 3, not 9");
        assert_eq!(grown.field(c"b", TABLE, true).unwrap_err(), "a field can't be of type 10");
    }

    #[test]
    fn values_go_with_those_who_had_them() {
        let grown = Grown::default();
        let number = grown.field(c"a", INT32, true).unwrap();
        for born in [1, 2] {
            grown.write(Bearer::Born(born), number, Cell::Number(born)).unwrap();
        }
        grown.keep_born(|| [2].into_iter());
        let read = |born| grown.read(Some(Bearer::Born(born)), number).unwrap().0;
        assert_eq!((read(1), read(2)), (Cell::Number(0), Cell::Number(2)));
        assert!(grown.read(None, 7).is_none());
    }
}
