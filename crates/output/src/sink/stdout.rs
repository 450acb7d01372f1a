//! Lines on standard output.

use std::io::{BufWriter, IsTerminal, Stdout, Write};

use super::{Line, Sink, SinkError};
use lanner_alert::Priority;

/// When the priority is coloured.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Colour {
    /// Never.
    #[default]
    Never,
    /// On a terminal, unless the variable `NO_COLOR` is set.
    Terminal,
}

/// Writes lines to standard output.
#[derive(Debug)]
pub struct StdoutSink<W: Write + Send = Stdout> {
    out: BufWriter<W>,
    coloured: bool,
    unbuffered: bool,
}

impl StdoutSink {
    /// A sink for this process' standard output. With `unbuffered` lines are written at once, together only with
    /// those that have come by then; else as soon as no more of them wait.
    pub fn new(colour: Colour, unbuffered: bool) -> StdoutSink {
        let stdout = std::io::stdout();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let coloured = colour == Colour::Terminal && stdout.is_terminal() && !plain;
        StdoutSink { out: BufWriter::with_capacity(16 << 10, stdout), coloured, unbuffered }
    }
}

/// The escape sequence that begins a priority's colour.
fn colour(priority: Priority) -> &'static str {
    match priority {
        Priority::Emergency | Priority::Alert | Priority::Critical => "\x1b[1;31m",
        Priority::Error => "\x1b[31m",
        Priority::Warning => "\x1b[33m",
        Priority::Notice => "\x1b[36m",
        Priority::Informational | Priority::Debug => "\x1b[2m",
    }
}

impl<W: Write + Send> StdoutSink<W> {
    fn put(&mut self, line: &Line) -> std::io::Result<()> {
        let name = line.priority.as_str();
        let split = line.priority_at.filter(|_| self.coloured).and_then(|at| {
            let (before, rest) = line.text.split_at_checked(at)?;
            Some((before, rest.strip_prefix(name)?))
        });
        match split {
            Some((before, after)) => {
                write!(self.out, "{before}{}{name}\x1b[0m{after}", colour(line.priority))?;
            }
            None => self.out.write_all(line.text.as_bytes())?,
        }
        self.out.write_all(b"\n")
    }
}

fn failed(cause: std::io::Error) -> SinkError {
    // The line stays in the buffer: to take it again would print it twice.
    SinkError { sink: "stdout", what: "cannot write".into(), cause, again: false }
}

impl<W: Write + Send> Sink for StdoutSink<W> {
    fn name(&self) -> &'static str {
        "stdout"
    }

    fn write(&mut self, line: &Line) -> Result<(), SinkError> {
        self.put(line).map_err(failed)
    }

    fn may_keep(&self) -> bool {
        !self.unbuffered
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.out.flush().map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(coloured: bool, priority_at: Option<usize>) -> String {
        let mut sink = StdoutSink { out: BufWriter::new(Vec::new()), coloured, unbuffered: false };
        let text = "1: Warning x".to_owned();
        sink.write(&Line { text, priority: Priority::Warning, priority_at, rule: "".into() }).unwrap();
        String::from_utf8(sink.out.into_inner().unwrap()).unwrap()
    }

    #[test]
    fn only_the_priority_of_a_text_line_is_coloured() {
        assert_eq!(written(true, Some(3)), "1: \x1b[33mWarning\x1b[0m x\n");
        assert_eq!(written(true, None), "1: Warning x\n");
        assert_eq!(written(false, Some(3)), "1: Warning x\n");
    }
}
