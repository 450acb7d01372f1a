//! What a Kubernetes API server sends: audit events, alone, in an EventList, or in an array.

use jiff::Timestamp;
use lanner_fields::json::{Json, JsonError, Kind, Tape};

use crate::batch::Batch;
use crate::documents::{Documents, Read};

/// Why a document holds no audit events.
#[derive(Debug, thiserror::Error)]
enum AuditError {
    /// It isn't JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// It is JSON of something else.
    #[error("data not recognized as a k8s audit event (its kind is neither Event nor EventList)")]
    Kind,
}

/// Reads documents, with memory that it keeps.
#[derive(Debug)]
pub(crate) struct AuditEvents {
    tape: Tape,
    limit: usize,
}

impl AuditEvents {
    /// Events may have up to `limit` bytes.
    pub(crate) fn new(limit: usize) -> AuditEvents {
        AuditEvents { tape: Tape::new(), limit }
    }

    fn take(&mut self, document: &[u8], batch: &mut Batch) -> Result<Read, AuditError> {
        self.tape.read(document)?;
        let root = self.tape.root(document).ok_or(AuditError::Kind)?;
        let mut read = Read::default();
        take(root, self.limit, batch, &mut read)?;
        Ok(read)
    }
}

impl Documents for AuditEvents {
    fn read(&mut self, document: &[u8], _now: u64, batch: &mut Batch) -> Result<Read, String> {
        self.take(document, batch).map_err(|error| error.to_string())
    }
}

fn take(value: Json<'_>, limit: usize, batch: &mut Batch, read: &mut Read) -> Result<(), AuditError> {
    if value.kind() == Kind::Array {
        return value.items().try_for_each(|item| take(item, limit, batch, read));
    }
    match value.get("kind").and_then(|kind| kind.to_text()).as_deref() {
        Some(b"Event") => take_event(value, limit, batch, read),
        Some(b"EventList") => {
            let items = value.get("items").ok_or(AuditError::Kind)?;
            items.items().for_each(|item| take_event(item, limit, batch, read));
        }
        _ => return Err(AuditError::Kind),
    }
    Ok(())
}

fn take_event(event: Json<'_>, limit: usize, batch: &mut Batch, read: &mut Read) {
    let Some(ts) = event.get("stageTimestamp").and_then(time) else {
        read.malformed += 1;
        return;
    };
    if batch.add(ts, limit, |out| event.write(out)) {
        read.taken += 1;
    } else {
        read.too_large += 1;
    }
}

/// A date and time (RFC 3339), in ns since 1970.
pub(crate) fn time(value: Json<'_>) -> Option<u64> {
    let text = value.to_text()?;
    let moment: Timestamp = std::str::from_utf8(&text).ok()?.parse().ok()?;
    moment.as_nanosecond().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"{"kind": "Event", "stageTimestamp": "2018-10-25T13:58:49.736141Z", "auditID": "1"}"#;

    fn read(document: &str) -> (Result<Read, String>, Vec<(u64, String)>) {
        let mut batch = Batch::default();
        let read = AuditEvents::new(100).read(document.as_bytes(), 0, &mut batch);
        (read, batch.iter().map(|(ts, text)| (ts, String::from_utf8(text.to_vec()).unwrap())).collect())
    }

    #[test]
    fn events_come_alone_and_in_lists() {
        let event = (1_540_475_929_736_141_000, ONE.replace(": ", ":").replace(", ", ","));
        assert_eq!(read(ONE).1, std::slice::from_ref(&event));
        let list = format!(r#"{{"kind":"EventList","items":[{ONE},{ONE}]}}"#);
        assert_eq!(read(&list).1, [event.clone(), event.clone()]);
        assert_eq!(read(&format!("[{ONE},{list}]")).1.len(), 3);
    }

    #[test]
    fn one_bad_event_does_not_spoil_a_list() {
        let long = ONE.replace("\"1\"", &format!("\"{}\"", "x".repeat(200)));
        let (result, events) = read(&format!(r#"{{"kind":"EventList","items":[{{}},{long},{ONE}]}}"#));
        assert_eq!(result, Ok(Read { taken: 1, malformed: 1, too_large: 1 }));
        assert_eq!(events.len(), 1);
    }

    #[test]
    fn other_documents_are_refused() {
        for document in [r#"{"kind": 0}"#, "{}", "1", r#"{"kind":"EventList"}"#, r#"{"kind":"Pod"}"#] {
            assert!(
                read(document).0.unwrap_err().contains("not recognized as a k8s audit event"),
                "{document}"
            );
        }
        assert!(read("{").0.unwrap_err().starts_with("not JSON at byte 1"));
    }
}
