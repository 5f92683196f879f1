//! The server of the backend answers with an error of its own. A command-line tool prints it.

use super::{Before, Effect, Twists};
use crate::runtime::world::reason;
use crate::session::Scene;

pub(super) struct Status {
    text: &'static str,
    pub(crate) code: i32,
    retry_after_s: Option<u64>,
}

impl Status {
    pub(super) fn too_many_requests(retry_after_s: u64) -> Self {
        Self {
            text: "429 Too Many Requests",
            code: 429,
            retry_after_s: Some(retry_after_s),
        }
    }

    pub(super) fn internal_error() -> Self {
        Self {
            text: "500 Internal Server Error",
            code: 500,
            retry_after_s: None,
        }
    }

    pub(super) fn unavailable(retry_after_s: u64) -> Self {
        Self {
            text: "503 Service Unavailable",
            code: 503,
            retry_after_s: Some(retry_after_s),
        }
    }
}

impl Effect for Status {
    fn before(&self, scene: &Scene<'_>, _twists: &mut Twists) -> Before {
        if let Some(answer) = scene.http_status(self.code, self.text, self.retry_after_s) {
            return Before::Answer(answer);
        }
        let wait = self.retry_after_s;
        let wait = wait.map_or(String::new(), |seconds| {
            format!(", retry after {seconds} s")
        });
        Before::Refuse {
            reason: reason::BROKEN,
            message: format!("unexpected status {}{wait}", self.text),
        }
    }
}
