//! What calls cost that are watched, counted in instructions: for that the machine must be one that counts them, QEMU
//! with `-icount shift=0`, whose time is the number of its instructions (`LANNER_COUNTS=1` in the environment says so).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
#![cfg(target_arch = "x86_64")]

mod support;

use std::time::{Duration, Instant};

use lanner_event::prefilter::{CREATES, Interest, Keep, PathTest, Prefilter, States, WRITES};
use lanner_event::types as t;
use lanner_probe::trial::Empty;
use lanner_probe::{CallPoint, Probe, ProbeOptions};
use support::call::Arg::{N, P};
use support::call::call;

const CALLS: u64 = 100;

/// Instructions of a hundred times the work that no interrupt came into; between the rounds something else is done.
fn fewest(rounds: usize, mut work: impl FnMut(), mut between: impl FnMut()) -> u64 {
    // SAFETY: reading the time stamp counter has no effect.
    let now = || unsafe { std::arch::x86_64::_rdtsc() };
    let rounds = (0..rounds).map(|_| {
        between();
        let begin = now();
        for _ in 0..CALLS {
            work();
        }
        now() - begin
    });
    rounds.min().unwrap()
}

fn getppid() {
    call(libc::SYS_getppid, &[]);
}

/// Instructions of a loop of calls that nobody asks for.
fn instructions() -> u64 {
    fewest(2000, getppid, || {})
}

/// Whether this machine counts; says so if not.
fn counts() -> bool {
    let counts = std::env::var("LANNER_COUNTS").is_ok();
    if !counts {
        println!("skipped: this machine does not count instructions");
    }
    counts
}

fn with(calls: CallPoint) -> Probe {
    let events = [t::SYSCALL_SETSID_X, t::SYSCALL_OPENAT_2_X].into_iter().collect();
    let mut probe = Probe::open(ProbeOptions { events, calls, ..ProbeOptions::default() }).unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while calls == CallPoint::Fexit && is_on_its_way(&probe) && Instant::now() < end {
        probe.poll(Duration::from_millis(50), &mut |_| {}).unwrap();
    }
    probe
}

fn is_on_its_way(probe: &Probe) -> bool {
    let attachment = probe.attachment();
    attachment.no_fexit.is_none() && attachment.points.iter().any(|point| point.contains("sys_exit"))
}

#[test]
fn at_functions_other_calls_cost_not_one_instruction() {
    if !counts() {
        return;
    }
    let bare = instructions();
    // less than one a call
    let as_bare = |counted: u64| bare.abs_diff(counted) < CALLS;
    assert!(as_bare(instructions()), "instructions are not counted here");
    let probe = with(CallPoint::SysExit);
    let everywhere = instructions();
    drop(probe);
    let probe = with(CallPoint::Fexit);
    if let Some(why) = &probe.attachment().no_fexit {
        println!("skipped: {why}");
        return;
    }
    let at_functions = instructions();
    println!("100 calls: {bare} instructions, at functions {at_functions}, at sys_exit {everywhere}");
    assert!(as_bare(at_functions));
    assert!(everywhere > bare + CALLS);
}

/// A file that some rule asks for, and one that none does.
const ASKED: &str = "/tmp/lanner-cost-asked\0";
const PLAIN: &str = "/tmp/lanner-cost-plain\0";

fn open_and_close(path: &str) {
    let fd = call(libc::SYS_openat, &[N(libc::AT_FDCWD.into()), P(path.as_bytes()), N(0), N(0)]);
    assert!(fd >= 0 && call(libc::SYS_close, &[N(fd)]) == 0);
}

