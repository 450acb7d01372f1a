//! What an exec leaves of a process, and changes of ids, limits and directories.

use lanner_event::types;

use crate::testing::{Host, SHELL, params};
use crate::{User, abi};

const A: &str = "8ccfeddbf91f9bd933b4842130cd61492ea189b413a603500dd20687602cd52c";

#[test]
fn an_exec_takes_everything_over() {
    let mut host = Host::new();
    host.fork(SHELL, 200);
    let clone_ts = host.thread(200).clone_ts;
    host.exec(200, "/usr/bin/cat (deleted)");
    let thread = host.thread(200);
    assert_eq!(thread.exe.to_string(), "/usr/bin/cat (deleted)");
    assert_eq!(thread.executable.path.to_string(), "/usr/bin/cat");
    assert_eq!(thread.args.iter().collect::<Vec<_>>(), [b"-x", &b"y"[..]]);
    assert_eq!(thread.env.iter().collect::<Vec<_>>(), [b"A=1", b"B=2"]);
    assert_eq!((thread.tty, thread.vpgid, thread.pgid, thread.loginuid), (34816, 55, 56, 1000));
    assert_eq!((thread.last_exec_ts, thread.clone_ts, thread.fdlimit), (host.now, clone_ts, 4096));
    let file = &thread.executable;
    assert!(file.writable && !file.upper_layer && !file.lower_layer && !file.from_memfd);
    assert_eq!((file.ino, file.ctime_to_clone), (77, clone_ts - file.ctime));
    assert_eq!(
        (thread.capabilities.inheritable, thread.capabilities.permitted, thread.capabilities.effective),
        (1, 2, 3)
    );
}

#[test]
fn a_failed_exec_changes_nothing() {
    let mut host = Host::new();
    host.send(SHELL, types::SYSCALL_EXECVE_19_X, &params![-2i64, "/bin/nothing"]);
    assert_eq!(host.thread(SHELL).exe.to_string(), "bash");
}

#[test]
fn an_exec_closes_what_is_close_on_exec() {
    let mut host = Host::new();
    host.open_at(SHELL, 3, abi::AT_FDCWD, "/keep", 0);
    host.open_at(SHELL, 4, abi::AT_FDCWD, "/drop", abi::O_CLOEXEC);
    host.send(SHELL, types::SYSCALL_DUP2_X, &params![5i64, 4i64, 5i64]);
    host.send(SHELL, types::SYSCALL_FCNTL_X, &params![6i64, 3i64, abi::F_DUPFD_CLOEXEC, 0u64]);
    host.send(SHELL, types::SYSCALL_FCNTL_X, &params![7i64, 4i64, abi::F_DUPFD, 0u64]);
    host.send(SHELL, types::SYSCALL_FCNTL_X, &params![0i64, 7i64, abi::F_SETFD, abi::FD_CLOEXEC]);
    host.send(SHELL, types::SYSCALL_EPOLL_CREATE1_X, &params![8i64, 1u32]);
    host.send(SHELL, types::SYSCALL_DUP3_X, &params![9i64, 3i64, 9i64, abi::O_CLOEXEC]);
    host.send(SHELL, types::SYSCALL_MEMFD_CREATE_X, &params![10i64, "m", 1u32]);
    host.send(SHELL, types::SYSCALL_PIPE2_X, &params![0i64, 11i64, 12i64, 5u64, abi::O_CLOEXEC]);
    host.fork(SHELL, 200);
    host.exec(200, "/bin/true");
    let mut open: Vec<i64> = host.machine.fds(200).map(|fd| fd.num).collect();
    open.sort();
    assert_eq!(open, [3, 5]);
    assert_eq!(host.machine.fds(SHELL).count(), 10);
}

#[test]
fn an_exec_ends_the_other_threads() {
    let mut host = Host::new();
    host.fork(SHELL, 200);
    host.new_thread(200, 201);
    host.new_thread(200, 202);
    host.fork(201, 300);
    host.exit(200);
    host.exec(200, "/bin/true");
    assert!(host.machine.thread(201).is_none() && host.machine.thread(202).is_none());
    let main = host.thread(200);
    assert_eq!((main.dead, host.machine.thread_count(main)), (false, 1));
    assert_eq!(host.thread(300).ptid, 200);
}

