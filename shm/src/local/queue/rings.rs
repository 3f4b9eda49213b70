//! The rings of one queue, and the values in them.
//!
//! A ring's word is the address of a value in a box of its own: core's ring replaces its control and one 64-bit word in a
//! single step, so whoever takes the word takes the value, and nobody ever sees half of one.

use std::alloc::{self, Layout};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use slipring_core::primitive::{AtomicU32, DataCell, Ordering, fence_full};
use slipring_core::ring::chain::Chain;
use slipring_core::ring::mpmc::{self, Ring};

use crate::wait::PrivateLock;
use crate::{Error, Result};

/// What a ring is aligned to: two cache lines, as its header's parts are.
const ALIGN: usize = 128;

/// The rings of a queue of `T`, oldest first. What is left in them is dropped with them.
pub(super) struct Rings<T> {
    /// Under the lock: the list, and memory for rings. No value is dropped under it.
    all: PrivateLock<Vec<Memory>>,
    /// 1 once the last receiver has gone.
    forsaken: AtomicU32,
    /// It owns values, and hands each to one thread.
    of: PhantomData<DataCell<T>>,
}

/// The memory of one ring.
struct Memory {
    ring: Ring,
    at: NonNull<u8>,
    layout: Layout,
}

// SAFETY: memory of its own, which only the ring's atomics touch.
unsafe impl Send for Memory {}

impl Memory {
    /// An empty ring.
    fn new(capacity: u64) -> Result<Self> {
        let bytes = Ring::bytes(capacity).map_err(|_| Error::Capacity {
            what: "a queue's capacity",
            wanted: capacity,
            min: 1,
            max: mpmc::MAX_CAPACITY,
        })?;
        let no_space = || Error::NoSpace { wanted: bytes as u64 };
        let layout = Layout::from_size_align(bytes, ALIGN).map_err(|_| no_space())?;
        // SAFETY: the size is not zero: a ring has a header.
        let at = NonNull::new(unsafe { alloc::alloc(layout) }).ok_or_else(no_space)?;
        // SAFETY: aligned, as long as a ring of this capacity, and nobody else's yet.
        // SAFETY: views are used by handles only, which keep `Rings` and so this memory.
        match unsafe { Ring::init(at, capacity) } {
            Ok(ring) => Ok(Self { ring, at, layout }),
            // `Ring::bytes` has accepted the capacity.
            Err(_) => unreachable!("a ring of {capacity} was sized and not made"),
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout, and not freed since.
        unsafe { alloc::dealloc(self.at.as_ptr(), self.layout) };
    }
}

impl<T> Rings<T> {
    /// One ring.
    pub(super) fn new(capacity: u64) -> Result<Self> {
        let all = PrivateLock::new(vec![Memory::new(capacity)?]);
        Ok(Self { all, forsaken: AtomicU32::new(0), of: PhantomData })
    }

    /// The ring that the chain calls `id`: the first is 1.
    pub(super) fn get(&self, id: u32) -> Option<Ring> {
        let index = (id as usize).checked_sub(1)?;
        self.all.lock().get(index).map(|memory| memory.ring)
    }

    /// Makes a ring and hangs it in as `level` of the chain, unless that is there.
    pub(super) fn grow(&self, chain: &Chain, level: usize, capacity: u64) -> Result<()> {
        let mut all = self.all.lock();
        if chain.level(level).is_none() {
            all.push(Memory::new(capacity)?);
            // Under the lock nobody else hangs one in.
            let _ = chain.hang(level, all.len() as u32);
        }
        Ok(())
    }

    /// How many values are in the rings: exact if nobody is at work meanwhile.
    pub(super) fn len(&self) -> u64 {
        self.all.lock().iter().map(|memory| memory.ring.len()).sum()
    }

