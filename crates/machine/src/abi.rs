//! Flag bits and enumerated values of event parameters that the machine acts on, in the numbering of the
//! event table (`data/flags.tbl` of the event crate).

pub(crate) const CLONE_FILES: u32 = 1 << 0;
pub(crate) const CLONE_NEWPID: u32 = 1 << 6;
pub(crate) const CLONE_PARENT: u32 = 1 << 8;
pub(crate) const CLONE_THREAD: u32 = 1 << 13;
/// The child's event came before its parent's.
pub(crate) const CLONE_INVERTED: u32 = 1 << 16;
pub(crate) const CLONE_NEWUSER: u32 = 1 << 20;
pub(crate) const CLONE_VFORK: u32 = 1 << 27;
/// The child lives in a pid namespace other than the host's.
pub(crate) const CHILD_IN_PIDNS: u32 = 1 << 29;
/// The thread is its process' first even though its ids do not say so.
pub(crate) const IS_MAIN_THREAD: u32 = 1 << 30;

pub(crate) const O_DIRECTORY: u32 = 1 << 10;
pub(crate) const O_CLOEXEC: u32 = 1 << 12;
/// The first of the bits that the exit side adds to the flags of the call.
pub(crate) const O_F_CREATED: u32 = 1 << 14;
pub(crate) const FD_UPPER_LAYER: u32 = 1 << 15;
pub(crate) const FD_LOWER_LAYER: u32 = 1 << 16;
/// The same two bits where `creat` carries them.
pub(crate) const CREAT_UPPER_LAYER: u16 = 1 << 0;
pub(crate) const CREAT_LOWER_LAYER: u16 = 1 << 1;
/// Close-on-exec as `epoll_create1` and `memfd_create` write it.
pub(crate) const SPECIAL_CLOEXEC: u32 = 1 << 0;

pub(crate) const EXE_WRITABLE: u32 = 1 << 0;
pub(crate) const EXE_UPPER_LAYER: u32 = 1 << 1;
pub(crate) const EXE_FROM_MEMFD: u32 = 1 << 2;
pub(crate) const EXE_LOWER_LAYER: u32 = 1 << 3;
pub(crate) const AT_EMPTY_PATH: u32 = 1 << 0;

pub(crate) const AT_FDCWD: i64 = -100;

pub(crate) const CLOSE_RANGE_UNSHARE: u32 = 1 << 1;
pub(crate) const CLOSE_RANGE_CLOEXEC: u32 = 1 << 2;

pub(crate) const F_DUPFD: u8 = 1;
pub(crate) const F_SETFD: u8 = 3;
pub(crate) const F_DUPFD_CLOEXEC: u8 = 26;
/// The argument of `F_SETFD`.
pub(crate) const FD_CLOEXEC: u64 = 1;

pub(crate) const RLIMIT_NOFILE: u8 = 7;
pub(crate) const PR_SET_CHILD_SUBREAPER: u32 = 36;
pub(crate) const PR_GET_CHILD_SUBREAPER: u32 = 37;

pub(crate) const AF_UNIX: u8 = 1;
pub(crate) const AF_INET: u8 = 2;
pub(crate) const AF_INET6: u8 = 10;
pub(crate) const AF_NETLINK: u8 = 16;

pub(crate) const SOCK_STREAM: u32 = 1;
pub(crate) const SOCK_DGRAM: u32 = 2;
pub(crate) const SOCK_RAW: u32 = 3;

pub(crate) const IPPROTO_IP: u32 = 0;
pub(crate) const IPPROTO_ICMP: u32 = 1;
pub(crate) const IPPROTO_TCP: u32 = 6;
pub(crate) const IPPROTO_UDP: u32 = 17;
pub(crate) const IPPROTO_RAW: u32 = 255;

pub(crate) const EINPROGRESS: i64 = 115;

/// All 41 capabilities that exist.
pub(crate) const ALL_CAPABILITIES: u64 = (1 << 41) - 1;
