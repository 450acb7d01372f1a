//! Signs of life to a service manager, in the protocol of systemd's `sd_notify`: ready, reloading, stopping, and the
//! watchdog's beat. Without `NOTIFY_SOCKET` nothing is said.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

/// A way to the service manager, if there is one.
#[derive(Debug, Default)]
pub struct Notify {
    socket: Option<UnixDatagram>,
    /// Between two beats: half of what the watchdog grants.
    beat: Option<Duration>,
    next: Option<Instant>,
}

impl Notify {
    /// As the environment says (`NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`).
    pub fn from_environment() -> Notify {
        let var = |name: &str| std::env::var(name).ok();
        let ours = var("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        let watchdog = var("WATCHDOG_USEC").filter(|_| ours);
        Notify::new(var("NOTIFY_SOCKET").as_deref(), watchdog.as_deref())
    }

    fn new(address: Option<&str>, watchdog: Option<&str>) -> Notify {
        let socket = address.and_then(|address| connect(address).ok());
        let granted = watchdog.and_then(|text| text.parse().ok()).filter(|micros| *micros > 0);
        let beat = granted.map(|micros| Duration::from_micros(micros) / 2);
        Notify { socket, beat, next: None }
    }

    fn say(&self, text: &str) {
        if let Some(socket) = &self.socket {
            // A service manager that is gone needs no news.
            let _ = socket.send(text.as_bytes());
        }
    }

    /// Events are watched.
    pub fn ready(&self, status: &str) {
        self.say(&format!("READY=1\nSTATUS={status}"));
    }

    /// A reload is over, whether anything has come of it or not: a service manager that asked for one waits for both
    /// words.
    pub fn reloaded(&self, status: &str) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1000;
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
        self.ready(status);
    }

    /// It comes to its end.
    pub fn stopping(&self) {
        self.say("STOPPING=1");
    }

    /// The loop is alive; to be called more often than the watchdog wants to hear of it.
    pub fn alive(&mut self, now: Instant) {
        let Some(beat) = self.beat else { return };
        if self.next.is_none_or(|next| now >= next) {
            self.next = Some(now + beat);
            self.say("WATCHDOG=1");
        }
    }
}

/// Connects to a path, or to a name behind an `@`.
fn connect(address: &str) -> std::io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    match address.strip_prefix('@') {
        Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        None => socket.connect(address)?,
    }
    // The loop never waits for anybody.
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_manager_hears_of_it_and_the_watchdog_in_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let heard = || {
            let mut buffer = [0; 256];
            let length = manager.recv(&mut buffer).unwrap();
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        };
        let mut notify = Notify::new(path.to_str(), Some("2000000"));
        notify.ready("12 rules");
        assert_eq!(heard(), "READY=1\nSTATUS=12 rules");
        let start = Instant::now();
        [0, 500, 1100].into_iter().for_each(|ms| notify.alive(start + Duration::from_millis(ms)));
        notify.reloaded("13 rules");
        notify.stopping();
        assert_eq!((heard(), heard()), ("WATCHDOG=1".to_owned(), "WATCHDOG=1".to_owned()));
        assert!(heard().starts_with("RELOADING=1\nMONOTONIC_USEC="));
        assert_eq!(heard(), "READY=1\nSTATUS=13 rules");
        assert_eq!(heard(), "STOPPING=1");
    }

    #[test]
    fn without_a_service_manager_nothing_is_said() {
        let mut notify = Notify::new(None, Some("1"));
        notify.alive(Instant::now());
        notify.ready("");
        assert!(Notify::new(Some("/no/such/socket"), None).socket.is_none());
    }
}
