//! Frames between a shim, the backend and a box: lengths, a message in JSON, bytes as they are, and descriptors.
//!
//! All sides block: each connection has a thread of its own, and a shim or a box has nothing else to do.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest message or payload, bytes; a longer one means that the stream is broken.
const PART_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most descriptors with one frame.
const DESCRIPTORS_MAX: usize = 4;
/// Two lengths, little-endian.
const HEADER_BYTES: usize = 8;

/// What has arrived.
#[derive(Debug)]
pub(crate) struct Frame<T> {
    /// The message.
    pub(crate) message: T,
    /// Bytes that came with it.
    pub(crate) payload: Vec<u8>,
    /// Descriptors that came with it, in order.
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// Sends one frame.
pub(crate) fn send<T: Serialize>(
    socket: BorrowedFd<'_>,
    message: &T,
    payload: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let mut bytes = Vec::with_capacity(HEADER_BYTES + text.len() + payload.len());
    for part in [text.len(), payload.len()] {
        let length = u32::try_from(part).map_err(|_| io::ErrorKind::InvalidInput)?;
        bytes.extend_from_slice(&length.to_le_bytes());
    }
    bytes.extend_from_slice(&text);
    bytes.extend_from_slice(payload);
    let mut sent = 0;
    while sent < bytes.len() {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if sent == 0 && !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        let rest = [IoSlice::new(&bytes[sent..])];
        match sendmsg(socket, &rest, &mut control, SendFlags::NOSIGNAL) {
            Ok(count) => sent += count,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Receives one frame; `None` if the other side has closed the stream.
pub(crate) fn receive<T: DeserializeOwned>(socket: BorrowedFd<'_>) -> io::Result<Option<Frame<T>>> {
    let mut descriptors = Vec::new();
    let mut header = [0; HEADER_BYTES];
    if !fill(socket, &mut header, &mut descriptors)? {
        return Ok(None);
    }
    let length = |at: usize| -> io::Result<usize> {
        let bytes = [header[at], header[at + 1], header[at + 2], header[at + 3]];
        let length = u32::from_le_bytes(bytes) as usize;
        if length > PART_BYTES_MAX {
            let text = format!("a frame of {length} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(length)
    };
    let mut text = vec![0; length(0)?];
    let mut payload = vec![0; length(4)?];
    for part in [&mut text, &mut payload] {
        if !part.is_empty() && !fill(socket, part, &mut descriptors)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Some(Frame {
        message: serde_json::from_slice(&text)?,
        payload,
        descriptors,
    }))
}

/// Fills `bytes`; `false` if the stream was closed before the first of them.
fn fill(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> io::Result<bool> {
    let mut filled = 0;
    while filled < bytes.len() {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut rest = [IoSliceMut::new(&mut bytes[filled..])];
        let count = match recvmsg(socket, &mut rest, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Ok(message) => message.bytes,
            Err(Errno::INTR) => continue,
            Err(Errno::CONNRESET) => 0,
            Err(errno) => return Err(errno.into()),
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(sent) = message {
                descriptors.extend(sent);
            }
        }
        match count {
            0 if filled == 0 => return Ok(false),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => filled += count,
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn frames_carry_message_payload_and_descriptors() {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let passed = [ours.as_fd(), theirs.as_fd()];
        send(ours.as_fd(), &"first", b"\0\xff", &passed).expect("sent");
        send(ours.as_fd(), &"second", b"", &[]).expect("sent");
        drop(ours);
        let frame = receive::<String>(theirs.as_fd()).expect("read");
        let frame = frame.expect("there is one");
        assert_eq!(
            (&*frame.message, &*frame.payload),
            ("first", &b"\0\xff"[..])
        );
        assert_eq!(frame.descriptors.len(), 2);
        drop(frame);
        let frame = receive::<String>(theirs.as_fd()).expect("read");
        assert_eq!(frame.expect("there is one").message, "second");
        assert!(receive::<String>(theirs.as_fd()).expect("closed").is_none());
    }
}
