//! From documents to events.

use std::fmt;
use std::sync::Arc;

use crate::batch::Batch;
use crate::stats::{Refusal, SourceStats};

/// What came of a document's events.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Read {
    /// Taken.
    pub taken: u64,
    /// Without what an event must have.
    pub malformed: u64,
    /// Larger than allowed.
    pub too_large: u64,
}

/// Reads documents of one kind. It keeps its memory between them.
pub(crate) trait Documents: Send {
    /// Appends the events of a document. One that is no good doesn't spoil the others. `now`: ns since 1970, for
    /// events that don't say when they happened.
    ///
    /// # Errors
    /// Says why the document holds no events at all.
    fn read(&mut self, document: &[u8], now: u64, batch: &mut Batch) -> Result<Read, String>;
}

/// Where a source says what it can't take.
#[derive(Clone)]
pub struct Reporting {
    stats: Arc<SourceStats>,
    tell: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Reporting {
    /// Counts into `stats`; `tell` is called with a line for people, ever more rarely.
    pub fn new(stats: Arc<SourceStats>, tell: Arc<dyn Fn(&str) + Send + Sync>) -> Reporting {
        Reporting { stats, tell }
    }

    /// Says something to people.
    pub(crate) fn say(&self, text: &str) {
        (self.tell)(text);
    }

    /// Counts what was refused. It is told at the first, the tenth, the hundredth time and so on, so that a flood of
    /// nonsense is no flood of lines.
    pub(crate) fn refuse(&self, refusal: Refusal, count: u64, why: &dyn fmt::Display) {
        if count == 0 {
            return;
        }
        let now = self.stats.refuse(refusal, count);
        let digits = |count: u64| count.checked_ilog10();
        if digits(now) != digits(now - count) {
            self.say(&format!("{now} refused so far as {refusal}; the last: {why}"));
        }
    }

    /// Counts what came of a document.
    pub(crate) fn count(&self, read: Read) {
        self.stats.take(read.taken);
        self.refuse(Refusal::Malformed, read.malformed, &"an event without its time");
        self.refuse(Refusal::TooLarge, read.too_large, &"an event");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn floods_are_told_ever_more_rarely() {
        let said = Arc::new(Mutex::new(Vec::new()));
        let tell = {
            let said = Arc::clone(&said);
            move |text: &str| said.lock().unwrap().push(text.to_owned())
        };
        let stats = Arc::new(SourceStats::default());
        let reporting = Reporting::new(Arc::clone(&stats), Arc::new(tell));
        (0..250).for_each(|_| reporting.refuse(Refusal::Malformed, 1, &"oops"));
        reporting.refuse(Refusal::Full, 0, &"nothing");
        assert_eq!(stats.refused(Refusal::Malformed), 250);
        let said = said.lock().unwrap();
        assert_eq!(said.len(), 3);
        assert_eq!(said[1], "10 refused so far as malformed; the last: oops");
    }
}
