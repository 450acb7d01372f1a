//! A small host with a few processes and files, and events on it, picked by numbers.

use std::net::IpAddr;

use lanner_event::{EventBuf, EventType, SYSCALL_NAMES, types};
use lanner_fields::{Context, EventMeta, Scratch};
use lanner_machine::{
    Container, Endpoint, Ends, Fd, FdKind, Interface, L4Proto, Machine, MachineOptions, Role, Subject, Text,
    Thread, User,
};

pub const NAMES: &[&str] = &["init", "bash", "sshd", "cat", "Python3", "runc", "a b", ""];
pub const PATHS: &[&str] = &[
    "/etc/passwd",
    "/etc",
    "/usr/bin/cat",
    "/tmp/x.pem",
    "/home/me/.ssh/id_rsa",
    "",
    "/",
    "passwd",
    "../etc/passwd",
    "/etc//passwd",
    "cat/./x.pem",
    ".",
];
pub const ADDRESSES: &[&str] = &["10.1.2.3", "127.0.0.1", "192.168.0.9", "::1", "fe80::7"];
pub const PORTS: &[u16] = &[0, 22, 80, 443, 40000];

/// Types that the events have: some open, use or close an fd, some have nothing to do with one.
pub const TYPES: &[EventType] = &[
    types::SYSCALL_OPENAT_2_X,
    types::SYSCALL_OPEN_X,
    types::SYSCALL_READ_X,
    types::SYSCALL_WRITE_X,
    types::SYSCALL_CLOSE_X,
    types::SOCKET_CONNECT_X,
    types::SOCKET_ACCEPT4_6_X,
    types::SYSCALL_EXECVE_19_X,
    types::SYSCALL_CLONE_20_X,
    types::SYSCALL_KILL_X,
    types::PROCEXIT_1_E,
    types::GENERIC_X,
];

/// Types of events that change what is known of threads, and some that look at it.
pub const CHANGES: &[EventType] = &[
    types::SYSCALL_CLONE_20_X,
    types::SYSCALL_CLONE3_X,
    types::SYSCALL_VFORK_20_X,
    types::SYSCALL_EXECVE_19_X,
    types::SYSCALL_EXECVEAT_X,
    types::SYSCALL_PRCTL_X,
    types::SYSCALL_CHDIR_X,
    types::SYSCALL_CHROOT_X,
    types::SYSCALL_SETUID_X,
    types::SYSCALL_SETRESUID_X,
    types::SYSCALL_SETGID_X,
    types::SYSCALL_SETSID_X,
    types::SYSCALL_SETPGID_X,
    types::SYSCALL_CAPSET_X,
    types::PROCEXIT_1_E,
    types::USER_ADDED_E,
    types::USER_DELETED_E,
    types::GROUP_ADDED_E,
    types::SYSCALL_OPENAT_2_X,
    types::SYSCALL_OPENAT_2_X,
    types::SYSCALL_OPENAT_2_X,
    types::SYSCALL_READ_X,
    types::SYSCALL_READ_X,
    types::SYSCALL_CLOSE_X,
    types::SYSCALL_DUP_1_X,
    types::SYSCALL_FCNTL_X,
    types::SOCKET_SOCKET_X,
    types::SOCKET_BIND_X,
    types::SOCKET_CONNECT_X,
    types::SOCKET_ACCEPT4_6_X,
    types::SOCKET_SENDTO_X,
    types::SOCKET_SENDTO_X,
    types::SOCKET_RECVFROM_X,
    types::SYSCALL_KILL_X,
];

pub struct World {
    machine: Machine,
    meta: EventMeta,
    pub scratch: Scratch,
}

impl World {
    /// Six threads, each the child of the one before, with four fds each; `seed` varies what they are.
    pub fn new(seed: usize) -> World {
        let mut machine = Machine::new(MachineOptions::default());
        for nth in 0..6 {
            let pick = seed.wrapping_mul(31).wrapping_add(nth * 7);
            let tid = nth as i64 + 1;
            let thread = Thread {
                tid,
                pid: tid,
                ptid: tid - 1,
                vtid: tid,
                vpid: tid,
                comm: Text::from(NAMES[pick % NAMES.len()].as_bytes()),
                exe: Text::from(PATHS[pick / 3 % PATHS.len()].as_bytes()),
                uid: [0, 1000, u32::MAX][pick / 5 % 3],
                tty: (pick % 2) as u32 * 34816,
                ..Thread::default()
            };
            machine.add_thread(thread);
            for num in 0..4 {
                machine.add_fd(tid, fd(num, pick.wrapping_add(num as usize * 13)));
            }
        }
        World {
            machine,
            meta: EventMeta { num: 1 + seed as u64, ..EventMeta::default() },
            scratch: Scratch::new(),
        }
    }

