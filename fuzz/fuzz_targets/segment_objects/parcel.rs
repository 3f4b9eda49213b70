//! A parcel that was changed on its way: any bytes, any descriptors; and the same in a berth.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use arbitrary::Arbitrary;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use slipring::{
    Array, Boarding, ByteJoinableReceiver, ByteReceiver, Connection, Handoff, Inherited,
    JoinableOptions, Mutex, Pipe, PipeReader, Segment, SegmentOptions, SlotSender, Slots,
};

use crate::limits::SHORT;

/// Bytes of a parcel's header, and where in it the length of the text and the number of descriptors stand.
const HEAD: usize = 32;
const LEN_AT: usize = 12;
const FDS_AT: usize = 16;
/// The most descriptors in a message.
const MAX_FDS: usize = 16;

#[derive(Arbitrary, Debug)]
pub struct Input {
    /// Whether the socket keeps the boundaries of messages.
    packets: bool,
    /// Which handles are in it.
    given: u8,
    /// Whether the header states the sizes that there are in the end.
    honest: bool,
    edits: Vec<Edit>,
    /// Where it is cut in two.
    cut: Option<u8>,
    /// The sender goes before it is received.
    hang_up: bool,
    /// The descriptors and the numbers are not received, but boarded.
    board: bool,
}

#[derive(Arbitrary, Debug)]
enum Edit {
    Byte {
        at: u16,
        byte: u8,
    },
    Head {
        word: u8,
        value: u32,
    },
    /// Another number in the text.
    Number {
        which: u8,
        value: u64,
    },
    Near {
        which: u8,
        value: u8,
    },
    Insert {
        at: u16,
        bytes: Vec<u8>,
    },
    Cut {
        at: u16,
    },
    /// All the text again, with this before it.
    Twice {
        before: u8,
    },
    Replace {
        which: u8,
        fd: u8,
    },
    Swap {
        which: u8,
        with: u8,
    },
    Drop {
        which: u8,
    },
    Add {
        fd: u8,
    },
}

struct Parcel {
    bytes: Vec<u8>,
    fds: Vec<OwnedFd>,
}

pub fn run(input: Input) {
    let options = SegmentOptions::new().reserve(64 << 20).symmetric_fences();
    let segment = Segment::with(options).unwrap();
    let kind = if input.packets { SocketType::SEQPACKET } else { SocketType::STREAM };
    let mut parcel = genuine(&segment, kind, input.given);
    let honest = input.honest;
    input.edits.into_iter().take(32).for_each(|edit| parcel.edit(&segment, edit));
    if honest && parcel.bytes.len() >= HEAD {
        let len = (parcel.bytes.len() - HEAD) as u32;
        parcel.bytes[LEN_AT..][..4].copy_from_slice(&len.to_le_bytes());
        parcel.bytes[FDS_AT..][..4].copy_from_slice(&(parcel.fds.len() as u32).to_le_bytes());
    }
    if input.board {
        return board(parcel);
    }
    let (here, there) = pair(kind);
    let (first, rest) = parcel.bytes.split_at(
        input.cut.map_or(parcel.bytes.len(), |at| usize::from(at).min(parcel.bytes.len())),
    );
    post(&here, first, &parcel.fds);
    if !rest.is_empty() {
        post(&here, rest, &[]);
    }
    drop(parcel);
    let here = (!input.hang_up).then_some(here);
    // Twice: what follows may be the rest of it.
    for _ in 0..2 {
        if let Ok(inherited) = Inherited::receive_until(&there, SHORT) {
            use_it(inherited);
        }
    }
    drop(here);
    let _ = (segment.reap(), segment.participants());
}

