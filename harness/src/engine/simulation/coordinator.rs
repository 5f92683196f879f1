//! A scripted GitLab: how it answers log patches and job updates.

use std::time::Duration;

use serde_json::Value;

use crate::contract::log_updates::{Answer, Request};

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
    final_codes: std::collections::VecDeque<u16>,
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
            return Answer::Unreachable;
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
            return Answer::Unreachable;
        }
        if let Ok(code) = mode.parse() {
            return Answer::Status {
                code,
                canceling: false,
                over: false,
                interval: None,
            };
        }
        let code = match request {
            Request::Patch { from, .. } if from != stored_bytes => 416,
            Request::Patch { .. } => 202,
            Request::Touch => 200,
            Request::Final => self.final_codes.pop_front().unwrap_or(200),
        };
        Answer::Status {
            code,
            canceling: mode == "canceling",
            over: matches!(mode, "canceled" | "failed"),
            interval: Some(self.interval),
        }
    }
}
