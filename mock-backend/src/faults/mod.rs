//! Faults: what can be broken at each request to the backend, one file each.
//!
//! # For whoever sweeps
//!
//! Every request of a driver to the backend has a *number* in its case, from 1, in the order in which requests arrive:
//! [`Request::number`](crate::ledger::Request::number) in the ledger, [`Trigger::number`] in a fault. A nominal run lists
//! them ([`Control::entries`](crate::client::Control::entries)); each number times each [`FaultKind`] is a fault point.
//!
//! ```no_run
//! use driver_conformance_mock_backend::faults::{Fault, FaultKind, KillSignal, Moment, Trigger};
//! # fn sweep(control: &mut driver_conformance_mock_backend::client::Control) -> std::io::Result<()> {
//! let fault = Fault {
//!     kind: FaultKind::KillDriver { signal: KillSignal::Kill, when: Moment::After },
//!     trigger: Trigger { tag: Some("case-7".into()), number: Some(3), ..Trigger::default() },
//! };
//! let armed = control.arm(&fault)?;
//! // … run the case, then with the fault off: cleanup, cleanup again.
//! control.disarm(armed)?;
//! # Ok(()) }
//! ```
//!
//! A trigger is pure: it sees the request and how often it fired. An effect is asked twice: *before* the thing is done,
//! when it may refuse it, delay it, or twist it, and *after*, when it may change the answer or take it away. Over the
//! control socket the same is said in JSON: `{"do":"arm","fault":{"kind":"slow","ms":500,"trigger":{"verb":"run"}}}`.

mod clock_jump;
mod connection;
mod disk_full;
mod duplicate;
mod error_before_effect;
mod garbled_output;
mod hang;
mod kill_driver;
mod late_delete;
mod name_conflict;
mod object_dies;
mod partial_output;
mod permission_denied;
mod quota_exceeded;
mod reply_lost;
mod slow;
mod stale_list;
mod status;
mod tool_missing;
pub(crate) mod trigger;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ledger::Request;
use crate::session::{Answer, Scene};

pub use self::trigger::Trigger;

/// A fault: what breaks, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// What breaks.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// When.
    #[serde(default)]
    pub trigger: Trigger,
}

/// Relative to the effect of a request.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// Before it.
    #[default]
    Before,
    /// After it.
    After,
}

/// How a driver is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KillSignal {
    /// As the runner does it first.
    Term,
    /// As the runner does it last, and as the machine does it when memory is short.
    Kill,
}

/// What breaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum FaultKind {
    /// The tool fails, and nothing was done.
    ErrorBeforeEffect,
    /// It was done, but the tool fails.
    ReplyLost,
    /// It takes longer.
    Slow {
        /// By so many milliseconds.
        ms: u64,
    },
    /// It is done never, and there is no answer, until the fault is switched off or the tool is killed.
    Hang,
    /// The tool prints that much, then dies of SIGKILL.
    PartialOutput {
        /// Bytes on both streams together.
        bytes: u64,
    },
    /// What the tool prints on standard output is spoilt.
    GarbledOutput,
    /// It is done twice.
    Duplicate,
    /// What is listed or inspected is as it was before the latest change.
    StaleList,
    /// What was deleted stays for a while, although the tool said it was done.
    LateDelete {
        /// So many milliseconds.
        ms: u64,
    },
    /// The box that the request is about ends by itself.
    ObjectDies {
        /// Before or after what was asked for.
        #[serde(default)]
        when: Moment,
    },
    /// The name is taken by somebody else.
    NameConflict,
    /// There is no room left for another object.
    QuotaExceeded,
    /// The tool may not do this.
    PermissionDenied,
    /// Nobody listens.
    ConnectionRefused,
    /// The connection breaks after it was done, before the answer.
    ConnectionReset,
    /// The server's certificate is refused.
    TlsError,
    /// Status 429.
    TooManyRequests {
        /// What the answer says, seconds.
        retry_after_s: u64,
    },
    /// Status 500.
    InternalError,
    /// Status 503.
    Unavailable {
        /// What the answer says, seconds.
        retry_after_s: u64,
    },
    /// Nothing more can be written in the box.
    DiskFull,
    /// The tool is not there.
    ToolMissing,
    /// The backend's clock goes wrong by that much.
    ClockJump {
        /// Seconds forward, or backward if negative.
        seconds: i64,
    },
    /// The call of the driver that asked is ended, with all of its process group.
    KillDriver {
        /// By this signal.
        signal: KillSignal,
        /// Before or after what was asked for.
        when: Moment,
    },
}

