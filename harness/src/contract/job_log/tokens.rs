//! Replaces tokens that follow a known prefix; the prefix stays.

use super::chain::{Chain, Filter};
use super::{MASK, push};

/// The runner looks at no more prefixes than this.
const PREFIXES_MAX: usize = 15;

/// Prefixes that are always looked for (`FF_MASK_ALL_DEFAULT_TOKENS` adds all but the first).
pub const DEFAULT_PREFIXES: [&str; 14] = [
    "glpat-",
    "gloas-",
    "gldt-",
    "glrt-",
    "glcbt-",
    "glrtr-",
    "glptt-",
    "glft-",
    "glimt-",
    "glagent-",
    "glsoat-",
    "glffct-",
    "_gitlab_session=",
    "gltok-",
];

#[derive(Debug, Clone)]
pub(super) struct TokenMasker {
    filters: Chain<TokenFilter>,
}

#[derive(Debug, Clone)]
struct TokenFilter {
    prefix: Vec<u8>,
    matching: usize,
    masked: bool,
}

impl TokenMasker {
    pub(super) fn new(prefixes: &[Vec<u8>]) -> Self {
        // The runner keeps the shortest ones when there are too many, and looks for long ones first.
        let filters = super::unique_short_to_long(prefixes)
            .into_iter()
            .take(PREFIXES_MAX)
            .rev()
            .map(|prefix| TokenFilter {
                prefix,
                matching: 0,
                masked: false,
            })
            .collect();
        Self {
            filters: Chain::new(filters),
        }
    }

    pub(super) fn write(&mut self, data: &[u8], out: &mut Vec<Vec<u8>>) {
        self.filters.write(data, out);
    }

    pub(super) fn close(&mut self, out: &mut Vec<Vec<u8>>) {
        self.filters.close(out);
    }
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'=')
}

impl Filter for TokenFilter {
    fn write(&mut self, data: &[u8], out: &mut Vec<Vec<u8>>) {
        let mut sent_up_to = 0;
        let mut at = 0;
        while at < data.len() {
            if self.matching == self.prefix.len() {
                if is_token_byte(data[at]) {
                    self.masked = true;
                    at += 1;
                    sent_up_to = at;
                    continue;
                }
                if self.masked {
                    self.masked = false;
                    out.push(MASK.to_vec());
                }
                self.matching = 0;
            }
            if self.matching == 0 {
                match data[at..].iter().position(|byte| *byte == self.prefix[0]) {
                    Some(offset) => at += offset,
                    None => break,
                }
            }
            at = self.match_prefix(data, at, &mut sent_up_to, out);
        }
        push(out, &data[sent_up_to.min(data.len())..]);
    }

    fn ignores(&self, data: &[u8]) -> bool {
        self.matching == 0 && !data.contains(&self.prefix[0])
    }

    fn close(&mut self) -> Vec<u8> {
        let rest = if self.masked {
            MASK.to_vec()
        } else if self.matching < self.prefix.len() {
            self.prefix[..self.matching].to_vec()
        } else {
            Vec::new()
        };
        self.masked = false;
        self.matching = 0;
        rest
    }
}

impl TokenFilter {
    fn match_prefix(
        &mut self,
        data: &[u8],
        at: usize,
        sent_up_to: &mut usize,
        out: &mut Vec<Vec<u8>>,
    ) -> usize {
        let wanted = &self.prefix[self.matching..];
        let length = wanted.len().min(data.len() - at);
        if data[at..at + length] == wanted[..length] {
            push(out, &data[*sent_up_to..at]);
            self.matching += length;
            *sent_up_to = at + length;
            if self.matching == self.prefix.len() {
                out.push(self.prefix.clone());
            }
            return at + length;
        }
        if self.matching > 0 {
            push(out, &self.prefix[..self.matching]);
            if self.prefix[0] == data[at] {
                self.matching = 1;
                *sent_up_to = at + 1;
                return at + 1;
            }
        }
        self.matching = 0;
        at + 1
    }
}
