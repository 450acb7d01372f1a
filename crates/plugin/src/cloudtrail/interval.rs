//! A stretch of time: `start` or `start-end`, each a time (`2026-01-31T00:00:00Z`) or how long ago that is (`5d`).

use jiff::Timestamp;

/// From when to when; open where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Interval {
    pub start: Option<Timestamp>,
    pub end: Option<Timestamp>,
}

impl Interval {
    /// Reads it.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(super) fn parse(text: &str, now: Timestamp) -> Result<Interval, String> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Interval::default());
        }
        let bad = |why: String| format!("cloudtrail invalid interval: \"{text}\": {why}");
        // A time has dashes of its own, so that each may be the one between start and end.
        for (at, _) in text.match_indices('-') {
            let (start, end) = (text[..at].trim(), text[at + 1..].trim());
            if let (Ok(start), Ok(end)) = (moment(start, now), moment(end, now)) {
                if end < start {
                    return Err(bad("its end is before its start".to_owned()));
                }
                return Ok(Interval { start: Some(start), end: Some(end) });
            }
        }
        Ok(Interval { start: Some(moment(text, now).map_err(bad)?), end: None })
    }

    /// Whether a file may have entries of that time, by its name: those of CloudTrail tell the minute they were
    /// delivered, as `_CloudTrail_us-east-1_20260131T0005Z_`.
    pub(super) fn has(&self, name: &str) -> bool {
        let said = |name: &str| {
            let rest = &name[name.find("_CloudTrail_")? + "_CloudTrail_".len()..];
            let time = rest.split('_').nth(1)?.strip_suffix('Z')?;
            Some(time.to_owned())
        };
        let Some(time) = said(name) else { return true };
        let minute = |moment: Timestamp| moment.strftime("%Y%m%dT%H%M").to_string();
        let after = self.start.is_none_or(|start| time >= minute(start));
        after && self.end.is_none_or(|end| time <= minute(end))
    }

    /// The folder of the day it starts, below that of a region.
    pub(super) fn first_day(&self) -> Option<String> {
        self.start.map(|start| start.strftime("%Y/%m/%d").to_string())
    }
}

fn moment(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let unit = match text.as_bytes().last() {
        Some(b'w') => 7 * 86_400,
        Some(b'd') => 86_400,
        Some(b'h') => 3_600,
        Some(b'm') => 60,
        Some(b's') => 1,
        _ => 0,
    };
    if unit > 0 {
        let count: i64 =
            text[..text.len() - 1].parse().map_err(|_| format!("'{text}' is no length of time"))?;
        let ago = count.checked_mul(unit).and_then(|ago| now.as_second().checked_sub(ago));
        return Timestamp::from_second(ago.unwrap_or(i64::MIN)).map_err(|error| error.to_string());
    }
    text.parse().map_err(|error: jiff::Error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_times_or_how_long_ago_they_are() {
        let now: Timestamp = "2026-02-01T00:10:30Z".parse().unwrap();
        let parse = |text: &str| Interval::parse(text, now);
        let of = |start: &str, end: Option<&str>| Interval {
            start: Some(start.parse().unwrap()),
            end: end.map(|end| end.parse().unwrap()),
        };
        assert_eq!(parse("").unwrap(), Interval::default());
        assert_eq!(parse("1d").unwrap(), of("2026-01-31T00:10:30Z", None));
        assert_eq!(parse("2h - 30s").unwrap(), of("2026-01-31T22:10:30Z", Some("2026-02-01T00:10:00Z")));
        let both = "2026-01-01T00:00:00Z-2026-01-02T00:00:00Z";
        assert_eq!(parse(both).unwrap(), of("2026-01-01T00:00:00Z", Some("2026-01-02T00:00:00Z")));
        assert!(parse("1h-2h").unwrap_err().contains("end is before its start"));
        assert!(parse("yesterday").is_err() && parse("xd").is_err());
    }

    #[test]
    fn files_are_chosen_by_the_minute_in_their_names() {
        let now: Timestamp = "2026-02-01T00:10:30Z".parse().unwrap();
        let interval = Interval::parse("2026-01-31T00:05:00Z-2026-01-31T01:00:00Z", now).unwrap();
        let has = |time: &str| {
            interval.has(&format!("AWSLogs/1/CloudTrail/r/1_CloudTrail_us-east-1_{time}Z_x.json.gz"))
        };
        assert!(has("20260131T0005") && has("20260131T0100") && interval.has("other.json"));
        assert!(!has("20260131T0004") && !has("20260131T0101"));
        assert_eq!(interval.first_day().as_deref(), Some("2026/01/31"));
    }
}
