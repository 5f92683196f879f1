//! What harness and supervisor say to each other, and how it travels: frames of a length (4 bytes, little-endian) and
//! JSON over one Unix stream socket, with the pipes of a call attached to the frame that announces it.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Longest frame, bytes; a longer one means that the stream is broken.
const FRAME_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Bytes taken from the socket at once.
const RECEIVE_BYTES: usize = 16 * 1024;
/// Descriptors accepted with one read.
const DESCRIPTORS_MAX: usize = 8;

/// A program to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StartOrder {
    /// Name of the call in all reports about it.
    pub(super) call: u32,
    /// What is given to `execve`: a path, relative to `cwd` unless absolute.
    pub(super) path: String,
    /// Complete argument vector, program name first.
    pub(super) argv: Vec<String>,
    /// `K=V` items.
    pub(super) environment: Vec<String>,
    /// Working directory.
    pub(super) cwd: String,
    /// Follow the programs that it starts; `None`: it is not traced.
    pub(super) trace: Option<TraceOrder>,
}

/// How the programs that a call starts are followed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceOrder {
    /// What is done at one of them.
    pub trap: Option<Trap>,
    /// What is looked for in their arguments.
    pub words: Vec<String>,
    /// Where processes may not be traced, the call is started all the same.
    pub optional: bool,
}

/// At which of the programs that a call starts its group gets a signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trap {
    /// Name of the program.
    pub name: String,
    /// Which of those with this name, from 1.
    pub nth: u32,
    /// When.
    pub moment: TrapMoment,
    /// Number of the signal.
    pub signal: i32,
}

/// When a trap springs. The program stands still meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TrapMoment {
    /// The program is there and has not done anything yet.
    Begins,
    /// It has done everything, and whoever waits for it does not know yet.
    Ends,
}

/// A program that a call has started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildProgram {
    /// Its name.
    pub name: String,
    /// Which of those with this name in its call, from 1.
    pub nth: u32,
    /// It had ended before the call had.
    pub ended: bool,
    /// Which of [`TraceOrder::words`] are in its arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<usize>,
}

/// From harness to supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Request {
    /// Start a program; answered by `Started` or `NotStarted`.
    Start(StartOrder),
    /// Send a signal to the process group of a call; answered by `Signalled`.
    Signal {
        /// The call.
        call: u32,
        /// Number of the signal.
        signal: i32,
    },
    /// Kill all descendants, while no call is running; not answered.
    KillAll,
    /// Kill what was alive before a call was started; answered by `KilledEarlier`.
    KillEarlier {
        /// The call.
        call: u32,
    },
    /// List what is alive after `grace_ms`, kill it, and exit; answered by `Survivors` and `Gone`.
    Finish {
        /// How long descendants may take to end by themselves, milliseconds.
        grace_ms: u64,
    },
}

/// How a leader ended, as it travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Ending {
    /// Exit code.
    Code(i32),
    /// Number of the signal.
    Signal(i32),
}

/// A living descendant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survivor {
    /// Process id; 0 if none could be caught.
    pub pid: i32,
    /// Command line, or `still forking` if it could not be read.
    pub command: String,
    /// The call it descends from, if that could be told.
    pub call: Option<u32>,
    /// It is not in the process group of that call.
    pub own_group: bool,
    /// What it holds open: sockets it listens on, the output of its call.
    pub holds: Vec<String>,
}

/// From supervisor to harness.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Message {
    /// The program runs; the read ends of its stdout and stderr come with this frame.
    Started {
        /// The call.
        call: u32,
        /// Process and process group.
        pid: i32,
    },
    /// The program could not be started.
    NotStarted {
        /// The call.
        call: u32,
        /// Why.
        errno: i32,
    },
    /// The system does not let a call be traced, so that it was not started.
    NotTraced {
        /// The call.
        call: u32,
        /// Why.
        errno: i32,
    },
    /// A call that is followed has come to the program at which its group was to be signalled.
    Sprung {
        /// The call.
        call: u32,
        /// Number of the signal.
        signal: i32,
        /// 0, or why it could not be sent.
        errno: i32,
    },
    /// The programs that a call has started, just before its end is told.
    Children {
        /// The call.
        call: u32,
        /// In the order in which they began.
        programs: Vec<ChildProgram>,
    },
    /// The leader of a call ended.
    Exited {
        /// The call.
        call: u32,
        /// How.
        ending: Ending,
    },
    /// A signal was sent, or not.
    Signalled {
        /// The call.
        call: u32,
        /// Number of the signal.
        signal: i32,
        /// 0, or why not.
        errno: i32,
    },
    /// What was alive before a call was started has been killed.
    KilledEarlier {
        /// The call.
        call: u32,
        /// How many processes that were.
        killed: usize,
    },
    /// What was alive when the grace had passed.
    Survivors(Vec<Survivor>),
    /// Everything was killed, except for these processes. Last message.
    Gone {
        /// Processes that could not be killed.
        unkillable: Vec<i32>,
    },
}

/// One frame.
pub(super) fn encode<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let length = u32::try_from(frame.len() - 4).map_err(|_| io::ErrorKind::InvalidInput)?;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

