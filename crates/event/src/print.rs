//! Text of an event's parameters, as `evt.arg.*` and `evt.args` show it.
//!
//! A parameter has a raw text (`-2`, `3`, `4097`) and, for some types, a resolved one (`ENOENT`,
//! `<f>/etc/passwd`, `O_RDONLY|O_CLOEXEC`). What an event does not hold itself comes from [`Names`].

use std::io::Write as _;

use crate::print_bytes::{print_bytes, print_general};
use crate::print_names::{errno_name, signal_name};
use crate::print_net::{print_sockaddr, print_socktuple};
use crate::{Event, FlagName, ParamFormat, ParamInfo, ParamType, SYSCALL_NAMES};

/// What a directory fd says that means the working directory.
const AT_FDCWD: i64 = -100;
/// The text of what is absent.
const ABSENT: &[u8] = b"<NA>";
/// Old sources wrote this where a text could not be read.
const OLD_ABSENT: &[u8] = b"(NULL)\0";

/// How byte buffers are shown.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum BufferFormat {
    /// Printable ASCII, everything else a dot.
    #[default]
    Printable,
    /// Base64 with padding.
    Base64,
}

/// What is known of an open fd.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FdLabel<'a> {
    /// The character of its kind: `f` file, `4` IPv4, `p` pipe…
    pub kind: char,
    /// The character of an IP socket's protocol: `t` TCP, `u` UDP, `i` ICMP, `r` raw.
    pub protocol: Option<char>,
    /// Its path or the text of its ends.
    pub name: &'a [u8],
}

/// What an event's numbers refer to, told from the view of the event's thread. Every default knows nothing.
pub trait Names {
    /// Whether the event's thread is known at all.
    fn has_thread(&self) -> bool {
        false
    }

    /// An open fd of the event's thread.
    fn fd(&self, _num: i64) -> Option<FdLabel<'_>> {
        None
    }

    /// The name (`comm`) of a thread.
    fn thread_name(&self, _tid: i64) -> Option<&[u8]> {
        None
    }

    /// The name of a user in the thread's container.
    fn user_name(&self, _uid: u32) -> Option<&[u8]> {
        None
    }

    /// The name of a group in the thread's container.
    fn group_name(&self, _gid: u32) -> Option<&[u8]> {
        None
    }

    /// Writes the absolute, cleaned form of a relative path: against a directory fd, or the working
    /// directory for `None`. False when it cannot be told, and nothing is written then.
    fn absolute_path(&self, _dir: Option<i64>, _path: &[u8], _out: &mut Vec<u8>) -> bool {
        false
    }

    /// Seconds that local time is ahead of UTC at a time (seconds since 1970).
    fn utc_offset(&self, _seconds: i64) -> i64 {
        0
    }

    /// How byte buffers are shown.
    fn buffer_format(&self) -> BufferFormat {
        BufferFormat::Printable
    }
}

/// Knows no names.
#[derive(Clone, Copy, Default, Debug)]
pub struct NoNames;

impl Names for NoNames {}

/// Appends a parameter as `evt.arg.NAME` shows it: resolved where that is possible, else raw.
/// False, and nothing written, when the event has no such parameter.
pub fn print_param(event: &Event<'_>, index: usize, names: &dyn Names, out: &mut Vec<u8>) -> bool {
    let Some(param) = Param::of(event, index) else { return false };
    if !param.print_resolved(names, out) {
        param.print_raw(names, out);
    }
    true
}

/// Appends a parameter's raw text. False, and nothing written, when the event has no such parameter.
pub fn print_raw(event: &Event<'_>, index: usize, names: &dyn Names, out: &mut Vec<u8>) -> bool {
    let param = Param::of(event, index);
    if let Some(param) = &param {
        param.print_raw(names, out);
    }
    param.is_some()
}

/// Appends a parameter's resolved text. False, and nothing written, when it has none.
pub fn print_resolved(event: &Event<'_>, index: usize, names: &dyn Names, out: &mut Vec<u8>) -> bool {
    Param::of(event, index).is_some_and(|param| param.print_resolved(names, out))
}

/// Appends all parameters as `evt.args` shows them: `name=raw` or `name=raw(resolved)`, spaces between.
pub fn print_args(event: &Event<'_>, names: &dyn Names, out: &mut Vec<u8>) {
    for index in 0..event.param_count().min(event.info.params.len()) {
        let Some(param) = Param::of(event, index) else { return };
        if index > 0 {
            out.push(b' ');
        }
        out.extend(event.info.params[index].name.as_bytes());
        out.push(b'=');
        param.print_raw(names, out);
        let open = out.len();
        out.push(b'(');
        if param.print_resolved(names, out) { out.push(b')') } else { out.truncate(open) }
    }
}

