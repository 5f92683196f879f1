//! Go durations as the runner reads them in `config.toml` and job variables, and as it prints them (D7, E9, E10).

use std::fmt::{self, Write as _};
use std::time::Duration;

/// A Go `time.Duration`: signed nanoseconds, about ±292 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GoDuration(pub i64);

const NANOSECONDS_PER_SECOND: i64 = 1_000_000_000;

impl GoDuration {
    /// Whole seconds.
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.wrapping_mul(NANOSECONDS_PER_SECOND))
    }

    /// `time.ParseDuration`; the error is Go's text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let invalid = || format!("time: invalid duration {}", quote_bytes(text));
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if unsigned == "0" {
            return Ok(Self(0));
        }
        if unsigned.is_empty() {
            return Err(invalid());
        }
        let mut total: u64 = 0;
        let mut rest = unsigned;
        while !rest.is_empty() {
            let (nanoseconds, after) = parse_part(rest, text)?;
            total = total
                .checked_add(nanoseconds)
                .filter(|sum| *sum <= 1 << 63)
                .ok_or_else(invalid)?;
            rest = after;
        }
        match (negative, i64::try_from(total)) {
            (false, Ok(value)) => Ok(Self(value)),
            (true, Ok(value)) => Ok(Self(-value)),
            (true, Err(_)) => Ok(Self(i64::MIN)),
            (false, Err(_)) => Err(invalid()),
        }
    }

    /// As a Rust duration; `None` if negative.
    pub fn to_duration(self) -> Option<Duration> {
        u64::try_from(self.0).ok().map(Duration::from_nanos)
    }
}

impl From<Duration> for GoDuration {
    fn from(duration: Duration) -> Self {
        Self(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }
}

/// One number with its unit: nanoseconds and what follows. Fractions below a nanosecond are cut.
fn parse_part<'a>(rest: &'a str, whole: &str) -> Result<(u64, &'a str), String> {
    let quoted = quote_bytes(whole);
    let invalid = || format!("time: invalid duration {quoted}");
    let integer_end = rest.bytes().take_while(u8::is_ascii_digit).count();
    let after_integer = &rest[integer_end..];
    let (fraction, after_number) = match after_integer.strip_prefix('.') {
        Some(after_point) => {
            let end = after_point.bytes().take_while(u8::is_ascii_digit).count();
            (&after_point[..end], &after_point[end..])
        }
        None => ("", after_integer),
    };
    if integer_end == 0 && fraction.is_empty() {
        return Err(invalid());
    }
    let integer: u64 = if integer_end == 0 {
        0
    } else {
        rest[..integer_end].parse().map_err(|_| invalid())?
    };
    let unit_end = after_number
        .bytes()
        .position(|byte| byte == b'.' || byte.is_ascii_digit())
        .unwrap_or(after_number.len());
    let unit = &after_number[..unit_end];
    if unit.is_empty() {
        return Err(format!("time: missing unit in duration {quoted}"));
    }
    let scale = unit_nanoseconds(unit).ok_or_else(|| {
        format!(
            "time: unknown unit {} in duration {quoted}",
            quote_bytes(unit)
        )
    })?;
    let nanoseconds = integer
        .checked_mul(scale)
        .and_then(|value| value.checked_add(fraction_nanoseconds(fraction, scale)))
        .filter(|value| *value <= 1 << 63)
        .ok_or_else(invalid)?;
    Ok((nanoseconds, &after_number[unit_end..]))
}

/// The quoting of Go's package `time`, which writes all that is not ASCII as bytes.
fn quote_bytes(text: &str) -> String {
    let mut quoted = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            b' '..0x80 => quoted.push(char::from(byte)),
            _ => {
                let _ = write!(quoted, "\\x{byte:02x}");
            }
        }
    }
    quoted.push('"');
    quoted
}

fn unit_nanoseconds(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

fn fraction_nanoseconds(digits: &str, scale: u64) -> u64 {
    let mut numerator: u128 = 0;
    let mut denominator: u128 = 1;
    // More digits than these cannot change a nanosecond of an hour.
    for digit in digits.bytes().take(18) {
        numerator = numerator * 10 + u128::from(digit - b'0');
        denominator *= 10;
    }
    u64::try_from(numerator * u128::from(scale) / denominator).unwrap_or(0)
}

impl fmt::Display for GoDuration {
    /// `Duration.String()`: `1h0m0s`, `4s`, `1.5s`, `20ms`, `0s`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        if magnitude == 0 {
            return formatter.write_str("0s");
        }
        if magnitude < 1_000_000_000 {
            let (scale, unit) = match magnitude {
                0..1_000 => (1, "ns"),
                1_000..1_000_000 => (1_000, "µs"),
                _ => (1_000_000, "ms"),
            };
            return write!(formatter, "{sign}{}{unit}", decimal(magnitude, scale));
        }
        let seconds = magnitude / 1_000_000_000;
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        let rest = decimal(magnitude % 60_000_000_000, 1_000_000_000);
        match (hours, minutes) {
            (0, 0) => write!(formatter, "{sign}{rest}s"),
            (0, minutes) => write!(formatter, "{sign}{minutes}m{rest}s"),
            (hours, minutes) => write!(formatter, "{sign}{hours}h{minutes}m{rest}s"),
        }
    }
}

/// `value / scale` in decimal without trailing zeros; `scale` is a power of ten.
fn decimal(value: u64, scale: u64) -> String {
    let fraction = value % scale;
    if fraction == 0 {
        return (value / scale).to_string();
    }
    let width = scale.ilog10() as usize;
    let digits = format!("{fraction:0width$}");
    format!("{}.{}", value / scale, digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_go_does() {
        let cases = [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (4_000_000_000, "4s"),
            (3_600_000_000_000, "1h0m0s"),
            (90_500_000_000, "1m30.5s"),
            (-1_500_000_000, "-1.5s"),
        ];
        for (nanoseconds, expected) in cases {
            assert_eq!(GoDuration(nanoseconds).to_string(), expected);
        }
    }

    #[test]
    fn parses_as_go_does() {
        let cases = [
            ("1h2m3.5s", 3_723_500_000_000),
            ("-1.5h", -5_400_000_000_000),
            ("0", 0),
            (".5s", 500_000_000),
            ("1us", 1_000),
        ];
        for (text, expected) in cases {
            assert_eq!(GoDuration::parse(text), Ok(GoDuration(expected)), "{text}");
        }
    }

    #[test]
    fn refuses_with_the_words_of_go() {
        assert_eq!(
            GoDuration::parse("").unwrap_err(),
            "time: invalid duration \"\""
        );
        assert_eq!(
            GoDuration::parse("5").unwrap_err(),
            "time: missing unit in duration \"5\""
        );
        assert_eq!(
            GoDuration::parse("5x").unwrap_err(),
            "time: unknown unit \"x\" in duration \"5x\""
        );
        assert_eq!(
            GoDuration::parse("abc").unwrap_err(),
            "time: invalid duration \"abc\""
        );
    }
}
