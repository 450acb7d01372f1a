//! Fds: names of files and sockets, and what becomes of them.

use lanner_event::types;

use crate::testing::{Host, SHELL, address, params, tuple_unix, tuple4, tuple6};
use crate::{Endpoint, Ends, FdKind, L4Proto, MachineOptions, Role, abi};

fn socket(host: &mut Host, num: i64, domain: u8, ty: u32) {
    host.send(SHELL, types::SOCKET_SOCKET_X, &params![num, u32::from(domain), ty, 0u32, 0u32]);
}

#[test]
fn an_opened_file_is_known_by_its_whole_path() {
    let mut host = Host::new();
    let subject = host.open_at(SHELL, 3, abi::AT_FDCWD, "./a//b/../c", abi::FD_UPPER_LAYER);
    assert_eq!((subject.fd, subject.fd_name_changed), (Some(3), true));
    let fd = host.machine.fd_of(&subject).unwrap();
    assert_eq!(
        (fd.name.to_string(), String::from_utf8_lossy(fd.name_raw()).into_owned()),
        ("/root/a/c".to_owned(), "./a//b/../c".to_owned())
    );
    assert_eq!((fd.kind, fd.dev, fd.ino), (FdKind::File, 8, 99));
    assert!(fd.upper_layer && !fd.lower_layer);

    host.open_at(SHELL, 4, abi::AT_FDCWD, "/etc", abi::O_DIRECTORY);
    assert_eq!(host.fd(SHELL, 4).kind, FdKind::Directory);
    host.open_at(SHELL, 5, 4, "ssl/x", 0);
    assert_eq!(host.name(SHELL, 5), "/etc/ssl/x");
    host.open_at(SHELL, 6, 77, "x", 0);
    assert_eq!(host.name(SHELL, 6), "<UNKNOWN>x");
    host.open_at(SHELL, 7, 77, "/abs", 0);
    assert_eq!(host.name(SHELL, 7), "/abs");
    host.send(SHELL, types::SYSCALL_OPEN_X, &params![8i64, "y", 0u32, 0u32, 1u32, 2u64]);
    host.send(SHELL, types::SYSCALL_CREAT_X, &params![9i64, "z", 0u32, 1u32, 2u64, abi::CREAT_LOWER_LAYER]);
    host.send(SHELL, types::SYSCALL_OPENAT2_X, &params![10i64, 4i64, "w", 0u32, 0u32, 0u32, 1u32, 2u64]);
    host.send(SHELL, types::SYSCALL_OPEN_BY_HANDLE_AT_X, &params![11i64, 4i64, 0u32, "/mnt/q", 1u32, 2u64]);
    let names = [8, 9, 10, 11].map(|num| host.name(SHELL, num));
    assert_eq!(names, ["/root/y", "/root/z", "/etc/w", "/mnt/q"]);
    assert!(host.fd(SHELL, 9).lower_layer);
    assert!([8, 9, 10, 11].iter().all(|&num| (host.fd(SHELL, num).dev, host.fd(SHELL, num).ino) == (1, 2)));
}

#[test]
fn a_failed_open_leaves_no_fd() {
    let mut host = Host::new();
    let subject = host.open(SHELL, -2, "/nothing");
    assert_eq!((subject.fd, host.machine.fds(SHELL).count()), (None, 0));
}

#[test]
fn the_name_at_the_beginning_is_the_one_that_was_opened() {
    let mut host = Host::new();
    host.send(SHELL, types::SYSCALL_OPENAT_2_E, &params![abi::AT_FDCWD, "/asked", 1u32, 0u32]);
    host.open_at(SHELL, 3, abi::AT_FDCWD, "/forged", abi::O_F_CREATED);
    assert_eq!(
        (host.name(SHELL, 3), host.fd(SHELL, 3).open_flags),
        ("/asked".to_owned(), 1 | abi::O_F_CREATED)
    );
    host.open(SHELL, 4, "/next");
    assert_eq!(host.name(SHELL, 4), "/next", "a beginning counts once");

    // the end has the kernel's own copy
    host.send(SHELL, types::SYSCALL_OPENAT_2_E, &params![abi::AT_FDCWD, "/forged", 1u32, 0u32]);
    let copied = params![5i64, abi::AT_FDCWD, "/opened", 0u32, 0u32, 8u32, 99u64, &b"lanner\0\x02"[..]];
    host.send(SHELL, types::SYSCALL_OPENAT_2_X, &copied);
    assert_eq!((host.name(SHELL, 5), host.fd(SHELL, 5).open_flags), ("/opened".to_owned(), 0));
    host.send(SHELL, types::SYSCALL_OPEN_E, &params!["/other", 0u32, 0u32]);
    host.open(SHELL, 5, "/plain");
    assert_eq!(host.name(SHELL, 5), "/plain", "of another call");
    host.send(SHELL, types::SYSCALL_OPENAT_2_E, &params![abi::AT_FDCWD, (), 0u32, 0u32]);
    host.open(SHELL, 6, "/read-late");
    assert_eq!(host.name(SHELL, 6), "/read-late", "it could not be read then");
}