/// One parameter: its description, and its bytes without the byte that picks a variant.
struct Param<'a> {
    info: &'static ParamInfo,
    ty: ParamType,
    bytes: &'a [u8],
    /// For a path relative to a directory fd: that fd, the parameter before it.
    dir: Option<i64>,
}

impl<'a> Param<'a> {
    fn of(event: &Event<'a>, index: usize) -> Option<Param<'a>> {
        let info = event.info.params.get(index)?;
        let bytes = event.param(index)?;
        let dir = index.checked_sub(1).filter(|_| info.ty == ParamType::Fsrelpath).and_then(|i| event.i64(i));
        let param = Param { info, ty: info.ty, bytes, dir: dir.filter(|fd| *fd != AT_FDCWD) };
        if info.ty == ParamType::Dyn {
            if let Some((&variant, bytes)) = bytes.split_first() {
                if let Some(&ty) = info.variants.get(usize::from(variant)) {
                    return Some(Param { ty, bytes, ..param });
                }
            }
        }
        Some(param)
    }

    /// A number of any width, with its sign where the type has one.
    fn number(&self) -> Option<i64> {
        number(self.ty, self.bytes)
    }

    fn is_text(&self) -> bool {
        matches!(self.ty, ParamType::Charbuf | ParamType::Fspath | ParamType::Fsrelpath)
    }

    /// A text up to its NUL; `None` where its source could not read it.
    fn text(&self) -> Option<&'a [u8]> {
        if self.bytes.is_empty() || self.bytes == OLD_ABSENT {
            return None;
        }
        Some(&self.bytes[..memchr::memchr(0, self.bytes).unwrap_or(self.bytes.len())])
    }

    fn print_raw(&self, names: &dyn Names, out: &mut Vec<u8>) {
        use ParamType as T;
        if self.bytes.is_empty() {
            // A variant's byte is there even if nothing follows it.
            let variant = self.ty != self.info.ty && self.ty == T::Bytebuf;
            return out.extend(if variant { b"" } else { empty_text(self.info.ty) });
        }
        match self.ty {
            T::Charbuf | T::Fspath | T::Fsrelpath => out.extend(self.text().unwrap_or(ABSENT)),
            T::Bytebuf => print_bytes(self.bytes, names.buffer_format(), out),
            T::Sockaddr => print_sockaddr(self.bytes, out),
            T::Socktuple => print_socktuple(self.bytes, out),
            T::Fdlist => print_fdlist(self.bytes, names, out),
            T::Charbufarray => print_joined(self.bytes, b".", b".", out),
            T::CharbufPairArray => print_joined(self.bytes, b":", b",", out),
            T::Dyn => out.extend(b"INVALID DYNAMIC PARAMETER"),
            _ => match self.number() {
                Some(number) => self.print_number(number, names, out),
                None => out.extend(ABSENT),
            },
        }
    }

    fn print_number(&self, number: i64, names: &dyn Names, out: &mut Vec<u8>) {
        use ParamType as T;
        match self.ty {
            T::Fd | T::Pid | T::Errno | T::Sigtype => put(out, format_args!("{number}")),
            T::Flags8 | T::Flags16 | T::Flags32 => put(out, format_args!("{number}")),
            T::Enumflags8 | T::Enumflags16 | T::Enumflags32 => put(out, format_args!("{number}")),
            T::Syscallid if syscall_name(number).is_none() => out.extend(b"<unknown syscall>"),
            T::Syscallid => put(out, format_args!("{number}")),
            // The highest id is how the kernel says "none"; others print with a sign.
            T::Uid | T::Gid => put(out, format_args!("{}", number as i32)),
            T::Reltime if number == -1 => out.extend(b"none"),
            T::Reltime => put(out, format_args!("{}", number as u64)),
            T::Abstime => print_time(number as u64, names, out),
            T::Sigset => print_sigset(number as u32, out),
            T::Int64 | T::Uint64 => print_formatted(number, number as u64, self.info.format, out),
            T::Int16 | T::Int32 | T::Uint8 | T::Uint16 | T::Uint32 | T::Mode => {
                // Numbers up to 32 bits are C `int`s when they are printed.
                let number = number as i32;
                print_formatted(i64::from(number), u64::from(number as u32), self.info.format, out);
            }
            _ => out.extend(b"(n.a.)"),
        }
    }

