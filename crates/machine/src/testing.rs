//! A little language for tests: a host on which threads do things.

use lanner_event::{EventBuf, EventType, types};

use crate::{Fd, Machine, Subject, Thread, abi};

/// A parameter's bytes.
pub(crate) struct P(pub(crate) Vec<u8>);

macro_rules! number_param {
    ($($ty:ty)*) => { $(impl From<$ty> for P {
        fn from(value: $ty) -> P { P(value.to_ne_bytes().to_vec()) }
    })* };
}
number_param!(i64 u64 u32 i32 u16 u8);

impl From<&str> for P {
    fn from(text: &str) -> P {
        P([text.as_bytes(), &[0]].concat())
    }
}

impl From<&[u8]> for P {
    fn from(bytes: &[u8]) -> P {
        P(bytes.to_vec())
    }
}

impl From<()> for P {
    fn from(_: ()) -> P {
        P(Vec::new())
    }
}

macro_rules! params { ($($value:expr),* $(,)?) => { [$($crate::testing::P::from($value)),*] }; }
pub(crate) use params;

/// A machine, and the clock that its events go by.
pub(crate) struct Host {
    pub(crate) machine: Machine,
    pub(crate) now: u64,
}

/// A process that every host has.
pub(crate) const SHELL: i64 = 100;

/// When hosts start, ns since 1970.
const START: u64 = 1_700_000_000_000_000_000;

impl Host {
    /// A host with an init and a shell below it.
    pub(crate) fn new() -> Host {
        let mut machine = Machine::default();
        let thread = |tid: i64, ptid, comm: &str| Thread {
            pid: tid,
            vtid: tid,
            vpid: tid,
            ptid,
            comm: comm.into(),
            exe: comm.into(),
            cwd: "/root".into(),
            uid: 0,
            gid: 0,
            ..Thread::unknown(tid)
        };
        machine.add_thread(thread(1, 0, "init"));
        machine.add_thread(thread(SHELL, 1, "bash"));
        Host { machine, now: START }
    }

    pub(crate) fn send(&mut self, tid: i64, ty: EventType, params: &[P]) -> Subject {
        self.now += 1_000;
        let params: Vec<&[u8]> = params.iter().map(|p| &p.0[..]).collect();
        let event = EventBuf::new(self.now, tid, 0, ty, &params).unwrap();
        self.machine.apply(&event.event().unwrap())
    }

    /// Lets what the last event ended go.
    pub(crate) fn settle(&mut self) {
        self.send(1, types::SYSCALL_GETEGID_X, &params![0u32]);
    }

    pub(crate) fn thread(&self, tid: i64) -> &Thread {
        self.machine.thread(tid).unwrap_or_else(|| panic!("no thread {tid}"))
    }

    pub(crate) fn fd(&self, tid: i64, num: i64) -> &Fd {
        self.machine.fd(tid, num).unwrap_or_else(|| panic!("thread {tid} has no fd {num}"))
    }

    pub(crate) fn name(&self, tid: i64, num: i64) -> String {
        self.fd(tid, num).name.to_string()
    }

    /// One side's clone event: `result` is 0 in the child.
    pub(crate) fn clone_event(&mut self, tid: i64, result: i64, child: &Child<'_>) -> Subject {
        let (pid, ptid) = if result == 0 { (child.pid, child.ptid) } else { (tid, 1) };
        let params = params![
            result,
            child.exe,
            child.args,
            tid,
            pid,
            ptid,
            "",
            1024i64,
            1u64,
            2u64,
            3u32,
            4u32,
            5u32,
            child.exe,
            child.cgroups,
            child.flags,
            child.uid,
            child.uid,
            child.vtid,
            child.vpid,
            7u64,
        ];
        self.send(tid, types::SYSCALL_CLONE_20_X, &params)
    }

    /// A fork seen by the parent.
    pub(crate) fn fork(&mut self, parent: i64, child: i64) {
        self.clone_event(parent, child, &Child::of(child, parent));
    }

    /// A new thread of a process, seen by the process' main thread.
    pub(crate) fn new_thread(&mut self, pid: i64, tid: i64) {
        let flags = abi::CLONE_THREAD | abi::CLONE_FILES;
        self.clone_event(pid, tid, &Child { flags, ..Child::of(tid, 1) });
    }

