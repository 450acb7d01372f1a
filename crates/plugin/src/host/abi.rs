//! Falco's plugin API as C sees it (version 3.12): numbers, structures and function types. A plugin that was built for an
//! earlier 3.x sees the same, with less at the ends of structures.

use std::ffi::{c_char, c_void};

/// The version that is offered.
pub(super) const VERSION: (u32, u32, u32) = (3, 12, 0);
/// The schema of events that is offered.
pub(super) const EVENT_SCHEMA: (u32, u32, u32) = (4, 5, 1);
/// Room for an error's text, its end included.
pub(super) const MAX_ERROR: usize = 1024;

pub(super) type Rc = i32;
pub(super) const SUCCESS: Rc = 0;
pub(super) const FAILURE: Rc = 1;
pub(super) const TIMEOUT: Rc = -1;
pub(super) const EOF: Rc = 2;

/// Types of fields.
pub(super) mod field_type {
    pub const UINT64: u32 = 8;
    pub const STRING: u32 = 9;
    pub const RELTIME: u32 = 20;
    pub const ABSTIME: u32 = 21;
    pub const BOOL: u32 = 25;
    pub const IPADDR: u32 = 40;
    pub const IPNET: u32 = 41;
}

/// Types of what is in tables.
pub(super) mod state_type {
    pub const INT8: u32 = 1;
    pub const INT16: u32 = 2;
    pub const INT32: u32 = 3;
    pub const INT64: u32 = 4;
    pub const UINT8: u32 = 5;
    pub const UINT16: u32 = 6;
    pub const UINT32: u32 = 7;
    pub const UINT64: u32 = 8;
    pub const STRING: u32 = 9;
    pub const TABLE: u32 = 10;
    pub const BOOL: u32 = 25;
}

/// Schema of `init_config`: JSON.
pub(super) const SCHEMA_JSON: u32 = 1;

#[repr(C)]
pub(super) struct EventInput {
    pub event: *const u8,
    pub number: u64,
    pub source: *const c_char,
}

#[repr(C)]
pub(super) struct Buffer {
    pub length: u32,
    pub data: *const u8,
}

