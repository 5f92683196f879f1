//! Replaces the values of URL parameters that carry secrets.

use super::MASK;

const SECRET_PARAMETERS: [&str; 6] = [
    "private_token",
    "authenticity_token",
    "rss_token",
    "x-amz-signature",
    "x-amz-credential",
    "x-amz-security-token",
];

/// Longest parameter name with its separator; longer candidates are given up.
const CANDIDATE_BYTES_MAX: usize = 21;

#[derive(Debug, Clone, Default)]
pub(super) struct UrlMasker {
    candidate: Option<Vec<u8>>,
    masking: bool,
}

impl UrlMasker {
    pub(super) fn write(&mut self, data: &[u8], out: &mut Vec<Vec<u8>>) {
        let mut sent_up_to = 0;
        for (at, &byte) in data.iter().enumerate() {
            if self.masking {
                if !is_parameter_end(byte) {
                    sent_up_to = at + 1;
                    continue;
                }
                self.masking = false;
                sent_up_to = at;
                out.push(MASK.to_vec());
            }
            if self.take(byte) {
                out.push(data[sent_up_to..=at].to_vec());
                sent_up_to = at + 1;
                self.masking = true;
            }
        }
        if sent_up_to < data.len() {
            out.push(data[sent_up_to..].to_vec());
        }
    }

    /// Follows a possible parameter name; true when `byte` is the `=` after a secret one.
    fn take(&mut self, byte: u8) -> bool {
        if matches!(byte, b'?' | b'&') {
            self.candidate = Some(Vec::new());
            return false;
        }
        let Some(name) = &mut self.candidate else {
            return false;
        };
        if byte == b'=' {
            let name = String::from_utf8_lossy(name).to_lowercase();
            self.candidate = None;
            return SECRET_PARAMETERS.contains(&name.as_str());
        }
        name.push(byte);
        if name.len() >= CANDIDATE_BYTES_MAX {
            self.candidate = None;
        }
        false
    }

    pub(super) fn close(&mut self, out: &mut Vec<Vec<u8>>) {
        if self.masking {
            self.masking = false;
            out.push(MASK.to_vec());
        }
    }
}

fn is_parameter_end(byte: u8) -> bool {
    matches!(byte, b'?' | b'&') || byte.is_ascii_whitespace() || byte.is_ascii_control()
}
