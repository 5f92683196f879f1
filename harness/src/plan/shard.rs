//! Dividing a run: each part is a process of its own, perhaps on a machine of its own.

use driver_conformance_reports::model::ShardMethod;
use sha2::{Digest, Sha256};

use crate::hexadecimal::hexadecimal;

/// Where GitLab CI says which of several parallel jobs this is.
const CI_INDEX: &str = "CI_NODE_INDEX";
/// Where GitLab CI says how many they are.
const CI_TOTAL: &str = "CI_NODE_TOTAL";
/// What a user may write.
const FORMS: &str = "write INDEX/COUNT with INDEX from 1, for example 2/8, slice:2/8 or hash:2/8, or `ci` to take \
                     them from CI_NODE_INDEX and CI_NODE_TOTAL";

/// Which part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// How the run is divided.
    pub method: ShardMethod,
    /// Which part, from 1.
    pub index: usize,
    /// Of how many.
    pub count: usize,
}

impl Shard {
    /// Reads `2/8`, `slice:2/8`, `hash:2/8`, `ci` or `hash:ci`; `variable` is asked for what the CI says.
    pub fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let (method, part) = text.split_once(':').unwrap_or(("slice", text));
        let method = ShardMethod::from_name(method)
            .ok_or_else(|| format!("there is no method `{method}`; {FORMS}"))?;
        let part = if part == "ci" {
            let value = |name: &str| {
                let value = variable(name).filter(|value| !value.is_empty());
                value.ok_or_else(|| {
                    format!("{name} is not set; give the job `parallel: COUNT`, or name the shard")
                })
            };
            format!("{}/{}", value(CI_INDEX)?, value(CI_TOTAL)?)
        } else {
            part.to_owned()
        };
        let numbers = part
            .split_once('/')
            .and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        let (index, count): (usize, usize) =
            numbers.ok_or_else(|| format!("`{part}` is no shard; {FORMS}"))?;
        if index == 0 || index > count {
            return Err(format!("there is no shard {index} of {count}; {FORMS}"));
        }
        Ok(Self {
            method,
            index,
            count,
        })
    }

    /// The names of this part, in their order. Every name is in exactly one part.
    pub fn part_of(self, names: &[String]) -> Vec<String> {
        match self.method {
            ShardMethod::Slice => {
                let begin = |index: usize| names.len() * index / self.count;
                names[begin(self.index - 1)..begin(self.index)].to_vec()
            }
            ShardMethod::Hash => {
                let mine = |name: &&String| bucket(name, self.count) == self.index - 1;
                names.iter().filter(mine).cloned().collect()
            }
        }
    }

    /// As it can be typed.
    pub fn typed(self) -> String {
        format!("{}:{}/{}", self.method, self.index, self.count)
    }
}

/// Which of `count` parts a name is in, from 0; it does not depend on the other names.
fn bucket(name: &str, count: usize) -> usize {
    let digest = Sha256::digest(name.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    usize::try_from(u64::from_be_bytes(first) % count).unwrap_or_default()
}

/// What tells whether two parts were cut from the same list.
pub fn digest(names: &[String]) -> String {
    let mut hasher = Sha256::new();
    for name in names {
        hasher.update(name.as_bytes());
        hasher.update([0]);
    }
    hexadecimal(&hasher.finalize())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Shard, String> {
        Shard::parse(text, |name| match name {
            CI_INDEX => Some("3".to_owned()),
            CI_TOTAL => Some("5".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn shards_are_read_in_all_their_forms() {
        for (text, method, index, count) in [
            ("2/8", ShardMethod::Slice, 2, 8),
            ("slice:1/1", ShardMethod::Slice, 1, 1),
            ("hash:8/8", ShardMethod::Hash, 8, 8),
            ("ci", ShardMethod::Slice, 3, 5),
            ("hash:ci", ShardMethod::Hash, 3, 5),
        ] {
            assert_eq!(
                parse(text),
                Ok(Shard {
                    method,
                    index,
                    count
                }),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_shard_is_refused_with_the_right_form() {
        for text in [
            "0/8",
            "9/8",
            "1/0",
            "one/two",
            "3",
            "",
            "random:1/2",
            "-1/2",
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains("2/8"), "{text}: {error}");
        }
        let error = Shard::parse("ci", |_| None).expect_err("nothing is set");
        assert!(error.contains("CI_NODE_INDEX is not set"), "{error}");
    }

    proptest! {
        #[test]
        fn every_name_is_in_exactly_one_part(length in 0_usize..60, count in 1_usize..12) {
            let names: Vec<String> = (0..length).map(|number| format!("theme/case-{number:02}")).collect();
            for method in ShardMethod::ALL {
                let parts = (1..=count).map(|index| Shard { method: *method, index, count }.part_of(&names));
                let mut all: Vec<String> = parts.flatten().collect();
                all.sort();
                prop_assert_eq!(&all, &names);
            }
        }

        #[test]
        fn a_hash_does_not_move_a_name_when_others_come(number in 0_usize..1_000, count in 1_usize..12) {
            let alone = vec![format!("case-{number}")];
            let more: Vec<String> = (0..1_000).map(|number| format!("case-{number}")).collect();
            for index in 1..=count {
                let shard = Shard { method: ShardMethod::Hash, index, count };
                let there = shard.part_of(&more).contains(&alone[0]);
                prop_assert_eq!(there, !shard.part_of(&alone).is_empty());
            }
        }
    }
}
