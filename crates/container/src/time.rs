//! Points in time as runtimes write them.

use jiff::Timestamp;

/// Nanoseconds since 1970 of an RFC 3339 time; nothing for one that isn't or that lies before.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let timestamp: Timestamp = text.parse().ok()?;
    u64::try_from(timestamp.as_nanosecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn reads_rfc_3339() {
        assert_eq!(parse("1970-01-01T00:00:01.000000006Z"), Some(1_000_000_006));
        assert_eq!(parse("1970-01-01T01:00:01+01:00"), Some(1_000_000_000));
        assert_eq!(parse("0001-01-01T00:00:00Z"), None);
        assert_eq!(parse("soon"), None);
    }
}
