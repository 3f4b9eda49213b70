//! What those who watch a queue watch.

use std::sync::Arc;

use slipring_core::primitive::FenceMode;

use super::{ByteReceiver, ByteSender, Receiver, Sender};
use crate::Result;
use crate::member::Attachment;
use crate::watch::sealed::Waitable;
use crate::watch::{Source, Spot};

impl Source for ByteReceiver {
    fn attachment(&self) -> &Arc<Attachment> {
        self.handle().attachment()
    }

    fn spots<'a>(&'a self, each: &mut dyn FnMut(Spot<'a>) -> Result<()>) -> Result<()> {
        // Senders notify after a locked instruction: nobody need fence them.
        each(Spot::Count(&self.end().chain().not_empty, FenceMode::Symmetric))
    }
}

impl Waitable for ByteReceiver {
    fn is_ready(&self) -> bool {
        self.end().has_message_or_end()
    }
}

impl Source for ByteSender {
    fn attachment(&self) -> &Arc<Attachment> {
        self.handle().attachment()
    }

    fn spots<'a>(&'a self, each: &mut dyn FnMut(Spot<'a>) -> Result<()>) -> Result<()> {
        // So do receivers.
        each(Spot::Count(&self.end().chain().not_full, FenceMode::Symmetric))
    }
}

impl Waitable for ByteSender {
    fn is_ready(&self) -> bool {
        self.end().has_room_or_end()
    }
}

/// Who watches a handle for values watches the one for bytes below it.
macro_rules! watch_values {
    ($($values:ident),*) => {$(
        impl<T, C> $crate::watch::Source for $values<T, C> {
            fn attachment(&self) -> &std::sync::Arc<$crate::member::Attachment> {
                self.bytes_ref().attachment()
            }

            fn spots<'a>(
                &'a self,
                each: &mut dyn FnMut($crate::watch::Spot<'a>) -> $crate::Result<()>,
            ) -> $crate::Result<()> {
                self.bytes_ref().spots(each)
            }
        }

        impl<T, C> $crate::watch::sealed::Waitable for $values<T, C> {
            fn is_ready(&self) -> bool {
                self.bytes_ref().is_ready()
            }
        }
    )*};
}
pub(crate) use watch_values;

watch_values! { Receiver, Sender }
