//! Fields of events of the kernel: what was called, with which arguments, how it ended.

use lanner_event::{
    Category, Direction, Event, EventFlag, EventInfo, EventType, SYSCALL_NAMES, params, types,
};
use lanner_event::{ParamFormat, native_syscall_name, print_args, print_param, print_raw};
use lanner_machine::FdKind;

use super::names::ThreadNames;
use super::{param, path};
use crate::field::Arg;
use crate::table::Syscall;
use crate::{Context, Field, NumberFormat, Value};

const SECOND: u64 = 1_000_000_000;

/// Bits of the flags that open calls carry, in the event table's own numbering.
mod open_flag {
    pub const RDONLY: u32 = 1;
    pub const WRONLY: u32 = 1 << 1;
    pub const CREAT: u32 = 1 << 2;
    pub const TMPFILE: u32 = 1 << 13;
    pub const CREATED: u32 = 1 << 14;
}

/// Bits of a file mode that let someone execute the file.
const ANY_EXEC: u32 = 0o111;

pub(crate) fn extract<'a>(id: Syscall, arg: &Arg, cx: &Context<'a>) -> Option<Value<'a>> {
    let event = cx.event;
    let flag = |flag| Some(Value::Bool(event.info.has(flag)));
    let text = |text: &'a [u8]| Some(Value::Text(text));
    let count = |yes: bool| Some(Value::Unsigned(yes.into()));
    let delta = || event.ts.wrapping_sub(cx.meta.previous_ts);
    let failed = || param::result(event).map(|result| result < 0);
    match id {
        Syscall::EvtLatency | Syscall::EvtLatencyS | Syscall::EvtLatencyNs | Syscall::EvtWaitLatency => {
            Some(Value::Unsigned(0))
        }
        Syscall::EvtLatencyHuman => text(b"0ns"),
        Syscall::EvtDeltatime => Some(Value::Unsigned(delta())),
        Syscall::EvtDeltatimeS => Some(Value::Unsigned(delta() / SECOND)),
        Syscall::EvtDeltatimeNs => Some(Value::Unsigned(delta() % SECOND)),
        Syscall::EvtDir => text(if event.info.direction == Direction::Enter { b">" } else { b"<" }),
        Syscall::EvtType => text(name(event)),
        Syscall::EvtTypeIs => match arg {
            Arg::Types(types) => count(types.contains(&event.ty())),
            _ => None,
        },
        Syscall::SyscallType if !event.info.is(Category::Syscall) => None,
        Syscall::SyscallType => text(name(event)),
        Syscall::EvtCategory => text(category(cx).as_bytes()),
        Syscall::EvtCpu => Some(Value::Signed((event.cpu as i16).into())),
        // The arguments of events without their own type are the engine's own.
        Syscall::EvtArgs | Syscall::EvtInfo if event.ty() == types::GENERIC_X => text(b""),
        Syscall::EvtArgs | Syscall::EvtInfo => {
            text(cx.scratch.built(|out| print_args(event, &ThreadNames::new(cx), out)))
        }
        Syscall::EvtArg => text(argument(cx, position(arg, event)?)?),
        Syscall::EvtRawarg => param::value(event, position(arg, event)?),
        Syscall::EvtBuffer => {
            let data = data_position(event)?;
            Some(Value::Bytes(cx.scratch.built(|out| {
                print_raw(event, data, &ThreadNames::new(cx), out);
            })))
        }
        Syscall::EvtBuflen => buffer_length(cx),
        Syscall::EvtRes => match param::result(event)? {
            0.. => text(b"SUCCESS"),
            _ => text(argument(cx, 0)?),
        },
        Syscall::EvtRawres => param::result(event).map(Value::Signed),
        Syscall::EvtFailed => failed().map(Value::Bool),
        Syscall::EvtIsIo => {
            Some(Value::Bool(event.info.has(EventFlag::ReadsFromFd) || event.info.has(EventFlag::WritesToFd)))
        }
        Syscall::EvtIsIoRead => flag(EventFlag::ReadsFromFd),
        Syscall::EvtIsIoWrite => flag(EventFlag::WritesToFd),
        Syscall::EvtIoDir if event.info.has(EventFlag::WritesToFd) => text(b"write"),
        Syscall::EvtIoDir if event.info.has(EventFlag::ReadsFromFd) => text(b"read"),
        Syscall::EvtIoDir => None,
        Syscall::EvtIsWait => flag(EventFlag::Waits),
        Syscall::EvtIsSyslog => {
            let writes = event.info.has(EventFlag::WritesToFd);
            let to_log = || cx.fd().is_some_and(|fd| memchr::memmem::find(&fd.name, b"/dev/log").is_some());
            Some(Value::Bool(writes && to_log()))
        }
        Syscall::EvtCount => count(true),
        Syscall::EvtCountError => count(failed()?),
        Syscall::EvtCountErrorFile => count(failed().filter(|_| works_on(cx) == Works::File)?),
        Syscall::EvtCountErrorNet => count(failed().filter(|_| works_on(cx) == Works::Socket)?),
        Syscall::EvtCountErrorMemory => count(failed().filter(|_| event.info.is(Category::Memory))?),
        Syscall::EvtCountErrorOther => {
            let memory = cx.fd().is_none() && event.info.is(Category::Memory);
            count(failed().filter(|_| works_on(cx) == Works::Other && !memory)?)
        }
        Syscall::EvtCountExit => (event.info.direction == Direction::Exit).then_some(Value::Unsigned(1)),
        Syscall::EvtAround => None,
        Syscall::EvtAbspath => text(absolute_path(arg, cx)?),
        Syscall::EvtIsOpenRead => Some(Value::Bool(access(event) & open_flag::RDONLY != 0)),
        Syscall::EvtIsOpenWrite => Some(Value::Bool(access(event) & open_flag::WRONLY != 0)),
        Syscall::EvtIsOpenExec => Some(Value::Bool(creates_executable(event))),
        Syscall::EvtIsIoUring => Some(Value::Bool(event.is_io_uring())),
        Syscall::EvtIsOpenCreate => Some(Value::Bool(creates(event))),
    }
}

