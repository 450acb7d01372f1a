//! What a file descriptor refers to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{Tail, Text, abi};

/// Layer-4 protocol of a socket.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum L4Proto {
    /// Not known or not applicable.
    #[default]
    Unknown,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP.
    Icmp,
    /// A raw socket.
    Raw,
}

/// The kind of object behind an fd.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are the kernel's")]
pub enum FdKind {
    #[default]
    Unknown,
    File,
    Directory,
    Ipv4,
    Ipv6,
    /// A bound, listening IPv4 socket: it has no remote end.
    Ipv4Server,
    /// A bound, listening IPv6 socket: it has no remote end.
    Ipv6Server,
    Unix,
    Fifo,
    Event,
    Signal,
    Eventpoll,
    Inotify,
    Timerfd,
    Netlink,
    Bpf,
    Userfault,
    IoUring,
    Memfd,
    Pidfd,
    Unsupported,
}

/// One end of an IP socket.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Endpoint {
    /// Address.
    pub ip: IpAddr,
    /// Port.
    pub port: u16,
}

/// The two ends of a socket, in client/server order as far as the role is known.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum Ends {
    /// No address known.
    #[default]
    None,
    /// IP: (source, destination); for a server socket the destination is absent.
    Ip {
        /// Client, or local end while the role is unknown.
        source: Endpoint,
        /// Server, or remote end while the role is unknown.
        dest: Option<Endpoint>,
    },
    /// Unix: kernel addresses of both ends; the path is the fd's name.
    Unix {
        /// Kernel address of the socket.
        source: u64,
        /// Kernel address of the peer.
        dest: u64,
    },
}

/// A file descriptor.
#[derive(Clone, Default, Debug)]
pub struct Fd {
    /// Its number.
    pub num: i64,
    /// What it refers to.
    pub kind: FdKind,
    /// Path, or the text of the socket's ends, as `fd.name` prints it.
    pub name: Text,
    /// What [`Fd::name_raw`] gives.
    pub raw: Tail,
    /// What [`Fd::resolved`] gives.
    pub found: Tail,
    /// Flags of the open call, in the event table's own bits.
    pub open_flags: u32,
    /// Device number.
    pub dev: u32,
    /// Mount id, while the device is not known.
    pub mount_id: u32,
    /// Inode number.
    pub ino: u64,
    /// Socket protocol as far as known; what fields show is [`Fd::protocol`].
    pub l4: L4Proto,
    /// Socket ends.
    pub ends: Ends,
    /// The process is the client / server of the connection.
    pub role: Role,
    /// A connect succeeded, or was begun, or data was exchanged.
    pub connected: bool,
    /// Opened in the upper layer of an overlay file system.
    pub upper_layer: bool,
    /// Opened in a lower layer of an overlay file system.
    pub lower_layer: bool,
    /// Known from the snapshot: it was open before events began.
    pub from_snapshot: bool,
    /// Process that a pidfd stands for.
    pub pid: i64,
}

/// Who called whom.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum Role {
    /// Not known.
    #[default]
    Unknown,
    /// This process connected.
    Client,
    /// This process accepted.
    Server,
}

impl FdKind {
    /// The letter that stands before an fd's name in `evt.args`.
    pub fn letter(self) -> char {
        match self {
            FdKind::File => 'f',
            FdKind::Directory => 'd',
            FdKind::Ipv4 | FdKind::Ipv4Server => '4',
            FdKind::Ipv6 | FdKind::Ipv6Server => '6',
            FdKind::Unix | FdKind::Userfault => 'u',
            FdKind::Fifo => 'p',
            FdKind::Event => 'e',
            FdKind::Signal => 's',
            FdKind::Eventpoll => 'l',
            FdKind::Inotify => 'i',
            FdKind::Timerfd => 't',
            FdKind::Netlink => 'n',
            FdKind::Bpf => 'b',
            FdKind::IoUring => 'r',
            FdKind::Memfd => 'm',
            FdKind::Pidfd => 'P',
            FdKind::Unsupported => 'X',
            FdKind::Unknown => 'o',
        }
    }

