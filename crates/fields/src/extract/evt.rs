//! Fields that every event has: number, time, source, host.

use std::fmt;

use lanner_event::{Category, types};

use crate::table::Evt;
use crate::{Context, Value};

const SECOND: u64 = 1_000_000_000;

pub(crate) fn extract<'a>(id: Evt, cx: &Context<'a>) -> Option<Value<'a>> {
    let (event, meta, scratch) = (cx.event, cx.meta, cx.scratch);
    let since_first = event.ts.wrapping_sub(meta.first_ts);
    let offset = || (meta.utc_offset)((event.ts / SECOND) as i64);
    Some(match id {
        Evt::EvtNum => Value::Unsigned(meta.num),
        Evt::EvtTime => {
            let t = Civil::of(event.ts, offset());
            Value::Text(scratch.format(format_args!("{}.{:09}", t.time, t.ns)))
        }
        Evt::EvtTimeS => Value::Text(scratch.format(format_args!("{}", Civil::of(event.ts, offset()).time))),
        Evt::EvtTimeIso8601 => {
            let t = Civil::of(event.ts, 0);
            Value::Text(scratch.format(format_args!("{}T{}.{:09}+0000", t.date, t.time, t.ns)))
        }
        Evt::EvtDatetime => {
            let t = Civil::of(event.ts, offset());
            Value::Text(scratch.format(format_args!("{} {}.{:09}", t.date, t.time, t.ns)))
        }
        Evt::EvtDatetimeS => {
            let t = Civil::of(event.ts, offset());
            Value::Text(scratch.format(format_args!("{} {}", t.date, t.time)))
        }
        Evt::EvtRawtime => Value::Unsigned(event.ts),
        Evt::EvtRawtimeS => Value::Unsigned(event.ts / SECOND),
        Evt::EvtRawtimeNs => Value::Unsigned(event.ts % SECOND),
        Evt::EvtReltime => Value::Unsigned(since_first),
        Evt::EvtReltimeS => Value::Unsigned(since_first / SECOND),
        Evt::EvtReltimeNs => Value::Unsigned(since_first % SECOND),
        Evt::EvtPluginname | Evt::EvtPlugininfo if event.ty() != types::PLUGINEVENT_E => return None,
        Evt::EvtPluginname => Value::Text(meta.plugin.as_bytes()),
        Evt::EvtPlugininfo if meta.plugin == "cloudtrail" => Value::Text(super::cloudtrail::summary(cx)?),
        Evt::EvtPlugininfo => {
            let told = meta.foreign.0.as_ref().and_then(|plugins| plugins.summary(cx));
            Value::Text(told.or_else(|| super::payload::bytes(cx))?)
        }
        Evt::EvtSource => Value::Text(meta.source.as_bytes()),
        Evt::EvtIsAsync => Value::Bool(event.info.is(Category::Metaevent)),
        Evt::EvtAsynctype if !event.info.is(Category::Metaevent) => return None,
        Evt::EvtAsynctype if event.ty() == types::ASYNCEVENT_E => {
            Value::Text(event.text(lanner_event::params::asyncevent_e::NAME)?)
        }
        Evt::EvtAsynctype => Value::Text(event.info.name.as_bytes()),
        Evt::EvtHostname => Value::Text(meta.hostname.as_bytes()),
    })
}

/// Texts of a moment are the moment's nanoseconds in JSON.
pub(crate) fn special_json(id: Evt, cx: &Context<'_>) -> Option<serde_json::Value> {
    match id {
        Evt::EvtTime | Evt::EvtTimeS | Evt::EvtTimeIso8601 | Evt::EvtDatetime | Evt::EvtDatetimeS => {
            Some(cx.event.ts.into())
        }
        _ => None,
    }
}

/// A day, as `2018-04-02`.
struct Date {
    year: i64,
    month: i64,
    day: i64,
}

/// A second of a day, as `21:27:02`.
struct Time(i64);

/// A moment in the calendar.
struct Civil {
    date: Date,
    time: Time,
    ns: u64,
}

impl Civil {
    /// `ts`: ns since 1970 in UTC; `offset`: seconds to add.
    fn of(ts: u64, offset: i64) -> Civil {
        let seconds = (ts / SECOND) as i64 + offset;
        let days = seconds.div_euclid(86_400);
        Civil { date: Date::of(days), time: Time(seconds.rem_euclid(86_400)), ns: ts % SECOND }
    }
}

impl Date {
    /// `days`: since 1970.
    fn of(days: i64) -> Date {
        // Days are counted in 400-year eras that begin in March, so that the leap day comes last.
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let month = (march_month + 2) % 12 + 1;
        Date {
            year: era * 400 + year_of_era + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * march_month + 2) / 5 + 1,
        }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}:{:02}", self.0 / 3600, self.0 % 3600 / 60, self.0 % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_fall_on_the_right_day() {
        let shown = |ts: u64, offset| {
            let t = Civil::of(ts * SECOND, offset);
            format!("{} {}", t.date, t.time)
        };
        assert_eq!(shown(0, 0), "1970-01-01 00:00:00");
        assert_eq!(shown(951_782_399, 0), "2000-02-28 23:59:59");
        assert_eq!(shown(951_782_400, 0), "2000-02-29 00:00:00");
        assert_eq!(shown(1_522_704_422, 0), "2018-04-02 21:27:02");
        assert_eq!(shown(1_522_704_422, 7_200), "2018-04-02 23:27:02");
        assert_eq!(shown(4_102_444_799, 3_600), "2100-01-01 00:59:59");
    }
}
