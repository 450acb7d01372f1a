//! Other ways to the same file, socket or program: seen like the plain one, and what was reached is told by the
//! kernel's own objects. docs/coverage.md has a row for each.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::net::{SocketAddr, TcpListener};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use lanner_event::{Event, EventBuf, EventType, types as t};
use support::call::{Arg::N, Arg::P, call};
use support::{Watch, bytes, number, text};

const CWD: i64 = -100;

fn watch(types: &[EventType]) -> Option<Watch> {
    support::open(lanner_probe::ProbeOptions {
        events: types.iter().copied().collect(),
        include_self: true,
        resolved: true,
        ..Default::default()
    })
}

/// A directory of this test's own, gone with the value.
struct Place(String);

impl Place {
    fn new(name: &str) -> Place {
        let path = format!("/tmp/lanner-ways-{name}-{}", std::process::id());
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        Place(path)
    }

    fn file(&self, name: &str) -> String {
        let path = format!("{}/{name}", self.0);
        std::fs::write(&path, "x").unwrap();
        path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Opens a path; the event of it.
fn opened(watch: &mut Watch, path: &[u8]) -> EventBuf {
    let name = [path, b"\0"].concat();
    let fd = call(libc::SYS_openat, &[N(CWD), P(&name), N(0)]);
    assert!(fd >= 0, "{}: {fd}", String::from_utf8_lossy(path));
    let event = watch.own(1).remove(0);
    call(libc::SYS_close, &[N(fd)]);
    event
}

fn resolved(event: &Event<'_>) -> String {
    String::from_utf8_lossy(event.resolved_path().unwrap_or_default()).into_owned()
}

#[test]
fn links_dots_and_magic_links_lead_to_the_file() {
    let Some(mut watch) = watch(&[t::SYSCALL_OPENAT_2_X]) else { return };
    let place = Place::new("links");
    let file = place.file("file");
    let ino = std::fs::metadata(&file).unwrap().ino() as i64;
    let link = format!("{}/link", place.0);
    symlink(&file, &link).unwrap();
    symlink(&place.0, format!("{}/turn", place.0)).unwrap();
    let handle = std::fs::File::open(&file).unwrap();
    let again = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&handle));
    watch.forget();
    let turn = format!("{}/turn/../{}/turn/file", place.0, place.0.rsplit('/').next().unwrap());
    for path in [
        &link,
        &turn,
        &again,
        &format!("/proc/self/root{file}"),
        &format!("/proc/self/cwd/../../../../..{file}"),
    ] {
        let event = opened(&mut watch, path.as_bytes());
        let event = event.event().unwrap();
        assert_eq!(text(&event, "name").as_deref(), Some(&**path));
        assert_eq!((resolved(&event), number(&event, "ino")), (file.clone(), Some(ino)), "{path}");
    }
    // a hard link is another name of the same inode: no name is the true one
    let other = format!("{}/other", place.0);
    std::fs::hard_link(&file, &other).unwrap();
    let event = opened(&mut watch, other.as_bytes());
    let event = event.event().unwrap();
    assert_eq!((resolved(&event), number(&event, "ino")), (other, Some(ino)));
}

#[test]
fn long_names_and_names_that_are_no_text() {
    let Some(mut watch) = watch(&[t::SYSCALL_OPENAT_2_X]) else { return };
    let place = Place::new("long");
    let odd = [place.0.as_bytes(), b"/\xff\xfe\n"].concat();
    std::fs::write(std::ffi::OsStr::from_bytes(&odd), "").unwrap();
    watch.forget();
    let event = opened(&mut watch, &odd);
    let event = event.event().unwrap();
    assert_eq!((event.text(2), event.resolved_path()), (Some(&odd[..]), Some(&odd[..])));

    let mut path = place.0.clone();
    while path.len() < 3500 {
        path = format!("{path}/{}", "d".repeat(200));
        std::fs::create_dir(&path).unwrap();
    }
    path.push_str("/file");
    std::fs::write(&path, "").unwrap();
    watch.forget();
    let event = opened(&mut watch, path.as_bytes());
    let event = event.event().unwrap();
    assert_eq!((text(&event, "name"), resolved(&event)), (Some(path.clone()), path));
}

/// The open, by whatever process, of a path.
fn open_by_other(watch: &mut Watch, command: &str, path: &str) -> Option<EventBuf> {
    let status = Command::new("sh").args(["-c", command]).status().unwrap();
    if !status.success() {
        eprintln!("skipped: `{command}` says {status}");
        return None;
    }
    let is = |e: &EventBuf| text(&e.event().unwrap(), "name").as_deref() == Some(path);
    let events = watch.events_until(|events| events.iter().any(is));
    Some(events.into_iter().find(is).unwrap_or_else(|| panic!("no open of {path}")))
}

