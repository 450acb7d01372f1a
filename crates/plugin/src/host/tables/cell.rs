//! Values in tables.

use std::ffi::{CStr, CString};

use super::super::abi::{StateData, state_type};
use super::columns::Kind;

/// A value in a table.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Cell {
    /// A number or a truth, by its bits.
    Number(u64),
    Text(CString),
    /// A table of its own.
    Inner(Kind),
}

impl From<&[u8]> for Cell {
    /// The text up to its first zero.
    fn from(bytes: &[u8]) -> Cell {
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        Cell::Text(CString::new(&bytes[..end]).unwrap_or_default())
    }
}

macro_rules! numbers {
    ($($ty:ty),*) => { $(
        impl From<$ty> for Cell {
            fn from(number: $ty) -> Cell {
                Cell::Number(number as u64)
            }
        }
    )* };
}

numbers!(bool, u8, u16, u32, u64, i64);

/// Whether plugins may add fields of a type.
pub(super) fn is_kept(ty: u32) -> bool {
    width(ty).is_some() || ty == state_type::STRING
}

/// Bytes of a type's numbers.
fn width(ty: u32) -> Option<u8> {
    use state_type::{BOOL, INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64};
    Some(match ty {
        INT8 | UINT8 => 1,
        INT16 | UINT16 => 2,
        INT32 | UINT32 | BOOL => 4,
        INT64 | UINT64 => 8,
        _ => return None,
    })
}

/// What a field of a type has where nothing was written.
pub(super) fn nothing(ty: u32) -> Cell {
    if width(ty).is_some() { Cell::Number(0) } else { Cell::Text(CString::default()) }
}

/// Writes a number of a type where a plugin reads it.
pub(super) fn put(number: u64, ty: u32, out: &mut StateData) {
    match width(ty) {
        Some(1) => out.byte = number as u8,
        Some(2) => out.short = number as u16,
        Some(4) => out.uint32 = number as u32,
        _ => out.uint64 = number,
    }
}

/// What a plugin gives for a field of a type.
///
/// # Safety
/// What it gives must be of that type; a text must be null or end with a zero.
pub(super) unsafe fn taken(data: &StateData, ty: u32) -> Option<Cell> {
    // SAFETY: as the caller promises.
    unsafe {
        Some(match width(ty) {
            Some(1) => Cell::Number(data.byte.into()),
            Some(2) => Cell::Number(data.short.into()),
            Some(4) if ty == state_type::BOOL => Cell::Number((data.truth != 0).into()),
            Some(4) => Cell::Number(data.uint32.into()),
            Some(_) => Cell::Number(data.uint64),
            None if data.text.is_null() => return None,
            None => Cell::Text(CStr::from_ptr(data.text).to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_taken_again() {
        use state_type::{BOOL, INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64};
        for ty in [INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64, BOOL] {
            for number in [0, 1] {
                let mut data = StateData { uint64: u64::MAX };
                put(number, ty, &mut data);
                // SAFETY: it was put as this type.
                assert_eq!(unsafe { taken(&data, ty) }, Some(Cell::Number(number)), "type {ty}");
            }
            assert!(is_kept(ty));
        }
        assert!(is_kept(state_type::STRING) && !is_kept(state_type::TABLE) && !is_kept(77));
    }
}