    /// What `fd.type` calls it; none where the kind is not known.
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            FdKind::File => "file",
            FdKind::Directory => "directory",
            FdKind::Ipv4 | FdKind::Ipv4Server => "ipv4",
            FdKind::Ipv6 | FdKind::Ipv6Server => "ipv6",
            FdKind::Unix => "unix",
            FdKind::Fifo => "pipe",
            FdKind::Event => "event",
            FdKind::Signal => "signalfd",
            FdKind::Eventpoll => "eventpoll",
            FdKind::Inotify => "inotify",
            FdKind::Timerfd => "timerfd",
            FdKind::Netlink => "netlink",
            FdKind::Bpf => "bpf",
            FdKind::Userfault => "userfaultfd",
            FdKind::IoUring => "io_uring",
            FdKind::Memfd => "memfd",
            FdKind::Pidfd => "pidfd",
            FdKind::Unsupported | FdKind::Unknown => return None,
        })
    }
}

impl Endpoint {
    /// No address and port 0, as a socket has before it is bound or connected.
    pub const fn none(v6: bool) -> Endpoint {
        let ip = if v6 { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
        Endpoint { ip, port: 0 }
    }
}

impl Fd {
    /// Path as the opening call named it (`fd.nameraw`); empty for what no path opened.
    pub fn name_raw(&self) -> &[u8] {
        self.raw.get(&self.name)
    }

    /// Where the kernel found what was opened; empty where it was not told.
    pub fn resolved(&self) -> &[u8] {
        self.found.get(&self.name)
    }

    /// Gives it another name, and leaves all else as it is.
    pub(crate) fn rename(&mut self, name: Text) {
        self.raw.part(&self.name);
        self.found.part(&self.name);
        self.name = name;
    }

    /// Whether it is an IP socket.
    pub fn is_ip(&self) -> bool {
        matches!(self.kind, FdKind::Ipv4 | FdKind::Ipv6 | FdKind::Ipv4Server | FdKind::Ipv6Server)
    }

    /// Whether an exec closes it.
    pub fn is_cloexec(&self) -> bool {
        self.open_flags & self.cloexec_bits() != 0
    }

    pub(crate) fn set_cloexec(&mut self, on: bool) {
        self.open_flags &= !self.cloexec_bits();
        if on {
            self.open_flags |= abi::O_CLOEXEC;
        }
    }

    fn cloexec_bits(&self) -> u32 {
        match self.kind {
            FdKind::Eventpoll | FdKind::Memfd => abi::O_CLOEXEC | abi::SPECIAL_CLOEXEC,
            _ => abi::O_CLOEXEC,
        }
    }

    /// The protocol as fields show it: that of a socket without a role is not known for sure.
    pub fn protocol(&self) -> Option<L4Proto> {
        match self.kind {
            FdKind::Ipv4Server | FdKind::Ipv6Server => Some(self.l4),
            FdKind::Ipv4 | FdKind::Ipv6 if self.l4 == L4Proto::Raw || self.role != Role::Unknown => {
                Some(self.l4)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_name_changes_no_other_text() {
        let name = Text::from("/etc/passwd");
        let (raw, found) = (Tail::of(b"passwd", &name), Tail::of(b"/etc/passwd", &name));
        let mut fd = Fd { name, raw, found, ..Fd::default() };
        fd.rename("/x".into());
        assert_eq!(
            (&*fd.name, fd.name_raw(), fd.resolved()),
            (&b"/x"[..], &b"passwd"[..], &b"/etc/passwd"[..])
        );
    }

    /// Each open makes one and each fork shares them, so what they take is written, moved and cached all the time.
    #[test]
    fn an_fd_is_compact() {
        let size = size_of::<Fd>();
        assert!(size <= 136, "{size} bytes");
    }
}
