//! What the host says of itself.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use lanner_capture::HostRecord;
use lanner_machine::{ContainerId, Interface, Machine, MachineOptions};
use nix::ifaddrs::InterfaceAddress;
use nix::sys::socket::SockaddrStorage;

use crate::accounts::Accounts;
use crate::config::StateConfig;
use crate::log::now;

/// Where the host's root is seen: `/`, or `HOST_ROOT` when lanner runs in a container.
pub(crate) fn host_root() -> PathBuf {
    std::env::var_os("HOST_ROOT").filter(|v| !v.is_empty()).map_or_else(|| "/".into(), PathBuf::from)
}

/// A machine with what the host says of itself; its threads are yet to come.
pub(crate) fn machine(host_root: &Path, state: &StateConfig) -> Machine {
    let mut machine = Machine::new(MachineOptions {
        max_threads: state.threads,
        thread_timeout: state.thread_timeout.as_nanos() as u64,
        closes_left_out: true,
        ..MachineOptions::default()
    });
    machine.set_boot_ts(boot_ts());
    machine.set_interfaces(interfaces());
    Accounts::read(ContainerId::default(), host_root).give_to(&mut machine);
    let places = lanner_container::Config { host_root: host_root.to_path_buf(), ..Default::default() };
    for bare in lanner_container::bare_containers(&places) {
        machine.name_cgroup(&bare.cgroup, &bare.name);
    }
    machine
}

/// When the host started, ns since 1970.
fn boot_ts() -> u64 {
    let uptime = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now().saturating_sub(uptime.tv_sec as u64 * 1_000_000_000 + uptime.tv_nsec as u64)
}

/// The kernel's own words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct System {
    /// `Linux`.
    pub name: String,
    /// The host's name.
    pub node: String,
    /// Release of the kernel.
    pub release: String,
    /// How it was built.
    pub version: String,
    /// Architecture.
    pub machine: String,
}

/// Asks the kernel.
pub fn system() -> System {
    let uname = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    System {
        name: text(uname.sysname()),
        node: text(uname.nodename()),
        release: text(uname.release()),
        version: text(uname.version()),
        machine: text(uname.machine()),
    }
}

/// What a recording says of the host.
pub(crate) fn host_record(boot_ts: u64) -> HostRecord {
    let system = system();
    let mut hostname = [0; 128];
    // The last byte stays NUL.
    let len = system.node.len().min(hostname.len() - 1);
    hostname[..len].copy_from_slice(&system.node.as_bytes()[..len]);
    HostRecord {
        cpus: cpus(Path::new("/sys/devices/system/cpu/present")),
        memory: memory(),
        max_pid: max_pid(Path::new("/proc/sys/kernel/pid_max")),
        hostname,
        boot_ts,
        ..HostRecord::default()
    }
}

/// The host's network addresses; none where they can't be had.
pub fn interfaces() -> Vec<Interface> {
    let found = nix::ifaddrs::getifaddrs().into_iter().flatten();
    let interface = |i: InterfaceAddress| {
        let address = ip(&i.address?)?;
        let netmask = i.netmask.as_ref().and_then(ip).unwrap_or(address);
        Some(Interface { name: i.interface_name, address, netmask })
    };
    found.filter_map(interface).collect()
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
}

/// CPUs that the host has, by the list in a file of `/sys` (`0-3`); 1 when it can't be read.
pub fn cpus(list: &Path) -> u32 {
    let text = std::fs::read_to_string(list).unwrap_or_default();
    let last = text.trim().rsplit([',', '-']).next().and_then(|number| number.parse::<u32>().ok());
    last.map_or(1, |last| last.saturating_add(1))
}

/// Bytes of memory that the host has.
pub fn memory() -> u64 {
    let info = rustix::system::sysinfo();
    (info.totalram as u64).saturating_mul(u64::from(info.mem_unit))
}

/// The number of process ids there can be, by a file of `/proc`; 0 when it can't be read.
pub fn max_pid(file: &Path) -> u64 {
    std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// Bytes of a page of memory.
pub fn page_size() -> usize {
    rustix::param::page_size()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_cpu_of_a_list_counts() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("present");
        for (list, want) in [("0\n", 1), ("0-3\n", 4), ("0-3,8-11\n", 12), ("", 1)] {
            std::fs::write(&file, list).unwrap();
            assert_eq!(cpus(&file), want, "{list}");
        }
        assert_eq!((cpus(&folder.path().join("none")), max_pid(&folder.path().join("none"))), (1, 0));
    }

    #[test]
    fn the_loopback_is_among_the_interfaces() {
        assert!(interfaces().iter().any(|i| i.address.is_loopback()));
    }

    #[test]
    fn the_host_tells_its_size() {
        let host = host_record(5);
        assert!(host.cpus > 0 && host.memory > 1 << 20 && host.max_pid > 0 && !host.name().is_empty());
        assert_eq!(host.boot_ts, 5);
    }
}
