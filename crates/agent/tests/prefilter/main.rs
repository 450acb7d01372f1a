//! Alerts are the same whether events that the prefilter can spare come or not.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod random;
mod sockets;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;

use lanner_agent::announce::Announcer;
use lanner_agent::config::{BaseSyscalls, Config};
use lanner_agent::{prefilter, records, ruleset};
use lanner_capture::Reader;
use lanner_engine::{Engine, Memory};
use lanner_event::prefilter::{Home, Keep, Places, Sieves, SocketClass};
use lanner_event::{Category, Event, EventBuf, EventFlag, EventType, ParamType, types as t};
use lanner_fields::{Context, Progress, Scratch};
use lanner_machine::{BIRTHS, Ends, Fd, FdKind, L4Proto, Machine, MachineOptions};
use lanner_probe::EventSet;
use lanner_rules::SourceText;

/// Rules, and what they have said so far of a host of their own.
struct Watcher<'e> {
    engine: &'e Engine,
    announcer: Announcer,
    machine: Machine,
    progress: Progress,
    scratch: Scratch,
    memory: Memory,
    alerts: Vec<String>,
}

impl<'e> Watcher<'e> {
    fn new(engine: &'e Engine) -> Watcher<'e> {
        let options = MachineOptions { closes_left_out: true, ..MachineOptions::default() };
        Watcher {
            engine,
            announcer: Announcer::new(engine, false),
            machine: Machine::new(options),
            progress: Progress::default(),
            scratch: Scratch::new(),
            memory: Memory::default(),
            alerts: Vec::new(),
        }
    }

    /// Whether a rule matches.
    fn see(&mut self, event: &Event<'_>) -> bool {
        let subject = self.machine.apply(event);
        self.progress.advance(event);
        self.scratch.reset();
        let (machine, meta, scratch) = (&self.machine, self.progress.meta(), &self.scratch);
        let cx = Context { event, machine, subject: &subject, meta, scratch };
        let mut hits = Vec::new();
        self.engine.process(&mut self.memory, &cx, &mut hits);
        self.alerts.extend(hits.iter().map(|id| {
            let alert = self.announcer.alert(self.engine, *id, &cx);
            format!("{} {} {:?} {}", event.ts, alert.rule, event.ty(), alert.message)
        }));
        !hits.is_empty()
    }
}

/// What the kernel's side of the prefilter notes of an fd.
#[derive(Clone, Copy, PartialEq)]
enum Note {
    /// What the machine takes it for, if for anything, it is no longer.
    Hidden,
    /// A file of whose opening the machine was told.
    Told,
}

/// The kernel's side of the prefilter.
#[derive(Default)]
struct Hidden {
    fds: BTreeMap<(i64, i64), Note>,
    /// Sockets of whose ends the machine was told.
    told: BTreeMap<(i64, i64), Ends>,
    /// Of UDP, what they were connected to.
    connected: BTreeMap<(i64, i64), Ends>,
    /// Threads that have told of their own beginning.
    begun: BTreeSet<i64>,
    spared: u64,
    /// Of which closes.
    closes: u64,
}

impl Hidden {
    /// Whether the event is that of who made a thread that has told of itself, or failed to make one.
    fn is_told_by_child(&mut self, event: &Event<'_>) -> bool {
        if event.ty() == t::PROCEXIT_1_E {
            self.begun.remove(&event.tid);
        }
        match event.i64(0) {
            _ if !BIRTHS.contains(&event.ty()) => false,
            Some(0) => {
                self.begun.insert(event.tid);
                false
            }
            Some(child) => child < 0 || self.begun.contains(&child),
            None => false,
        }
    }

    /// Whether what goes over a socket tells of its own two ends.
    fn goes_between_ends(&self, process: i64, (num, class, ends): (i64, SocketClass, Ends)) -> bool {
        class.is_tcp() || class.is_udp() && self.connected.get(&(process, num)) == Some(&ends)
    }

