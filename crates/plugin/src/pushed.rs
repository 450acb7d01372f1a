//! Sources whose events come from a thread of their own, through a queue.

use std::time::Duration;

use crate::batch::Writer;
use crate::queue::{Found, Receiver, Sender};
use crate::source::{EventSource, Given, Sink, SourceError};

/// Gives what others put into a queue.
pub(crate) struct Pushed {
    sender: Sender,
    receiver: Receiver,
    writer: Writer,
    /// Dropped when the source is, for those who wait for that.
    _guard: Box<dyn Send>,
}

impl Pushed {
    /// The events of a queue, as those of a plugin. `guard` lives as long as the source.
    pub(crate) fn new(sender: Sender, receiver: Receiver, plugin: u32, guard: Box<dyn Send>) -> Pushed {
        Pushed { sender, receiver, writer: Writer::new(plugin), _guard: guard }
    }
}

impl EventSource for Pushed {
    fn give(&mut self, patience: Duration, sink: &mut Sink<'_>) -> Result<Given, SourceError> {
        Ok(match self.receiver.take(patience)? {
            Found::Batch(batch) => Given::Events(self.writer.give_all(&batch, sink)),
            Found::Nothing => Given::Nothing,
            Found::End => Given::End,
        })
    }

    fn finish(&mut self) -> bool {
        self.sender.end(Ok(()));
        true
    }
}
