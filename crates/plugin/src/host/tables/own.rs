//! Lanner's own tables: views of the machine.

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;
use std::sync::Mutex;

use lanner_machine::{Machine, TextList};

use super::super::abi::{self, Entry, FieldHandle, Rc, StateData};
use super::cell::{Cell, nothing, put, taken};
use super::columns::{Kind, Read};
use super::grown::{Bearer, Grown};
use super::lent::Lent;
use super::lock;

/// A key in a table.
#[derive(Clone, PartialEq, Debug)]
enum Key {
    /// Of an entry that is in no table: all it has is nothing, and the tables inside of it are empty.
    New,
    Thread(i64),
    Container(Vec<u8>),
    Fd(i64),
    Item(u64),
}

/// What a plugin holds while it looks at an entry.
struct Held {
    key: Key,
    /// Texts that it was shown.
    texts: Vec<CString>,
}

/// A table.
pub(super) struct Own {
    /// How plugins see it; its `table` points to this structure.
    pub(super) input: abi::TableInput,
    pub(super) kind: Kind,
    /// The thread that a table inside of an entry belongs to.
    pub(super) of: Option<i64>,
    lent: *const Lent,
    /// What `list_table_fields` has shown last.
    shown: Mutex<Vec<abi::TableFieldInfo>>,
}

static OWN_READER: abi::Reader = abi::Reader {
    old: abi::OldReader {
        name: Some(name),
        size: Some(size),
        entry: Some(get_entry),
        read: Some(read_field),
    },
    release: Some(release_entry),
    iterate: Some(iterate_entries),
};
static OWN_WRITER: abi::Writer = abi::Writer {
    clear: Some(clear),
    erase: Some(erase_entry),
    create: Some(create_entry),
    destroy: Some(release_entry),
    add: Some(add_entry),
    write: Some(write_field),
};
static OWN_FIELDS: abi::Fields =
    abi::Fields { list: Some(list_fields), get: Some(get_field), add: Some(add_field) };

impl Own {
    /// `lent` must live as long as the table.
    pub(super) fn new(kind: Kind, of: Option<i64>, lent: &Lent) -> Box<Own> {
        let input =
            abi::TableInput::new(kind.key_type(), ptr::null_mut(), OWN_READER, OWN_WRITER, OWN_FIELDS);
        let mut own = Box::new(Own { input, kind, of, lent, shown: Mutex::default() });
        own.input.table = ptr::from_ref(&*own).cast_mut().cast();
        own.input.name = kind.name().as_ptr();
        own.input.reader = &raw const OWN_READER;
        own.input.writer = &raw const OWN_WRITER;
        own.input.fields = &raw const OWN_FIELDS;
        own
    }

    /// Stands for another table from now on.
    pub(super) fn become_other(&mut self, kind: Kind, of: Option<i64>) {
        (self.kind, self.of) = (kind, of);
        (self.input.name, self.input.key_type) = (kind.name().as_ptr(), kind.key_type());
    }

    /// The pointer that plugins get.
    pub(super) fn as_table(&self) -> abi::Table {
        ptr::from_ref(&self.input).cast_mut().cast()
    }

    fn lent(&self) -> &Lent {
        // SAFETY: see `Own::new`.
        unsafe { &*self.lent }
    }

    fn grown(&self) -> Option<&Grown> {
        self.lent().grown(self.kind)
    }

    fn fail(&self, why: &str) {
        self.lent().fail(format!("table {}: {why}", self.kind.name().to_string_lossy()));
    }

    fn key(&self, data: &StateData) -> Option<Key> {
        // SAFETY: the type of the key was agreed on when the table was got; a text is null or ends with a zero.
        unsafe {
            match self.kind {
                Kind::Threads => Some(Key::Thread(data.int64)),
                Kind::Fds => Some(Key::Fd(data.int64)),
                Kind::Args | Kind::Env | Kind::Cgroups => Some(Key::Item(data.uint64)),
                Kind::Containers if data.text.is_null() => None,
                Kind::Containers => Some(Key::Container(CStr::from_ptr(data.text).to_bytes().to_vec())),
            }
        }
    }

