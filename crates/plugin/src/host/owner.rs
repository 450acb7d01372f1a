//! What a plugin sees of the one who runs it: errors, the log, tables.

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::abi;
use super::async_events::{Dump, Inbox};
use super::instance::Shared;
use super::library::Foreign;
use super::library::text;
use super::routines::Running;
use super::tables::{FIELD_FUNCTIONS, FIELDS, READER, Tables, WRITER};

/// Takes a plugin's log lines: how serious (1 is fatal, 8 finest), and the text.
pub type Tell = Arc<dyn Fn(u32, &str) + Send + Sync>;

/// Stands behind the pointer that plugins hand back in each call.
pub(super) struct Owner {
    pub(super) plugin: &'static Foreign,
    tell: Tell,
    error: Mutex<CString>,
    state: AtomicPtr<c_void>,
    pub(super) tables: Arc<Tables>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) source_id: u32,
    /// What it tells of its state, while it is asked.
    pub(super) dump: Dump,
    pub(super) routines: Running,
}

impl Owner {
    pub(super) fn new(plugin: &'static Foreign, tell: Tell, shared: &Shared) -> Owner {
        Owner {
            plugin,
            tell,
            error: Mutex::default(),
            state: AtomicPtr::default(),
            tables: Arc::clone(&shared.tables),
            inbox: Arc::clone(&shared.inbox),
            source_id: shared.source_id,
            dump: Dump::default(),
            routines: Running::default(),
        }
    }

    /// The plugin's own state.
    pub(super) fn state(&self) -> abi::State {
        self.state.load(Ordering::Acquire)
    }

    pub(super) fn set_state(&self, state: abi::State) {
        self.state.store(state, Ordering::Release);
    }

    pub(super) fn as_ptr(&self) -> abi::Owner {
        ptr::from_ref(self).cast_mut().cast()
    }

    fn fail(&self, why: &str) {
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) =
            CString::new(why.replace('\0', " ")).unwrap_or_default();
    }
}

/// The functions by which a plugin finds tables.
pub(super) static TABLES: abi::TablesInput = abi::TablesInput {
    list: list_tables,
    get: get_table,
    add: add_table,
    old_fields: FIELD_FUNCTIONS,
    fields: &raw const FIELDS,
    reader: &raw const READER,
    writer: &raw const WRITER,
};

// SAFETY: it holds functions, and pointers to functions that never change.
unsafe impl Sync for abi::TablesInput {}

/// The owner behind a pointer that was given to a plugin.
unsafe fn of<'a>(owner: abi::Owner) -> Option<&'a Owner> {
    // SAFETY: plugins hand back the pointer that they were given, while their owner lives.
    unsafe { owner.cast::<Owner>().as_ref() }
}

pub(super) unsafe extern "C" fn last_error(owner: abi::Owner) -> *const c_char {
    // SAFETY: see `of`.
    let Some(owner) = (unsafe { of(owner) }) else { return ptr::null() };
    if let Some(why) = owner.tables.take_error() {
        owner.fail(&why);
    }
    owner.error.lock().unwrap_or_else(PoisonError::into_inner).as_ptr()
}

pub(super) unsafe extern "C" fn log(
    owner: abi::Owner,
    component: *const c_char,
    message: *const c_char,
    severity: u32,
) {
    // SAFETY: see `of`.
    let Some(owner) = (unsafe { of(owner) }) else { return };
    let component = if component.is_null() { owner.plugin.name.clone() } else { text(component) };
    (owner.tell)(severity, &format!("{component}: {}", text(message).trim_end()));
}

unsafe extern "C" fn list_tables(owner: abi::Owner, count: *mut u32) -> *const abi::TableInfo {
    // SAFETY: see `of`; `count` is the plugin's to be filled.
    match (unsafe { of(owner) }, unsafe { count.as_mut() }) {
        (Some(owner), Some(count)) => owner.tables.list(count),
        _ => ptr::null(),
    }
}

unsafe extern "C" fn get_table(owner: abi::Owner, name: *const c_char, key_type: u32) -> abi::Table {
    // SAFETY: see `of`; names end with a zero.
    let (Some(owner), false) = (unsafe { of(owner) }, name.is_null()) else { return ptr::null_mut() };
    // SAFETY: as above.
    let name = unsafe { CStr::from_ptr(name) };
    let table = owner.tables.get(name, key_type);
    if table.is_null() {
        owner.fail(&format!("there is no table {} with keys of type {key_type}", name.to_string_lossy()));
    }
    table.cast_mut().cast()
}

unsafe extern "C" fn add_table(owner: abi::Owner, input: *const abi::TableInput) -> abi::Rc {
    // SAFETY: see `of`.
    let (Some(owner), false) = (unsafe { of(owner) }, input.is_null()) else { return abi::FAILURE };
    // SAFETY: the input is as the plugin's version of the API has it.
    match unsafe { owner.tables.add(input, owner.plugin.has_extended_tables()) } {
        Ok(()) => abi::SUCCESS,
        Err(why) => {
            owner.fail(&why);
            abi::FAILURE
        }
    }
}