/// What [`Handoff::send`] sends.
fn genuine(segment: &Segment, kind: SocketType, given: u8) -> Parcel {
    let mut handoff = Handoff::new(segment);
    let mutex = Mutex::new(segment, [1_u32; 3]).unwrap();
    let (here, _there) = Pipe::duplex(segment).unwrap();
    let options = JoinableOptions::bounded(3);
    let (_, tasks) = slipring::ByteJoinableQueue::with(segment, options).unwrap();
    let slots = Slots::<u64>::new(segment, 3).unwrap();
    let items = Array::<u32>::new(segment, 3).unwrap();
    let gives: [&mut dyn FnMut(&mut Handoff); 5] = [
        &mut |to| to.give("0", &mutex).unwrap(),
        &mut |to| to.give("1", &here).unwrap(),
        &mut |to| to.give("2", &tasks).unwrap(),
        &mut |to| to.give("3", &slots.0).unwrap(),
        &mut |to| to.give("4", &items).unwrap(),
    ];
    let chosen = gives.into_iter().enumerate().filter(|(index, _)| given >> index & 1 == 1);
    chosen.for_each(|(_, give)| give(&mut handoff));
    let (from, to) = pair(kind);
    handoff.send(&from).unwrap();
    receive(&to)
}

/// The place of a parcel is a berth that was given everything before. All that can be read as the description of a handle
/// is taken, with all the descriptors that are left.
fn board(parcel: Parcel) {
    let text = String::from_utf8_lossy(parcel.bytes.get(HEAD..).unwrap_or_default()).into_owned();
    let mut parts = text.split(' ');
    let id = parts.next().and_then(|head| head.split_once(':')?.1.parse().ok());
    let mut fds = parcel.fds.into_iter();
    let (Some(id), Some(proof)) = (id, fds.next()) else { return };
    let Ok(boarding) = Boarding::new(proof, id) else { return };
    let rest: Vec<_> = fds.collect();
    for part in parts.take(8) {
        let text = part.split_once(':').map_or(part, |(_, text)| text);
        // As it was given: without the numbers of descriptors.
        let end = text.match_indices(':').nth(2).map_or(text.len(), |(at, _)| at);
        for text in [&text[..end], text] {
            let fds = || rest.iter().map(|fd| fd.try_clone().unwrap()).collect();
            drop(boarding.take::<Mutex<[u32; 3]>>(text, fds()).map(|m| m.try_lock().is_ok()));
            drop(boarding.take::<Connection>(text, fds()).map(|mut c| c.recv_until(SHORT)));
            drop(boarding.take::<ByteJoinableReceiver>(text, fds()).map(|mut r| r.try_recv()));
            drop(boarding.take::<Array<u32>>(text, fds()).map(|a| a.raw().to_vec()));
        }
    }
}

fn use_it(mut inherited: Inherited) {
    let names: Vec<_> = inherited.names().map(str::to_owned).collect();
    for name in names {
        // Each of another type: most are refused, and are gone then.
        match name.as_bytes().first().map_or(0, |byte| byte % 8) {
            0 => drop(inherited.take::<Mutex<[u32; 3]>>(&name).map(|m| m.try_lock().is_ok())),
            1 => drop(inherited.take::<Connection>(&name).map(|mut connection| {
                let _ = (connection.try_send(b"x"), connection.recv_until(SHORT));
                let _ = connection.as_fd().map(drop);
                connection.poll(SHORT)
            })),
            2 => drop(inherited.take::<ByteJoinableReceiver>(&name).map(|mut r| r.try_recv())),
            3 => drop(inherited.take::<SlotSender<u64>>(&name).map(|mut s| s.try_send(&7))),
            4 => drop(inherited.take::<Array<u32>>(&name).map(|a| a.raw().to_vec())),
            5 => drop(inherited.take::<ByteReceiver>(&name).map(|mut r| r.recv_until(SHORT))),
            6 => drop(inherited.take::<PipeReader>(&name).map(|mut r| r.recv_until(SHORT))),
            _ => {}
        }
    }
    let _ = inherited.segment().participants();
}

