//! Lines on standard output.

use std::io::{BufWriter, IsTerminal, Stdout, Write};

use super::{LineRef, Sink, SinkError, SomeLines, each};
use lanner_alert::Priority;

/// Bytes that are written at once, at most: what a pipe holds, unless somebody made it larger.
const BUFFER: usize = 64 << 10;

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
        StdoutSink { out: BufWriter::with_capacity(BUFFER, stdout), coloured, unbuffered }
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
    fn put(&mut self, line: LineRef<'_>) -> std::io::Result<()> {
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

    fn write(&mut self, line: LineRef<'_>) -> Result<(), SinkError> {
        self.put(line).map_err(failed)
    }

    fn write_some(&mut self, lines: SomeLines<'_>) -> (usize, Result<(), SinkError>) {
        let text = lines.text();
        // As one text, if it all goes into the buffer: of one that is written by itself a part may be out when it fails.
        if self.coloured || text.len() >= BUFFER {
            return each(lines, |line| self.write(line));
        }
        match self.out.write_all(text.as_bytes()) {
            Ok(()) => (lines.len(), Ok(())),
            Err(cause) => (0, Err(failed(cause))),
        }
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
    use lanner_alert::{Line, Lines};

    fn written(coloured: bool, priority_at: Option<usize>) -> String {
        let mut sink = StdoutSink { out: BufWriter::new(Vec::new()), coloured, unbuffered: false };
        let text = "1: Warning x".to_owned();
        let line = Line { text, priority: Priority::Warning, priority_at, rule: "".into() };
        sink.write(line.view()).unwrap();
        String::from_utf8(sink.out.into_inner().unwrap()).unwrap()
    }

    #[test]
    fn lines_that_come_together_are_printed_as_each_alone() {
        for coloured in [false, true] {
            let mut lines = Lines::default();
            for n in [1, 2, BUFFER] {
                lines.push(Priority::Notice, &"".into(), |text| {
                    text.push_str(&"x".repeat(n));
                    text.push_str("Notice");
                    Some(n)
                });
            }
            let new = || StdoutSink {
                out: BufWriter::with_capacity(BUFFER, Vec::new()),
                coloured,
                unbuffered: true,
            };
            let (mut together, mut alone) = (new(), new());
            lines.all().iter().for_each(|line| alone.write(line).unwrap());
            for part in [0..2, 2..3] {
                let count = part.len();
                let (taken, result) = together.write_some(lines.all().part(part));
                assert!(taken == count && result.is_ok());
            }
            assert!(together.out.into_inner().unwrap() == alone.out.into_inner().unwrap());
        }
    }

    #[test]
    fn only_the_priority_of_a_text_line_is_coloured() {
        assert_eq!(written(true, Some(3)), "1: \x1b[33mWarning\x1b[0m x\n");
        assert_eq!(written(true, None), "1: Warning x\n");
        assert_eq!(written(false, Some(3)), "1: Warning x\n");
    }
}
