//! The job log: what the runner makes of its own lines and of the driver's output (contract B14, L).
//!
//! Every writer is a chain of filters: masked phrases, secrets in URLs, tokens with known prefixes, then time stamps.
//! The filters work on a stream: a phrase split over two writes is masked all the same.

mod chain;
mod limit;
mod phrases;
mod timestamps;
mod tokens;
mod urls;

use super::moment::Moment;
pub use limit::{LIMIT_BYTES_DEFAULT, LimitedLog};
pub use timestamps::LineKind;
pub use tokens::DEFAULT_PREFIXES;

/// Which stream of the job log a writer feeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    /// `00`: the runner itself, config and prepare.
    Executor,
    /// `01`: run calls.
    Work,
}

/// What all writers of one job have in common.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    /// Values to be replaced by `[MASKED]`.
    pub masked_phrases: Vec<Vec<u8>>,
    /// Prefixes after which token characters are replaced.
    pub token_prefixes: Vec<Vec<u8>>,
    /// Whether each line gets a time stamp (`FF_TIMESTAMPS`).
    pub timestamps: bool,
    /// The wall clock at the start of the job, microseconds since the Unix epoch.
    pub started_at_unix_us: u64,
}

/// One writer into the job log.
#[derive(Debug, Clone)]
pub struct LogWriter {
    phrases: phrases::PhraseMasker,
    urls: urls::UrlMasker,
    tokens: tokens::TokenMasker,
    stamps: Option<timestamps::Timestamper>,
}

impl LogWriter {
    /// A writer for one stream.
    pub fn new(options: &LogOptions, stream: LogStream, kind: LineKind) -> Self {
        let stamps = options
            .timestamps
            .then(|| timestamps::Timestamper::new(options.started_at_unix_us, stream, kind));
        Self {
            phrases: phrases::PhraseMasker::new(&options.masked_phrases),
            urls: urls::UrlMasker::default(),
            tokens: tokens::TokenMasker::new(&options.token_prefixes),
            stamps,
        }
    }

    /// Takes bytes and returns what reaches the log now.
    pub fn write(&mut self, data: &[u8], now: Moment) -> Vec<u8> {
        let mut chunks = Vec::new();
        self.phrases.write(data, &mut chunks);
        self.pass_on(chunks, now)
    }

    /// Ends the writer: returns what was held back.
    pub fn close(&mut self, now: Moment) -> Vec<u8> {
        let mut chunks = Vec::new();
        self.phrases.close(&mut chunks);
        let mut out = self.pass_on(chunks, now);

        let mut after_urls = Vec::new();
        self.urls.close(&mut after_urls);
        let mut after_tokens = Vec::new();
        for chunk in after_urls {
            self.tokens.write(&chunk, &mut after_tokens);
        }
        self.tokens.close(&mut after_tokens);
        self.stamp(after_tokens, now, &mut out);
        if let Some(stamps) = &mut self.stamps {
            stamps.close(&mut out);
        }
        out
    }

    fn pass_on(&mut self, chunks: Vec<Vec<u8>>, now: Moment) -> Vec<u8> {
        let mut after_urls = Vec::new();
        for chunk in chunks {
            self.urls.write(&chunk, &mut after_urls);
        }
        let mut after_tokens = Vec::new();
        for chunk in after_urls {
            self.tokens.write(&chunk, &mut after_tokens);
        }
        let mut out = Vec::new();
        self.stamp(after_tokens, now, &mut out);
        out
    }

    fn stamp(&mut self, chunks: Vec<Vec<u8>>, now: Moment, out: &mut Vec<u8>) {
        for chunk in chunks {
            match &mut self.stamps {
                Some(stamps) => stamps.write(&chunk, now, out),
                None => out.extend_from_slice(&chunk),
            }
        }
    }
}

fn push(out: &mut Vec<Vec<u8>>, data: &[u8]) {
    if !data.is_empty() {
        out.push(data.to_vec());
    }
}

