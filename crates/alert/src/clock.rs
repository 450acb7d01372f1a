//! Times as alerts print them.

use std::fmt::Write;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

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
        // digit by digit: a format string costs as much as all else that makes a line
        let mut text = *b"00:00:00.000000000";
        put_digits(&mut text[..2], day as u64 / 3600);
        put_digits(&mut text[3..5], day as u64 / 60 % 60);
        put_digits(&mut text[6..8], day as u64 % 60);
        put_digits(&mut text[9..], ts % 1_000_000_000);
        out.push_str(std::str::from_utf8(&text).unwrap_or_default());
    }

    /// Appends `Day Mon DD HH:MM:SS YYYY` in the clock's zone, as the log of Falco's begins.
    pub fn date(&self, ts: u64, out: &mut String) {
        let seconds = (ts / 1_000_000_000) as i64;
        let shifted = Timestamp::from_second(seconds + self.offset(seconds)).unwrap_or(Timestamp::UNIX_EPOCH);
        // Writing to a String cannot fail.
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
        let at = Offset::UTC.to_datetime(Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH));
        let mut text = *b"0000-00-00T00:00:00.000000000";
        put_digits(&mut text[..4], at.year().unsigned_abs().into());
        for (place, number) in
            [(5, at.month()), (8, at.day()), (11, at.hour()), (14, at.minute()), (17, at.second())]
        {
            put_digits(&mut text[place..place + 2], number.unsigned_abs().into());
        }
        put_digits(&mut text[20..], ts % 1_000_000_000);
        out.push_str(std::str::from_utf8(&text).unwrap_or_default());
    }
}

/// Fills a place with the last digits of a number.
fn put_digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
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
        for (ts, text) in [(0, "1970-01-01T00:00:00.000000000"), (u64::MAX, "2554-07-21T23:34:33.709551615")]
        {
            out.clear();
            Clock::iso8601(ts, &mut out);
            assert_eq!(out, text);
        }
        out.clear();
        Clock::utc().date(TS, &mut out);
        assert_eq!(out, "Tue Nov 24 19:38:41 2026");
    }
}
