//! Looking at named objects from outside, without taking part: for tools.
//!
//! An [`Observer`] maps the segment for reading only and is no participant of it: it cannot disturb anybody, and the kernel
//! would stop it if it tried. What it reads changes meanwhile; each number was true at some moment of the look, and two of them
//! perhaps at different ones.
//!
//! ```
//! use slipring::observe::Observer;
//! use slipring::{ByteSender, Named, QueueOptions};
//!
//! # let name = format!("doc-observe-{}", std::process::id());
//! # let name = name.as_str();
//! let mut sender = ByteSender::create(name, QueueOptions::bounded(100))?;
//! sender.send(b"hello")?;
//! let seen = Observer::open(name)?.look();
//! let queue = &seen.objects[0];
//! assert_eq!((queue.kind, queue.depth, queue.capacity), ("queue", Some(1), Some(100)));
//! assert_eq!((queue.first.len(), queue.second.len()), (1, 0), "a sender and no receiver");
//! # Ok::<(), slipring::Error>(())
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | `waiters.rs` | which threads sleep on which object, as far as `/proc` tells |

mod waiters;

use slipring_core::directory::Place;
use slipring_core::member::MemberState;
use slipring_core::owner::OwnerId;

pub use crate::object::Held;
pub use waiters::Waiting;

use crate::member::segment::{Memory, Participant, memory_of};
use crate::memory::{Mapping, Regions};
use crate::object::{self, Kind, ROOT, Role};
use crate::open::KINDS;
use crate::open::name::Name;
use crate::{Error, Result};

/// Looks at one named segment.
///
/// ```
/// use slipring::observe::Observer;
/// use slipring::{Error, Named, Semaphore};
///
/// # let name = format!("doc-observer-{}", std::process::id());
/// # let name = name.as_str();
/// let seats = Semaphore::create(name, 3)?;
/// let observer = Observer::open(name)?;
/// seats.acquire()?;
/// assert_eq!(observer.look().objects[0].state, "2 permits to be had");
/// drop(seats); // the observer does not keep it
/// assert!(matches!(Observer::open(name), Err(Error::NoSuchName { .. })));
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct Observer {
    regions: Regions,
    uid: u32,
    mode: u32,
}

/// What was seen.
///
/// ```
/// use slipring::observe::{Observer, Seen};
/// use slipring::{Event, Name, Named};
///
/// # let text = format!("doc-seen-{}", std::process::id());
/// # let text = text.as_str();
/// let _event = Event::create(Name::new(text).mode(0o640), ())?;
/// let seen: Seen = Observer::open(text)?.look();
/// assert_eq!((seen.mode, seen.persists), (0o640, false));
/// assert_eq!(seen.participants[0].pid, std::process::id());
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Seen {
    /// The user that the name's file belongs to.
    pub uid: u32,
    /// The permission bits of that file.
    pub mode: u32,
    /// Whether it stays when nobody has a handle any more.
    pub persists: bool,
    /// How much memory it takes.
    pub memory: Memory,
    /// Who takes part, the dead that nobody cleaned up after included.
    pub participants: Vec<Participant>,
    /// What is in it; what the name stands for comes first.
    pub objects: Vec<ObjectSeen>,
    /// Which threads sleep on which object, where this user may know.
    pub waiting: Vec<Waiting>,
}

/// An object.
///
/// ```
/// use slipring::observe::{ObjectSeen, Observer};
/// use slipring::{ByteReceiver, Named, Pipe, QueueOptions};
///
/// # let name = format!("doc-object-seen-{}", std::process::id());
/// # let name = name.as_str();
/// let jobs = ByteReceiver::create(name, QueueOptions::bounded(8))?;
/// let _pipe = Pipe::duplex(&jobs.segment())?;
/// let [queue, pipe] = &Observer::open(name)?.look().objects[..] else { panic!() };
/// assert!(queue.is_root && queue.kind == "queue" && queue.capacity == Some(8));
/// assert!(!pipe.is_root && pipe.kind == "pipe");
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ObjectSeen {
    /// What it is: "queue", "mutex".
    pub kind: &'static str,
    /// Whether it is what the name stands for.
    pub is_root: bool,
    /// Messages in it.
    pub depth: Option<u64>,
    /// The most messages that it holds; `None` where there is no limit, or no messages.
    pub capacity: Option<u64>,
    /// Messages that were ever sent.
    pub sent: Option<u64>,
    /// What else there is to say: "closed", "locked", "2 permits to be had".
    pub state: String,
    /// Who holds what of it.
    pub held: Vec<Held>,
    /// Who has a handle of its first side (senders; of a lock, everybody): places in [`Seen::participants`].
    pub first: Vec<usize>,
    /// Who has a handle of its second side (receivers): places in [`Seen::participants`].
    pub second: Vec<usize>,
}

