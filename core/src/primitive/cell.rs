//! `DataCell`: plain memory between two atomic words, seen by loom.

#[cfg(not(loom))]
type Imp<T> = core::cell::UnsafeCell<T>;
#[cfg(loom)]
type Imp<T> = loom::cell::UnsafeCell<T>;

/// Memory that an algorithm's atomic words hand to and fro. Access is by raw pointer only: no reference to memory
/// that a peer may write is ever made.
#[repr(transparent)]
pub struct DataCell<T>(Imp<T>);

// SAFETY: a cell gives out raw pointers only; whoever dereferences one shows that nobody else does at the time.
unsafe impl<T: Send> Sync for DataCell<T> {}
// SAFETY: owning a cell is owning its content.
unsafe impl<T: Send> Send for DataCell<T> {}

impl<T> DataCell<T> {
    /// A cell with this content.
    pub fn new(value: T) -> Self {
        Self(Imp::new(value))
    }

    /// Gives `f` the address, for reading.
    #[inline]
    pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        #[cfg(not(loom))]
        return f(self.0.get());
        #[cfg(loom)]
        return self.0.with(f);
    }

    /// Gives `f` the address, for writing.
    #[inline]
    pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        #[cfg(not(loom))]
        return f(self.0.get());
        #[cfg(loom)]
        return self.0.with_mut(f);
    }
}

impl<T> core::fmt::Debug for DataCell<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // The content may be a peer's at this moment: it is not read.
        f.write_str("DataCell")
    }
}
