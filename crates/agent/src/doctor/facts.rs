//! What the kernel's own files say of machine and process, read once.

use std::fs;
use std::path::{Path, PathBuf};

/// `CAP_*`, from the kernel's include/uapi/linux/capability.h.
pub const SYS_PTRACE: u32 = 19;
pub const SYS_ADMIN: u32 = 21;
pub const SYS_RESOURCE: u32 = 24;
pub const PERFMON: u32 = 38;
pub const BPF: u32 = 39;

/// Inodes of the namespaces that the kernel starts with, from its include/uapi/linux/nsfs.h.
const FIRST_USER_NAMESPACE: &str = "user:[4026531837]";
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// The facts. What could not be read is empty or `None`.
#[derive(Clone, Default, Debug)]
pub struct Facts {
    /// The kernel's release, `6.1.0-18-amd64`.
    pub release: String,
    pub machine: String,
    /// Bytes of the kernel's BTF.
    pub btf: Option<u64>,
    /// `/proc/self/status`.
    pub status: String,
    /// `/proc/self/limits`.
    pub limits: String,
    /// `/proc/self/mounts`.
    pub mounts: String,
    /// `/proc/self/cgroup`.
    pub cgroups: String,
    /// `/proc/meminfo`.
    pub memory: String,
    /// `/proc/loadavg`.
    pub load: String,
    pub pid_max: String,
    /// `none [integrity] confidentiality`.
    pub lockdown: Option<String>,
    pub clock: String,
    /// Whether programs are compiled; root alone may know.
    pub jit: Option<String>,
    /// `0-7`.
    pub possible_cpus: String,
    /// `None` where it can't be known.
    pub first_user_namespace: Option<bool>,
    pub first_pid_namespace: Option<bool>,
}

impl Facts {
    /// Reads them.
    pub fn read() -> Facts {
        let system = crate::host::system();
        let or_empty = |path: &str| text(path).unwrap_or_default();
        Facts {
            release: system.release,
            machine: system.machine,
            // readable for everyone, so its size is not that of a file that can't be opened
            btf: fs::File::open("/sys/kernel/btf/vmlinux")
                .and_then(|file| file.metadata())
                .ok()
                .map(|data| data.len()),
            status: or_empty("/proc/thread-self/status"),
            limits: or_empty("/proc/self/limits"),
            mounts: or_empty("/proc/self/mounts"),
            cgroups: or_empty("/proc/self/cgroup"),
            memory: or_empty("/proc/meminfo"),
            load: or_empty("/proc/loadavg"),
            pid_max: or_empty("/proc/sys/kernel/pid_max"),
            lockdown: text("/sys/kernel/security/lockdown"),
            clock: or_empty("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            jit: text("/proc/sys/net/core/bpf_jit_enable"),
            possible_cpus: or_empty("/sys/devices/system/cpu/possible"),
            first_user_namespace: is_namespace("user", FIRST_USER_NAMESPACE),
            first_pid_namespace: is_namespace("pid", FIRST_PID_NAMESPACE),
        }
    }

    /// Version and patch level of the kernel.
    pub fn version(&self) -> Option<(u32, u32)> {
        let mut numbers = self.release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    }

    /// A line of `/proc/self/status`.
    pub fn status(&self, name: &str) -> Option<&str> {
        self.status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }

    /// Whether this process holds a capability.
    pub fn capable(&self, bit: u32) -> bool {
        let set = self.status("CapEff").and_then(|text| u64::from_str_radix(text, 16).ok());
        set.is_some_and(|set| set & (1 << bit) != 0)
    }

    /// Whether this process holds all that BPF asks for, where it counts.
    pub fn permitted(&self) -> bool {
        let has = |bit| self.capable(bit) || self.capable(SYS_ADMIN);
        has(BPF) && has(PERFMON) && self.first_user_namespace != Some(false)
    }

    /// The effective user id.
    pub fn user(&self) -> Option<&str> {
        self.status("Uid")?.split_whitespace().nth(1)
    }

    /// Where a file system of a kind is mounted, if its options hold a word; an empty word is in all.
    pub fn mount(&self, kind: &str, option: &str) -> Option<PathBuf> {
        self.mounts.lines().find_map(|line| {
            let parts: Vec<&str> = line.split(' ').collect();
            let [_, place, found, options, ..] = parts[..] else { return None };
            let fits = option.is_empty() || options.split(',').any(|word| word == option);
            (found == kind && fits).then(|| PathBuf::from(place))
        })
    }

    /// A line of `/proc/meminfo`, in bytes.
    pub fn memory(&self, name: &str) -> Option<u64> {
        let line = self.memory.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
    }

    /// CPUs that there may ever be: `0-3,8` are five.
    pub fn cpus(&self) -> Option<usize> {
        let last = |range: &str| -> Option<usize> {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            (last.parse::<usize>().ok()? + 1).checked_sub(first.parse().ok()?)
        };
        self.possible_cpus.split(',').map(last).sum()
    }
}

/// A file's text without the line end.
pub fn text(path: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim_end().to_owned())
}

fn is_namespace(kind: &str, first: &str) -> Option<bool> {
    let link = fs::read_link(Path::new("/proc/self/ns").join(kind)).ok()?;
    Some(link == Path::new(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_taken_from_the_kernels_texts() {
        let facts = Facts {
            release: "6.1.0-18-amd64".into(),
            status: "Uid:\t0\t65534\t0\t0\nCapEff:\t0000008000000000\n".into(),
            mounts: "cgroup /c/m cgroup rw,memory 0 0\nbpf /b bpf rw 0 0\n".into(),
            memory: "MemTotal:        2048 kB\n".into(),
            possible_cpus: "0-3,8".into(),
            ..Facts::default()
        };
        assert_eq!(facts.version(), Some((6, 1)));
        assert_eq!(facts.user(), Some("65534"));
        assert!(facts.capable(BPF) && !facts.capable(PERFMON) && !facts.permitted());
        assert_eq!(facts.mount("cgroup", "memory"), Some("/c/m".into()));
        assert_eq!(facts.mount("cgroup", "cpu"), None);
        assert_eq!(facts.mount("bpf", ""), Some("/b".into()));
        assert_eq!(facts.memory("MemTotal"), Some(2 << 20));
        assert_eq!(facts.cpus(), Some(5));
    }

    #[test]
    fn what_is_not_there_is_not_made_up() {
        let facts = Facts::default();
        assert_eq!((facts.version(), facts.user(), facts.cpus()), (None, None, None));
        assert!(!facts.capable(BPF));
    }
}
