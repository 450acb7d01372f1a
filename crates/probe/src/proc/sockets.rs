//! Sockets as `/proc/PID/net` lists them, by inode.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use super::link;

/// What a socket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Socket {
    /// IPv4 or IPv6: type, protocol, local address and port, remote address and port.
    Inet { ty: u16, proto: u16, local: Vec<u8>, local_port: u16, remote: Vec<u8>, remote_port: u16 },
    /// A unix socket and the path that it is bound to.
    Unix { ty: u16, path: Vec<u8> },
    /// A netlink socket.
    Netlink { proto: u16 },
}

/// The sockets of each network namespace that was met.
#[derive(Default)]
pub struct Tables {
    by_namespace: HashMap<Vec<u8>, HashMap<u64, Socket>>,
}

impl Tables {
    /// The socket of an inode in the network namespace of a process.
    pub fn find(&mut self, home: &Path, inode: u64) -> Option<&Socket> {
        let namespace = link(&home.join("ns/net"));
        let table = self.by_namespace.entry(namespace).or_insert_with(|| read(&home.join("net")));
        table.get(&inode)
    }
}

/// Reads all lists of a namespace; one that is missing has no sockets.
fn read(net: &Path) -> HashMap<u64, Socket> {
    let mut found = HashMap::new();
    let string = |name| {
        fs::read(net.join(name)).map_or_else(|_| String::new(), |b| String::from_utf8_lossy(&b).into())
    };
    for (name, ty, proto) in
        [("tcp", 1, 6), ("tcp6", 1, 6), ("udp", 2, 17), ("udp6", 2, 17), ("raw", 3, 255), ("raw6", 3, 255)]
    {
        found.extend(string(name).lines().skip(1).filter_map(|line| inet(line, ty, proto)));
    }
    found.extend(string("unix").lines().skip(1).filter_map(unix));
    found.extend(string("netlink").lines().skip(1).filter_map(netlink));
    found
}

/// `0100007F:1F90`: words of the address in the machine's byte order, then the port.
fn end(text: &str) -> Option<(Vec<u8>, u16)> {
    let (address, port) = text.split_once(':')?;
    let words = address.as_bytes().chunks(8);
    let bytes = words
        .map(|w| u32::from_str_radix(std::str::from_utf8(w).ok()?, 16).ok().map(u32::to_ne_bytes))
        .collect::<Option<Vec<_>>>()?;
    Some((bytes.concat(), u16::from_str_radix(port, 16).ok()?))
}

fn inet(line: &str, ty: u16, proto: u16) -> Option<(u64, Socket)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (local, local_port) = end(words.get(1)?)?;
    let (remote, remote_port) = end(words.get(2)?)?;
    let inode = words.get(9)?.parse().ok()?;
    Some((inode, Socket::Inet { ty, proto, local, local_port, remote, remote_port }))
}

/// `Num RefCount Protocol Flags Type St Inode Path`
fn unix(line: &str) -> Option<(u64, Socket)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let path = words.get(7).copied().unwrap_or_default();
    let ty = u16::from_str_radix(words.get(4)?, 16).ok()?;
    // an abstract name is shown with `@` for its NUL, which events leave out
    let path = path.strip_prefix('@').unwrap_or(path).as_bytes().to_vec();
    Some((words.get(6)?.parse().ok()?, Socket::Unix { ty, path }))
}

/// `sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode`
fn netlink(line: &str) -> Option<(u64, Socket)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    Some((words.get(9)?.parse().ok()?, Socket::Netlink { proto: words.get(1)?.parse().ok()? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_each_list() {
        let tcp = "   0: 0100007F:1F90 0200000A:0050 01 00000000:00000000 00:00000000 00000000     0        0 4711 1";
        let (inode, socket) = inet(tcp, 1, 6).unwrap();
        let host = |bytes: [u8; 4]| u32::from_be_bytes(bytes).to_be_bytes().to_vec();
        let (local, remote) = if cfg!(target_endian = "little") {
            (host([127, 0, 0, 1]), host([10, 0, 0, 2]))
        } else {
            (host([1, 0, 0, 127]), host([2, 0, 0, 10]))
        };
        assert_eq!(inode, 4711);
        assert_eq!(
            socket,
            Socket::Inet { ty: 1, proto: 6, local, local_port: 8080, remote, remote_port: 80 }
        );
        assert_eq!(
            unix("0000000000000000: 00000002 00000000 00010000 0001 01 12345 /run/x.sock"),
            Some((12345, Socket::Unix { ty: 1, path: b"/run/x.sock".to_vec() }))
        );
        assert_eq!(
            unix("0000000000000000: 00000002 00000000 00010000 0005 01 7 @abstract"),
            Some((7, Socket::Unix { ty: 5, path: b"abstract".to_vec() }))
        );
        assert_eq!(
            netlink("00000000aaaa 16  1234 00000000 0 0 0 2 0 99"),
            Some((99, Socket::Netlink { proto: 16 }))
        );
        assert_eq!(inet("nonsense", 1, 6), None);
    }
}