    fn forget_socket(&mut self, fd: (i64, i64)) {
        self.told.remove(&fd);
        self.connected.remove(&fd);
    }

    /// Whether nobody is told that an fd was closed.
    fn closes_unseen(&mut self, fd: (i64, i64)) -> bool {
        let note = self.fds.get_mut(&fd);
        self.closes += u64::from(note.as_deref() == Some(&Note::Told));
        note.map(|note| *note = Note::Hidden).is_some()
    }
}

/// What the kernel knows of the socket that a call is about, as far as a machine that has seen all can tell.
fn socket_of(event: &Event<'_>, machine: &Machine) -> (i64, SocketClass, Ends) {
    let num = Places::of(event.info).and_then(|places| event.i64(places.socket?)).unwrap_or(-1);
    let Some(fd) = machine.fd(event.tid, num) else { return (num, SocketClass::Unknown, Ends::None) };
    let class = match (fd.kind, fd.l4) {
        (FdKind::Ipv4 | FdKind::Ipv4Server, L4Proto::Tcp) => SocketClass::Tcp4,
        (FdKind::Ipv4 | FdKind::Ipv4Server, L4Proto::Udp) => SocketClass::Udp4,
        (FdKind::Ipv4 | FdKind::Ipv4Server, _) => SocketClass::Other4,
        (FdKind::Ipv6 | FdKind::Ipv6Server, L4Proto::Tcp) => SocketClass::Tcp6,
        (FdKind::Ipv6 | FdKind::Ipv6Server, L4Proto::Udp) => SocketClass::Udp6,
        (FdKind::Ipv6 | FdKind::Ipv6Server, _) => SocketClass::Other6,
        (FdKind::Unix, _) => SocketClass::Unix,
        (FdKind::Netlink, _) => SocketClass::Netlink,
        _ => SocketClass::Unknown,
    };
    (num, class, sorted(fd.ends))
}

/// The class, as both ends have it.
fn placed(class: SocketClass, event: &Event<'_>, ends: Ends, sieves: &Sieves) -> SocketClass {
    let failed = event.ty() == t::SOCKET_CONNECT_X && event.i64(0) < Some(0);
    match ends {
        Ends::Ip { source, dest: Some(dest) } if !failed => {
            sieves.between(class, [source, dest].map(|end| SocketAddr::new(end.ip, end.port)))
        }
        _ => class,
    }
}

/// The same ends, whoever is said to have begun.
fn sorted(ends: Ends) -> Ends {
    match ends {
        Ends::Ip { source, dest: Some(dest) } if (dest.ip, dest.port) < (source.ip, source.port) => {
            Ends::Ip { source: dest, dest: Some(source) }
        }
        other => other,
    }
}

/// Whether the machine needs an event that matters to no rule.
fn keeps(
    keep: Keep,
    event: &Event<'_>,
    process: i64,
    regular: bool,
    socket: (i64, SocketClass, Ends),
    hidden: &mut Hidden,
) -> bool {
    const EINPROGRESS: i64 = 115;
    let result = event.i64(0).unwrap_or(-1);
    let fd = event.i64(1).unwrap_or(-1);
    let unix = socket.1 == SocketClass::Unix;
    match keep {
        Keep::Connects => result >= 0 || result == -EINPROGRESS,
        Keep::ConnectsButUnix => (result >= 0 || result == -EINPROGRESS) && !unix,
        Keep::AcceptsButUnix => {
            if unix {
                hidden.fds.insert((process, result), Note::Hidden);
            }
            result >= 0 && !unix
        }
        Keep::Exchanges | Keep::ExchangesButUnix if result >= 0 => match socket {
            (_, SocketClass::Unix, _) => keep == Keep::Exchanges,
            (_, SocketClass::Netlink | SocketClass::Other, _) => false,
            (num, _, ends) => {
                !hidden.goes_between_ends(process, socket) || hidden.told.get(&(process, num)) != Some(&ends)
            }
        },
        Keep::Exchanges | Keep::ExchangesButUnix => false,
        Keep::All => true,
        Keep::Nothing => false,
        Keep::Successes => result >= 0,
        Keep::Opens => {
            if regular {
                hidden.fds.insert((process, result), Note::Hidden);
            }
            result >= 0 && !regular
        }
        Keep::Closes => result >= 0 && !hidden.closes_unseen((process, fd)),
        Keep::FdCommands => {
            let command = event.u8(2).unwrap_or(0);
            // those of the event table
            result >= 0
                && (matches!(command, 1 | 26)
                    || command == 3 && hidden.fds.get(&(process, fd)) != Some(&Note::Hidden))
        }
    }
}

/// The fds that a call uses.
fn used_fds(event: &Event<'_>) -> Vec<i64> {
    let params = event.info.params.iter().enumerate().skip(1);
    let used = params.filter(|(_, param)| param.ty == ParamType::Fd);
    used.filter_map(|(at, _)| event.i64(at)).collect()
}

/// The fds that a call has made.
fn made_fds(event: &Event<'_>) -> Vec<i64> {
    let result = event.i64(0).unwrap_or(-1);
    match event.ty() {
        _ if result < 0 => Vec::new(),
        t::SYSCALL_PIPE_X | t::SYSCALL_PIPE2_X | t::SOCKET_SOCKETPAIR_X => {
            [1, 2].into_iter().filter_map(|at| event.i64(at)).collect()
        }
        t::SYSCALL_FCNTL_X if matches!(event.u8(2), Some(1 | 26)) => vec![result],
        _ if event.info.has(EventFlag::CreatesFd) => vec![result],
        _ => Vec::new(),
    }
}

/// What the kernel tells of an fd that a call uses: what file it is, or that it is none.
fn told(event: &Event<'_>, num: i64, file: Option<&Fd>) -> EventBuf {
    let none = Fd::default();
    let fd = file.unwrap_or(&none);
    let name = if file.is_some() { [&*fd.name, b"\0"].concat() } else { Vec::new() };
    let (num, ino) = ((num as i32).to_ne_bytes(), fd.ino.to_ne_bytes());
    if fd.kind == FdKind::Directory {
        let params: [&[u8]; 3] = [&num, &name, &ino];
        return EventBuf::new(event.ts, event.tid, event.cpu, t::ITER_TASK_FILE_DIRECTORY_E, &params)
            .unwrap();
    }
    let params: [&[u8]; 5] = [&num, &name, &fd.open_flags.to_ne_bytes(), &fd.mount_id.to_ne_bytes(), &ino];
    EventBuf::new(event.ts, event.tid, event.cpu, t::ITER_TASK_FILE_REGULAR_E, &params).unwrap()
}

/// Two watchers of one host: one is spared what the prefilter takes out.
struct Comparison<'e> {
    whole: Watcher<'e>,
    spared: Watcher<'e>,
    sieves: Sieves,
    hidden: Hidden,
    /// Events that mattered if they were made elsewhere: on the host, and in containers.
    spared_by_home: [u64; 2],
    /// Events that mattered if processes of another name made them.
    spared_by_name: u64,
}

