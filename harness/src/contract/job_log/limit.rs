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
    /// `output_limit` as configured, KiB; 0 means the default of 4096.
    pub fn new(output_limit_kib: i64) -> Self {
        let limit_bytes = match u64::try_from(output_limit_kib) {
            Ok(0) | Err(_) => LIMIT_BYTES_DEFAULT,
            Ok(kib) => kib * 1024,
        };
        Self {
            limit_bytes,
            written_bytes: 0,
            full: false,
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

    /// Replaces invalid bytes; a character cut off by the end of `data` waits for its rest.
    fn valid_utf8(&mut self, data: &[u8]) -> Vec<u8> {
        let mut joined = std::mem::take(&mut self.incomplete);
        joined.extend_from_slice(data);
        let complete = joined.len() - incomplete_tail(&joined);
        self.incomplete = joined.split_off(complete);
        String::from_utf8_lossy(&joined).into_owned().into_bytes()
    }
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
