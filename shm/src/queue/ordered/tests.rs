//! What LIFO and priority queues promise within one process; what they promise between processes is in the package
//! `tests`.

use std::time::Duration;

use slipring_core::futex::Scope;
use slipring_core::primitive::AtomicU32;
use slipring_core::wait::Waiter;

use super::end::End;
use super::end::Store;
use super::*;
use crate::{Error, Named, SegmentOptions, Until};

const SHORT: Duration = Duration::from_millis(2);
/// Inline, small, and of several pages.
const SIZES: [usize; 5] = [0, 7, 8, 300, 20_000];

fn segment() -> Segment {
    Segment::with(SegmentOptions::new().reserve(4 << 30)).unwrap()
}

/// A message that says its number, of one of all sizes.
fn message(number: u8) -> Vec<u8> {
    let mut bytes = vec![number; SIZES[usize::from(number) % SIZES.len()].max(1)];
    bytes[0] = number;
    bytes
}

#[test]
fn capacities_that_no_queue_can_have_are_refused() {
    let segment = segment();
    for capacity in [0, (1 << 23) + 1, u64::MAX] {
        let refused = |error| matches!(error, Error::Capacity { wanted, min: 1, max, .. } if wanted == capacity && max == 1 << 23);
        assert!(refused(ByteLifoQueue::bounded(&segment, capacity).unwrap_err()));
        assert!(refused(BytePriorityQueue::bounded(&segment, capacity).unwrap_err()));
    }
}

#[test]
fn a_lifo_queue_holds_exactly_its_capacity_and_gives_the_last_first() {
    let segment = segment();
    for capacity in [1, 2, 3, 64_u8] {
        let (mut tx, mut rx) = ByteLifoQueue::bounded(&segment, capacity.into()).unwrap();
        for _ in 0..3 {
            for number in 0..capacity {
                assert!(!tx.is_full());
                tx.try_send(&message(number)).unwrap();
            }
            assert!(tx.is_full() && rx.is_full() && rx.len() == u64::from(capacity));
            assert!(matches!(tx.try_send(b"more"), Err(Error::WouldBlock)));
            assert!(matches!(tx.send_until(b"a block's worth", SHORT), Err(Error::TimedOut)));
            for number in (0..capacity).rev() {
                assert_eq!(rx.try_recv().unwrap(), message(number));
            }
            assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
            assert!(matches!(rx.recv_until(SHORT), Err(Error::TimedOut)));
        }
    }
    assert_eq!(segment.blocks_in_use(), 0);
}

#[test]
fn a_priority_queue_holds_exactly_its_capacity_and_gives_the_smallest_first() {
    let segment = segment();
    for capacity in [1, 2, 3, 64_u8] {
        let (mut tx, mut rx) = BytePriorityQueue::bounded(&segment, capacity.into()).unwrap();
        let key = |number: u8| u64::from(number) * 7 % 5;
        for _ in 0..3 {
            for number in 0..capacity {
                tx.try_send(key(number), &message(number)).unwrap();
            }
            assert!(tx.is_full() && rx.len() == u64::from(capacity));
            assert!(matches!(tx.try_send(0, b"more"), Err(Error::WouldBlock)));
            assert!(matches!(tx.send_until(0, b"a block's worth", SHORT), Err(Error::TimedOut)));
            let mut expected: Vec<_> = (0..capacity).map(|number| (key(number), number)).collect();
            expected.sort_unstable();
            let mut buffer = Vec::new();
            for (key, number) in expected {
                assert_eq!(rx.recv_keyed_into(&mut buffer, Until::NOW).unwrap(), key);
                assert_eq!(buffer, message(number));
            }
            assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
            assert!(matches!(rx.recv_until(SHORT), Err(Error::TimedOut)));
        }
    }
    assert_eq!(segment.blocks_in_use(), 0);
}

#[test]
fn values_come_back_and_what_is_none_is_an_error_in_its_place() {
    let segment = segment();
    let (mut tx, mut rx) = PriorityQueue::<(u32, String)>::bounded(&segment, 4).unwrap();
    tx.send(9, &(9, "nine".into())).unwrap();
    tx.bytes().send(3, &[0xff; 30]).unwrap();
    tx.send(1, &(1, "one".into())).unwrap();
    assert_eq!(rx.recv_keyed_until(Until::NOW).unwrap(), (1, (1, "one".to_owned())));
    assert!(matches!(rx.recv(), Err(Error::Decode(_))));
    assert_eq!(rx.recv().unwrap(), (9, "nine".to_owned()));
    let (mut tx, mut rx) = LifoQueue::<Vec<u64>>::bounded(&segment, 4).unwrap();
    tx.send(&vec![1; 100]).unwrap();
    tx.try_clone().unwrap().send(&vec![2]).unwrap();
    assert_eq!(rx.try_clone().unwrap().recv().unwrap(), [2]);
    assert_eq!(rx.recv().unwrap(), [1; 100]);
}

