//! What runs already: this very test, its threads and its files.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;

use lanner_event::{Event, EventBuf, EventType, types as t};
use lanner_probe::{EventSet, ProbeOptions, SnapshotSource, SnapshotStats};
use support::call::{Arg, call};
use support::{bytes, flag, number, text, texts};

/// The snapshot's events of this process.
fn own(proc: bool) -> Option<(Vec<EventBuf>, SnapshotStats)> {
    let from = if proc { SnapshotSource::Proc } else { SnapshotSource::Iterators };
    let options =
        ProbeOptions { events: EventSet::new(), snapshot_from: Some(from), ..ProbeOptions::default() };
    // without being asked for anything, it takes them where they are
    if !proc && !support::watch(&[])?.probe.attachment().iterators {
        eprintln!("skipped: this kernel refuses the iterators");
        return None;
    }
    let mut watch = support::open(options)?;
    let mut events = Vec::new();
    let pid = i64::from(std::process::id());
    let sink = &mut |event: &Event<'_>| {
        let more = usize::from(event.closes_on_exec() || event.has_ended());
        assert_eq!(event.param_count(), event.info.params.len() + more);
        if event.tid >> 32 == pid {
            events.push(EventBuf::copy_of(event));
        }
    };
    let stats = watch.probe.snapshot(sink).unwrap();
    assert_eq!(stats.source, from);
    Some((events, stats))
}

fn task(events: &[EventBuf], tid: i64) -> Event<'_> {
    let all = events.iter().map(|e| e.event().unwrap());
    let found = all.into_iter().find(|e| e.ty() == t::ITER_TASK_E && e.tid & 0xffff_ffff == tid);
    found.expect("the thread")
}

fn files(events: &[EventBuf]) -> BTreeMap<i64, Event<'_>> {
    let all = events.iter().map(|e| e.event().unwrap()).filter(|e| e.ty() != t::ITER_TASK_E);
    all.map(|e| (number(&e, "fd").unwrap(), e)).collect()
}

fn status(name: &str) -> String {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').split_whitespace().next().unwrap().to_string()
}

fn this_process(proc: bool) {
    let Some((events, stats)) = own(proc) else { return };
    assert!(stats.threads > 1 && stats.files > 10, "{stats:?}");
    let tid = support::call::gettid();
    let event = task(&events, tid);
    let exe = std::env::current_exe().unwrap();
    let mut argv = texts(&event, "argv");
    assert_eq!(argv.remove(0), std::env::args().next().unwrap());
    assert_eq!(text(&event, "exepath").unwrap(), exe.to_string_lossy());
    assert_eq!(text(&event, "cwd").unwrap(), std::env::current_dir().unwrap().to_string_lossy());
    assert_eq!(text(&event, "root").as_deref(), Some("/"));
    assert_eq!(number(&event, "euid"), Some(0));
    assert_eq!(number(&event, "vpid"), Some(tid));
    assert_eq!(number(&event, "vtgid"), Some(i64::from(std::process::id())));
    let caps = i64::from_str_radix(&status("CapEff"), 16).unwrap();
    assert_eq!(number(&event, "cap_effective"), Some(caps));
    // the kernel cuts a thread's name after 15 bytes
    assert_eq!(text(&event, "comm").unwrap(), status("Name"));
    let path = std::env::var("PATH").unwrap();
    let long = texts(&event, "env").iter().map(String::len).sum::<usize>() > 3500;
    assert!(long || texts(&event, "env").contains(&format!("PATH={path}")));
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the place for the answer is valid.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    assert_eq!(number(&event, "fdlimit"), Some(limit.rlim_cur as i64));
    assert!(texts(&event, "cgroups").iter().any(|g| g.starts_with("memory=/")));
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    let since_boot: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as i64;
    let started = number(&event, "start_time").unwrap();
    assert!(started > now - (since_boot * 1e9) as i64 && started < now, "{started}");
}