/// What a read from the socket brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Received {
    /// Bytes, perhaps descriptors.
    Data,
    /// Nothing is waiting.
    Nothing,
    /// The other side is gone.
    Closed,
}

/// Bytes and descriptors that have arrived and were not taken yet.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    taken: usize,
    /// Descriptors, in the order in which they were sent.
    pub(super) descriptors: VecDeque<OwnedFd>,
}

impl Inbox {
    /// Takes what is waiting on `socket`, without waiting itself.
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<Received> {
        let mut buffer = [0; RECEIVE_BYTES];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let result = recvmsg(
            socket,
            &mut [IoSliceMut::new(&mut buffer)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT,
        );
        let count = match result {
            Ok(message) => message.bytes,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {
                return Ok(Received::Nothing);
            }
            Err(rustix::io::Errno::CONNRESET) => return Ok(Received::Closed),
            Err(errno) => return Err(errno.into()),
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
            }
        }
        if count == 0 {
            return Ok(Received::Closed);
        }
        self.bytes.extend_from_slice(&buffer[..count]);
        Ok(Received::Data)
    }

    /// The next complete message, if there is one.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let waiting = &self.bytes[self.taken..];
        let Some((header, rest)) = waiting.split_first_chunk::<4>() else {
            self.compact();
            return Ok(None);
        };
        let length = u32::from_le_bytes(*header) as usize;
        if length > FRAME_BYTES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a frame of {length} bytes"),
            ));
        }
        let Some(frame) = rest.get(..length) else {
            self.compact();
            return Ok(None);
        };
        let message = serde_json::from_slice(frame)?;
        self.taken += 4 + length;
        Ok(Some(message))
    }

    fn compact(&mut self) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
    }
}

/// Sends all of `bytes`, the descriptors with the first of them. Fails with `TimedOut` when the other side takes nothing
/// for `patience`.
pub(super) fn send(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
    patience: Duration,
) -> io::Result<()> {
    let deadline = Instant::now() + patience;
    let mut sent = 0;
    while sent < bytes.len() {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if sent == 0 && !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        match sendmsg(socket, &[IoSlice::new(&bytes[sent..])], &mut control, flags) {
            Ok(count) => sent += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => wait_writable(socket, deadline)?,
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

fn wait_writable(socket: BorrowedFd<'_>, deadline: Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let mut watched = [PollFd::from_borrowed_fd(socket, PollFlags::OUT)];
    wait_ready(&mut watched, Some(left)).map(|_| ())
}

/// Waits until one of `watched` is ready or `patience` has passed; returns how many are ready. An interrupting signal
/// counts as none ready.
pub(crate) fn wait_ready(
    watched: &mut [PollFd<'_>],
    patience: Option<Duration>,
) -> io::Result<usize> {
    let timeout = patience.map(|patience| {
        Timespec::try_from(patience).unwrap_or(Timespec {
            tv_sec: i64::MAX,
            tv_nsec: 0,
        })
    });
    match poll(watched, timeout.as_ref()) {
        Ok(count) => Ok(count),
        Err(rustix::io::Errno::INTR) => Ok(0),
        Err(errno) => Err(errno.into()),
    }
}

/// A connected pair of stream sockets, both closed on exec.
pub(super) fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

/// Whether the other side of `socket` has hung up, waiting for it up to `patience`.
pub(super) fn wait_hang_up(socket: &OwnedFd, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    let mut inbox = Inbox::default();
    loop {
        match inbox.receive(socket.as_fd()) {
            Ok(Received::Closed) | Err(_) => return true,
            Ok(Received::Data) => inbox = Inbox::default(),
            Ok(Received::Nothing) => {
                let left = deadline.saturating_duration_since(Instant::now());
                let mut watched = [PollFd::new(socket, PollFlags::IN)];
                if left.is_zero() || wait_ready(&mut watched, Some(left)).is_err() {
                    return false;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_being_cut_anywhere() {
        let messages = [
            Message::Started { call: 1, pid: 77 },
            Message::Gone { unkillable: vec![] },
        ];
        let mut stream = Vec::new();
        for message in &messages {
            stream.extend(encode(message).expect("encodes"));
        }
        for cut in 0..=stream.len() {
            let mut inbox = Inbox::default();
            let mut seen = Vec::new();
            for part in [&stream[..cut], &stream[cut..]] {
                inbox.bytes.extend_from_slice(part);
                while let Some(message) = inbox.next::<Message>().expect("well-formed") {
                    seen.push(message);
                }
            }
            assert_eq!(seen, messages);
        }
    }

    #[test]
    fn a_frame_carries_descriptors() {
        let (ours, theirs) = socket_pair().expect("a pair");
        let frame = encode(&Message::Started { call: 0, pid: 1 }).expect("encodes");
        send(
            ours.as_fd(),
            &frame,
            &[ours.as_fd(), theirs.as_fd()],
            Duration::from_secs(10),
        )
        .expect("sent");
        let mut inbox = Inbox::default();
        assert_eq!(inbox.receive(theirs.as_fd()).expect("read"), Received::Data);
        assert_eq!(inbox.descriptors.len(), 2);
        assert!(inbox.next::<Message>().expect("well-formed").is_some());
        assert_eq!(
            inbox.receive(theirs.as_fd()).expect("read"),
            Received::Nothing
        );
    }
}
