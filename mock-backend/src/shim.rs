//! The shim: what a driver calls instead of the tool of its backend.
//!
//! It is this same executable under the tool's name, a link in a directory of the case. It knows nothing: it sends its
//! arguments to the backend, whose socket is beside that directory, and does as it is told. It copies the streams of what
//! runs in a box, as the clients of real backends do, so that killing it closes the driver's pipes while the work goes on.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::process::Signal;

use crate::place;
use crate::protocol::{Ran, Reply, ShimCall};
use crate::wire;

/// Exit code when the backend cannot be reached; no driver is judged by it, since the case is an error then.
const BACKEND_GONE: u8 = 125;
/// Bytes copied at once: the capacity of a pipe.
const COPY_BYTES: usize = 64 * 1024;

/// Acts as a shim if this process was started as one.
pub(crate) fn run_if_requested() -> Option<ExitCode> {
    let called = Path::new(OsStr::from_bytes(rustix::param::linux_execfn().to_bytes()));
    let program = called.file_name()?.to_str()?;
    if place::OWN_PROGRAMS
        .iter()
        .any(|own| program.starts_with(own))
    {
        return None;
    }
    let directory = std::path::absolute(called.parent()?).ok()?;
    let socket = match place::connect(&place::shim_socket_of(&directory)?) {
        Ok(socket) => socket,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => return Some(gone(program, &error)),
    };
    Some(match talk(&socket, directory, program) {
        Ok(code) => ExitCode::from(u8::try_from(code & 0xff).unwrap_or(BACKEND_GONE)),
        Err(error) => gone(program, &error),
    })
}

#[expect(clippy::print_stderr, reason = "the shim is a program of its own")]
fn gone(program: &str, error: &io::Error) -> ExitCode {
    eprintln!("{program}: the mock backend cannot be reached: {error}");
    ExitCode::from(BACKEND_GONE)
}

fn talk(socket: &UnixStream, directory: PathBuf, program: &str) -> io::Result<i32> {
    let lossy = |text: &OsStr| text.to_string_lossy().into_owned();
    let call = ShimCall {
        directory,
        program: program.to_owned(),
        arguments: std::env::args_os()
            .skip(1)
            .map(|word| lossy(&word))
            .collect(),
        working_directory: std::env::current_dir().unwrap_or_default(),
        environment: std::env::vars_os()
            .map(|(name, value)| (lossy(&name), lossy(&value)))
            .collect(),
    };
    wire::send(socket.as_fd(), &call, b"", &[])?;
    loop {
        let Some(frame) = wire::receive::<Reply>(socket.as_fd())? else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        match frame.message {
            Reply::Print { error } => print(error, &frame.payload)?,
            Reply::Proxy { stdin } => copy(socket, stdin, frame.descriptors)?,
            Reply::Run { path, kept_back } => {
                let (code, output) = match run(&path, program, kept_back) {
                    Ok((code, output)) => (Ok(code), output),
                    Err(problem) => (Err(problem), Vec::new()),
                };
                wire::send(socket.as_fd(), &Ran { code }, &output, &[])?;
            }
            Reply::Exit { code } => return Ok(code),
            Reply::Die => {
                let _never_fails =
                    rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
            }
        }
    }
}