/// Whether a field may have another value in a condition than in an output.
pub(crate) fn has_operand(id: Syscall) -> bool {
    matches!(id, Syscall::EvtBuffer | Syscall::EvtAround)
}

/// The value in a condition, for those fields that have another one there.
pub(crate) fn operand<'a>(id: Syscall, arg: &Arg, cx: &Context<'a>) -> Option<Value<'a>> {
    match (id, arg) {
        (Syscall::EvtBuffer, _) => {
            let data = data_position(cx.event).and_then(|i| cx.event.param(i));
            Some(Value::or_absent(data.map(Value::Bytes)))
        }
        (Syscall::EvtAround, Arg::Index(moment)) => Some(Value::Distance(cx.event.ts.abs_diff(*moment))),
        _ => None,
    }
}

/// The value that a field has for every event of a type.
pub(crate) fn fixed(id: Syscall, arg: &Arg, info: &'static EventInfo) -> Option<Value<'static>> {
    let ty = info.code;
    let flag = |flag| Some(Value::Bool(info.has(flag)));
    let absent = |absent: bool| absent.then_some(Value::Absent);
    let no = |unless: bool| (!unless).then_some(Value::Bool(false));
    match (id, arg) {
        (Syscall::EvtDir, _) if info.direction == Direction::Enter => Some(Value::Text(b">")),
        (Syscall::EvtDir, _) => Some(Value::Text(b"<")),
        (Syscall::SyscallType, _) if !info.is(Category::Syscall) => Some(Value::Absent),
        (Syscall::EvtType | Syscall::SyscallType, _) if has_own_name(ty) => {
            Some(Value::Text(info.name.as_bytes()))
        }
        (Syscall::EvtTypeIs, Arg::Types(types)) => Some(Value::Unsigned(types.contains(&ty).into())),
        (Syscall::EvtArg | Syscall::EvtRawarg, Arg::Param(places)) => absent(places.get(ty).is_none()),
        (Syscall::EvtBuffer, _) => absent(param::place(info, "data").is_none()),
        (Syscall::EvtBuflen, _) => absent(!is_io(info)),
        (Syscall::EvtRes | Syscall::EvtRawres | Syscall::EvtFailed, _) => absent(!param::has_result(info)),
        (Syscall::EvtIsIoRead, _) => flag(EventFlag::ReadsFromFd),
        (Syscall::EvtIsIoWrite, _) => flag(EventFlag::WritesToFd),
        (Syscall::EvtIsWait, _) => flag(EventFlag::Waits),
        (Syscall::EvtIsOpenRead | Syscall::EvtIsOpenWrite | Syscall::EvtIsOpenCreate, _) => no(opens(ty)),
        (Syscall::EvtIsOpenExec, _) => no(opens(ty) || ty == types::SYSCALL_CREAT_X),
        _ => None,
    }
}

/// Whether all events of a type have the same name.
fn has_own_name(ty: EventType) -> bool {
    ty != types::GENERIC_X && ty != types::ASYNCEVENT_E
}

/// How numbers of the field are printed.
pub(crate) fn number_format(id: Syscall, field: &Field, cx: &Context<'_>) -> NumberFormat {
    let param = match id {
        Syscall::EvtRawarg => position(&field.arg, cx.event).and_then(|i| cx.event.info.params.get(i)),
        _ => return field.info().format,
    };
    match param.map(|p| p.format) {
        Some(ParamFormat::Hex) => NumberFormat::Hex,
        Some(ParamFormat::Oct) => NumberFormat::Octal,
        Some(ParamFormat::PaddedDec10) => NumberFormat::Padded,
        _ => NumberFormat::Plain,
    }
}

/// The JSON value where it isn't the value itself.
pub(crate) fn special_json(id: Syscall) -> Option<serde_json::Value> {
    match id {
        // Falco asks twice for what it writes as JSON, and no time passes between; so it is always 0 there.
        Syscall::EvtDeltatime | Syscall::EvtDeltatimeS | Syscall::EvtDeltatimeNs => Some(0.into()),
        _ => None,
    }
}

/// The name of the event; that of the system call for those without their own event type.
fn name<'a>(event: &Event<'a>) -> &'a [u8] {
    match event.ty() {
        types::GENERIC_X => {
            let number = event.u16(params::generic_x::ID).map_or(0, usize::from);
            // A source that didn't know the call yet gives the kernel's own number beside.
            let native = || native_syscall_name(event.u16(params::generic_x::NATIVEID)?);
            let known = SYSCALL_NAMES.get(number).filter(|_| number != 0).copied();
            known.or_else(native).unwrap_or("unknown").as_bytes()
        }
        types::ASYNCEVENT_E => param::text(event, params::asyncevent_e::NAME).unwrap_or(b"<NA>"),
        _ => event.info.name.as_bytes(),
    }
}