    /// The texts of a list.
    fn list<'m>(&self, machine: &'m Machine) -> Option<&'m TextList> {
        let thread = machine.thread(self.of?)?;
        match self.kind {
            Kind::Args => Some(&thread.args),
            Kind::Env => Some(machine.env(thread)),
            Kind::Cgroups => Some(&thread.cgroups),
            _ => None,
        }
    }

    fn has(&self, key: &Key) -> bool {
        let Some(machine) = self.lent().machine() else { return false };
        match key {
            Key::New => true,
            Key::Thread(tid) => machine.thread(*tid).is_some(),
            Key::Container(id) => machine.container(id).is_some(),
            Key::Fd(num) => self.of.is_some_and(|tid| machine.fd(tid, *num).is_some()),
            Key::Item(nth) => self.list(machine).is_some_and(|list| *nth < list.len() as u64),
        }
    }

    fn keys(&self, machine: &Machine) -> Vec<Key> {
        match self.kind {
            Kind::Threads => machine.threads().map(|thread| Key::Thread(thread.tid)).collect(),
            Kind::Containers => {
                machine.containers().map(|c| Key::Container(c.id.clone().into_bytes())).collect()
            }
            Kind::Fds => {
                self.of.into_iter().flat_map(|tid| machine.fds(tid)).map(|fd| Key::Fd(fd.num)).collect()
            }
            Kind::Args | Kind::Env | Kind::Cgroups => {
                (0..self.list(machine).map_or(0, TextList::len) as u64).map(Key::Item).collect()
            }
        }
    }

    fn size(&self) -> u64 {
        let Some(machine) = self.lent().machine() else {
            return if self.is_inner_of_nothing() { 0 } else { u64::MAX };
        };
        match self.kind {
            Kind::Threads => machine.threads().count() as u64,
            Kind::Containers => machine.containers().count() as u64,
            Kind::Fds => self.of.map_or(0, |tid| machine.fds(tid).count() as u64),
            Kind::Args | Kind::Env | Kind::Cgroups => self.list(machine).map_or(0, TextList::len) as u64,
        }
    }

    /// Whether it is inside of an entry that is in no table.
    fn is_inner_of_nothing(&self) -> bool {
        self.of.is_none() && !matches!(self.kind, Kind::Threads | Kind::Containers)
    }

    /// Whose values an entry's added fields are.
    fn bearer(&self, key: &Key) -> Option<Bearer> {
        let machine = self.lent().machine()?;
        match key {
            Key::Thread(tid) => machine.thread_birth(*tid).map(Bearer::Born),
            Key::Container(id) => machine.container(id).map(|_| Bearer::Named(id.clone())),
            Key::Fd(num) => machine.fd_birth(self.of?, *num).map(Bearer::Born),
            Key::New | Key::Item(_) => None,
        }
    }

    /// The value of a field and its type, by its number: the table's own first, then the added ones.
    fn value(&self, key: &Key, number: usize) -> Option<(Cell, u32)> {
        let columns = self.kind.columns();
        let Some(column) = columns.get(number) else {
            return self.grown()?.read(self.bearer(key), number - columns.len());
        };
        let machine = self.lent().machine();
        let cell = match (column.read, key) {
            (Read::Inner(kind), _) => Cell::Inner(kind),
            (_, Key::New) => nothing(column.ty),
            (Read::Thread(read), Key::Thread(tid)) => read(machine?, machine?.thread(*tid)?),
            (Read::Container(read), Key::Container(id)) => read(machine?.container(id)?),
            (Read::Fd(read), Key::Fd(num)) => read(machine?.fd(self.of?, *num)?),
            (Read::Item(read), Key::Item(nth)) => {
                read(self.list(machine?)?.get(usize::try_from(*nth).ok()?)?)
            }
            _ => return None,
        };
        Some((cell, column.ty))
    }

    fn field(&self, name: &CStr, ty: u32, add: bool) -> FieldHandle {
        let columns = self.kind.columns();
        let found = match columns.iter().position(|column| column.name == name) {
            Some(number) if columns[number].ty == ty => Ok(number),
            Some(number) => {
                Err(format!("field {} is of type {}, not {ty}", name.to_string_lossy(), columns[number].ty))
            }
            None => match self.grown() {
                Some(grown) => grown.field(name, ty, add).map(|number| columns.len() + number),
                None => Err(format!("there is no field {}, and none can be added", name.to_string_lossy())),
            },
        };
        // Numbers of fields travel as handles; none is null.
        found.map_or_else(
            |why| {
                self.fail(&why);
                ptr::null_mut()
            },
            |number| ptr::without_provenance_mut(number + 1),
        )
    }

    fn write(&self, held: &Held, field: FieldHandle, value: &StateData) -> Result<(), String> {
        let number = number(field).ok_or("a field is missing")?;
        let added = number
            .checked_sub(self.kind.columns().len())
            .ok_or("what events say can't be written, only fields that plugins have added")?;
        let grown = self.grown().ok_or("it can't be written")?;
        let ty = grown.ty(added).ok_or("there is no such field")?;
        let bearer = self.bearer(&held.key).ok_or("its entry is gone")?;
        // SAFETY: the type was agreed on when the field was added.
        let cell = unsafe { taken(value, ty) }.ok_or("a text is missing")?;
        grown.write(bearer, added, cell)
    }
}

