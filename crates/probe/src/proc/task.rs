//! A thread as `/proc` shows it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use lanner_event::{EventBuf, THREAD_HAS_ENDED, types};

use super::{event, link, text};

/// Most bytes of arguments and of environment, as on the BPF side.
const TEXT_MAX: usize = 4096;
const PF_EXITING: u64 = 4;
const PF_KTHREAD: u64 = 0x20_0000;
/// Clock ticks that `/proc` counts in: 100 a second on every architecture that Linux runs on today.
const TICK: u64 = 10_000_000;
/// The subsystems that events list.
const SUBSYSTEMS: [&str; 5] = ["cpuset", "cpu", "cpuacct", "io", "memory"];
const EXE_FROM_MEMFD: u32 = 4;

/// The numbers behind the name in `stat`; the first is the state, which is none.
struct Stat(Vec<u64>);

impl Stat {
    fn parse(stat: &str) -> Option<Stat> {
        let (_, rest) = stat.rsplit_once(')')?;
        Some(Stat(rest.split_whitespace().map(|w| w.parse::<i64>().map_or(0, |n| n as u64)).collect()))
    }

    /// A field by its number in proc(5).
    fn field(&self, number: usize) -> u64 {
        self.0.get(number - 3).copied().unwrap_or(0)
    }
}

/// The name in `stat`, which may hold parentheses itself.
fn comm_of(stat: &[u8]) -> &[u8] {
    let begin = stat.iter().position(|&b| b == b'(').map_or(0, |at| at + 1);
    let end = stat.iter().rposition(|&b| b == b')').unwrap_or(0);
    stat.get(begin..end).unwrap_or_default()
}

/// The word number `index` of a line of `status`.
fn status_word<'a>(status: &'a str, name: &str, index: usize) -> Option<&'a str> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().nth(index)
}

/// The id in the innermost pid namespace.
fn inner(status: &str, name: &str) -> u32 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|l| l.split_whitespace().last()).and_then(|w| w.parse().ok()).unwrap_or(0)
}

fn kilobytes(status: &str, name: &str) -> u32 {
    status_word(status, name, 0).and_then(|w| w.parse().ok()).unwrap_or(0)
}

fn caps(status: &str, name: &str) -> u64 {
    status_word(status, name, 0).and_then(|w| u64::from_str_radix(w, 16).ok()).unwrap_or(0)
}

/// Texts with their NULs, cut as the BPF side cuts them.
fn list(path: &Path) -> Vec<u8> {
    let mut bytes = fs::read(path).unwrap_or_default();
    bytes.truncate(TEXT_MAX);
    if let Some(last) = bytes.last_mut() {
        *last = 0;
    }
    bytes
}

/// `subsystem=path` and NUL for each subsystem, from the text of `cgroup`.
fn cgroups(listed: &str) -> Vec<u8> {
    let lines: Vec<(&str, &str)> = listed
        .lines()
        .filter_map(|line| line.split_once(':').and_then(|(_, rest)| rest.split_once(':')))
        .collect();
    let unified = lines.iter().find(|(names, _)| names.is_empty()).map(|(_, path)| *path);
    let mut out = Vec::new();
    for subsystem in SUBSYSTEMS {
        let is_it = |name: &str| name == subsystem || (name == "blkio" && subsystem == "io");
        let own = lines.iter().find(|(names, _)| names.split(',').any(is_it)).map(|(_, path)| *path);
        // the unified hierarchy has no cpuacct of its own
        let path = own.or(unified.filter(|_| subsystem != "cpuacct"));
        if let Some(path) = path {
            out.extend(format!("{subsystem}={path}\0").bytes());
        }
    }
    out
}

/// The limit of open files, from the text of `limits`.
fn fd_limit(limits: &str) -> u64 {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    match line.and_then(|l| l.split_whitespace().next()) {
        Some("unlimited") => u64::MAX,
        Some(number) => number.parse().unwrap_or(0),
        None => 0,
    }
}

fn nanoseconds(seconds: i64, rest: i64) -> u64 {
    u64::try_from(seconds).map_or(0, |s| s * 1_000_000_000 + rest as u64)
}

