//! Tables that plugins may look into: this host's threads, their fds, arguments, environments and cgroups, and its
//! containers, with fields that plugins add to them; and the tables that plugins offer to each other. A plugin may use
//! them only while it is started, while it looks at an event, and where events begin and end to come.

mod cell;
mod columns;
mod dispatch;
mod grown;
mod lent;
mod own;

use std::ffi::{CStr, CString, c_void};
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lanner_machine::Machine;

use super::abi::{self, state_type};
use columns::Kind;
pub(super) use dispatch::{FIELD_FUNCTIONS, FIELDS, READER, WRITER};
use lent::Lent;
use own::Own;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A table that a plugin offers, in the form that today's API has.
struct Offered {
    name: CString,
    input: abi::TableInput,
    reader: abi::Reader,
    writer: abi::Writer,
    fields: abi::Fields,
}

/// The tables of a loop.
pub(super) struct Tables {
    lent: Box<Lent>,
    /// Boxed, as the offered ones, so that plugins can keep their addresses.
    own: [Box<Own>; 2],
    #[allow(clippy::vec_box, reason = "addresses must not change")]
    offered: Mutex<Vec<Box<Offered>>>,
    shown: Mutex<Vec<abi::TableInfo>>,
}

// SAFETY: names and functions are owned by what lives as long, or by the plugins, whose code stays; they are used by the
// thread that looks at events, or behind locks.
unsafe impl Send for Tables {}
// SAFETY: as above.
unsafe impl Sync for Tables {}

impl Tables {
    pub(super) fn new() -> Tables {
        let lent = Box::<Lent>::default();
        let own = [Kind::Threads, Kind::Containers].map(|kind| Own::new(kind, None, &lent));
        Tables { lent, own, offered: Mutex::default(), shown: Mutex::default() }
    }

    /// Lends the machine to what this thread calls meanwhile.
    pub(super) fn lend<T>(&self, machine: &Machine, call: impl FnOnce() -> T) -> T {
        self.lent.lend(machine, call)
    }

    /// Why a function of a table failed since the last call.
    pub(super) fn take_error(&self) -> Option<String> {
        self.lent.take_error()
    }

    /// What `list_tables` answers.
    pub(super) fn list(&self, count: &mut u32) -> *const abi::TableInfo {
        let offered = lock(&self.offered);
        let mut shown = lock(&self.shown);
        let own = self.own.iter().map(|table| &table.input);
        let all = own.chain(offered.iter().map(|table| &table.input));
        *shown = all.map(|input| abi::TableInfo { name: input.name, key_type: input.key_type }).collect();
        *count = shown.len() as u32;
        shown.as_ptr()
    }

    /// The table of that name, if its keys are of that type.
    pub(super) fn get(&self, name: &CStr, key_type: u32) -> *const abi::TableInput {
        let offered = lock(&self.offered);
        let own = self.own.iter().map(|table| (table.kind.name(), &table.input));
        let mut all = own.chain(offered.iter().map(|table| (table.name.as_c_str(), &table.input)));
        let found = all.find(|(known, input)| *known == name && input.key_type == key_type);
        found.map_or(ptr::null(), |(_, input)| ptr::from_ref(input))
    }

    /// Takes a table that a plugin offers. `extended`: the plugin's version of the API has functions to release and to
    /// iterate over entries.
    ///
    /// # Safety
    /// The input must be as that version of the API has it.
    pub(super) unsafe fn add(&self, input: *const abi::TableInput, extended: bool) -> Result<(), String> {
        // SAFETY: as the caller promises; only what every version has is read here.
        let (name, old) = unsafe { ((*input).name, &raw const (*input).old_reader) };
        if name.is_null() {
            return Err("a table needs a name".to_owned());
        }
        // SAFETY: the plugin API says that the name ends with a zero.
        let name = unsafe { CStr::from_ptr(name) }.to_owned();
        // SAFETY: what the older version has not is not read.
        let (reader, writer, fields) = unsafe {
            if extended {
                let input = &*input;
                (
                    input.reader.as_ref().copied(),
                    input.writer.as_ref().copied(),
                    input.fields.as_ref().copied(),
                )
            } else {
                let reader =
                    abi::Reader { old: *old, release: Some(keep_entry), iterate: Some(no_iteration) };
                (Some(reader), Some((*input).old_writer), Some((*input).old_fields))
            }
        };
        let Some(reader) = reader else { return Err("a table needs reader_ext".to_owned()) };
        let mut offered = lock(&self.offered);
        let known = offered.iter().any(|table| table.name == name);
        if known || self.own.iter().any(|table| table.kind.name() == name.as_c_str()) {
            return Err(format!("there is a table {} already", name.to_string_lossy()));
        }
        let none =
            abi::Writer { clear: None, erase: None, create: None, destroy: None, add: None, write: None };
        let (writer, fields) =
            (writer.unwrap_or(none), fields.unwrap_or(abi::Fields { list: None, get: None, add: None }));
        // SAFETY: as above; both stand in every version.
        let (key_type, table) = unsafe { ((*input).key_type, (*input).table) };
        let input = abi::TableInput::new(key_type, table, reader, writer, fields);
        let mut taken = Box::new(Offered { name, input, reader, writer, fields });
        taken.input.name = taken.name.as_ptr();
        taken.input.reader = &raw const taken.reader;
        taken.input.writer = &raw const taken.writer;
        taken.input.fields = &raw const taken.fields;
        offered.push(taken);
        Ok(())
    }

    /// Forgets what plugins kept about threads, fds and containers that are gone.
    pub(super) fn sweep(&self, machine: &Machine) {
        self.lent.sweep(machine);
    }
}

unsafe extern "C" fn keep_entry(_: abi::Table, _: abi::Entry) {}

unsafe extern "C" fn no_iteration(_: abi::Table, _: abi::IterateFn, _: *mut c_void) -> u32 {
    0
}

impl abi::TableInput {
    /// A table without name and extended functions, whose addresses are yet to be known.
    fn new(
        key_type: u32,
        table: abi::Table,
        reader: abi::Reader,
        writer: abi::Writer,
        fields: abi::Fields,
    ) -> abi::TableInput {
        abi::TableInput {
            name: ptr::null(),
            key_type,
            table,
            old_reader: reader.old,
            old_writer: writer,
            old_fields: fields,
            reader: ptr::null(),
            writer: ptr::null(),
            fields: ptr::null(),
        }
    }
}

impl Kind {
    /// The type of the table's keys.
    fn key_type(self) -> u32 {
        match self {
            Kind::Threads | Kind::Fds => state_type::INT64,
            Kind::Containers => state_type::STRING,
            Kind::Args | Kind::Env | Kind::Cgroups => state_type::UINT64,
        }
    }
}
