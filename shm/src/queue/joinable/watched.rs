//! What those who watch a joinable queue watch.

use std::sync::Arc;

use slipring_core::primitive::FenceMode;

use super::{ByteJoinableReceiver, ByteJoinableSender, JoinableReceiver, JoinableSender};
use crate::Result;
use crate::member::Attachment;
use crate::queue::watched::watch_values;
use crate::watch::sealed::Waitable;
use crate::watch::{Source, Spot};

impl Source for ByteJoinableReceiver {
    fn attachment(&self) -> &Arc<Attachment> {
        self.handle().attachment()
    }

    fn spots<'a>(&'a self, each: &mut dyn FnMut(Spot<'a>) -> Result<()>) -> Result<()> {
        // Who puts, gives back, or ends the last lease of a queue that nobody puts into notifies after a locked
        // instruction: nobody need fence them.
        each(Spot::Count(&self.end().chain().not_empty, FenceMode::Symmetric))
    }
}

impl Waitable for ByteJoinableReceiver {
    fn is_ready(&self) -> bool {
        self.has_item_or_end()
    }
}

impl Source for ByteJoinableSender {
    fn attachment(&self) -> &Arc<Attachment> {
        self.handle().attachment()
    }

    fn spots<'a>(&'a self, each: &mut dyn FnMut(Spot<'a>) -> Result<()>) -> Result<()> {
        self.items().spots(each)
    }
}

impl Waitable for ByteJoinableSender {
    fn is_ready(&self) -> bool {
        self.items().is_ready()
    }
}

watch_values! { JoinableReceiver, JoinableSender }
