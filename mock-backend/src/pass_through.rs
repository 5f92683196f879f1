//! The real tool in the place of the emulated one: requests are recorded, faults strike, and the tool does the rest.

use std::io;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::backend::{Backend, KILLED};
use crate::faults::FaultKind;
use crate::protocol::{Ran, Reply};
use crate::session::{Answer, Scene};
use crate::wire;

/// How long the real tool may take to end a box.
const END_PATIENCE: Duration = Duration::from_secs(10);

impl Backend {
    /// Whether a fault can be done to what is behind the shims.
    pub(crate) fn can_do(&self, kind: &FaultKind) -> bool {
        self.real.is_none() || self.personality.reaches_real(kind)
    }
}

impl Scene<'_> {
    /// Has the shim run the real tool. What it prints on standard output may be kept back for the answer.
    pub(crate) fn pass_through(&self, path: &str, kept_back: bool) -> io::Result<Answer> {
        let Some(path) = self.real_tool(path) else {
            let text = format!("{}: command not found\n", self.tool());
            return Ok(Answer {
                code: 127,
                errors: text.into_bytes(),
                ..Answer::default()
            });
        };
        let run = Reply::Run { path, kept_back };
        wire::send(self.client.as_fd(), &run, b"", &[])?;
        let Some(ran) = wire::receive::<Ran>(self.client.as_fd())? else {
            return Ok(Answer {
                code: KILLED,
                ..Answer::default()
            });
        };
        Ok(match ran.message.code {
            Ok(code) => Answer {
                code,
                output: ran.payload,
                ..Answer::default()
            },
            Err(problem) => self
                .backend
                .personality
                .failure(self.tool(), &problem)
                .into(),
        })
    }

    fn real_tool(&self, path: &str) -> Option<PathBuf> {
        let mut candidates = path
            .split(':')
            .map(|directory| PathBuf::from(directory).join(self.tool()));
        candidates.find(|path| path.is_file())
    }

    /// Ends the boxes that are named in the request. One that is not there, or does not run, is as good as ended.
    pub(crate) fn end_real_boxes(&self) {
        let path = self.backend.real.as_deref().unwrap_or_default();
        let Some(tool) = self.real_tool(path) else {
            return;
        };
        for name in self.parameters.all("name") {
            let Some(words) = self.backend.personality.end_box(name) else {
                return;
            };
            let mut command = Command::new(&tool);
            command
                .args(words)
                .env_clear()
                .envs(self.shim.environment.iter().cloned())
                .current_dir(&self.shim.working_directory)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            if let Ok(child) = command.spawn() {
                await_end(child);
            }
        }
    }
}

/// Waits until a tool has ended, or ends it.
fn await_end(mut child: Child) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let watched = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    let deadline = Instant::now() + END_PATIENCE;
    if let Some(watched) = watched {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).unwrap_or_default();
            let mut ready = [PollFd::new(&watched, PollFlags::IN)];
            match poll(&mut ready, Some(&timeout)) {
                Err(rustix::io::Errno::INTR) => {}
                _ => break,
            }
        }
    }
    // It is over already, as a rule.
    let _over_already = child.kill();
    let _reaped = child.wait();
}
