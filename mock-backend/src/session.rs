//! One request: from the shim's first word to its exit code.
//!
//! In this order: who asks; what is asked; the ledger; the faults that strike; the thing itself; what the faults make of
//! the answer; the ledger; the answer.

use std::cell::Cell;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal};

use crate::backend::{Backend, Case, KILLED, effect};
use crate::faults::{Before, FaultKind, KillSignal, Twists};
use crate::host;
use crate::ledger::{Caller, Effect, Request, now_ms};
use crate::personality::operations::{self, Trouble};
use crate::personality::{Misunderstood, Parameters, Said, Verb};
use crate::place;
use crate::protocol::{Reply, ShimCall};
use crate::runtime::world::{BOX, Object, Refusal};
use crate::wire;

/// Exit code of a shim that does not emulate what was asked for.
const NOT_EMULATED: i32 = 125;
/// How often a waiting request looks whether its fault was switched off.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// How long a shim may take to end after it was told its exit code.
const EXIT_PATIENCE: Duration = Duration::from_mins(10);

/// What a tool prints and returns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The exit code; over HTTP, the status.
    pub(crate) code: i32,
    /// On standard output; over HTTP, the body.
    pub(crate) output: Vec<u8>,
    /// On standard error.
    pub(crate) errors: Vec<u8>,
    /// The tool dies of SIGKILL after that.
    pub(crate) dies: bool,
    /// Over HTTP: headers.
    pub(crate) headers: Vec<(String, String)>,
}

impl From<Said> for Answer {
    fn from(said: Said) -> Self {
        Self {
            code: said.code,
            output: said.output.into_bytes(),
            errors: said.text.into_bytes(),
            ..Self::default()
        }
    }
}

/// A request on its way.
pub(crate) struct Scene<'a> {
    pub(crate) backend: &'a Backend,
    pub(crate) case: &'a Arc<Case>,
    pub(crate) request: &'a Request,
    pub(crate) verb: &'a Verb,
    pub(crate) parameters: &'a Parameters,
    pub(crate) shim: &'a ShimCall,
    /// The connection to the shim.
    pub(crate) client: &'a UnixStream,
    /// The fault that is just asked.
    pub(crate) fault: Cell<u64>,
    /// Over HTTP: how much later the answer comes, instead of a wait for it.
    pub(crate) http_delay: Option<&'a Cell<Duration>>,
}

/// Serves one shim.
pub(crate) fn serve(backend: &Backend, client: &UnixStream) -> io::Result<()> {
    let Some(frame) = wire::receive::<ShimCall>(client.as_fd())? else {
        return Ok(());
    };
    let shim = frame.message;
    let Some(case) = place::tag_of(&shim.directory).and_then(|tag| backend.case(tag)) else {
        let text = format!("{}: mock backend: this case is over\n", shim.program);
        let answer = Answer {
            code: NOT_EMULATED,
            errors: text.into_bytes(),
            ..Answer::default()
        };
        say(client, &answer);
        return Ok(());
    };
    let process = rustix::net::sockopt::socket_peercred(client)?.pid;
    let process = process.as_raw_nonzero().get();
    let caller = case.caller(process);
    let understood = backend
        .personality
        .understand(&shim.program, &shim.arguments);
    let unlisted = Verb::unlisted(&shim.arguments);
    let understood = match understood {
        // The real tool knows what it is, or says that it does not.
        Err(_) if backend.real.is_some() => Ok((&unlisted, Parameters::default())),
        understood => understood,
    };
    let verb = understood.as_ref().map_or("", |(verb, _)| verb.name());
    let mut request = noted(&case, caller, &shim, verb);
    request.sequence = backend.ledger.request(request.clone())?;
    let answer = match &understood {
        Ok((verb, parameters)) => {
            let scene = Scene {
                backend,
                case: &case,
                request: &request,
                verb,
                parameters,
                shim: &shim,
                client,
                fault: Cell::new(0),
                http_delay: None,
            };
            scene.play()?
        }
        Err(Misunderstood::Usage(message)) => {
            Some(backend.personality.failure(&shim.program, message).into())
        }
        Err(Misunderstood::NotEmulated(what)) => Some(not_emulated(&case, &shim.program, what)),
    };
    backend
        .ledger
        .result(request.sequence, answer.as_ref().map(|answer| answer.code))?;
    if let Some(answer) = answer {
        say(client, &answer);
    }
    Ok(())
}