impl Observer {
    /// Begins to look at what has this name.
    ///
    /// # Errors
    ///
    /// As [`Named::open`](crate::Named::open). It needs permission to read, and no more; whose the file is does not matter.
    pub fn open<'a>(name: impl Into<Name<'a>>) -> Result<Self> {
        let (file, status) = name.into().open_for_reading()?;
        let regions = Regions::observe(Mapping::observe(file, KINDS.layout())?)?;
        if !regions.mapping.header().is_named() {
            return Err(Error::NotASegment { why: "it was not made to have a name".into() });
        }
        Ok(Self { regions, uid: status.uid, mode: status.mode })
    }

    /// What there is to see now.
    pub fn look(&self) -> Seen {
        let regions = &self.regions;
        let ids: Vec<_> = regions.participants().map(|(id, _)| id).collect();
        let mut places: Vec<_> = regions.directory.objects().collect();
        places.retain(|place| KINDS.of(*place).is_some_and(|kind| kind.has_handles()));
        let participants: Vec<_> = ids.iter().filter_map(|id| seen(regions, *id)).collect();
        let waiting = waiters::find(regions, &participants, &places);
        Seen {
            uid: self.uid,
            mode: self.mode,
            persists: regions.mapping.header().persists(),
            memory: memory_of(regions),
            objects: places.iter().filter_map(|place| self.object(*place, &ids)).collect(),
            participants,
            waiting,
        }
    }

    fn object(&self, place: Place, ids: &[OwnerId]) -> Option<ObjectSeen> {
        let kind = Kind::from_word(place.kind)?;
        let header = object::header(&self.regions, place).ok()?;
        let about = KINDS.of(place)?.about(&self.regions, place, ids);
        let holders = |role| {
            let holds =
                |(at, id): (usize, &OwnerId)| header.holders(role).contains(*id).then_some(at);
            ids.iter().enumerate().filter_map(holds).collect()
        };
        Some(ObjectSeen {
            kind: kind.name(),
            is_root: place.id == ROOT,
            depth: about.depth,
            capacity: about.capacity,
            sent: about.sent,
            state: about.state,
            held: about.held,
            first: holders(Role::First),
            second: holders(Role::Second),
        })
    }

    /// Which file it is: device and inode.
    pub fn file(&self) -> Option<(u64, u64)> {
        crate::sys::name::status(self.regions.fd().ok()?).ok().map(|s| s.file)
    }
}

/// What is known of one participant.
fn seen(regions: &Regions, id: OwnerId) -> Option<Participant> {
    let record = regions.record(id.index())?;
    let is_embryo = record.state() == MemberState::Embryo;
    Some(Participant::new(record.identity(), is_embryo, regions.record_is_dead(id), false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Array, BoundedSemaphore, ByteReceiver, ByteSender, Mutex, Named, OrRecover, QueueOptions,
        RawValue,
    };

    fn unique(what: &str) -> String {
        format!("test-observe-{what}-{}", std::process::id())
    }

    #[test]
    fn a_look_writes_nothing_and_is_not_noticed() {
        let name = unique("queue");
        let mut tx = ByteSender::create(&name, QueueOptions::unbounded()).unwrap();
        let rx = ByteReceiver::open(&name).unwrap();
        (0..3000_u32).for_each(|n| tx.send(&n.to_le_bytes()).unwrap());
        let observer = Observer::open(&name).unwrap();
        let seen = observer.look();
        assert_eq!(seen.participants.len(), 1, "this process, however often it opens the name");
        assert!(seen.participants.iter().all(|p| p.pid == std::process::id() && !p.is_dead));
        let [queue] = &seen.objects[..] else { panic!("{:?}", seen.objects) };
        assert_eq!((queue.depth, queue.capacity, queue.sent), (Some(3000), None, Some(3000)));
        assert_eq!((queue.kind, queue.is_root, &*queue.state), ("queue", true, "open"));
        assert_eq!((queue.first.len(), queue.second.len()), (1, 1));
        assert_eq!((seen.mode, seen.persists), (0o600, false));
        tx.close();
        drop((tx, rx));
        let seen = observer.look();
        assert_eq!(seen.objects, [], "it has ended, and the observer did not keep it");
        assert!(matches!(Observer::open(&name), Err(Error::NoSuchName { .. })));
    }

    #[test]
    fn who_holds_a_lock_and_who_waits_for_it_is_seen() {
        let name = unique("mutex");
        let mutex = Mutex::create(&name, 0_u64).unwrap();
        let guard = mutex.lock().or_recover().unwrap();
        let observer = Observer::open(&name).unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| drop(mutex.lock().or_recover().unwrap()));
            let seen = loop {
                let seen = observer.look();
                if !seen.waiting.is_empty() || waiter.is_finished() {
                    break seen;
                }
            };
            assert_eq!(seen.objects[0].state, "locked");
            assert_eq!(seen.objects[0].held[0].participant, Some(0));
            assert_eq!((seen.waiting[0].participant, seen.waiting[0].object), (0, 0));
            drop(guard);
        });
        assert_eq!(observer.look().objects[0].state, "free");
    }

    #[test]
    fn who_holds_permits_and_what_items_there_are_is_seen() {
        let name = unique("permits");
        let seats = BoundedSemaphore::create(&name, 5).unwrap();
        (0..3).for_each(|_| seats.acquire().unwrap());
        let array = Array::<u32>::new(&seats.segment(), 7).unwrap();
        let _value = RawValue::new(&seats.segment(), 0.5_f64).unwrap();
        let _guard = array.lock().or_recover().unwrap();
        let seen = Observer::open(&name).unwrap().look();
        let text = |index: usize| {
            let held = seen.objects[index].held.iter().map(|held| held.what.as_str());
            (seen.objects[index].state.as_str(), held.collect::<Vec<_>>())
        };
        assert_eq!(text(0), ("2 of 5 permits to be had", vec!["3 permits"]));
        assert_eq!(text(1), ("7 items of 4 bytes, locked", vec!["the lock"]));
        assert_eq!(text(2), ("of 8 bytes", vec![]));
    }
}