fn number(handle: FieldHandle) -> Option<usize> {
    handle.addr().checked_sub(1)
}

/// The table behind a pointer.
///
/// # Safety
/// It must be that of an [`Own`], which lives as long as any plugin.
unsafe fn of<'a>(table: abi::Table) -> Option<&'a Own> {
    // SAFETY: as the caller promises.
    unsafe { table.cast::<Own>().as_ref() }
}

fn hold(key: Key) -> Entry {
    Box::into_raw(Box::new(Held { key, texts: Vec::new() })).cast()
}

unsafe extern "C" fn name(table: abi::Table) -> *const c_char {
    // SAFETY: these functions are called with the table that they belong to.
    unsafe { of(table) }.map_or(ptr::null(), |table| table.kind.name().as_ptr())
}

unsafe extern "C" fn size(table: abi::Table) -> u64 {
    // SAFETY: see `name`.
    unsafe { of(table) }.map_or(u64::MAX, Own::size)
}

unsafe extern "C" fn get_entry(table: abi::Table, key: *const StateData) -> Entry {
    // SAFETY: see `name`; the key is the plugin's.
    let (Some(this), Some(data)) = (unsafe { of(table) }, unsafe { key.as_ref() }) else {
        return ptr::null_mut();
    };
    let found = this.key(data).filter(|key| this.has(key));
    if found.is_none() {
        this.fail("there is no such entry");
    }
    found.map_or(ptr::null_mut(), hold)
}

unsafe extern "C" fn release_entry(_: abi::Table, entry: Entry) {
    if !entry.is_null() {
        // SAFETY: it was made by `hold`, and a plugin releases or destroys an entry once.
        drop(unsafe { Box::from_raw(entry.cast::<Held>()) });
    }
}

unsafe extern "C" fn read_field(
    table: abi::Table,
    entry: Entry,
    field: FieldHandle,
    out: *mut StateData,
) -> Rc {
    // SAFETY: see `name`.
    let Some(this) = (unsafe { of(table) }) else { return abi::FAILURE };
    // SAFETY: the entry was made by `hold` and not yet released; `out` is the plugin's to be filled.
    let (Some(held), Some(out)) = (unsafe { entry.cast::<Held>().as_mut() }, unsafe { out.as_mut() }) else {
        return abi::FAILURE;
    };
    match number(field).and_then(|number| this.value(&held.key, number)) {
        None => {
            this.fail("there is no such field, or its entry is gone");
            return abi::FAILURE;
        }
        Some((Cell::Number(number), ty)) => put(number, ty, out),
        Some((Cell::Inner(kind), _)) => {
            let tid = match held.key {
                Key::Thread(tid) => Some(tid),
                _ => None,
            };
            out.table = this.lent().inner(kind, tid);
        }
        Some((Cell::Text(text), _)) => {
            // A text's bytes don't move when the list of texts grows.
            out.text = text.as_ptr();
            held.texts.push(text);
        }
    }
    abi::SUCCESS
}

