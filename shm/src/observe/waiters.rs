//! Which threads sleep on which object. Sleepers leave no mark of their own in shared memory, so that a dead one leaves
//! nothing behind; but the kernel knows on which word a thread sleeps, and tells whoever may trace that process.

use slipring_core::directory::Place;

use crate::member::segment::Participant;
use crate::memory::{Region, Regions};
use crate::sys::{name, process};

/// A thread that sleeps on an object.
///
/// ```
/// use slipring::observe::Observer;
/// use slipring::{Event, Named};
///
/// # let name = format!("doc-waiting-{}", std::process::id());
/// # let name = name.as_str();
/// let _event = Event::create(name, ())?;
/// let seen = Observer::open(name)?.look();
/// for waiting in &seen.waiting {
///     let (who, what) = (&seen.participants[waiting.participant], &seen.objects[waiting.object]);
///     println!("thread {} of process {} waits for a {}", waiting.thread, who.pid, what.kind);
/// }
/// assert!(seen.waiting.is_empty(), "nobody waits for the event");
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Waiting {
    /// Whose: a place in [`Seen::participants`](super::Seen::participants).
    pub participant: usize,
    /// On what: a place in [`Seen::objects`](super::Seen::objects).
    pub object: usize,
    /// The thread's id.
    pub thread: u32,
}

/// All that can be found. Nothing where this user may not look into a process, or where that is in another pid namespace.
pub(super) fn find(
    regions: &Regions,
    participants: &[Participant],
    places: &[Place],
) -> Vec<Waiting> {
    let Ok(file) =
        regions.fd().and_then(|fd| name::status(fd).map_err(crate::Error::io("look at the name")))
    else {
        return Vec::new();
    };
    let here = process::pid_namespace().unwrap_or(0);
    let (arena, _) = regions.mapping.geometry().region(Region::Arena);
    let object_at = |offset: u64| {
        let offset = offset.checked_sub(arena)?;
        places.iter().position(|place| (place.offset..place.offset + place.len).contains(&offset))
    };
    let mut found = Vec::new();
    let mut looked_at = Vec::new();
    for (participant, who) in participants.iter().enumerate() {
        // A process that takes part twice has the same threads.
        if who.is_dead || who.pid_namespace != here || looked_at.contains(&who.pid) {
            continue;
        }
        looked_at.push(who.pid);
        for (thread, offset) in process::futex_waits(who.pid, file.file.1) {
            if let Some(object) = object_at(offset) {
                found.push(Waiting { participant, object, thread });
            }
        }
    }
    found
}
