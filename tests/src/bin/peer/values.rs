//! What peers do with values and arrays.

use std::time::Duration;

use slipring::{Array, ArrayBytes, OrRecover, RawArray, RawValue, Segment, SegmentOptions, Value};

use super::command::{Args, inherited, say, sleep_for_ever};
use super::forks::{fork, join};

/// Runs `command` if it is one of these.
pub fn run(command: &str, args: &mut Args) -> bool {
    match command {
        "add-to-all" => add_to_all(args),
        "hold-value" => hold_value(),
        "mark-bytes" => mark_bytes(args),
        "fork-values" => fork_values(args),
        _ => return false,
    }
    true
}

/// `add-to-all ROUNDS`: adds one to `value` and to all items of `array`, under their locks.
fn add_to_all(args: &mut Args) {
    let rounds: u64 = args.number();
    let mut inherited = inherited();
    let value: Value<[u64; 3]> = inherited.take("value").unwrap();
    let array: Array<u32> = inherited.take("array").unwrap();
    add(&value, &array, rounds);
}

fn add(value: &Value<[u64; 3]>, array: &Array<u32>, rounds: u64) {
    for _ in 0..rounds {
        let [a, b, c] = value.lock().or_recover().unwrap().update(|all| all.map(|n| n + 1));
        assert!(a == b && b == c, "somebody else is in here");
        let mut guard = array.lock().or_recover().unwrap();
        let all: Vec<u32> = guard.to_vec().iter().map(|n| n + 1).collect();
        assert!(all.iter().all(|n| *n == all[0]), "somebody else is in here");
        guard.write_from(0, &all);
    }
}

/// Takes the locks of `value` and of `array`, changes something, and waits to be killed.
fn hold_value() {
    let mut inherited = inherited();
    let value: Value<[u64; 3]> = inherited.take("value").unwrap();
    let array: Array<u32> = inherited.take("array").unwrap();
    let (mut one, mut two) =
        (value.lock().or_recover().unwrap(), array.lock().or_recover().unwrap());
    one.set([1, 2, 3]);
    two.set(1, 5);
    say("held");
    sleep_for_ever();
}

/// `mark-bytes WHICH OF ROUNDS`: writes to each byte of `array` that is WHICH modulo OF, again and again, what round it is,
/// and checks that nobody else does. Then 100 + WHICH.
fn mark_bytes(args: &mut Args) {
    let (which, of, rounds): (usize, usize, u8) = (args.number(), args.number(), args.number());
    let array: ArrayBytes = inherited().take("array").unwrap();
    let mine = || (which..array.byte_len()).step_by(of);
    for round in 0..rounds {
        mine().for_each(|at| array.write_at(at, &[round]));
        let mut seen = [0];
        for at in mine() {
            array.read_at(at, &mut seen);
            assert_eq!(seen, [round], "byte {at} was written by a neighbour");
        }
    }
    mine().for_each(|at| array.write_at(at, &[100 + which as u8]));
}

/// `fork-values CHILDREN ROUNDS`: all of them at one value and one array, and at what has no lock.
fn fork_values(args: &mut Args) {
    let (children, rounds): (u32, u64) = (args.number(), args.number());
    let segment = Segment::with(SegmentOptions::new().reserve(4 << 30)).unwrap();
    let value = Value::new(&segment, [0_u64; 3]).unwrap();
    let array = Array::<u32>::new(&segment, 5).unwrap();
    let flag = RawValue::new(&segment, 0_u16).unwrap();
    let marks = RawArray::<u8>::new(&segment, children as usize).unwrap();
    let pids: Vec<_> = (0..children)
        .map(|child| {
            fork(|| {
                while flag.get() != 0xAAAA {
                    std::thread::sleep(Duration::from_micros(100));
                }
                add(&value, &array, rounds);
                marks.set(child as usize, child as u8 + 1);
            })
        })
        .collect();
    flag.set(0xAAAA);
    pids.into_iter().for_each(join);
    let sum = u64::from(children) * rounds;
    assert_eq!(value.lock().unwrap().get(), [sum; 3]);
    assert_eq!(array.lock().unwrap().to_vec(), [sum as u32; 5]);
    assert!((1..).zip(marks.to_vec()).all(|(child, mark)| child == mark));
    say("ok");
}

/// Writes to a value and an array, with the lock and without, and makes others.
pub fn victim() {
    let mut inherited = inherited();
    let value: Value<[u64; 3]> = inherited.take("value").unwrap();
    let array: Array<u32> = inherited.take("array").unwrap();
    let raw: RawArray<u64> = inherited.take("raw").unwrap();
    for round in 0..20_u64 {
        add(&value, &array, 1);
        // A word that says twice the same, and is never seen half.
        (0..raw.len()).for_each(|index| raw.set(index, round << 32 | round));
        std::thread::sleep(Duration::from_micros(200));
    }
    let own = Array::<u16>::new(inherited.segment(), 60_000).unwrap();
    own.raw().set(59_999, 1);
    drop(own);
    drop(RawValue::new(inherited.segment(), [1_u8; 11]).unwrap());
}
