//! What the host says of itself.

use std::net::IpAddr;

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

/// Bytes of a page of memory.
pub fn page_size() -> usize {
    rustix::param::page_size()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_among_the_interfaces() {
        assert!(interfaces().iter().any(|i| i.address.is_loopback()));
    }
}
