use super::*;
use crate::{EventBuf, EventType, types};

/// A thread with two fds, a name, a user and a working directory.
struct Known;

impl Names for Known {
    fn has_thread(&self) -> bool {
        true
    }
    fn fd(&self, num: i64) -> Option<FdLabel<'_>> {
        match num {
            3 => Some(FdLabel { kind: 'f', protocol: None, name: b"/etc/passwd" }),
            4 => Some(FdLabel { kind: '4', protocol: Some('t'), name: b"1.1.1.1:1->2.2.2.2:2" }),
            _ => None,
        }
    }
    fn thread_name(&self, tid: i64) -> Option<&[u8]> {
        (tid == 7).then_some(b"bash")
    }
    fn user_name(&self, uid: u32) -> Option<&[u8]> {
        (uid == 0).then_some(b"root")
    }
    fn absolute_path(&self, dir: Option<i64>, path: &[u8], out: &mut Vec<u8>) -> bool {
        out.extend(if dir.is_some() { b"/dir/".as_slice() } else { b"/cwd/" });
        out.extend(path);
        true
    }
    fn utc_offset(&self, _seconds: i64) -> i64 {
        3600
    }
}

fn event(ty: EventType, params: &[&[u8]]) -> EventBuf {
    EventBuf::new(1, 7, 0, ty, params).unwrap()
}

fn args(ty: EventType, params: &[&[u8]]) -> String {
    let mut out = Vec::new();
    print_args(&event(ty, params).event().unwrap(), &Known, &mut out);
    String::from_utf8(out).unwrap()
}

fn n64(n: i64) -> [u8; 8] {
    n.to_ne_bytes()
}

fn n32(n: u32) -> [u8; 4] {
    n.to_ne_bytes()
}

#[test]
fn an_open_shows_names_beside_numbers() {
    let (at, fd) = (n64(-100), n64(3));
    let (flags, mode, dev, ino) = (n32(4097), n32(0o644), n32(0xfd01), 77u64.to_ne_bytes());
    let text = args(types::SYSCALL_OPENAT_2_X, &[&fd, &at, b"passwd\0", &flags, &mode, &dev, &ino]);
    assert_eq!(
        text,
        "fd=3(<f>/etc/passwd) dirfd=-100(AT_FDCWD) name=passwd(/cwd/passwd) flags=4097(O_RDONLY|O_CLOEXEC) \
         mode=0644 dev=FD01 ino=77"
    );
    let text = args(types::SYSCALL_OPENAT_2_X, &[&n64(-2), &n64(9), b"/x\0", &n32(0)]);
    assert_eq!(text, "fd=-2(ENOENT) dirfd=9 name=/x flags=0(O_NONE)");
    let text = args(types::SYSCALL_OPENAT_2_X, &[&n64(5), &n64(9), b"x\0"]);
    assert_eq!(text, "fd=5 dirfd=9 name=x(/dir/x)");
}

#[test]
fn sockets_show_their_protocol() {
    let text = args(types::SOCKET_CONNECT_X, &[&n64(-115), &[], &n64(4), &[]]);
    assert_eq!(text, "res=-115(EINPROGRESS) tuple=NULL fd=4(<4t>1.1.1.1:1->2.2.2.2:2) addr=<NA>");
}

#[test]
fn absent_texts_show_so_whoever_wrote_them() {
    assert_eq!(args(types::SYSCALL_CHDIR_X, &[&n64(0), b"(NULL)\0"]), "res=0 path=<NA>");
    assert_eq!(args(types::SYSCALL_CHDIR_X, &[&n64(0), &[]]), "res=0 path=<NA>");
    assert_eq!(args(types::SYSCALL_CHDIR_X, &[&[], b"\0"]), "res=<NA> path=");
}

#[test]
fn owners() {
    assert_eq!(args(types::SYSCALL_SETUID_X, &[&n64(0), &n32(0)]), "res=0 uid=0(root)");
    assert_eq!(args(types::SYSCALL_SETUID_X, &[&n64(0), &n32(5)]), "res=0 uid=5(<NA>)");
    assert_eq!(args(types::SYSCALL_SETUID_X, &[&n64(0), &n32(u32::MAX)]), "res=0 uid=-1(<NONE>)");
    assert_eq!(args(types::SYSCALL_SETUID_X, &[&n64(0), &n32(u32::MAX - 1)]), "res=0 uid=-2(<NA>)");
}

