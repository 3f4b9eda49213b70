//! The rings of `slipring_core`, in memory that children share. They cannot block here: whoever has to wait does so as
//! the rival's threads do.

use std::sync::Arc;

use slipring_core::futex::Scope;
use slipring_core::primitive::FenceMode;
use slipring_core::ring::mpmc::{PopError, PushError, Ring};
use slipring_core::ring::spsc_records::{self, ClaimError, Records};
use slipring_core::ring::spsc_slots::{self, Layout, Slots};

use crate::cpu::Patience;
use crate::message::{Value, read, stamp};
use crate::shared::Shared;
use crate::stream::{Put, Take};

/// Nobody sleeps, so nobody has to fence.
const MODE: FenceMode = FenceMode::Asymmetric;

/// Puts values of `W` words into a ring of slots.
pub struct SlotsPut<const W: usize> {
    producer: spsc_slots::Producer<[u64; W]>,
    _memory: Arc<Shared>,
}

/// Takes them.
pub struct SlotsTake<const W: usize> {
    consumer: spsc_slots::Consumer<[u64; W]>,
    _memory: Arc<Shared>,
}

/// A ring of slots, one to one.
pub fn slots<const W: usize>(capacity: u64) -> (SlotsPut<W>, SlotsTake<W>) {
    let layout = Layout::<[u64; W]>::new(capacity).expect("a capacity");
    let memory = Arc::new(Shared::new(layout.bytes()));
    let at = memory.at().as_ptr();
    // SAFETY: fresh memory of the layout's size, page-aligned, which lives as long as either side; one of each is made.
    let (producer, consumer) = unsafe {
        Slots::init(at, layout);
        let ring = Slots::<[u64; W]>::attach(at, memory.len()).expect("the ring just made");
        let producer = ring.producer(Scope::Shared, MODE).expect("an empty ring");
        (producer, ring.consumer(Scope::Shared, MODE))
    };
    (SlotsPut { producer, _memory: memory.clone() }, SlotsTake { consumer, _memory: memory })
}

impl<const W: usize> Put for SlotsPut<W> {
    #[inline]
    fn put(&mut self, number: u64) {
        let message = <[u64; W]>::of(number);
        let mut patience = Patience::default();
        loop {
            match self.producer.try_push(&message) {
                Ok(()) => return,
                Err(spsc_slots::PushError::Full) => patience.wait(),
                Err(error) => panic!("{error}"),
            }
        }
    }
}

impl<const W: usize> Take for SlotsTake<W> {
    #[inline]
    fn take(&mut self) -> u64 {
        let mut patience = Patience::default();
        loop {
            match self.consumer.try_pop().expect("a sound ring") {
                Some(message) => return message.number(),
                None => patience.wait(),
            }
        }
    }
}

/// Puts records of one size into a ring of bytes.
pub struct RecordsPut {
    producer: spsc_records::Producer,
    message: Vec<u8>,
    _memory: Arc<Shared>,
}

/// Takes them.
pub struct RecordsTake {
    consumer: spsc_records::Consumer,
    message: Vec<u8>,
    _memory: Arc<Shared>,
}

/// A ring of `bytes` bytes for records of `size`, one to one.
pub fn records(bytes: usize, size: usize) -> (RecordsPut, RecordsTake) {
    let layout = spsc_records::Layout::new(bytes).expect("a power of two");
    let memory = Arc::new(Shared::new(layout.bytes()));
    let at = memory.at().as_ptr();
    // SAFETY: as in `slots`.
    let (producer, consumer) = unsafe {
        Records::init(at, layout);
        let ring = Records::attach(at, memory.len()).expect("the ring just made");
        let producer = ring.producer(Scope::Shared, MODE).expect("an empty ring");
        (producer, ring.consumer(Scope::Shared, MODE).expect("an empty ring"))
    };
    let message = vec![0; size];
    let put = RecordsPut { producer, message: message.clone(), _memory: memory.clone() };
    (put, RecordsTake { consumer, message, _memory: memory })
}

impl Put for RecordsPut {
    #[inline]
    fn put(&mut self, number: u64) {
        stamp(&mut self.message, number);
        let mut patience = Patience::default();
        loop {
            match self.producer.claim(self.message.len(), 0) {
                Ok(mut claim) => {
                    claim.write(0, &self.message);
                    return claim.commit(1);
                }
                Err(ClaimError::Full) => patience.wait(),
                Err(error) => panic!("{error}"),
            }
        }
    }
}

impl Take for RecordsTake {
    #[inline]
    fn take(&mut self) -> u64 {
        let mut patience = Patience::default();
        while self.consumer.is_empty() {
            patience.wait();
        }
        let record = self.consumer.peek().expect("a sound ring").expect("a record");
        assert_eq!(record.copy_to(&mut self.message), self.message.len(), "a record's length");
        self.consumer.release();
        read(&self.message)
    }
}

/// An end of a ring of descriptors: any number may put and take.
#[derive(Clone)]
pub struct Descriptors {
    ring: Ring,
    _memory: Arc<Shared>,
}

/// A ring of 8-byte descriptors, many to many: both its ends.
pub fn descriptors(capacity: u64) -> (Descriptors, Descriptors) {
    let memory = Arc::new(Shared::new(Ring::bytes(capacity).expect("a capacity")));
    // SAFETY: fresh memory of the ring's size, page-aligned, which lives as long as any end.
    let ring = unsafe { Ring::init(memory.at(), capacity) }.expect("a capacity");
    let end = Descriptors { ring, _memory: memory };
    (end.clone(), end)
}

impl Put for Descriptors {
    #[inline]
    fn put(&mut self, number: u64) {
        let mut patience = Patience::default();
        loop {
            match self.ring.push(number, |_| {}) {
                Ok(_) => return,
                Err(PushError::Full) => patience.wait(),
                Err(error) => panic!("{error:?}"),
            }
        }
    }
}

impl Take for Descriptors {
    #[inline]
    fn take(&mut self) -> u64 {
        let mut patience = Patience::default();
        loop {
            match self.ring.pop(|_, _| {}) {
                Ok((_, number)) => return number,
                Err(PopError::Empty) => patience.wait(),
                Err(error) => panic!("{error:?}"),
            }
        }
    }
}
