//! `ring::spsc_records` against a `VecDeque` and the arithmetic of its documentation. Two producers and two consumers
//! take turns, and new ones take over.

use std::collections::VecDeque;

use arbitrary::Arbitrary;
use slipring_core::futex::Scope;
use slipring_core::primitive::FenceMode;
use slipring_core::ring::spsc_records::{ClaimError, Consumer, Layout, Producer, Record, Records};

use crate::memory::Memory;
use crate::ops::Ops;

const SCOPE: Scope = Scope::Private;
const MODE: FenceMode = FenceMode::Symmetric;
/// Bytes of a header word; records begin at multiples of it.
const WORD: u64 = 8;

#[derive(Arbitrary, Debug)]
pub struct Input {
    size: u8,
    ops: Ops<Op>,
}

#[derive(Arbitrary, Debug)]
enum Op {
    Claim { len: u8, extra: u16, kind: u8, commit: bool },
    ClaimAny { len: u16, extra: u16 },
    Peek,
    PeekNext,
    Release,
    ReleaseAll,
    OtherProducer,
    OtherConsumer,
    NewProducer,
    NewConsumer,
    Holds { which: u8 },
}

/// A record that was committed and not released.
struct Kept {
    kind: u8,
    bytes: Vec<u8>,
    position: u64,
    /// Bytes of the ring that go free with it.
    weight: u64,
}

struct Rig {
    ring: Records,
    producers: [Producer; 2],
    consumers: [Consumer; 2],
    /// Whose turn it is.
    producing: usize,
    consuming: usize,
    kept: VecDeque<Kept>,
    /// Where the next record is published.
    tail: u64,
    /// How many records `release` frees, and how many `release_all`.
    first: usize,
    shown: usize,
    committed: u8,
}

pub fn run(input: Input) {
    let layout = Layout::new(256 << (input.size % 4)).unwrap();
    let memory = Memory::new(layout.bytes(), layout.align());
    // SAFETY: fresh memory of the layout's size and alignment, which outlives ring and handles; of the producers and
    // of the consumers one is used at a time, after it resumed, in one thread.
    let (ring, producers, consumers) = unsafe {
        Records::init(memory.at(), layout);
        let ring = Records::attach(memory.at(), layout.bytes()).unwrap();
        let producers = [(); 2].map(|()| ring.producer(SCOPE, MODE).unwrap());
        (ring, producers, [(); 2].map(|()| ring.consumer(SCOPE, MODE).unwrap()))
    };
    let mut rig = Rig {
        ring,
        producers,
        consumers,
        producing: 0,
        consuming: 0,
        kept: VecDeque::new(),
        tail: 0,
        first: 0,
        shown: 0,
        committed: 0,
    };
    for op in input.ops.0 {
        rig.apply(op);
        rig.check();
    }
}

impl Rig {
    fn apply(&mut self, op: Op) {
        match op {
            Op::Claim { len, extra, kind, commit } => {
                let extra = usize::from(extra % 64);
                self.claim(usize::from(len), extra, commit.then_some(kind));
            }
            Op::ClaimAny { len, extra } => {
                self.claim(usize::from(len % 2100), usize::from(extra % 2100), Some(0));
            }
            Op::Peek => self.peek(),
            Op::PeekNext => self.peek_next(),
            Op::Release => self.release(self.first, Consumer::release),
            Op::ReleaseAll => self.release(self.shown, Consumer::release_all),
            Op::OtherProducer => {
                self.producing ^= 1;
                self.producers[self.producing].resume().unwrap();
            }
            Op::OtherConsumer => {
                self.consuming ^= 1;
                self.consumers[self.consuming].resume().unwrap();
                (self.first, self.shown) = (0, 0);
            }
            Op::NewProducer => {
                // SAFETY: the one that had the turn is not used again.
                let new = unsafe { self.ring.producer(SCOPE, MODE) }.unwrap();
                self.producers[self.producing] = new;
            }
            Op::NewConsumer => {
                // SAFETY: the one that had the turn is not used again.
                let new = unsafe { self.ring.consumer(SCOPE, MODE) }.unwrap();
                self.consumers[self.consuming] = new;
                (self.first, self.shown) = (0, 0);
            }
            Op::Holds { which } => self.holds(which),
        }
    }