#[test]
fn a_closed_queue_takes_nothing_and_gives_what_it_has() {
    let segment = segment();
    let (mut tx, mut rx) = ByteLifoQueue::bounded(&segment, 8).unwrap();
    tx.send(b"one").unwrap();
    rx.close();
    assert!(matches!(tx.send(b"two"), Err(Error::Closed)));
    assert_eq!(rx.recv().unwrap(), b"one");
    assert!(matches!(rx.recv(), Err(Error::Closed)));
    let (mut tx, mut rx) = BytePriorityQueue::bounded(&segment, 8).unwrap();
    tx.send(1, b"one").unwrap();
    drop(tx);
    assert_eq!(rx.recv().unwrap(), b"one");
    assert!(matches!(rx.recv(), Err(Error::Disconnected)));
    let (mut tx, rx) = BytePriorityQueue::bounded(&segment, 8).unwrap();
    drop(rx);
    assert!(matches!(tx.send(1, b"one"), Err(Error::Disconnected)));
}

#[test]
fn a_queue_ends_with_its_last_handle_and_its_messages_with_it() {
    let segment = segment();
    for round in 0..3 {
        let (mut lifo, _rx) = ByteLifoQueue::bounded(&segment, 60).unwrap();
        let (mut priority, _rx2) = BytePriorityQueue::bounded(&segment, 60).unwrap();
        for number in 0..50 {
            lifo.send(&message(number)).unwrap();
            priority.send(u64::from(number % 7), &message(number)).unwrap();
        }
        assert!(segment.blocks_in_use() >= 60, "round {round}");
    }
    assert_eq!(segment.blocks_in_use(), 0);
}

#[test]
fn a_ticket_makes_what_it_was_made_of_and_nothing_else() {
    use crate::member::ticket::Transfer;
    let segment = segment();
    let (tx, rx) = ByteLifoQueue::bounded(&segment, 1).unwrap();
    let wrong = |error| matches!(error, Error::WrongKind { .. });
    let again = |ticket| ByteLifoSender::from_ticket(ticket, &segment);
    assert!(again(tx.ticket().unwrap()).is_ok());
    assert!(wrong(again(rx.ticket().unwrap()).unwrap_err()));
    let ticket = tx.ticket().unwrap();
    assert!(wrong(BytePrioritySender::from_ticket(ticket, &segment).unwrap_err()));
    let ticket = tx.ticket().unwrap();
    assert!(wrong(ByteLifoReceiver::from_ticket(ticket, &segment).unwrap_err()));
    let ticket = tx.ticket().unwrap();
    assert!(wrong(crate::ByteSender::from_ticket(ticket, &segment).unwrap_err()));
    let ticket = rx.ticket().unwrap();
    assert!(wrong(BytePriorityReceiver::from_ticket(ticket, &segment).unwrap_err()));
    let ticket = rx.ticket().unwrap();
    assert!(LifoReceiver::<u8>::from_ticket(ticket, &segment).is_ok());
}

/// Holds a priority queue's turn as a stopped process would.
struct Impatient;

impl Waiter for Impatient {
    type Stop = ();

    fn scope(&self) -> Scope {
        Scope::Shared
    }

    fn spin(&mut self) -> bool {
        false
    }

    fn sleep(&mut self, _: &AtomicU32, _: u32) -> std::result::Result<(), ()> {
        Err(())
    }

    fn fence_peers(&mut self) {}

    fn is_dead(&mut self, _: slipring_core::owner::OwnerId) -> bool {
        false
    }
}

#[test]
fn who_waits_for_a_turn_gives_up_in_time() {
    let segment = segment();
    let (mut tx, mut rx) = BytePriorityQueue::bounded(&segment, 4).unwrap();
    tx.send(1, b"one").unwrap();
    let end = &tx.try_clone().unwrap();
    let shape = End::new(end.handle().clone()).unwrap().shape;
    let Store::Priority(heap) = shape.store else { panic!("a priority queue is a heap") };
    let turn = heap.lock(segment.attachment().me().unwrap(), &mut Impatient).unwrap();
    assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));
    assert!(matches!(tx.try_send(2, b"two"), Err(Error::WouldBlock)));
    assert!(matches!(rx.recv_until(SHORT), Err(Error::TimedOut)));
    assert!(matches!(tx.send_until(2, &[2; 100], SHORT), Err(Error::TimedOut)));
    drop(turn);
    tx.send(0, &[0; 100]).unwrap();
    assert_eq!(rx.recv().unwrap(), [0; 100]);
    assert_eq!(rx.recv().unwrap(), b"one");
    drop((tx, rx));
    assert_eq!(segment.blocks_in_use(), 0);
}

