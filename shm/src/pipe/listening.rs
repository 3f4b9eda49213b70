//! What an acceptor is in shared memory: how its pipes are made, and what others see of it. It knows nothing of names.
//!
//! # Memory
//!
//! ```text
//! byte 0        8        16       24       28       32
//!      +--------+--------+--------+--------+--------+
//!      |  ring  |  max   |accepted| handles| listens|
//!      +--------+--------+--------+--------+--------+
//! ```
//!
//! All but `accepted` and `listens` is written once, before the acceptor is known.

use slipring_core::directory::Place;
use slipring_core::primitive::{AtomicU32, AtomicU64, Ordering};

use super::PipeOptions;
use crate::member::Handle;
use crate::memory::Regions;
use crate::object::{Kind, SharedWords, words_at};
use crate::sync::Words;
use crate::{Error, Result, Segment};

/// Bytes of an acceptor's words, for the layout fingerprint.
pub(crate) const BODY_BYTES: u64 = size_of::<Body>() as u64;
/// What an end is called on its way.
pub(crate) const PARCEL: &str = "pipe";

/// What an acceptor's body is.
#[repr(C)]
struct Body {
    /// Bytes of each ring of the pipes.
    ring: AtomicU64,
    /// The longest message.
    max_len: AtomicU64,
    /// How many were accepted. Written by acceptors; for those who look.
    accepted: AtomicU64,
    /// Whether the pipes are made for handles.
    handles: AtomicU32,
    /// Whether the socket listens, and may be connected to by whoever the mode lets. Written once, by the creator.
    listens: AtomicU32,
}

// SAFETY: atomics, of which all bit patterns are valid.
unsafe impl SharedWords for Body {}

impl Body {
    fn new(options: PipeOptions) -> Self {
        Self {
            ring: AtomicU64::new(options.ring as u64),
            max_len: AtomicU64::new(options.max_len),
            accepted: AtomicU64::new(0),
            handles: AtomicU32::new(options.handles.into()),
            listens: AtomicU32::new(0),
        }
    }

    fn options(&self) -> Result<PipeOptions> {
        // ORDERING: Relaxed for all; whoever published the object or sent the handle is between us and the creator.
        let options = PipeOptions {
            ring: usize::try_from(self.ring.load(Ordering::Relaxed)).unwrap_or(0),
            max_len: self.max_len.load(Ordering::Relaxed),
            handles: self.handles.load(Ordering::Relaxed) != 0,
        };
        match options.layout() {
            Ok(_) => Ok(options),
            Err(_) => Err(Error::Corrupt { what: "an acceptor of pipes with an impossible ring" }),
        }
    }
}

/// A handle of an acceptor's words.
#[derive(Clone)]
pub(crate) struct Listening {
    words: Words<Body>,
    options: PipeOptions,
}

impl Listening {
    /// Makes the words of an acceptor that does not listen yet. Its pipes are made with `options`.
    pub(crate) fn create(segment: &Segment, options: PipeOptions) -> Result<Self> {
        let words = Words::create(segment, Kind::Acceptor, Body::new(options))?;
        Ok(Self { words, options })
    }

    /// The words that `handle` is of.
    pub(crate) fn from_handle(handle: Handle) -> Result<Self> {
        let words = Words::<Body>::from_handle(handle)?;
        let options = words.get().options()?;
        Ok(Self { words, options })
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.words.handle()
    }

    /// How the pipes are made.
    pub(crate) fn options(&self) -> PipeOptions {
        self.options
    }

    /// From now on the socket listens.
    pub(crate) fn begin(&self) {
        // ORDERING: Release; "the socket listens", the Acquire of `glance_at_acceptor`.
        self.words.get().listens.store(1, Ordering::Release);
    }

    /// One more was accepted.
    pub(crate) fn count_one(&self) {
        // ORDERING: Relaxed; counted for those who look.
        self.words.get().accepted.fetch_add(1, Ordering::Relaxed);
    }
}

/// What is seen of an acceptor.
pub(crate) struct AcceptorGlance {
    pub(crate) accepted: u64,
    pub(crate) listens: bool,
}

/// A look at the acceptor at `place`; `None` where it is damaged.
pub(crate) fn glance_at_acceptor(regions: &Regions, place: Place) -> Option<AcceptorGlance> {
    let body = words_at::<Body>(regions, place)?;
    Some(AcceptorGlance {
        // ORDERING: Relaxed; a number that stands for itself.
        accepted: body.accepted.load(Ordering::Relaxed),
        // ORDERING: Acquire; "the socket listens", the Release of `Listening::begin`.
        listens: body.listens.load(Ordering::Acquire) != 0,
    })
}
