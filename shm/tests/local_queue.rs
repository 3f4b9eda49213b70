//! Queues between threads, seen from outside: under load, with every value counted as it is dropped. Step by step they
//! are compared with a queue that is plainly right in `local_queue_model.rs`.

use std::sync::Arc;
use std::time::Duration;

use slipring::local::{Queue, Receiver, SendError, Sender};
use slipring::{Error, Until};

/// The copies of the `Arc` are the values that there are.
struct Counted {
    number: u64,
    _alive: Arc<()>,
}

const SENDERS: u64 = 3;
const EACH: u64 = 6_000;

/// Sends this sender's numbers in batches.
fn send_all(of: u64, sender: &mut Sender<Counted>, alive: &Arc<()>, batch: usize) {
    let mut values = Vec::new();
    for number in of * EACH..(of + 1) * EACH {
        values.push(Counted { number, _alive: alive.clone() });
        while values.len() >= batch {
            sender.send_batch(&mut values, Duration::from_secs(60)).unwrap();
        }
    }
    while !values.is_empty() {
        sender.send_batch(&mut values, Until::NEVER).unwrap();
    }
}

/// What this receiver gets until the last sender has gone.
fn recv_all(receiver: &mut Receiver<Counted>, batch: usize) -> Vec<u64> {
    let mut taken = Vec::new();
    loop {
        match receiver.recv_batch(batch, Until::NEVER) {
            Ok(values) => {
                assert!(!values.is_empty());
                taken.extend(values.iter().map(|v| v.number));
            }
            Err(error) => {
                assert!(matches!(error, Error::Disconnected));
                return taken;
            }
        }
    }
}

fn load((sender, receiver): (Sender<Counted>, Receiver<Counted>), batch: usize) {
    let alive = Arc::new(());
    let mut taken: Vec<_> = std::thread::scope(|s| {
        for of in 0..SENDERS {
            let (mut sender, alive) = (sender.clone(), &alive);
            s.spawn(move || send_all(of, &mut sender, alive, batch));
        }
        drop(sender);
        let receivers: Vec<_> = (0..3)
            .map(|_| {
                let mut receiver = receiver.clone();
                s.spawn(move || recv_all(&mut receiver, batch))
            })
            .collect();
        let taken: Vec<_> = receivers.into_iter().map(|r| r.join().unwrap()).collect();
        for of in 0..SENDERS {
            let its = |taken: &[u64]| taken.iter().filter(|n| **n / EACH == of).is_sorted();
            assert!(taken.iter().all(|t| its(t)), "one sender's values keep their order");
        }
        taken.concat()
    });
    taken.sort_unstable();
    assert!(taken.into_iter().eq(0..SENDERS * EACH), "each value once");
    assert_eq!(Arc::strong_count(&alive), 1, "and dropped once");
}

#[test]
fn under_load_nothing_is_lost_doubled_or_leaked() {
    for capacity in [1, 2, 7, 1000] {
        for batch in [1, 5] {
            load(Queue::bounded(capacity).unwrap(), batch);
        }
    }
    for batch in [1, 70] {
        load(Queue::unbounded().unwrap(), batch);
    }
}

/// Sends 1 to 4000, however often it has to begin anew.
fn send_impatiently(mut sender: Sender<u64>, patience: Option<Duration>) {
    for number in 1..=4_000 {
        let mut value = number;
        while let Err(SendError { value: back, error }) = sender.send_until(value, patience) {
            assert!(matches!(error, Error::TimedOut));
            value = back;
        }
    }
}

/// The sum of what it gets, however often it has to begin anew.
fn sum_impatiently(mut receiver: Receiver<u64>, patience: Option<Duration>) -> u64 {
    let mut sum = 0;
    loop {
        match receiver.recv_until(patience) {
            Ok(number) => sum += number,
            Err(Error::TimedOut) => {}
            Err(error) => {
                assert!(matches!(error, Error::Disconnected));
                return sum;
            }
        }
    }
}

#[test]
fn impatient_senders_and_receivers_take_nobodys_wake_up() {
    let (sender, receiver) = Queue::bounded(2).unwrap();
    let total: u64 = std::thread::scope(|s| {
        let patiences = [Some(Duration::from_micros(20)), None];
        for patience in patiences {
            let sender = sender.clone();
            s.spawn(move || send_impatiently(sender, patience));
        }
        drop(sender);
        let receivers = patiences.map(|patience| {
            let receiver = receiver.clone();
            s.spawn(move || sum_impatiently(receiver, patience))
        });
        receivers.into_iter().map(|r| r.join().unwrap()).sum()
    });
    assert_eq!(total, 2 * (1..=4_000).sum::<u64>());
}

#[test]
fn when_the_last_receiver_goes_senders_keep_what_was_not_sent() {
    let alive = Arc::new(());
    for _ in 0..200 {
        let (mut sender, mut receiver) = Queue::bounded(3).unwrap();
        let value = || Counted { number: 0, _alive: alive.clone() };
        std::thread::scope(|s| {
            s.spawn(|| {
                let refused = loop {
                    if let Err(refused) = sender.send(value()) {
                        break refused;
                    }
                };
                assert!(matches!(refused.error, Error::Disconnected));
                let again = sender.try_send(refused.value);
                assert!(matches!(again, Err(SendError { error: Error::Disconnected, .. })));
                let mut values = vec![value()];
                assert!(sender.send_batch(&mut values, Until::NEVER).is_err());
                assert_eq!(values.len(), 1);
            });
            s.spawn(move || {
                receiver.recv().unwrap();
                drop(receiver);
            });
        });
        drop(sender);
        assert_eq!(Arc::strong_count(&alive), 1, "what was in it went with the last handle");
    }
}

#[test]
fn values_may_be_of_no_size_and_borrow_from_whoever_made_them() {
    let (mut sender, mut receiver) = Queue::bounded(2).unwrap();
    sender.send(()).unwrap();
    receiver.recv().unwrap();
    let text = "borrowed".to_owned();
    let (mut sender, mut receiver) = Queue::unbounded().unwrap();
    std::thread::scope(|s| {
        s.spawn(|| sender.send(text.as_str()).unwrap());
    });
    assert_eq!(receiver.try_recv().unwrap(), "borrowed");
}

#[test]
fn capacities_that_no_ring_can_have_are_refused() {
    for capacity in [0, (1 << 26) + 1, u64::MAX] {
        let error = Queue::<u8>::bounded(capacity).unwrap_err();
        assert!(matches!(error, Error::Capacity { wanted, min: 1, .. } if wanted == capacity));
    }
}

#[test]
fn a_value_may_be_a_handle_of_another_queue() {
    let (mut outer, mut inbox) = Queue::bounded(1).unwrap();
    let (mut answer, mut answers) = Queue::bounded(1).unwrap();
    answer.send(1).unwrap();
    outer.send(answer).unwrap();
    let mut answer: Sender<i32> = inbox.recv().unwrap();
    assert_eq!(answers.recv().unwrap(), 1);
    answer.send(2).unwrap();
    drop(answer);
    assert_eq!(answers.recv().unwrap(), 2);
    assert!(matches!(answers.recv(), Err(Error::Disconnected)));
}
