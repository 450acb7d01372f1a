//! Who is made by whom, and what is left when they end.

use lanner_event::types;

use crate::testing::{Child, Host, SHELL, params};
use crate::{MachineOptions, MachineStats, abi};

const A: &str = "8ccfeddbf91f9bd933b4842130cd61492ea189b413a603500dd20687602cd52c";

fn lineage(host: &Host, tid: i64) -> Vec<i64> {
    host.machine.ancestors(host.thread(tid)).map(|t| t.tid).collect()
}

#[test]
fn a_fork_inherits_from_the_parent() {
    let mut host = Host::new();
    host.exec(SHELL, "/bin/bash");
    host.open(SHELL, 3, "notes");
    host.fork(SHELL, 200);
    let child = host.thread(200);
    assert_eq!((child.pid, child.ptid, child.vpid), (200, SHELL, 200));
    assert_eq!((child.comm.to_string(), child.args.get(0)), ("bash".to_owned(), Some(&b"-l"[..])));
    assert_eq!(child.executable.path.to_string(), "/bin/bash");
    assert_eq!((child.tty, child.loginuid, child.pgid), (34816, 1000, 56));
    assert_eq!((child.last_exec_ts, child.clone_ts), (0, host.now));
    assert_eq!((child.vm_size, child.vm_rss, child.vm_swap, child.pf_major, child.pf_minor), (3, 4, 5, 1, 2));
    assert_eq!(host.machine.cwd(child).to_string(), "/root/");
    assert_eq!(child.env.get(1), Some(&b"B=2"[..]));
    assert_eq!(host.name(200, 3), "/root/notes");
    assert_eq!(lineage(&host, 200), [SHELL, 1]);
}

#[test]
fn a_fork_by_another_thread_than_the_first_inherits_from_the_process() {
    let mut host = Host::new();
    host.exec(SHELL, "/bin/server");
    host.new_thread(SHELL, 201);
    host.fork(201, 202);
    let child = host.thread(202);
    assert_eq!(host.machine.env(child).get(1), Some(&b"B=2"[..]));
    assert_eq!(host.machine.cwd(child), host.machine.cwd(host.thread(SHELL)));
}

#[test]
fn fd_tables_part_after_a_fork_but_not_among_threads() {
    let mut host = Host::new();
    host.fork(SHELL, 200);
    host.new_thread(200, 201);
    host.open(SHELL, 3, "/parent");
    host.open(201, 4, "/thread");
    assert!(host.machine.fd(200, 3).is_none());
    assert_eq!(host.name(200, 4), "/thread");
    assert!(host.machine.fd(SHELL, 4).is_none());
    assert_eq!((host.machine.fd_count(host.thread(201)), host.machine.fds(SHELL).count()), (1, 1));
}

#[test]
fn a_process_may_share_its_fds_by_clone_files_until_it_executes() {
    let mut host = Host::new();
    let child = Child { flags: abi::CLONE_FILES, ..Child::of(200, SHELL) };
    host.clone_event(SHELL, 200, &child);
    host.open(200, 3, "/shared");
    assert_eq!(host.name(SHELL, 3), "/shared");
    host.exec(200, "/bin/true");
    host.close(200, 3);
    host.settle();
    assert!(host.machine.fd(200, 3).is_none());
    assert_eq!(host.name(SHELL, 3), "/shared");
}

#[test]
fn threads_share_what_is_their_process() {
    let mut host = Host::new();
    host.exec(SHELL, "/bin/server");
    host.new_thread(SHELL, 201);
    let thread = host.thread(201);
    assert_eq!((thread.pid, thread.ptid, thread.is_main()), (SHELL, 1, false));
    assert_eq!(thread.last_exec_ts, host.thread(SHELL).last_exec_ts);
    assert_eq!(host.machine.env(thread).len(), 2);
    host.send(201, types::SYSCALL_CHDIR_X, &params![0i64, "../var"]);
    assert_eq!(host.machine.cwd(host.thread(SHELL)).to_string(), "/var/");
    assert_eq!(host.machine.thread_count(host.thread(SHELL)), 2);
    assert_eq!(host.machine.main_thread(host.thread(201)).map(|t| t.tid), Some(SHELL));
}

