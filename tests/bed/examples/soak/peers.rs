//! A web server that takes alerts, dies, and returns.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::Shared;
use crate::figures::mark;

/// Tells the server's threads to end.
#[derive(Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The server.
pub struct Peer {
    port: u16,
    dead: Arc<AtomicBool>,
    taken: Arc<Mutex<BTreeSet<u64>>>,
}

impl Peer {
    /// Listens on a port of its own.
    pub fn new(stop: Stop) -> Result<Peer> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let peer = Peer { port: listener.local_addr()?.port(), dead: Arc::default(), taken: Arc::default() };
        let (dead, taken) = (Arc::clone(&peer.dead), Arc::clone(&peer.taken));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stop.stopped() {
                    return;
                }
                let (stop, dead, taken) = (stop.clone(), Arc::clone(&dead), Arc::clone(&taken));
                thread::spawn(move || serve(stream, &stop, &dead, &taken));
            }
        });
        Ok(peer)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The marks that were told.
    pub fn taken(&self) -> BTreeSet<u64> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Is dead for a second of every five.
    pub fn die_and_return(&self, shared: &Shared) {
        while shared.runs() {
            thread::sleep(Duration::from_secs(4));
            Shared::count(&shared.deaths);
            self.dead.store(true, Ordering::Relaxed);
            thread::sleep(Duration::from_secs(1));
            self.dead.store(false, Ordering::Relaxed);
        }
    }
}

/// Answers requests as long as the server lives; a dead one hangs up in the middle of what it is told.
fn serve(stream: TcpStream, stop: &Stop, dead: &AtomicBool, taken: &Mutex<BTreeSet<u64>>) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_millis(500))).ok()?;
    let mut answers = stream.try_clone().ok()?;
    let mut requests = BufReader::new(stream);
    while !stop.stopped() && !dead.load(Ordering::Relaxed) {
        let body = match request(&mut requests) {
            Ok(body) => body,
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock) => continue,
            Err(_) => return None,
        };
        if dead.load(Ordering::Relaxed) {
            return None;
        }
        taken.lock().unwrap_or_else(PoisonError::into_inner).extend(mark(&body));
        answers.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok()?;
    }
    Some(())
}

/// The body of a request.
fn request(requests: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let (mut length, mut line) = (0, String::new());
    loop {
        line.clear();
        if requests.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let lower = line.trim().to_ascii_lowercase();
        if lower.is_empty() {
            break;
        }
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    requests.read_exact(&mut body)?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}
