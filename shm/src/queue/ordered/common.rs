//! What handles for bytes have in the same words on both sides and in both orders.

/// `$side` is what `$bytes` is made of, and `$errors` are those of `try_clone`.
macro_rules! common {
    ($($bytes:ident($side:ident) of $order:ident, $errors:literal;)*) => {$(
        impl $bytes {
            /// The one that `handle` is.
            pub(super) fn from_handle(handle: $crate::member::Handle) -> $crate::Result<Self> {
                Ok(Self($side::of(handle, $crate::ordered::Order::$order)?))
            }

            /// How many messages are in the queue: exact if nobody is at work meanwhile.
            pub fn len(&self) -> u64 {
                self.0.end.len()
            }

            /// Whether there are none.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Whether a send would wait now.
            pub fn is_full(&self) -> bool {
                self.len() >= self.capacity()
            }

            /// The most messages that the queue holds.
            pub fn capacity(&self) -> u64 {
                self.0.end.shape.store.capacity()
            }

            /// Whether this handle goes on while nobody has the other side: somebody may open the queue by its name. Off at
            /// first: sends, and receives once everything was taken, fail with
            /// [`Error::Disconnected`](crate::Error::Disconnected) when the last one there is gone.
            pub fn set_patient(&mut self, on: bool) {
                self.0.end.is_patient = on;
            }

            /// Closes the queue for everybody: sends fail, receivers get what is there and then
            /// [`Error::Closed`](crate::Error::Closed). A send that is under way in another process may still succeed,
            /// and go unread.
            pub fn close(&self) {
                self.0.end.close();
            }

            /// Another handle, for another thread.
            ///
            /// # Errors
            ///
            #[doc = $errors]
            pub fn try_clone(&self) -> $crate::Result<Self> {
                Ok(Self(self.0.another()?))
            }

            pub(super) fn handle(&self) -> &$crate::member::Handle {
                &self.0.end.handle
            }
        }

        impl std::fmt::Debug for $bytes {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($bytes)).field("len", &self.len()).finish_non_exhaustive()
            }
        }
    )*};
}
pub(super) use common;
