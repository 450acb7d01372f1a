//! What is left out of the opening and closing of files leaves nobody with a wrong name: processes do by chance what
//! can be done with fds, and before each call that uses one the state has to know what it really is, or not at all.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use lanner_event::prefilter::{Interest, Keep, PathTest, Places, Prefilter, States};
use lanner_event::{Direction, EVENTS, Event, EventFlag, EventType, types as t};
use lanner_machine::{FdKind, Machine, MachineOptions};
use support::call::{Arg::N, Arg::P, call, gettid};

const STEPS: usize = 300;
/// Fds that are kept for the test's own purposes: the two ends of a socket, and the acting process itself.
const SENDER: i64 = 900;
const RECEIVER: i64 = 901;
const SELF: i64 = 902;
/// Files of each sort.
const FILES: usize = 4;
/// The fds that are used begin with one of these: some of the second are beyond those whose notes are at hand first.
const LOWEST: [i64; 2] = [3, 59];
/// And are so many.
const USED: i64 = 10;

/// Numbers that look like chance.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// A process that acts.
struct Actor {
    dir: PathBuf,
    dice: Dice,
    /// The lowest fd that it uses.
    lowest: i64,
    steps: usize,
    /// What the fds really were that were used, a line each.
    truth: String,
    /// New processes and programs that it may still make.
    children: usize,
    programs: usize,
    /// Whether it may leave its table of fds: no other process has it.
    leaves: bool,
}

impl Actor {
    fn act(&mut self) {
        while self.steps > 0 {
            self.steps -= 1;
            match self.dice.roll(40) {
                30 if self.children > 0 => self.fork(0),
                31 if self.children > 0 => self.fork(libc::CLONE_FILES),
                32 if self.programs > 0 => self.begin_anew(),
                33 if self.leaves && self.dice.roll(6) == 0 => self.leave(),
                step => self.step(step),
            }
        }
        self.tell();
    }

    /// An fd that may be open.
    fn fd(&mut self) -> i64 {
        self.lowest + self.dice.roll(USED as usize) as i64
    }

    fn step(&mut self, step: usize) {
        let (one, other) = (self.fd(), self.fd());
        match step {
            0..=4 => self.open("asked", libc::O_RDONLY),
            5..=9 => self.open("plain", libc::O_RDONLY),
            10 => drop(self.open_path(&self.dir.clone(), libc::O_RDONLY | libc::O_DIRECTORY)),
            11 => drop(call(libc::SYS_socket, &[N(libc::AF_UNIX.into()), N(libc::SOCK_STREAM.into()), N(0)])),
            12 => drop(call(libc::SYS_pipe2, &[P(&[0; 8]), N(libc::O_CLOEXEC.into())])),
            13 => drop(call(libc::SYS_memfd_create, &[P(b"memory\0"), N(0)])),
            14 => drop(call(libc::SYS_dup3, &[N(one), N(other), N(0)])),
            15 => drop(call(libc::SYS_fcntl, &[N(one), N(libc::F_DUPFD.into()), N(self.lowest)])),
            16 => drop(call(libc::SYS_fcntl, &[N(one), N(libc::F_SETFD.into()), N(libc::FD_CLOEXEC.into())])),
            17 => drop(call(libc::SYS_close_range, &[N(one), N(one + 1), N(0)])),
            18 => drop(call(libc::SYS_pidfd_getfd, &[N(SELF), N(one), N(0)])),
            19 => receive(one),
            20 => receive_other(),
            21..=28 => drop(call(libc::SYS_close, &[N(one)])),
            _ => self.use_fd(one),
        }
    }

    fn open(&mut self, sort: &str, flags: i32) {
        let path = self.dir.join(format!("{sort}-{}", self.dice.roll(FILES)));
        let cloexec = if self.dice.roll(3) == 0 { libc::O_CLOEXEC } else { 0 };
        self.open_path(&path, flags | cloexec);
    }

