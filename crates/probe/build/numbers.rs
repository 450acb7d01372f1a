//! System call numbers: `numbers.tbl` of the event crate.

use lanner_event::SYSCALL_NAMES;

use crate::{Error, lines};

/// Numbers that the tables of the BPF side reach to; a power of two above every number of every ABI.
pub const NUMBERS: usize = 1024;

/// The calls that 32-bit x86 multiplexes through `socketcall`, by its first argument.
pub const SOCKETCALLS: [&str; 21] = [
    "",
    "socket",
    "bind",
    "connect",
    "listen",
    "accept",
    "getsockname",
    "getpeername",
    "socketpair",
    "send",
    "recv",
    "sendto",
    "recvfrom",
    "shutdown",
    "setsockopt",
    "getsockopt",
    "sendmsg",
    "recvmsg",
    "accept4",
    "recvmmsg",
    "sendmmsg",
];

/// The operations of io_uring, by their numbers (linux/io_uring.h).
pub const OPERATIONS: [&str; 63] = [
    "nop",
    "readv",
    "writev",
    "fsync",
    "read_fixed",
    "write_fixed",
    "poll_add",
    "poll_remove",
    "sync_file_range",
    "sendmsg",
    "recvmsg",
    "timeout",
    "timeout_remove",
    "accept",
    "async_cancel",
    "link_timeout",
    "connect",
    "fallocate",
    "openat",
    "close",
    "files_update",
    "statx",
    "read",
    "write",
    "fadvise",
    "madvise",
    "send",
    "recv",
    "openat2",
    "epoll_ctl",
    "splice",
    "provide_buffers",
    "remove_buffers",
    "tee",
    "shutdown",
    "renameat",
    "unlinkat",
    "mkdirat",
    "symlinkat",
    "linkat",
    "msg_ring",
    "fsetxattr",
    "setxattr",
    "fgetxattr",
    "getxattr",
    "socket",
    "uring_cmd",
    "send_zc",
    "sendmsg_zc",
    "read_multishot",
    "waitid",
    "futex_wait",
    "futex_wake",
    "futex_waitv",
    "fixed_fd_install",
    "ftruncate",
    "bind",
    "listen",
    "recv_zc",
    "epoll_wait",
    "readv_fixed",
    "writev_fixed",
    "pipe",
];

/// One system call.
pub struct Call {
    pub name: String,
    pub native: Vec<usize>,
    /// As a 32-bit call, be it ia32 or arm.
    pub ia32: Vec<usize>,
}

impl Call {
    /// The number that captures give the call; 0 is `unknown`.
    pub fn id(&self) -> usize {
        SYSCALL_NAMES.iter().position(|name| *name == self.name).unwrap_or(0)
    }
}

/// Reads the table for an architecture: its own calls and those of 32-bit programs.
pub fn read(arch: &str) -> Result<Vec<Call>, Error> {
    let mut calls = Vec::new();
    for (n, line) in lines("../../event/data/numbers.tbl")? {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, x86_64, ia32, aarch64, arm] = words[..] else {
            return Err(format!("numbers.tbl:{n}: not understood: {line}").into());
        };
        let list = |text: &str| -> Result<Vec<usize>, Error> {
            if text == "-" {
                return Ok(Vec::new());
            }
            text.split(',')
                .map(|one| match one.parse::<usize>() {
                    Ok(number) if number < NUMBERS => Ok(number),
                    _ => Err(format!("numbers.tbl:{n}: {one} is no number below {NUMBERS}").into()),
                })
                .collect()
        };
        let (native, ia32) = match arch {
            "x86_64" => (list(x86_64)?, list(ia32)?),
            _ => (list(aarch64)?, list(arm)?),
        };
        calls.push(Call { name: name.into(), native, ia32 });
    }
    Ok(calls)
}
