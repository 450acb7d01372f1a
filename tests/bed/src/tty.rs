//! A program on a terminal, with us at the keyboard.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::pty::openpty;

const LIMIT: Duration = Duration::from_secs(20);

/// A program whose terminal is ours. Dropping it kills the program.
#[derive(Debug)]
pub struct Tty {
    process: Child,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    seen: String,
}

impl Tty {
    pub(crate) fn start(mut command: Command) -> Result<Tty> {
        let pty = openpty(None, None).context("can't open a terminal")?;
        command.stdin(pty.slave.try_clone()?).stdout(pty.slave.try_clone()?).stderr(pty.slave);
        let process = command.spawn()?;
        // The command holds copies of the program's side, without whose end ours would never see one.
        drop(command);
        let keyboard = File::from(pty.master);
        let mut reader = keyboard.try_clone()?;
        let (writes, screen) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A terminal whose other side is closed reads as an error, not as an end.
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if writes.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Ok(Tty { process, keyboard, screen, seen: String::new() })
    }

    /// Types a line.
    pub fn line(&mut self, text: &str) -> Result<()> {
        writeln!(self.keyboard, "{text}").context("can't type")
    }

    /// Waits until the text stands on the screen, and gives all that stood there before it.
    pub fn until(&mut self, text: &str) -> Result<String> {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return Ok(std::mem::replace(&mut self.seen, rest));
            }
            match self.screen.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(why) => bail!("`{text}` didn't come ({why}); on the screen: {}", self.seen),
            }
        }
    }

    /// Waits for the program's end.
    pub fn wait(mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + LIMIT;
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait()? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(10));
        }
        bail!("the program doesn't end; on the screen: {}", self.seen)
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
