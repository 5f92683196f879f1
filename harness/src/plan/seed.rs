//! Nonces: deterministic for one seed, so that a case can be run again exactly as it was.

use sha2::{Digest, Sha256};

use crate::hexadecimal::hexadecimal;

/// The nonce of one call's script: 16 hexadecimal digits that depend on the seed of the run, the case, the job and the
/// number of the call in it.
pub fn nonce(seed: u64, case: &str, job: usize, call: usize) -> String {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_le_bytes());
    hasher.update(case.as_bytes());
    hasher.update([0]);
    hasher.update(job.to_le_bytes());
    hasher.update(call.to_le_bytes());
    hexadecimal(&hasher.finalize()[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_the_same_again_and_differs_in_every_part() {
        let first = nonce(1, "job/every-stage", 0, 3);
        assert_eq!(first, nonce(1, "job/every-stage", 0, 3));
        assert_eq!(first.len(), 16);
        let others = [
            nonce(2, "job/every-stage", 0, 3),
            nonce(1, "job/every-stages", 0, 3),
            nonce(1, "job/every-stage", 1, 3),
            nonce(1, "job/every-stage", 0, 4),
        ];
        assert!(others.iter().all(|other| *other != first));
    }
}
