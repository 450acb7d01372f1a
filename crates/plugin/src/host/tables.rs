//! Tables that plugins may look into: this host's threads and containers, with fields that plugins add to them, and the
//! tables that plugins offer to each other. A plugin may use them only while it looks at an event.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use lanner_machine::{Container, Machine, Thread};

use super::abi::{self, Entry, FieldHandle, Rc, StateData, state_type};

/// Fields that plugins may add to a table.
const MAX_ADDED: usize = 256;
/// Values of added fields that are kept; further ones are refused.
const MAX_KEPT: usize = 100_000;

/// The machine that may be looked at, and by whom.
#[derive(Default)]
pub(super) struct Current {
    machine: AtomicPtr<Machine>,
    thread: Mutex<Option<ThreadId>>,
}

impl Current {
    /// Lends the machine to what this thread calls meanwhile.
    pub(super) fn lend<T>(&self, machine: &Machine, call: impl FnOnce() -> T) -> T {
        let mine = thread::current().id();
        let mut owner = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if *owner != Some(mine) {
            *owner = Some(mine);
        }
        drop(owner);
        self.machine.store(ptr::from_ref(machine).cast_mut(), Ordering::Release);
        let answer = call();
        self.machine.store(ptr::null_mut(), Ordering::Release);
        answer
    }

    fn get(&self) -> Option<&Machine> {
        let owner = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if *owner != Some(thread::current().id()) {
            return None;
        }
        // SAFETY: it is not null only while `lend`, on this very thread, holds a reference to it.
        unsafe { self.machine.load(Ordering::Acquire).as_ref() }
    }
}

/// A value in a table.
#[derive(Clone, PartialEq, Debug)]
enum Cell {
    Int(i64),
    Uint(u64),
    Short(u32),
    Truth(bool),
    Text(CString),
}

fn c_text(bytes: &[u8]) -> Cell {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    Cell::Text(CString::new(&bytes[..end]).unwrap_or_default())
}

type OfThread = fn(&Machine, &Thread) -> Cell;
type OfContainer = fn(&Container) -> Cell;

const THREAD_FIELDS: [(&CStr, u32, OfThread); 28] = [
    (c"tid", state_type::INT64, |_, t| Cell::Int(t.tid)),
    (c"pid", state_type::INT64, |_, t| Cell::Int(t.pid)),
    (c"ptid", state_type::INT64, |_, t| Cell::Int(t.ptid)),
    (c"reaper_tid", state_type::INT64, |_, t| Cell::Int(t.reaper)),
    (c"sid", state_type::INT64, |_, t| Cell::Int(t.sid)),
    (c"vtid", state_type::INT64, |_, t| Cell::Int(t.vtid)),
    (c"vpid", state_type::INT64, |_, t| Cell::Int(t.vpid)),
    (c"vpgid", state_type::INT64, |_, t| Cell::Int(t.vpgid)),
    (c"pgid", state_type::INT64, |_, t| Cell::Int(t.pgid)),
    (c"comm", state_type::STRING, |_, t| c_text(&t.comm)),
    (c"exe", state_type::STRING, |_, t| c_text(&t.exe)),
    (c"exe_path", state_type::STRING, |_, t| c_text(&t.executable.path)),
    (c"exe_writable", state_type::BOOL, |_, t| Cell::Truth(t.executable.writable)),
    (c"exe_upper_layer", state_type::BOOL, |_, t| Cell::Truth(t.executable.upper_layer)),
    (c"exe_lower_layer", state_type::BOOL, |_, t| Cell::Truth(t.executable.lower_layer)),
    (c"exe_from_memfd", state_type::BOOL, |_, t| Cell::Truth(t.executable.from_memfd)),
    (c"cwd", state_type::STRING, |m, t| c_text(m.cwd(t))),
    (c"root", state_type::STRING, |_, t| c_text(&t.root)),
    (c"container_id", state_type::STRING, |_, t| c_text(&t.container)),
    (c"flags", state_type::UINT32, |_, t| Cell::Short(t.flags)),
    (c"uid", state_type::UINT32, |_, t| Cell::Short(t.uid)),
    (c"gid", state_type::UINT32, |_, t| Cell::Short(t.gid)),
    (c"loginuid", state_type::UINT32, |_, t| Cell::Short(t.loginuid)),
    (c"tty", state_type::UINT32, |_, t| Cell::Short(t.tty)),
    (c"fd_limit", state_type::INT64, |_, t| Cell::Int(t.fdlimit)),
    (c"exe_ino", state_type::UINT64, |_, t| Cell::Uint(t.executable.ino)),
    (c"clone_ts", state_type::UINT64, |_, t| Cell::Uint(t.clone_ts)),
    (c"pidns_init_start_ts", state_type::UINT64, |_, t| Cell::Uint(t.pidns_init_start_ts)),
];