    fn used(&self) -> u64 {
        self.kept.iter().map(|record| record.weight).sum()
    }

    /// What a claim must say, and what the record then weighs.
    fn plan(&self, len: usize, extra: usize) -> Result<u64, ClaimError> {
        let size = self.ring.size();
        let contiguous = WORD + (len as u64).next_multiple_of(WORD);
        let extra = (extra as u64).next_multiple_of(WORD);
        if 2 * contiguous + extra > size {
            return Err(ClaimError::TooLong);
        }
        let to_end = size - self.tail % size;
        let padding = if contiguous <= to_end { 0 } else { to_end };
        let weight = padding + contiguous + extra;
        // One word stays free: the terminator's.
        if self.used() + weight + WORD > size { Err(ClaimError::Full) } else { Ok(weight) }
    }

    /// Claims, and commits as a record of this kind, or drops the claim.
    fn claim(&mut self, len: usize, extra: usize, kind: Option<u8>) {
        let expected = self.plan(len, extra);
        let mut claim = match self.producers[self.producing].claim(len, extra) {
            Ok(claim) => claim,
            Err(error) => return assert_eq!(Err(error), expected),
        };
        let weight = expected.expect("a claim that should have been refused");
        assert_eq!((claim.len(), claim.position()), (len, self.tail));
        self.committed = self.committed.wrapping_add(1);
        let bytes: Vec<u8> = (0..len).map(|i| self.committed.wrapping_add(i as u8)).collect();
        let (front, back) = bytes.split_at(len / 2);
        claim.write(len / 2, back);
        claim.write(0, front);
        if let Some(kind) = kind {
            claim.commit(kind);
            self.kept.push_back(Kept { kind, bytes, position: self.tail, weight });
            self.tail += weight;
        }
    }

    fn peek(&mut self) {
        let found = self.consumers[self.consuming].peek().unwrap();
        compare(found, self.kept.front());
        self.first = usize::from(!self.kept.is_empty());
        self.shown = self.first;
    }

    fn peek_next(&mut self) {
        let found = self.consumers[self.consuming].peek_next().unwrap();
        compare(found, self.kept.get(self.shown));
        self.shown = self.kept.len().min(self.shown + 1);
    }

    fn release(&mut self, count: usize, release: fn(&mut Consumer)) {
        release(&mut self.consumers[self.consuming]);
        if count > 0 {
            self.kept.drain(..count);
            (self.first, self.shown) = (0, 0);
        }
    }

    /// Asks about a record that is there, about the place where the next one will be, and about one that is gone.
    fn holds(&self, which: u8) {
        assert!(!self.ring.holds(self.tail, |_, _| true));
        let head = self.kept.front().map_or(self.tail, |record| record.position);
        assert!(!self.ring.holds(head.wrapping_sub(WORD), |_, _| true));
        let Some(record) = self.kept.get(usize::from(which) % self.kept.len().max(1)) else {
            return;
        };
        let start = record.bytes.len().min(8);
        let same = |kind, word: u64| {
            kind == record.kind && word.to_ne_bytes()[..start] == record.bytes[..start]
        };
        assert!(self.ring.holds(record.position, same));
    }

    fn check(&self) {
        let (used, empty) = (self.used(), self.kept.is_empty());
        let (producer, consumer) =
            (&self.producers[self.producing], &self.consumers[self.consuming]);
        assert_eq!((producer.used(), consumer.used(), self.ring.used()), (used, used, used));
        assert_eq!((producer.is_empty(), consumer.is_empty()), (empty, empty));
        assert_eq!(self.ring.is_empty(), empty);
    }
}

fn compare(found: Option<Record<'_>>, expected: Option<&Kept>) {
    assert_eq!(found.is_some(), expected.is_some());
    let (Some(found), Some(expected)) = (found, expected) else { return };
    let mut bytes = vec![0; found.len()];
    assert_eq!(found.copy_to(&mut bytes), bytes.len());
    assert_eq!((found.kind(), found.position()), (expected.kind, expected.position));
    assert_eq!(bytes, expected.bytes);
    let middle = bytes.len() / 2;
    let mut rest = vec![0; bytes.len()];
    assert_eq!(found.copy_from(middle, &mut rest), bytes.len() - middle);
    assert_eq!(rest[..bytes.len() - middle], expected.bytes[middle..]);
}
