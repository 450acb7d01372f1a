//! What ran before the first event.

use lanner_event::types;

use crate::testing::{Child, Host, P, SHELL, params};
use crate::{Endpoint, Ends, Fd, FdKind, Interface, L4Proto, Machine, Role, Thread, abi};

fn end(ip: &str, port: u16) -> Endpoint {
    Endpoint { ip: ip.parse().unwrap(), port }
}

fn pair(num: i64, source: Endpoint, dest: Endpoint) -> Fd {
    Fd {
        num,
        kind: FdKind::Ipv4,
        l4: L4Proto::Tcp,
        ends: Ends::Ip { source, dest: Some(dest) },
        ..Fd::default()
    }
}

#[test]
fn threads_may_come_in_any_order() {
    let mut machine = Machine::default();
    let thread = |tid, pid, ptid| Thread { pid, ptid, vtid: tid, vpid: pid, ..Thread::unknown(tid) };
    machine.add_thread(Thread { flags: abi::CLONE_THREAD | abi::CLONE_FILES, ..thread(31, 30, 20) });
    machine.add_thread(Thread { cwd: "/srv".into(), ..thread(30, 30, 20) });
    machine.add_thread(thread(20, 20, 1));
    machine.add_fd(30, Fd { num: 1, name: "/x".into(), ..Fd::default() });
    let mut host = Host { machine, now: 5 };
    host.settle();
    assert_eq!(host.machine.cwd(host.thread(31)).to_string(), "/srv/");
    assert_eq!(host.name(31, 1), "/x");
    assert_eq!(host.machine.thread_count(host.thread(30)), 2);
    assert_eq!(host.machine.parent(host.thread(31)).map(|t| t.tid), Some(20));
    assert_eq!(host.thread(20).ptid, 0, "its parent is not known");
}

#[test]
fn sockets_are_named_and_turned_by_the_ports_that_are_served() {
    let mut host = Host::new();
    let server = Ends::Ip { source: end("0.0.0.0", 80), dest: None };
    host.machine.add_fd(1, Fd { num: 3, kind: FdKind::Ipv4Server, ends: server, ..Fd::default() });
    host.machine.add_fd(SHELL, pair(3, end("10.0.0.2", 80), end("10.0.0.9", 5000)));
    host.machine.add_fd(SHELL, pair(4, end("10.0.0.2", 6000), end("10.0.0.9", 22)));
    let mapped = Fd { kind: FdKind::Ipv6, ..pair(5, end("::ffff:1.1.1.1", 7), end("::ffff:2.2.2.2", 8)) };
    host.machine.add_fd(SHELL, mapped);
    host.machine.add_fd(SHELL, Fd { num: 6, kind: FdKind::Unix, name: "/s".into(), ..Fd::default() });
    host.settle();
    assert_eq!(host.name(1, 3), "0.0.0.0:80");
    assert_eq!(
        (host.name(SHELL, 3), host.fd(SHELL, 3).role),
        ("10.0.0.9:5000->10.0.0.2:80".to_owned(), Role::Server)
    );
    assert_eq!(
        (host.name(SHELL, 4), host.fd(SHELL, 4).role),
        ("10.0.0.2:6000->10.0.0.9:22".to_owned(), Role::Client)
    );
    assert_eq!(
        (host.name(SHELL, 5), host.fd(SHELL, 5).kind),
        ("1.1.1.1:7->2.2.2.2:8".to_owned(), FdKind::Ipv4)
    );
    assert_eq!(host.fd(SHELL, 6).role, Role::Server);
    assert!(host.fd(SHELL, 3).connected && host.fd(SHELL, 3).from_snapshot);
}

#[test]
fn an_end_without_address_is_the_hosts_own() {
    let mut host = Host::new();
    let (address, netmask) = ("10.0.0.2".parse().unwrap(), "255.255.255.0".parse().unwrap());
    host.machine.set_interfaces(vec![Interface { name: "eth0".to_owned(), address, netmask }]);
    host.machine.add_fd(SHELL, pair(3, end("0.0.0.0", 80), end("10.0.0.9", 5000)));
    assert_eq!(host.name(SHELL, 3), "10.0.0.2:80->10.0.0.9:5000");
}

fn task(host: &mut Host, tid: i64, pid: i64) {
    let number = |v: i64| P::from(v as i32);
    let params = [
        number(SHELL),
        number(41),
        number(42),
        number(43),
        P::from("nginx"),
        P::from(&b"nginx\0-g\0off\0"[..]),
        P::from("/usr/sbin/nginx"),
        P::from(abi::EXE_UPPER_LAYER),
        P::from(&b"A=1\0"[..]),
        P::from("/srv"),
        P::from(1024u64),
        P::from(33u32),
        P::from(34u32),
        P::from(1u64),
        P::from(2u64),
        P::from(3u64),
        P::from(4u64),
        P::from(5u64),
        P::from(6u64),
        P::from(7u32),
        P::from(8u32),
        P::from(9u32),
        P::from(10u64),
        P::from(11u64),
        number(pid),
        number(tid),
        P::from(12u64),
        P::from(&b"cpu=/\0"[..]),
        P::from("/"),
        P::from(13u64),
        P::from(14u32),
        P::from(15u32),
    ];
    host.send(pid << 32 | tid, types::ITER_TASK_E, &params);
}

