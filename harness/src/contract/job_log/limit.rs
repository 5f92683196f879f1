//! The size limit of a job log.

use super::ansi;

/// Default limit, bytes (contract K).
pub const LIMIT_BYTES_DEFAULT: u64 = 4 * 1024 * 1024;

/// Cuts a job log at its limit and keeps count.
#[derive(Debug, Clone)]
pub struct LimitedLog {
    limit_bytes: u64,
    written_bytes: u64,
    full: bool,
    /// Start of a character whose rest has not come yet.
    incomplete: Vec<u8>,
}

impl LimitedLog {
    /// `output_limit` as configured, KiB; 0 means the default of 4096. Below that there is no room for anything, not even
    /// for the notice.
    pub fn new(output_limit_kib: i64) -> Self {
        let limit_bytes = match u64::try_from(output_limit_kib) {
            Ok(0) => LIMIT_BYTES_DEFAULT,
            Ok(kib) => kib.saturating_mul(1024),
            Err(_) => 0,
        };
        Self {
            limit_bytes,
            written_bytes: 0,
            full: limit_bytes == 0,
            incomplete: Vec::new(),
        }
    }

    /// Bytes in the log so far.
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// Whether nothing more is accepted.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// What of `data` still goes into the log, with invalid UTF-8 replaced and the notice when the limit is hit.
    pub fn write(&mut self, data: &[u8]) -> Vec<u8> {
        if self.full || data.is_empty() {
            return Vec::new();
        }
        let mut text = self.valid_utf8(data);
        let room = self.limit_bytes.saturating_sub(self.written_bytes);
        if (text.len() as u64) < room {
            self.written_bytes += text.len() as u64;
            return text;
        }
        self.full = true;
        let mut cut = usize::try_from(room).unwrap_or(usize::MAX).min(text.len());
        while cut > 0 && std::str::from_utf8(&text[..cut]).is_err() {
            cut -= 1;
        }
        text.truncate(cut);
        text.extend_from_slice(
            format!(
                "\n{}Job's log exceeded limit of {} bytes.\n\
                 Job execution will continue but no more output will be collected.{}\n",
                ansi::BOLD_YELLOW,
                self.limit_bytes,
                ansi::RESET
            )
            .as_bytes(),
        );
        self.written_bytes += text.len() as u64;
        text
    }

    /// Replaces invalid bytes, each by itself; a character cut off by the end of `data` waits for its rest.
    fn valid_utf8(&mut self, data: &[u8]) -> Vec<u8> {
        let mut joined = std::mem::take(&mut self.incomplete);
        joined.extend_from_slice(data);
        let complete = joined.len() - incomplete_tail(&joined);
        self.incomplete = joined.split_off(complete);
        replace_invalid_bytes(&joined)
    }
}

/// Rust's own conversion would write one replacement for several bytes that begin a character together.
fn replace_invalid_bytes(data: &[u8]) -> Vec<u8> {
    let mut text = String::with_capacity(data.len());
    for chunk in data.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text.into_bytes()
}

/// Bytes at the end of `data` that begin a character without finishing it.
fn incomplete_tail(data: &[u8]) -> usize {
    for length in 1..=data.len().min(3) {
        let first = data[data.len() - length];
        let needed = match first {
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            0x80..=0xBF => continue,
            _ => return 0,
        };
        return if needed > length { length } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_invalid_byte_is_replaced_by_itself() {
        let mut log = LimitedLog::new(0);
        let begun_character = b"a\xE2\x82b\xFF";
        assert_eq!(
            log.write(begun_character),
            "a\u{FFFD}\u{FFFD}b\u{FFFD}".as_bytes()
        );
    }

    #[test]
    fn below_zero_there_is_no_log() {
        let mut log = LimitedLog::new(-1);
        assert_eq!(log.write(b"text"), b"");
        assert_eq!(log.written_bytes(), 0);
    }

    #[test]
    fn a_character_may_come_in_pieces() {
        let mut log = LimitedLog::new(0);
        assert_eq!(log.write(b"\xE2\x82"), b"");
        assert_eq!(log.write(b"\xAC"), "\u{20AC}".as_bytes());
    }
}
