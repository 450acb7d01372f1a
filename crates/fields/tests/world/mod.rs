//! A small host: init, a login shell, a command of two threads in a container, files and a connection.
#![allow(dead_code, reason = "not every test looks at all of it")]
#![allow(clippy::unwrap_used, reason = "a test may end so")]

use std::net::IpAddr;

use lanner_event::{EventBuf, EventType};
use lanner_fields::{Context, EventMeta, Format, Scratch, Term, render_value};
use lanner_machine::{
    Capabilities, Container, ContainerMount, Endpoint, Ends, Executable, Fd, FdKind, Group, Interface,
    L4Proto, Machine, MachineOptions, Pod, Role, Text, TextList, Thread, User,
};

/// 2024-02-29 12:34:56.000000789 UTC.
pub const NOW: u64 = 1_709_210_096_000_000_789;
/// The container's short id.
pub const CONTAINER: &str = "0123456789ab";
/// Shell on the host.
pub const SHELL: i64 = 100;
/// Main thread of the command in the container.
pub const COMMAND: i64 = 200;
/// Its other thread.
pub const WORKER: i64 = 201;

pub struct World {
    pub machine: Machine,
    pub meta: EventMeta,
    pub scratch: Scratch,
}

fn thread(tid: i64, ptid: i64, comm: &str, args: &[&str]) -> Thread {
    Thread {
        tid,
        pid: tid,
        ptid,
        vtid: tid,
        vpid: tid,
        sid: SHELL,
        pgid: tid,
        vpgid: tid,
        comm: comm.into(),
        exe: comm.into(),
        args: args.iter().collect(),
        executable: Executable { path: format!("/usr/bin/{comm}").into(), ..Executable::default() },
        cwd: "/root/".into(),
        clone_ts: NOW - 5_000_000_000,
        ..Thread::default()
    }
}

fn command() -> Thread {
    Thread {
        vtid: 7,
        vpid: 7,
        sid: 7,
        vpgid: 7,
        pgid: COMMAND,
        env: TextList::from_iter(["HOME=/home/me", "EMPTY=", "SPACES=  a b "]),
        executable: Executable {
            path: "/usr/bin/python3.11".into(),
            ino: 42,
            ctime: NOW - 9,
            mtime: NOW - 10,
            writable: true,
            upper_layer: true,
            ctime_to_clone: 3,
            ..Executable::default()
        },
        cwd: "/home/me/".into(),
        cgroups: TextList::from_iter([
            "cpuset=/",
            &format!("io=/kubepods/besteffort/pod1-2-3/{CONTAINER}{}", "cd".repeat(26)),
        ]),
        uid: 1000,
        gid: 1000,
        loginuid: u32::MAX,
        tty: 34816,
        capabilities: Capabilities { permitted: 0b101, effective: 1 << 40, inheritable: 0 },
        fdlimit: 1024,
        pidns_init_start_ts: NOW - 1_000,
        vm_size: 100,
        vm_rss: 50,
        pf_minor: 9,
        ..thread(COMMAND, SHELL, "python3", &["-c", "import os"])
    }
}

fn container() -> Container {
    Container {
        id: CONTAINER.into(),
        full_id: format!("{CONTAINER}{}", "cd".repeat(26)),
        name: "web".into(),
        image: "registry/web:1.2".into(),
        image_repository: "registry/web".into(),
        image_tag: "1.2".into(),
        privileged: Some(true),
        mounts: vec![ContainerMount {
            source: "/var/run/docker.sock".into(),
            dest: "/docker.sock".into(),
            mode: "rw".into(),
            rdwr: true,
            propagation: "private".into(),
        }],
        labels: [("app".to_string(), "shop".to_string()), ("tier".into(), "front".into())].into(),
        ip: Some(IpAddr::from([10, 0, 0, 9])),
        pod: Some(Pod {
            name: "web-1".into(),
            namespace: "shop".into(),
            uid: "1-2-3".into(),
            sandbox_id: "fedcba9876543210".into(),
            ..Pod::default()
        }),
        complete: true,
        ..Container::default()
    }
}

