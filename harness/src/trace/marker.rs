//! Finding the markers of a probe script in what a driver prints.

use super::Marker;

/// What every marker begins with; the nonce of the call follows.
pub const PREFIX: &str = "driver-conformance:";
/// Longest word and number of a marker together, bytes; more is cut off.
const BODY_BYTES_MAX: usize = 128;

/// Finds markers `driver-conformance:<nonce>:<word>[:<number>]` in a stream that arrives in pieces.
///
/// A marker may follow other text on its line (a driver's time stamp) and ends at the first byte that cannot belong to
/// it, usually a newline with or without a carriage return. The last one may be ended by the end of the stream alone.
#[derive(Debug, Clone)]
pub struct MarkerScanner {
    /// `driver-conformance:<nonce>:`
    start: Vec<u8>,
    /// The end of what was seen so far, as far as it may be the beginning of a marker.
    held: Vec<u8>,
}

impl MarkerScanner {
    /// A scanner for the markers with this nonce.
    pub fn new(nonce: &str) -> Self {
        Self {
            start: format!("{PREFIX}{nonce}:").into_bytes(),
            held: Vec::new(),
        }
    }

    /// Takes the next piece and returns the markers that are complete with it.
    pub fn feed(&mut self, piece: &[u8]) -> Vec<Marker> {
        if self.held.is_empty() {
            let (markers, kept) = self.scan(piece);
            self.held.extend_from_slice(&piece[kept..]);
            return markers;
        }
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(piece);
        let (markers, kept) = self.scan(&all);
        all.drain(..kept);
        self.held = all;
        markers
    }

    /// The stream has ended: returns the marker that nothing followed, if there is one.
    pub fn finish(&mut self) -> Option<Marker> {
        let held = std::mem::take(&mut self.held);
        let body = held.strip_prefix(self.start.as_slice())?;
        parse_body(body)
    }

    /// The complete markers in `text`, and from where on it must be kept for the next piece.
    fn scan(&self, text: &[u8]) -> (Vec<Marker>, usize) {
        let mut markers = Vec::new();
        let mut from = 0;
        while let Some(at) = self.find_start(text, from) {
            let Some(body) = text.get(at + self.start.len()..) else {
                // Cut within the start.
                return (markers, at);
            };
            let length = body
                .iter()
                .take(BODY_BYTES_MAX)
                .take_while(|byte| belongs(**byte))
                .count();
            if length == body.len() && length < BODY_BYTES_MAX {
                return (markers, at);
            }
            markers.extend(parse_body(&body[..length]));
            from = at + self.start.len() + length;
        }
        (markers, text.len())
    }

    /// The first place at or after `from` where the start is, or where `text` ends within it.
    fn find_start(&self, text: &[u8], from: usize) -> Option<usize> {
        let mut at = from;
        while let Some(step) = text
            .get(at..)?
            .iter()
            .position(|byte| *byte == self.start[0])
        {
            at += step;
            let rest = &text[at..];
            let common = rest.len().min(self.start.len());
            if rest[..common] == self.start[..common] {
                return Some(at);
            }
            at += 1;
        }
        None
    }
}

fn belongs(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':')
}

/// `word` or `word:number`; anything after these is not part of the marker.
fn parse_body(body: &[u8]) -> Option<Marker> {
    let body = std::str::from_utf8(body).ok()?;
    let mut parts = body.split(':');
    let word = parts.next().filter(|word| !word.is_empty())?;
    let number = parts.next().and_then(|number| number.parse().ok());
    Some(Marker {
        word: word.to_owned(),
        number,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker(word: &str, number: Option<u64>) -> Marker {
        Marker {
            word: word.to_owned(),
            number,
        }
    }

    fn scan_all(pieces: &[&[u8]]) -> Vec<Marker> {
        let mut scanner = MarkerScanner::new("abc");
        let mut found: Vec<Marker> = pieces
            .iter()
            .flat_map(|piece| scanner.feed(piece))
            .collect();
        found.extend(scanner.finish());
        found
    }

    #[test]
    fn every_way_of_cutting_gives_the_same_markers() {
        let text = b"x driver-conformance:abc:start\r\ndriver-conformance:abd:no\n2026 driver-conformance:abc:line:12\n\
                     drivdriver-conformance:abc:end-now";
        let expected = [
            marker("start", None),
            marker("line", Some(12)),
            marker("end-now", None),
        ];
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(scan_all(&pieces), expected, "cut at {first} and {second}");
            }
        }
        let single: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(scan_all(&single), expected);
    }

    #[test]
    fn a_complete_line_is_told_at_once_and_an_open_one_at_the_end() {
        let mut scanner = MarkerScanner::new("abc");
        assert_eq!(
            scanner.feed(b"driver-conformance:abc:start\n"),
            [marker("start", None)]
        );
        assert_eq!(scanner.feed(b"driver-conformance:abc:unterminated"), []);
        assert_eq!(scanner.finish(), Some(marker("unterminated", None)));
        assert_eq!(scanner.finish(), None);
    }

    #[test]
    fn several_markers_may_share_a_line() {
        let text: &[u8] = b"driver-conformance:abc:a driver-conformance:abc:b:7 z\n";
        assert_eq!(scan_all(&[text]), [marker("a", None), marker("b", Some(7))]);
    }

    #[test]
    fn other_nonces_and_empty_words_are_no_markers() {
        assert_eq!(
            scan_all(&[b"driver-conformance:xyz:start\ndriver-conformance:abc:\n"]),
            []
        );
    }

    #[test]
    fn a_number_that_is_none_leaves_the_word() {
        assert_eq!(
            scan_all(&[b"driver-conformance:abc:line:x\n"]),
            [marker("line", None)]
        );
    }

    #[test]
    fn memory_is_bounded_whatever_comes() {
        let mut scanner = MarkerScanner::new("abc");
        scanner.feed(b"driver-conformance:abc:");
        for _ in 0..1000 {
            scanner.feed(&[b'a'; 1000]);
            assert!(scanner.held.len() < 2000);
        }
    }
}
