//! The entries of a log file.

use lanner_fields::json::{Json, Kind, Tape};

use crate::audit::time;
use crate::batch::Batch;
use crate::documents::Read;

/// Appends the entries of a file: `{"Records": [...]}`, an array, or a single one. Entries without a time or a type are
/// none, nor are insights.
///
/// # Errors
/// Says why the file holds no entries.
pub(crate) fn read(file: &[u8], batch: &mut Batch) -> Result<Read, String> {
    let mut tape = Tape::new();
    tape.read(file).map_err(|error| error.to_string())?;
    let root = tape.root(file).ok_or("it is empty")?;
    let mut read = Read::default();
    let mut take = |entry: Json<'_>| match entry.get("eventTime").and_then(time) {
        Some(ts) if is_entry(entry) => {
            // A file is bounded, and so is an entry.
            batch.add(ts, usize::MAX, |out| entry.write(out));
            read.taken += 1;
        }
        Some(_) => {}
        None => read.malformed += 1,
    };
    match (root.kind(), root.get("Records")) {
        (Kind::Object, Some(records)) => records.items().for_each(take),
        (Kind::Array, _) => root.items().for_each(take),
        (Kind::Object, None) if root.get("eventTime").is_some() => take(root),
        _ => return Err("there are no Records in it".to_owned()),
    }
    Ok(read)
}

fn is_entry(entry: Json<'_>) -> bool {
    let kind = entry.get("eventType").and_then(|kind| kind.to_text());
    kind.is_some_and(|kind| kind != b"AwsCloudTrailInsight")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_those_with_a_time_and_a_type() {
        let good = r#"{"eventTime":"2014-03-06T21:22:54Z","eventType":"AwsApiCall"}"#;
        let insight = r#"{"eventTime":"2014-03-06T21:22:54Z","eventType":"AwsCloudTrailInsight"}"#;
        let count = |file: &str| {
            let mut batch = Batch::default();
            read(file.as_bytes(), &mut batch).map(|read| (batch.len(), read.taken, read.malformed))
        };
        assert_eq!(count(&format!(r#"{{"Records":[{good},{insight},{{}},{good}]}}"#)), Ok((2, 2, 1)));
        assert_eq!(count(&format!("[{good}]")), Ok((1, 1, 0)));
        assert_eq!(count(good), Ok((1, 1, 0)));
        assert!(count("{}").is_err() && count("3").is_err() && count("").is_err());
    }
}