    fn print_resolved(&self, names: &dyn Names, out: &mut Vec<u8>) -> bool {
        use ParamType as T;
        let start = out.len();
        if self.bytes.is_empty() && !self.is_text() {
            return false;
        }
        match self.ty {
            T::Fspath | T::Fsrelpath => self.print_absolute(names, out),
            T::Fd => self.number().is_some_and(|fd| print_fd(fd, names, out)),
            T::Pid => self.number().and_then(|tid| names.thread_name(tid)).is_some_and(|name| add(out, name)),
            T::Errno => self.number().and_then(errno_name).is_some_and(|name| add(out, name.as_bytes())),
            T::Syscallid => {
                self.number().and_then(syscall_name).is_some_and(|name| add(out, name.as_bytes()))
            }
            T::Sigtype => {
                let name = self.number().and_then(|n| signal_name(n as u8));
                name.is_some_and(|name| add(out, name.as_bytes()))
            }
            T::Reltime => self.number().filter(|ns| *ns != -1).is_some_and(|ns| {
                print_general(ns as u64 as f64 / 1e9, out);
                add(out, b"s")
            }),
            T::Flags8 | T::Flags16 | T::Flags32 => {
                self.number().is_some_and(|value| print_flags(value as u64, self.info.flags, out))
            }
            T::Enumflags8 | T::Enumflags16 | T::Enumflags32 => {
                self.number().is_some_and(|value| print_enumeration(value as u64, self.info.flags, out))
            }
            T::Mode => self.number().is_some_and(|value| print_mode(value as u32, self.info.flags, out)),
            T::Uid => self.number().is_some_and(|id| print_owner(id as u32, |id| names.user_name(id), out)),
            T::Gid => self.number().is_some_and(|id| print_owner(id as u32, |id| names.group_name(id), out)),
            _ => false,
        };
        out.len() > start
    }

    fn print_absolute(&self, names: &dyn Names, out: &mut Vec<u8>) -> bool {
        match self.text() {
            Some(path) if !path.is_empty() && path[0] != b'/' && path != ABSENT => {
                names.has_thread() && names.absolute_path(self.dir, path, out)
            }
            _ => false,
        }
    }
}

fn put(out: &mut Vec<u8>, args: std::fmt::Arguments<'_>) {
    // Writing into memory cannot fail.
    let _ = out.write_fmt(args);
}

fn add(out: &mut Vec<u8>, text: &[u8]) -> bool {
    out.extend(text);
    true
}

/// The number that a parameter's first bytes hold.
fn number(ty: ParamType, bytes: &[u8]) -> Option<i64> {
    use ParamType as T;
    fn first<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
        bytes.first_chunk().copied()
    }
    match ty {
        T::Uint8 | T::Sigtype | T::Flags8 | T::Enumflags8 => first::<1>(bytes).map(|b| i64::from(b[0])),
        T::Int16 => first(bytes).map(|b| i64::from(i16::from_ne_bytes(b))),
        T::Uint16 | T::Syscallid | T::Port | T::Flags16 | T::Enumflags16 => {
            first(bytes).map(|b| i64::from(u16::from_ne_bytes(b)))
        }
        T::Int32 | T::Fd32 | T::Pid32 => first(bytes).map(|b| i64::from(i32::from_ne_bytes(b))),
        T::Uint32 | T::Flags32 | T::Enumflags32 | T::Uid | T::Gid | T::Sigset | T::Mode | T::Ipv4addr => {
            first(bytes).map(|b| i64::from(u32::from_ne_bytes(b)))
        }
        T::Int64 | T::Uint64 | T::Errno | T::Fd | T::Pid | T::Reltime | T::Abstime => {
            first(bytes).map(i64::from_ne_bytes)
        }
        _ => None,
    }
}

/// The text of a parameter without bytes, which depends on the type for the sake of old rules.
fn empty_text(ty: ParamType) -> &'static [u8] {
    use ParamType as T;
    match ty {
        T::Bytebuf | T::Socktuple | T::Fdlist | T::Charbufarray | T::CharbufPairArray | T::Dyn => b"NULL",
        _ => ABSENT,
    }
}

fn print_formatted(signed: i64, bits: u64, format: ParamFormat, out: &mut Vec<u8>) {
    match format {
        ParamFormat::Oct if bits == 0 => out.push(b'0'),
        ParamFormat::Oct => put(out, format_args!("0{bits:o}")),
        ParamFormat::Hex => put(out, format_args!("{bits:X}")),
        ParamFormat::PaddedDec10 => put(out, format_args!("{signed:09}")),
        ParamFormat::Dec | ParamFormat::Na => put(out, format_args!("{signed}")),
    }
}