/// The request with the next number of its case.
pub(crate) fn noted(case: &Case, caller: Caller, shim: &ShimCall, verb: &str) -> Request {
    let mut state = case.lock();
    state.requests += 1;
    Request {
        sequence: 0,
        tag: case.tag.clone(),
        number: state.requests,
        caller,
        tool: shim.program.clone(),
        verb: verb.to_owned(),
        arguments: shim.arguments.clone(),
        at_ms: now_ms(),
    }
}

/// Says loudly that something is missing here, for which no driver is to blame.
fn not_emulated(case: &Case, program: &str, what: &str) -> Answer {
    case.lock().not_emulated.push(what.to_owned());
    Answer {
        code: NOT_EMULATED,
        errors: format!("{program}: mock backend: not emulated: {what}\n").into_bytes(),
        ..Answer::default()
    }
}

/// Tells the shim what to print and how to end, and waits until it has: it may still be copying.
fn say(client: &UnixStream, answer: &Answer) {
    let said: io::Result<()> = (|| {
        for (error, text) in [(false, &answer.output), (true, &answer.errors)] {
            if !text.is_empty() {
                wire::send(client.as_fd(), &Reply::Print { error }, text, &[])?;
            }
        }
        let last = if answer.dies {
            Reply::Die
        } else {
            Reply::Exit { code: answer.code }
        };
        wire::send(client.as_fd(), &last, b"", &[])
    })();
    // A shim that was killed hears nothing.
    if said.is_ok() {
        left_within(client, EXIT_PATIENCE, || false);
    }
}

/// Whether the client hangs up before the time is over or `enough` says so.
fn left_within(client: &UnixStream, patience: Duration, enough: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    while !enough() {
        let left = deadline.saturating_duration_since(Instant::now());
        let step = left.min(LOOK_INTERVAL);
        let timeout = Timespec::try_from(step).unwrap_or_default();
        let mut watched = [PollFd::new(client, PollFlags::RDHUP)];
        match poll(&mut watched, Some(&timeout)) {
            Ok(0) if left.is_zero() => return false,
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            _ => return true,
        }
    }
    false
}

