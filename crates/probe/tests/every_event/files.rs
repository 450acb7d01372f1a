//! Files and directories.
use lanner_event::types as t;

use crate::Want::{Nothing, Num, Result, Something, Text};
use crate::support::call::Arg::{N, P};
use crate::support::flag;
use crate::{CWD, DIR, EBADF, ENOENT, NONE, NONE_TEXT, OTHER, OTHER_TEXT, Seen, case, check};

/// All of this group.
pub fn all(seen: &mut Seen) {
    opening_files(seen);
    #[cfg(target_arch = "x86_64")]
    opening_files_the_old_way(seen);
    names_relative_to_directories(seen);
}

fn opening_files(seen: &mut Seen) {
    let open = |name| flag(t::SYSCALL_OPENAT_2_X, "flags", name);
    let how: Vec<u8> =
        [u64::from(libc::O_PATH as u32), 0, 4].into_iter().flat_map(u64::to_ne_bytes).collect();
    check(
        seen,
        &[
            case(
                libc::SYS_openat,
                vec![N(CWD), P(b"/etc/hostname\0"), N(0o2000000)],
                t::SYSCALL_OPENAT_2_X,
                vec![
                    ("fd", Result),
                    ("dirfd", Num(CWD)),
                    ("name", Text("/etc/hostname")),
                    ("flags", Num(open("O_RDONLY") | open("O_CLOEXEC"))),
                    ("mode", Num(0)),
                    ("dev", Something),
                    ("ino", Something),
                ],
            ),
            case(
                libc::SYS_openat,
                vec![N(9999), P(OTHER), N(0o1 | 0o100 | 0o200), N(0o640)],
                t::SYSCALL_OPENAT_2_X,
                vec![
                    ("fd", Num(EBADF)),
                    ("dirfd", Num(9999)),
                    ("name", Text(OTHER_TEXT)),
                    ("flags", Num(open("O_WRONLY") | open("O_CREAT") | open("O_EXCL"))),
                    ("mode", Num(0o640)),
                    ("dev", Num(0)),
                    ("ino", Num(0)),
                ],
            ),
            case(
                libc::SYS_openat,
                vec![N(CWD), N(8), N(0)],
                t::SYSCALL_OPENAT_2_X,
                vec![("fd", Num(-14)), ("name", Nothing)],
            ),
            case(
                libc::SYS_openat2,
                vec![N(CWD), P(NONE), P(&how), N(24)],
                t::SYSCALL_OPENAT2_X,
                vec![
                    ("fd", Num(ENOENT)),
                    ("name", Text(NONE_TEXT)),
                    ("flags", Num(open("O_RDONLY"))),
                    ("resolve", Num(flag(t::SYSCALL_OPENAT2_X, "resolve", "RESOLVE_NO_SYMLINKS"))),
                ],
            ),
            case(
                libc::SYS_open_by_handle_at,
                vec![N(9999), P(&[0; 16]), N(0o2)],
                t::SYSCALL_OPEN_BY_HANDLE_AT_X,
                vec![
                    ("fd", Result),
                    ("mountfd", Num(9999)),
                    ("flags", Num(open("O_RDWR"))),
                    ("path", Nothing),
                ],
            ),
        ],
    );
}