fn print_fd(fd: i64, names: &dyn Names, out: &mut Vec<u8>) -> bool {
    if fd >= 0 {
        let Some(label) = names.fd(fd) else { return false };
        put(out, format_args!("<{}", label.kind));
        if let Some(protocol) = label.protocol {
            put(out, format_args!("{protocol}"));
        }
        out.push(b'>');
        return add(out, label.name);
    }
    if fd == AT_FDCWD {
        return add(out, b"AT_FDCWD");
    }
    errno_name(fd).is_some_and(|name| add(out, name.as_bytes()))
}

/// All bits have names' bits taken away one after the other, in table order.
fn print_flags(value: u64, flags: &[FlagName], out: &mut Vec<u8>) -> bool {
    let mut left = value;
    let start = out.len();
    for flag in flags {
        let matches = if flag.value == 0 { value == 0 } else { left & flag.value == flag.value };
        if !matches {
            continue;
        }
        left &= !flag.value;
        if out.len() > start {
            out.push(b'|');
        }
        out.extend(flag.name.as_bytes());
        if flag.value == value {
            break;
        }
    }
    out.len() > start
}

/// Every name of the very value (some values have several, such as `AF_LOCAL` and `AF_UNIX`).
fn print_enumeration(value: u64, flags: &[FlagName], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    for flag in flags.iter().filter(|flag| flag.value == value) {
        if out.len() > start {
            out.push(b'|');
        }
        out.extend(flag.name.as_bytes());
    }
    out.len() > start
}

/// As flags, but a name of the whole value ends the search and stands last.
fn print_mode(value: u32, flags: &[FlagName], out: &mut Vec<u8>) -> bool {
    let whole = u64::from(value);
    let mut left = whole;
    let start = out.len();
    for flag in flags {
        let exact = flag.value == whole;
        if !exact && (flag.value == 0 || left & flag.value != flag.value) {
            continue;
        }
        left &= !flag.value;
        if out.len() > start {
            out.push(b'|');
        }
        out.extend(flag.name.as_bytes());
        if exact {
            break;
        }
    }
    out.len() > start
}

fn print_owner<'n>(id: u32, name: impl Fn(u32) -> Option<&'n [u8]>, out: &mut Vec<u8>) -> bool {
    if id == u32::MAX {
        return add(out, b"<NONE>");
    }
    add(out, name(id).filter(|name| !name.is_empty()).unwrap_or(ABSENT))
}

fn syscall_name(number: i64) -> Option<&'static str> {
    SYSCALL_NAMES.get(usize::try_from(number).ok()?).copied()
}

/// `fd:KINDevents` each; the count comes first.
fn print_fdlist(bytes: &[u8], names: &dyn Names, out: &mut Vec<u8>) {
    let Some((count, entries)) = bytes.split_first_chunk::<2>() else { return };
    let count = usize::from(u16::from_ne_bytes(*count));
    for (i, entry) in entries.chunks_exact(10).take(count).enumerate() {
        let (fd, events) = entry.split_at(8);
        let fd = i64::from_ne_bytes(fd.try_into().unwrap_or_default());
        // Poll's event bits are a C `short`.
        let events = i32::from(i16::from_ne_bytes(events.try_into().unwrap_or_default()));
        let kind = names.fd(fd).map_or('?', |label| label.kind);
        if i > 0 {
            out.push(b' ');
        }
        put(out, format_args!("{}:{kind}{events:x}", fd as u64));
    }
}

fn print_sigset(set: u32, out: &mut Vec<u8>) {
    let signals = (1..=32u8).filter(|signal| set & 1 << (signal - 1) != 0).filter_map(signal_name);
    for (i, name) in signals.enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        out.extend(name.as_bytes());
    }
}

/// Texts closed by NULs, with two separators in turn.
fn print_joined(bytes: &[u8], odd: &[u8], even: &[u8], out: &mut Vec<u8>) {
    let texts = bytes.strip_suffix(b"\0").unwrap_or(bytes).split(|b| *b == 0);
    for (i, text) in texts.enumerate() {
        match i {
            0 => {}
            _ if i % 2 == 1 => out.extend(odd),
            _ => out.extend(even),
        }
        out.extend(text);
    }
}

/// `YYYY-MM-DD hh:mm:ss.nnnnnnnnn` in local time.
fn print_time(ns: u64, names: &dyn Names, out: &mut Vec<u8>) {
    let utc = (ns / 1_000_000_000) as i64;
    let seconds = utc + names.utc_offset(utc);
    let (year, month, day) = civil_date(seconds.div_euclid(86_400));
    let time = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    let nanos = ns % 1_000_000_000;
    put(out, format_args!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{nanos:09}"));
}

/// Year, month and day of a number of days since 1970. Years are counted from March, so that the leap
/// day is a year's last; 400 years have 146,097 days.
fn civil_date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests;