/// What rules like the default ones ask of opened files: some by name, what is written by its beginning, its end and
/// what its name has in it.
fn asked() -> Prefilter {
    let bytes = |text: &str| text.trim_end_matches('\0').as_bytes().to_vec();
    let exact = ["/etc/shadow", "/etc/sudoers", "/etc/pam.conf", ASKED];
    let written = States::with(WRITES | CREATES);
    let tests = exact.iter().map(|path| (PathTest::Exact(bytes(path).into()), States::ALL));
    let starts = ["/usr/bin/", "/etc/ssh/", "/root/.ssh/", "/var/spool/cron/crontabs/"];
    let starts = starts.iter().filter_map(|start| Some((PathTest::prefix(start.as_bytes())?, written)));
    let ends = [".bashrc", ".profile", "_history", "release_agent"];
    let ends = ends.iter().filter_map(|end| Some((PathTest::suffix(end.as_bytes())?, States::ALL)));
    let parts = [".ssh", ".aws/credentials"];
    let parts = parts.iter().filter_map(|part| Some((PathTest::holds(part.as_bytes())?, States::ALL)));
    let paths = tests.chain(starts).chain(ends).chain(parts).collect();
    let opens = Interest { whatever: States::NONE, paths };
    let mut prefilter = Prefilter::default();
    prefilter.types.insert(t::SYSCALL_OPENAT_2_X, (opens, Keep::Opens));
    prefilter.types.insert(t::SYSCALL_CLOSE_X, (Interest::default(), Keep::Closes));
    prefilter
}

/// More instructions than the kernel needs for a record of a call's end.
const RECORD: u64 = 250;

/// Instructions that each of a hundred calls needs beyond those of the bare ones.
fn added(watched: u64, bare: u64) -> u64 {
    (watched - bare) / CALLS
}

#[test]
fn opened_files_cost_few_instructions() {
    if !counts() {
        return;
    }
    for path in [ASKED, PLAIN] {
        std::fs::write(path.trim_end_matches('\0'), "").unwrap();
    }
    const ROUNDS: usize = 300;
    let pair = |path| fewest(ROUNDS, || open_and_close(path), || {});
    let (call, file) = (instructions(), pair(PLAIN));
    let empty = Empty::attach().unwrap();
    let least = added(instructions(), call);
    drop(empty);

    let events = [t::SYSCALL_SETSID_X, t::SYSCALL_OPENAT_2_X, t::SYSCALL_CLOSE_X].into_iter().collect();
    let options = ProbeOptions {
        events,
        calls: CallPoint::SysExit,
        copies: false,
        include_self: true,
        ..Default::default()
    };
    let mut probe = Probe::open(options).unwrap();
    if probe.attachment().no_notes.is_some() {
        eprintln!("skipped: here every opened file is told");
        return;
    }
    probe.update_prefilter(&asked());
    let mut read = |told: &mut usize| {
        *told += probe.poll(Duration::from_millis(1), &mut |_| {}).unwrap();
    };
    // what this process did in between
    read(&mut 0);
    let other = added(instructions(), call);
    let plain = added(pair(PLAIN), file);
    let mut told = 0;
    read(&mut told);
    assert_eq!(told, 0, "of a file that nobody asks for nothing is told");
    let asked = added(fewest(ROUNDS, || open_and_close(ASKED), || read(&mut told)), file);
    println!(
        "E {least}, getppid {other}, open+close that nobody asks for {plain}, that a rule asks for {asked}"
    );
    // of the last rounds some have not been read
    assert!(told >= CALLS as usize * (ROUNDS - 2), "{told}");
    // a record is written before the program is called
    let recorded = probe.attachment().points.iter().any(|point| point.starts_with("tracepoint/"));
    let least = least + if recorded { RECORD } else { 0 };
    assert!(least > 0 && other < least + 50, "getppid {other}, E {least}");
    // before 6.2 programs can't follow the kernel's pointers by loads
    let (most, most_asked) = if probe.attachment().reads_by_page_tables { (900, 3500) } else { (1800, 5500) };
    assert!(plain < 2 * least + most, "open+close that nobody asks for {plain}, E {least}");
    assert!(asked < 2 * least + most_asked, "open+close that a rule asks for {asked}, E {least}");
}