#[cfg(target_arch = "x86_64")]
fn opening_files_the_old_way(seen: &mut Seen) {
    let open = |name| flag(t::SYSCALL_OPEN_X, "flags", name);
    let path = format!("/tmp/lanner-probe-created-{}\0", std::process::id());
    check(
        seen,
        &[
            case(
                libc::SYS_open,
                vec![P(path.as_bytes()), N(0o1 | 0o100), N(0o600)],
                t::SYSCALL_OPEN_X,
                vec![
                    ("fd", Result),
                    ("flags", Num(open("O_WRONLY") | open("O_CREAT") | open("O_F_CREATED"))),
                    ("mode", Num(0o600)),
                    ("ino", Something),
                ],
            ),
            case(
                libc::SYS_open,
                vec![P(path.as_bytes()), N(0o1 | 0o100), N(0o600)],
                t::SYSCALL_OPEN_X,
                vec![("flags", Num(open("O_WRONLY") | open("O_CREAT")))],
            ),
            case(
                libc::SYS_creat,
                vec![P(NONE), N(0o2000)],
                t::SYSCALL_CREAT_X,
                vec![("mode", Num(0o2000)), ("name", Text(NONE_TEXT))],
            ),
            case(libc::SYS_unlink, vec![P(NONE)], t::SYSCALL_UNLINK_2_X, vec![("res", Num(0))]),
            case(libc::SYS_unlink, vec![P(path.as_bytes())], t::SYSCALL_UNLINK_2_X, vec![("res", Num(0))]),
            case(
                libc::SYS_rename,
                vec![P(NONE), P(OTHER)],
                t::SYSCALL_RENAME_X,
                vec![("res", Result), ("oldpath", Text(NONE_TEXT)), ("newpath", Text(OTHER_TEXT))],
            ),
            case(
                libc::SYS_mkdir,
                vec![P(DIR), N(0o755)],
                t::SYSCALL_MKDIR_2_X,
                vec![("res", Num(0)), ("path", Text("/tmp/lanner-probe-test-none/")), ("mode", Num(0o755))],
            ),
            case(libc::SYS_rmdir, vec![P(DIR)], t::SYSCALL_RMDIR_2_X, vec![("res", Num(0))]),
            case(
                libc::SYS_link,
                vec![P(NONE), P(OTHER)],
                t::SYSCALL_LINK_2_X,
                vec![("oldpath", Text(NONE_TEXT)), ("newpath", Text(OTHER_TEXT))],
            ),
            case(
                libc::SYS_symlink,
                vec![P(OTHER), P(b"/proc/none/x\0")],
                t::SYSCALL_SYMLINK_X,
                vec![("target", Text(OTHER_TEXT)), ("linkpath", Text("/proc/none/x"))],
            ),
            case(
                libc::SYS_chmod,
                vec![P(NONE), N(0o4755)],
                t::SYSCALL_CHMOD_X,
                vec![("res", Num(ENOENT)), ("mode", Num(0o4755))],
            ),
            case(
                libc::SYS_chown,
                vec![P(NONE), N(1), N(2)],
                t::SYSCALL_CHOWN_X,
                vec![("uid", Num(1)), ("gid", Num(2))],
            ),
            case(
                libc::SYS_lchown,
                vec![P(NONE), N(1), N(2)],
                t::SYSCALL_LCHOWN_X,
                vec![("path", Text(NONE_TEXT))],
            ),
            case(
                libc::SYS_mknod,
                vec![P(b"/proc/none/x\0"), N(0o20666), N(0x103)],
                t::SYSCALL_MKNOD_X,
                vec![("mode", Num(0o20666)), ("dev", Num(0x103))],
            ),
            case(
                libc::SYS_access,
                vec![P(NONE), N(4)],
                t::SYSCALL_ACCESS_X,
                vec![("res", Num(ENOENT)), ("mode", Num(4))],
            ),
            case(
                libc::SYS_dup2,
                vec![N(9998), N(9999)],
                t::SYSCALL_DUP2_X,
                vec![("res", Num(EBADF)), ("oldfd", Num(9998)), ("newfd", Num(9999))],
            ),
        ],
    );
}