#[test]
fn a_closed_fd_is_seen_until_the_next_event() {
    let mut host = Host::new();
    host.open(SHELL, 3, "/x");
    let subject = host.close(SHELL, 3);
    assert_eq!(host.machine.fd_of(&subject).map(|fd| fd.name.to_string()), Some("/x".to_owned()));
    host.settle();
    assert!(host.machine.fd(SHELL, 3).is_none());
    let subject = host.close(SHELL, 3);
    assert_eq!((subject.fd, host.machine.fd_of(&subject).is_some()), (Some(3), false));
}

#[test]
fn close_range_closes_or_marks() {
    let mut host = Host::new();
    for num in [3, 4, 5, 900] {
        host.open(SHELL, num, "/x");
    }
    host.send(SHELL, types::SYSCALL_CLOSE_RANGE_X, &params![0i64, 5u32, u32::MAX, abi::CLOSE_RANGE_CLOEXEC]);
    host.send(SHELL, types::SYSCALL_CLOSE_RANGE_X, &params![0i64, 4u32, 4u32, 0u32]);
    let mut left: Vec<_> = host.machine.fds(SHELL).map(|fd| (fd.num, fd.is_cloexec())).collect();
    left.sort();
    assert_eq!(left, [(3, false), (5, true), (900, true)]);
}

#[test]
fn a_thread_that_leaves_the_table_of_its_process_has_its_own() {
    for (ty, by) in [
        (types::SYSCALL_UNSHARE_X, Vec::from(params![0i64, abi::CLONE_FILES])),
        (types::SYSCALL_CLOSE_RANGE_X, Vec::from(params![0i64, 9u32, 9u32, abi::CLOSE_RANGE_UNSHARE])),
    ] {
        let mut host = Host::new();
        host.open(SHELL, 3, "/both");
        host.new_thread(SHELL, 500);
        host.open(500, 4, "/shared");
        assert_eq!(host.name(SHELL, 4), "/shared");
        host.send(500, ty, &by);
        host.open(500, 5, "/alone");
        host.close(SHELL, 3);
        host.settle();
        assert_eq!((host.name(500, 3), host.name(500, 5)), ("/both".into(), "/alone".into()));
        assert!(host.machine.fd(SHELL, 5).is_none() && host.machine.fd(SHELL, 3).is_none());
    }
}

#[test]
fn copies_are_fds_of_their_own() {
    let mut host = Host::new();
    host.open(SHELL, 3, "/x");
    let subject = host.send(SHELL, types::SYSCALL_DUP2_X, &params![1i64, 3i64, 1i64]);
    assert_eq!((subject.fd, subject.fd_name_changed), (Some(1), false));
    host.close(SHELL, 3);
    host.settle();
    assert_eq!((host.name(SHELL, 1), host.fd(SHELL, 1).num), ("/x".to_owned(), 1));
    host.open(SHELL, 7, "/replaced");
    host.send(SHELL, types::SYSCALL_DUP2_X, &params![7i64, 99i64, 7i64]);
    assert_eq!(host.name(SHELL, 7), "/replaced", "as in Falco");
    host.machine.options.closes_left_out = true;
    host.send(SHELL, types::SYSCALL_DUP2_X, &params![7i64, 99i64, 7i64]);
    assert!(host.machine.fd(SHELL, 7).is_none(), "it is a copy of what is not known");
    let failed = host.send(SHELL, types::SYSCALL_DUP_1_X, &params![-9i64, 1i64]);
    assert_eq!(failed.fd, Some(1));
    host.fork(SHELL, 200);
    host.send(1, types::SYSCALL_PIDFD_OPEN_X, &params![4i64, 200i64, 0u32]);
    assert_eq!(host.name(1, 4), "/proc/200");
    host.send(1, types::SYSCALL_PIDFD_GETFD_X, &params![5i64, 4i64, 1i64, 0u32]);
    assert_eq!((host.name(1, 5), host.fd(1, 5).is_cloexec()), ("/x".to_owned(), true));
}

