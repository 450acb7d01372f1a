//! Lines on the standard input of a program.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::{LineRef, Sink, SinkError};

/// A program that was started.
pub struct Program {
    /// Its standard input.
    pub input: File,
    /// Waits until it has ended; its exit code, unless a signal ended it.
    pub wait: Box<dyn FnOnce() -> std::io::Result<Option<i32>> + Send>,
}

/// The exit codes of a shell that could not start a command: it may not, and it found none.
const NOT_STARTED: [i32; 2] = [126, 127];

/// What starts a shell command.
pub type Starter = Arc<dyn Fn(&str) -> std::io::Result<Program> + Send + Sync>;

/// Gives lines to a shell command.
pub struct ProgramSink {
    command: String,
    keep_running: bool,
    starter: Starter,
    program: Option<Program>,
}

impl ProgramSink {
    /// A sink for a shell command. With `keep_running` one process takes all lines; else each line has its own,
    /// which sees its input end behind the line.
    pub fn new(command: String, keep_running: bool) -> ProgramSink {
        ProgramSink { command, keep_running, starter: Arc::new(start), program: None }
    }

    /// The same, but something else starts the command.
    #[must_use]
    pub fn started_by(self, starter: Starter) -> ProgramSink {
        let mut sink = self;
        sink.starter = starter;
        sink
    }

    fn error(&self, what: &str, cause: std::io::Error) -> SinkError {
        SinkError { sink: "program", what: format!("{what} '{}'", self.command), cause, again: true }
    }

    fn put(&mut self, line: LineRef<'_>) -> std::io::Result<()> {
        let program = match self.program.take() {
            Some(program) => program,
            None => (self.starter)(&self.command)?,
        };
        let program = self.program.insert(program);
        // In one piece, so that the program never sees half a line.
        let mut bytes = Vec::with_capacity(line.text.len() + 1);
        bytes.extend_from_slice(line.text.as_bytes());
        bytes.push(b'\n');
        program.input.write_all(&bytes)
    }

    /// Ends the program's input and waits for it. How it ends is its own matter, unless it never was.
    fn close(&mut self) -> std::io::Result<()> {
        let Some(program) = self.program.take() else { return Ok(()) };
        drop(program.input);
        match (program.wait)()?.filter(|code| NOT_STARTED.contains(code)) {
            Some(code) => {
                Err(std::io::Error::other(format!("the shell can't start the program (exit code {code})")))
            }
            None => Ok(()),
        }
    }
}

/// Starts a shell command from this process.
fn start(command: &str) -> std::io::Result<Program> {
    let mut child = Command::new("/bin/sh").arg("-c").arg(command).stdin(Stdio::piped()).spawn()?;
    let input = child.stdin.take().ok_or(std::io::ErrorKind::BrokenPipe)?;
    Ok(Program { input: OwnedFd::from(input).into(), wait: Box::new(move || Ok(child.wait()?.code())) })
}

impl Sink for ProgramSink {
    fn name(&self) -> &'static str {
        "program"
    }

    fn write(&mut self, line: LineRef<'_>) -> Result<(), SinkError> {
        let mut written = self.put(line);
        if written.is_err() || !self.keep_running {
            // That it could not be started says more than that it doesn't read.
            written = self.close().and(written);
        }
        written.map_err(|cause| self.error("cannot write to", cause))
    }

    fn reopen(&mut self) -> Result<(), SinkError> {
        self.close().map_err(|cause| self.error("cannot end", cause))
    }
}

impl Drop for ProgramSink {
    fn drop(&mut self) {
        // Without its input the program ends by itself; how is not ours to judge any more.
        let _ = self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lanner_alert::{Line, Priority};

    fn written(keep_running: bool) -> String {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let mut sink = ProgramSink::new(format!("echo begin >>{0}; cat >>{0}", out.display()), keep_running);
        for text in ["one", "two"] {
            let text = text.to_owned();
            let line = Line { text, priority: Priority::Notice, priority_at: None, rule: "".into() };
            sink.write(line.view()).unwrap();
        }
        drop(sink);
        std::fs::read_to_string(out).unwrap()
    }

    #[test]
    fn one_program_takes_all_lines_or_each_its_own() {
        assert_eq!(written(true), "begin\none\ntwo\n");
        assert_eq!(written(false), "begin\none\nbegin\ntwo\n");
    }

    #[test]
    fn a_program_that_does_not_read_is_started_again_for_the_same_line() {
        let mut sink = ProgramSink::new("exec true".into(), true);
        let line = Line {
            text: "x".repeat(200_000),
            priority: Priority::Notice,
            priority_at: None,
            rule: "".into(),
        };
        let error = sink.write(line.view()).unwrap_err();
        assert!(error.again && error.to_string().contains("cannot write to 'exec true'"));
        assert!(sink.program.is_none());
    }

    #[test]
    fn a_program_that_is_not_there_is_told_for_the_same_line() {
        for (command, code) in [("/nowhere/program", "127"), ("/", "126")] {
            let mut sink = ProgramSink::new(command.into(), false);
            let line =
                Line { text: "x".to_owned(), priority: Priority::Notice, priority_at: None, rule: "".into() };
            let error = sink.write(line.view()).unwrap_err();
            let told = format!(
                "program output: cannot write to '{command}': the shell can't start the program (exit code {code})"
            );
            assert!(error.again && error.to_string() == told, "{error}");
        }
    }
}