fn fds() -> Vec<Fd> {
    let file = |num, name: &str| Fd { num, kind: FdKind::File, name: name.into(), ..Fd::default() };
    let end = |ip: [u8; 4], port| Endpoint { ip: ip.into(), port };
    vec![
        file(0, "/dev/pts/0"),
        Fd { kind: FdKind::Fifo, ..file(1, "") },
        Fd {
            dev: 0x0030_0802,
            ino: 77,
            raw: "../../etc//passwd".into(),
            upper_layer: true,
            ..file(3, "/etc/passwd")
        },
        Fd { kind: FdKind::Directory, ..file(4, "/srv/data") },
        Fd {
            num: 5,
            kind: FdKind::Ipv4,
            ends: Ends::Ip { source: end([10, 0, 0, 9], 40_000), dest: Some(end([192, 0, 2, 1], 443)) },
            l4: L4Proto::Tcp,
            role: Role::Client,
            connected: true,
            ..Fd::default()
        },
        Fd {
            num: 6,
            kind: FdKind::Ipv6Server,
            ends: Ends::Ip { source: Endpoint { ip: [0; 16].into(), port: 80 }, dest: None },
            l4: L4Proto::Tcp,
            role: Role::Server,
            ..Fd::default()
        },
        Fd { kind: FdKind::Unix, ..file(7, "/dev/log") },
    ]
}

impl World {
    pub fn new() -> World {
        let mut machine = Machine::new(MachineOptions::default());
        machine.set_interfaces(vec![Interface {
            name: "lo".into(),
            address: [127, 0, 0, 1].into(),
            netmask: [255, 0, 0, 0].into(),
        }]);
        machine.add_thread(thread(1, 0, "systemd", &["--user", "x"]));
        machine.add_thread(thread(SHELL, 1, "bash", &[]));
        machine.add_thread(command());
        // It shares the process' fds (CLONE_FILES).
        machine.add_thread(Thread { tid: WORKER, vtid: 8, comm: "worker".into(), flags: 1, ..command() });
        for fd in fds() {
            machine.add_fd(COMMAND, fd);
        }
        let text = |text: &str| Text::from(text);
        let user =
            |uid, name: &str| User { uid, name: text(name), home: text("/home/me"), ..User::default() };
        machine.add_user(CONTAINER.as_bytes(), user(1000, "me"));
        machine.add_user(b"", user(1000, "somebody else"));
        machine.add_group(CONTAINER.as_bytes(), Group { gid: 1000, name: text("us") });
        machine.set_container(container());
        let meta = EventMeta {
            num: 9,
            first_ts: NOW - 2_000_000_003,
            previous_ts: NOW - 5,
            hostname: "there".into(),
            utc_offset: |_| 3_600,
            ..EventMeta::default()
        };
        World { machine, meta, scratch: Scratch::new() }
    }

    /// Applies an event and looks at it.
    pub fn on<T>(
        &mut self,
        tid: i64,
        ty: EventType,
        params: &[&[u8]],
        look: impl FnOnce(&Context<'_>) -> T,
    ) -> T {
        let buf = EventBuf::new(NOW, tid, 2, ty, params).unwrap();
        let event = buf.event().unwrap();
        let subject = self.machine.apply(&event);
        self.scratch.reset();
        look(&Context {
            event: &event,
            machine: &self.machine,
            subject: &subject,
            meta: &self.meta,
            scratch: &self.scratch,
        })
    }
}

/// A field's or transformer's text, `<NA>` when absent.
pub fn text(cx: &Context<'_>, term: &str) -> String {
    let mut out = String::new();
    Format::parse("syscall", &format!("*%{term}")).unwrap().render(cx, &mut out);
    out
}

/// A field's value in a condition.
pub fn operand(cx: &Context<'_>, name: &str, argument: Option<&str>) -> String {
    let term = Term::field("syscall", name, argument).unwrap();
    let mut out = Vec::new();
    let value = term.operand(cx);
    render_value(&value, term.ty(), lanner_fields::NumberFormat::Plain, &mut out);
    String::from_utf8(out).unwrap()
}

/// Bytes of a parameter that is a text.
pub fn c(text: &str) -> Vec<u8> {
    [text.as_bytes(), b"\0"].concat()
}