#[test]
fn kill_shows_thread_and_signal() {
    let text = args(types::SYSCALL_KILL_X, &[&n64(0), &n64(7), &[9]]);
    assert_eq!(text, "res=0 pid=7(bash) sig=9(SIGKILL)");
}

#[test]
fn poll_lists_fds() {
    let mut list = 3u16.to_ne_bytes().to_vec();
    for (fd, events) in [(3i64, 1u16), (4, 0x8004), (99, 0)] {
        list.extend(fd.to_ne_bytes());
        list.extend(events.to_ne_bytes());
    }
    let text = args(types::SYSCALL_POLL_X, &[&n64(1), &list, &n64(-1)]);
    assert_eq!(text, "res=1 fds=3:f1 4:4ffff8004 99:?0 timeout=-1");
    // A count that promises more than there is.
    assert_eq!(args(types::SYSCALL_POLL_X, &[&n64(1), &list[..7]]), "res=1 fds=");
}

#[test]
fn variants_have_their_own_type() {
    let variant = |tag: u8, value: &[u8]| [&[tag], value].concat();
    let text = args(types::SYSCALL_PTRACE_X, &[&n64(0), &variant(0, &n64(0xabc)), &variant(1, &[19])]);
    assert_eq!(text, "res=0 addr=ABC data=19(SIGSTOP)");
    let option = |val: &[u8]| args(types::SOCKET_SETSOCKOPT_X, &[&n64(0), &n64(3), &[1], &[2], val, &n32(8)]);
    let head = "res=0 fd=3(<f>/etc/passwd) level=1(SOL_SOCKET) optname=2(SO_REUSEADDR) ";
    assert_eq!(option(&variant(1, &n64(-104))), format!("{head}val=-104(ECONNRESET) optlen=8"));
    assert_eq!(option(&variant(4, &n64(1_500_000_000))), format!("{head}val=1500000000(1.5s) optlen=8"));
    assert_eq!(option(&variant(4, &n64(-1))), format!("{head}val=none optlen=8"));
    assert_eq!(option(&variant(0, b"a\0b")), format!("{head}val=a.b optlen=8"));
    assert_eq!(option(&variant(0, b"")), format!("{head}val= optlen=8"));
    assert_eq!(option(&variant(77, b"x")), format!("{head}val=INVALID DYNAMIC PARAMETER optlen=8"));
    assert_eq!(option(b""), format!("{head}val=NULL optlen=8"));
}

#[test]
fn times_are_local() {
    let info = types::SYSCALL_EXECVE_19_X.info().unwrap();
    let at = info.params.iter().position(|p| p.name == "exe_ino_ctime").unwrap();
    let mut params: Vec<&[u8]> = vec![&[]; at + 1];
    let time = 1_709_164_800_000_000_009u64.to_ne_bytes();
    params[at] = &time;
    let mut out = Vec::new();
    assert!(print_param(&event(types::SYSCALL_EXECVE_19_X, &params).event().unwrap(), at, &Known, &mut out));
    assert_eq!(String::from_utf8(out).unwrap(), "2024-02-29 01:00:00.000000009");
}

#[test]
fn dates_follow_the_calendar() {
    for (days, date) in
        [(0, (1970, 1, 1)), (-1, (1969, 12, 31)), (11_016, (2000, 2, 29)), (11_017, (2000, 3, 1))]
    {
        assert_eq!(civil_date(days), date);
    }
}

#[test]
fn flags_take_bits_away_in_table_order() {
    const FLAGS: &[FlagName] = &[
        FlagName { name: "RW", value: 3 },
        FlagName { name: "W", value: 2 },
        FlagName { name: "R", value: 1 },
        FlagName { name: "NONE", value: 0 },
        FlagName { name: "X", value: 4 },
    ];
    for (value, text) in [(0, "NONE"), (1, "R"), (3, "RW"), (7, "RW|X"), (8, ""), (12, "X")] {
        let mut out = Vec::new();
        assert_eq!(print_flags(value, FLAGS, &mut out), !text.is_empty());
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }
    let mut out = Vec::new();
    print_mode(3, FLAGS, &mut out);
    assert_eq!(out, b"RW");
}

#[test]
fn a_parameter_that_is_not_there_prints_nothing() {
    let event = event(types::SYSCALL_SETUID_X, &[&n64(0)]);
    let mut out = Vec::new();
    assert!(!print_param(&event.event().unwrap(), 1, &Known, &mut out));
    assert!(!print_raw(&event.event().unwrap(), 9, &Known, &mut out));
    assert!(!print_resolved(&event.event().unwrap(), 0, &Known, &mut out));
    assert!(out.is_empty());
}