/// Trimmed, without empty and double ones, sorted by length and then by bytes.
fn unique_short_to_long(words: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut unique: Vec<Vec<u8>> = words
        .iter()
        .map(|word| word.trim_ascii().to_vec())
        .filter(|word| !word.is_empty())
        .collect();
    unique.sort_by(|one, other| one.len().cmp(&other.len()).then_with(|| one.cmp(other)));
    unique.dedup();
    unique
}

/// The word that replaces a secret.
pub(super) const MASK: &[u8] = b"[MASKED]";

/// Escape sequences of the runner's lines.
pub mod ansi {
    /// Before neutral lines.
    pub const CLEAR: &str = "\u{1b}[0K";
    /// Before headings.
    pub const BOLD_CYAN: &str = "\u{1b}[36;1m";
    /// Before notices.
    pub const BOLD_GREEN: &str = "\u{1b}[32;1m";
    /// Before errors.
    pub const BOLD_RED: &str = "\u{1b}[31;1m";
    /// Before warnings.
    pub const YELLOW: &str = "\u{1b}[0;33m";
    /// Before the log-limit notice.
    pub const BOLD_YELLOW: &str = "\u{1b}[33;1m";
    /// After all of them.
    pub const RESET: &str = "\u{1b}[0;m";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(timestamps: bool) -> LogOptions {
        LogOptions {
            masked_phrases: vec![b"s3cret".to_vec()],
            token_prefixes: vec![b"glpat-".to_vec()],
            timestamps,
            started_at_unix_us: 0,
        }
    }

    fn write_all(writer: &mut LogWriter, parts: &[&str]) -> String {
        let mut out = Vec::new();
        for part in parts {
            out.extend(writer.write(part.as_bytes(), Moment::START));
        }
        out.extend(writer.close(Moment::START));
        String::from_utf8(out).expect("test text is UTF-8")
    }

    fn plain(parts: &[&str]) -> String {
        let mut writer = LogWriter::new(&options(false), LogStream::Work, LineKind::Stdout);
        write_all(&mut writer, parts)
    }

    #[test]
    fn a_phrase_is_masked_also_when_split() {
        assert_eq!(plain(&["x s3cret y\n"]), "x [MASKED] y\n");
        assert_eq!(plain(&["split s3c", "ret end\n"]), "split [MASKED] end\n");
        assert_eq!(plain(&["s3crs3cret\n"]), "s3cr[MASKED]\n");
        assert_eq!(plain(&["s3cre"]), "s3cre");
    }

    #[test]
    fn a_token_after_its_prefix_is_masked() {
        assert_eq!(
            plain(&["prep glpat-abcDEF_1 end\n"]),
            "prep glpat-[MASKED] end\n"
        );
        assert_eq!(plain(&["glpat-abc", "def\n"]), "glpat-[MASKED]\n");
        assert_eq!(plain(&["glpat-"]), "glpat-");
    }

    #[test]
    fn a_secret_url_parameter_is_masked() {
        assert_eq!(
            plain(&["/a?private_token=abc&b=c\n"]),
            "/a?private_token=[MASKED]&b=c\n"
        );
        assert_eq!(plain(&["/a?x=private\n"]), "/a?x=private\n");
    }

    #[test]
    fn lines_get_stamps_and_carriage_returns_make_continuations() {
        let mut writer = LogWriter::new(&options(true), LogStream::Executor, LineKind::Stdout);
        let text = write_all(
            &mut writer,
            &["section_start:1:x\r\u{1b}[0K", "heading\n", "next\n"],
        );
        assert_eq!(
            text,
            "1970-01-01T00:00:00.000000Z 00O section_start:1:x\r\u{1b}[0K\n\
             1970-01-01T00:00:00.000000Z 00O+heading\n\
             1970-01-01T00:00:00.000000Z 00O next\n"
        );
    }

    #[test]
    fn a_partial_line_is_held_until_it_ends() {
        let mut writer = LogWriter::new(&options(true), LogStream::Work, LineKind::Stderr);
        assert!(writer.write(b"half", Moment::START).is_empty());
        let rest = writer.write(b" line\n", Moment::START);
        assert_eq!(rest, b"1970-01-01T00:00:00.000000Z 01E half line\n");
    }
}
