//! Paths of calls made absolute.

use lanner_machine::Thread;

use crate::Context;

/// What a directory fd says that means the working directory.
pub(crate) const AT_FDCWD: i64 = -100;

/// What stands for a directory that isn't known.
pub(crate) const UNKNOWN: &[u8] = b"<UNKNOWN>";

/// Working directory of the thread's process.
pub(crate) fn cwd<'a>(cx: &Context<'a>, thread: &'a Thread) -> &'a [u8] {
    cx.machine.main_thread(thread).map_or(b"./", |main| &main.cwd)
}

/// The directory that a relative path starts from, with its closing slash.
pub(crate) fn directory<'a>(cx: &Context<'a>, thread: &'a Thread, fd: i64) -> &'a [u8] {
    if fd == AT_FDCWD {
        return cwd(cx, thread);
    }
    match cx.machine.fd(thread.tid, fd) {
        Some(fd) => with_slash(cx, &fd.name),
        None => UNKNOWN,
    }
}

/// A directory's path with a closing slash.
pub(crate) fn with_slash<'a>(cx: &Context<'a>, path: &'a [u8]) -> &'a [u8] {
    if path.is_empty() || path.ends_with(b"/") { path } else { cx.scratch.concat(&[path, b"/"]) }
}

/// A path against a directory, without `.`, `..` and double slashes.
pub(crate) fn join<'a>(cx: &Context<'a>, directory: &[u8], path: &'a [u8]) -> &'a [u8] {
    if lanner_machine::path::stays(directory, path) {
        return path;
    }
    cx.scratch.built(|out| lanner_machine::path::join(directory, path, out))
}
