//! Names at odd places of the caller's memory: each must be read as it is, by whatever way the probe takes.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use lanner_event::prefilter::{Interest, READS, States};
use lanner_event::types as t;

use super::support::Watch;
use super::support::call::{Arg::N, Arg::P, call};
use super::{close, exact, prefilter, told};

const PAGE: i64 = 4096;
const HUGE: i64 = 2 << 20;
const MATTERS: &str = "/etc/passwd";
const OTHER: &str = "/etc/hostname";

/// Memory of the kernel's choice, which is given back at the end.
struct Memory {
    at: i64,
    len: i64,
}

impl Memory {
    fn new(len: i64, flags: i32, fd: i64) -> Memory {
        let protection = N((libc::PROT_READ | libc::PROT_WRITE).into());
        let at = call(libc::SYS_mmap, &[N(0), N(len), protection, N(flags.into()), N(fd), N(0)]);
        assert!(at > 0, "mmap: {at}");
        Memory { at, len }
    }

    fn anonymous(len: i64) -> Memory {
        Memory::new(len, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)
    }

    /// Writes a name, which may lie over the end of a page. The kernel writes it, from a pipe.
    fn write(&self, at: i64, name: &str) -> i64 {
        let mut ends = [0u8; 8];
        assert_eq!(call(libc::SYS_pipe2, &[P(&ends), N(0)]), 0);
        let [read, write] = [0, 4].map(|i| i64::from(i32::from_ne_bytes(ends[i..i + 4].try_into().unwrap())));
        let text = [name.as_bytes(), b"\0"].concat();
        let len = i64::try_from(text.len()).unwrap();
        assert_eq!(call(libc::SYS_write, &[N(write), P(&text), N(len)]), len);
        assert_eq!(call(libc::SYS_read, &[N(read), N(self.at + at), N(len)]), len);
        close(read);
        close(write);
        ends.fill(0);
        self.at + at
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        call(libc::SYS_munmap, &[N(self.at), N(self.len)]);
    }
}

fn open_at(name: i64) -> i64 {
    call(libc::SYS_openat, &[N(libc::AT_FDCWD.into()), N(name), N(libc::O_RDONLY.into()), N(0)])
}

fn watch() -> Option<Watch> {
    let mut watch = super::watch(&[t::SYSCALL_OPENAT_2_X, t::SYSCALL_CLOSE_X, t::SYSCALL_MUNLOCKALL_X])?;
    eprintln!("by page tables: {}", watch.probe.attachment().reads_by_page_tables);
    set(&mut watch, MATTERS);
    Some(watch)
}

/// Lets one name matter.
fn set(watch: &mut Watch, name: &str) {
    let interest = Interest { whatever: States::NONE, paths: [(exact(name), States::with(READS))].into() };
    watch.probe.update_prefilter(&prefilter(interest));
    told(watch);
}

/// The names of the opened files that were told.
fn names(watch: &mut Watch) -> Vec<String> {
    let events = told(watch);
    let opens = events.iter().map(|e| e.event().unwrap()).filter(|event| event.ty() == t::SYSCALL_OPENAT_2_X);
    opens.map(|event| super::text(&event, "name").unwrap_or_default()).collect()
}

/// Opens both names once at each distance from the end of a page.
fn around_the_end_of_a_page(memory: &Memory, page: i64) -> usize {
    let distances = 0..MATTERS.len() as i64 + 12;
    let count = distances.clone().count();
    for distance in distances {
        for name in [MATTERS, OTHER] {
            let fd = open_at(memory.write(page + PAGE - distance, name));
            assert!(fd >= 0, "{name} {distance} bytes before the end of a page: {fd}");
            close(fd);
        }
    }
    count
}

#[test]
fn names_in_every_kind_of_memory() {
    let Some(mut watch) = watch() else { return };
    let anonymous = Memory::anonymous(4 * PAGE);
    let shared = Memory::new(4 * PAGE, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1);
    let huge = Memory::anonymous(2 * HUGE);
    call(libc::SYS_madvise, &[N(huge.at), N(huge.len), N(libc::MADV_HUGEPAGE.into())]);
    let within_huge = (huge.at / HUGE + 1) * HUGE - huge.at;
    for (what, memory, page) in
        [("private", &anonymous, PAGE), ("shared", &shared, PAGE), ("huge", &huge, within_huge)]
    {
        let count = around_the_end_of_a_page(memory, page);
        assert_eq!(names(&mut watch), vec![MATTERS; count], "{what}");
    }
}