const CONTAINER_FIELDS: [(&CStr, u32, OfContainer); 8] = [
    (c"id", state_type::STRING, |c| c_text(c.id.as_bytes())),
    (c"full_id", state_type::STRING, |c| c_text(c.full_id.as_bytes())),
    (c"name", state_type::STRING, |c| c_text(c.name.as_bytes())),
    (c"image", state_type::STRING, |c| c_text(c.image.as_bytes())),
    (c"image_repository", state_type::STRING, |c| c_text(c.image_repository.as_bytes())),
    (c"image_tag", state_type::STRING, |c| c_text(c.image_tag.as_bytes())),
    (c"image_id", state_type::STRING, |c| c_text(c.image_id.as_bytes())),
    (c"privileged", state_type::BOOL, |c| Cell::Truth(c.privileged.unwrap_or(false))),
];

/// A key in a table.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Key {
    Thread(i64),
    Container(Vec<u8>),
}

enum Kind {
    Threads,
    Containers,
    /// A plugin's own table, and its functions.
    Offered {
        table: abi::Table,
        reader: abi::Reader,
        writer: Option<abi::Writer>,
        fields: Option<abi::Fields>,
    },
}

// SAFETY: the pointers are the plugin's; they are only handed back to it, by the thread that looks at events.
unsafe impl Send for Kind {}
// SAFETY: as above.
unsafe impl Sync for Kind {}

/// A field added by a plugin.
struct Added {
    name: CString,
    ty: u32,
}

#[derive(Default)]
struct Grown {
    added: Vec<Added>,
    values: HashMap<(Key, usize), Cell>,
    /// What `list_table_fields` has shown last.
    shown: Vec<abi::TableFieldInfo>,
}

// SAFETY: the shown texts are owned by the constants above or by `added`, which only grows.
unsafe impl Send for Grown {}

/// A table.
pub(super) struct TableOf {
    name: CString,
    key_type: u32,
    kind: Kind,
    grown: Mutex<Grown>,
    current: *const Current,
}

// SAFETY: `current` points to what the same `Tables` owns, for as long as the table lives.
unsafe impl Send for TableOf {}
// SAFETY: as above.
unsafe impl Sync for TableOf {}

/// What a plugin holds while it looks at an entry.
struct Held {
    key: Key,
    /// Texts that it was shown.
    texts: Vec<CString>,
}

/// The tables of a loop.
pub(super) struct Tables {
    pub(super) current: Box<Current>,
    /// Boxed, so that plugins can keep their addresses.
    #[allow(clippy::vec_box, reason = "addresses must not change")]
    tables: Mutex<Vec<Box<TableOf>>>,
    shown: Mutex<Vec<abi::TableInfo>>,
}

// SAFETY: the shown names are owned by the tables, which live as long.
unsafe impl Send for Tables {}
// SAFETY: as above; the lists are behind locks.
unsafe impl Sync for Tables {}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tables {
    pub(super) fn new() -> Tables {
        let current = Box::<Current>::default();
        let own = |name: &CStr, key_type, kind| {
            let current = ptr::from_ref(&*current);
            Box::new(TableOf { name: name.to_owned(), key_type, kind, grown: Mutex::default(), current })
        };
        let tables = vec![
            own(c"threads", state_type::INT64, Kind::Threads),
            own(c"containers", state_type::STRING, Kind::Containers),
        ];
        Tables { current, tables: Mutex::new(tables), shown: Mutex::default() }
    }

    /// What `list_tables` answers.
    pub(super) fn list(&self, count: &mut u32) -> *const abi::TableInfo {
        let tables = lock(&self.tables);
        let mut shown = lock(&self.shown);
        *shown =
            tables.iter().map(|t| abi::TableInfo { name: t.name.as_ptr(), key_type: t.key_type }).collect();
        *count = shown.len() as u32;
        shown.as_ptr()
    }

