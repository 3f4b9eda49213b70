//! A named segment with objects of every kind in it, scribbled over between our own operations on them.

use std::any::Any;
use std::fs::File;
use std::mem::forget;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{TryRecvError, channel};

use arbitrary::Arbitrary;
use slipring::observe::Observer;
use slipring::{
    Array, Barrier, BoundedSemaphore, ByteJoinableReceiver, ByteJoinableSender,
    BytePriorityReceiver, BytePrioritySender, Handoff, Inherited, JoinableOptions, Mutex, Name,
    Named, OrderedOptions, ReentrantMutex, Result, Segment, SegmentOptions, Until,
};

use crate::channels::{self, Channels};
use crate::limits::{MOST, SHORT};
use crate::locks::{self, Locks};
use crate::ops::Ops;
use crate::scribble::{Map, Scribble};
use crate::values::{self, Values};

/// The smallest reserve that there is.
const RESERVE: u64 = 64 << 20;
/// So often an input may open the name: each time can take several slices of 50 ms.
const MOST_OPENED: u32 = 24;

#[derive(Arbitrary, Debug)]
pub struct Input {
    root: u8,
    asymmetric: bool,
    persists: bool,
    class: u8,
    capacity: u8,
    /// What is scribbled again and again by another thread, while the operations run.
    storm: Option<[Scribble; 2]>,
    ops: Ops<Step>,
}

#[derive(Arbitrary, Debug)]
struct Step {
    scribble: Option<Scribble>,
    op: Op,
}

#[derive(Arbitrary, Debug)]
enum Op {
    Lock {
        op: locks::Op,
        /// While the lock is held.
        scribble: Option<Scribble>,
    },
    Channel(channels::Op),
    Value(values::Op),
    /// A look from outside, by somebody who has just come or was there before the scribbles.
    Look {
        anew: bool,
    },
    /// Another participant opens the name.
    Open {
        what: u8,
    },
    Leave {
        which: u8,
    },
    /// Handles that nobody receives: those of a participant that is dead from the beginning.
    Orphan {
        what: u8,
    },
    /// Handles that this process receives.
    Give {
        what: u8,
    },
    Reap,
    Clean,
    Unlink,
}

/// What the name stands for.
enum Root {
    Tasks(ByteJoinableReceiver),
    Urgent(BytePriorityReceiver),
    Lock(Mutex<[u32; 3]>),
}

struct Rig {
    name: String,
    root: Root,
    segment: Segment,
    map: Arc<Map>,
    /// There is a storm.
    stormy: bool,
    locks: Locks,
    channels: Channels,
    values: Values,
    observer: Option<Observer>,
    /// Handles of other participants.
    guests: Vec<Box<dyn Any>>,
    /// How often the name was opened.
    opened: u32,
}

pub fn run(input: Input) {
    let text = format!("fuzz-{}", std::process::id());
    let _ = slipring::unlink(&text);
    let capacity = u64::from(input.capacity % 5) + 1;
    let root = Root::create(&text, &input, capacity).unwrap();
    let segment = root.segment();
    let mut map = Map::of(File::from(segment.share_fd().unwrap()), input.class);
    let locks = Locks::new(&segment, capacity as u32);
    let values = Values::new(&segment);
    let channels = Channels::new(&segment, capacity);
    map.survey();
    let (observer, guests) = (Observer::open(&text).ok(), Vec::new());
    let (name, map, stormy) = (text.clone(), Arc::new(map), input.storm.is_some());
    let mut rig = Rig {
        name,
        root,
        segment,
        map: map.clone(),
        stormy,
        locks,
        channels,
        values,
        observer,
        guests,
        opened: 0,
    };
    // Dropped when the operations are over.
    let (going_on, storm_ends) = channel::<()>();
    std::thread::scope(|scope| {
        if let Some(storm) = &input.storm {
            scope.spawn(move || {
                while storm_ends.try_recv() == Err(TryRecvError::Empty) {
                    storm.iter().for_each(|scribble| map.apply(scribble));
                }
            });
        }
        let _going_on = going_on;
        for Step { scribble, op } in input.ops.0 {
            scribble.iter().for_each(|scribble| rig.map.apply(scribble));
            rig.apply(op);
        }
    });
    drop(rig);
    let _ = std::fs::remove_file(slipring::name::directory().join(format!("slipring.{text}")));
}

impl Root {
    fn create(text: &str, input: &Input, capacity: u64) -> Result<Self> {
        let options = SegmentOptions::new().reserve(RESERVE);
        let options = if input.asymmetric { options } else { options.symmetric_fences() };
        let name = Name::new(text).segment(options);
        let name = if input.persists { name.persist() } else { name };
        Ok(match input.root % 4 {
            0 => {
                Self::Urgent(BytePriorityReceiver::create(name, OrderedOptions::bounded(capacity))?)
            }
            1 => Self::Lock(Mutex::create(name, [1; 3])?),
            _ => {
                let deliveries = (capacity > 2).then_some(2);
                let options = JoinableOptions::bounded(capacity).max_leases(5);
                let options = options.max_deliveries(deliveries);
                Self::Tasks(ByteJoinableReceiver::create(name, options)?)
            }
        })
    }