#[test]
fn names_in_memory_that_the_kernel_itself_has_not_mapped() {
    let Some(mut watch) = watch() else { return };
    let file = call(libc::SYS_memfd_secret, &[N(0)]);
    if file < 0 {
        eprintln!("skipped: this kernel gives no secret memory: error {}", -file);
        return;
    }
    assert_eq!(call(libc::SYS_ftruncate, &[N(file), N(4 * PAGE)]), 0);
    let secret = Memory::new(4 * PAGE, libc::MAP_SHARED, file);
    close(file);
    told(&mut watch);
    let count = around_the_end_of_a_page(&secret, PAGE);
    // whatever can't be read is told
    assert!(names(&mut watch).iter().filter(|name| *name == MATTERS).count() == count);
}

#[test]
fn names_as_long_as_are_looked_at_and_longer() {
    let Some(mut watch) = watch() else { return };
    let memory = Memory::anonymous(4 * PAGE);
    for len in [1, 2, 7, 8, 9, 63, 64, 65, 200, 252, 253, 254, 255, 256, 300] {
        // no name of a file may be longer than 255 bytes
        let name: String =
            "/nowhere/x".chars().chain(std::iter::repeat('x')).take(len - 1).collect::<String>() + "y";
        let other = format!("{}z", &name[..len - 1]);
        set(&mut watch, &name);
        for name in [&name, &other] {
            let fd = open_at(memory.write(PAGE, name));
            assert!(fd < 0, "{name}");
        }
        let told = names(&mut watch);
        let looked_at = len <= 255 && name.starts_with('/');
        assert_eq!(told.len(), if looked_at { 1 } else { 2 }, "{len} bytes: {told:?}");
        assert!(told.contains(&name), "{len} bytes");
    }
}

/// What was decided of one is remembered for none that begins like it, is shorter or longer.
#[test]
fn names_that_were_seen_before_are_told_apart() {
    let Some(mut watch) = watch() else { return };
    let memory = Memory::anonymous(4 * PAGE);
    for len in 11..=66 {
        let name = format!("/nowhere/{}y", "x".repeat(len - 10));
        let begins = &name[..len - 1];
        let others = [begins.to_string(), format!("{begins}z"), format!("{name}y")];
        set(&mut watch, &name);
        for _ in 0..3 {
            for each in others.iter().chain([&name]) {
                assert!(open_at(memory.write(PAGE, each)) < 0, "{each}");
            }
        }
        assert_eq!(names(&mut watch), [&*name; 3], "{len} bytes");
    }
}

/// Some of so many are remembered in the place of the one that matters.
#[test]
fn one_of_a_thousand_names_is_told() {
    let Some(mut watch) = watch() else { return };
    let memory = Memory::anonymous(4 * PAGE);
    let name = |last: &str| format!("/nowhere/xxxxxxx{last}");
    let asked = name("abcd");
    set(&mut watch, &asked);
    for number in 0..1000 {
        let other = name(&format!("{number:04}"));
        for each in [&other, &other, &asked] {
            assert!(open_at(memory.write(PAGE, each)) < 0, "{each}");
        }
    }
    let told = names(&mut watch);
    assert!(told.iter().all(|name| *name == asked));
    assert_eq!(told.len(), 1000);
}

#[test]
fn names_whose_pages_are_moved() {
    const COLLAPSE: i64 = 25; // MADV_COLLAPSE, since 6.1
    let Some(mut watch) = watch() else { return };
    let memory = Memory::anonymous(2 * HUGE);
    let huge = (memory.at / HUGE + 1) * HUGE;
    let name = memory.write(huge - memory.at + 5 * PAGE + 100, MATTERS);
    let (over, moves) = (AtomicBool::new(false), AtomicI64::new(0));
    let opens = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let moved = call(libc::SYS_madvise, &[N(huge), N(HUGE), N(COLLAPSE)]);
                // another protection splits it again
                for protection in [libc::PROT_READ, libc::PROT_READ | libc::PROT_WRITE] {
                    call(libc::SYS_mprotect, &[N(huge), N(PAGE), N(protection.into())]);
                }
                moves.fetch_add(i64::from(moved == 0), Ordering::Relaxed);
            }
        });
        let mut opens = 0;
        while opens < 2000 || (moves.load(Ordering::Relaxed) < 50 && opens < 20_000) {
            close(open_at(name));
            opens += 1;
        }
        over.store(true, Ordering::Relaxed);
        opens
    });
    if moves.load(Ordering::Relaxed) < 50 {
        eprintln!("skipped: this kernel moves no pages when it is asked to");
        return;
    }
    // what can't be read while it is moved is told without a name
    let told = names(&mut watch);
    assert_eq!(told.len(), opens);
    assert!(told.iter().all(|name| name.is_empty() || name == MATTERS), "{told:?}");
}