    /// The table of that name, if its keys are of that type.
    pub(super) fn get(&self, name: &CStr, key_type: u32) -> *const TableOf {
        let tables = lock(&self.tables);
        let found = tables.iter().find(|table| *table.name == *name && table.key_type == key_type);
        found.map_or(ptr::null(), |table| ptr::from_ref(&**table))
    }

    /// Takes a table that a plugin offers.
    pub(super) fn add(&self, input: &abi::TableInput) -> Result<(), String> {
        if input.name.is_null() || input.reader.is_null() {
            return Err("a table needs a name and reader_ext".to_owned());
        }
        // SAFETY: the plugin API says that the name ends with a zero.
        let name = unsafe { CStr::from_ptr(input.name) }.to_owned();
        let mut tables = lock(&self.tables);
        if tables.iter().any(|table| table.name == name) {
            return Err(format!("there is a table {} already", name.to_string_lossy()));
        }
        // SAFETY: the plugin API says that these are null or functions that live as long as the plugin.
        let kind = unsafe {
            Kind::Offered {
                table: input.table,
                reader: *input.reader,
                writer: input.writer.as_ref().copied(),
                fields: input.fields.as_ref().copied(),
            }
        };
        let current = ptr::from_ref(&*self.current);
        tables.push(Box::new(TableOf {
            name,
            key_type: input.key_type,
            kind,
            grown: Mutex::default(),
            current,
        }));
        Ok(())
    }

    /// Forgets what plugins kept about threads that are gone.
    pub(super) fn sweep(&self, machine: &Machine) {
        for table in lock(&self.tables).iter() {
            lock(&table.grown).values.retain(|(key, _), _| match key {
                Key::Thread(tid) => machine.thread(*tid).is_some(),
                Key::Container(id) => machine.container(id).is_some(),
            });
        }
    }
}

impl TableOf {
    fn machine(&self) -> Option<&Machine> {
        // SAFETY: see `TableOf::current`.
        unsafe { &*self.current }.get()
    }

    /// Name and type of the fields that the table has by itself.
    fn own(&self) -> Vec<(&'static CStr, u32)> {
        match self.kind {
            Kind::Threads => THREAD_FIELDS.iter().map(|field| (field.0, field.1)).collect(),
            Kind::Containers => CONTAINER_FIELDS.iter().map(|field| (field.0, field.1)).collect(),
            Kind::Offered { .. } => Vec::new(),
        }
    }

    fn key(&self, data: &StateData) -> Option<Key> {
        match self.kind {
            // SAFETY: the type of the key was agreed on when the table was got.
            Kind::Threads => Some(Key::Thread(unsafe { data.int64 })),
            Kind::Containers => {
                // SAFETY: as above; a text ends with a zero.
                let text = unsafe { data.text.as_ref().map(|text| CStr::from_ptr(text)) }?;
                Some(Key::Container(text.to_bytes().to_vec()))
            }
            Kind::Offered { .. } => None,
        }
    }

    fn has(&self, key: &Key) -> bool {
        let Some(machine) = self.machine() else { return false };
        match key {
            Key::Thread(tid) => machine.thread(*tid).is_some(),
            Key::Container(id) => machine.container(id).is_some(),
        }
    }

    /// The value of a field, by its number: the table's own first, then the added ones.
    fn value(&self, key: &Key, number: usize) -> Option<Cell> {
        let own = self.own().len();
        if number >= own {
            let grown = lock(&self.grown);
            let ty = grown.added.get(number - own)?.ty;
            let known = grown.values.get(&(key.clone(), number - own)).cloned();
            return Some(known.unwrap_or_else(|| nothing(ty)));
        }
        let machine = self.machine()?;
        match key {
            Key::Thread(tid) => Some(THREAD_FIELDS[number].2(machine, machine.thread(*tid)?)),
            Key::Container(id) => Some(CONTAINER_FIELDS[number].2(machine.container(id)?)),
        }
    }

    fn field(&self, name: &CStr, ty: u32, add: bool) -> FieldHandle {
        let own = self.own();
        if let Some(number) = own.iter().position(|field| field.0 == name) {
            return if own[number].1 == ty { handle(number) } else { ptr::null_mut() };
        }
        let mut grown = lock(&self.grown);
        if let Some(number) = grown.added.iter().position(|field| *field.name == *name) {
            return if grown.added[number].ty == ty { handle(own.len() + number) } else { ptr::null_mut() };
        }
        if !add || grown.added.len() >= MAX_ADDED || !is_kept(ty) {
            return ptr::null_mut();
        }
        grown.added.push(Added { name: name.to_owned(), ty });
        handle(own.len() + grown.added.len() - 1)
    }
}

