//! What senders and receivers have in common: the shared words and the store of messages.
//!
//! # Memory
//!
//! ```text
//! body: | order (u32) | sides (u32) | max (u64) | not_empty | not_full | a stack or a heap |
//! ```

use std::ptr::NonNull;

use slipring_core::block::{BlockRef, State};
use slipring_core::directory::Place;
use slipring_core::futex::Scope;
use slipring_core::owner::OwnerId;
use slipring_core::primitive::{AtomicU32, AtomicU64, CachePadded, Ordering};
use slipring_core::ring::heap::Heap;
use slipring_core::ring::sides::Sides;
use slipring_core::ring::stack::{self, Stack};
use slipring_core::sync::EventCount;

use super::options::OrderedOptions;
use crate::member::{Attachment, Handle, Wait};
use crate::memory::Regions;
use crate::object::{self, Kind, RING_UNIT, Role};
use crate::sys::clock;
use crate::wait::{SLICE, Spin, Until};
use crate::{Error, Result, Segment};

/// Bytes of the words before the store, for the layout fingerprint.
pub(crate) const BODY_BYTES: u64 = size_of::<Body>() as u64;

/// What goes out first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Order {
    /// The last that came in.
    Lifo = 1,
    /// The one with the smallest key.
    Priority = 2,
}

impl Order {
    const ALL: [Self; 2] = [Self::Lifo, Self::Priority];

    /// What a side of such a queue is called.
    pub(super) fn name(self, role: Role) -> &'static str {
        match (self, role) {
            (Self::Lifo, Role::First) => "sender of a LIFO queue",
            (Self::Lifo, Role::Second) => "receiver of a LIFO queue",
            (Self::Priority, Role::First) => "sender of a priority queue",
            (Self::Priority, Role::Second) => "receiver of a priority queue",
        }
    }

    /// Bytes of the store, aligned to 64.
    fn store_bytes(self, capacity: u64) -> Result<u64> {
        let bytes = match self {
            Self::Lifo => Stack::bytes(capacity),
            Self::Priority => Heap::bytes(capacity),
        };
        bytes.map(|bytes| bytes as u64).map_err(|_| Error::Capacity {
            what: "a queue's capacity",
            wanted: capacity,
            min: 1,
            max: stack::MAX_CAPACITY,
        })
    }
}

const _: () = assert!(stack::MAX_CAPACITY == slipring_core::ring::heap::MAX_CAPACITY);

/// What the body begins with; the store follows.
#[repr(C)]
pub(super) struct Body {
    head: CachePadded<Head>,
    /// Receivers sleep here.
    pub(super) not_empty: CachePadded<EventCount>,
    /// Senders sleep here.
    pub(super) not_full: CachePadded<EventCount>,
}

#[repr(C)]
struct Head {
    /// [`Order`]. Written before the queue is known, as is `max_len`.
    order: AtomicU32,
    sides: Sides,
    /// The longest message.
    max_len: AtomicU64,
}

impl Body {
    pub(super) fn sides(&self) -> &Sides {
        &self.head.sides
    }

    pub(super) fn wake_all(&self) {
        self.not_empty.wake_all(Scope::Shared);
        self.not_full.wake_all(Scope::Shared);
    }
}

/// Where the messages are.
#[derive(Clone, Copy)]
pub(crate) enum Store {
    Lifo(Stack),
    Priority(Heap),
}

impl Store {
    /// Whether the message that was published at `position`, and is there, has a descriptor that is `wanted`.
    pub(crate) fn holds(&self, position: u64, wanted: impl Fn(u64) -> bool) -> bool {
        match self {
            Self::Lifo(stack) => stack.holds(position, wanted),
            Self::Priority(heap) => heap.holds(position, wanted),
        }
    }

    pub(super) fn capacity(&self) -> u64 {
        match self {
            Self::Lifo(stack) => stack.capacity(),
            Self::Priority(heap) => heap.capacity(),
        }
    }

    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Lifo(stack) => stack.len(),
            Self::Priority(heap) => heap.len(),
        }
    }

    /// Whether the length that it says is not to be trusted until somebody takes a turn.
    fn is_in_doubt(&self) -> bool {
        matches!(self, Self::Priority(heap) if heap.is_in_doubt())
    }

    /// Whether a glance says that there is nothing to take. No turn is needed to find that out.
    #[inline]
    pub(super) fn seems_empty(&self) -> bool {
        self.len() == 0 && !self.is_in_doubt()
    }

    /// Whether a glance says that there is no room.
    #[inline]
    pub(super) fn seems_full(&self) -> bool {
        self.len() == self.capacity() && !self.is_in_doubt()
    }
}

