//! The functions for tables, as plugins get them: each calls that of the table it is given, whoever's it is.

use std::ffi::{c_char, c_void};
use std::ptr;

use super::super::abi::{self, Entry, FieldHandle, Rc, StateData, TableInput};

/// Defines functions that call the table's own of the same name, or answer with a failure where it has none.
macro_rules! passed_on {
    ($($functions:ident $($group:ident)? . $name:ident as $here:ident($($argument:ident: $ty:ty),*) $(-> $result:ty)? = $failure:expr;)*) => { $(
        unsafe extern "C" fn $here(table: abi::Table $(, $argument: $ty)*) $(-> $result)? {
            // SAFETY: what plugins have as a table is one of these, given by `get_table` or read from an entry.
            let found = unsafe { table.cast::<TableInput>().as_ref() }.and_then(|input| {
                // SAFETY: a table's functions live as long as the table.
                let functions = unsafe { input.$functions.as_ref() }?;
                Some((input.table, functions$(.$group)?.$name?))
            });
            match found {
                // SAFETY: the table's own function, with the table that it belongs to and what the plugin gives.
                Some((table, function)) => unsafe { function(table $(, $argument)*) },
                None => $failure,
            }
        }
    )* };
}

passed_on! {
    reader old.name as table_name() -> *const c_char = ptr::null();
    reader old.size as table_size() -> u64 = u64::MAX;
    reader old.entry as get_entry(key: *const StateData) -> Entry = ptr::null_mut();
    reader old.read as read_field(entry: Entry, field: FieldHandle, out: *mut StateData) -> Rc = abi::FAILURE;
    reader.release as release_entry(entry: Entry) = ();
    reader.iterate as iterate_entries(visit: abi::IterateFn, state: *mut c_void) -> u32 = 0;
    writer.clear as clear_table() -> Rc = abi::FAILURE;
    writer.erase as erase_entry(key: *const StateData) -> Rc = abi::FAILURE;
    writer.create as create_entry() -> Entry = ptr::null_mut();
    writer.destroy as destroy_entry(entry: Entry) = ();
    writer.add as add_entry(key: *const StateData, entry: Entry) -> Entry = ptr::null_mut();
    writer.write as write_field(entry: Entry, field: FieldHandle, value: *const StateData) -> Rc = abi::FAILURE;
    fields.list as list_fields(count: *mut u32) -> *const abi::TableFieldInfo = ptr::null();
    fields.get as get_field(name: *const c_char, ty: u32) -> FieldHandle = ptr::null_mut();
    fields.add as add_field(name: *const c_char, ty: u32) -> FieldHandle = ptr::null_mut();
}

pub(in crate::host) static READER: abi::Reader = abi::Reader {
    old: abi::OldReader {
        name: Some(table_name),
        size: Some(table_size),
        entry: Some(get_entry),
        read: Some(read_field),
    },
    release: Some(release_entry),
    iterate: Some(iterate_entries),
};
pub(in crate::host) static WRITER: abi::Writer = abi::Writer {
    clear: Some(clear_table),
    erase: Some(erase_entry),
    create: Some(create_entry),
    destroy: Some(destroy_entry),
    add: Some(add_entry),
    write: Some(write_field),
};
pub(in crate::host) static FIELDS: abi::Fields = FIELD_FUNCTIONS;
pub(in crate::host) const FIELD_FUNCTIONS: abi::Fields =
    abi::Fields { list: Some(list_fields), get: Some(get_field), add: Some(add_field) };