/// Numbers of fields travel as handles; none is null.
fn handle(number: usize) -> FieldHandle {
    ptr::without_provenance_mut(number + 1)
}

fn number(handle: FieldHandle) -> Option<usize> {
    handle.addr().checked_sub(1)
}

fn is_kept(ty: u32) -> bool {
    use state_type::{BOOL, INT64, STRING, UINT32, UINT64};
    [INT64, UINT32, UINT64, STRING, BOOL].contains(&ty)
}

fn nothing(ty: u32) -> Cell {
    match ty {
        state_type::INT64 => Cell::Int(0),
        state_type::UINT32 => Cell::Short(0),
        state_type::UINT64 => Cell::Uint(0),
        state_type::BOOL => Cell::Truth(false),
        _ => Cell::Text(CString::default()),
    }
}

/// The functions for tables, as plugins get them.
pub(super) static READER: abi::Reader = abi::Reader {
    old: abi::OldReader {
        name: Some(table_name),
        size: Some(table_size),
        entry: Some(get_entry),
        read: Some(read_field),
    },
    release: Some(release_entry),
    iterate: Some(iterate_entries),
};
pub(super) static WRITER: abi::Writer = abi::Writer {
    clear: Some(clear_table),
    erase: Some(erase_entry),
    create: Some(create_entry),
    destroy: Some(destroy_entry),
    add: Some(add_entry),
    write: Some(write_field),
};
pub(super) static FIELDS: abi::Fields = FIELD_FUNCTIONS;
pub(super) const FIELD_FUNCTIONS: abi::Fields =
    abi::Fields { list: Some(list_fields), get: Some(get_field), add: Some(add_field) };

/// The table behind a pointer that was given out by [`Tables::get`].
///
/// # Safety
/// The pointer must come from there.
unsafe fn of<'a>(table: abi::Table) -> Option<&'a TableOf> {
    // SAFETY: as the caller promises.
    unsafe { table.cast::<TableOf>().as_ref() }
}

unsafe extern "C" fn table_name(table: abi::Table) -> *const c_char {
    // SAFETY: plugins hand back what they were given.
    unsafe { of(table) }.map_or(ptr::null(), |table| table.name.as_ptr())
}

unsafe extern "C" fn table_size(table: abi::Table) -> u64 {
    // SAFETY: see `table_name`; an offered table's functions are the plugin's.
    let Some(this) = (unsafe { of(table) }) else { return u64::MAX };
    match (&this.kind, this.machine()) {
        (Kind::Offered { table, reader, .. }, _) => reader.old.size.map_or(u64::MAX, |f| {
            // SAFETY: the plugin's own function, its own table.
            unsafe { f(*table) }
        }),
        (Kind::Threads, Some(machine)) => machine.threads().count() as u64,
        (Kind::Containers, Some(machine)) => machine.containers().count() as u64,
        _ => u64::MAX,
    }
}

fn hold(key: Key) -> Entry {
    Box::into_raw(Box::new(Held { key, texts: Vec::new() })).cast()
}

unsafe extern "C" fn get_entry(table: abi::Table, key: *const StateData) -> Entry {
    // SAFETY: see `table_name`.
    let (Some(this), Some(data)) = (unsafe { of(table) }, unsafe { key.as_ref() }) else {
        return ptr::null_mut();
    };
    if let Kind::Offered { table, reader, .. } = &this.kind {
        // SAFETY: the plugin's own function, its own table.
        return reader.old.entry.map_or(ptr::null_mut(), |f| unsafe { f(*table, key) });
    }
    this.key(data).filter(|key| this.has(key)).map_or(ptr::null_mut(), hold)
}

unsafe extern "C" fn release_entry(table: abi::Table, entry: Entry) {
    // SAFETY: see `table_name`.
    let Some(this) = (unsafe { of(table) }) else { return };
    if let Kind::Offered { table, reader, .. } = &this.kind {
        // SAFETY: as above.
        return reader.release.map_or((), |f| unsafe { f(*table, entry) });
    }
    if !entry.is_null() {
        // SAFETY: it was made by `hold`, and a plugin releases an entry once.
        drop(unsafe { Box::from_raw(entry.cast::<Held>()) });
    }
}

