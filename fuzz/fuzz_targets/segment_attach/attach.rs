//! Any bytes as a segment: attaching to it gives an error or a segment, and a segment can be used.

use std::fs::File;
use std::os::unix::fs::FileExt;

use arbitrary::Arbitrary;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use slipring::{
    Array, BoundedSemaphore, ByteJoinableQueue, ByteLifoQueue, ByteQueue, Mutex, Pipe, Segment,
    Slots, Until,
};

use crate::live::small_segment;
use crate::ops::Ops;
use crate::scribble::{Map, Scribble};

/// Bytes of the header with the name.
const HEADER: usize = 392;

#[derive(Arbitrary, Debug)]
pub struct Input {
    size: Size,
    /// Only a file that cannot shrink is a segment; most of ours are.
    shrinkable: u8,
    content: Content,
}

#[derive(Arbitrary, Debug)]
enum Size {
    /// That of the content.
    Exact,
    Small(u16),
    /// That of the segment whose header is used, and so much more or less.
    Segment(i8),
    Huge(u64),
}

#[derive(Arbitrary, Debug)]
enum Content {
    Raw(Vec<u8>),
    /// A good header, some of whose words were replaced.
    Header(Vec<(u8, Word)>),
    /// A good header and a body to match, scribbled over before we come.
    Segment(Ops<Scribble>),
}

#[derive(Arbitrary, Debug)]
enum Word {
    Any(u64),
    Add(i8),
    Chunks(u16),
    Flip(u8),
}

pub fn run(input: Input) {
    let model = small_segment(false);
    let mut map = Map::of(File::from(model.share_fd().unwrap()), 0);
    let mut bytes = vec![0; HEADER];
    map.file.read_exact_at(&mut bytes, 0).unwrap();
    let mut scribbles = Ops(Vec::new());
    match input.content {
        Content::Raw(raw) => bytes = raw,
        Content::Header(words) => words.iter().for_each(|(at, word)| word.put(&mut bytes, *at)),
        Content::Segment(ops) => scribbles = ops,
    }
    let size = match input.size {
        Size::Exact => bytes.len() as u64,
        Size::Small(size) => u64::from(size),
        Size::Segment(more) => map.len.wrapping_add_signed(i64::from(more.max(0))),
        Size::Huge(size) => size >> 1,
    };
    let file = File::from(memfd_create("fuzz", MemfdFlags::ALLOW_SEALING).unwrap());
    if file.set_len(size).is_err() {
        return;
    }
    bytes.truncate(usize::try_from(size).unwrap_or(usize::MAX));
    file.write_all_at(&bytes, 0).unwrap();
    map.file = file;
    if size >= map.len {
        scribbles.0.iter().for_each(|scribble| map.apply(scribble));
    }
    if !input.shrinkable.is_multiple_of(16) {
        fcntl_add_seals(&map.file, SealFlags::SHRINK | SealFlags::GROW).unwrap();
    }
    if let Ok(segment) = Segment::from_fd(&map.file) {
        use_it(&segment);
    }
}

/// What anybody does with a segment.
fn use_it(segment: &Segment) {
    let _ = (segment.participants(), segment.memory(), segment.blocks_in_use(), segment.reap());
    if let Ok((mut sender, mut receiver)) = ByteQueue::bounded(segment, 2) {
        let _ = (sender.try_send(b"short"), sender.try_send(&[7; 3000]), sender.try_send(b""));
        let _ = (receiver.try_recv(), receiver.try_recv(), receiver.len());
    }
    if let Ok((mut here, mut there)) = Pipe::duplex(segment) {
        let _ = (here.try_send(b"short"), there.try_send(&[7; 9000]));
        let _ = (there.try_recv(), here.try_recv(), here.try_recv());
    }
    if let Ok(mutex) = Mutex::new(segment, [1_u32; 3]) {
        let _ = mutex.try_lock().map(|mut guard| guard.set([2; 3]));
    }
    if let Ok(seats) = BoundedSemaphore::new(segment, 2) {
        let _ = (seats.try_acquire(), seats.release(1), seats.release(1));
    }
    if let Ok((mut sender, mut receiver)) = Slots::<u64>::new(segment, 2) {
        let _ = (sender.try_send(&1), receiver.try_recv());
    }
    if let Ok((mut sender, mut receiver)) = ByteJoinableQueue::bounded(segment, 2) {
        let _ = (sender.try_send(b"task"), receiver.try_recv(), sender.join_until(Until::NOW));
    }
    if let Ok((mut sender, mut receiver)) = ByteLifoQueue::bounded(segment, 2) {
        let _ = (sender.try_send(b"short"), receiver.try_recv());
    }
    if let Ok(array) = Array::<u16>::new(segment, 5) {
        let _ = array.try_lock().map(|guard| guard.to_vec());
    }
    let _ = segment.trim();
}

impl Word {
    /// Replaces the word number `at`.
    fn put(&self, bytes: &mut [u8], at: u8) {
        let start = usize::from(at) % (HEADER / 8) * 8;
        let place = bytes[start..start + 8].first_chunk_mut().unwrap();
        let old = u64::from_le_bytes(*place);
        let new = match *self {
            Self::Any(word) => word,
            Self::Add(value) => old.wrapping_add_signed(i64::from(value)),
            Self::Chunks(count) => u64::from(count) << 16,
            Self::Flip(bit) => old ^ 1 << (bit % 64),
        };
        *place = new.to_le_bytes();
    }
}
