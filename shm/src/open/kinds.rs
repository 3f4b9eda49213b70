//! The table of kinds. A new kind needs its row here; without it this does not compile.

use crate::object::{Kind, Kinds, ObjectKind};
use crate::queue::{joinable, ordered};
use crate::watch::HubHooks;
use crate::{data, pipe, queue, slots, sync};

/// What is handed down to every attachment.
pub(crate) const KINDS: Kinds = Kinds::new(describe, &HubHooks);

fn describe(kind: Kind) -> &'static dyn ObjectKind {
    match kind {
        Kind::BoundedSemaphore => &sync::BoundedSemaphoreKind,
        Kind::Value => &data::ValueKind,
        Kind::Array => &data::ArrayKind,
        Kind::Queue => &queue::QueueKind,
        Kind::Ring => &queue::RingKind,
        Kind::Ordered => &ordered::OrderedKind,
        Kind::JoinableQueue => &joinable::JoinableKind,
        Kind::Pipe => &pipe::PipeKind,
        Kind::Acceptor => &pipe::AcceptorKind,
        Kind::Slots => &slots::SlotsKind,
        Kind::Mutex => &sync::MutexKind,
        Kind::ReentrantMutex => &sync::ReentrantMutexKind,
        Kind::Semaphore => &sync::SemaphoreKind,
        Kind::Event => &sync::EventKind,
        Kind::Condvar => &sync::CondvarKind,
        Kind::Barrier => &sync::BarrierKind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_fingerprint_is_that_of_this_abi_version() {
        assert_eq!(
            (crate::memory::ABI_VERSION, KINDS.layout()),
            (4, 0xb0ea_def8_31e2_de99),
            "a change of any shared struct is another ABI version: docs/layout.md"
        );
    }
}
