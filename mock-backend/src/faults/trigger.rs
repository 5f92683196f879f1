//! When a fault strikes: a pure function of the request and of what was counted.

use serde::{Deserialize, Serialize};

use crate::ledger::Request;

/// When a fault strikes: all conditions that are given must hold. Without any, at every request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Trigger {
    /// In this case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The request with this number in its case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// For this tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// For this verb, in its first spelling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verb: Option<String>,
    /// In a call of this program: config, prepare, run, cleanup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// In this stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// In the call with this number in its case, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<u64>,
    /// If this text is in one of the arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
    /// At the n-th request for which the conditions above hold, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nth: Option<u64>,
    /// From the n-th such request on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// So often, from 0 to 1; drawn from `seed` and the number of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// For `probability`.
    #[serde(skip_serializing_if = "is_zero")]
    pub seed: u64,
    /// At most so many times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Trigger {
    /// Whether all conditions hold but those that count.
    pub(crate) fn meets(&self, request: &Request) -> bool {
        fn is<T: PartialEq + ?Sized>(wanted: Option<&T>, found: Option<&T>) -> bool {
            wanted.is_none() || wanted == found
        }
        let caller = &request.caller;
        is(self.tag.as_deref(), Some(&request.tag))
            && is(self.number.as_ref(), Some(&request.number))
            && is(self.tool.as_deref(), Some(&request.tool))
            && is(self.verb.as_deref(), Some(&request.verb))
            && is(self.program.as_deref(), caller.program.as_deref())
            && is(self.stage.as_deref(), caller.stage.as_deref())
            && is(self.call.as_ref(), caller.call.as_ref())
            && self.matches.as_ref().is_none_or(|text| {
                let mut arguments = request.arguments.iter();
                arguments.any(|argument| argument.contains(text))
            })
            && self.is_drawn(request.number)
    }

    /// Whether it strikes at the `matched`-th request that meets it, having struck `fired` times.
    pub(crate) fn counts(&self, matched: u64, fired: u64) -> bool {
        self.nth.is_none_or(|nth| nth == matched)
            && self.from.is_none_or(|from| from <= matched)
            && self.times.is_none_or(|times| fired < times)
    }

    #[expect(clippy::cast_precision_loss, reason = "a share, not a count")]
    fn is_drawn(&self, number: u64) -> bool {
        let Some(probability) = self.probability else {
            return true;
        };
        let mut mixed = self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed as f64) < probability * (u64::MAX as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Caller;

    fn request(number: u64) -> Request {
        Request {
            tag: "t".into(),
            number,
            tool: "podman".into(),
            verb: "exec".into(),
            arguments: vec!["exec".into(), "vm-12".into()],
            caller: Caller {
                stage: Some("build_script".into()),
                call: Some(0),
                ..Caller::default()
            },
            ..Request::default()
        }
    }

    #[test]
    fn every_condition_that_is_given_must_hold() {
        assert!(Trigger::default().meets(&request(1)));
        let trigger = Trigger {
            verb: Some("exec".into()),
            stage: Some("build_script".into()),
            matches: Some("vm-1".into()),
            call: Some(0),
            number: Some(3),
            ..Trigger::default()
        };
        assert!(trigger.meets(&request(3)));
        assert!(!trigger.meets(&request(4)));
        let elsewhere = Trigger {
            stage: Some("after_script".into()),
            ..Trigger::default()
        };
        assert!(!elsewhere.meets(&request(1)));
    }

    #[test]
    fn what_begins_at_a_request_goes_on() {
        let trigger = Trigger {
            from: Some(2),
            ..Trigger::default()
        };
        let struck = (1..=4).map(|matched| trigger.counts(matched, 0));
        assert_eq!(struck.collect::<Vec<_>>(), [false, true, true, true]);
    }

    #[test]
    fn a_draw_is_the_same_each_time_and_about_as_often_as_said() {
        let trigger = Trigger {
            probability: Some(0.3),
            seed: 9,
            ..Trigger::default()
        };
        let drawn: Vec<bool> = (0..1000)
            .map(|number| trigger.meets(&request(number)))
            .collect();
        let again: Vec<bool> = (0..1000)
            .map(|number| trigger.meets(&request(number)))
            .collect();
        assert_eq!(drawn, again);
        let often = drawn.iter().filter(|drawn| **drawn).count();
        assert!((250..350).contains(&often), "{often}");
    }
}