/// What an effect says before the thing is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Before {
    /// Nothing against it.
    Proceed,
    /// It is not done; the tool says why, as the personality words this reason.
    Refuse {
        reason: &'static str,
        message: String,
    },
    /// It is not done; this is answered.
    Answer(Answer),
    /// It is not done, and nobody is there to hear of it.
    Gone,
}

/// How the thing itself is done otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "faults do not exclude each other"
)]
pub(crate) struct Twists {
    /// Show the world before its latest change.
    pub(crate) stale: bool,
    /// Deletions take effect after this time.
    pub(crate) late_delete: Option<Duration>,
    /// Do it twice.
    pub(crate) twice: bool,
    /// The clock is wrong by so many seconds.
    pub(crate) clock_s: i64,
    /// On a host that is not the driver's own, nothing can be written; what is there can be removed.
    pub(crate) disk_full: bool,
    /// What a real tool prints is kept back, to be changed.
    pub(crate) kept_back: bool,
}

/// What a fault does.
pub(crate) trait Effect {
    /// Before the thing is done.
    fn before(&self, _scene: &Scene<'_>, _twists: &mut Twists) -> Before {
        Before::Proceed
    }

    /// After it was done, or refused; `None`: nobody is there to hear the answer.
    fn after(&self, _scene: &Scene<'_>, answer: Answer) -> Option<Answer> {
        Some(answer)
    }
}

impl FaultKind {
    /// Its name, as in JSON and TOML.
    pub fn name(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        value["kind"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether it can be done to a backend to which requests are only passed on, if boxes there can be ended or not.
    pub(crate) fn reaches_real(&self, ends_boxes: bool) -> bool {
        match self {
            Self::ObjectDies { .. } => ends_boxes,
            // These change the emulated world.
            Self::Duplicate
            | Self::StaleList
            | Self::LateDelete { .. }
            | Self::DiskFull
            | Self::ClockJump { .. } => false,
            _ => true,
        }
    }

    pub(crate) fn effect(&self) -> Box<dyn Effect> {
        match *self {
            Self::ErrorBeforeEffect => Box::new(error_before_effect::ErrorBeforeEffect),
            Self::ReplyLost => Box::new(reply_lost::ReplyLost),
            Self::Slow { ms } => Box::new(slow::Slow(Duration::from_millis(ms))),
            Self::Hang => Box::new(hang::Hang),
            Self::PartialOutput { bytes } => Box::new(partial_output::PartialOutput(bytes)),
            Self::GarbledOutput => Box::new(garbled_output::GarbledOutput),
            Self::Duplicate => Box::new(duplicate::Duplicate),
            Self::StaleList => Box::new(stale_list::StaleList),
            Self::LateDelete { ms } => Box::new(late_delete::LateDelete(Duration::from_millis(ms))),
            Self::ObjectDies { when } => Box::new(object_dies::ObjectDies(when)),
            Self::NameConflict => Box::new(name_conflict::NameConflict),
            Self::QuotaExceeded => Box::new(quota_exceeded::QuotaExceeded),
            Self::PermissionDenied => Box::new(permission_denied::PermissionDenied),
            Self::ConnectionRefused => Box::new(connection::Refused),
            Self::ConnectionReset => Box::new(connection::Reset),
            Self::TlsError => Box::new(connection::Tls),
            Self::TooManyRequests { retry_after_s } => {
                Box::new(status::Status::too_many_requests(retry_after_s))
            }
            Self::InternalError => Box::new(status::Status::internal_error()),
            Self::Unavailable { retry_after_s } => {
                Box::new(status::Status::unavailable(retry_after_s))
            }
            Self::DiskFull => Box::new(disk_full::DiskFull),
            Self::ToolMissing => Box::new(tool_missing::ToolMissing),
            Self::ClockJump { seconds } => Box::new(clock_jump::ClockJump(seconds)),
            Self::KillDriver { signal, when } => Box::new(kill_driver::KillDriver { signal, when }),
        }
    }
}

/// A fault that waits for its trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Armed {
    /// By which it is switched off.
    pub id: u64,
    /// The fault.
    pub fault: Fault,
    /// How many requests met all conditions but those that count.
    pub matched: u64,
    /// How often it struck.
    pub fired: u64,
}

/// The faults that are switched on.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    inner: Mutex<(u64, Vec<Armed>)>,
}

