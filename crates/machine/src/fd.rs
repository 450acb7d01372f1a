//! What a file descriptor refers to.

use std::net::IpAddr;

use crate::Text;

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
#[derive(Clone, Default, PartialEq, Eq, Debug)]
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
    /// Path as it was asked for (`fd.nameraw`); empty when it is the name.
    pub name_raw: Text,
    /// Flags of the open call, in the event table's own bits.
    pub open_flags: u32,
    /// Device number.
    pub dev: u32,
    /// Mount id, while the device is not known.
    pub mount_id: u32,
    /// Inode number.
    pub ino: u64,
    /// Socket protocol.
    pub l4: L4Proto,
    /// Address family and type of a socket (`AF_*`), 0 for others.
    pub family: u16,
    /// Socket ends.
    pub ends: Ends,
    /// The process is the client / server of the connection.
    pub role: Role,
    /// A connect succeeded or data was exchanged.
    pub connected: bool,
    /// A non-blocking connect is under way.
    pub connect_pending: bool,
    /// Opened in the upper layer of an overlay file system.
    pub upper_layer: bool,
    /// Opened in a lower layer of an overlay file system.
    pub lower_layer: bool,
    /// A close-on-exec fd.
    pub cloexec: bool,
    /// One end of a socketpair.
    pub socket_pair: bool,
    /// Known from the snapshot: it was open before events began.
    pub from_snapshot: bool,
    /// Inherited from the process that forked this one.
    pub inherited: bool,
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

impl Fd {
    /// Whether it is an IP socket.
    pub fn is_ip(&self) -> bool {
        matches!(self.kind, FdKind::Ipv4 | FdKind::Ipv6 | FdKind::Ipv4Server | FdKind::Ipv6Server)
    }
}
