//! What was found out about one event so far: truths of nodes and places of values. Marks carry the number of
//! the event, so that nothing has to be cleared from one to the next.

use std::cell::Cell;

/// The truths and places for one event at a time.
#[derive(Debug, Default)]
pub(crate) struct Board {
    truths: Vec<Cell<u32>>,
    places: Vec<Cell<(u32, u32)>>,
    /// Even, and different for each event: the mark for false; the one for true comes next.
    epoch: u32,
}

impl Board {
    /// Forgets all, and has room for so many nodes and values.
    pub(crate) fn begin(&mut self, nodes: usize, values: usize) {
        let cleared = self.epoch >= u32::MAX - 3;
        if cleared {
            *self = Board::default();
        }
        self.epoch += 2;
        if self.truths.len() < nodes {
            self.truths.resize(nodes, Cell::new(0));
        }
        if self.places.len() < values {
            self.places.resize(values, Cell::new((0, 0)));
        }
    }

    /// A node's truth, if it is known.
    #[inline]
    pub(crate) fn truth(&self, node: usize) -> Option<bool> {
        let mark = self.truths[node].get();
        if mark | 1 == self.epoch | 1 { Some(mark != self.epoch) } else { None }
    }

    #[inline]
    pub(crate) fn set_truth(&self, node: usize, truth: bool) {
        self.truths[node].set(self.epoch | u32::from(truth));
    }

    /// Where a value stands among those that were computed.
    #[inline]
    pub(crate) fn place(&self, value: usize) -> Option<usize> {
        let (epoch, place) = self.places[value].get();
        (epoch == self.epoch).then_some(place as usize)
    }

    #[inline]
    pub(crate) fn set_place(&self, value: usize, place: usize) {
        self.places[value].set((self.epoch, place as u32));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_begins_with_nothing_known() {
        let mut board = Board { epoch: u32::MAX - 9, ..Board::default() };
        for size in [3, 1, 5, 5, 5, 5, 5] {
            board.begin(size, size);
            assert!((0..size).all(|at| board.truth(at).is_none() && board.place(at).is_none()));
            for at in 0..size {
                board.set_truth(at, at % 2 == 0);
                board.set_place(at, at + 7);
            }
            assert!((0..size).all(|at| board.truth(at) == Some(at % 2 == 0)));
            assert!((0..size).all(|at| board.place(at) == Some(at + 7)));
        }
    }
}
