//! Filters in a row: what one lets out, the next one sees.

use super::MASK;

/// One filter that hides something, also when it is split over writes.
pub(super) trait Filter {
    /// Sees a piece of text; puts out what is certain by now.
    fn write(&mut self, data: &[u8], out: &mut Vec<Vec<u8>>);

    /// Whether `data` would come out as it is and leave the filter as it is; `false` if that is not plain to see.
    fn ignores(&self, data: &[u8]) -> bool;

    /// What was held back, at the end of the text; empty: nothing. The filter starts afresh.
    fn close(&mut self) -> Vec<u8>;
}

/// Filters in the order in which they see the text.
#[derive(Debug, Clone)]
pub(super) struct Chain<F> {
    filters: Vec<F>,
}

impl<F: Filter> Chain<F> {
    pub(super) fn new(filters: Vec<F>) -> Self {
        Self { filters }
    }

    pub(super) fn write(&mut self, data: &[u8], out: &mut Vec<Vec<u8>>) {
        out.extend(through(&mut self.filters, vec![data.to_vec()]));
    }

    pub(super) fn close(&mut self, out: &mut Vec<Vec<u8>>) {
        for index in 0..self.filters.len() {
            let rest = self.filters[index].close();
            let chunks = if rest.is_empty() {
                Vec::new()
            } else {
                vec![rest]
            };
            out.extend(through(&mut self.filters[index + 1..], chunks));
        }
    }
}

fn through<F: Filter>(filters: &mut [F], mut chunks: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    for filter in filters {
        let passes = |chunk: &Vec<u8>| !chunk.is_empty() && filter.ignores(chunk);
        if chunks.iter().all(passes) {
            continue;
        }
        let mut next = Vec::new();
        for chunk in chunks {
            // The mask of an earlier filter is not looked into, as in the runner.
            if chunk == MASK {
                next.push(chunk);
            } else {
                filter.write(&chunk, &mut next);
            }
        }
        chunks = next;
    }
    chunks
}
