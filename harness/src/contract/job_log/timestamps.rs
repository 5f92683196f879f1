//! Puts a time stamp, the stream and a continuation flag before each line.

use jiff::Timestamp;

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

/// `2026-11-24T00:20:58.889090Z` for microseconds since the Unix epoch; the epoch itself for what no calendar holds.
fn rfc3339_us(unix_us: u64) -> String {
    let moment = i64::try_from(unix_us)
        .ok()
        .and_then(|unix_us| Timestamp::from_microsecond(unix_us).ok());
    format!("{:.6}", moment.unwrap_or_default())
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
