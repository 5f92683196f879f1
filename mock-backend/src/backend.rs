//! A running backend: its cases, their objects and processes.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::box_root;
use crate::faults::Faults;
use crate::host;
use crate::ledger::{Caller, Effect, Ledger};
use crate::personality::Personality;
use crate::place;
use crate::protocol::{Bind, BoxPlan, Isolation, Status};
use crate::runtime::running::{Execution, Running, StatusLines, null};
use crate::runtime::world::{BOX, Object, State, World};

/// How long the harness may take from starting a call to telling its process.
const ANNOUNCEMENT_PATIENCE: Duration = Duration::from_secs(5);
/// Exit code of what died of SIGKILL.
pub(crate) const KILLED: i32 = 137;

/// What all cases share.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) root: PathBuf,
    pub(crate) personality: Personality,
    pub(crate) isolation: Isolation,
    pub(crate) ledger: Ledger,
    pub(crate) faults: Faults,
    /// Pass-through: where the real tools are looked up.
    pub(crate) real: Option<String>,
    /// Where the HTTP API is, if the personality has one.
    pub(crate) http: OnceLock<SocketAddr>,
    cases: Mutex<HashMap<String, Arc<Case>>>,
}

/// One case: its objects are seen in it alone.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) tag: String,
    pub(crate) directory: PathBuf,
    state: Mutex<CaseState>,
    changed: Condvar,
    /// What its fixed host had before any job came.
    pub(crate) host_files: OnceLock<BTreeSet<PathBuf>>,
}

/// What changes in a case.
#[derive(Debug, Default)]
pub(crate) struct CaseState {
    pub(crate) world: World,
    /// The world before its latest change.
    earlier: Option<World>,
    /// The boxes that have processes, by id.
    pub(crate) boxes: HashMap<String, Arc<Running>>,
    /// The exit codes of the boxes that have ended by themselves, also of those that went with that.
    pub(crate) codes: HashMap<String, i32>,
    /// Objects that were deleted and go later.
    removing: Vec<(Instant, String)>,
    /// Requests so far.
    pub(crate) requests: u64,
    /// What was asked for and is not emulated.
    pub(crate) not_emulated: Vec<String>,
    /// Calls of the driver that the harness has told of.
    calls: Vec<Announced>,
}

/// A call of the driver.
#[derive(Debug, Clone)]
struct Announced {
    caller: Caller,
    /// Process and process group, once it was started.
    process: Option<i32>,
    ended: bool,
}

impl Backend {
    /// Begins in an empty directory.
    pub(crate) fn begin(
        root: &Path,
        personality: Personality,
        real: Option<String>,
    ) -> io::Result<Self> {
        fs::create_dir_all(root.join("cases"))?;
        Ok(Self {
            root: root.to_path_buf(),
            personality,
            isolation: best_isolation(root),
            ledger: Ledger::begin(&place::ledger(root))?,
            faults: Faults::default(),
            real,
            http: OnceLock::new(),
            cases: Mutex::default(),
        })
    }

