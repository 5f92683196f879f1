//! The one place where a report gets a wall-clock time.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use toml::value::Date;

/// A moment as RFC 3339 text in UTC, to the second; the epoch for what no calendar holds.
pub fn utc_timestamp(moment: SystemTime) -> String {
    let moment = Timestamp::try_from(moment).unwrap_or_default();
    format!("{moment:.0}")
}

/// The day of a moment in UTC; the epoch's for what no calendar holds.
pub fn utc_date(moment: SystemTime) -> Date {
    let moment = Timestamp::try_from(moment).unwrap_or_default();
    let date = TimeZone::UTC.to_datetime(moment).date();
    Date {
        year: date.year().unsigned_abs(),
        month: date.month().unsigned_abs(),
        day: date.day().unsigned_abs(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn known_moments() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (1_772_323_200, "2026-03-01T00:00:00Z"),
        ] {
            let moment = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(utc_timestamp(moment), text);
            assert_eq!(utc_date(moment).to_string(), text[..10]);
        }
    }
}