#[test]
fn the_childs_own_event_makes_what_the_parents_may_not() {
    let mut host = Host::new();
    let cgroups = format!("cpuset=/docker/{A}\0");
    let inside = Child {
        vtid: 1,
        vpid: 1,
        flags: abi::CLONE_NEWPID,
        cgroups: cgroups.as_bytes(),
        ..Child::of(300, SHELL)
    };
    host.clone_event(SHELL, 300, &inside);
    assert!(host.machine.thread(300).is_none(), "the parent cannot know its ids inside");
    host.clone_event(300, 0, &inside);
    let child = host.thread(300);
    assert_eq!((child.vtid, child.vpid, child.ptid), (1, 1, SHELL));
    assert!(child.in_pid_namespace());
    assert_eq!(child.pidns_init_start_ts, 7);
    assert_eq!(child.container.to_string(), &A[..12]);
    let new: Vec<_> = host.machine.new_containers().iter().map(|c| c.full_id.to_string()).collect();
    assert_eq!((new, host.machine.new_containers().len()), (vec![A.to_owned()], 0));

    // Within the container the parent's event is of no use either, as its result is an inner id.
    let second = Child { vtid: 9, vpid: 9, flags: abi::CHILD_IN_PIDNS, ..Child::of(301, 300) };
    host.clone_event(300, 9, &second);
    assert!(host.machine.thread(9).is_none());
    host.clone_event(301, 0, &Child { cgroups: b"", ..second });
    assert_eq!(
        host.thread(301).container.to_string(),
        &A[..12],
        "inherited, as it has no cgroups of its own"
    );
    assert_eq!(lineage(&host, 301), [300, SHELL, 1]);
}

#[test]
fn either_side_of_a_clone_may_come_first() {
    let mut host = Host::new();
    let child = Child::of(200, SHELL);
    host.clone_event(200, 0, &child);
    host.open(200, 5, "/early");
    host.clone_event(SHELL, 200, &child);
    assert_eq!(host.name(200, 5), "/early", "the parent's later event changes nothing");
    host.fork(SHELL, 210);
    host.open(210, 5, "/early");
    host.clone_event(210, 0, &Child::of(210, SHELL));
    assert_eq!(host.name(210, 5), "/early");
}

#[test]
fn an_id_that_is_used_again_is_another_thread() {
    let mut host = Host::new();
    host.fork(SHELL, 200);
    host.open(200, 5, "/old");
    host.fork(200, 202);
    host.now += 3_000_000_000;
    host.clone_event(200, 0, &Child { exe: "new", ..Child::of(200, 1) });
    assert_eq!(host.thread(200).comm.to_string(), "new");
    assert!(host.machine.fd(200, 5).is_none());
    assert_ne!(host.thread(202).ptid, 200, "the children of the old one have another parent");
}

#[test]
fn an_id_that_is_used_again_at_once_is_another_thread_too() {
    let mut host = Host::new();
    host.clone_event(200, 0, &Child::of(200, SHELL));
    host.open(200, 5, "/old");
    // its end was lost
    host.clone_event(200, 0, &Child { exe: "new", ..Child::of(200, SHELL) });
    assert_eq!(host.thread(200).comm.to_string(), "new");
    assert!(host.machine.fd(200, 5).is_none());
}

#[test]
fn a_vfork_child_that_is_over_does_not_come_back() {
    let mut host = Host::new();
    let child = Child { flags: abi::CLONE_VFORK, ..Child::of(200, SHELL) };
    host.clone_event(200, 0, &child);
    host.exit(200);
    host.clone_event(SHELL, 200, &child);
    assert!(host.machine.thread(200).is_none());
}

