//! Lines to the host's syslog daemon.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{LineRef, Sink, SinkError};
use crate::syslog::{SOCKET, Syslog};

/// How long a daemon may take to read a line before it is tried again.
const PATIENCE: Duration = Duration::from_secs(1);

/// Sends lines to the syslog daemon, each at its alert's priority.
#[derive(Debug)]
pub struct SyslogSink {
    syslog: Syslog,
}

impl SyslogSink {
    /// A sink for the host's daemon, that shows lines as `ident`'s.
    pub fn new(ident: &str) -> SyslogSink {
        SyslogSink { syslog: Syslog::new(SOCKET, ident, PATIENCE) }
    }
}

/// Whether an error says that there is a daemon, which takes nothing now. Without its socket there is none, as
/// in most containers, and no line should wait for it.
fn may_come_back(error: &io::Error) -> bool {
    error.kind() != io::ErrorKind::NotFound
}

impl Sink for SyslogSink {
    fn name(&self) -> &'static str {
        "syslog"
    }

    fn write(&mut self, line: LineRef<'_>) -> Result<(), SinkError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64);
        self.syslog.send(now, line.priority, line.text).map_err(|cause| SinkError {
            sink: "syslog",
            what: format!("cannot write to {}", self.syslog.path().display()),
            again: may_come_back(&cause),
            cause,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;
    use lanner_alert::{Line, Priority};

    #[test]
    fn lines_keep_their_priority_and_wait_for_a_daemon_only_if_there_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut sink = SyslogSink { syslog: Syslog::new(&path, "falco", PATIENCE) };
        let line =
            Line { text: "x".into(), priority: Priority::Critical, priority_at: None, rule: "".into() };
        assert!(!sink.write(line.view()).unwrap_err().again, "there is no syslog here");
        let daemon = UnixDatagram::bind(&path).unwrap();
        sink.write(line.view()).unwrap();
        let mut buffer = [0; 100];
        let n = daemon.recv(&mut buffer).unwrap();
        assert!(buffer[..n].starts_with(b"<10>") && buffer[..n].ends_with(b" falco: x"));
        drop(daemon);
        assert!(sink.write(line.view()).unwrap_err().again, "the daemon is being started again");
    }
}