#[test]
fn every_kind_of_nameless_fd_is_known() {
    let mut host = Host::new();
    for (ty, kind) in [
        (types::SYSCALL_EVENTFD_X, FdKind::Event),
        (types::SYSCALL_EVENTFD2_X, FdKind::Event),
        (types::SYSCALL_SIGNALFD_X, FdKind::Signal),
        (types::SYSCALL_SIGNALFD4_X, FdKind::Signal),
        (types::SYSCALL_TIMERFD_CREATE_X, FdKind::Timerfd),
        (types::SYSCALL_INOTIFY_INIT_X, FdKind::Inotify),
        (types::SYSCALL_INOTIFY_INIT1_X, FdKind::Inotify),
        (types::SYSCALL_BPF_2_X, FdKind::Bpf),
        (types::SYSCALL_USERFAULTFD_X, FdKind::Userfault),
        (types::SYSCALL_IO_URING_SETUP_X, FdKind::IoUring),
        (types::SYSCALL_EPOLL_CREATE_X, FdKind::Eventpoll),
        (types::SYSCALL_EPOLL_CREATE1_X, FdKind::Eventpoll),
    ] {
        let subject = host.send(SHELL, ty, &params![20i64]);
        assert_eq!(host.machine.fd_of(&subject).map(|fd| fd.kind), Some(kind), "{ty:?}");
        assert_eq!(subject.fd, Some(20), "{ty:?}");
    }
    host.send(SHELL, types::SYSCALL_MEMFD_CREATE_X, &params![21i64, "code", 0u32]);
    assert_eq!((host.fd(SHELL, 21).kind, host.name(SHELL, 21)), (FdKind::Memfd, "code".to_owned()));
    host.send(SHELL, types::SYSCALL_PIPE_X, &params![0i64, 22i64, 23i64, 5u64]);
    assert_eq!((host.fd(SHELL, 22).kind, host.fd(SHELL, 23).ino), (FdKind::Fifo, 5));
    host.send(SHELL, types::SOCKET_SOCKETPAIR_X, &params![0i64, 24i64, 25i64, 0xau64, 0xbu64]);
    assert_eq!(host.fd(SHELL, 25).ends, Ends::Unix { source: 0xa, dest: 0xb });
}

#[test]
fn a_connect_names_both_ends() {
    let mut host = Host::new();
    socket(&mut host, 3, abi::AF_INET, abi::SOCK_STREAM | 0x80000);
    assert_eq!((host.fd(SHELL, 3).l4, host.fd(SHELL, 3).protocol()), (L4Proto::Tcp, None));
    let tuple = tuple4("10.0.0.2:50000", "93.184.216.34:80");
    let subject = host.send(SHELL, types::SOCKET_CONNECT_X, &params![-abi::EINPROGRESS, &tuple[..], 3i64]);
    assert!(subject.fd_name_changed);
    let fd = host.fd(SHELL, 3);
    assert_eq!(fd.name.to_string(), "10.0.0.2:50000->93.184.216.34:80");
    assert_eq!((fd.role, fd.connected, fd.protocol()), (Role::Client, true, Some(L4Proto::Tcp)));
    let again = host.send(SHELL, types::SOCKET_CONNECT_X, &params![0i64, &tuple[..], 3i64]);
    assert!(!again.fd_name_changed);

    socket(&mut host, 4, abi::AF_INET, abi::SOCK_STREAM);
    let failed = host.send(SHELL, types::SOCKET_CONNECT_X, &params![-111i64, &tuple[..], 4i64]);
    assert_eq!(
        (failed.fd, host.name(SHELL, 4), host.fd(SHELL, 4).connected),
        (Some(4), String::new(), false)
    );
}