    fn segment(&self) -> Segment {
        match self {
            Self::Tasks(receiver) => receiver.segment(),
            Self::Urgent(receiver) => receiver.segment(),
            Self::Lock(mutex) => mutex.segment(),
        }
    }

    /// As the main participant.
    fn work(&mut self) {
        match self {
            Self::Tasks(receiver) => {
                let _ = receiver.try_recv().map(|lease| lease.give_back());
                let _ = (receiver.task_done_oldest(), receiver.take_dead_letter());
            }
            Self::Urgent(receiver) => drop(receiver.recv_keyed_into(&mut Vec::new(), Until::NOW)),
            Self::Lock(mutex) => drop(mutex.try_lock().map(|mut guard| guard.set([7; 3]))),
        }
    }
}

impl Rig {
    /// Results are not looked at: after a scribble any of them may be right.
    fn apply(&mut self, op: Op) {
        match op {
            // For the lock it would wait as long as it takes, and whatever comes may say that a living process has it.
            Op::Lock { op: locks::Op::Wait { .. }, .. } if self.stormy => {}
            Op::Lock { op, scribble } => self.locks.apply(&op, || {
                scribble.iter().for_each(|scribble| self.map.apply(scribble));
            }),
            Op::Channel(op) => self.channels.apply(&self.segment, &self.map, &op),
            Op::Value(op) => self.values.apply(&self.segment, &op),
            Op::Look { anew } => self.look(anew),
            Op::Open { .. } if self.opened == MOST_OPENED => {}
            Op::Open { what } => {
                self.opened += 1;
                self.root.work();
                let guest = open(&self.name, what);
                self.guests.extend(guest.ok().filter(|_| self.guests.len() < MOST));
            }
            Op::Leave { which } => {
                if let Some(index) = usize::from(which).checked_rem(self.guests.len()) {
                    self.guests.swap_remove(index);
                }
            }
            Op::Orphan { what } => drop(self.send(what)),
            Op::Give { what } => {
                let given = self.send(what).and_then(|end| Inherited::receive_until(end, SHORT));
                let room = self.guests.len() < MOST;
                self.guests.extend(given.ok().filter(|_| room).map(|given| Box::new(given) as _));
            }
            Op::Reap => drop(self.segment.reap()),
            Op::Clean => drop(slipring::name::clean(&self.name)),
            Op::Unlink => drop(slipring::unlink(&self.name)),
        }
    }

    fn look(&mut self, anew: bool) {
        if anew {
            self.observer = Observer::open(&self.name).ok().or_else(|| self.observer.take());
        }
        if let Some(observer) = &self.observer {
            let seen = observer.look();
            let _ = format!("{seen:?} {:?}", observer.file());
            for object in &seen.objects {
                // What is said names places in the lists.
                let places = object.first.iter().chain(&object.second);
                let holders = object.held.iter().filter_map(|held| held.participant.as_ref());
                assert!(places.chain(holders).all(|at| *at < seen.participants.len()));
            }
        }
        let _ = (self.segment.participants(), self.segment.memory(), self.segment.blocks_in_use());
    }

    /// Sends some handles through a socket, whose other end is returned.
    fn send(&self, what: u8) -> Result<UnixStream> {
        let (here, there) = UnixStream::pair().unwrap();
        let mut handoff = Handoff::new(&self.segment);
        self.locks.give(&mut handoff, what)?;
        self.channels.give(&mut handoff, what)?;
        handoff.send_until(&here, SHORT)?;
        Ok(there)
    }
}

/// Opens the name as one thing or another, and does something with it that its death undoes.
fn open(name: &str, what: u8) -> Result<Box<dyn Any>> {
    Ok(match what % 9 {
        0 => {
            let mut sender = ByteJoinableSender::open(name)?;
            let _ = (sender.try_send(b"task"), sender.try_send(&[3; 300]));
            let _ = sender.join_until(SHORT);
            Box::new(sender)
        }
        1 | 2 => {
            let mut receiver = ByteJoinableReceiver::open(name)?;
            let _ = receiver.try_recv().map(|lease| lease.into_id());
            Box::new(receiver)
        }
        3 => {
            let mut sender = BytePrioritySender::open(name)?;
            let _ = (sender.try_send(3, b"three"), sender.try_send(1, &[1; 100]));
            Box::new(sender)
        }
        4 => {
            let mutex = Mutex::<[u32; 3]>::open(name)?;
            let _ = mutex.try_lock().map(forget);
            Box::new(mutex)
        }
        5 => Box::new(ReentrantMutex::open(name)?),
        6 => Box::new(BoundedSemaphore::open(name)?),
        7 => Box::new(Barrier::open(name)?),
        _ => Box::new(Array::<u32>::open(name)?),
    })
}