    pub(crate) fn exit(&mut self, tid: i64) {
        self.exit_to(tid, 0);
    }

    /// An exit whose children go to `reaper`.
    pub(crate) fn exit_to(&mut self, tid: i64, reaper: i64) {
        self.send(tid, types::PROCEXIT_1_E, &params![0i64, 0i64, 0u8, 0u8, reaper]);
    }

    /// A successful exec of `path`, which is also the first argument.
    pub(crate) fn exec(&mut self, tid: i64, path: &str) -> Subject {
        self.exec_in(tid, path, "cpuset=/\0")
    }

    pub(crate) fn exec_in(&mut self, tid: i64, path: &str, cgroups: &str) -> Subject {
        let comm = path.rsplit('/').next().unwrap();
        let head = params![
            0i64,
            path,
            "-x\0y\0".as_bytes(),
            tid,
            tid,
            1i64,
            "",
            4096u64,
            0u64,
            9u64,
            10u32,
            11u32,
            12u32,
            comm,
            cgroups.as_bytes(),
            "A=1\0B=2\0".as_bytes(),
            34816u32,
            55i64,
            1000u32,
            abi::EXE_WRITABLE,
            1u64,
            2u64,
            3u64,
            77u64,
            START,
            START + 1,
            0u32,
            path,
            56i64,
            0u32,
            path,
        ];
        self.send(tid, types::SYSCALL_EXECVE_19_X, &head)
    }

    /// An `openat` from the working directory.
    pub(crate) fn open(&mut self, tid: i64, num: i64, name: &str) -> Subject {
        self.open_at(tid, num, abi::AT_FDCWD, name, 0)
    }

    pub(crate) fn open_at(&mut self, tid: i64, num: i64, dirfd: i64, name: &str, flags: u32) -> Subject {
        self.send(tid, types::SYSCALL_OPENAT_2_X, &params![num, dirfd, name, flags, 0u32, 8u32, 99u64])
    }

    pub(crate) fn close(&mut self, tid: i64, num: i64) -> Subject {
        self.send(tid, types::SYSCALL_CLOSE_X, &params![0i64, num])
    }
}

/// A child as clone events tell it.
pub(crate) struct Child<'a> {
    pub(crate) pid: i64,
    pub(crate) ptid: i64,
    pub(crate) vtid: i64,
    pub(crate) vpid: i64,
    pub(crate) flags: u32,
    pub(crate) uid: u32,
    pub(crate) exe: &'a str,
    pub(crate) args: &'a [u8],
    pub(crate) cgroups: &'a [u8],
}

impl Child<'_> {
    pub(crate) fn of(tid: i64, parent: i64) -> Child<'static> {
        Child {
            pid: tid,
            ptid: parent,
            vtid: tid,
            vpid: tid,
            flags: 0,
            uid: 0,
            exe: "bash",
            args: b"-l\0",
            cgroups: b"cpuset=/\0",
        }
    }
}

/// A socket tuple of IPv4 ends, `ADDRESS:PORT` each.
pub(crate) fn tuple4(source: &str, dest: &str) -> Vec<u8> {
    [&[abi::AF_INET][..], &end(source), &end(dest)].concat()
}

/// A socket tuple of IPv6 ends, `[ADDRESS]:PORT` each.
pub(crate) fn tuple6(source: &str, dest: &str) -> Vec<u8> {
    [&[abi::AF_INET6][..], &end(source), &end(dest)].concat()
}

pub(crate) fn tuple_unix(source: u64, dest: u64, path: &str) -> Vec<u8> {
    [&[abi::AF_UNIX][..], &source.to_ne_bytes(), &dest.to_ne_bytes(), path.as_bytes(), &[0]].concat()
}

/// A socket address, `ADDRESS:PORT`.
pub(crate) fn address(text: &str) -> Vec<u8> {
    let family = if text.starts_with('[') { abi::AF_INET6 } else { abi::AF_INET };
    [&[family][..], &end(text)].concat()
}

fn end(text: &str) -> Vec<u8> {
    let address: std::net::SocketAddr = text.parse().unwrap();
    let mut bytes = match address.ip() {
        std::net::IpAddr::V4(ip) => ip.octets().to_vec(),
        std::net::IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    bytes.extend(address.port().to_ne_bytes());
    bytes
}