/// Where the event has the argument that a field asks for.
fn position(arg: &Arg, event: &Event<'_>) -> Option<usize> {
    let at = match arg {
        Arg::Index(at) => usize::try_from(*at).ok()?,
        Arg::Param(places) => places.get(event.ty())?,
        _ => return None,
    };
    (at < event.param_count()).then_some(at)
}

fn argument<'a>(cx: &Context<'a>, index: usize) -> Option<&'a [u8]> {
    let mut there = false;
    let text = cx.scratch.built(|out| there = print_param(cx.event, index, &ThreadNames::new(cx), out));
    there.then_some(text)
}

/// Where the event has the data that was read or written.
fn data_position(event: &Event<'_>) -> Option<usize> {
    param::place(event.info, "data").filter(|&i| i < event.param_count())
}

fn is_io(info: &EventInfo) -> bool {
    [Category::IoRead, Category::IoWrite, Category::IoOther].iter().any(|c| info.is(*c))
}

fn buffer_length<'a>(cx: &Context<'a>) -> Option<Value<'a>> {
    cx.fd().filter(|_| is_io(cx.event.info))?;
    let result = param::result(cx.event)?;
    u64::try_from(result).ok().map(Value::Unsigned)
}

fn category(cx: &Context<'_>) -> &'static str {
    /// Where events come from, not what they are about; and the word for nothing more.
    const OTHERS: [Category; 6] = [
        Category::Syscall,
        Category::Tracepoint,
        Category::Plugin,
        Category::Metaevent,
        Category::Iter,
        Category::Unknown,
    ];
    let info = cx.event.info;
    let kind = Category::ALL.iter().find(|c| info.is(**c) && !OTHERS.contains(c));
    match kind {
        None => "unknown",
        Some(Category::Ipc) => "IPC",
        Some(Category::IoRead | Category::IoWrite | Category::IoOther) => match cx.fd().map(|fd| fd.kind) {
            Some(FdKind::File | FdKind::Directory) => "file",
            Some(FdKind::Ipv4 | FdKind::Ipv6 | FdKind::Ipv4Server | FdKind::Ipv6Server) => "net",
            Some(
                FdKind::Fifo
                | FdKind::Unix
                | FdKind::Event
                | FdKind::Signal
                | FdKind::Inotify
                | FdKind::Userfault,
            ) => "ipc",
            _ => "unknown",
        },
        Some(kind) => kind.as_str(),
    }
}

/// What a call works on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Works {
    File,
    Socket,
    Other,
}

