//! Every interleaving of producers and consumers on a ring of one or two slots.

use core::ptr::NonNull;

use crate::memory::Memory;
use loom::sync::Arc;
use loom::thread;
use slipring_core::primitive::{DataCell, spin_hint};
use slipring_core::ring::mpmc::{PopError, PushError, Ring};

/// A ring, and the payload of each message outside it: loom reports one that is read before it is written for good.
struct World {
    ring: Ring,
    payloads: [DataCell<u64>; 4],
    _memory: Memory,
}

fn world(capacity: u64) -> Arc<World> {
    let memory = Memory::new(Ring::bytes(capacity).unwrap(), 128);
    // SAFETY: aligned, large enough, and kept beside the view.
    let ring = unsafe { Ring::init(NonNull::new(memory.at()).unwrap(), capacity) }.unwrap();
    Arc::new(World { ring, payloads: core::array::from_fn(|_| DataCell::new(0)), _memory: memory })
}

impl World {
    /// Message `n`, written before it is published.
    fn try_push(&self, n: u64) -> Result<u64, PushError> {
        self.payloads[n as usize].with_mut(|payload| {
            // SAFETY: nobody reads it before it is published; that is what the model checks.
            unsafe { *payload = n + 100 }
        });
        self.ring.push(n, |_| {})
    }

    fn try_pop(&self) -> Result<u64, PopError> {
        let (_, n) = self.ring.pop(|_, _| {})?;
        // SAFETY: it was published by whoever wrote it; that is what the model checks.
        assert_eq!(self.payloads[n as usize].with(|payload| unsafe { *payload }), n + 100);
        Ok(n)
    }
}

/// Each of two producers offers two messages and gives up where the ring is full; the consumer looks in between, and
/// empties the ring at the end.
fn two_producers(capacity: u64) {
    loom::model(move || {
        let world = world(capacity);
        let producers = [0, 2].map(|first| {
            let world = world.clone();
            thread::spawn(move || [first, first + 1].map(|n| world.try_push(n)))
        });
        let mut taken: Vec<_> = (0..3).filter_map(|_| world.try_pop().ok()).collect();
        let offered: Vec<_> = producers.into_iter().flat_map(|t| t.join().unwrap()).collect();
        while let Ok(n) = world.try_pop() {
            taken.push(n);
        }
        for of_one in [0..2, 2..4] {
            let accepted = of_one.clone().filter(|&n| offered[n as usize].is_ok());
            let arrived = taken.iter().copied().filter(|n| of_one.contains(n));
            assert!(arrived.eq(accepted), "offered {offered:?}, taken {taken:?}");
        }
        assert!(offered.iter().all(|o| matches!(o, Ok(_) | Err(PushError::Full))), "{offered:?}");
        assert!(
            offered.iter().flatten().count() as u64 >= capacity,
            "who is refused found it full"
        );
        // FIFO by publication: positions and messages come in the same order.
        assert!(
            taken.is_sorted_by_key(|&n| offered[n as usize].ok()),
            "{offered:?}, taken {taken:?}"
        );
    });
}

#[test]
fn two_producers_and_a_consumer_share_one_slot() {
    two_producers(1);
}

#[test]
fn two_producers_and_a_consumer_share_two_slots() {
    two_producers(2);
}

/// Two consumers look twice each while one producer offers three messages; then what is left is taken.
fn two_consumers(capacity: u64) {
    loom::model(move || {
        let world = world(capacity);
        let consumer = {
            let world = world.clone();
            thread::spawn(move || [world.try_pop(), world.try_pop()])
        };
        let producer = {
            let world = world.clone();
            thread::spawn(move || [0, 1, 2].map(|n| world.try_push(n)))
        };
        let mine = [world.try_pop(), world.try_pop()];
        let (theirs, offered) = (consumer.join().unwrap(), producer.join().unwrap());
        for found in [&mine, &theirs] {
            assert!(found.iter().flatten().is_sorted_by(|a, b| a < b), "{found:?}");
            assert!(found.iter().all(|f| matches!(f, Ok(_) | Err(PopError::Empty))), "{found:?}");
        }
        let mut all: Vec<_> = [mine, theirs].concat().into_iter().flatten().collect();
        while let Ok(n) = world.try_pop() {
            assert!(all.iter().all(|&before| before < n), "what is left is the newest");
            all.push(n);
        }
        all.sort_unstable();
        assert!(offered.iter().all(|o| matches!(o, Ok(_) | Err(PushError::Full))), "{offered:?}");
        let accepted = (0..3).filter(|&n: &u64| offered[n as usize].is_ok());
        assert!(all.iter().copied().eq(accepted), "offered {offered:?}, taken {all:?}");
    });
}

#[test]
fn a_producer_and_two_consumers_share_one_slot() {
    two_consumers(1);
}

#[test]
fn a_producer_and_two_consumers_share_two_slots() {
    two_consumers(2);
}

/// A full ring; one consumer goes once round, another looks once. Whoever sees a hint of the next lap finds the slots of
/// that lap (E3): a stale look at one would pass for a corrupt ring.
fn one_lap(capacity: u64) {
    loom::model(move || {
        let world = world(capacity);
        (0..capacity).for_each(|n| assert!(world.try_push(n).is_ok()));
        let other = {
            let world = world.clone();
            thread::spawn(move || (0..capacity).map(|_| world.try_pop()).collect::<Vec<_>>())
        };
        let mut found = vec![world.try_pop()];
        found.extend(other.join().unwrap());
        assert_eq!(found.iter().filter(|f| **f == Err(PopError::Empty)).count(), 1, "{found:?}");
        let mut taken: Vec<_> = found.into_iter().flatten().collect();
        taken.sort_unstable();
        assert!(taken.into_iter().eq(0..capacity), "nothing is lost, nothing comes twice");
    });
}