impl Parcel {
    fn edit(&mut self, segment: &Segment, edit: Edit) {
        let len = self.bytes.len();
        match edit {
            Edit::Byte { at, byte } => {
                if let Some(place) = usize::from(at).checked_rem(len) {
                    self.bytes[place] = byte;
                }
            }
            Edit::Head { word, value } => {
                let at = usize::from(word % 8) * 4;
                if let Some(place) = self.bytes.get_mut(at..at + 4) {
                    place.copy_from_slice(&value.to_le_bytes());
                }
            }
            Edit::Number { which, value } => self.number(which, value),
            Edit::Near { which, value } => self.number(which, value.into()),
            Edit::Insert { at, bytes } => {
                let at = usize::from(at) % (len + 1);
                self.bytes.splice(at..at, bytes);
            }
            Edit::Cut { at } => self.bytes.truncate(usize::from(at) % (len + 1)),
            Edit::Twice { before } => {
                let text = self.bytes.get(HEAD..).unwrap_or_default().to_vec();
                if text.len() < 4096 {
                    self.bytes.push(if before % 4 == 0 { before } else { b'\n' });
                    self.bytes.extend(text);
                }
            }
            Edit::Replace { which, fd } => {
                if let Some(place) = usize::from(which).checked_rem(self.fds.len()) {
                    self.fds[place] = descriptor(segment, &self.fds, fd);
                }
            }
            Edit::Swap { which, with } => {
                if !self.fds.is_empty() {
                    let place = |n: u8| usize::from(n) % self.fds.len();
                    let (one, two) = (place(which), place(with));
                    self.fds.swap(one, two);
                }
            }
            Edit::Drop { which } => {
                if let Some(place) = usize::from(which).checked_rem(self.fds.len()) {
                    self.fds.remove(place);
                }
            }
            Edit::Add { fd } if self.fds.len() < MAX_FDS => {
                self.fds.push(descriptor(segment, &self.fds, fd));
            }
            Edit::Add { .. } => {}
        }
    }

    /// Puts another number in the place of one of those in the text.
    fn number(&mut self, which: u8, value: u64) {
        let text = String::from_utf8_lossy(self.bytes.get(HEAD..).unwrap_or_default()).into_owned();
        let is_digit = |c: char| c.is_ascii_digit();
        let starts =
            text.char_indices().filter(|(at, c)| is_digit(*c) && !text[..*at].ends_with(is_digit));
        let starts: Vec<_> = starts.map(|(at, _)| at).collect();
        let Some(index) = usize::from(which).checked_rem(starts.len()) else { return };
        let (before, rest) = text.split_at(starts[index]);
        let text = format!("{before}{value}{}", rest.trim_start_matches(is_digit));
        self.bytes.truncate(HEAD);
        self.bytes.extend(text.into_bytes());
    }
}

/// A descriptor of some kind.
fn descriptor(segment: &Segment, known: &[OwnedFd], kind: u8) -> OwnedFd {
    let copy = |fd: &OwnedFd| fd.try_clone().unwrap();
    match kind % 8 {
        0 => File::open("/dev/null").unwrap().into(),
        1 => memfd_create("fuzz", MemfdFlags::ALLOW_SEALING).unwrap(),
        2 => pair(SocketType::STREAM).0,
        3 => segment.share_fd().unwrap(),
        4 => {
            let other = SegmentOptions::new().reserve(64 << 20).symmetric_fences();
            Segment::with(other).unwrap().share_fd().unwrap()
        }
        5 => File::open("/").unwrap().into(),
        _ => known.first().map(copy).unwrap_or_else(|| pair(SocketType::SEQPACKET).1),
    }
}

fn pair(kind: SocketType) -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap()
}

fn post(socket: &OwnedFd, bytes: &[u8], fds: &[OwnedFd]) {
    let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    let _ = sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags);
}

fn receive(socket: &OwnedFd) -> Parcel {
    let (mut bytes, mut fds) = (vec![0; 4096], Vec::new());
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let got = recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags).unwrap();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    bytes.truncate(got.bytes);
    Parcel { bytes, fds }
}
