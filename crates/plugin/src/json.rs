//! Documents of any kind, as long as they are JSON.

use lanner_fields::json::{Json, Kind, Tape};

use crate::audit::time;
use crate::batch::Batch;
use crate::documents::{Documents, Read};

/// Each document is an event; of an array each item is.
#[derive(Debug)]
pub(crate) struct JsonEvents {
    tape: Tape,
    limit: usize,
    /// Where an event says when it happened.
    time: Option<String>,
}

impl JsonEvents {
    /// Events may have up to `limit` bytes. `time`: a JSON pointer to their time; without one it is that of arrival.
    pub(crate) fn new(limit: usize, time: Option<String>) -> JsonEvents {
        JsonEvents { tape: Tape::new(), limit, time }
    }
}

impl Documents for JsonEvents {
    fn read(&mut self, document: &[u8], now: u64, batch: &mut Batch) -> Result<Read, String> {
        self.tape.read(document).map_err(|error| error.to_string())?;
        let root = self.tape.root(document).ok_or("it is empty")?;
        let mut read = Read::default();
        let mut take = |event: Json<'_>| {
            let said = self.time.as_deref().and_then(|pointer| moment(event.at_pointer(pointer)?));
            if event.kind() != Kind::Object {
                read.malformed += 1;
            } else if batch.add(said.unwrap_or(now), self.limit, |out| event.write(out)) {
                read.taken += 1;
            } else {
                read.too_large += 1;
            }
        };
        match root.kind() {
            Kind::Array => root.items().for_each(take),
            Kind::Object => take(root),
            _ => return Err("it is neither an object nor an array of objects".to_owned()),
        }
        Ok(read)
    }
}

/// A time as logs write it, in ns since 1970: RFC 3339, or a number of seconds, ms, µs or ns, told apart by its size.
fn moment(value: Json<'_>) -> Option<u64> {
    if value.kind() != Kind::Number {
        return time(value);
    }
    let text = std::str::from_utf8(value.raw()).ok()?;
    let number: f64 = text.parse().ok().filter(|number| *number >= 0.0)?;
    let scales = [(1e11, 1_000_000_000u64), (1e14, 1_000_000), (1e17, 1_000), (2e19, 1)];
    let (_, scale) = scales.into_iter().find(|(below, _)| number < *below)?;
    // A fraction needs the float; a whole number keeps its digits.
    match text.parse::<u64>() {
        Ok(whole) => whole.checked_mul(scale),
        Err(_) => Some((number * scale as f64) as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(document: &str) -> Result<Vec<(u64, String)>, String> {
        let mut batch = Batch::default();
        JsonEvents::new(40, Some("/t".into())).read(document.as_bytes(), 7, &mut batch)?;
        Ok(batch.iter().map(|(ts, text)| (ts, String::from_utf8(text.to_vec()).unwrap())).collect())
    }

    #[test]
    fn an_event_may_say_when_it_happened() {
        let ts = |time: &str| read(&format!("{{\"t\":{time}}}")).unwrap()[0].0;
        assert_eq!(ts("\"2018-10-25T13:58:49Z\""), 1_540_475_929_000_000_000);
        assert_eq!(ts("\"2018-10-25T15:58:49.5+02:00\""), 1_540_475_929_500_000_000);
        assert_eq!(ts("1540475929"), 1_540_475_929_000_000_000);
        assert_eq!(ts("1540475929.5"), 1_540_475_929_500_000_000);
        assert_eq!(ts("1540475929123"), 1_540_475_929_123_000_000);
        assert_eq!(ts("1540475929123456789"), 1_540_475_929_123_456_789);
        for none in ["\"soon\"", "null", "-1", "1e300"] {
            assert_eq!(ts(none), 7, "{none}");
        }
    }

    #[test]
    fn arrays_are_many_events_and_scalars_none() {
        let texts =
            |document| read(document).map(|events| events.into_iter().map(|e| e.1).collect::<Vec<_>>());
        assert_eq!(texts("[{\"a\": 1}, 5, {\"b\": 2}]").unwrap(), ["{\"a\":1}", "{\"b\":2}"]);
        let long = format!("{{\"a\": \"{}\"}}", "x".repeat(50));
        assert!(texts(&long).unwrap().is_empty());
        assert!(texts("5").is_err() && texts("{").is_err());
    }
}