#[test]
fn a_container_is_noticed_at_exec() {
    let mut host = Host::new();
    host.fork(SHELL, 200);
    assert!(host.thread(200).container.is_empty());
    host.exec_in(200, "/bin/sh", &format!("cpuset=/\0memory=/docker/{A}\0"));
    assert_eq!(host.thread(200).container.to_string(), &A[..12]);
    let container = host.machine.container(&host.thread(200).container).unwrap();
    assert_eq!((container.full_id.as_str(), container.complete), (A, false));
    assert_eq!(host.machine.stats().containers, 1);
}

#[test]
fn a_container_is_forgotten_a_minute_after_its_last_thread_was_seen_to_be_gone() {
    const SECOND: u64 = 1_000_000_000;
    let mut host = Host::new();
    host.fork(SHELL, 200);
    host.exec_in(200, "/bin/sh", &format!("cpuset=/\0memory=/docker/{A}\0"));
    host.machine.sweep_containers(1000 * SECOND);
    host.exit(200);
    host.settle();
    assert!(host.machine.thread(200).is_none());
    for (second, known) in [(1001, 1), (1060, 1), (1061, 1), (1062, 0)] {
        host.machine.sweep_containers(second * SECOND);
        assert_eq!(host.machine.stats().containers, known, "{second}");
    }
}

#[test]
fn old_captures_tell_the_path_where_the_call_begins() {
    let mut host = Host::new();
    host.send(SHELL, types::SYSCALL_EXECVE_19_E, &params!["../bin/ls"]);
    host.send(SHELL, types::SYSCALL_EXECVE_19_X, &params![0i64, "ls", (), SHELL, SHELL, 1i64]);
    assert_eq!(host.thread(SHELL).executable.path.to_string(), "/bin/ls");

    host.open_at(SHELL, 9, abi::AT_FDCWD, "/opt", abi::O_DIRECTORY);
    host.send(SHELL, types::SYSCALL_EXECVEAT_E, &params![9i64, "tool", 0u32]);
    host.send(SHELL, types::SYSCALL_EXECVE_19_X, &params![0i64, "tool", (), SHELL, SHELL, 1i64]);
    assert_eq!(host.thread(SHELL).executable.path.to_string(), "/opt/tool");

    host.open(SHELL, 10, "/tmp/prog");
    host.send(SHELL, types::SYSCALL_EXECVEAT_E, &params![10i64, (), abi::AT_EMPTY_PATH]);
    host.send(SHELL, types::SYSCALL_EXECVEAT_X, &params![0i64, "prog", (), SHELL, SHELL, 1i64]);
    assert_eq!(host.thread(SHELL).executable.path.to_string(), "/tmp/prog");
}

#[test]
fn ids_follow_their_calls() {
    let mut host = Host::new();
    host.send(SHELL, types::SYSCALL_SETUID_X, &params![0i64, 5u32]);
    host.send(SHELL, types::SYSCALL_SETGID_X, &params![0i64, 6u32]);
    assert_eq!((host.thread(SHELL).uid, host.thread(SHELL).gid), (5, 6));
    host.send(SHELL, types::SYSCALL_SETRESUID_X, &params![0i64, 1u32, 7u32, 3u32]);
    host.send(SHELL, types::SYSCALL_SETRESGID_X, &params![0i64, 1u32, 8u32, 3u32]);
    host.send(SHELL, types::SYSCALL_SETUID_X, &params![-1i64, 0u32]);
    assert_eq!((host.thread(SHELL).uid, host.thread(SHELL).gid), (7, 8));
    host.send(SHELL, types::SYSCALL_SETREUID_X, &params![0i64, 1u32, 9u32]);
    host.send(SHELL, types::SYSCALL_SETSID_X, &params![SHELL]);
    host.send(SHELL, types::SYSCALL_CAPSET_X, &params![0i64, 1u64, 2u64, 4u64]);
    let thread = host.thread(SHELL);
    assert_eq!((thread.uid, thread.sid, thread.capabilities.effective), (9, SHELL, 4));
    host.send(SHELL, types::SYSCALL_UNSHARE_X, &params![0i64, abi::CLONE_NEWUSER]);
    assert_eq!(host.thread(SHELL).capabilities.permitted, 0x1ff_ffff_ffff);
}