unsafe extern "C" fn read_field(
    table: abi::Table,
    entry: Entry,
    field: FieldHandle,
    out: *mut StateData,
) -> Rc {
    // SAFETY: see `table_name`.
    let Some(this) = (unsafe { of(table) }) else { return abi::FAILURE };
    if let Kind::Offered { table, reader, .. } = &this.kind {
        // SAFETY: as above.
        return reader.old.read.map_or(abi::FAILURE, |f| unsafe { f(*table, entry, field, out) });
    }
    // SAFETY: the entry was made by `hold` and not yet released; `out` is the plugin's to be filled.
    let (Some(held), Some(out)) = (unsafe { entry.cast::<Held>().as_mut() }, unsafe { out.as_mut() }) else {
        return abi::FAILURE;
    };
    match number(field).and_then(|number| this.value(&held.key, number)) {
        None => return abi::FAILURE,
        Some(Cell::Int(value)) => out.int64 = value,
        Some(Cell::Uint(value)) => out.uint64 = value,
        Some(Cell::Short(value)) => out.uint32 = value,
        Some(Cell::Truth(value)) => out.truth = value.into(),
        Some(Cell::Text(text)) => {
            // A text's bytes don't move when the list of texts grows.
            out.text = text.as_ptr();
            held.texts.push(text);
        }
    }
    abi::SUCCESS
}

unsafe extern "C" fn iterate_entries(table: abi::Table, visit: abi::IterateFn, state: *mut c_void) -> u32 {
    // SAFETY: see `table_name`.
    let Some(this) = (unsafe { of(table) }) else { return 0 };
    let keys: Vec<Key> = match (&this.kind, this.machine()) {
        (Kind::Offered { table, reader, .. }, _) => {
            return reader.iterate.map_or(0, |f| {
                // SAFETY: as above.
                unsafe { f(*table, visit, state) }
            });
        }
        (Kind::Threads, Some(machine)) => machine.threads().map(|thread| Key::Thread(thread.tid)).collect(),
        (Kind::Containers, Some(machine)) => {
            machine.containers().map(|c| Key::Container(c.id.clone().into_bytes())).collect()
        }
        _ => return 0,
    };
    for key in keys {
        let entry = hold(key);
        // SAFETY: the plugin's function, called with what it asked for.
        let go_on = unsafe { visit(state, entry) };
        // SAFETY: made by `hold` above; entries of an iteration are valid during the visit only.
        drop(unsafe { Box::from_raw(entry.cast::<Held>()) });
        if go_on == 0 {
            return 0;
        }
    }
    1
}

unsafe extern "C" fn list_fields(table: abi::Table, count: *mut u32) -> *const abi::TableFieldInfo {
    // SAFETY: see `table_name`.
    let (Some(this), Some(count)) = (unsafe { of(table) }, unsafe { count.as_mut() }) else {
        return ptr::null();
    };
    if let Kind::Offered { table, fields, .. } = &this.kind {
        // SAFETY: as above.
        return fields.and_then(|fields| fields.list).map_or(ptr::null(), |f| unsafe { f(*table, count) });
    }
    let mut grown = lock(&this.grown);
    let own = this.own().into_iter().map(|(name, ty)| (name.as_ptr(), ty, 1));
    let added = grown.added.iter().map(|field| (field.name.as_ptr(), field.ty, 0));
    let info = |(name, ty, read_only)| abi::TableFieldInfo { name, ty, read_only };
    grown.shown = own.chain(added).map(info).collect();
    *count = grown.shown.len() as u32;
    grown.shown.as_ptr()
}

unsafe fn field(table: abi::Table, name: *const c_char, ty: u32, add: bool) -> FieldHandle {
    // SAFETY: see `table_name`; names end with a zero.
    let (Some(this), false) = (unsafe { of(table) }, name.is_null()) else { return ptr::null_mut() };
    if let Kind::Offered { table, fields, .. } = &this.kind {
        let function = fields.and_then(|fields| if add { fields.add } else { fields.get });
        // SAFETY: as above.
        return function.map_or(ptr::null_mut(), |function| unsafe { function(*table, name, ty) });
    }
    // SAFETY: as above.
    this.field(unsafe { CStr::from_ptr(name) }, ty, add)
}

unsafe extern "C" fn get_field(table: abi::Table, name: *const c_char, ty: u32) -> FieldHandle {
    // SAFETY: see `field`.
    unsafe { field(table, name, ty, false) }
}