impl Scene<'_> {
    /// Does it, with the faults that strike; `None`: nobody is there to hear the answer.
    pub(crate) fn play(&self) -> io::Result<Option<Answer>> {
        let mut struck = self.backend.faults.strike(self.request);
        struck.retain(|(_, kind)| self.backend.can_do(kind));
        let mut twists = Twists::default();
        let mut before = Before::Proceed;
        for (id, kind) in &struck {
            self.fault_is(*id, kind)?;
            before = kind.effect().before(self, &mut twists);
            if before != Before::Proceed {
                break;
            }
        }
        let mut answer = match before {
            Before::Proceed => self.perform(&twists)?,
            Before::Refuse { reason, message } => self.refuse(reason, &message),
            Before::Answer(answer) => answer,
            Before::Gone => return Ok(None),
        };
        for (id, kind) in &struck {
            self.fault.set(*id);
            match kind.effect().after(self, answer) {
                Some(after) => answer = after,
                None => return Ok(None),
            }
        }
        Ok(Some(answer))
    }

    fn fault_is(&self, id: u64, kind: &FaultKind) -> io::Result<()> {
        self.fault.set(id);
        let effect = Effect {
            what: "fault".to_owned(),
            kind: String::new(),
            name: kind.name(),
            id: id.to_string(),
        };
        self.backend.ledger.effect(self.request.sequence, effect)
    }

    fn perform(&self, twists: &Twists) -> io::Result<Answer> {
        if let Some(path) = &self.backend.real {
            let kept_back = twists.kept_back && !self.runs_program();
            return self.pass_through(path, kept_back);
        }
        let answer = self.answer(twists);
        if twists.twice && !self.runs_program() {
            self.answer(twists);
        }
        Ok(answer)
    }

    /// What is printed is that of a program in a box.
    fn runs_program(&self) -> bool {
        match self.verb.operation.as_str() {
            "box.run" => !self.parameters.has("detach"),
            "remote.shell" => true,
            operation => operation.starts_with("box.exec"),
        }
    }

    fn answer(&self, twists: &Twists) -> Answer {
        match operations::perform(self, twists) {
            Ok(answer) => answer,
            Err(Trouble::Refused(refusal)) => self.refused(&refusal),
            Err(Trouble::NotEmulated(what)) => not_emulated(self.case, self.tool(), &what),
            // The tool was killed while something was sent to it.
            Err(Trouble::Broken(_)) if self.client_leaves_within(Duration::ZERO, || false) => {
                Answer {
                    code: KILLED,
                    ..Answer::default()
                }
            }
            Err(Trouble::Broken(error)) => {
                // Ours, not the driver's.
                let what = format!(
                    "{} failed within the mock backend: {error}",
                    self.verb.name()
                );
                not_emulated(self.case, self.tool(), &what)
            }
        }
    }

    /// The name of the program.
    pub(crate) fn tool(&self) -> &str {
        &self.shim.program
    }

    /// What the tool says when it refuses something.
    pub(crate) fn refused(&self, refusal: &Refusal) -> Answer {
        let said = self
            .backend
            .personality
            .refusal(self.verb, self.tool(), refusal);
        said.into()
    }

    /// The same for a fault.
    pub(crate) fn refuse(&self, reason: &'static str, message: &str) -> Answer {
        let name = self.parameters.last("name").unwrap_or_default();
        let kind = if self.verb.kind.is_empty() {
            BOX
        } else {
            &self.verb.kind
        };
        self.refused(&Refusal::new(reason, kind, name, message))
    }

    /// The answer of an HTTP server, if it is one.
    pub(crate) fn http_status(
        &self,
        code: i32,
        text: &str,
        retry_after_s: Option<u64>,
    ) -> Option<Answer> {
        self.http_delay?;
        let wait = retry_after_s.map(|seconds| ("retry-after".to_owned(), seconds.to_string()));
        let body = serde_json::json!({ "error": { "code": code, "message": text } });
        Some(Answer {
            code,
            errors: body.to_string().into_bytes(),
            headers: wait.into_iter().collect(),
            ..Answer::default()
        })
    }

    /// Whether the tool is killed before the time is over or `enough` says so.
    pub(crate) fn client_leaves_within(
        &self,
        patience: Duration,
        enough: impl Fn() -> bool,
    ) -> bool {
        if let Some(delay) = self.http_delay {
            delay.set(delay.get().saturating_add(patience));
            return false;
        }
        left_within(self.client, patience, enough)
    }

    /// Whether the fault that is just asked is still on.
    pub(crate) fn is_armed(&self) -> bool {
        self.backend.faults.is_armed(self.fault.get())
    }

    /// Ends the call of the driver that asked: its process group, or if that is not known, the group of the tool.
    pub(crate) fn kill_caller(&self, signal: KillSignal) {
        let signal = match signal {
            KillSignal::Term => Signal::TERM,
            KillSignal::Kill => Signal::KILL,
        };
        let caller = &self.request.caller;
        let group = self.case.group_of(caller).and_then(Pid::from_raw);
        let own = || rustix::process::getpgid(Pid::from_raw(caller.process)).ok();
        if let Some(group) = group.or_else(own) {
            let _gone_already = rustix::process::kill_process_group(group, signal);
        }
        // A tool in a group of its own dies with its caller, too: it would be left alone with a request that is over.
        if let Some(tool) = Pid::from_raw(caller.process) {
            let _gone_already = rustix::process::kill_process(tool, signal);
        }
    }

    /// The boxes that are named in the request, or that it has made.
    fn boxes(&self) -> Vec<Object> {
        let state = self.case.lock();
        let names = self.parameters.all("name");
        let found_by_name = names
            .iter()
            .filter_map(|name| state.world.find(BOX, name).ok());
        let mut found: Vec<Object> = found_by_name.cloned().collect();
        let destination = self.parameters.last("destination");
        found.extend(destination.and_then(|place| operations::box_at(&state.world, place)));
        let made = state.world.of_kind(BOX);
        found.extend(
            made.filter(|object| object.made_by == self.request.sequence)
                .cloned(),
        );
        found.dedup_by(|one, other| one.id == other.id);
        found
    }

    /// Ends the boxes that the request is about.
    pub(crate) fn end_boxes(&self) {
        if self.backend.real.is_some() {
            return self.end_real_boxes();
        }
        for object in self.boxes() {
            if object.state.is_up() {
                let _unheard = self.note("end", &object);
                self.case.lock().end_box(self.case, &object.id, KILLED);
            }
        }
        self.case.notify();
    }

    /// Lets no more be written into the boxes that the request is about.
    pub(crate) fn fill_disks(&self) {
        // A full disk of a fixed host is still there when the call is over, with all that jobs have on it.
        let own = |object: &Object| !host::is_host(object);
        for object in self.boxes().into_iter().filter(own) {
            let running = self.case.lock().boxes.get(&object.id).cloned();
            if let Some(running) = running {
                let _gone_already = running.fill_disk();
            }
        }
    }

    /// Writes into the ledger what is about to be done.
    pub(crate) fn note(&self, what: &str, object: &Object) -> io::Result<()> {
        self.backend
            .ledger
            .effect(self.request.sequence, effect(what, object))
    }
}