    /// The variables that a driver needs beside PATH to find the backend.
    pub(crate) fn environment(&self, tag: &str) -> Vec<(String, String)> {
        let mut variables = Vec::new();
        if let Some(host) = self.personality.host().filter(|_| self.real.is_none()) {
            variables.push((host.variable.clone(), host.name.clone()));
        }
        if let (Some(http), Some(address)) = (self.personality.http(), self.http.get()) {
            variables.push((http.url_variable.clone(), format!("http://{address}/{tag}")));
            variables.push((http.token_variable.clone(), crate::http::token(tag)));
        }
        variables
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Case>>> {
        self.cases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A case that is open.
    pub(crate) fn case(&self, tag: &str) -> Option<Arc<Case>> {
        self.lock().get(tag).cloned()
    }

    /// Opens a case; it may be open already.
    pub(crate) fn open_case(&self, tag: &str) -> io::Result<Arc<Case>> {
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        if tag.is_empty() || tag.starts_with('.') || !tag.chars().all(is_name) {
            let text = format!("{tag:?} is no tag: letters, digits, - and _ are allowed");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let mut cases = self.lock();
        if let Some(case) = cases.get(tag) {
            return Ok(Arc::clone(case));
        }
        let case = Case {
            tag: tag.to_owned(),
            directory: place::case(&self.root, tag),
            state: Mutex::new(CaseState {
                world: World::new(seed(tag)),
                ..CaseState::default()
            }),
            changed: Condvar::new(),
            host_files: OnceLock::new(),
        };
        if let Some(host) = self.personality.host().filter(|_| self.real.is_none()) {
            host::provide(&case, &host.name)?;
        }
        let shims = place::shims(&self.root, tag);
        fs::create_dir_all(&shims)?;
        let executable = own_executable()?;
        for program in self.personality.programs() {
            symlink(&executable, shims.join(program))?;
        }
        let case = Arc::new(case);
        cases.insert(tag.to_owned(), Arc::clone(&case));
        Ok(case)
    }

    /// Ends all that is in a case and forgets it.
    pub(crate) fn close_case(&self, tag: &str) -> io::Result<()> {
        let case = self.lock().remove(tag);
        let Some(case) = case else { return Ok(()) };
        case.end_all();
        self.faults.disarm(None, Some(tag));
        self.ledger.forget(tag);
        match fs::remove_dir_all(&case.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Ends all that is in all cases.
    pub(crate) fn end(&self) {
        let cases: Vec<String> = self.lock().keys().cloned().collect();
        for tag in cases {
            // What cannot be removed goes with the directory of the whole backend.
            let _left_for_later = self.close_case(&tag);
        }
    }
}

/// What this executable is reached by: its path, or if that was replaced meanwhile, this process.
fn own_executable() -> io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    if path.exists() {
        Ok(path)
    } else {
        Ok(PathBuf::from(format!("/proc/{}/exe", std::process::id())))
    }
}

fn seed(tag: &str) -> u64 {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    tag.bytes().fold(0xcbf2_9ce4_8422_2325, mix)
}

/// Finds out how boxes can be kept from the machine, by making one.
fn best_isolation(root: &Path) -> Isolation {
    let works = |isolation| {
        let plan = BoxPlan {
            root: root.join("probe"),
            hostname: "probe".to_owned(),
            isolation,
            binds: Vec::new(),
        };
        let started = box_root::make(&plan.root).and_then(|()| Running::start(&plan));
        let works = started.is_ok();
        if let Ok((running, child)) = started {
            running.hang_up();
            running.wait(child);
        }
        let _left_for_later = fs::remove_dir_all(&plan.root);
        works
    };
    let candidates = [Isolation::Namespaces, Isolation::UserNamespaces];
    let working = candidates.into_iter().find(|isolation| works(*isolation));
    working.unwrap_or(Isolation::Plain)
}

impl Case {
    pub(crate) fn lock(&self) -> MutexGuard<'_, CaseState> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.settle(self);
        state
    }

    fn boxes(&self) -> PathBuf {
        self.directory.join("boxes")
    }

    /// The private directory of a box.
    pub(crate) fn box_directory(&self, id: &str) -> PathBuf {
        self.boxes().join(id)
    }

    /// The directory of a volume.
    pub(crate) fn volume_directory(&self, id: &str) -> PathBuf {
        self.directory.join("volumes").join(id)
    }

    /// Tells that something has changed, and waits on `lock` for that.
    pub(crate) fn wait<'a>(
        &self,
        state: MutexGuard<'a, CaseState>,
        patience: Duration,
    ) -> MutexGuard<'a, CaseState> {
        let waited = self.changed.wait_timeout(state, patience);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    pub(crate) fn notify(&self) {
        self.changed.notify_all();
    }

    /// A call is about to be started.
    pub(crate) fn call_starts(&self, caller: Caller) {
        self.lock().calls.push(Announced {
            caller,
            process: None,
            ended: false,
        });
    }

    /// A call was started, or has ended; `None`: it could not be started.
    pub(crate) fn call_is(&self, call: u64, process: Option<i32>, ended: bool) {
        let mut state = self.lock();
        let known = state
            .calls
            .iter_mut()
            .rfind(|known| known.caller.call == Some(call));
        if let Some(known) = known {
            known.process = process.or(known.process);
            known.ended |= ended;
        }
        drop(state);
        self.notify();
    }

    /// Which call a process comes from: by its process group, its ancestors, or because no other is running.
    pub(crate) fn caller(&self, process: i32) -> Caller {
        let kin = kin(process);
        let deadline = Instant::now() + ANNOUNCEMENT_PATIENCE;
        let mut state = self.lock();
        loop {
            let is_kin = |call: &&Announced| call.process.is_some_and(|pid| kin.contains(&pid));
            if let Some(call) = state.calls.iter().rev().find(is_kin) {
                return Caller {
                    process,
                    ..call.caller.clone()
                };
            }
            let expected = state
                .calls
                .iter()
                .any(|call| call.process.is_none() && !call.ended);
            let left = deadline.saturating_duration_since(Instant::now());
            if !expected || left.is_zero() {
                let mut running = state.calls.iter().filter(|call| !call.ended);
                let only = running.next().filter(|_| running.next().is_none());
                return Caller {
                    process,
                    ..only.map(|call| call.caller.clone()).unwrap_or_default()
                };
            }
            state = self.wait(state, left);
        }
    }

    /// The process group of a call that is alive.
    pub(crate) fn group_of(&self, caller: &Caller) -> Option<i32> {
        let state = self.lock();
        let is_it = |call: &&Announced| call.caller.call == caller.call && !call.ended;
        let call = state.calls.iter().rev().find(is_it)?;
        call.process.filter(|_| caller.call.is_some())
    }

    fn end_all(&self) {
        let mut state = self.lock();
        let running: Vec<Arc<Running>> = state.boxes.drain().map(|(_, running)| running).collect();
        for running in &running {
            running.hang_up();
        }
        for running in running {
            running.end();
        }
    }

    /// Starts the processes of a box, its main program with the given streams if it has one.
    pub(crate) fn start_box(
        self: &Arc<Self>,
        state: &mut CaseState,
        start: Start<'_>,
    ) -> io::Result<Result<(), i32>> {
        let object = start.object;
        let directory = self.box_directory(&object.id);
        let plan = BoxPlan {
            root: directory.join("root"),
            hostname: start.hostname,
            isolation: start.isolation,
            binds: start.binds,
        };
        let (running, child) = Running::start(&plan)?;
        let running = Arc::new(running);
        let mut main = None;
        if let Some((execution, streams)) = start.main {
            match running.execute(execution, streams)?.started()? {
                (Ok(()), lines) => main = Some(lines),
                (Err(errno), _) => {
                    running.hang_up();
                    running.wait(child);
                    return Ok(Err(errno));
                }
            }
        }
        let id = object.id.clone();
        state.boxes.insert(id.clone(), Arc::clone(&running));
        let polls = start.ready_after_polls;
        state.change(|world| {
            world.change(&id, |object| {
                object.state = match polls {
                    0 => State::Running,
                    polls => State::Starting { polls: polls - 1 },
                };
            });
        });
        let case = Arc::clone(self);
        std::thread::Builder::new().spawn(move || case.watch(&id, &running, child, main))?;
        Ok(Ok(()))
    }

    /// Waits until the main program of a box has ended, or the box, and notes that.
    fn watch(
        &self,
        id: &str,
        running: &Arc<Running>,
        child: std::process::Child,
        main: Option<StatusLines>,
    ) {
        let ending = main.and_then(|mut lines| lines.next().ok().flatten());
        if ending.is_some() {
            running.hang_up();
        }
        running.wait(child);
        let code = ending.and_then(Status::code).unwrap_or(KILLED);
        let mut state = self.lock();
        let is_same = |known: &Arc<Running>| Arc::ptr_eq(known, running);
        if state.boxes.get(id).is_some_and(is_same) {
            state.boxes.remove(id);
            state.codes.insert(id.to_owned(), code);
            let mut goes = false;
            state.change(|world| {
                world.change(id, |object| {
                    object.state = State::Stopped { code };
                    goes = object.attribute("remove").is_some();
                });
            });
            if goes {
                state.remove(self, id);
            }
        }
        drop(state);
        self.notify();
    }
}

/// A box to be started.
pub(crate) struct Start<'a> {
    pub(crate) object: &'a Object,
    pub(crate) hostname: String,
    pub(crate) isolation: Isolation,
    pub(crate) binds: Vec<Bind>,
    pub(crate) main: Option<(Execution, [std::os::fd::OwnedFd; 3])>,
    pub(crate) ready_after_polls: u32,
}

/// A process, its group, its session, and its ancestors with theirs.
fn kin(process: i32) -> Vec<i32> {
    let mut found = Vec::new();
    let mut next = process;
    while next > 1 && found.len() < 256 {
        let stat = fs::read(format!("/proc/{next}/stat")).unwrap_or_default();
        let stat = String::from_utf8_lossy(&stat);
        let Some((_, fields)) = stat.rsplit_once(')') else {
            break;
        };
        let number = |index| {
            let mut fields = fields.split_whitespace();
            fields.nth(index).and_then(|field: &str| field.parse().ok())
        };
        found.push(next);
        found.extend([2, 3].into_iter().filter_map(number));
        next = number(1).unwrap_or(0);
    }
    found
}

impl CaseState {
    /// What is shown: the world as it is, or as it was before its latest change.
    pub(crate) fn view(&self, stale: bool) -> &World {
        let earlier = self.earlier.as_ref().filter(|_| stale);
        earlier.unwrap_or(&self.world)
    }