fn names_relative_to_directories(seen: &mut Seen) {
    check(
        seen,
        &[
            case(
                libc::SYS_renameat2,
                vec![N(9997), P(NONE), N(9998), P(OTHER), N(1)],
                t::SYSCALL_RENAMEAT2_X,
                vec![
                    ("res", Num(EBADF)),
                    ("olddirfd", Num(9997)),
                    ("oldpath", Text(NONE_TEXT)),
                    ("newdirfd", Num(9998)),
                    ("newpath", Text(OTHER_TEXT)),
                    ("flags", Num(1)),
                ],
            ),
            case(
                libc::SYS_renameat,
                vec![N(CWD), P(NONE), N(9998), P(b"/\0")],
                t::SYSCALL_RENAMEAT_X,
                vec![("olddirfd", Num(CWD)), ("newpath", Text("/"))],
            ),
            case(
                libc::SYS_unlinkat,
                vec![N(CWD), P(NONE), N(0x200)],
                t::SYSCALL_UNLINKAT_2_X,
                vec![
                    ("res", Num(ENOENT)),
                    ("dirfd", Num(CWD)),
                    ("name", Text(NONE_TEXT)),
                    ("flags", Num(flag(t::SYSCALL_UNLINKAT_2_X, "flags", "AT_REMOVEDIR"))),
                ],
            ),
            case(
                libc::SYS_mkdirat,
                vec![N(9999), P(OTHER), N(0o700)],
                t::SYSCALL_MKDIRAT_X,
                vec![("res", Num(EBADF)), ("path", Text(OTHER_TEXT)), ("mode", Num(0o700))],
            ),
            case(
                libc::SYS_linkat,
                vec![N(CWD), P(NONE), N(CWD), P(OTHER), N(0x400)],
                t::SYSCALL_LINKAT_2_X,
                vec![
                    ("res", Num(ENOENT)),
                    ("newpath", Text(OTHER_TEXT)),
                    ("flags", Num(flag(t::SYSCALL_LINKAT_2_X, "flags", "AT_SYMLINK_FOLLOW"))),
                ],
            ),
            case(
                libc::SYS_symlinkat,
                vec![P(OTHER), N(9999), P(b"x\0")],
                t::SYSCALL_SYMLINKAT_X,
                vec![("target", Text(OTHER_TEXT)), ("linkdirfd", Num(9999)), ("linkpath", Text("x"))],
            ),
            case(
                libc::SYS_fchmodat,
                vec![N(CWD), P(NONE), N(0o1777)],
                t::SYSCALL_FCHMODAT_X,
                vec![("filename", Text(NONE_TEXT)), ("mode", Num(0o1777))],
            ),
            case(
                libc::SYS_fchmod,
                vec![N(9999), N(0o600)],
                t::SYSCALL_FCHMOD_X,
                vec![("fd", Num(9999)), ("mode", Num(0o600))],
            ),
            case(
                libc::SYS_fchown,
                vec![N(9999), N(3), N(4)],
                t::SYSCALL_FCHOWN_X,
                vec![("fd", Num(9999)), ("uid", Num(3)), ("gid", Num(4))],
            ),
            case(
                libc::SYS_fchownat,
                vec![N(CWD), P(NONE), N(3), N(4), N(0x100)],
                t::SYSCALL_FCHOWNAT_X,
                vec![
                    ("pathname", Text(NONE_TEXT)),
                    ("flags", Num(flag(t::SYSCALL_FCHOWNAT_X, "flags", "AT_SYMLINK_NOFOLLOW"))),
                ],
            ),
            case(
                libc::SYS_mknodat,
                vec![N(9999), P(OTHER), N(0o10644), N(0)],
                t::SYSCALL_MKNODAT_X,
                vec![("dirfd", Num(9999)), ("mode", Num(0o10644))],
            ),
            case(
                libc::SYS_chdir,
                vec![P(NONE)],
                t::SYSCALL_CHDIR_X,
                vec![("res", Num(ENOENT)), ("path", Text(NONE_TEXT))],
            ),
            case(
                libc::SYS_fchdir,
                vec![N(9999)],
                t::SYSCALL_FCHDIR_X,
                vec![("res", Num(EBADF)), ("fd", Num(9999))],
            ),
            case(libc::SYS_chroot, vec![P(NONE)], t::SYSCALL_CHROOT_X, vec![("path", Text(NONE_TEXT))]),
            case(
                libc::SYS_mount,
                vec![P(b"src\0"), P(NONE), P(b"ext4\0"), N(0xc0ed_0001), N(0)],
                t::SYSCALL_MOUNT_X,
                vec![
                    ("dev", Text("src")),
                    ("dir", Text(NONE_TEXT)),
                    ("type", Text("ext4")),
                    ("flags", Num(1)),
                ],
            ),
            case(
                libc::SYS_umount2,
                vec![P(NONE), N(2)],
                t::SYSCALL_UMOUNT2_X,
                vec![("name", Text(NONE_TEXT)), ("flags", Num(2))],
            ),
        ],
    );
}
