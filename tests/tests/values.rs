//! Values and arrays between processes, some of which are killed.

use std::time::{Duration, Instant};

use slipring::{Array, ArrayBytes, Error, Handoff, LockError, OrRecover, Segment, Value};
use slipring_tests::peer::{PATIENCE, Peer};
use slipring_tests::segment;

/// A blocked waiter has a dead holder's lock within this time.
const SOON: Duration = Duration::from_millis(200);

fn objects(segment: &Segment) -> (Value<[u64; 3]>, Array<u32>) {
    (Value::new(segment, [0; 3]).unwrap(), Array::new(segment, 5).unwrap())
}

fn start(segment: &Segment, of: &(Value<[u64; 3]>, Array<u32>), args: &[&str]) -> Peer {
    let mut handoff = Handoff::new(segment);
    handoff.give("value", &of.0).unwrap();
    handoff.give("array", &of.1).unwrap();
    Peer::start(handoff, args)
}

#[test]
fn started_programs_take_turns_at_a_value_and_an_array() {
    let segment = segment();
    let both = objects(&segment);
    let peers: Vec<_> = (0..3).map(|_| start(&segment, &both, &["add-to-all", "3000"])).collect();
    peers.into_iter().for_each(Peer::join);
    assert_eq!(both.0.lock().or_recover().unwrap().get(), [9_000; 3]);
    assert_eq!(both.1.lock().or_recover().unwrap().to_vec(), [9_000; 5]);
}

#[test]
fn forked_children_have_their_parents_values_and_arrays() {
    let peer = Peer::alone(&["fork-values", "4", "2000"]);
    peer.expect("ok");
    peer.join();
}

#[test]
fn a_killed_holders_locks_are_had_soon_and_the_next_one_is_told_once() {
    let segment = segment();
    let both = objects(&segment);
    let mut holder = start(&segment, &both, &["hold-value"]);
    holder.expect("held");
    let (value, array) = &both;
    let short = value.lock_until(Duration::from_millis(120));
    assert!(matches!(short, Err(LockError::Failed(Error::TimedOut))), "never from the living");
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let told = value.lock_until(PATIENCE).unwrap_err();
            (Instant::now(), told.into_guard().expect("told").get())
        });
        std::thread::sleep(Duration::from_millis(80));
        let killed = Instant::now();
        holder.kill_and_leave();
        let (had, left) = waiter.join().unwrap();
        assert!(had - killed < SOON, "{:?}", had - killed);
        assert_eq!(left, [1, 2, 3], "as it was left");
    });
    let start = Instant::now();
    match array.lock() {
        Err(LockError::OwnerDied(guard)) => assert_eq!(guard.to_vec(), [0, 5, 0, 0, 0]),
        other => panic!("{:?}", other.is_ok()),
    }
    assert!(start.elapsed() < SOON);
    assert!(value.lock().is_ok() && array.lock().is_ok(), "told once");
}

#[test]
fn neighbouring_bytes_that_several_programs_write_at_once_are_all_there() {
    let segment = segment();
    let item = std::alloc::Layout::new::<u8>();
    let array = ArrayBytes::new(&segment, item, 1003).unwrap();
    let peers: Vec<_> = (0..3)
        .map(|which: usize| {
            let mut handoff = Handoff::new(&segment);
            handoff.give("array", &array).unwrap();
            Peer::start(handoff, &["mark-bytes", &which.to_string(), "3", "90"])
        })
        .collect();
    peers.into_iter().for_each(Peer::join);
    let mut all = vec![0; array.byte_len()];
    array.read_at(0, &mut all);
    assert!(all.iter().enumerate().all(|(at, byte)| usize::from(*byte) == 100 + at % 3));
}

#[test]
fn a_program_that_expects_another_type_is_told() {
    let segment = segment();
    let value = Value::new(&segment, [0_u64; 4]).unwrap();
    let array = Array::<u32>::new(&segment, 5).unwrap();
    let mut handoff = Handoff::new(&segment);
    handoff.give("value", &value).unwrap();
    handoff.give("array", &array).unwrap();
    let mut peer = Peer::start(handoff, &["add-to-all", "1"]);
    assert!(!peer.end().success(), "it expects three numbers");
    assert_eq!(value.raw().get(), [0; 4]);
}