    fn open_path(&self, path: &Path, flags: i32) -> i64 {
        let path = [path.as_os_str().as_encoded_bytes(), b"\0"].concat();
        call(libc::SYS_openat, &[N(libc::AT_FDCWD.into()), P(&path), N(flags.into()), N(0)])
    }

    /// Uses an fd in a call that is always told, and notes what it is.
    fn use_fd(&mut self, fd: i64) {
        let link = PathBuf::from(format!("/proc/thread-self/fd/{fd}"));
        let what = std::fs::metadata(&link).map_or('-', |file| match file.file_type() {
            sort if sort.is_file() => 'f',
            sort if sort.is_dir() => 'd',
            sort if sort.is_socket() => 's',
            sort if sort.is_fifo() => 'p',
            _ => '?',
        });
        let name = std::fs::read_link(&link).unwrap_or_default();
        call(libc::SYS_flock, &[N(fd), N(libc::LOCK_UN.into())]);
        writeln!(self.truth, "{} {fd} {what} {}", gettid(), name.display()).unwrap();
    }

    /// A child goes on while this process waits; with its table of fds, or this very one.
    fn fork(&mut self, flags: i32) {
        self.children -= 1;
        self.steps /= 2;
        self.leaves &= flags == 0;
        let child = call(libc::SYS_clone, &[N(i64::from(flags | libc::SIGCHLD)), N(0), N(0), N(0), N(0)]);
        if child == 0 {
            self.truth.clear();
            // what it has from its parent, before that changes
            if self.dice.roll(2) == 0 {
                (self.lowest..self.lowest + USED).for_each(|fd| self.use_fd(fd));
            }
            self.act();
            call(libc::SYS_exit_group, &[N(0)]);
        }
        call(libc::SYS_wait4, &[N(child), N(0), N(0), N(0)]);
    }

    /// The thread leaves the table of its process.
    fn leave(&mut self) {
        self.programs = 0;
        call(libc::SYS_unshare, &[N(libc::CLONE_FILES.into())]);
    }

    /// The same program from its beginning, with the fds that it has.
    fn begin_anew(&mut self) {
        self.programs -= 1;
        self.tell();
        let error = actor(&self.dir, self.dice.0, self.lowest, self.steps, self.programs).exec();
        panic!("{error}");
    }

    /// Leaves what it has noted behind.
    fn tell(&mut self) {
        let place = self.dir.join(format!("truth-{}-{}", gettid(), self.steps));
        std::fs::write(place, &self.truth).unwrap();
        self.truth.clear();
    }
}

/// This test's program as an actor.
fn actor(dir: &Path, seed: u64, lowest: i64, steps: usize, programs: usize) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "act", "--nocapture"]);
    command.env("LANNER_ACT", format!("{} {seed} {lowest} {steps} {programs}", dir.display()));
    command
}

/// Sends or receives a message that is a byte and an fd.
fn exchange(number: libc::c_long, socket: i64, fd: u32) -> i64 {
    let byte = [1u8];
    let part = [byte.as_ptr() as u64, 1];
    let control = [20, (libc::SCM_RIGHTS as u64) << 32 | libc::SOL_SOCKET as u64, u64::from(fd)];
    let header = [0, 0, part.as_ptr() as u64, 1, control.as_ptr() as u64, size_of_val(&control) as u64, 0];
    let header: Vec<u8> = header.iter().flat_map(|word| word.to_ne_bytes()).collect();
    call(number, &[N(socket), P(&header), N(0)])
}

/// Sends a copy of an fd to itself.
fn receive(fd: i64) {
    if exchange(libc::SYS_sendmsg, SENDER, fd as u32) >= 0 {
        exchange(libc::SYS_recvmsg, RECEIVER, 0);
    }
}

/// Sends itself a socket of which nobody knows.
fn receive_other() {
    receive(SENDER);
}