#[test]
fn ipv6_and_mapped_addresses() {
    let mut host = Host::new();
    socket(&mut host, 3, abi::AF_INET6, abi::SOCK_STREAM);
    let tuple = tuple6("[::1]:1000", "[fe80::2]:443");
    host.send(SHELL, types::SOCKET_CONNECT_X, &params![0i64, &tuple[..], 3i64]);
    assert_eq!(
        (host.name(SHELL, 3), host.fd(SHELL, 3).kind),
        ("::1:1000->fe80::2:443".to_owned(), FdKind::Ipv6)
    );
    socket(&mut host, 4, abi::AF_INET6, abi::SOCK_STREAM);
    let tuple = tuple6("[::ffff:1.1.1.1]:1000", "[::ffff:2.2.2.2]:443");
    host.send(SHELL, types::SOCKET_CONNECT_X, &params![0i64, &tuple[..], 4i64]);
    assert_eq!(
        (host.name(SHELL, 4), host.fd(SHELL, 4).kind),
        ("1.1.1.1:1000->2.2.2.2:443".to_owned(), FdKind::Ipv4)
    );
}

#[test]
fn a_connect_that_user_memory_lies_about_is_where_the_call_began() {
    let mut host = Host::new();
    for (told, want) in [("6.6.6.6:80", "2.2.2.2:80"), ("5.5.5.5:80", "6.6.6.6:80")] {
        socket(&mut host, 3, abi::AF_INET, abi::SOCK_STREAM);
        host.send(SHELL, types::SOCKET_CONNECT_E, &params![3i64, &address("2.2.2.2:80")[..]]);
        let tuple = tuple4("1.1.1.1:9", "6.6.6.6:80");
        host.send(SHELL, types::SOCKET_CONNECT_X, &params![0i64, &tuple[..], 3i64, &address(told)[..]]);
        assert_eq!(host.name(SHELL, 3), format!("1.1.1.1:9->{want}"));
    }
}

#[test]
fn a_connect_without_tuple_has_what_was_asked_for() {
    let mut host = Host::new();
    socket(&mut host, 3, abi::AF_INET, abi::SOCK_STREAM);
    host.send(SHELL, types::SOCKET_CONNECT_E, &params![3i64, &address("2.2.2.2:80")[..]]);
    host.send(SHELL, types::SOCKET_CONNECT_X, &params![0i64, (), 3i64, ()]);
    let dest = Endpoint { ip: "2.2.2.2".parse().unwrap(), port: 80 };
    assert!(matches!(host.fd(SHELL, 3).ends, Ends::Ip { dest: Some(d), .. } if d == dest));
}

#[test]
fn unix_sockets_are_named_by_their_ends() {
    let mut host = Host::new();
    socket(&mut host, 3, abi::AF_UNIX, abi::SOCK_STREAM);
    let tuple = tuple_unix(0xffff_8801, 0xffff_8802, "/run/app.sock");
    host.send(SHELL, types::SOCKET_CONNECT_X, &params![0i64, &tuple[..], 3i64]);
    assert_eq!(host.name(SHELL, 3), "ffff8801->ffff8802 /run/app.sock");
    assert_eq!(host.fd(SHELL, 3).role, Role::Client);
    host.send(SHELL, types::SOCKET_ACCEPT_5_X, &params![4i64, &tuple[..], 0u8, 0u32, 0u32]);
    assert_eq!((host.name(SHELL, 4), host.fd(SHELL, 4).role), (host.name(SHELL, 3), Role::Server));
}

#[test]
fn a_bound_port_makes_a_server_and_accept_a_connection() {
    let mut host = Host::new();
    socket(&mut host, 3, abi::AF_INET6, abi::SOCK_STREAM);
    let subject = host.send(SHELL, types::SOCKET_BIND_X, &params![0i64, &address("[::]:80")[..], 3i64]);
    assert!(subject.fd_name_changed);
    let fd = host.fd(SHELL, 3);
    assert_eq!(
        (fd.name.to_string(), fd.kind, fd.role),
        (":::80".to_owned(), FdKind::Ipv4Server, Role::Server)
    );
    let tuple = tuple6("[::ffff:9.9.9.9]:5", "[::ffff:1.1.1.1]:80");
    let flags = params![4i64, &tuple[..], 0u8, 0u32, 0u32, abi::O_CLOEXEC];
    let subject = host.send(SHELL, types::SOCKET_ACCEPT4_6_X, &flags);
    assert_eq!((subject.fd, subject.fd_name_changed), (Some(4), true));
    let fd = host.fd(SHELL, 4);
    assert_eq!(fd.name.to_string(), "9.9.9.9:5->1.1.1.1:80");
    assert!(fd.is_cloexec() && fd.connected && fd.role == Role::Server && fd.l4 == L4Proto::Tcp);
    let failed = host.send(SHELL, types::SOCKET_ACCEPT_5_X, &params![-11i64, (), 0u8, 0u32, 0u32]);
    assert_eq!(failed.fd, None);
}

