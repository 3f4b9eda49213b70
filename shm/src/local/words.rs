//! What the handles of locks have in common: a body that they share.

use std::sync::Arc;

use super::threads::{Threads, new_spin};
use crate::wait::{SharedSpin, Until, Wait};

/// A handle of a `B`: a struct of atomic words and cells.
pub(super) struct Words<B> {
    body: Arc<B>,
    spin: SharedSpin,
}

impl<B> Words<B> {
    pub(super) fn new(body: B) -> Self {
        Self { body: Arc::new(body), spin: SharedSpin::new(new_spin()) }
    }

    /// The words.
    #[inline]
    pub(super) fn get(&self) -> &B {
        &self.body
    }

    /// Runs a blocking call.
    pub(super) fn wait<R>(
        &self,
        until: Until,
        call: impl FnOnce(&mut Wait<'_, Threads>) -> R,
    ) -> R {
        let mut spin = self.spin.get();
        let result = call(&mut Wait::new(&Threads, Some(&mut spin), until.deadline()));
        self.spin.keep(&spin);
        result
    }
}

impl<B> Clone for Words<B> {
    fn clone(&self) -> Self {
        Self { body: self.body.clone(), spin: SharedSpin::new(self.spin.get()) }
    }
}
