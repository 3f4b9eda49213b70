//! What all handles in this folder have in common: an object whose body is a few words.

use std::marker::PhantomData;
use std::ptr::NonNull;

use slipring_core::owner::OwnerId;

use crate::member::{Handle, Wait};
use crate::object::{Kind, Role};
use crate::wait::{SharedSpin, Until};
use crate::{Error, Result, Segment};

/// A handle of an object whose body is a `B`: a struct of atomic words and cells, for which all bit patterns are valid.
pub(crate) struct Words<B> {
    handle: Handle,
    spin: SharedSpin,
    of: PhantomData<fn() -> B>,
}

impl<B> Words<B> {
    /// Makes an object.
    pub(crate) fn create(segment: &Segment, kind: Kind, body: B) -> Result<Self> {
        Self::create_with(segment, kind, size_of::<B>() as u64, |at| {
            debug_assert!(at.cast::<B>().is_aligned());
            // SAFETY: committed memory for a `B`, reserved for us; aligned to 128, which is enough for every body.
            unsafe { at.cast::<B>().write(body) };
        })
    }

    /// Makes an object with `len` bytes of body, which begins with a `B`. `init` writes that, and gets committed memory,
    /// aligned to 128, that nobody else knows of and that may hold anything.
    pub(crate) fn create_with(
        segment: &Segment,
        kind: Kind,
        len: u64,
        init: impl FnOnce(NonNull<u8>),
    ) -> Result<Self> {
        debug_assert!(len >= size_of::<B>() as u64);
        let roles = [Role::First];
        let [handle] = Handle::create(segment.attachment(), kind, len, roles, |at, _| {
            init(at);
            Ok(())
        })?;
        Self::from_handle(handle)
    }

    /// The object that `handle` is of.
    pub(crate) fn from_handle(handle: Handle) -> Result<Self> {
        let (attachment, needed) = (handle.attachment(), size_of::<B>() as u64);
        let (at, len) = handle.body();
        let fits = len >= needed && at.cast::<B>().is_aligned();
        if !fits || !attachment.arena_is_committed(handle.body_offset(), needed) {
            return Err(Error::Corrupt { what: "an object is too small for what it is" });
        }
        let spin = SharedSpin::new(attachment.new_spin());
        Ok(Self { handle, spin, of: PhantomData })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(crate) fn into_handle(self) -> Handle {
        self.handle
    }

    /// The words.
    #[inline]
    pub(crate) fn get(&self) -> &B {
        // SAFETY: room for a `B`, committed and aligned: `create` and `from_handle` saw to it. Mapped as long as the
        // handle lives; atomics and cells, so peers may write behind the reference.
        unsafe { self.handle.body().0.cast::<B>().as_ref() }
    }

    /// Who we are.
    #[inline]
    pub(crate) fn me(&self) -> Result<OwnerId> {
        self.handle.attachment().me()
    }

    /// Runs a blocking call.
    pub(crate) fn wait<R>(&self, until: Until, call: impl FnOnce(&mut Wait<'_>) -> R) -> R {
        let mut spin = self.spin.get();
        let attachment = self.handle.attachment();
        let result = call(&mut Wait::new(attachment, Some(&mut spin), until.deadline()));
        self.spin.keep(&spin);
        result
    }
}

impl<B> Clone for Words<B> {
    fn clone(&self) -> Self {
        let spin = SharedSpin::new(self.spin.get());
        Self { handle: self.handle.clone(), spin, of: PhantomData }
    }
}
