//! Puts a time stamp, the stream and a continuation flag before each line.

use super::super::moment::Moment;
use super::LogStream;

/// A partial line is held back up to this size.
const HELD_BYTES_MAX: usize = 8 * 1024;

/// Standard output or standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// `O`
    Stdout,
    /// `E`
    Stderr,
}

#[derive(Debug, Clone)]
pub(super) struct Timestamper {
    started_at_unix_us: u64,
    stream: LogStream,
    kind: LineKind,
    continuation: bool,
    held: Vec<u8>,
}

impl Timestamper {
    pub(super) fn new(started_at_unix_us: u64, stream: LogStream, kind: LineKind) -> Self {
        Self {
            started_at_unix_us,
            stream,
            kind,
            continuation: false,
            held: Vec::new(),
        }
    }

    pub(super) fn write(&mut self, data: &[u8], now: Moment, out: &mut Vec<u8>) {
        let rest = self.whole_lines(data, now, out);
        let rest = self.carriage_returns(rest, now, out);
        self.hold(rest, now, out);
    }

    pub(super) fn close(&mut self, out: &mut Vec<u8>) {
        if !self.held.is_empty() {
            out.append(&mut self.held);
            out.push(b'\n');
        }
    }

    fn whole_lines<'a>(&mut self, data: &'a [u8], now: Moment, out: &mut Vec<u8>) -> &'a [u8] {
        let mut rest = data;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            if self.held.is_empty() {
                self.header(now, out);
            } else {
                out.append(&mut self.held);
            }
            out.extend_from_slice(&rest[..=end]);
            rest = &rest[end + 1..];
        }
        rest
    }

    /// A write with a carriage return and no newline is shown at once, and what follows continues the line.
    fn carriage_returns<'a>(&mut self, data: &'a [u8], now: Moment, out: &mut Vec<u8>) -> &'a [u8] {
        if !data.contains(&b'\r') {
            return data;
        }
        if self.held.is_empty() {
            self.header(now, out);
        } else {
            out.append(&mut self.held);
        }
        out.extend_from_slice(data);
        out.push(b'\n');
        self.continuation = true;
        &[]
    }

    fn hold(&mut self, data: &[u8], now: Moment, out: &mut Vec<u8>) {
        if data.is_empty() {
            return;
        }
        if data.len() + self.held.len() > HELD_BYTES_MAX {
            if self.held.is_empty() {
                self.header(now, out);
            }
            out.append(&mut self.held);
            self.continuation = true;
            out.extend_from_slice(data);
            out.push(b'\n');
            return;
        }
        if self.held.is_empty() {
            let mut header = Vec::new();
            self.header(now, &mut header);
            self.held = header;
        }
        self.held.extend_from_slice(data);
    }

    fn header(&mut self, now: Moment, out: &mut Vec<u8>) {
        let elapsed_us = u64::try_from(now.since_start().as_micros()).unwrap_or(u64::MAX);
        let stamp = rfc3339_us(self.started_at_unix_us.saturating_add(elapsed_us));
        let stream = match self.stream {
            LogStream::Executor => "00",
            LogStream::Work => "01",
        };
        let kind = match self.kind {
            LineKind::Stdout => 'O',
            LineKind::Stderr => 'E',
        };
        let flag = if self.continuation { '+' } else { ' ' };
        self.continuation = false;
        out.extend_from_slice(format!("{stamp} {stream}{kind}{flag}").as_bytes());
    }
}

/// `2026-11-24T00:20:58.889090Z` for microseconds since the Unix epoch.
fn rfc3339_us(unix_us: u64) -> String {
    let seconds = unix_us / 1_000_000;
    let (year, month, day) = civil_date(seconds / 86_400);
    let of_day = seconds % 86_400;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:06}Z",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60,
        unix_us % 1_000_000
    )
}

/// Year, month and day of a count of days since 1970-01-01, in the proleptic Gregorian calendar.
fn civil_date(days: u64) -> (u64, u64, u64) {
    // Counting from 0000-03-01 puts the leap day at the end of the year.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_civil() {
        assert_eq!(rfc3339_us(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(
            rfc3339_us(1_709_164_800_000_001),
            "2024-02-29T00:00:00.000001Z"
        );
        assert_eq!(
            rfc3339_us(1_795_478_458_889_090),
            "2026-11-24T00:00:58.889090Z"
        );
    }
}
