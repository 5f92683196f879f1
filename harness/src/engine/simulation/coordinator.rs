//! A scripted GitLab: how it answers log patches and job updates.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;

use crate::contract::log_updates::{Answer, JobStatus, Request};

/// How often the runner's HTTP client tries a request.
const REQUEST_TRIES: usize = 5;

/// HTTP status by which GitLab says that its log ends elsewhere than the patch begins.
const RANGE_MISMATCH: u16 = 416;

/// How GitLab answers from some moment on.
#[derive(Debug, Clone, PartialEq)]
pub struct Mode {
    /// `running`, `canceling`, `canceled`, `failed`, an HTTP status, or `reset`.
    pub name: String,
    /// Only for these HTTP methods; empty: all.
    pub methods: Vec<String>,
    /// Only for this job; `None`: all.
    pub job: Option<i64>,
}

impl Mode {
    /// Reads `{"mode" or "coord": NAME, "methods": […], "job": ID}`.
    pub fn parse(value: &Value) -> Option<Self> {
        let name = value.get("coord").or_else(|| value.get("mode"))?;
        let name = match name {
            Value::String(name) => name.clone(),
            other => other.to_string(),
        };
        let methods = value.get("methods").and_then(Value::as_array);
        let methods = methods.into_iter().flatten().filter_map(Value::as_str);
        Some(Self {
            name,
            methods: methods.map(str::to_owned).collect(),
            job: value.get("job").and_then(super::behaviour::as_id),
        })
    }
}

/// The scripted GitLab.
#[derive(Debug)]
pub struct Coordinator {
    modes: Vec<Mode>,
    refusing: bool,
    final_codes: VecDeque<u16>,
    interval: Duration,
}

impl Coordinator {
    /// A GitLab with these answers, and this interval between log updates.
    pub fn new(modes: Vec<Mode>, final_codes: Vec<u16>, interval: Duration) -> Self {
        Self {
            modes,
            refusing: false,
            final_codes: final_codes.into(),
            interval,
        }
    }

    /// From now on it answers so.
    pub fn set_mode(&mut self, mode: Mode) {
        self.modes.push(mode);
    }

    /// From now on it refuses connections, or takes them again.
    pub fn refuse(&mut self, refusing: bool) {
        self.refusing = refusing;
    }

    /// The answer to a request about a job of whose log `stored_bytes` are here already.
    pub fn answer(&mut self, job: i64, request: Request, stored_bytes: u64) -> Answer {
        if self.refusing {
            return Answer::Refused;
        }
        let method = if matches!(request, Request::Patch { .. }) {
            "PATCH"
        } else {
            "PUT"
        };
        let mode = self
            .modes
            .iter()
            .rev()
            .find(|mode| {
                mode.job.is_none_or(|wanted| wanted == job)
                    && (mode.methods.is_empty() || mode.methods.iter().any(|name| name == method))
            })
            .map_or("running", |mode| mode.name.as_str());
        if mode == "reset" {
            return Answer::Broken;
        }
        if let Ok(code) = mode.parse() {
            return Answer::Status {
                code,
                job: JobStatus::Unsaid,
                interval: None,
                held_bytes: held_bytes(code, stored_bytes),
            };
        }
        let code = match request {
            Request::Patch { from, .. } if from != stored_bytes => RANGE_MISMATCH,
            Request::Patch { .. } => 202,
            Request::Touch => 200,
            Request::Final => final_code(&mut self.final_codes),
        };
        let job = match mode {
            "canceling" => JobStatus::Canceling,
            "canceled" => JobStatus::Canceled,
            "failed" => JobStatus::Failed,
            _ => JobStatus::Running,
        };
        Answer::Status {
            code,
            job,
            interval: Some(self.interval),
            held_bytes: held_bytes(code, stored_bytes),
        }
    }
}

fn held_bytes(code: u16, stored_bytes: u64) -> Option<u64> {
    (code == RANGE_MISMATCH).then_some(stored_bytes)
}

/// The runner's HTTP client repeats a request by itself if the answer says that the server is in trouble; the rest of the
/// runner sees the last answer only. Its pauses, a second in all, are left out here.
fn final_code(codes: &mut VecDeque<u16>) -> u16 {
    let mut code = 200;
    for _ in 0..REQUEST_TRIES {
        code = codes.pop_front().unwrap_or(200);
        if !matches!(code, 408 | 429 | 500 | 502 | 503 | 504 | 512..) {
            break;
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_in_trouble_is_asked_five_times() {
        assert_eq!(final_code(&mut [500, 503].into()), 200);
        assert_eq!(final_code(&mut [500, 401, 200].into()), 401);
        let mut troubles = VecDeque::from([500; 9]);
        assert_eq!(final_code(&mut troubles), 500);
        assert_eq!(troubles.len(), 4);
    }
}
