//! Messages to the host's syslog daemon, over its local socket, in the form that libc's `syslog()` gives them
//! (RFC 3164, local time, without a process id), so that nothing that reads them sees a difference.

use std::fmt::Write;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lanner_alert::{Clock, Priority};

/// The daemon's socket.
pub const SOCKET: &str = "/dev/log";

/// The facility of user programs, as libc takes it unless told otherwise.
const FACILITY_USER: u8 = 1;

/// A connection to the daemon, made when it is needed.
#[derive(Debug)]
pub struct Syslog {
    path: PathBuf,
    ident: String,
    patience: Duration,
    clock: Clock,
    connection: Option<Connection>,
}

#[derive(Debug)]
enum Connection {
    Datagram(UnixDatagram),
    Stream(UnixStream),
}

impl Connection {
    fn open(path: &Path, patience: Duration) -> io::Result<Connection> {
        let socket = UnixDatagram::unbound()?;
        match socket.connect(path) {
            // EPROTOTYPE: the daemon takes a stream of messages.
            Err(error) if error.raw_os_error() == Some(EPROTOTYPE) => {
                let stream = UnixStream::connect(path)?;
                stream.shutdown(Shutdown::Read)?;
                match patience {
                    Duration::ZERO => stream.set_nonblocking(true)?,
                    _ => stream.set_write_timeout(Some(patience))?,
                }
                Ok(Connection::Stream(stream))
            }
            connected => {
                connected?;
                match patience {
                    Duration::ZERO => socket.set_nonblocking(true)?,
                    _ => socket.set_write_timeout(Some(patience))?,
                }
                Ok(Connection::Datagram(socket))
            }
        }
    }

    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        match self {
            Connection::Datagram(socket) => socket.send(message).map(drop),
            Connection::Stream(stream) => {
                // In a stream a NUL ends a message.
                let mut ended = message.to_vec();
                ended.push(0);
                io::Write::write_all(stream, &ended)
            }
        }
    }
}

/// The error of connecting a datagram socket to a stream.
const EPROTOTYPE: i32 = 91;
/// The error of a datagram that is larger than the daemon's socket takes.
const EMSGSIZE: i32 = 90;
/// Bytes that every daemon takes: longer messages are cut to it, if they must be.
const LEAST: usize = 8192;

impl Syslog {
    /// Messages go to the socket at `path`, marked as those of the program `ident`. A daemon that takes longer
    /// than `patience` to read a message refuses it.
    pub fn new(path: impl Into<PathBuf>, ident: impl Into<String>, patience: Duration) -> Syslog {
        Syslog { path: path.into(), ident: ident.into(), patience, clock: Clock::local(), connection: None }
    }

    /// The socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sends a message; `ts` is the time now, in ns since 1970. A connection whose daemon has been started
    /// again is made anew.
    ///
    /// # Errors
    /// When no daemon takes it.
    pub fn send(&mut self, ts: u64, priority: Priority, text: &str) -> io::Result<()> {
        let message = self.message(ts, priority, text);
        let known = self.connection.is_some();
        match self.put(message.as_bytes()) {
            Err(error) if known && error.kind() != io::ErrorKind::WouldBlock => {
                self.connection = None;
                self.put(message.as_bytes())
            }
            sent => sent,
        }
    }

    fn put(&mut self, message: &[u8]) -> io::Result<()> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(&self.path, self.patience)?,
        };
        let connection = self.connection.insert(connection);
        let sent = match connection.send(message) {
            Err(error) if error.raw_os_error() == Some(EMSGSIZE) && message.len() > LEAST => {
                connection.send(&message[..LEAST])
            }
            sent => sent,
        };
        if sent.is_err() {
            self.connection = None;
        }
        sent
    }

    fn message(&self, ts: u64, priority: Priority, text: &str) -> String {
        let mut message = String::with_capacity(text.len() + 32);
        // Writing to a String cannot fail.
        let _ = write!(message, "<{}>", FACILITY_USER << 3 | priority as u8);
        self.clock.syslog(ts, &mut message);
        let _ = write!(message, " {}: {text}", self.ident);
        message
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixListener;

    use super::*;

    const TS: u64 = 1_795_549_121_898_299_224;

    fn utc(path: &Path) -> Syslog {
        Syslog { clock: Clock::utc(), ..Syslog::new(path, "falco", Duration::from_secs(1)) }
    }

    #[test]
    fn a_message_is_a_datagram_as_libc_writes_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        utc(&path).send(TS, Priority::Warning, "19:38:41: Warning x").unwrap();
        let mut buffer = [0; 200];
        let n = daemon.recv(&mut buffer).unwrap();
        assert_eq!(
            std::str::from_utf8(&buffer[..n]).unwrap(),
            "<12>Nov 24 19:38:41 falco: 19:38:41: Warning x"
        );
    }

    #[test]
    fn a_daemon_that_takes_a_stream_gets_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let daemon = UnixListener::bind(&path).unwrap();
        let mut syslog = utc(&path);
        syslog.send(TS, Priority::Emergency, "one").unwrap();
        syslog.send(TS, Priority::Debug, "two").unwrap();
        drop(syslog);
        let mut got = String::new();
        daemon.accept().unwrap().0.read_to_string(&mut got).unwrap();
        assert_eq!(got, "<8>Nov 24 19:38:41 falco: one\0<15>Nov 24 19:38:41 falco: two\0");
    }

    #[test]
    fn a_daemon_that_was_started_again_is_found_and_one_that_is_gone_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let first = UnixDatagram::bind(&path).unwrap();
        let mut syslog = utc(&path);
        syslog.send(TS, Priority::Notice, "one").unwrap();
        drop(first);
        std::fs::remove_file(&path).unwrap();
        assert!(syslog.send(TS, Priority::Notice, "two").is_err());
        let second = UnixDatagram::bind(&path).unwrap();
        syslog.send(TS, Priority::Notice, "three").unwrap();
        let mut buffer = [0; 200];
        let n = second.recv(&mut buffer).unwrap();
        assert!(std::str::from_utf8(&buffer[..n]).unwrap().ends_with("falco: three"));
    }

    #[test]
    fn a_message_that_is_too_large_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let daemon = UnixDatagram::bind(&path).unwrap();
        utc(&path).send(TS, Priority::Notice, &"x".repeat(2 << 20)).unwrap();
        let mut buffer = vec![0; 64 << 10];
        assert_eq!(daemon.recv(&mut buffer).unwrap(), LEAST);
    }
}