#[test]
fn a_forged_message_is_an_error_and_harms_no_other() {
    use slipring_core::block::Descriptor;
    let segment = segment();
    let (mut tx, mut rx) = ByteLifoQueue::bounded(&segment, 4).unwrap();
    tx.send(b"a message in a block").unwrap();
    let Store::Lifo(stack) = End::new(tx.handle().clone()).unwrap().shape.store else {
        panic!("a LIFO queue is a stack")
    };
    let mut word = 0;
    let popped = stack.pop(|_, found| word = found).unwrap();
    stack.push(word, |_| {}).unwrap();
    assert!(popped.is_some() && Descriptor::block_of(word).is_some());
    // The same block at another depth, and words that are none.
    for forged in [word, 0, u64::MAX, 2 | 31 << 2] {
        stack.push(forged, |_| {}).unwrap();
        assert!(matches!(rx.try_recv(), Err(Error::Corrupt { .. })), "{forged:#x}");
    }
    let (mut other, mut taker) = BytePriorityQueue::bounded(&segment, 4).unwrap();
    let Store::Priority(heap) = End::new(other.handle().clone()).unwrap().shape.store else {
        panic!("a priority queue is a heap")
    };
    let me = segment.attachment().me().unwrap();
    heap.lock(me, &mut Impatient).unwrap().push(0, word, |_| {}).unwrap();
    assert!(matches!(taker.try_recv(), Err(Error::Corrupt { .. })), "it is in flight elsewhere");
    other.send(1, b"a message in a block").unwrap();
    assert_eq!(taker.recv().unwrap(), b"a message in a block");
}

#[test]
fn everything_passes_once_between_threads_that_sleep() {
    const EACH: u64 = 5000;
    let segment = segment();
    for capacity in [1, 3, 100] {
        let (tx, rx) = ByteLifoQueue::bounded(&segment, capacity).unwrap();
        let (ptx, prx) = BytePriorityQueue::bounded(&segment, capacity).unwrap();
        let mut all = std::thread::scope(|s| {
            for first in [0, EACH] {
                let (mut tx, mut ptx) = (tx.try_clone().unwrap(), ptx.try_clone().unwrap());
                s.spawn(move || {
                    for n in first..first + EACH {
                        tx.send(&n.to_le_bytes()).unwrap();
                        ptx.send(n % 3, &n.to_le_bytes()).unwrap();
                    }
                });
            }
            drop((tx, ptx));
            let all_of = |recv: &mut dyn FnMut() -> Result<Vec<u8>>| {
                let received = std::iter::from_fn(|| recv().ok());
                received.map(|m| u64::from_le_bytes(m.try_into().unwrap())).collect::<Vec<_>>()
            };
            let lifo = [rx.try_clone().unwrap(), rx];
            let lifo = lifo.map(|mut rx| s.spawn(move || all_of(&mut || rx.recv())));
            let priority = [prx.try_clone().unwrap(), prx];
            let priority = priority.map(|mut rx| s.spawn(move || all_of(&mut || rx.recv())));
            let threads = lifo.into_iter().chain(priority);
            threads.flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        all.sort_unstable();
        assert!(all.into_iter().eq((0..2 * EACH).flat_map(|n| [n, n])), "capacity {capacity}");
    }
    assert_eq!(segment.blocks_in_use(), 0);
}

#[test]
fn a_named_queue_is_found_and_seen() {
    use crate::Named;
    use crate::observe::Observer;
    let name = format!("test-ordered-{}", std::process::id());
    let mut rx = PriorityReceiver::<String>::create(&name, OrderedOptions::bounded(3)).unwrap();
    let wrong = |error| matches!(error, Error::WrongKind { .. });
    assert!(wrong(LifoSender::<String>::open(&name).unwrap_err()));
    assert!(wrong(crate::ByteSender::open(&name).unwrap_err()));
    let mut tx = PrioritySender::<String>::open(&name).unwrap();
    tx.send(2, &"two".to_owned()).unwrap();
    tx.send(1, &"one".to_owned()).unwrap();
    let seen = Observer::open(&name).unwrap().look();
    let [queue] = &seen.objects[..] else { panic!("{:?}", seen.objects) };
    assert_eq!((queue.kind, &*queue.state), ("ordered queue", "by priority, open"));
    assert_eq!((queue.depth, queue.capacity, queue.held.len()), (Some(2), Some(3), 0));
    assert_eq!((rx.recv().unwrap(), rx.recv().unwrap()), ("one".to_owned(), "two".to_owned()));
}

#[test]
fn a_patient_side_goes_on_without_the_other() {
    let name = format!("patient-lifo-{}", std::process::id());
    let mut tx = ByteLifoSender::create(name.as_str(), OrderedOptions::bounded(4)).unwrap();
    drop(ByteLifoReceiver::open(name.as_str()).unwrap());
    assert!(matches!(tx.send(b"one"), Err(Error::Disconnected)));
    tx.set_patient(true);
    tx.try_clone().unwrap().send(b"one").unwrap();
    let mut rx = ByteLifoReceiver::open(name.as_str()).unwrap();
    assert_eq!(rx.recv().unwrap(), b"one");
    drop(tx);
    assert!(matches!(rx.try_recv(), Err(Error::Disconnected)));
    rx.set_patient(true);
    assert!(matches!(rx.try_recv(), Err(Error::WouldBlock)));

    let (mut tx, rx) = PriorityQueue::<u8>::bounded(&segment(), 4).unwrap();
    drop(rx);
    assert!(matches!(tx.send(1, &7), Err(Error::Disconnected)));
    tx.set_patient(true);
    tx.send(1, &7).unwrap();
    tx.close();
    assert!(matches!(tx.send(2, &8), Err(Error::Closed)));
}