    /// Lets one event, or a word from outside, change the host, and looks at it.
    pub fn play<R>(&mut self, event: &Picked, look: impl for<'a> FnOnce(&Context<'a>) -> R) -> R {
        self.meta.num += 1;
        let name = NAMES[event.number % NAMES.len()];
        match event.number % 40 {
            0 => self.machine.set_container(Container {
                id: name.into(),
                image: name.into(),
                ..Container::default()
            }),
            1 => self.machine.add_user(
                b"",
                User { uid: 1000, gid: 0, name: name.into(), home: name.into(), shell: name.into() },
            ),
            2 => {
                let address = ADDRESSES[event.fd % ADDRESSES.len()].parse().unwrap();
                let netmask = std::net::Ipv4Addr::new(255, 0, 0, 0).into();
                self.machine.set_interfaces(vec![Interface { name: name.into(), address, netmask }]);
            }
            _ => {}
        }
        let ty = CHANGES[event.ty % CHANGES.len()];
        let buffer =
            event.encode(ty, event.tid as i64 % 8 + 1, 1_700_000_000_000_000_000 + self.meta.num * 1000);
        let event_view = buffer.event().unwrap();
        let subject = self.machine.apply(&event_view);
        let cx = Context {
            event: &event_view,
            machine: &self.machine,
            subject: &subject,
            meta: &self.meta,
            scratch: &self.scratch,
        };
        look(&cx)
    }

    /// Looks at one event.
    pub fn with<R>(&self, event: &Picked, look: impl for<'a> FnOnce(&Context<'a>) -> R) -> R {
        let tid = event.tid as i64 % 8;
        let buffer = event.encode(TYPES[event.ty % TYPES.len()], tid, 1_700_000_000_000_000_000);
        let event_view = buffer.event().unwrap();
        let mut subject = Subject::unresolved(tid);
        subject.fd = (event.fd % 6 < 5).then_some(event.fd as i64 % 6);
        let cx = Context {
            event: &event_view,
            machine: &self.machine,
            subject: &subject,
            meta: &self.meta,
            scratch: &self.scratch,
        };
        look(&cx)
    }
}

fn fd(num: i64, pick: usize) -> Fd {
    let address = |n: usize| -> IpAddr { ADDRESSES[n % ADDRESSES.len()].parse().unwrap() };
    let (source, dest) = (address(pick), address(pick / 2));
    let socket = pick % 3 == 0 && source.is_ipv4() == dest.is_ipv4();
    let end = |ip, n: usize| Endpoint { ip, port: PORTS[n % PORTS.len()] };
    Fd {
        num,
        kind: match (socket, source.is_ipv4()) {
            (true, true) => FdKind::Ipv4,
            (true, false) => FdKind::Ipv6,
            (false, _) => FdKind::File,
        },
        name: Text::from(PATHS[pick % PATHS.len()].as_bytes()),
        l4: if socket { L4Proto::Tcp } else { L4Proto::Unknown },
        ends: match socket {
            true => Ends::Ip { source: end(source, pick), dest: Some(end(dest, pick / 7)) },
            false => Ends::None,
        },
        role: [Role::Unknown, Role::Client, Role::Server][pick % 3],
        ..Fd::default()
    }
}

/// What an event is.
#[derive(Clone, Debug)]
pub struct Picked {
    pub ty: usize,
    pub tid: usize,
    pub fd: usize,
    pub number: usize,
}

impl Picked {
    /// Enough bytes for any type; whether they make sense is the machine's and the fields' business.
    fn encode(&self, ty: EventType, tid: i64, ts: u64) -> EventBuf {
        let params = ty.info().unwrap().params.iter().enumerate();
        let params: Vec<Vec<u8>> = params
            .map(|(at, param)| Picked { number: self.number / (at + 1), ..*self }.bytes(param.ty))
            .collect();
        let params: Vec<&[u8]> = params.iter().map(Vec::as_slice).collect();
        EventBuf::new(ts, tid, 0, ty, &params).unwrap()
    }

    fn bytes(&self, ty: lanner_event::ParamType) -> Vec<u8> {
        use lanner_event::ParamType as P;
        let number = self.number as u64;
        match ty {
            P::Int16 | P::Uint16 | P::Flags16 | P::Enumflags16 | P::Port => {
                ((number % 400) as u16).to_ne_bytes().to_vec()
            }
            P::Int32
            | P::Fd32
            | P::Pid32
            | P::Uint32
            | P::Flags32
            | P::Enumflags32
            | P::Uid
            | P::Gid
            | P::Sigset
            | P::Mode => ((number % 5000) as u32).to_ne_bytes().to_vec(),
            P::Syscallid => generic_calls()[self.number % generic_calls().len()].to_ne_bytes().to_vec(),
            P::Uint8 | P::Flags8 | P::Enumflags8 | P::Sigtype => vec![(number % 256) as u8],
            P::Charbuf | P::Fspath | P::Fsrelpath => {
                let mut text = PATHS[self.number % PATHS.len()].as_bytes().to_vec();
                text.push(0);
                text
            }
            P::Errno | P::Fd | P::Pid | P::Int64 => ((number % 7) as i64 - 2).to_ne_bytes().to_vec(),
            P::Uint64 | P::Reltime | P::Abstime => number.to_ne_bytes().to_vec(),
            P::Socktuple => [&[2][..], &self.end(1), &self.end(3)].concat(),
            P::Sockaddr => [&[2][..], &self.end(2)].concat(),
            _ => Vec::new(),
        }
    }
}

impl Picked {
    /// One end of an IPv4 socket.
    fn end(&self, salt: usize) -> [u8; 6] {
        let pick = self.number / salt;
        let [low, high] = PORTS[pick % PORTS.len()].to_ne_bytes();
        let [a, b, c, d] = [[10, 1, 2, 3], [127, 0, 0, 1], [192, 168, 0, 9]][pick % 3];
        [a, b, c, d, low, high]
    }
}

/// Numbers of system calls that have no event type of their own.
fn generic_calls() -> Vec<u16> {
    let has_type = |name: &str| lanner_event::EVENTS.iter().any(|info| info.name == name);
    (1..SYSCALL_NAMES.len() as u16).filter(|call| !has_type(SYSCALL_NAMES[usize::from(*call)])).collect()
}