    /// Changes the world and remembers how it was.
    pub(crate) fn change<T>(&mut self, change: impl FnOnce(&mut World) -> T) -> T {
        self.earlier = Some(self.world.clone());
        change(&mut self.world)
    }

    /// Ends the processes of a box. It has no others when this returns. A box that goes with its end is gone, too.
    pub(crate) fn end_box(&mut self, case: &Case, id: &str, code: i32) {
        if let Some(running) = self.boxes.remove(id) {
            running.end();
            self.codes.insert(id.to_owned(), code);
        }
        let mut goes = false;
        self.change(|world| {
            world.change(id, |object| {
                object.state = State::Stopped { code };
                goes = object.attribute("remove").is_some();
            });
        });
        if goes {
            self.remove(case, id);
        }
    }

    /// Takes an object out, with its processes and files.
    pub(crate) fn remove(&mut self, case: &Case, id: &str) {
        if let Some(running) = self.boxes.remove(id) {
            running.end();
        }
        let removed = self.change(|world| world.remove(id));
        let directory = match removed.as_ref().map(|object| object.kind.as_str()) {
            Some(BOX) => case.box_directory(id),
            Some("volume") => case.volume_directory(id),
            _ => return,
        };
        // What is left goes with the case.
        let _left_for_later = fs::remove_dir_all(directory);
    }