#[repr(C)]
pub(super) struct ExtractField {
    /// Points to as many texts, numbers, truths or buffers as there are values, by the field's type.
    pub values: *const c_void,
    pub count: u64,
    pub id: u32,
    pub name: *const c_char,
    pub key: *const c_char,
    pub index: u64,
    pub has_argument: u32,
    pub ty: u32,
    pub list: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(super) union StateData {
    pub byte: u8,
    pub short: u16,
    pub int64: i64,
    pub uint32: u32,
    pub uint64: u64,
    pub text: *const c_char,
    pub truth: u32,
    pub table: Table,
}

#[repr(C)]
pub(super) struct TableInfo {
    pub name: *const c_char,
    pub key_type: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct TableFieldInfo {
    pub name: *const c_char,
    pub ty: u32,
    pub read_only: u32,
}

pub(super) type Owner = *mut c_void;
pub(super) type State = *mut c_void;
pub(super) type Table = *mut c_void;
pub(super) type Entry = *mut c_void;
pub(super) type FieldHandle = *mut c_void;

pub(super) type LastErrorFn = unsafe extern "C" fn(Owner) -> *const c_char;
pub(super) type LogFn = unsafe extern "C" fn(Owner, *const c_char, *const c_char, u32);
pub(super) type IterateFn = unsafe extern "C" fn(*mut c_void, Entry) -> u32;

#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Fields {
    pub list: Option<unsafe extern "C" fn(Table, *mut u32) -> *const TableFieldInfo>,
    pub get: Option<unsafe extern "C" fn(Table, *const c_char, u32) -> FieldHandle>,
    pub add: Option<unsafe extern "C" fn(Table, *const c_char, u32) -> FieldHandle>,
}

/// The first four are what was there before the structure was extended.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct OldReader {
    pub name: Option<unsafe extern "C" fn(Table) -> *const c_char>,
    pub size: Option<unsafe extern "C" fn(Table) -> u64>,
    pub entry: Option<unsafe extern "C" fn(Table, *const StateData) -> Entry>,
    pub read: Option<unsafe extern "C" fn(Table, Entry, FieldHandle, *mut StateData) -> Rc>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Reader {
    pub old: OldReader,
    pub release: Option<unsafe extern "C" fn(Table, Entry)>,
    pub iterate: Option<unsafe extern "C" fn(Table, IterateFn, *mut c_void) -> u32>,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Writer {
    pub clear: Option<unsafe extern "C" fn(Table) -> Rc>,
    pub erase: Option<unsafe extern "C" fn(Table, *const StateData) -> Rc>,
    pub create: Option<unsafe extern "C" fn(Table) -> Entry>,
    pub destroy: Option<unsafe extern "C" fn(Table, Entry)>,
    pub add: Option<unsafe extern "C" fn(Table, *const StateData, Entry) -> Entry>,
    pub write: Option<unsafe extern "C" fn(Table, Entry, FieldHandle, *const StateData) -> Rc>,
}

/// A table and its functions. Whoever has a table has a pointer to one of these.
#[repr(C)]
pub(super) struct TableInput {
    pub name: *const c_char,
    pub key_type: u32,
    /// What the functions get.
    pub table: Table,
    pub old_reader: OldReader,
    pub old_writer: Writer,
    pub old_fields: Fields,
    /// From here on only since version 3.1.
    pub reader: *const Reader,
    pub writer: *const Writer,
    pub fields: *const Fields,
}

#[repr(C)]
pub(super) struct TablesInput {
    pub list: unsafe extern "C" fn(Owner, *mut u32) -> *const TableInfo,
    pub get: unsafe extern "C" fn(Owner, *const c_char, u32) -> Table,
    pub add: unsafe extern "C" fn(Owner, *const TableInput) -> Rc,
    pub old_fields: Fields,
    pub fields: *const Fields,
    pub reader: *const Reader,
    pub writer: *const Writer,
}

#[repr(C)]
pub(super) struct InitInput {
    pub config: *const c_char,
    pub owner: Owner,
    pub last_error: LastErrorFn,
    pub tables: *const TablesInput,
    pub log: LogFn,
}

#[repr(C)]
pub(super) struct ExtractInput {
    pub owner: Owner,
    pub last_error: LastErrorFn,
    pub count: u32,
    pub fields: *mut ExtractField,
    pub old_reader: OldReader,
    pub reader: *const Reader,
    pub offsets: *mut c_void,
}

#[repr(C)]
pub(super) struct ParseInput {
    pub owner: Owner,
    pub last_error: LastErrorFn,
    pub old_reader: OldReader,
    pub old_writer: Writer,
    pub reader: *const Reader,
    pub writer: *const Writer,
}

pub(super) type RoutineFn = unsafe extern "C" fn(State, *mut c_void) -> u32;

#[repr(C)]
pub(super) struct Routines {
    pub subscribe: unsafe extern "C" fn(Owner, RoutineFn, *mut c_void) -> *mut c_void,
    pub unsubscribe: unsafe extern "C" fn(Owner, *mut c_void) -> Rc,
}

#[repr(C)]
pub(super) struct CaptureInput {
    pub owner: Owner,
    pub routines: *const Routines,
    pub reader: *const Reader,
    pub writer: *const Writer,
    pub last_error: LastErrorFn,
}

#[repr(C)]
pub(super) struct Metric {
    pub name: *const c_char,
    pub kind: u32,
    pub value: u64,
    pub value_type: u32,
}

#[repr(C)]
pub(super) struct ConfigInput {
    pub config: *const c_char,
}

pub(super) type AsyncHandler = unsafe extern "C" fn(Owner, *const u8, *mut c_char) -> Rc;