fn works_on(cx: &Context<'_>) -> Works {
    match cx.fd().map(|fd| fd.kind) {
        Some(FdKind::File | FdKind::Directory) => Works::File,
        Some(FdKind::Ipv4 | FdKind::Ipv6 | FdKind::Ipv4Server | FdKind::Ipv6Server | FdKind::Unix) => {
            Works::Socket
        }
        Some(_) => Works::Other,
        None => match cx.event.ty() {
            types::SYSCALL_OPEN_X
            | types::SYSCALL_CREAT_X
            | types::SYSCALL_OPENAT_2_X
            | types::SYSCALL_OPENAT2_X
            | types::SYSCALL_OPEN_BY_HANDLE_AT_X => Works::File,
            types::SOCKET_ACCEPT_5_X | types::SOCKET_ACCEPT4_6_X | types::SOCKET_CONNECT_X => Works::Socket,
            _ => Works::Other,
        },
    }
}

/// What an open call asked for and got.
struct Opened {
    flags: u32,
    mode: Option<u32>,
}

/// Whether events of a type open a file with flags.
pub(crate) fn opens(ty: EventType) -> bool {
    open_params(ty).is_some()
}

/// Where such events have the flags and, if at all, the mode.
fn open_params(ty: EventType) -> Option<(usize, Option<usize>)> {
    Some(match ty {
        types::SYSCALL_OPEN_X => (2, Some(3)),
        types::SYSCALL_OPENAT_2_X | types::SYSCALL_OPENAT2_X => (3, Some(4)),
        types::SYSCALL_OPEN_BY_HANDLE_AT_X => (2, None),
        _ => return None,
    })
}

fn opened(event: &Event<'_>) -> Option<Opened> {
    let (flags, mode) = open_params(event.ty())?;
    Some(Opened { flags: event.u32(flags).unwrap_or(0), mode: mode.and_then(|i| event.u32(i)) })
}

/// For what a call opens a file: its flags for reading and for writing.
pub(crate) fn access(event: &Event<'_>) -> u32 {
    let flags = open_params(event.ty()).and_then(|(flags, _)| event.u32(flags));
    flags.unwrap_or(0) & (open_flag::RDONLY | open_flag::WRONLY)
}

fn creates_executable(event: &Event<'_>) -> bool {
    let mode = match event.ty() {
        types::SYSCALL_CREAT_X => event.u32(params::syscall_creat_x::MODE),
        _ => opened(event)
            .filter(|o| o.flags & (open_flag::TMPFILE | open_flag::CREAT) != 0)
            .and_then(|o| o.mode),
    };
    mode.is_some_and(|mode| mode & ANY_EXEC != 0)
}