#[test]
fn a_late_event_of_the_parent_does_not_bring_a_child_back() {
    let mut host = Host::new();
    let child = Child::of(200, SHELL);
    host.clone_event(200, 0, &child);
    host.exit(200);
    host.settle();
    host.clone_event(SHELL, 200, &child);
    assert!(host.machine.thread(200).is_none());
    host.now += 3_000_000_000;
    host.clone_event(SHELL, 200, &child);
    assert!(host.machine.thread(200).is_some(), "much later it is another one");
}

#[test]
fn an_event_of_the_parent_that_was_held_up_on_its_way_does_not_bring_a_child_back() {
    let mut host = Host::new();
    let child = Child::of(200, SHELL);
    host.clone_event(200, 0, &child);
    let written = host.now;
    host.exit(200);
    host.settle();
    host.now = written;
    host.clone_event(SHELL, 200, &child);
    assert!(host.machine.thread(200).is_none());
}

#[test]
fn a_thread_out_of_nowhere_is_completed_by_what_follows() {
    let mut host = Host::new();
    let subject = host.open(700, 3, "x");
    let thread = host.machine.thread_of(&subject).unwrap();
    assert!(thread.is_unknown());
    assert_eq!((thread.comm.to_string(), thread.pid, thread.uid), ("<NA>".to_owned(), -1, u32::MAX));
    assert_eq!(host.name(700, 3), "./x", "its directory is not known");
    host.clone_event(700, 701, &Child { vtid: 700, vpid: 700, ..Child::of(701, 700) });
    let parent = host.thread(700);
    assert_eq!((parent.pid, parent.ptid, parent.comm.to_string()), (700, 1, "bash".to_owned()));
    assert_eq!(lineage(&host, 701), [700, 1]);

    host.send(800, types::SYSCALL_CLOSE_X, &params![0i64, 5i64]);
    host.exec(800, "/bin/ls");
    assert_eq!((host.thread(800).pid, host.thread(800).vpid), (800, 800));
    assert_eq!(lineage(&host, 800), [1]);
}

#[test]
fn a_thread_tells_of_a_main_thread_that_was_missed() {
    let mut host = Host::new();
    let thread = Child {
        pid: 500,
        ptid: 1,
        vtid: 501,
        vpid: 500,
        flags: abi::CLONE_THREAD,
        exe: "worker",
        ..Child::of(501, 1)
    };
    host.clone_event(501, 0, &thread);
    let main = host.thread(500);
    assert_eq!((main.pid, main.ptid, main.comm.to_string()), (500, 1, "worker".to_owned()));
    assert_eq!(host.machine.thread_count(main), 2);
    host.open(501, 3, "/x");
    assert_eq!(host.name(500, 3), "/x");
}

#[test]
fn an_exit_is_seen_until_the_next_event() {
    let mut host = Host::new();
    host.fork(SHELL, 200);
    host.exit(200);
    assert!(host.thread(200).dead);
    host.settle();
    assert!(host.machine.thread(200).is_none());
    assert_eq!(host.machine.stats().threads, 2);
}

#[test]
fn a_main_thread_stays_while_others_of_its_process_live() {
    let mut host = Host::new();
    host.fork(SHELL, 200);
    host.open(200, 3, "/x");
    host.new_thread(200, 201);
    host.exit(200);
    host.settle();
    assert!(host.thread(200).dead);
    assert_eq!((host.name(201, 3), host.machine.thread_count(host.thread(201))), ("/x".to_owned(), 1));
    host.exit(201);
    host.settle();
    assert!(host.machine.thread(200).is_none() && host.machine.thread(201).is_none());
}