#[test]
fn two_consumers_go_round_one_slot() {
    one_lap(1);
}

#[test]
fn two_consumers_go_round_two_slots() {
    one_lap(2);
}

/// A full ring, and one who empties and fills it again while another looks: a hint that lags by a lap costs steps and
/// no message.
fn lag_by_a_lap(capacity: u64) {
    loom::model(move || {
        let world = world(capacity);
        (0..capacity).for_each(|n| assert!(world.try_push(n).is_ok()));
        let other = {
            let world = world.clone();
            thread::spawn(move || {
                let taken: Vec<_> = (0..capacity).filter_map(|_| world.try_pop().ok()).collect();
                (capacity..2 * capacity).for_each(|n| assert!(world.try_push(n).is_ok()));
                taken
            })
        };
        let found = world.try_pop();
        assert!(matches!(found, Ok(_) | Err(PopError::Empty)), "{found:?}");
        let mut taken = other.join().unwrap();
        taken.extend(found);
        while let Ok(n) = world.try_pop() {
            taken.push(n);
        }
        taken.sort_unstable();
        assert!(taken.iter().copied().eq(0..2 * capacity), "{taken:?}");
    });
}

#[test]
fn a_consumer_that_lags_by_a_lap_of_one_slot_loses_nothing() {
    lag_by_a_lap(1);
}

#[test]
fn a_consumer_that_lags_by_a_lap_of_two_slots_loses_nothing() {
    lag_by_a_lap(2);
}

#[test]
fn what_a_consumer_noted_is_seen_by_the_producer_that_finds_the_slot_free() {
    loom::model(|| {
        let world = world(1);
        let notes = Arc::new([DataCell::new(false), DataCell::new(false)]);
        let producer = {
            let (world, notes) = (world.clone(), notes.clone());
            thread::spawn(move || {
                let see_note = |position: u64| {
                    if position > 0 {
                        // SAFETY: E2: the note of the position a lap ago is behind us; loom reports it if not.
                        assert!(notes[position as usize - 1].with(|noted| unsafe { *noted }));
                    }
                };
                for n in 0..2 {
                    while world.ring.push(n, see_note).is_err() {
                        spin_hint();
                    }
                }
            })
        };
        let note = |position: u64, _| {
            notes[position as usize].with_mut(|noted| {
                // SAFETY: the only consumer notes each position once, before it takes it.
                unsafe { *noted = true }
            });
        };
        for n in 0..2 {
            while world.ring.pop(note) != Ok((n, n)) {
                spin_hint();
            }
        }
        producer.join().unwrap();
    });
}

#[test]
fn a_full_ring_that_is_closed_gives_what_it_holds_and_takes_nothing_more() {
    loom::model(|| {
        let world = world(2);
        (0..2).for_each(|n| assert!(world.try_push(n).is_ok()));
        let producer = {
            let world = world.clone();
            thread::spawn(move || {
                let closed = world.ring.close_if_full();
                (closed, world.try_push(2))
            })
        };
        let first = world.try_pop();
        let (closed, pushed) = producer.join().unwrap();
        assert_eq!(first, Ok(0), "it was published before");
        // Legal: closed before the pop took one, and then for good; or not closed, and then there is room.
        assert_eq!(pushed.is_ok(), !closed);
        assert_eq!(world.ring.is_closed(), closed);
        assert_eq!(world.try_pop(), Ok(1));
        if closed {
            assert_eq!(pushed, Err(PushError::Closed));
            assert_eq!(world.try_pop(), Err(PopError::Drained));
        } else {
            assert_eq!(world.try_pop(), Ok(2));
            assert_eq!(world.try_pop(), Err(PopError::Empty));
        }
    });
}

/// One closes a full ring while another pushes to it and a third empties it: what was published is taken, in order.
fn closing(capacity: u64) {
    loom::model(move || {
        let world = world(capacity);
        (0..capacity).for_each(|n| assert!(world.try_push(n).is_ok()));
        let closer = {
            let world = world.clone();
            thread::spawn(move || world.ring.close_if_full())
        };
        let producer = {
            let world = world.clone();
            thread::spawn(move || world.try_push(capacity))
        };
        let mut taken: Vec<_> = (0..2).filter_map(|_| world.try_pop().ok()).collect();
        let (closed, pushed) = (closer.join().unwrap(), producer.join().unwrap());
        let end = loop {
            match world.try_pop() {
                Ok(n) => taken.push(n),
                Err(e) => break e,
            }
        };
        assert_eq!(end, if closed { PopError::Drained } else { PopError::Empty });
        assert_eq!(world.ring.is_closed(), closed);
        let published = capacity + u64::from(pushed.is_ok());
        assert!(taken.iter().copied().eq(0..published), "{taken:?} of {published}");
    });
}

#[test]
fn one_slot_is_closed_or_published_to_and_nothing_is_lost() {
    closing(1);
}

#[test]
fn two_slots_are_closed_or_published_to_and_nothing_is_lost() {
    closing(2);
}