    /// The last receiver has gone: what comes into the rings from now on, nobody will take. Sweep them after this.
    pub(super) fn forsake(&self) {
        // ORDERING: Relaxed, and a full fence: "put, or forsaken". A sender asks after its push, which is a fence too: if it
        // does not see this, the sweep that follows sees its value.
        self.forsaken.store(1, Ordering::Relaxed);
        fence_full();
    }

    /// Whether nobody will take what is in the rings. A sender asks after each push, and sweeps them if it is so.
    #[inline]
    pub(super) fn is_forsaken(&self) -> bool {
        // ORDERING: Relaxed; as in `forsake`.
        self.forsaken.load(Ordering::Relaxed) != 0
    }

    /// Drops all that is in the rings. Destructors may come back to the queue, and several threads may be at this: each
    /// value is taken by one.
    pub(super) fn sweep(&self) {
        let mut rest = Rest { rings: self, id: 1 };
        while rest.drop_one() {}
    }
}

impl<T> Drop for Rings<T> {
    fn drop(&mut self) {
        self.sweep();
    }
}

/// What a sweep has not come to yet. It goes, too, where a value's destructor panics.
struct Rest<'a, T> {
    rings: &'a Rings<T>,
    id: u32,
}

impl<T> Rest<'_, T> {
    /// Drops the next value, if there is one.
    fn drop_one(&mut self) -> bool {
        while let Some(ring) = self.rings.get(self.id) {
            if let Ok((_, word)) = ring.pop(|_, _| ()) {
                // SAFETY: popped from a ring of ours, into which `Sender` alone puts words.
                drop(unsafe { unbox::<T>(word) });
                return true;
            }
            self.id += 1;
        }
        false
    }
}

impl<T> Drop for Rest<'_, T> {
    fn drop(&mut self) {
        while self.drop_one() {}
    }
}

/// The word that owns `value`. Whoever gets it must [`unbox`] it.
#[inline]
pub(super) fn word_of<T>(value: T) -> u64 {
    Box::into_raw(Box::new(value)).expose_provenance() as u64
}

/// The value that `word` owns.
///
/// # Safety
///
/// The word is from [`word_of`] with the same `T`, and nobody else unboxes it.
#[inline]
pub(super) unsafe fn unbox<T>(word: u64) -> T {
    // SAFETY: the address came out of `Box::into_raw`, which exposed it, and is ours alone, by the caller's promise.
    *unsafe { Box::from_raw(ptr::with_exposed_provenance_mut::<T>(word as usize)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipring_core::ring::chain::Bound;

    #[test]
    fn a_value_of_any_size_and_alignment_goes_through_a_word() {
        #[derive(PartialEq, Debug)]
        #[repr(align(64))]
        struct Wide(u8);
        // SAFETY: each word is unboxed once, as what it was made of.
        unsafe {
            assert_eq!(unbox::<Wide>(word_of(Wide(3))), Wide(3));
            assert_eq!(unbox::<[u64; 100]>(word_of([7_u64; 100])), [7; 100]);
            assert_eq!(unbox::<String>(word_of("text".to_owned())), "text");
            unbox::<()>(word_of(()));
        }
    }

    #[test]
    fn a_level_is_made_once_and_found_by_the_chains_number() {
        let (rings, chain) = (Rings::<u8>::new(4).unwrap(), Chain::new(Bound::Unbounded(4), 1));
        assert!(rings.get(0).is_none() && rings.get(2).is_none());
        for _ in 0..2 {
            rings.grow(&chain, 1, 16).unwrap();
        }
        let capacity = |level| rings.get(chain.level(level)?).map(|ring| ring.capacity());
        assert_eq!((capacity(0), capacity(1), capacity(2)), (Some(4), Some(16), None));
        assert_eq!(rings.len(), 0);
    }

    #[test]
    fn capacities_that_no_ring_can_have_are_refused() {
        for capacity in [0, mpmc::MAX_CAPACITY + 1, u64::MAX] {
            let error = Rings::<u8>::new(capacity).err();
            assert!(matches!(error, Some(Error::Capacity { wanted, .. }) if wanted == capacity));
        }
    }
}