#[test]
fn act() {
    let Ok(asked) = std::env::var("LANNER_ACT") else { return };
    let mut words = asked.split(' ');
    let dir = PathBuf::from(words.next().unwrap());
    let mut number = || words.next().unwrap().parse::<u64>().unwrap();
    let (dice, lowest) = (Dice(number()), number() as i64);
    let (steps, programs) = (number() as usize, number() as usize);
    if call(libc::SYS_fcntl, &[N(SENDER), N(libc::F_GETFD.into())]) < 0 {
        // of what the test had open, the state doesn't know whether a new program closes it
        call(libc::SYS_close_range, &[N(3), N(SELF), N(0)]);
        let pair = [0u8; 8];
        call(libc::SYS_socketpair, &[N(libc::AF_UNIX.into()), N(libc::SOCK_DGRAM.into()), N(0), P(&pair)]);
        let end = |at: usize| i64::from(i32::from_ne_bytes(pair[at..at + 4].try_into().unwrap()));
        for (from, to) in [(end(0), SENDER), (end(4), RECEIVER)] {
            call(libc::SYS_dup3, &[N(from), N(to), N(0)]);
            call(libc::SYS_close, &[N(from)]);
        }
        for fd in 3..lowest {
            call(libc::SYS_dup3, &[N(SENDER), N(fd), N(0)]);
        }
    }
    let own = call(libc::SYS_pidfd_open, &[N(std::process::id().into()), N(0)]);
    call(libc::SYS_dup3, &[N(own), N(SELF), N(0)]);
    call(libc::SYS_close, &[N(own)]);
    Actor { dir, dice, lowest, steps, truth: String::new(), children: 3, programs, leaves: true }.act();
    // what the test's frame would do next tells nothing
    call(libc::SYS_exit_group, &[N(0)]);
}

/// What the state needs, and one call that uses an fd.
fn watched() -> Vec<EventType> {
    let current = EVENTS.iter().filter(|info| {
        info.direction == Direction::Exit && !info.has(EventFlag::OldVersion) && !info.has(EventFlag::Unused)
    });
    let state = current.filter(|info| info.has(EventFlag::ModifiesState)).map(|info| info.code);
    state
        .chain([t::SYSCALL_UNSHARE_X, t::SYSCALL_FLOCK_X, t::PROCEXIT_1_E, t::SYSCALL_MUNLOCKALL_X])
        .collect()
}

/// A prefilter as for rules that ask for some files.
fn prefilter(dir: &Path) -> Prefilter {
    let asked = |file| dir.join(format!("asked-{file}")).into_os_string().into_encoded_bytes();
    let paths = (0..FILES).map(|file| (PathTest::Exact(asked(file).into()), States::ALL)).collect();
    let mut prefilter = Prefilter::default();
    for ty in watched() {
        let keep = lanner_machine::keep(ty);
        if keep == Keep::All || ty.info().and_then(Places::of).is_none() {
            continue;
        }
        let paths = if keep == Keep::Opens { Clone::clone(&paths) } else { BTreeMap::new() };
        prefilter.types.insert(ty, (Interest { whatever: States::NONE, paths }, keep));
    }
    prefilter
}

/// What the state takes an fd for.
type Known = Option<(FdKind, String)>;

/// What the state knew of an fd.
#[derive(PartialEq, Debug)]
enum Verdict {
    Right,
    /// Nothing: as of a file that came in a message.
    Unknown,
    Wrong,
}

/// What an fd really was, held against what the state knew.
fn judged(what: &str, name: &str, known: &Known) -> Verdict {
    let Some((kind, known)) = known else {
        return if what == "-" { Verdict::Right } else { Verdict::Unknown };
    };
    let right = match (what, kind) {
        ("f", FdKind::Memfd) => name.contains("memfd:"),
        ("f", FdKind::File) => known == name || name.contains("memfd:") && known.contains("memfd:"),
        ("d", FdKind::Directory) => known == name,
        ("s", FdKind::Unix) | ("p", FdKind::Fifo) | ("?", _) => true,
        _ => false,
    };
    if right { Verdict::Right } else { Verdict::Wrong }
}