impl<'e> Comparison<'e> {
    fn new(engine: &'e Engine) -> Comparison<'e> {
        let prefilter = prefilter::prefilter(engine, &BaseSyscalls::default(), &EventSet::all());
        Comparison {
            whole: Watcher::new(engine),
            spared: Watcher::new(engine),
            sieves: Sieves::new(&prefilter),
            hidden: Hidden::default(),
            spared_by_home: [0; 2],
            spared_by_name: 0,
        }
    }

    fn see(&mut self, event: &Event<'_>) {
        let matched = self.whole.see(event);
        let process = self.whole.machine.thread(event.tid).map_or(event.tid, |thread| thread.pid);
        let (num, mut class, ends) = socket_of(event, &self.whole.machine);
        if self.hidden.goes_between_ends(process, (num, class, ends)) {
            class = placed(class, event, ends, &self.sieves);
        }
        let socket = (num, class, ends);
        let thread = self.whole.machine.thread(event.tid);
        let name = thread.map_or_else(Vec::new, |thread| thread.comm.to_vec());
        let home = thread.map_or(Home::Unknown, |thread| match thread.container.is_empty() {
            true => Home::Host,
            false => Home::Container,
        });
        let matters = self.sieves.may_matter(event, socket.1, &name, home);
        if !matters && self.sieves.may_matter(event, socket.1, &name, Home::Unknown) {
            self.spared_by_home[usize::from(home == Home::Container)] += 1;
        }
        if !matters && self.sieves.may_matter(event, socket.1, b"other", home) {
            self.spared_by_name += 1;
        }
        assert!(matters || !matched, "{} at {} would be missed", event.info.symbol, event.ts);
        if self.sieves.births_once() && self.hidden.is_told_by_child(event) {
            assert!(!matched);
            self.hidden.spared += 1;
            return;
        }
        // the machine takes for a directory what was opened as one
        let opened = event.i64(0).and_then(|fd| self.whole.machine.fd(event.tid, fd));
        let regular = opened.is_some_and(|fd| fd.kind == FdKind::File);
        let keep = self.sieves.get(event.ty()).map_or(Keep::All, |sieve| sieve.keep);
        if !matters && !keeps(keep, event, process, regular, socket, &mut self.hidden) {
            self.hidden.spared += 1;
            return;
        }
        for fd in used_fds(event) {
            self.used(event, process, fd);
        }
        if BIRTHS.contains(&event.ty()) {
            self.inherited(event);
        }
        if event.ty() == t::SYSCALL_CLOSE_X {
            self.hidden.forget_socket((process, event.i64(1).unwrap_or(-1)));
        }
        for made in made_fds(event) {
            self.hidden.forget_socket((process, made));
            let copies = [t::SYSCALL_FCNTL_X, t::SYSCALL_DUP_1_X, t::SYSCALL_DUP2_X, t::SYSCALL_DUP3_X];
            let opened = event.info.is(Category::File) && event.ty() != t::SYSCALL_MEMFD_CREATE_X;
            let kind = self.whole.machine.fd(event.tid, made).map(|fd| fd.kind);
            self.hidden.fds.remove(&(process, made));
            if made > 2
                && (opened || copies.contains(&event.ty()))
                && matches!(kind, Some(FdKind::File | FdKind::Directory))
            {
                self.hidden.fds.insert((process, made), Note::Told);
            }
        }
        const TELL_ENDS: [EventType; 5] = [
            t::SOCKET_SEND_X,
            t::SOCKET_SENDTO_X,
            t::SOCKET_SENDMSG_X,
            t::SOCKET_ACCEPT_5_X,
            t::SOCKET_ACCEPT4_6_X,
        ];
        let (succeeded, is_udp) = (event.i64(0) >= Some(0), class.is_udp());
        if succeeded && is_udp && event.ty() == t::SOCKET_CONNECT_X {
            self.hidden.connected.insert((process, num), ends);
        } else if is_udp && !self.hidden.goes_between_ends(process, socket) {
            self.hidden.forget_socket((process, num));
        } else if TELL_ENDS.contains(&event.ty()) && (class.is_tcp() || is_udp) && succeeded {
            self.hidden.told.insert((process, num), ends);
        }
        self.spared.see(event);
    }

    /// Before a call that uses an fd, what it is, is told.
    fn used(&mut self, event: &Event<'_>, process: i64, fd: i64) {
        if self.hidden.fds.get(&(process, fd)) != Some(&Note::Hidden) {
            return;
        }
        let known = self.whole.machine.fd(event.tid, fd);
        // what a close has closed is no file any more, and what a call has just opened not what it used
        let opened = event.info.is(Category::File) && made_fds(event).contains(&fd);
        let other = event.ty() == t::SYSCALL_CLOSE_X || opened;
        let file = known.filter(|known| matches!(known.kind, FdKind::File | FdKind::Directory) && !other);
        self.spared.machine.apply(&told(event, fd, file).event().unwrap());
        self.hidden.fds.remove(&(process, fd));
        if file.is_some() && fd > 2 {
            self.hidden.fds.insert((process, fd), Note::Told);
        }
    }

    /// A child has its parent's fds, and what is hidden of them.
    fn inherited(&mut self, event: &Event<'_>) {
        let machine = &self.whole.machine;
        let Some(child) =
            machine.thread(event.tid).filter(|thread| event.i64(0) == Some(0) && thread.is_main())
        else {
            return;
        };
        let parent = machine.thread(child.ptid).map_or(child.ptid, |parent| parent.pid);
        let of_parent = self.hidden.fds.iter().filter(|((of, _), _)| *of == parent);
        let copies: Vec<_> = of_parent.map(|((_, fd), note)| ((child.pid, *fd), *note)).collect();
        self.hidden.fds.extend(copies);
    }

    /// How many alerts there were, and how many events were spared and how many of them were closes of what had been
    /// told.
    fn close(self, what: &str) -> (usize, u64, u64) {
        for (one, other) in self.whole.alerts.iter().zip(&self.spared.alerts) {
            assert_eq!(one, other, "{what}");
        }
        assert_eq!(self.whole.alerts.len(), self.spared.alerts.len(), "{what}");
        (self.whole.alerts.len(), self.hidden.spared, self.hidden.closes)
    }
}

fn engine(texts: &[SourceText]) -> Engine {
    ruleset::load(texts, &Config::default()).map_err(|error| error.to_string()).unwrap().engine
}

#[test]
fn captures_give_the_same_alerts() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/compat");
    if !shared.exists() {
        eprintln!("skipped: there is no {}", shared.display());
        return;
    }
    let read =
        |name: &str| SourceText::from_bytes(name, std::fs::read(shared.join("rules").join(name)).unwrap());
    let official = ["falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml"].map(read);
    let everything = SourceText::new(
        "all.yaml",
        "- rule: Any file\n  desc: d\n  condition: evt.type in (open, openat, fchmod, fcntl, dup, unlink) and fd.num > 1\n  \
         output: \"%evt.args %fd.name\"\n  priority: INFO\n",
    );
    let rule_sets = [
        engine(&official),
        engine(&ruleset::own_rules(&ruleset::catalog())),
        engine(&[everything]),
        engine(&[sockets::later_uses()]),
        engine(&[sockets::by_ends(&[
            "(fd.sport in (80, 53) or fd.cnet = 10.0.0.0/8)",
            "fd.snet in (\"127.0.0.0/8\", \"::1/128\") and fd.lport > 1024",
        ])]),
    ];
    let (mut alerts, mut spared) = (0, 0);
    for entry in std::fs::read_dir(shared.join("captures")).unwrap() {
        let path = entry.unwrap().path();
        // large ones take a test build too long
        if path.metadata().unwrap().len() > 3 << 20 {
            continue;
        }
        for engine in &rule_sets {
            let mut comparison = Comparison::new(engine);
            let mut reader = Reader::open(&path).unwrap();
            for watcher in [&mut comparison.whole, &mut comparison.spared] {
                records::give_to(reader.snapshot().clone(), &mut watcher.machine);
            }
            let mut seen = 0;
            // a capture may end in the middle of an event
            while let Ok(Some(event)) = reader.next() {
                comparison.see(&event);
                seen += 1;
                if seen > 60_000 {
                    break;
                }
            }
            let (a, s, _) = comparison.close(&path.display().to_string());
            (alerts, spared) = (alerts + a, spared + s);
        }
    }
    eprintln!("{alerts} alerts, {spared} events spared");
    assert!(alerts > 0 && spared > 0);
}
