//! Fields of the paths that a successful call on the file system works on.

use lanner_event::{EventType, types};
use lanner_machine::{FdKind, Thread};

use super::{fd, param, path, syscall};
use crate::table::FsPath;
use crate::{Context, Value};

/// Where a call names its paths.
enum Paths {
    /// One path, in that parameter.
    One(&'static str),
    /// The path of the fd it works on.
    OfFd,
    /// From the first parameter to the second.
    Two(&'static str, &'static str),
}

/// The calls that have such fields; a link's own path counts as its source.
fn paths(ty: EventType) -> Option<Paths> {
    Some(match ty {
        types::SYSCALL_MKDIR_2_X
        | types::SYSCALL_MKDIRAT_X
        | types::SYSCALL_RMDIR_2_X
        | types::SYSCALL_UNLINK_2_X
        | types::SYSCALL_CHOWN_X
        | types::SYSCALL_LCHOWN_X => Paths::One("path"),
        types::SYSCALL_UNLINKAT_2_X
        | types::SYSCALL_OPEN_X
        | types::SYSCALL_OPENAT_2_X
        | types::SYSCALL_OPENAT2_X
        | types::SYSCALL_UMOUNT_1_X
        | types::SYSCALL_UMOUNT2_X => Paths::One("name"),
        types::SYSCALL_CHMOD_X | types::SYSCALL_FCHMODAT_X => Paths::One("filename"),
        types::SYSCALL_FCHOWNAT_X => Paths::One("pathname"),
        types::SYSCALL_QUOTACTL_X => Paths::One("special"),
        types::SYSCALL_FCHMOD_X | types::SYSCALL_FCHOWN_X => Paths::OfFd,
        types::SYSCALL_RENAME_X | types::SYSCALL_RENAMEAT_X | types::SYSCALL_RENAMEAT2_X => {
            Paths::Two("oldpath", "newpath")
        }
        types::SYSCALL_LINK_2_X | types::SYSCALL_LINKAT_2_X => Paths::Two("newpath", "oldpath"),
        types::SYSCALL_SYMLINK_X | types::SYSCALL_SYMLINKAT_X => Paths::Two("linkpath", "target"),
        types::SYSCALL_MOUNT_X => Paths::Two("dev", "dir"),
        _ => return None,
    })
}

/// Whether events of a type can have the field.
pub(crate) fn has(id: FsPath, ty: EventType) -> bool {
    if id == FsPath::FsPathResolved {
        return syscall::opens(ty);
    }
    let single = matches!(id, FsPath::FsPathName | FsPath::FsPathNameraw);
    paths(ty).is_some_and(|paths| single != matches!(paths, Paths::Two(..)))
}

pub(crate) fn extract<'a>(id: FsPath, cx: &Context<'a>) -> Option<Value<'a>> {
    if id == FsPath::FsPathResolved {
        return cx.event.resolved_path().map(Value::Text);
    }
    let paths = paths(cx.event.ty())?;
    if !succeeded(cx) {
        return None;
    }
    let name = match (id, paths) {
        (FsPath::FsPathName | FsPath::FsPathNameraw, Paths::One(name)) => Some(name),
        (FsPath::FsPathName | FsPath::FsPathNameraw, Paths::OfFd) => None,
        (FsPath::FsPathSource | FsPath::FsPathSourceraw, Paths::Two(source, _)) => Some(source),
        (FsPath::FsPathTarget | FsPath::FsPathTargetraw, Paths::Two(_, target)) => Some(target),
        _ => return None,
    };
    let raw = match name {
        Some(name) => param::text(cx.event, param::place(cx.event.info, name)?)?,
        None => fd::name(cx)?,
    };
    match id {
        FsPath::FsPathName | FsPath::FsPathSource | FsPath::FsPathTarget => {
            Some(Value::Text(absolute(id, cx, cx.thread()?, raw)))
        }
        _ => Some(Value::Text(raw)),
    }
}

/// Whether the call did what it was asked for. An open counts unless it returned -1, whatever its error
/// otherwise, as it always did for rules.
fn succeeded(cx: &Context<'_>) -> bool {
    let place = |name| param::place(cx.event.info, name);
    let number = |index| match param::value(cx.event, index) {
        Some(Value::Signed(number)) => Some(number),
        _ => None,
    };
    match cx.event.ty() {
        types::SYSCALL_OPEN_X | types::SYSCALL_OPENAT_2_X | types::SYSCALL_OPENAT2_X => {
            place("fd").and_then(number).is_some_and(|fd| fd != -1)
        }
        _ => place("res").and_then(number) == Some(0),
    }
}

fn absolute<'a>(id: FsPath, cx: &Context<'a>, thread: &'a Thread, raw: &'a [u8]) -> &'a [u8] {
    if raw.starts_with(b"/") {
        return path::join(cx, b"", raw);
    }
    let directory = match cx.event.ty() {
        types::SYSCALL_OPENAT_2_X | types::SYSCALL_OPENAT2_X => {
            return path::join(cx, b"", cx.fd().map_or(path::UNKNOWN, |fd| &fd.name));
        }
        types::SYSCALL_FCHOWNAT_X
        | types::SYSCALL_FCHMODAT_X
        | types::SYSCALL_MKDIRAT_X
        | types::SYSCALL_UNLINKAT_2_X => of_directory_fd(cx),
        types::SYSCALL_SYMLINKAT_X if id == FsPath::FsPathSource => of_directory_fd(cx),
        types::SYSCALL_SYMLINKAT_X => path::UNKNOWN,
        types::SYSCALL_RENAMEAT2_X => {
            let fd = if id == FsPath::FsPathTarget { 3 } else { 1 };
            cx.event.i64(fd).map_or(path::UNKNOWN, |fd| path::directory(cx, thread, fd))
        }
        _ => path::cwd(cx, thread),
    };
    path::join(cx, directory, raw)
}

/// Path of the directory fd that the event is about.
fn of_directory_fd<'a>(cx: &Context<'a>) -> &'a [u8] {
    match cx.fd() {
        Some(fd) if fd.kind == FdKind::Directory => path::with_slash(cx, &fd.name),
        _ => path::UNKNOWN,
    }
}