unsafe extern "C" fn iterate_entries(table: abi::Table, visit: abi::IterateFn, state: *mut c_void) -> u32 {
    // SAFETY: see `name`.
    let Some(this) = (unsafe { of(table) }) else { return 0 };
    let Some(machine) = this.lent().machine() else { return 0 };
    for key in this.keys(machine) {
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
    // SAFETY: see `name`; `count` is the plugin's to be filled.
    let (Some(this), Some(count)) = (unsafe { of(table) }, unsafe { count.as_mut() }) else {
        return ptr::null();
    };
    let mut shown = lock(&this.shown);
    let own = this.kind.columns().iter();
    *shown = own
        .map(|field| abi::TableFieldInfo { name: field.name.as_ptr(), ty: field.ty, read_only: 1 })
        .collect();
    if let Some(grown) = this.grown() {
        grown.each(|name, ty| shown.push(abi::TableFieldInfo { name: name.as_ptr(), ty, read_only: 0 }));
    }
    *count = shown.len() as u32;
    shown.as_ptr()
}

unsafe fn field(table: abi::Table, name: *const c_char, ty: u32, add: bool) -> FieldHandle {
    // SAFETY: see `name`; names end with a zero.
    match (unsafe { of(table) }, name.is_null()) {
        // SAFETY: as above.
        (Some(this), false) => this.field(unsafe { CStr::from_ptr(name) }, ty, add),
        _ => ptr::null_mut(),
    }
}

unsafe extern "C" fn get_field(table: abi::Table, name: *const c_char, ty: u32) -> FieldHandle {
    // SAFETY: see `field`.
    unsafe { field(table, name, ty, false) }
}

unsafe extern "C" fn add_field(table: abi::Table, name: *const c_char, ty: u32) -> FieldHandle {
    // SAFETY: see `field`.
    unsafe { field(table, name, ty, true) }
}

/// Threads, fds and containers come and go by events alone.
unsafe fn refuse(table: abi::Table) {
    // SAFETY: see `name`.
    if let Some(this) = unsafe { of(table) } {
        this.fail("its entries come and go by events alone");
    }
}

unsafe extern "C" fn clear(table: abi::Table) -> Rc {
    // SAFETY: see `name`.
    unsafe { refuse(table) };
    abi::FAILURE
}

unsafe extern "C" fn erase_entry(table: abi::Table, _: *const StateData) -> Rc {
    // SAFETY: see `name`.
    unsafe { refuse(table) };
    abi::FAILURE
}

/// Plugins make an entry to learn, where they are started, which fields the tables inside of it have.
unsafe extern "C" fn create_entry(_: abi::Table) -> Entry {
    hold(Key::New)
}

unsafe extern "C" fn add_entry(table: abi::Table, _: *const StateData, entry: Entry) -> Entry {
    // SAFETY: see `name` and `release_entry`: an entry that was to be added is no more the plugin's.
    unsafe {
        refuse(table);
        release_entry(table, entry);
    }
    ptr::null_mut()
}

unsafe extern "C" fn write_field(
    table: abi::Table,
    entry: Entry,
    field: FieldHandle,
    value: *const StateData,
) -> Rc {
    // SAFETY: see `name` and `read_field`.
    let (Some(this), Some(held), Some(value)) =
        (unsafe { of(table) }, unsafe { entry.cast::<Held>().as_ref() }, unsafe { value.as_ref() })
    else {
        return abi::FAILURE;
    };
    match this.write(held, field, value) {
        Ok(()) => abi::SUCCESS,
        Err(why) => {
            this.fail(&why);
            abi::FAILURE
        }
    }
}
