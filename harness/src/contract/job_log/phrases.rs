//! Replaces masked values, also when they are split over writes.

use super::chain::{Chain, Filter};
use super::{MASK, push};

/// One filter per phrase, in a row. The last phrase sees the text first, as in the runner.
#[derive(Debug, Clone)]
pub(super) struct PhraseMasker {
    filters: Chain<PhraseFilter>,
}

#[derive(Debug, Clone)]
struct PhraseFilter {
    phrase: Vec<u8>,
    matching: usize,
}

impl PhraseMasker {
    pub(super) fn new(phrases: &[Vec<u8>]) -> Self {
        // Longer phrases first, so that a phrase that contains another one is hidden whole.
        let filters = super::unique_short_to_long(phrases)
            .into_iter()
            .rev()
            .map(|phrase| PhraseFilter {
                phrase,
                matching: 0,
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

impl Filter for PhraseFilter {
    fn write(&mut self, data: &[u8], out: &mut Vec<Vec<u8>>) {
        let mut sent_up_to = 0;
        let mut at = 0;
        while at < data.len() {
            if self.matching == 0 {
                match data[at..].iter().position(|byte| *byte == self.phrase[0]) {
                    Some(offset) => at += offset,
                    None => break,
                }
            }
            let wanted = &self.phrase[self.matching..];
            let length = wanted.len().min(data.len() - at);
            if data[at..at + length] == wanted[..length] {
                push(out, &data[sent_up_to..at]);
                self.matching += length;
                at += length;
                sent_up_to = at;
                if self.matching == self.phrase.len() {
                    out.push(MASK.to_vec());
                    self.matching = 0;
                }
                continue;
            }
            if self.matching > 0 {
                push(out, &self.phrase[..self.matching]);
                if self.phrase[0] == data[at] {
                    self.matching = 1;
                    sent_up_to = at + 1;
                    at += 1;
                    continue;
                }
            }
            self.matching = 0;
            at += 1;
        }
        push(out, &data[sent_up_to.min(data.len())..]);
    }

    fn ignores(&self, data: &[u8]) -> bool {
        self.matching == 0 && !data.contains(&self.phrase[0])
    }

    fn close(&mut self) -> Vec<u8> {
        let rest = self.phrase[..self.matching].to_vec();
        self.matching = 0;
        rest
    }
}
