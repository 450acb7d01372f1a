//! Reading several rings as one stream in the order of time.

use lanner_event::Event;

use crate::sys::Ring;

/// An event that is younger than this may still be overtaken by one that another CPU is just writing.
const SETTLING: u64 = 50_000;

/// An event that is younger than now by more than this was stamped before the wall clock was set back.
const CLOCK_SET_BACK: u64 = 1_000_000_000;

/// Bytes after which a ring's writer gets back what has been read, even within one drain.
const RELEASE_BYTES: u64 = 64 << 10;

/// What a drain did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Events delivered.
    pub events: usize,
    /// Records that are no events.
    pub damaged: u64,
    /// Whether events were left because they are too young.
    pub young: bool,
}

/// The time stamp at the start of an event.
fn time_of(record: &[u8]) -> u64 {
    record.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

/// The CPU that stands behind the event.
fn cpu_of(record: &[u8]) -> u16 {
    record.last_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes) as u16)
}

/// Whether an event may be delivered: no older one can come any more, or its time says nothing about that.
fn settled(time: u64, now: u64) -> bool {
    time <= now.saturating_sub(SETTLING) || time > now.saturating_add(CLOCK_SET_BACK)
}

/// Delivers what is in the rings and older than `now` by the time it takes to settle.
pub fn drain(rings: &mut [Ring], now: u64, sink: &mut dyn FnMut(&Event<'_>)) -> Drained {
    let mut drained = Drained::default();
    let ends: Vec<u64> = rings.iter().map(Ring::written).collect();
    let mut heads: Vec<u64> =
        rings.iter_mut().zip(&ends).map(|(ring, end)| ring.head(*end).map_or(u64::MAX, time_of)).collect();
    loop {
        let (first, limit) = two_earliest(&heads);
        let Some(first) = first else { break };
        if !settled(heads[first], now) {
            drained.young = true;
            break;
        }
        let ring = &mut rings[first];
        // as long as this ring has the earliest event, the others need not be looked at
        heads[first] = loop {
            let Some(record) = ring.head(ends[first]) else { break u64::MAX };
            let time = time_of(record);
            if time > limit || !settled(time, now) {
                break time;
            }
            let len = record.len();
            match Event::decode(record, cpu_of(record)) {
                Ok(event) => {
                    sink(&event);
                    drained.events += 1;
                }
                Err(_) => drained.damaged += 1,
            }
            ring.advance(len);
            if ring.held() >= RELEASE_BYTES {
                ring.release();
            }
        };
    }
    rings.iter_mut().for_each(Ring::release);
    drained
}

/// The ring with the earliest head, if any has one, and the time of the next earliest.
fn two_earliest(heads: &[u64]) -> (Option<usize>, u64) {
    let mut first = None;
    let mut times = (u64::MAX, u64::MAX);
    for (i, &time) in heads.iter().enumerate() {
        if time < times.0 {
            times = (time, times.0);
            first = Some(i);
        } else if time < times.1 {
            times.1 = time;
        }
    }
    (first, times.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn young_events_wait_unless_the_clock_was_set_back() {
        let now = 10_000_000_000;
        assert!(settled(now - SETTLING, now) && settled(1, now));
        assert!(!settled(now - SETTLING + 1, now) && !settled(now + CLOCK_SET_BACK, now));
        assert!(settled(now + 2 * CLOCK_SET_BACK, now));
    }

    #[test]
    fn the_two_earliest_are_found() {
        assert_eq!(two_earliest(&[]), (None, u64::MAX));
        assert_eq!(two_earliest(&[u64::MAX, 7]), (Some(1), u64::MAX));
        assert_eq!(two_earliest(&[9, 7, 8]), (Some(1), 8));
        assert_eq!(two_earliest(&[7, 8, 9]), (Some(0), 8));
        assert_eq!(two_earliest(&[7, 7]), (Some(0), 7));
    }
}
