//! Digits in the names of temporary directories.

/// A seeded source of the digits in `custom-executor<digits>` and `script<digits>` (contract B4).
#[derive(Debug, Clone)]
pub struct NameSource {
    state: u64,
}

impl NameSource {
    /// The same seed gives the same names.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next name's digits: a 32-bit number, as the runner's are.
    pub fn digits(&mut self) -> String {
        // splitmix64: well mixed, and no two of the first 2^64 states are equal.
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 32).to_string()
    }
}
