//! What the host says of itself.

use std::net::IpAddr;
use std::path::Path;

use lanner_machine::Interface;
use nix::ifaddrs::InterfaceAddress;
use nix::sys::socket::SockaddrStorage;

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
}
