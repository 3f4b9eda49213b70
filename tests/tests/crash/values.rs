//! Values and arrays: whoever dies in the middle of writing, the next one is told.

use std::time::Instant;

use slipring::{Array, LockError, OrRecover, RawArray, Value};
use slipring_core::primitive::{AtomicU32, Ordering};

use super::{PATIENCE, Run, SOON, Scenario, check_segment, give, new_segment};

/// See the module.
pub const SCENARIOS: &[Scenario] = &[("values", beside_another)];

/// Whether all are the same.
fn is_whole<T: PartialEq>(items: &[T]) -> bool {
    items.iter().all(|item| *item == items[0])
}

/// Killed while it locks, writes several words and unlocks, beside somebody who does the same.
fn beside_another(run: &Run) {
    let segment = new_segment();
    let value = Value::new(&segment, [0_u64; 3]).unwrap();
    let array = Array::<u32>::new(&segment, 5).unwrap();
    let raw = RawArray::<u64>::new(&segment, 3).unwrap();
    let handoff = give(&segment, |h| {
        h.give("value", &value)?;
        h.give("array", &array)?;
        h.give("raw", &raw)
    });
    let mut victim = run.victim(handoff, &["values"]);
    let told = AtomicU32::new(0);
    let look = || {
        match value.lock_until(PATIENCE) {
            Ok(guard) => assert!(is_whole(&guard.get()), "half-changed, and nobody told"),
            Err(LockError::OwnerDied(mut guard)) => {
                told.fetch_add(1, Ordering::Relaxed);
                guard.set([0; 3]);
            }
            Err(LockError::Failed(error)) => panic!("{error}"),
        }
        match array.lock_until(PATIENCE) {
            Ok(guard) => assert!(is_whole(&guard.to_vec()), "half-changed, and nobody told"),
            Err(LockError::OwnerDied(mut guard)) => {
                told.fetch_add(1, Ordering::Relaxed);
                guard.fill(0);
            }
            Err(LockError::Failed(error)) => panic!("{error}"),
        }
        for item in raw.to_vec() {
            assert_eq!(item >> 32, item & 0xFFFF_FFFF, "torn");
        }
    };
    while !victim.has_ended() {
        look();
    }
    let start = Instant::now();
    look();
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    let told = told.load(Ordering::Relaxed);
    assert!(told <= 1, "told once, of one lock");
    // Between the first and the second word of the value.
    let in_the_middle = run.env.iter().any(|(_, at)| at == "bytes.write.stored#0");
    assert!(told == 1 || !in_the_middle, "half-written, and nobody told");
    drop(value.lock_until(PATIENCE).or_recover().unwrap());
    drop((value, array, raw));
    check_segment(&segment);
}