#[test]
fn behind_a_bind_mount_and_a_new_root_the_inode_is_the_same() {
    let Some(mut watch) = watch(&[t::SYSCALL_OPENAT_2_X, t::SYSCALL_OPEN_X]) else { return };
    let place = Place::new("mounts");
    let file = place.file("file");
    let metadata = std::fs::metadata(&file).unwrap();
    let (root, elsewhere) = (format!("{}/root", place.0), format!("{}/elsewhere", place.0));
    for directory in [&root, &elsewhere] {
        std::fs::create_dir(directory).unwrap();
    }
    let here = &place.0;
    let bound = format!("{elsewhere}/file");
    let command = format!("unshare -m sh -c 'mount --bind {here} {elsewhere} && cat {bound}' >/dev/null");
    if let Some(event) = open_by_other(&mut watch, &command, &bound) {
        let event = event.event().unwrap();
        // as its own mount namespace sees it
        assert_eq!(resolved(&event), bound);
        assert_eq!(number(&event, "ino"), Some(metadata.ino() as i64));
        assert_eq!(number(&event, "dev"), Some(metadata.dev() as i64));
    }
    let command = format!(
        "unshare -m sh -c 'for d in bin lib lib64 usr; do mkdir -p {root}/$d && mount --rbind /$d {root}/$d; done; \
         cp {file} {root}/seen && chroot {root} cat /seen' >/dev/null 2>&1"
    );
    if let Some(event) = open_by_other(&mut watch, &command, "/seen") {
        // as asked for it is relative to the new root; where it lies is told from the namespace's root
        let event = event.event().unwrap();
        assert_eq!(resolved(&event), format!("{root}/seen"));
        let copied = std::fs::metadata(format!("{root}/seen")).unwrap();
        assert_eq!(number(&event, "ino"), Some(copied.ino() as i64));
    }
}

/// A new root by `pivot_root` is the namespace's own: paths begin there, as they do for everybody inside.
#[test]
fn behind_a_pivoted_root() {
    let Some(mut watch) = watch(&[t::SYSCALL_OPENAT_2_X, t::SYSCALL_OPEN_X]) else { return };
    let place = Place::new("pivot");
    let root = format!("{}/root", place.0);
    std::fs::create_dir(&root).unwrap();
    // the file lies in the old root, and is reached by the way that leads there
    let file = place.file("file");
    let metadata = std::fs::metadata(&file).unwrap();
    let command = format!(
        "unshare -m sh -c 'mount -t tmpfs none {root} && cd {root} && mkdir old && echo >kept && \
         for d in bin lib lib64 usr; do mkdir $d && mount --rbind /$d $d; done; \
         pivot_root . old && cat /kept /old{file}' >/dev/null 2>&1"
    );
    let old = format!("/old{file}");
    let Some(event) = open_by_other(&mut watch, &command, &old) else { return };
    let event = event.event().unwrap();
    assert_eq!(resolved(&event), old);
    assert_eq!(number(&event, "ino"), Some(metadata.ino() as i64));
    assert_eq!(number(&event, "dev"), Some(metadata.dev() as i64));
}

#[test]
fn a_name_that_another_thread_rewrites_does_not_hide_what_was_opened() {
    let Some(mut watch) = watch(&[t::SYSCALL_OPENAT_2_X]) else { return };
    let place = Place::new("race");
    let (first, second) = (place.file("a"), place.file("b"));
    let inode = |path: &str| std::fs::metadata(path).unwrap().ino() as i64;
    let (a, b) = (inode(&first), inode(&second));
    // the last byte of the name is rewritten while it is opened
    let name: Arc<Vec<AtomicU8>> =
        Arc::new([first.as_bytes(), b"\0"].concat().into_iter().map(AtomicU8::new).collect());
    let last = first.len() - 1;
    let done = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (name, done) = (Arc::clone(&name), Arc::clone(&done));
        move || {
            while !done.load(Ordering::Relaxed) {
                name[last].store(b'b', Ordering::Relaxed);
                name[last].store(b'a', Ordering::Relaxed);
            }
        }
    });
    watch.forget();
    const ROUNDS: usize = 2000;
    for _ in 0..ROUNDS {
        let fd = call(libc::SYS_openat, &[N(CWD), N(name.as_ptr() as i64), N(0)]);
        call(libc::SYS_close, &[N(fd)]);
    }
    done.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    let events = watch.own(ROUNDS);
    assert_eq!(events.len(), ROUNDS);
    let mut forged = 0;
    for event in &events {
        let event = event.event().unwrap();
        let really = if number(&event, "ino") == Some(a) { &first } else { &second };
        assert!([Some(a), Some(b)].contains(&number(&event, "ino")));
        assert_eq!(resolved(&event), *really);
        forged += usize::from(text(&event, "name").as_ref() != Some(really));
    }
    println!("{forged} of {ROUNDS} names as asked for were not what was opened");
}

