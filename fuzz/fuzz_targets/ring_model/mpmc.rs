//! `ring::mpmc` against a `VecDeque`.

use std::collections::VecDeque;
use std::ptr::NonNull;

use arbitrary::Arbitrary;
use slipring_core::ring::mpmc::{PopError, PushError, Ring};

use crate::memory::Memory;
use crate::ops::Ops;

#[derive(Arbitrary, Debug)]
pub struct Input {
    capacity: u8,
    ops: Ops<Op>,
}

#[derive(Arbitrary, Debug)]
enum Op {
    Push { view: u8, word: u64 },
    Pop { view: u8 },
    CloseIfFull { view: u8 },
    Holds { view: u8, back: u8 },
    Attach,
}

/// What the ring must do.
struct Model {
    capacity: u64,
    /// Position and descriptor, oldest first.
    queue: VecDeque<(u64, u64)>,
    /// How many were ever published.
    published: u64,
    closed: bool,
}

pub fn run(input: Input) {
    let capacity = u64::from(input.capacity % 9) + 1;
    let bytes = Ring::bytes(capacity).unwrap();
    let memory = Memory::new(bytes, 64);
    let at = NonNull::new(memory.at()).unwrap();
    // SAFETY: fresh memory of that size and alignment, which outlives all views.
    let mut views = vec![unsafe { Ring::init(at, capacity) }.unwrap()];
    let mut model = Model { capacity, queue: VecDeque::new(), published: 0, closed: false };
    for op in input.ops.0 {
        let pick = |view: u8| usize::from(view) % views.len();
        match op {
            Op::Push { view, word } => push(&views[pick(view)], word, &mut model),
            Op::Pop { view } => pop(&views[pick(view)], &mut model),
            Op::CloseIfFull { view } => close(&views[pick(view)], &mut model),
            Op::Holds { view, back } => holds(&views[pick(view)], back, &model),
            // SAFETY: the ring was made there, in so many bytes, and outlives the view.
            Op::Attach => views.push(unsafe { Ring::attach(at, bytes) }.unwrap()),
        }
        views.iter().for_each(|view| check(view, &model));
    }
}

fn push(ring: &Ring, word: u64, model: &mut Model) {
    let mut claims = Vec::new();
    let pushed = ring.push(word, |position| claims.push(position));
    let expected = if model.closed {
        Err(PushError::Closed)
    } else if model.is_full() {
        Err(PushError::Full)
    } else {
        Ok(model.position(model.published))
    };
    assert_eq!(pushed, expected);
    assert_eq!(claims, expected.ok().into_iter().collect::<Vec<_>>());
    if let Ok(position) = expected {
        model.queue.push_back((position, word));
        model.published += 1;
    }
}

fn pop(ring: &Ring, model: &mut Model) {
    let mut notes = Vec::new();
    let popped = ring.pop(|position, word| notes.push((position, word)));
    let nothing = if model.closed { PopError::Drained } else { PopError::Empty };
    let expected = model.queue.pop_front().ok_or(nothing);
    assert_eq!(popped, expected);
    assert_eq!(notes, expected.ok().into_iter().collect::<Vec<_>>());
}

fn close(ring: &Ring, model: &mut Model) {
    model.closed |= model.is_full();
    assert_eq!(ring.close_if_full(), model.closed);
}

/// Asks about a position that is to come, there, gone, or none at all.
fn holds(ring: &Ring, back: u8, model: &Model) {
    let number = (model.published + 2).saturating_sub(u64::from(back % 24));
    let position = model.position(number);
    let word = model.queue.iter().find(|entry| entry.0 == position).map(|entry| entry.1);
    assert_eq!(ring.holds(position, |found| Some(found) == word), word.is_some());
    assert!(!ring.holds(position, |_| false));
    let no_index = position | ((1 << model.shift()) - 1);
    let known = model.queue.iter().any(|entry| entry.0 == no_index);
    assert_eq!(ring.holds(no_index, |_| true), known);
}

fn check(ring: &Ring, model: &Model) {
    assert_eq!(ring.capacity(), model.capacity);
    assert_eq!(ring.len(), model.queue.len() as u64);
    assert_eq!(ring.is_empty(), model.queue.is_empty());
    assert_eq!(ring.is_closed(), model.closed);
}

impl Model {
    fn is_full(&self) -> bool {
        self.queue.len() as u64 == self.capacity
    }

    /// Bits of an index.
    fn shift(&self) -> u32 {
        self.capacity.next_power_of_two().trailing_zeros()
    }

    /// The position of the publication with this number.
    fn position(&self, number: u64) -> u64 {
        (number / self.capacity) << self.shift() | (number % self.capacity)
    }
}