fn creates(event: &Event<'_>) -> bool {
    let succeeded = || param::result(event).is_some_and(|result| result >= 0);
    opened(event).is_some_and(|o| {
        o.flags & open_flag::CREATED != 0 || o.flags & open_flag::TMPFILE != 0 && succeeded()
    })
}

/// Names of the parameters for directory fd and path of a call, for its first or second path.
fn abspath_params(arg: &Arg, event: &Event<'_>) -> Option<(&'static str, &'static str)> {
    let second = matches!(arg, Arg::Key(key) if &**key == "dst");
    Some(match event.ty() {
        types::SYSCALL_RENAMEAT_X | types::SYSCALL_RENAMEAT2_X if second => ("newdirfd", "newpath"),
        types::SYSCALL_RENAMEAT_X | types::SYSCALL_RENAMEAT2_X => ("olddirfd", "oldpath"),
        types::SYSCALL_LINKAT_2_X if second => ("newdir", "newpath"),
        types::SYSCALL_LINKAT_2_X => ("olddir", "oldpath"),
        types::SYSCALL_SYMLINKAT_X => ("linkdirfd", "linkpath"),
        types::SYSCALL_OPENAT_2_X | types::SYSCALL_OPENAT2_X | types::SYSCALL_UNLINKAT_2_X => {
            ("dirfd", "name")
        }
        types::SYSCALL_MKDIRAT_X => ("dirfd", "path"),
        types::SYSCALL_FCHMODAT_X => ("dirfd", "filename"),
        types::SYSCALL_FCHOWNAT_X => ("dirfd", "pathname"),
        _ => return None,
    })
}

/// The directory fd and the path that `evt.abspath` puts together.
fn directory_and_path<'a>(arg: &Arg, cx: &Context<'a>) -> Option<(i64, &'a [u8])> {
    let event = cx.event;
    let (directory, name) = abspath_params(arg, event)?;
    let fd = event.i64(param::place(event.info, directory)?)?;
    let name = param::place(event.info, name)?;
    if event.param(name)?.is_empty() {
        return None;
    }
    Some((fd, param::text(event, name)?))
}

/// The fd that stands for the event's own once `evt.abspath` has been taken: the directory that a relative path
/// starts from.
pub(crate) fn fd_after(arg: &Arg, cx: &Context<'_>) -> Option<i64> {
    let (fd, name) = directory_and_path(arg, cx)?;
    let starts_there = !name.starts_with(b"/") && fd != path::AT_FDCWD;
    (starts_there && cx.machine.fd(cx.thread()?.tid, fd).is_some()).then_some(fd)
}

fn absolute_path<'a>(arg: &Arg, cx: &Context<'a>) -> Option<&'a [u8]> {
    let event = cx.event;
    let thread = cx.thread()?;
    if event.ty() == types::SYSCALL_OPEN_BY_HANDLE_AT_X {
        let opened = param::result(event).is_some_and(|fd| fd > 0);
        return if opened { Some(path::join(cx, b"", param::text(event, 3)?)) } else { None };
    }
    let (fd, name) = directory_and_path(arg, cx)?;
    let directory: &[u8] = match cx.machine.fd(thread.tid, fd) {
        _ if name.starts_with(b"/") => b".",
        _ if fd == path::AT_FDCWD => path::cwd(cx, thread),
        // Falco adds a slash even to one, so that files of the root directory begin with two.
        Some(directory) => cx.scratch.concat(&[&directory.name, b"/"]),
        None => b"<UNKNOWN>/",
    };
    Some(path::join(cx, directory, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_flags_are_those_of_the_event_table() {
        let flags = types::SYSCALL_OPENAT_2_X.info().unwrap().params[3].flags;
        for (name, value) in [
            ("O_RDONLY", open_flag::RDONLY),
            ("O_WRONLY", open_flag::WRONLY),
            ("O_CREAT", open_flag::CREAT),
            ("O_TMPFILE", open_flag::TMPFILE),
            ("O_F_CREATED", open_flag::CREATED),
        ] {
            let in_table = flags.iter().find(|f| f.name == name).unwrap();
            assert_eq!(in_table.value, u64::from(value), "{name}");
        }
    }
}