#[test]
fn orphans_go_to_the_reaper_that_the_kernel_names() {
    let mut host = Host::new();
    host.fork(SHELL, 200);
    host.fork(200, 300);
    host.exit_to(200, SHELL);
    assert_eq!(lineage(&host, 300), [200, SHELL, 1], "not before the event is over");
    host.settle();
    assert_eq!(lineage(&host, 300), [SHELL, 1]);
}

#[test]
fn without_a_word_from_the_kernel_orphans_go_to_the_nearest_reaper() {
    let mut host = Host::new();
    host.send(SHELL, types::SYSCALL_PRCTL_X, &params![0i64, abi::PR_SET_CHILD_SUBREAPER, "", 1i64]);
    host.fork(SHELL, 200);
    host.fork(200, 300);
    host.fork(300, 400);
    host.exit(300);
    host.settle();
    assert_eq!(lineage(&host, 400), [SHELL, 1], "the subreaper, past its parent's parent");
    host.send(SHELL, types::SYSCALL_PRCTL_X, &params![0i64, abi::PR_SET_CHILD_SUBREAPER, "", 0i64]);
    host.exit(SHELL);
    host.settle();
    assert_eq!(lineage(&host, 400), [1]);
    host.new_thread(200, 201);
    host.fork(200, 500);
    host.exit(200);
    host.settle();
    assert_eq!(host.thread(500).ptid, 201, "another thread of the process first");
}

#[test]
fn a_long_line_of_short_processes_leaves_nothing() {
    let mut host = Host::new();
    let before = host.machine.stats();
    for tid in 1_000..6_000 {
        host.fork(SHELL, tid);
        host.exec(tid, "/bin/true");
        host.open(tid, 3, "/etc/ld.so.cache");
        host.new_thread(tid, tid + 100_000);
        host.exit(tid);
        host.exit(tid + 100_000);
    }
    host.settle();
    let after = host.machine.stats();
    assert_eq!(
        (after.threads_added - before.threads_added, after.threads_removed - before.threads_removed),
        (10_000, 10_000)
    );
    let (MachineStats { threads, fds, .. }, counters) = (after, (after.unknown_threads, after.unknown_fds));
    assert_eq!((threads, fds), (before.threads, before.fds));
    assert_eq!(counters, (before.unknown_threads, before.unknown_fds));
    assert_eq!(host.machine.threads.processes.len(), 2);
    assert!(host.machine.threads.get(SHELL).is_some_and(|r| r.children.is_empty()));
}

#[test]
fn the_thread_limit_holds() {
    let mut host = Host::new();
    assert!(host.machine.has_room());
    host.machine.options = MachineOptions { max_threads: 3, ..MachineOptions::default() };
    host.fork(SHELL, 200);
    assert!(!host.machine.has_room(), "not for as many again");
    host.fork(SHELL, 201);
    let subject = host.open(999, 3, "/x");
    assert!(host.machine.thread_of(&subject).is_none());
    let stats = host.machine.stats();
    assert_eq!((stats.threads, stats.threads_refused), (3, 2));
    host.machine.limit_threads(100);
    assert!(!host.machine.has_room(), "threads are missing");
}

#[test]
fn a_sweep_removes_the_silent_and_the_unknown() {
    let mut host = Host::new();
    host.fork(SHELL, 200);
    host.fork(SHELL, 201);
    host.open(700, 3, "/x");
    let later = host.now + MachineOptions::default().thread_timeout + 1;
    host.machine.sweep(host.now, |_| false);
    assert!(host.machine.thread(700).is_none() && host.machine.thread(200).is_some());
    host.machine.sweep(later, |tid| tid != 200);
    assert!(host.machine.thread(200).is_none() && host.machine.thread(201).is_some());
}

#[test]
fn a_loop_of_parents_ends() {
    let mut host = Host::new();
    host.fork(SHELL, 200);
    host.fork(200, 300);
    host.machine.threads.get_mut(SHELL).unwrap().thread.ptid = 300;
    assert!(lineage(&host, 300).len() < 12);
}