#[test]
fn snapshot_events_make_threads_and_fds() {
    let mut host = Host::new();
    host.machine.set_boot_ts(1_000);
    task(&mut host, 501, 500);
    task(&mut host, 500, 500);
    let head = 500i64 << 32 | 500;
    let mut send = |ty, params: &[P]| host.send(head, ty, params);
    send(types::ITER_TASK_FILE_REGULAR_E, &params![3i32, "/etc/x", 1u32, 9u32, 10u64]);
    send(types::ITER_TASK_FILE_DIRECTORY_E, &params![4i32, "/etc", 11u64]);
    send(types::ITER_TASK_FILE_PIPE_E, &params![5i32, "pipe:[1]", 12u64]);
    send(types::ITER_TASK_FILE_MEMFD_E, &params![6i32, "m", 13u64]);
    let (ip, none) = (&[10u8, 0, 0, 2][..], &[0u8; 4][..]);
    send(types::ITER_TASK_FILE_SOCKET_INET_E, &params![7i32, 1u16, 6u16, ip, 80u16, none, 0u16, 14u64]);
    let local = &[0u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1][..];
    send(types::ITER_TASK_FILE_SOCKET_INET6_E, &params![8i32, 2u16, 17u16, local, 1u16, local, 2u16, 15u64]);
    send(types::ITER_TASK_FILE_SOCKET_UNIX_E, &params![9i32, 1u16, 0u16, 0xabcu64, "/run/s", 16u64]);
    send(types::ITER_TASK_FILE_SOCKET_NETLINK_E, &params![10i32, 3u16, 0u16, 17u64]);
    send(types::ITER_TASK_FILE_ANON_INODE_E, &params![11i32, 2u8, "anon_inode:[eventpoll]", 18u64]);
    send(types::ITER_TASK_FILE_ANON_INODE_E, &params![12i32, 0u8, "anon_inode:x", 19u64]);
    host.settle();

    let main = host.thread(500);
    assert_eq!((main.pid, main.ptid, main.pgid, main.vpgid, main.sid), (500, SHELL, 41, 42, 43));
    assert_eq!((main.comm.to_string(), main.exe.to_string()), ("nginx".to_owned(), "nginx".to_owned()));
    assert_eq!(main.args.iter().collect::<Vec<_>>(), [b"-g", &b"off"[..]]);
    assert_eq!((main.uid, main.gid, main.tty, main.loginuid, main.clone_ts), (33, 34, 14, 15, 13));
    assert_eq!((main.pf_major, main.pf_minor, main.vm_size, main.vm_rss, main.vm_swap), (10, 11, 7, 8, 9));
    assert_eq!((main.pidns_init_start_ts, main.executable.upper_layer), (1_012, true));
    assert_eq!(host.machine.cwd(host.thread(501)).to_string(), "/srv/");
    let fds: Vec<_> = (3..13).map(|num| (host.fd(501, num).kind, host.name(501, num))).collect();
    let want = [
        (FdKind::File, "/etc/x"),
        (FdKind::Directory, "/etc"),
        (FdKind::Fifo, "pipe:[1]"),
        (FdKind::Memfd, "m"),
        (FdKind::Ipv4Server, "10.0.0.2:80"),
        (FdKind::Ipv6, "::1:1->::1:2"),
        (FdKind::Unix, "/run/s"),
        (FdKind::Netlink, ""),
        (FdKind::Eventpoll, ""),
        (FdKind::Unsupported, "anon_inode:x"),
    ];
    assert_eq!(fds, want.map(|(kind, name)| (kind, name.to_owned())));
    assert!((3..13).all(|num| host.fd(500, num).ino == 7 + num as u64));
}

#[test]
fn what_is_no_file_any_more_is_forgotten() {
    let mut host = Host::new();
    for num in [3, 4] {
        host.open(SHELL, num, "/was");
    }
    host.send(SHELL, types::SOCKET_SOCKET_X, &params![5i64, 1u32, 1u32, 0u32]);
    host.send(SHELL, types::ITER_TASK_FILE_REGULAR_E, &params![3i32, "/is", 1u32, 9u32, 10u64]);
    for num in [4i32, 5, 6] {
        host.send(SHELL, types::ITER_TASK_FILE_REGULAR_E, &params![num, (), 0u32, 0u32, 0u64]);
    }
    assert_eq!(host.name(SHELL, 3), "/is");
    let known = |num| host.machine.fd(SHELL, num).map(|fd| fd.kind);
    assert_eq!((known(4), known(5), known(6)), (None, Some(FdKind::Unix), None));
}

#[test]
fn events_from_before_the_snapshot_change_nothing() {
    let mut host = Host::new();
    task(&mut host, 500, 500);
    let head = 500i64 << 32 | 500;
    host.send(head, types::ITER_TASK_FILE_REGULAR_E, &params![3i32, "/now", 1u32, 9u32, 10u64]);
    let end = host.now;
    host.now = end - 1_000_000;
    host.exec(500, "/bin/was");
    host.open(500, 3, "/was");
    host.close(500, 3);
    host.clone_event(500, 0, &Child::of(500, 1));
    host.fork(500, 600);
    host.exit(500);
    host.now = end;
    host.settle();
    let thread = host.thread(500);
    assert_eq!((thread.exe.to_string(), thread.ptid, thread.dead), ("nginx".to_owned(), SHELL, false));
    assert_eq!((host.name(500, 3), host.machine.thread(600).is_none()), ("/now".to_owned(), true));
    host.exec(500, "/bin/next");
    assert_eq!(host.thread(500).exe.to_string(), "/bin/next");
}