#[test]
fn what_is_used_is_known_for_what_it_is() {
    let types = watched();
    let Some(mut watch) = support::watch(&types) else { return };
    if watch.probe.attachment().no_notes.is_some() {
        eprintln!("skipped: here every opened file is told");
        return;
    }
    let mut machine = Machine::new(MachineOptions { closes_left_out: true, ..MachineOptions::default() });
    watch
        .probe
        .snapshot(&mut |event| {
            machine.apply(event);
        })
        .unwrap();
    let dir = PathBuf::from(format!("/tmp/lanner-left-out-{}", std::process::id()));
    std::fs::create_dir(&dir).unwrap();
    for sort in ["asked", "plain"] {
        (0..FILES).for_each(|file| std::fs::write(dir.join(format!("{sort}-{file}")), "").unwrap());
    }
    watch.probe.update_prefilter(&prefilter(&dir));
    let (mut used, mut lines, mut closes) = (BTreeMap::<i64, Vec<Known>>::new(), Vec::new(), 0);
    for seed in 0..25 {
        let lowest = LOWEST[seed as usize % LOWEST.len()];
        let mut child =
            actor(&dir, seed, lowest, STEPS, 2).stdout(std::process::Stdio::null()).spawn().unwrap();
        let own = gettid();
        let (mut ended, end) = (false, Instant::now() + Duration::from_secs(20));
        let mut see = |event: &Event<'_>| {
            machine.apply(event);
            let fd = |at| event.i64(at).unwrap_or(-1);
            match event.ty() {
                t::SYSCALL_FLOCK_X => {
                    let known = machine.fd(event.tid, fd(1));
                    let known = known.map(|fd| (fd.kind, String::from_utf8_lossy(&fd.name).into_owned()));
                    used.entry(event.tid).or_default().push(known);
                }
                t::SYSCALL_CLOSE_X => closes += 1,
                t::SYSCALL_MUNLOCKALL_X if event.tid == own => ended = true,
                _ => {}
            }
            ended
        };
        while child.try_wait().unwrap().is_none() && Instant::now() < end {
            watch
                .probe
                .poll(Duration::from_millis(5), &mut |event| {
                    see(event);
                })
                .unwrap();
        }
        assert!(child.wait().unwrap().success());
        call(libc::SYS_munlockall, &[]);
        let mut over = false;
        while !over && Instant::now() < end {
            watch.probe.poll(Duration::from_millis(5), &mut |event| over |= see(event)).unwrap();
        }
        let mut files: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|file| file.unwrap().path()).collect();
        files.retain(|file| file.file_name().unwrap().as_encoded_bytes().starts_with(b"truth"));
        // of what one thread has left, the earliest first: that with the most steps still to do
        let left = |file: &PathBuf| {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            std::cmp::Reverse(name.rsplit('-').next().unwrap().parse::<usize>().unwrap())
        };
        files.sort_by_key(left);
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            lines.extend(text.lines().map(|line| format!("{seed}: {line}")));
            std::fs::remove_file(file).unwrap();
        }
    }
    std::fs::remove_dir_all(&dir).unwrap();
    assert_eq!(watch.probe.lost().total(), 0);
    let (mut wrong, mut unknown) = (Vec::new(), 0);
    for line in &lines {
        let words: Vec<&str> = line.splitn(5, ' ').collect();
        let used = used.get_mut(&words[1].parse().unwrap()).unwrap();
        assert!(!used.is_empty(), "{line}: untold");
        let known = used.remove(0);
        match judged(words[3], words[4], &known) {
            Verdict::Right => {}
            Verdict::Unknown => unknown += 1,
            Verdict::Wrong => wrong.push(format!("{line}: taken for {known:?}")),
        }
    }
    println!("{} uses, of unknown fds {unknown}; {closes} closes told", lines.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), lines.len(), wrong.join("\n"));
    assert!(lines.len() > 500 && unknown * 10 < lines.len(), "{} uses, {unknown} unknown", lines.len());
}