unsafe extern "C" fn add_field(table: abi::Table, name: *const c_char, ty: u32) -> FieldHandle {
    // SAFETY: see `field`.
    unsafe { field(table, name, ty, true) }
}

/// An offered table and its functions for writing.
unsafe fn offered<'a>(table: abi::Table) -> Option<(abi::Table, &'a abi::Writer)> {
    // SAFETY: see `table_name`.
    match &unsafe { of(table) }?.kind {
        Kind::Offered { table, writer: Some(writer), .. } => Some((*table, writer)),
        // Threads and containers come and go by events alone.
        _ => None,
    }
}

unsafe extern "C" fn clear_table(table: abi::Table) -> Rc {
    // SAFETY: plugins hand back what they were given.
    let (table, clear) = match unsafe { offered(table) } {
        Some((table, abi::Writer { clear: Some(clear), .. })) => (table, clear),
        _ => return abi::FAILURE,
    };
    // SAFETY: as above.
    unsafe { clear(table) }
}

unsafe extern "C" fn erase_entry(table: abi::Table, key: *const StateData) -> Rc {
    // SAFETY: see `clear_table`.
    let (table, erase) = match unsafe { offered(table) } {
        Some((table, abi::Writer { erase: Some(erase), .. })) => (table, erase),
        _ => return abi::FAILURE,
    };
    // SAFETY: as above.
    unsafe { erase(table, key) }
}

unsafe extern "C" fn create_entry(table: abi::Table) -> Entry {
    // SAFETY: see `clear_table`.
    let (table, create) = match unsafe { offered(table) } {
        Some((table, abi::Writer { create: Some(create), .. })) => (table, create),
        _ => return ptr::null_mut(),
    };
    // SAFETY: as above.
    unsafe { create(table) }
}

unsafe extern "C" fn destroy_entry(table: abi::Table, entry: Entry) {
    // SAFETY: see `clear_table`.
    if let Some((table, writer)) = unsafe { offered(table) } {
        if let Some(destroy) = writer.destroy {
            // SAFETY: as above.
            unsafe { destroy(table, entry) };
        }
    }
}

unsafe extern "C" fn add_entry(table: abi::Table, key: *const StateData, entry: Entry) -> Entry {
    // SAFETY: see `clear_table`.
    let (table, add) = match unsafe { offered(table) } {
        Some((table, abi::Writer { add: Some(add), .. })) => (table, add),
        _ => return ptr::null_mut(),
    };
    // SAFETY: as above.
    unsafe { add(table, key, entry) }
}

unsafe extern "C" fn write_field(
    table: abi::Table,
    entry: Entry,
    field: FieldHandle,
    value: *const StateData,
) -> Rc {
    // SAFETY: see `clear_table`.
    if let Some((table, writer)) = unsafe { offered(table) } {
        // SAFETY: as above.
        return writer.write.map_or(abi::FAILURE, |f| unsafe { f(table, entry, field, value) });
    }
    // SAFETY: see `table_name` and `read_field`.
    let (Some(this), Some(held), Some(value)) =
        (unsafe { of(table) }, unsafe { entry.cast::<Held>().as_ref() }, unsafe { value.as_ref() })
    else {
        return abi::FAILURE;
    };
    // Only what plugins have added can be written; the rest is what events say.
    let Some(added) = number(field).and_then(|number| number.checked_sub(this.own().len())) else {
        return abi::FAILURE;
    };
    let mut grown = lock(&this.grown);
    let Some(ty) = grown.added.get(added).map(|field| field.ty) else { return abi::FAILURE };
    // SAFETY: the type was agreed on when the field was added.
    let cell = unsafe {
        match ty {
            state_type::INT64 => Cell::Int(value.int64),
            state_type::UINT32 => Cell::Short(value.uint32),
            state_type::UINT64 => Cell::Uint(value.uint64),
            state_type::BOOL => Cell::Truth(value.truth != 0),
            _ if value.text.is_null() => return abi::FAILURE,
            _ => Cell::Text(CStr::from_ptr(value.text).to_owned()),
        }
    };
    let place = (held.key.clone(), added);
    if grown.values.len() >= MAX_KEPT && !grown.values.contains_key(&place) {
        return abi::FAILURE;
    }
    grown.values.insert(place, cell);
    abi::SUCCESS
}
