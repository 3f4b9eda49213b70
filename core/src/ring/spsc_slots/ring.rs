//! A ring at an address: made and attached.

use core::mem::{align_of, size_of};
use core::ptr::NonNull;

use bytemuck::Pod;

use super::layout::{AttachError, Geometry, Header, Layout, Slot};
use crate::futex::Scope;
use crate::primitive::{AtomicU64, CachePadded, DataCell, Ordering};
use crate::ring::position;
use crate::ring::sides::Sides;
use crate::sync::EventCount;

/// A ring at an address, its geometry checked and copied. Makes producers and consumers.
pub struct Slots<T> {
    header: NonNull<Header>,
    slots: NonNull<Slot<T>>,
    pub(super) capacity: u64,
}

impl<T> Clone for Slots<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Slots<T> {}

// SAFETY: the memory behind it is made to be shared; a `Slots` by itself touches nothing but atomic words.
unsafe impl<T: Send> Send for Slots<T> {}
// SAFETY: as for `Send`.
unsafe impl<T: Send> Sync for Slots<T> {}

impl<T: Pod> Slots<T> {
    /// Makes an empty ring.
    ///
    /// # Safety
    ///
    /// `at` is aligned to `layout.align()`, `layout.bytes()` bytes from it may be written, and nobody else uses them
    /// until this returns.
    pub unsafe fn init(at: *mut u8, layout: Layout<T>) {
        let header = Header {
            geometry: CachePadded::new(Geometry {
                capacity: AtomicU64::new(layout.capacity),
                slot_size: AtomicU64::new(size_of::<Slot<T>>() as u64),
                value_size: AtomicU64::new(size_of::<T>() as u64),
                value_align: AtomicU64::new(align_of::<T>() as u64),
                sides: Sides::new(),
            }),
            head: CachePadded::new(AtomicU64::new(0)),
            not_empty: CachePadded::new(EventCount::new()),
            not_full: CachePadded::new(EventCount::new()),
        };
        // SAFETY: aligned and writable by the caller's word.
        unsafe { at.cast::<Header>().write(header) };
        for index in 0..layout.capacity {
            let slot = Slot {
                sequence: AtomicU64::new(position::awaited(index, layout.capacity)),
                value: DataCell::new(T::zeroed()),
            };
            // SAFETY: index < capacity, so the slot is inside `layout.bytes()`.
            // SAFETY: the offset of the slots and their size are multiples of their alignment.
            unsafe {
                let slots = at.add(Layout::<T>::slots_offset()).cast::<Slot<T>>();
                slots.add(index as usize).write(slot);
            }
        }
    }

    /// Checks the ring at `at`, of which `available` bytes are mapped, and copies its geometry.
    ///
    /// # Errors
    ///
    /// What does not fit: the memory may hold anything.
    ///
    /// # Safety
    ///
    /// `available` bytes from `at` stay mapped, readable and writable, for as long as the ring or anything made from
    /// it is in use. What is there may be written by peers at any time, but through rings of this kind only, where
    /// they are threads of this process.
    pub unsafe fn attach(at: *mut u8, available: usize) -> Result<Self, AttachError> {
        let truncated = |needed: usize| AttachError::Truncated {
            needed: needed as u64,
            available: available as u64,
        };
        if !at.addr().is_multiple_of(Layout::<T>::alignment()) {
            return Err(AttachError::Misaligned);
        }
        if available < Layout::<T>::slots_offset() {
            return Err(truncated(Layout::<T>::slots_offset()));
        }
        // SAFETY: aligned and long enough, checked above; mapped by the caller's word.
        // SAFETY: atomic words and cells only, so peers may write behind the reference.
        let theirs = unsafe { &(*at.cast::<Header>()).geometry };
        // ORDERING: Relaxed, each word once; whoever passed the address on published what `init` wrote.
        let (capacity, slot_size) =
            (theirs.capacity.load(Ordering::Relaxed), theirs.slot_size.load(Ordering::Relaxed));
        // ORDERING: as above.
        let (value_size, value_align) =
            (theirs.value_size.load(Ordering::Relaxed), theirs.value_align.load(Ordering::Relaxed));
        let ours = size_of::<T>() as u64;
        if value_size != ours {
            return Err(AttachError::TypeSize { ours, theirs: value_size });
        }
        let ours = align_of::<T>() as u64;
        if value_align != ours {
            return Err(AttachError::TypeAlign { ours, theirs: value_align });
        }
        let ours = size_of::<Slot<T>>() as u64;
        if slot_size != ours {
            return Err(AttachError::SlotSize { ours, theirs: slot_size });
        }
        let layout = Layout::<T>::new(capacity).map_err(|_| AttachError::Capacity(capacity))?;
        if available < layout.bytes {
            return Err(truncated(layout.bytes));
        }
        // SAFETY: `available` covers the header and all slots, checked above; null memory is not mapped.
        let (header, slots) = unsafe {
            let slots = at.add(Layout::<T>::slots_offset());
            (NonNull::new_unchecked(at.cast()), NonNull::new_unchecked(slots.cast()))
        };
        Ok(Self { header, slots, capacity })
    }

    /// How many messages fit.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Wakes producer and consumer, whichever sleeps: part of the death procedure.
    pub fn wake_all(&self, scope: Scope) {
        self.header().not_empty.wake_all(scope);
        self.header().not_full.wake_all(scope);
    }

    /// Whether a side is gone, for who keeps handles: in a line that is written seldom.
    #[inline]
    pub fn sides(&self) -> &Sides {
        &self.header().geometry.sides
    }

    #[inline]
    pub(super) fn header(&self) -> &Header {
        // SAFETY: mapped and aligned by `attach`.
        // SAFETY: atomic words only, so peers may write behind the reference.
        unsafe { self.header.as_ref() }
    }

    #[inline]
    pub(super) fn slot(&self, index: u64) -> &Slot<T> {
        debug_assert!(index < self.capacity);
        // SAFETY: every index comes from a cursor over our private capacity (I3), so the slot is in what `attach`
        // checked.
        // SAFETY: an atomic word and a cell, so peers may write behind the reference.
        unsafe { self.slots.add(index as usize).as_ref() }
    }
}
