//! Finished lines that go their way together: one text, so that many of them cost little more than one.

use std::sync::Arc;

use crate::Priority;

/// Room for lines, and for their text, when the first comes.
const LINES: usize = 64;
const TEXT: usize = 16 << 10;

/// A finished line, without its newline.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// The line.
    pub text: String,
    /// Its alert's priority.
    pub priority: Priority,
    /// Where in a text line the priority's name begins; `None` in JSON.
    pub priority_at: Option<usize>,
    /// The name of its alert's rule, which all lines of the rule have in common: a rule that floods a queue leaves
    /// room to others.
    pub rule: Arc<str>,
}

/// The same, wherever it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LineRef<'a> {
    /// The line.
    pub text: &'a str,
    /// Its alert's priority.
    pub priority: Priority,
    /// Where in a text line the priority's name begins; `None` in JSON.
    pub priority_at: Option<usize>,
    /// The name of its alert's rule.
    pub rule: &'a Arc<str>,
}

impl Line {
    /// The line where it stands.
    pub fn view(&self) -> LineRef<'_> {
        let Line { text, priority, priority_at, rule } = self;
        LineRef { text, priority: *priority, priority_at: *priority_at, rule }
    }
}

/// Lines, one behind the other.
#[derive(Clone, Default, Debug)]
pub struct Lines {
    /// Each ends with a newline.
    text: String,
    marks: Vec<Mark>,
    /// Rules of the lines. A rule's lines share one count of users here, which threads would fight for.
    rules: Vec<Arc<str>>,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    start: usize,
    end: usize,
    priority: Priority,
    priority_at: Option<usize>,
    rule: usize,
}

impl From<Line> for Lines {
    fn from(line: Line) -> Lines {
        let Line { mut text, priority, priority_at, rule } = line;
        let mark = Mark { start: 0, end: text.len(), priority, priority_at, rule: 0 };
        text.push('\n');
        Lines { text, marks: vec![mark], rules: vec![rule] }
    }
}

impl Lines {
    /// Adds the line that `write` appends to the text; it tells where in the line the priority's name begins.
    pub fn push(
        &mut self,
        priority: Priority,
        rule: &Arc<str>,
        write: impl FnOnce(&mut String) -> Option<usize>,
    ) {
        if self.text.capacity() == 0 {
            self.text.reserve(TEXT);
            self.marks.reserve(LINES);
        }
        let start = self.text.len();
        let priority_at = write(&mut self.text);
        let end = self.text.len();
        self.text.push('\n');
        let known = self.rules.iter().rposition(|known| Arc::ptr_eq(known, rule));
        let rule = known.unwrap_or_else(|| {
            self.rules.push(Arc::clone(rule));
            self.rules.len() - 1
        });
        self.marks.push(Mark { start, end, priority, priority_at, rule });
    }

    /// Adds a line that stands elsewhere.
    pub fn copy(&mut self, line: LineRef<'_>) {
        self.push(line.priority, line.rule, |text| {
            text.push_str(line.text);
            line.priority_at
        });
    }

    /// Gives back memory that few lines don't need, for they may have to wait.
    pub fn fit(&mut self) {
        if self.text.capacity() / 2 > self.text.len() {
            self.text.shrink_to_fit();
            self.marks.shrink_to_fit();
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// All of them.
    pub fn all(&self) -> SomeLines<'_> {
        SomeLines { lines: self, marks: &self.marks }
    }
}

/// Lines that stand together.
#[derive(Clone, Copy, Debug)]
pub struct SomeLines<'a> {
    lines: &'a Lines,
    marks: &'a [Mark],
}

impl<'a> SomeLines<'a> {
    /// Those at some places among these.
    #[must_use]
    pub fn part(self, places: std::ops::Range<usize>) -> SomeLines<'a> {
        SomeLines { marks: self.marks.get(places).unwrap_or_default(), ..self }
    }

    /// Copies of them, which take as much memory as they need.
    pub fn copied(self) -> Lines {
        let mut lines = Lines::default();
        self.iter().for_each(|line| lines.copy(line));
        lines.fit();
        lines
    }

    /// Each of them.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = LineRef<'a>> {
        let SomeLines { lines, marks } = self;
        marks.iter().filter_map(move |mark| {
            Some(LineRef {
                text: lines.text.get(mark.start..mark.end)?,
                priority: mark.priority,
                priority_at: mark.priority_at,
                rule: lines.rules.get(mark.rule)?,
            })
        })
    }

    /// Them as one text, a newline behind each.
    pub fn text(self) -> &'a str {
        match (self.marks.first(), self.marks.last()) {
            (Some(first), Some(last)) => &self.lines.text[first.start..=last.end],
            _ => "",
        }
    }

    /// How many there are.
    pub fn len(self) -> usize {
        self.marks.len()
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.marks.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_one_behind_the_other() {
        let rules: [Arc<str>; 2] = ["a", "b"].map(Arc::from);
        let mut lines = Lines::default();
        for n in 0..5 {
            lines.push(Priority::Notice, &rules[n % 2], |text| {
                text.push_str(&"x".repeat(n));
                Some(n)
            });
        }
        let of_two = lines.all().part(1..3);
        assert_eq!((of_two.text(), of_two.len(), lines.rules.len()), ("x\nxx\n", 2, 2));
        let told: Vec<_> = of_two.iter().map(|line| (line.text, line.priority_at, &**line.rule)).collect();
        assert_eq!(told, [("x", Some(1), "b"), ("xx", Some(2), "a")]);
        assert!(lines.all().part(5..6).is_empty() && lines.all().part(5..5).text().is_empty());
    }
}