fn kinds_of_files(proc: bool) {
    let path = format!("/tmp/lanner-snapshot-{}-{proc}", std::process::id());
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(&path).unwrap();
    file.write_all(b"x").unwrap();
    let directory = std::fs::File::open("/usr/lib").unwrap();
    let mut pipe = [0i32; 2];
    assert_eq!(call(libc::SYS_pipe2, &[Arg::N(pipe.as_mut_ptr() as i64), Arg::N(0)]), 0);
    let reader = i64::from(pipe[0]);
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = format!("{path}.sock");
    let unix = UnixListener::bind(&socket).unwrap();
    // a machine without IPv6 cannot have a socket of it
    let tcp6 = TcpListener::bind("[::1]:0").ok();
    let netlink = call(libc::SYS_socket, &[Arg::N(16), Arg::N(3), Arg::N(0)]);
    let eventfd = call(libc::SYS_eventfd2, &[Arg::N(0), Arg::N(0)]);
    let memfd = call(libc::SYS_memfd_create, &[Arg::P(b"lanner-memory\0"), Arg::N(0)]);
    let taken = own(proc);
    std::fs::remove_file(&path).unwrap();
    std::fs::remove_file(&socket).unwrap();
    let Some((events, _)) = taken else { return };
    let files = files(&events);
    let of = |fd: i64, ty: EventType| {
        let event = files.get(&fd).unwrap_or_else(|| panic!("no fd {fd}"));
        assert_eq!(event.info.symbol, ty.info().unwrap().symbol);
        *event
    };
    let regular = of(file.as_raw_fd().into(), t::ITER_TASK_FILE_REGULAR_E);
    assert_eq!(text(&regular, "path").unwrap(), path);
    let name = |name| flag(t::ITER_TASK_FILE_REGULAR_E, "flags", name);
    let flags = number(&regular, "flags").unwrap();
    assert_eq!(flags & 0xf, name("O_WRONLY") | name("O_APPEND"), "{flags:x}");
    use std::os::unix::fs::MetadataExt as _;
    assert_eq!(number(&regular, "ino_num"), Some(file.metadata().unwrap().ino() as i64));
    assert_ne!(number(&regular, "mnt_id"), Some(0));

    let directory = of(directory.as_raw_fd().into(), t::ITER_TASK_FILE_DIRECTORY_E);
    assert_eq!(text(&directory, "path").as_deref(), Some("/usr/lib"));
    assert_ne!(number(&of(reader, t::ITER_TASK_FILE_PIPE_E), "ino_num"), Some(0));

    let listening = of(tcp.as_raw_fd().into(), t::ITER_TASK_FILE_SOCKET_INET_E);
    assert_eq!(bytes(&listening, "local_ip"), [127, 0, 0, 1]);
    assert_eq!(number(&listening, "local_port"), Some(tcp.local_addr().unwrap().port().into()));
    assert_eq!((number(&listening, "remote_port"), number(&listening, "sk_type")), (Some(0), Some(1)));

    if let Some(tcp6) = tcp6 {
        let listening = of(tcp6.as_raw_fd().into(), t::ITER_TASK_FILE_SOCKET_INET6_E);
        assert_eq!(bytes(&listening, "local_ip"), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(number(&listening, "local_port"), Some(tcp6.local_addr().unwrap().port().into()));
    }
    if !proc {
        // what is read from /proc leaves these out
        let routes = of(netlink, t::ITER_TASK_FILE_SOCKET_NETLINK_E);
        assert_eq!((number(&routes, "sk_type"), number(&routes, "sk_proto")), (Some(3), Some(0)));
    }

    let unix = of(unix.as_raw_fd().into(), t::ITER_TASK_FILE_SOCKET_UNIX_E);
    assert_eq!(text(&unix, "sun_path").unwrap(), socket);

    let anon = of(eventfd, t::ITER_TASK_FILE_ANON_INODE_E);
    let kind = flag(t::ITER_TASK_FILE_ANON_INODE_E, "fd_type", "ANON_INODE_FD_TYPE_EVENTFD");
    assert_eq!(number(&anon, "fd_type"), Some(kind));
    let memory = of(memfd, t::ITER_TASK_FILE_MEMFD_E);
    assert!(text(&memory, "path").unwrap().contains("memfd:lanner-memory"));
}

#[test]
fn iterators_know_this_process() {
    this_process(false);
}

#[test]
fn iterators_know_kinds_of_files() {
    kinds_of_files(false);
}

#[test]
fn proc_knows_this_process() {
    this_process(true);
}

#[test]
fn proc_knows_kinds_of_files() {
    kinds_of_files(true);
}