/// Reads a thread's directory; `None` for a kernel thread, for one that is gone, and for one that has ended, unless it is
/// its process' first and others live.
pub fn read(home: &Path, pid: u32, tid: u32, boot_time: u64) -> Option<EventBuf> {
    let string = |name| fs::read_to_string(home.join(name)).unwrap_or_default();
    let raw_stat = fs::read(home.join("stat")).ok()?;
    let stat = Stat::parse(&String::from_utf8_lossy(&raw_stat))?;
    if stat.field(9) & PF_KTHREAD != 0 {
        return None;
    }
    let ended = stat.field(9) & PF_EXITING != 0;
    if ended && (pid != tid || stat.field(20) <= 1) {
        return None;
    }
    let status = string("status");
    let exe = home.join("exe");
    let exe_path = link(&exe);
    let exe_path = exe_path.strip_suffix(b" (deleted)").unwrap_or(&exe_path);
    let flags = if exe_path.starts_with(b"/memfd:") { EXE_FROM_MEMFD } else { 0 };
    let file = fs::metadata(&exe).ok();
    let login = string("loginuid").trim().parse().unwrap_or(u32::MAX);
    let id =
        |name: &str| status_word(&status, name, 1).and_then(|w| w.parse::<u32>().ok()).unwrap_or(u32::MAX);
    let word = |n: u32| n.to_ne_bytes().to_vec();
    let long = |n: u64| n.to_ne_bytes().to_vec();
    let field = |number| (stat.field(number) as u32).to_ne_bytes().to_vec();
    let comm = comm_of(&raw_stat);
    let mut params = vec![
        field(4),
        field(5),
        word(inner(&status, "NSpgid")),
        field(6),
        text(comm),
        list(&home.join("cmdline")),
        text(exe_path),
        word(flags),
        list(&home.join("environ")),
        text(&link(&home.join("cwd"))),
        long(fd_limit(&string("limits"))),
        word(id("Uid")),
        word(id("Gid")),
        long(caps(&status, "CapPrm")),
        long(caps(&status, "CapEff")),
        long(caps(&status, "CapInh")),
        long(file.as_ref().map_or(0, |f| f.ino())),
        long(file.as_ref().map_or(0, |f| nanoseconds(f.ctime(), f.ctime_nsec()))),
        long(file.as_ref().map_or(0, |f| nanoseconds(f.mtime(), f.mtime_nsec()))),
        word(kilobytes(&status, "VmSize")),
        word(kilobytes(&status, "VmRSS")),
        word(kilobytes(&status, "VmSwap")),
        field_long(&stat, 12),
        field_long(&stat, 10),
        word(inner(&status, "NStgid")),
        word(inner(&status, "NSpid")),
        long(0),
        cgroups(&string("cgroup")),
        text(&link(&home.join("root"))),
        long(boot_time + stat.field(22) * TICK),
        field(7),
        word(login),
    ];
    if ended {
        params.push(THREAD_HAS_ENDED.to_vec());
    }
    event(pid, tid, types::ITER_TASK_E, &params)
}

fn field_long(stat: &Stat, number: usize) -> Vec<u8> {
    stat.field(number).to_ne_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_mislead() {
        let line = "7 (a) b (c)) S 1 2 3 34816 -1 4194304 10 0 12";
        assert_eq!(comm_of(line.as_bytes()), b"a) b (c)");
        assert_eq!((comm_of(b""), comm_of(b") 7 (")), (&b""[..], &b""[..]));
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.field(4), stat.field(5), stat.field(7)), (1, 2, 34816));
        assert_eq!((stat.field(10), stat.field(12), stat.field(99)), (10, 12, 0));
    }

    #[test]
    fn cgroups_of_both_hierarchies() {
        let show = |listed| String::from_utf8(cgroups(listed)).unwrap().replace('\0', " ");
        assert_eq!(show("0::/a/b\n"), "cpuset=/a/b cpu=/a/b io=/a/b memory=/a/b ");
        assert_eq!(
            show("4:cpu,cpuacct:/x\n3:blkio:/y\n2:memory:/z\n1:name=systemd:/s\n"),
            "cpu=/x cpuacct=/x io=/y memory=/z "
        );
        assert_eq!(show(""), "");
    }

    #[test]
    fn limits_and_ids() {
        assert_eq!(
            fd_limit("Limit  Soft\nMax open files            1024                 524288     files\n"),
            1024
        );
        assert_eq!(fd_limit("Max open files            unlimited            unlimited  files\n"), u64::MAX);
        let status = "Name:\tx\nUid:\t1\t2\t3\t4\nNSpid:\t70\t1\nCapEff:\t00ff\n";
        assert_eq!((inner(status, "NSpid"), caps(status, "CapEff")), (1, 0xff));
        assert_eq!(status_word(status, "Uid", 1), Some("2"));
    }
}