/// Prints; a reader that is gone is none of our business, as for most tools.
fn print(error: bool, bytes: &[u8]) -> io::Result<()> {
    let written = if error {
        io::stderr().write_all(bytes)
    } else {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush())
    };
    match written {
        Err(failure) if failure.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Runs a program; returns its exit code and, if that is kept back, what it printed.
fn run(path: &Path, program: &str, kept_back: bool) -> Result<(i32, Vec<u8>), String> {
    let mut command = Command::new(path);
    command.arg0(program).args(std::env::args_os().skip(1));
    let ran = if kept_back {
        command
            .stdin(Stdio::inherit())
            .stderr(Stdio::inherit())
            .output()
    } else {
        command.status().map(|status| Output {
            status,
            stdout: Vec::new(),
            stderr: Vec::new(),
        })
    };
    let ran = ran.map_err(|error| format!("{} cannot be started: {error}", path.display()))?;
    let by_signal = ran.status.signal().map(|signal| 128 + signal);
    let code = ran.status.code().or(by_signal);
    Ok((code.unwrap_or(BACKEND_GONE.into()), ran.stdout))
}

/// The input of a program in a box: what was read from standard input and does not fit into its pipe yet.
struct Input {
    pipe: OwnedFd,
    waiting: Vec<u8>,
    at_end: bool,
}

/// Copies until the output of the program in the box is closed by all who hold it.
fn copy(socket: &UnixStream, stdin: bool, descriptors: Vec<OwnedFd>) -> io::Result<()> {
    let mut descriptors = descriptors.into_iter();
    let mut outputs = [
        descriptors.next().map(File::from),
        descriptors.next().map(File::from),
    ];
    let mut input = descriptors.next().filter(|_| stdin).map(|pipe| Input {
        pipe,
        waiting: Vec::new(),
        at_end: false,
    });
    if let Some(input) = &input {
        let flags = fcntl_getfl(&input.pipe)?;
        fcntl_setfl(&input.pipe, flags | OFlags::NONBLOCK)?;
    }
    let mut buffer = vec![0; COPY_BYTES];
    while outputs.iter().any(Option::is_some) {
        let (ready_outputs, ready_input) = wait(socket, &outputs, input.as_ref())?;
        for (index, ready) in ready_outputs.into_iter().enumerate() {
            if ready && !copy_output(&mut outputs[index], index == 1, &mut buffer)? {
                outputs[index] = None;
            }
        }
        if ready_input {
            input = input.and_then(|input| copy_input(input, &mut buffer));
        }
    }
    Ok(())
}

/// Waits; returns which outputs can be read, and whether there is something to do for the input.
fn wait(
    socket: &UnixStream,
    outputs: &[Option<File>; 2],
    input: Option<&Input>,
) -> io::Result<([bool; 2], bool)> {
    let mut watched = Vec::with_capacity(4);
    // A hang-up of the backend ends its pipes as well; without the socket here, nobody would notice it early.
    watched.push(PollFd::new(socket, PollFlags::RDHUP));
    for output in outputs.iter().flatten() {
        watched.push(PollFd::new(output, PollFlags::IN));
    }
    match input {
        Some(input) if input.waiting.is_empty() => {
            watched.push(PollFd::from_borrowed_fd(
                rustix::stdio::stdin(),
                PollFlags::IN,
            ));
        }
        Some(input) => watched.push(PollFd::new(&input.pipe, PollFlags::OUT)),
        None => {}
    }
    match poll(&mut watched, None) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(errno) => return Err(errno.into()),
    }
    let mut ready = watched.iter().map(|fd| !fd.revents().is_empty());
    if ready.next() == Some(true) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut of = |output: &Option<File>| output.is_some() && ready.next().unwrap_or(false);
    let outputs = [of(&outputs[0]), of(&outputs[1])];
    Ok((outputs, ready.next().unwrap_or(false)))
}

/// Copies one piece; `false` at the end.
fn copy_output(output: &mut Option<File>, error: bool, buffer: &mut [u8]) -> io::Result<bool> {
    let Some(pipe) = output else { return Ok(false) };
    match pipe.read(buffer) {
        Ok(0) => Ok(false),
        Ok(count) => print(error, &buffer[..count]).map(|()| true),
        Err(failure) if failure.kind() == io::ErrorKind::Interrupted => Ok(true),
        Err(failure) => Err(failure),
    }
}

/// Takes one piece of standard input, or hands on what waits; `None` when the program shall see the end of its input.
fn copy_input(mut input: Input, buffer: &mut [u8]) -> Option<Input> {
    if input.waiting.is_empty() {
        match rustix::io::read(rustix::stdio::stdin(), &mut *buffer) {
            Ok(0) | Err(_) => input.at_end = true,
            Ok(count) => input.waiting.extend_from_slice(&buffer[..count]),
        }
    }
    match rustix::io::write(&input.pipe, &input.waiting) {
        Ok(count) => drop(input.waiting.drain(..count)),
        Err(Errno::AGAIN | Errno::INTR) => {}
        // The program reads no more.
        Err(_) => return None,
    }
    (!(input.at_end && input.waiting.is_empty())).then_some(input)
}