#[test]
fn udp_names_follow_the_peer() {
    let mut host = Host::new();
    socket(&mut host, 3, abi::AF_INET, abi::SOCK_DGRAM);
    let sent = |to: &str| params![5i64, "data".as_bytes(), 3i64, 5u32, &tuple4("10.0.0.2:4000", to)[..]];
    assert!(host.send(SHELL, types::SOCKET_SENDTO_X, &sent("8.8.8.8:53")).fd_name_changed);
    assert_eq!(
        (host.name(SHELL, 3), host.fd(SHELL, 3).role),
        ("10.0.0.2:4000->8.8.8.8:53".to_owned(), Role::Client)
    );
    assert!(!host.send(SHELL, types::SOCKET_SENDTO_X, &sent("8.8.8.8:53")).fd_name_changed);
    let answer = tuple4("8.8.8.8:53", "10.0.0.2:4000");
    let got = params![5i64, "data".as_bytes(), &answer[..], 3i64, 5u32];
    assert!(!host.send(SHELL, types::SOCKET_RECVFROM_X, &got).fd_name_changed, "the same ends");

    socket(&mut host, 4, abi::AF_INET, abi::SOCK_DGRAM);
    host.send(SHELL, types::SOCKET_BIND_X, &params![0i64, &address("0.0.0.0:53")[..], 4i64]);
    let query = tuple4("10.0.0.7:5353", "10.0.0.2:53");
    host.send(SHELL, types::SOCKET_RECVFROM_X, &params![5i64, "q".as_bytes(), &query[..], 4i64, 5u32]);
    assert_eq!(
        (host.name(SHELL, 4), host.fd(SHELL, 4).role),
        ("10.0.0.7:5353->10.0.0.2:53".to_owned(), Role::Server)
    );
}

#[test]
fn a_send_over_an_unknown_fd_is_taken_for_udp() {
    let mut host = Host::new();
    let tuple = tuple4("10.0.0.2:4000", "8.8.8.8:53");
    host.send(SHELL, types::SOCKET_SENDTO_X, &params![5i64, "q".as_bytes(), 30i64, 5u32, &tuple[..]]);
    assert_eq!(
        (host.name(SHELL, 30), host.fd(SHELL, 30).l4),
        ("10.0.0.2:4000->8.8.8.8:53".to_owned(), L4Proto::Udp)
    );
    host.send(SHELL, types::SOCKET_SENDTO_X, &params![-1i64, "q".as_bytes(), 31i64, 5u32, &tuple[..]]);
    assert!(host.machine.fd(SHELL, 31).is_none());
}

#[test]
fn datagrams_over_unix_sockets_name_them() {
    let mut host = Host::new();
    socket(&mut host, 3, abi::AF_UNIX, abi::SOCK_DGRAM);
    let tuple = tuple_unix(0x1, 0x2, "/dev/log");
    let sent = params![5i64, "x".as_bytes(), 3i64, 5u32, &tuple[..]];
    assert!(host.send(SHELL, types::SOCKET_SENDMSG_X, &sent).fd_name_changed);
    assert_eq!(host.name(SHELL, 3), "1->2 /dev/log");
    assert!(!host.send(SHELL, types::SOCKET_SENDMSG_X, &sent).fd_name_changed);
}

#[test]
fn the_fd_limit_holds() {
    let mut host = Host::new();
    host.machine.options = MachineOptions { max_fds: 2, ..MachineOptions::default() };
    for num in 3..8 {
        host.open(SHELL, num, "/x");
    }
    let stats = host.machine.stats();
    assert_eq!((stats.fds, stats.fds_refused), (2, 3));
}