/// An address of an abstract unix socket.
fn abstract_address(name: &[u8]) -> Vec<u8> {
    [&[1u8, 0, 0][..], name].concat()
}

/// The kernel's copy of an abstract name has no end but its length, and what lay in its memory before may follow.
#[test]
fn an_abstract_name_ends_where_its_length_says() {
    const ROUNDS: usize = 64;
    let Some(mut watch) = watch(&[t::SOCKET_CONNECT_X]) else { return };
    let bound = |name: &[u8]| {
        let (socket, address) = (call(libc::SYS_socket, &[N(1), N(1), N(0)]), abstract_address(name));
        assert_eq!(call(libc::SYS_bind, &[N(socket), P(&address), N(address.len() as i64)]), 0);
        (socket, address)
    };
    let name = format!("lanner-ways-of-an-abstract-name-{:05}", std::process::id());
    // of the same size to the kernel's allocator, which gives out again what was given back last
    let longer = format!("{name}{}", "x".repeat(16));
    for _ in 0..ROUNDS {
        call(libc::SYS_close, &[N(bound(longer.as_bytes()).0)]);
        let (listening, address) = bound(name.as_bytes());
        assert_eq!(call(libc::SYS_listen, &[N(listening), N(5)]), 0);
        let socket = call(libc::SYS_socket, &[N(1), N(1), N(0)]);
        assert_eq!(call(libc::SYS_connect, &[N(socket), P(&address), N(address.len() as i64)]), 0);
        let _ = [socket, listening].map(|fd| call(libc::SYS_close, &[N(fd)]));
    }
    for event in watch.own(ROUNDS) {
        let tuple = bytes(&event.event().unwrap(), "tuple");
        assert_eq!(String::from_utf8_lossy(&tuple[17..]), format!("{name}\0"));
    }
}

#[test]
fn abstract_sockets_and_mapped_addresses() {
    let Some(mut watch) = watch(&[t::SOCKET_CONNECT_X, t::SOCKET_BIND_X]) else { return };
    let name = format!("lanner-ways-{}", std::process::id());
    let address = abstract_address(name.as_bytes());
    let listening = call(libc::SYS_socket, &[N(1), N(1), N(0)]);
    let len = N(address.len() as i64);
    assert_eq!(call(libc::SYS_bind, &[N(listening), P(&address), N(address.len() as i64)]), 0);
    assert_eq!(call(libc::SYS_listen, &[N(listening), N(5)]), 0);
    let socket = call(libc::SYS_socket, &[N(1), N(1), N(0)]);
    assert_eq!(call(libc::SYS_connect, &[N(socket), P(&address), len]), 0);
    let events = watch.own(2);
    let shown = [&[1u8][..], name.as_bytes(), b"\0"].concat();
    assert_eq!(bytes(&events[0].event().unwrap(), "addr"), shown);
    let connect = events[1].event().unwrap();
    assert_eq!(bytes(&connect, "addr"), shown);
    assert_eq!(&bytes(&connect, "tuple")[17..], &shown[1..]);
    for fd in [socket, listening] {
        call(libc::SYS_close, &[N(fd)]);
    }

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let SocketAddr::V4(v4) = listener.local_addr().unwrap() else { panic!("no IPv4") };
    let socket = call(libc::SYS_socket, &[N(10), N(1), N(0)]);
    if socket < 0 {
        eprintln!("skipped: no IPv6 here");
        return;
    }
    let mapped = v4.ip().to_ipv6_mapped().octets();
    let address = [&[10u8, 0][..], &v4.port().to_be_bytes(), &[0; 4], &mapped, &[0; 4]].concat();
    assert_eq!(call(libc::SYS_connect, &[N(socket), P(&address), N(28)]), 0);
    // the listener was bound first
    let events = watch.own(2);
    let connect = events[1].event().unwrap();
    let shown = [&[10u8][..], &mapped, &v4.port().to_ne_bytes()].concat();
    assert_eq!(bytes(&connect, "addr"), shown);
    // the kernel's own remote end, behind family, local address and port
    assert_eq!(&bytes(&connect, "tuple")[19..], &shown[1..]);
    call(libc::SYS_close, &[N(socket)]);
}