/// A queue, checked and copied.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    body: NonNull<Body>,
    pub(super) order: Order,
    pub(super) store: Store,
    /// The store's number, for the control words of blocks.
    pub(super) store_id: u32,
    pub(super) max_len: u64,
}

impl Shape {
    /// The queue whose body of `len` bytes is at `body`, committed and mapped as long as the result is used, and at
    /// `offset` of the arena.
    fn new(body: NonNull<u8>, len: u64, offset: u64) -> Result<Self> {
        let corrupt = |what| Error::Corrupt { what };
        let room = len.checked_sub(BODY_BYTES);
        let room = room.ok_or(corrupt("an ordered queue is too small"))? as usize;
        // SAFETY: room for the words, just checked; atomics, for which all bit patterns are valid.
        let head = unsafe { &body.cast::<Body>().as_ref().head };
        // ORDERING: Relaxed for both; written before the queue was known. Read once, then checked.
        let order = head.order.load(Ordering::Relaxed);
        let max_len = head.max_len.load(Ordering::Relaxed);
        let order = Order::ALL.into_iter().find(|o| *o as u32 == order);
        let order = order.ok_or(corrupt("an ordered queue has no order"))?;
        // SAFETY: behind the words, aligned to 128 as they are, and `room` bytes long; mapped as long as the view is used.
        let store = unsafe {
            let at = body.add(BODY_BYTES as usize);
            match order {
                Order::Lifo => Stack::attach(at, room).map(Store::Lifo),
                Order::Priority => Heap::attach(at, room).map(Store::Priority),
            }
        };
        let store = store.map_err(|_| corrupt("an ordered queue has an impossible size"))?;
        let store_id = u32::try_from((offset + BODY_BYTES) / RING_UNIT)
            .map_err(|_| corrupt("an ordered queue lies too far away"))?;
        Ok(Self { body: body.cast(), order, store, store_id, max_len })
    }

    /// The position at which a message was published that is in the store at `at`, and whose block is `block`. The heap
    /// knows it; of the stack the block does, and what it says has to fit.
    pub(super) fn position(&self, regions: &Regions, at: u64, block: BlockRef) -> u64 {
        if matches!(self.store, Store::Priority(_)) {
            return at;
        }
        match regions.pool.control(block).look() {
            (State::InFlight(_, ring), seen)
                if ring == self.store_id && stack::depth(seen.position) == at =>
            {
                seen.position
            }
            // Of no message: whoever takes it finds that the block is not its own.
            _ => at,
        }
    }

    #[inline]
    pub(super) fn words(&self) -> &Body {
        // SAFETY: as in `new`.
        unsafe { self.body.as_ref() }
    }
}

/// One side's handle.
pub(super) struct End {
    pub(super) handle: Handle,
    pub(super) shape: Shape,
    pub(super) spin: Spin,
    /// Whether it goes on while nobody has the other side.
    pub(super) is_patient: bool,
    /// Who we were at the last call: a fork changes it.
    pub(super) me: OwnerId,
}

// SAFETY: the shape's body is shared memory of atomics, mapped as long as `handle` lives.
unsafe impl Send for End {}

/// Makes a queue and a handle of each of these sides.
pub(super) fn create<const N: usize>(
    segment: &Segment,
    order: Order,
    options: OrderedOptions,
    roles: [Role; N],
) -> Result<[Handle; N]> {
    let capacity = options.capacity();
    let len = BODY_BYTES + order.store_bytes(capacity)?;
    Handle::create(segment.attachment(), Kind::Ordered, len, roles, |body, _| {
        let head = Head {
            order: AtomicU32::new(order as u32),
            sides: Sides::new(),
            max_len: AtomicU64::new(options.max_len()),
        };
        let words = Body {
            head: CachePadded::new(head),
            not_empty: CachePadded::new(EventCount::new()),
            not_full: CachePadded::new(EventCount::new()),
        };
        // SAFETY: committed memory for the words and the store behind them, reserved for us and aligned to 128.
        let made = unsafe {
            body.cast::<Body>().write(words);
            let at = body.add(BODY_BYTES as usize);
            match order {
                Order::Lifo => Stack::init(at, capacity).map(drop),
                Order::Priority => Heap::init(at, capacity).map(drop),
            }
        };
        made.map_err(|_| Error::NoSpace { wanted: len })
    })
}

