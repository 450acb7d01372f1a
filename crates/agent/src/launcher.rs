//! Programs that take alerts are started by a process of their own: lanner itself gives up that it may start any.
//! The process is lanner's executable under another name, made before; it ends when lanner does.
//!
//! A request is a length and a shell command. The answer is an errno, and with 0 two ends of pipes: the program's
//! standard input, and one from which its exit code comes, if it has one, when it has ended.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, OnceLock};

use lanner_output::{Program, Starter};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use signal_hook::consts::{SIGINT, SIGTERM};

/// The name under which the executable starts programs.
pub const NAME: &str = "lanner-programs";

/// Longest command that is taken.
const LONGEST: usize = 1 << 20;

/// The process's own, if one was made.
static LAUNCHER: OnceLock<Launcher> = OnceLock::new();

/// The way to the process that starts programs.
struct Launcher {
    socket: Mutex<UnixStream>,
    /// It is never waited for: it ends after us.
    _process: Child,
}

/// Makes the process that will start programs, unless there is one.
///
/// # Errors
/// When the system refuses it.
pub fn make() -> io::Result<()> {
    if LAUNCHER.get().is_some() {
        return Ok(());
    }
    let (ours, theirs) = UnixStream::pair()?;
    // In a group of its own: Ctrl-C is for lanner, which then lets programs take what is left.
    let process = Command::new("/proc/self/exe")
        .arg0(NAME)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .process_group(0)
        .spawn()?;
    // Another thread may have been quicker; one of the two then ends by itself.
    let _ = LAUNCHER.set(Launcher { socket: Mutex::new(ours), _process: process });
    Ok(())
}

/// What starts programs there; nothing if there is no such process.
pub fn starter() -> Option<Starter> {
    LAUNCHER.get()?;
    Some(Arc::new(|command| LAUNCHER.get().ok_or(io::ErrorKind::NotConnected)?.start(command)))
}

impl Launcher {
    fn start(&self, command: &str) -> io::Result<Program> {
        let mut socket = self.socket.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        socket.write_all(&(command.len() as u32).to_ne_bytes())?;
        socket.write_all(command.as_bytes())?;
        let (errno, mut fds) = receive(&socket)?;
        match (errno, fds.pop(), fds.pop()) {
            (0, Some(mut end), Some(input)) => Ok(Program { input, wait: Box::new(move || code(&mut end)) }),
            (0, ..) => Err(io::ErrorKind::UnexpectedEof.into()),
            (errno, ..) => Err(io::Error::from_raw_os_error(errno)),
        }
    }
}

/// The exit code of a program, when it has ended.
fn code(end: &mut std::fs::File) -> io::Result<Option<i32>> {
    let mut code = [0; 4];
    match end.read_exact(&mut code) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        read => read.map(|()| Some(i32::from_ne_bytes(code))),
    }
}

/// An answer: the errno and the pipes.
fn receive(socket: &UnixStream) -> io::Result<(i32, Vec<std::fs::File>)> {
    let mut errno = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut into = [IoSliceMut::new(&mut errno)];
    let got = rustix::net::recvmsg(socket, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    if got.bytes != errno.len() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the process that starts programs is gone"));
    }
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights.map(std::fs::File::from));
        }
    }
    Ok((i32::from_ne_bytes(errno), fds))
}

fn answer(socket: &UnixStream, errno: i32, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(fds));
    }
    let errno = errno.to_ne_bytes();
    rustix::net::sendmsg(socket, &[IoSlice::new(&errno)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The other process: starts programs until lanner is gone.
pub fn serve() -> ExitCode {
    // Caught, not ignored: what is ignored would stay so in the programs. It outlives lanner's own clean end.
    for signal in [SIGINT, SIGTERM] {
        let _ = signal_hook::flag::register(signal, Arc::default());
    }
    // SAFETY: standard input is ours alone, and it is the socket that `make` has put there.
    let socket = unsafe { OwnedFd::from_raw_fd(0) };
    match serve_on(&UnixStream::from(socket)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{NAME}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve_on(mut socket: &UnixStream) -> io::Result<()> {
    loop {
        let mut length = [0; 4];
        match socket.read_exact(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        }
        let length = u32::from_ne_bytes(length) as usize;
        if length > LONGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut command = vec![0; length];
        socket.read_exact(&mut command)?;
        let started = start(&String::from_utf8_lossy(&command));
        match &started {
            Ok((input, end)) => answer(socket, 0, &[input.as_fd(), end.as_fd()])?,
            Err(error) => answer(socket, error.raw_os_error().unwrap_or(libc::EIO), &[])?,
        }
    }
}

/// Starts a program: its input, and a pipe that ends with it.
fn start(command: &str) -> io::Result<(OwnedFd, OwnedFd)> {
    let (end, held) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let mut child = Command::new("/bin/sh").arg("-c").arg(command).stdin(Stdio::piped()).spawn()?;
    let input = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    std::thread::Builder::new().stack_size(64 << 10).spawn(move || {
        if let Some(code) = child.wait().ok().and_then(|status| status.code()) {
            // Whoever doesn't want to know has closed the other end.
            let _ = std::fs::File::from(held).write_all(&code.to_ne_bytes());
        }
    })?;
    Ok((input.into(), end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_takes_its_input_and_its_end_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let (ours, theirs) = UnixStream::pair().unwrap();
        let server = std::thread::spawn(move || serve_on(&theirs));
        // A process that is nobody's business stands for the other one.
        let process = Command::new("true").spawn().unwrap();
        let launcher = Launcher { socket: Mutex::new(ours), _process: process };
        let mut program =
            launcher.start(&format!("cat >>{}; sleep 0.1; echo end >>{0}", out.display())).unwrap();
        program.input.write_all(b"line\n").unwrap();
        drop(program.input);
        assert_eq!((program.wait)().unwrap(), Some(0));
        assert_eq!(std::fs::read_to_string(&out).unwrap(), "line\nend\n");
        for (command, code) in [("/nowhere/program", Some(127)), ("kill -9 $$", None)] {
            let program = launcher.start(command).unwrap();
            assert_eq!((program.wait)().unwrap(), code);
        }
        drop(launcher);
        server.join().unwrap().unwrap();
    }
}
