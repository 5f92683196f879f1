//! Numbers of the runner, filled into texts that have none of their own.

use std::collections::BTreeMap;
use std::time::Duration;

/// Numbers by the name that texts give them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Numbers {
    by_name: BTreeMap<&'static str, String>,
}

impl Numbers {
    /// Adds a number.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.by_name.insert(name, value.into());
        self
    }

    /// Adds a time.
    #[must_use]
    pub fn with_time(self, name: &'static str, time: Duration) -> Self {
        self.with(name, spoken(time))
    }

    /// Names of all numbers.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.by_name.keys().copied()
    }

    /// The text with its numbers. A name that is not known stays as it is, which a test finds.
    pub fn fill(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        for (name, value) in &self.by_name {
            filled = filled.replace(&format!("{{{name}}}"), value);
        }
        filled
    }
}

/// `3 s`, `10 min`, `1 h`: in the largest unit that leaves no rest.
pub fn spoken(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        hours if hours % 3600 == 0 => format!("{} h", hours / 3600),
        minutes if minutes % 60 == 0 => format!("{} min", minutes / 60),
        seconds => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_get_their_numbers() {
        let numbers = Numbers::default()
            .with("attempts", "3")
            .with_time("pause", Duration::from_secs(90));
        assert_eq!(
            numbers.fill("{attempts} tries, {pause}, {what}"),
            "3 tries, 90 s, {what}"
        );
    }

    #[test]
    fn times_are_told_in_their_unit() {
        for (seconds, shown) in [(3600, "1 h"), (600, "10 min"), (30, "30 s")] {
            assert_eq!(spoken(Duration::from_secs(seconds)), shown);
        }
    }
}