#[test]
fn limits_are_those_of_the_process() {
    let mut host = Host::new();
    host.new_thread(SHELL, 201);
    host.send(201, types::SYSCALL_SETRLIMIT_X, &params![0i64, 500i64, 600i64, abi::RLIMIT_NOFILE]);
    assert_eq!(host.thread(SHELL).fdlimit, 500);
    host.send(
        1,
        types::SYSCALL_PRLIMIT_X,
        &params![0i64, 700i64, 0i64, 0i64, 0i64, 201i64, abi::RLIMIT_NOFILE],
    );
    assert_eq!(host.thread(SHELL).fdlimit, 700);
    host.send(1, types::SYSCALL_PRLIMIT_X, &params![0i64, 800i64, 0i64, 0i64, 0i64, 201i64, 3u8]);
    assert_eq!(host.thread(SHELL).fdlimit, 700);
}

#[test]
fn directories_follow_their_calls() {
    let mut host = Host::new();
    let cwd = |host: &Host| host.machine.cwd(host.thread(SHELL)).to_string();
    assert_eq!(cwd(&host), "/root/");
    host.send(SHELL, types::SYSCALL_CHDIR_X, &params![0i64, "../etc/./ssl"]);
    assert_eq!(cwd(&host), "/etc/ssl/");
    host.send(SHELL, types::SYSCALL_CHDIR_X, &params![-2i64, "/nowhere"]);
    host.open_at(SHELL, 3, abi::AT_FDCWD, "..", abi::O_DIRECTORY);
    assert_eq!(host.name(SHELL, 3), "/etc");
    host.send(SHELL, types::SYSCALL_FCHDIR_X, &params![0i64, 3i64]);
    assert_eq!(cwd(&host), "/etc/");
    host.send(SHELL, types::SYSCALL_CHROOT_X, &params![0i64, "jail"]);
    assert_eq!(host.thread(SHELL).root.to_string(), "/etc/jail");
}

#[test]
fn accounts_come_and_go_by_events() {
    let mut host = Host::new();
    let user = |home: &str, container: &str| params![5u32, 6u32, "app", home, "/bin/sh", container];
    let home = |host: &Host, container: &[u8]| host.machine.user(container, 5).map(|u| u.home.to_string());
    host.send(1, types::USER_ADDED_E, &user("/home/app", ""));
    host.send(1, types::GROUP_ADDED_E, &params![6u32, "apps", ""]);
    assert_eq!(home(&host, b""), Some("/home/app".to_owned()));
    assert_eq!(host.machine.group(b"", 6).map(|g| g.name.to_string()), Some("apps".to_owned()));
    host.send(1, types::USER_DELETED_E, &user("/home/app", ""));
    host.send(1, types::GROUP_DELETED_E, &params![6u32, "apps", ""]);
    assert!(home(&host, b"").is_none() && host.machine.group(b"", 6).is_none());

    host.send(1, types::USER_ADDED_E, &user("/home/app", "c1"));
    assert_eq!(home(&host, b"c1"), None, "a container's accounts come from the container");
    host.machine.add_user(b"c1", User { uid: 5, ..User::default() });
    host.send(1, types::USER_ADDED_E, &user("/srv", "c1"));
    assert_eq!(home(&host, b"c1"), Some("/srv".to_owned()));
}

#[test]
fn memory_and_faults_follow_their_events() {
    let mut host = Host::new();
    host.new_thread(SHELL, 201);
    host.send(SHELL, types::SYSCALL_BRK_4_X, &params![1u64, 10u32, 20u32, 30u32]);
    assert_eq!((host.thread(SHELL).vm_size, host.thread(SHELL).vm_rss), (10, 20));
    host.send(201, types::SCHEDSWITCH_6_E, &params![1i64, 1u64, 2u64, 40u32, 50u32, 60u32]);
    assert_eq!((host.thread(201).pf_major, host.thread(201).pf_minor), (1, 2));
    assert_eq!((host.thread(SHELL).vm_size, host.thread(SHELL).vm_swap), (40, 60));
    host.send(999, types::SCHEDSWITCH_6_E, &params![1i64, 1u64, 2u64, 40u32, 50u32, 60u32]);
    assert!(host.machine.thread(999).is_none(), "a switch is no reason to know a thread");
}
