//! Times as alerts print them.

use std::fmt::Write;

use jiff::{Timestamp, tz::TimeZone};

/// Prints times of day in one time zone.
#[derive(Clone, Debug)]
pub struct Clock {
    zone: TimeZone,
}

impl Clock {
    /// The system's zone, or the one that the variable `TZ` names.
    pub fn local() -> Clock {
        Clock { zone: TimeZone::system() }
    }

    /// UTC.
    pub fn utc() -> Clock {
        Clock { zone: TimeZone::UTC }
    }

    /// Local time minus UTC, in seconds, at a time in seconds since 1970.
    pub fn offset(&self, seconds: i64) -> i64 {
        Timestamp::from_second(seconds).map_or(0, |t| i64::from(self.zone.to_offset(t).seconds()))
    }

    /// Appends `HH:MM:SS.nnnnnnnnn` in the clock's zone. `ts` is in ns since 1970.
    pub fn time_of_day(&self, ts: u64, out: &mut String) {
        let seconds = (ts / 1_000_000_000) as i64;
        let offset =
            Timestamp::from_second(seconds).map_or(0, |t| i64::from(self.zone.to_offset(t).seconds()));
        let day = (seconds + offset).rem_euclid(86_400);
        let (h, m, s) = (day / 3600, day / 60 % 60, day % 60);
        // Writing to a String cannot fail.
        let _ = write!(out, "{h:02}:{m:02}:{s:02}.{:09}", ts % 1_000_000_000);
    }

    /// Appends `Day Mon DD HH:MM:SS YYYY` in the clock's zone, as the log of Falco's begins.
    pub fn date(&self, ts: u64, out: &mut String) {
        let seconds = (ts / 1_000_000_000) as i64;
        let shifted = Timestamp::from_second(seconds + self.offset(seconds)).unwrap_or(Timestamp::UNIX_EPOCH);
        let _ = write!(out, "{}", shifted.strftime("%a %b %d %H:%M:%S %Y"));
    }

    /// Appends `Mon DD HH:MM:SS` in the clock's zone, the day padded with a space, as syslog messages begin.
    pub fn syslog(&self, ts: u64, out: &mut String) {
        let seconds = (ts / 1_000_000_000) as i64;
        let shifted = Timestamp::from_second(seconds + self.offset(seconds)).unwrap_or(Timestamp::UNIX_EPOCH);
        let _ = write!(out, "{}", shifted.strftime("%b %e %H:%M:%S"));
    }

    /// Appends `YYYY-MM-DDTHH:MM:SS.nnnnnnnnn` in UTC; what marks it as UTC is the caller's to add.
    pub fn iso8601(ts: u64, out: &mut String) {
        let seconds = (ts / 1_000_000_000) as i64;
        let date = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
        let _ = write!(out, "{}.{:09}", date.strftime("%Y-%m-%dT%H:%M:%S"), ts % 1_000_000_000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TS: u64 = 1_795_549_121_898_299_224;

    fn day(clock: &Clock) -> String {
        let mut out = String::new();
        clock.time_of_day(TS, &mut out);
        out
    }

    #[test]
    fn a_time_of_day_is_in_the_clocks_zone() {
        assert_eq!(day(&Clock::utc()), "19:38:41.898299224");
        let zone = TimeZone::posix("UTC-05:30").unwrap();
        assert_eq!(day(&Clock { zone }), "01:08:41.898299224");
    }

    #[test]
    fn iso_8601_is_utc() {
        let mut out = String::new();
        Clock::iso8601(TS, &mut out);
        assert_eq!(out, "2026-11-24T19:38:41.898299224");
        out.clear();
        Clock::utc().date(TS, &mut out);
        assert_eq!(out, "Tue Nov 24 19:38:41 2026");
    }
}
