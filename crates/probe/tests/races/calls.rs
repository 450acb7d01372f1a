//! The calls that are given names: the plain ones, or those beneath a directory where the machine has no others.

use lanner_event::{EventType, types as t};

use crate::support::call::{Arg, Arg::N, call};

/// A call that is given a name, and the event's parameter that tells it.
pub struct Call {
    pub ty: EventType,
    number: libc::c_long,
    /// The name is behind a directory.
    at: bool,
    pub param: &'static str,
}

const CWD: i64 = libc::AT_FDCWD as i64;

impl Call {
    const fn plain(ty: EventType, number: libc::c_long, param: &'static str) -> Call {
        Call { ty, number, at: false, param }
    }

    const fn at(ty: EventType, number: libc::c_long, param: &'static str) -> Call {
        Call { ty, number, at: true, param }
    }

    /// Makes the call with a name and what stands behind it.
    pub fn make(&self, name: Arg<'_>, behind: &[i64]) -> i64 {
        let directory = self.at.then_some(N(CWD));
        let args = directory.into_iter().chain([name]).chain(behind.iter().map(|&n| N(n)));
        call(self.number, &args.collect::<Vec<_>>())
    }
}

/// A call that is given two names.
pub struct TwoNames {
    pub ty: EventType,
    number: libc::c_long,
    at: At,
    pub params: [&'static str; 2],
}

#[allow(dead_code, reason = "by architecture")]
enum At {
    None,
    Both,
    Second,
}

impl TwoNames {
    pub fn make(&self, first: i64, second: i64) -> i64 {
        let args = match self.at {
            At::None => vec![first, second],
            At::Both => vec![CWD, first, CWD, second, 0],
            At::Second => vec![first, CWD, second],
        };
        call(self.number, &args.into_iter().map(N).collect::<Vec<_>>())
    }
}

pub const UNLINKAT: Call = Call::at(t::SYSCALL_UNLINKAT_2_X, libc::SYS_unlinkat, "name");
pub const CHDIR: Call = Call::plain(t::SYSCALL_CHDIR_X, libc::SYS_chdir, "path");
pub const UMOUNT: Call = Call::plain(t::SYSCALL_UMOUNT2_X, libc::SYS_umount2, "name");

#[cfg(target_arch = "x86_64")]
mod own {
    use super::*;

    pub const OPEN: Call = Call::plain(t::SYSCALL_OPEN_X, libc::SYS_open, "name");
    pub const UNLINK: Call = Call::plain(t::SYSCALL_UNLINK_2_X, libc::SYS_unlink, "path");
    pub const MKDIR: Call = Call::plain(t::SYSCALL_MKDIR_2_X, libc::SYS_mkdir, "path");
    pub const MKNOD: Call = Call::plain(t::SYSCALL_MKNOD_X, libc::SYS_mknod, "path");
    pub const CHMOD: Call = Call::plain(t::SYSCALL_CHMOD_X, libc::SYS_chmod, "filename");
    pub const CHOWN: Call = Call::plain(t::SYSCALL_CHOWN_X, libc::SYS_chown, "path");

    const fn two(ty: EventType, number: libc::c_long, params: [&'static str; 2]) -> TwoNames {
        TwoNames { ty, number, at: At::None, params }
    }
    pub const RENAME: TwoNames = two(t::SYSCALL_RENAME_X, libc::SYS_rename, ["oldpath", "newpath"]);
    pub const LINK: TwoNames = two(t::SYSCALL_LINK_2_X, libc::SYS_link, ["oldpath", "newpath"]);
    pub const SYMLINK: TwoNames = two(t::SYSCALL_SYMLINK_X, libc::SYS_symlink, ["target", "linkpath"]);
}

#[cfg(not(target_arch = "x86_64"))]
mod own {
    use super::*;

    pub const OPEN: Call = Call::at(t::SYSCALL_OPENAT_2_X, libc::SYS_openat, "name");
    pub const UNLINK: Call = UNLINKAT;
    pub const MKDIR: Call = Call::at(t::SYSCALL_MKDIRAT_X, libc::SYS_mkdirat, "path");
    pub const MKNOD: Call = Call::at(t::SYSCALL_MKNODAT_X, libc::SYS_mknodat, "path");
    pub const CHMOD: Call = Call::at(t::SYSCALL_FCHMODAT_X, libc::SYS_fchmodat, "filename");
    pub const CHOWN: Call = Call::at(t::SYSCALL_FCHOWNAT_X, libc::SYS_fchownat, "pathname");

    const fn two(ty: EventType, number: libc::c_long, at: At, params: [&'static str; 2]) -> TwoNames {
        TwoNames { ty, number, at, params }
    }
    const NEW: [&str; 2] = ["oldpath", "newpath"];
    pub const RENAME: TwoNames = two(t::SYSCALL_RENAMEAT2_X, libc::SYS_renameat2, At::Both, NEW);
    pub const LINK: TwoNames = two(t::SYSCALL_LINKAT_2_X, libc::SYS_linkat, At::Both, NEW);
    pub const SYMLINK: TwoNames =
        two(t::SYSCALL_SYMLINKAT_X, libc::SYS_symlinkat, At::Second, ["target", "linkpath"]);
}

pub use own::*;