impl End {
    pub(super) fn new(handle: Handle) -> Result<Self> {
        let (body, len) = handle.body();
        let shape = Shape::new(body, len, handle.body_offset())?;
        shape.words().sides().side_begins(handle.role().side());
        crash_point!("ordered.end.begun");
        let attachment = handle.attachment();
        let (me, spin) = (attachment.me()?, attachment.new_spin());
        Ok(Self { shape, spin, is_patient: false, me, handle })
    }

    /// The end that `handle` is, if it is of this side, and its queue of this order.
    pub(super) fn of(handle: Handle, order: Order, role: Role) -> Result<Self> {
        let end = Self::new(handle)?;
        let (found, is) = (end.shape.order, end.handle.role());
        if (found, is) == (order, role) {
            return Ok(end);
        }
        Err(Error::WrongKind { wanted: order.name(role), found: found.name(is) })
    }

    /// Another handle of the same side.
    pub(super) fn another(&self) -> Result<Self> {
        Ok(Self { is_patient: self.is_patient, ..Self::new(self.handle.clone())? })
    }

    #[inline]
    pub(super) fn attachment(&self) -> &Attachment {
        self.handle.attachment()
    }

    /// How many messages are in it: exact if nobody is at work meanwhile.
    pub(super) fn len(&self) -> u64 {
        if let Store::Priority(heap) = &self.shape.store
            && heap.is_in_doubt()
            && let Ok(me) = self.attachment().me()
        {
            // A turn puts in order what the dead one left. If it is not to be had soon, a glance has to do.
            let _ = heap.lock(me, &mut Wait::new(self.attachment(), None, soon()));
        }
        self.shape.store.len()
    }

    pub(super) fn close(&self) {
        self.shape.words().sides().close();
        crash_point!("ordered.close.marked");
        self.shape.words().wake_all();
    }

    /// All who had the other side were found dead.
    #[cold]
    pub(super) fn alone(&self) -> Result<()> {
        self.check_open()?;
        // Where the dead could not be buried now, the hint is not there yet.
        if self.is_patient { Ok(()) } else { Err(Error::Disconnected) }
    }

    /// What keeps this side from going on: the queue was closed, or the other side is gone.
    #[inline]
    pub(super) fn check_open(&self) -> Result<()> {
        match self.handle.check_open(self.shape.words().sides()) {
            Err(Error::Disconnected) if self.is_patient => Ok(()),
            checked => checked,
        }
    }

    /// How one call waits. One that may not wait for messages or room still waits a little for its turn, which others
    /// have for less than a microsecond unless they are stopped there.
    pub(super) fn wait<'a>(&'a self, spin: &'a mut Spin, until: Until) -> Wait<'a> {
        let for_turn = until.is_now() && self.shape.order == Order::Priority;
        let deadline = if for_turn { soon() } else { until.deadline() };
        Wait::new(self.attachment(), Some(spin), deadline)
    }
}

/// By when a living process that was not stopped has had its turn.
fn soon() -> Option<clock::Deadline> {
    Some(clock::deadline_in(SLICE))
}

/// The words or the order of a queue contradict each other.
#[cold]
pub(super) fn damaged() -> Error {
    Error::Corrupt { what: "an ordered queue is damaged" }
}

/// What the end of the wait for a turn is to a call that may not wait.
pub(super) fn would_block(error: Error, until: Until) -> Error {
    match error {
        Error::TimedOut if until.is_now() => Error::WouldBlock,
        error => error,
    }
}

/// The queue at `place`.
pub(super) fn shape_at(regions: &Regions, place: Place) -> Option<Shape> {
    let body = object::body_at(regions, place)?;
    Shape::new(body.at, body.len, body.offset).ok()
}

/// The store of the queue at `place`, and its number.
pub(super) fn store_of(regions: &Regions, place: Place) -> Option<(u32, Store)> {
    shape_at(regions, place).map(|shape| (shape.store_id, shape.store))
}