    /// Takes an object out later.
    pub(crate) fn remove_after(&mut self, id: &str, delay: Duration) {
        self.removing.push((Instant::now() + delay, id.to_owned()));
    }

    /// Whether an object was deleted and goes later.
    pub(crate) fn is_going(&self, id: &str) -> bool {
        self.removing.iter().any(|(_, going)| going == id)
    }

    fn settle(&mut self, case: &Case) {
        let now = Instant::now();
        let (due, later) = self.removing.drain(..).partition(|(at, _)| *at <= now);
        self.removing = later;
        let due: Vec<(Instant, String)> = due;
        for (_, id) in due {
            self.remove(case, &id);
        }
        // Whoever removes a file removes the object that it is.
        let is_gone = |object: &&Object| {
            let file = object.attribute("file").map(Path::new);
            file.is_some_and(|file| file.symlink_metadata().is_err())
        };
        let gone = self.world.all().iter().filter(is_gone);
        let gone: Vec<String> = gone.map(|object| object.id.clone()).collect();
        for id in gone {
            self.remove(case, &id);
        }
    }
}

/// What the ledger says about an object.
pub(crate) fn effect(what: &str, object: &Object) -> Effect {
    Effect {
        what: what.to_owned(),
        kind: object.kind.clone(),
        name: object.name.clone(),
        id: object.id.clone(),
    }
}

/// Streams that read nothing and append to a file.
pub(crate) fn logged(path: &Path) -> io::Result<[std::os::fd::OwnedFd; 3]> {
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)?;
    Ok([null(false)?, log.try_clone()?.into(), log.into()])
}
