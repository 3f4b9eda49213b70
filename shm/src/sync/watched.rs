//! What those who watch a lock or signal watch.

use std::sync::Arc;

use bytemuck::Pod;
use slipring_core::primitive::FenceMode;

use super::{BoundedSemaphore, Event, Mutex, Semaphore};
use crate::Result;
use crate::member::Attachment;
use crate::watch::sealed::Waitable;
use crate::watch::{Source, Spot};

impl<T: Pod> Source for Mutex<T> {
    fn attachment(&self) -> &Arc<Attachment> {
        self.handle().attachment()
    }

    fn spots<'a>(&'a self, each: &mut dyn FnMut(Spot<'a>) -> Result<()>) -> Result<()> {
        each(Spot::Mutex(self.core()))
    }
}

impl<T: Pod> Waitable for Mutex<T> {
    fn is_ready(&self) -> bool {
        self.core().may_be_taken(|owner| self.attachment().is_dead(owner))
    }
}

impl Source for Semaphore {
    fn attachment(&self) -> &Arc<Attachment> {
        self.handle().attachment()
    }

    fn spots<'a>(&'a self, each: &mut dyn FnMut(Spot<'a>) -> Result<()>) -> Result<()> {
        each(Spot::Semaphore(self.core()))
    }
}

impl Waitable for Semaphore {
    fn is_ready(&self) -> bool {
        self.value() > 0
    }
}

impl Source for BoundedSemaphore {
    fn attachment(&self) -> &Arc<Attachment> {
        self.handle().attachment()
    }

    fn spots<'a>(&'a self, each: &mut dyn FnMut(Spot<'a>) -> Result<()>) -> Result<()> {
        each(Spot::Count(self.core().sleepers(), FenceMode::Symmetric))
    }
}

impl Waitable for BoundedSemaphore {
    fn is_ready(&self) -> bool {
        self.value() > 0
    }
}

impl Source for Event {
    fn attachment(&self) -> &Arc<Attachment> {
        self.handle().attachment()
    }

    fn spots<'a>(&'a self, each: &mut dyn FnMut(Spot<'a>) -> Result<()>) -> Result<()> {
        each(Spot::Event(self.core()))
    }
}

impl Waitable for Event {
    fn is_ready(&self) -> bool {
        self.is_set()
    }
}