impl Faults {
    fn lock(&self) -> MutexGuard<'_, (u64, Vec<Armed>)> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Switches a fault on; returns by what it is switched off.
    pub(crate) fn arm(&self, fault: Fault) -> u64 {
        let mut inner = self.lock();
        inner.0 += 1;
        let id = inner.0;
        inner.1.push(Armed {
            id,
            fault,
            matched: 0,
            fired: 0,
        });
        id
    }

    /// Switches faults off: one, or those of a case, or all.
    pub(crate) fn disarm(&self, id: Option<u64>, tag: Option<&str>) {
        let goes = |armed: &Armed| {
            id.is_none_or(|id| armed.id == id)
                && tag.is_none_or(|tag| armed.fault.trigger.tag.as_deref() == Some(tag))
        };
        self.lock().1.retain(|armed| !goes(armed));
    }

    /// Whether a fault is still on.
    pub(crate) fn is_armed(&self, id: u64) -> bool {
        self.lock().1.iter().any(|armed| armed.id == id)
    }

    /// Those that are on.
    pub(crate) fn all(&self) -> Vec<Armed> {
        self.lock().1.clone()
    }

    /// Those that strike a request.
    pub(crate) fn strike(&self, request: &Request) -> Vec<(u64, FaultKind)> {
        let mut inner = self.lock();
        let mut struck = Vec::new();
        for armed in &mut inner.1 {
            if !armed.fault.trigger.meets(request) {
                continue;
            }
            armed.matched += 1;
            if armed.fault.trigger.counts(armed.matched, armed.fired) {
                armed.fired += 1;
                struck.push((armed.id, armed.fault.kind.clone()));
            }
        }
        struck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_in_json_is_flat_and_survives() {
        let text = r#"{"kind":"slow","ms":5,"trigger":{"verb":"run","nth":2}}"#;
        let fault: Fault = serde_json::from_str(text).expect("understood");
        assert_eq!(fault.kind, FaultKind::Slow { ms: 5 });
        assert_eq!(fault.kind.name(), "slow");
        assert_eq!(serde_json::to_string(&fault).expect("written"), text);
        assert!(serde_json::from_str::<Fault>(r#"{"kind":"rust"}"#).is_err());
    }

    #[test]
    fn only_the_counted_request_is_struck_and_no_more_once_it_is_off() {
        let faults = Faults::default();
        let trigger = Trigger {
            verb: Some("run".into()),
            nth: Some(2),
            ..Trigger::default()
        };
        let kind = FaultKind::Hang;
        let id = faults.arm(Fault { kind, trigger });
        let asked = |verb: &str| Request {
            verb: verb.into(),
            ..Request::default()
        };
        let struck: Vec<bool> = ["run", "rm", "run", "run"]
            .map(|verb| !faults.strike(&asked(verb)).is_empty())
            .into();
        assert_eq!(struck, [false, false, true, false]);
        assert!(faults.is_armed(id));
        faults.disarm(Some(id), None);
        assert!(faults.all().is_empty());
    }
}
