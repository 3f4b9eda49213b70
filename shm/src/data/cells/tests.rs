use super::*;
use crate::member::ticket::Transfer;
use crate::object::{ObjectKind, Role};
use crate::sync::testing::{alone, in_child, somebody_dead};
use crate::wait::Until;
use crate::{
    Array, ArrayBytes, Error, LockError, Mutex, OrRecover, RawArray, RawValue, SegmentOptions,
    Value,
};
use std::time::Duration;

/// What another handle of the same object gives.
fn reopen<T: Transfer>(of: &impl Transfer, segment: &Segment) -> Result<T> {
    T::from_ticket(of.ticket().unwrap(), segment)
}

fn is_blocked<G>(result: crate::LockResult<G>) -> bool {
    matches!(result, Err(LockError::Failed(Error::WouldBlock)))
}

#[derive(Clone, Copy, PartialEq, Debug)]
#[repr(C, align(64))]
struct Wide([u8; 64]);
// SAFETY: an array of bytes without padding: zero is a value.
unsafe impl bytemuck::Zeroable for Wide {}
// SAFETY: as above, and all bit patterns are.
unsafe impl Pod for Wide {}

#[derive(Clone, Copy)]
#[repr(C, align(128))]
struct TooWide([u8; 128]);
// SAFETY: an array of bytes without padding: zero is a value.
unsafe impl bytemuck::Zeroable for TooWide {}
// SAFETY: as above, and all bit patterns are.
unsafe impl Pod for TooWide {}

#[test]
fn a_value_is_what_was_set_last_and_one_at_a_time_holds_its_lock() {
    let segment = Segment::create().unwrap();
    let value = Value::new(&segment, [1_u64, 2, 3]).unwrap();
    let mut guard = value.lock().unwrap();
    assert!(value.is_locked() && is_blocked(value.try_lock()));
    let late = value.lock_until(Duration::from_millis(2));
    assert!(matches!(late, Err(LockError::Failed(Error::TimedOut))));
    assert_eq!(guard.get(), [1, 2, 3]);
    guard.set([4; 3]);
    assert_eq!(guard.update(|[a, ..]| [a + 1, 0, 0]), [5, 0, 0]);
    assert_eq!(value.raw().get(), [5, 0, 0], "the lock is for those who take it");
    assert!(format!("{value:?} {guard:?}").contains("is_ours: true"));
    drop(guard);
    assert!(!value.is_locked() && value.try_lock().is_ok());
}

#[test]
fn items_of_each_size_and_alignment_lie_where_their_type_wants_them() {
    fn check<T: Pod + PartialEq + std::fmt::Debug>(segment: &Segment, a: T, b: T) {
        let value = RawValue::new(segment, a).unwrap();
        assert_eq!((value.get(), value.as_ptr().addr() % align_of::<T>()), (a, 0));
        let array = RawArray::from_slice(segment, &[a, b, a]).unwrap();
        assert_eq!(array.as_ptr().addr() % align_of::<T>(), 0);
        array.set(2, b);
        assert_eq!((array.get(0), array.to_vec()), (a, vec![a, b, b]));
        // SAFETY: nobody else has it.
        assert_eq!(unsafe { array.as_slice() }, [a, b, b]);
        // SAFETY: as above; the item is inside.
        assert_eq!(unsafe { array.as_ptr().add(1).read() }, b);
        array.fill(a);
        assert_eq!(array.to_vec(), [a; 3]);
    }
    let segment = Segment::create().unwrap();
    check(&segment, 1_u8, 255);
    check(&segment, -1_i16, 77);
    check(&segment, 1.5_f32, -0.5);
    check(&segment, u64::MAX, 3);
    check(&segment, [1_u8, 2, 3], [4, 5, 6]);
    check(&segment, [1_u32, 2, 3], [4, 5, 6]);
    check(&segment, u128::MAX, 9);
    check(&segment, Wide([3; 64]), Wide([4; 64]));
    check(&segment, [7_u64; 700], [8; 700]);
    check(&segment, (), ());
}

#[test]
fn arrays_can_be_empty_and_ranges_are_checked() {
    let segment = Segment::create().unwrap();
    let empty = Array::<u32>::new(&segment, 0).unwrap();
    assert!(empty.is_empty() && empty.raw().is_empty());
    let mut guard = empty.lock().unwrap();
    guard.fill(1);
    guard.write_from(0, &[]);
    assert_eq!((guard.len(), guard.to_vec()), (0, vec![]));
    let array = RawArray::<u32>::new(&segment, 5).unwrap();
    let panics = |f: &dyn Fn()| {
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).is_err());
    };
    panics(&|| assert_eq!(array.get(5), 0));
    panics(&|| array.set(usize::MAX, 1));
    panics(&|| array.write_from(4, &[1, 2]));
    panics(&|| array.read_into(usize::MAX, &mut [0, 0]));
    panics(&|| array.bytes().write_at(17, &[1; 4]));
    assert_eq!(array.to_vec(), [0; 5], "nothing was written");
    array.write_from(5, &[]);
    array.write_from(3, &[1, 2]);
    assert_eq!(array.to_vec(), [0, 0, 0, 1, 2]);
}

#[test]
fn a_new_array_is_zero_where_another_object_was() {
    let segment = Segment::create().unwrap();
    for _ in 0..3 {
        let array = RawArray::<u8>::new(&segment, 100_001).unwrap();
        assert!(array.to_vec().iter().all(|byte| *byte == 0));
        array.fill(0xAB);
    }
}

#[test]
fn another_type_is_refused_and_bytes_have_any() {
    let segment = Segment::create().unwrap();
    let array = Array::from_slice(&segment, &[1_u64, 2]).unwrap();
    assert_eq!(reopen::<Array<u64>>(&array, &segment).unwrap().len(), 2);
    assert_eq!(reopen::<RawArray<u64>>(&array, &segment).unwrap().get(1), 2);
    let error = reopen::<Array<u32>>(&array, &segment).unwrap_err();
    assert!(matches!(error, Error::TypeMismatch { what: "size", ours: 4, theirs: 8 }));
    let error = reopen::<RawArray<[u8; 8]>>(&array, &segment).unwrap_err();
    assert!(matches!(error, Error::TypeMismatch { what: "alignment", ours: 1, theirs: 8 }));
    let bytes = reopen::<ArrayBytes>(&array, &segment).unwrap();
    assert_eq!((bytes.item(), bytes.len(), bytes.byte_len()), (Layout::new::<u64>(), 2, 16));
    bytes.write_at(8, &77_u64.to_ne_bytes());
    assert_eq!(array.lock().unwrap().get(1), 77);
    let mut guard = bytes.lock_until(Until::NOW).unwrap();
    assert!(is_blocked(array.try_lock()));
    guard.write_from(0, &[0; 16]);
    drop(guard);
    assert_eq!(array.raw().to_vec(), [0; 2]);
    let made = ArrayBytes::new(&segment, Layout::new::<f64>(), 3).unwrap();
    assert_eq!(reopen::<Array<f64>>(&made, &segment).unwrap().raw().to_vec(), [0.0; 3]);
    let error = reopen::<Value<u64>>(&array, &segment).unwrap_err();
    assert!(matches!(error, Error::WrongKind { wanted: "value", found: "array" }));
    let error = reopen::<Mutex<u64>>(&array, &segment).unwrap_err();
    assert!(matches!(error, Error::WrongKind { wanted: "mutex", found: "array" }));
}

#[test]
fn what_was_made_without_a_lock_is_not_opened_as_if_it_had_one() {
    let segment = Segment::create().unwrap();
    let value = RawValue::new(&segment, 5_u32).unwrap();
    assert_eq!(reopen::<RawValue<u32>>(&value, &segment).unwrap().get(), 5);
    assert!(matches!(reopen::<Value<u32>>(&value, &segment), Err(Error::WrongKind { .. })));
    let array = RawArray::<u32>::new(&segment, 5).unwrap();
    assert!(matches!(reopen::<Array<u32>>(&array, &segment), Err(Error::WrongKind { .. })));
    let value = Value::new(&segment, 6_u32).unwrap();
    assert_eq!(reopen::<RawValue<u32>>(&value, &segment).unwrap().get(), 6);
}

#[test]
fn what_can_never_fit_is_refused_with_the_most_that_could() {
    let segment = Segment::with(SegmentOptions::new().reserve(64 << 20)).unwrap();
    for len in [usize::MAX, usize::MAX / 8, 1 << 40, 8 << 20] {
        let error = Array::<u64>::new(&segment, len).unwrap_err();
        let Error::Capacity { wanted, max, .. } = error else { panic!("{error}") };
        assert!(wanted == len as u64 && (1 << 20..2 << 20).contains(&max), "{max}");
    }
    let error = Value::new(&segment, TooWide([0; 128])).unwrap_err();
    assert!(matches!(
        error,
        Error::Capacity { what: "an alignment", wanted: 128, min: 1, max: 64 }
    ));
    let layout = Layout::from_size_align(1, 4096).unwrap();
    let error = ArrayBytes::new(&segment, layout, 1).unwrap_err();
    assert_eq!(error.to_string(), "an alignment of 4096 is out of range; it can be 1 to 64");
    assert_eq!(Array::<()>::new(&segment, usize::MAX).unwrap().len(), usize::MAX);
    // As many as it says can be made, but not in a segment with something else in it.
    let segment = Segment::with(SegmentOptions::new().reserve(64 << 20)).unwrap();
    let error = RawArray::<u8>::new(&segment, 1 << 40).unwrap_err();
    let Error::Capacity { max, .. } = error else { panic!("{error}") };
    let most = RawArray::<u8>::new(&segment, max as usize).unwrap();
    most.set(max as usize - 1, 1);
    let error = RawArray::<u8>::new(&segment, max as usize).unwrap_err();
    assert!(matches!(error, Error::NoPlace { .. }), "{error}");
}

#[test]
fn a_large_arrays_memory_goes_back_with_its_last_handle() {
    const BYTES: usize = 64 << 20;
    let segment = Segment::create().unwrap();
    let before = segment.memory().committed;
    let array = RawArray::<u64>::new(&segment, BYTES / 8).unwrap();
    array.set(BYTES / 8 - 1, 7);
    assert_eq!((array.get(BYTES / 8 - 1), array.get(BYTES / 16)), (7, 0));
    assert!(segment.memory().committed >= before + BYTES as u64);
    drop(array);
    assert!(segment.memory().committed < before + (1 << 20));
    let again = RawArray::<u64>::new(&segment, BYTES / 8).unwrap();
    assert_eq!(again.get(BYTES / 8 - 1), 0);
}

#[test]
fn an_array_that_there_is_no_memory_for_takes_none() {
    let options = SegmentOptions::new().reserve(8 << 30).budget(32 << 20);
    let segment = Segment::with(options).unwrap();
    let before = segment.memory().committed;
    let error = RawArray::<u8>::new(&segment, 1 << 30).unwrap_err();
    assert!(matches!(error, Error::Budget { .. }), "{error}");
    assert!(segment.memory().committed < before + (1 << 20));
    let array = RawArray::<u8>::new(&segment, 16 << 20).unwrap();
    // And what somebody had paid for who died before it was made goes back, too.
    let place = segment.attachment().directory.find(array.handle().id()).unwrap();
    ArrayKind.unmake(segment.attachment(), place);
    assert!(segment.memory().committed < before + (1 << 20));
}

#[test]
fn a_head_that_a_peer_scribbled_on_is_an_error_when_it_is_opened_and_nothing_before() {
    let segment = Segment::create().unwrap();
    let array = RawArray::from_slice(&segment, &[1_u64, 2]).unwrap();
    let (body, _) = array.handle().body();
    let open = || {
        let (attachment, id) = (segment.attachment(), array.handle().id());
        ArrayBytes::from_handle(Handle::adopt(attachment, id, Kind::Array, Role::First).unwrap())
    };
    // Alignment, low half of the size, high half of the size, the count's halves.
    for (word, value) in
        [(1, 0), (1, 3), (1, 128), (2, 9999), (3, 1), (3, u32::MAX), (4, 14), (5, 1)]
    {
        // SAFETY: a number in the head of an object that nobody opens meanwhile.
        let old = unsafe { body.cast::<u32>().add(word).replace(value) };
        let error = open().unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{value} in word {word}: {error}");
        assert_eq!(array.to_vec(), [1, 2], "this handle has checked it");
        // SAFETY: as above.
        unsafe { body.cast::<u32>().add(word).write(old) };
    }
    assert_eq!(open().unwrap().len(), 2);
    let value = Value::new(&segment, [0_u64; 4]).unwrap();
    let (body, _) = value.handle().body();
    // SAFETY: as above.
    unsafe { body.cast::<u32>().add(4).write(0) };
    assert!(matches!(reopen::<Value<[u64; 4]>>(&value, &segment), Err(Error::Corrupt { .. })));
}

#[test]
fn a_dead_holders_lock_goes_to_the_next_who_is_told_once() {
    let segment = Segment::create().unwrap();
    let value = Value::new(&segment, 1_u8).unwrap();
    let array = Array::from_slice(&segment, &[1_u8]).unwrap();
    assert!(value.lock().unwrap().held.of().core().owner().is_some());
    let words = |handle: &Handle| Words::<Head>::from_handle(handle.clone()).unwrap();
    assert!(words(value.handle()).get().lock.lock().try_lock_fast(somebody_dead()));
    assert!(words(array.handle()).get().lock.lock().try_lock_fast(somebody_dead()));
    let (told, told_too) = (value.lock().unwrap_err(), array.try_lock().unwrap_err());
    assert!(told.is_owner_died() && told_too.is_owner_died() && array.is_locked());
    drop((told, told_too));
    assert!(value.try_lock().is_ok() && array.lock().is_ok());
}

#[test]
fn a_process_that_ends_with_the_lock_leaves_it_to_us() {
    alone(|| {
        let segment = Segment::create().unwrap();
        let array = Array::from_slice(&segment, &[0_u32; 3]).unwrap();
        assert!(in_child(|| {
            let Ok(mut guard) = array.lock() else { return false };
            guard.set(2, 9);
            std::mem::forget(guard);
            true
        }));
        let guard = array.lock();
        assert!(matches!(&guard, Err(e) if e.is_owner_died()));
        assert_eq!(guard.or_recover().unwrap().to_vec(), [0, 0, 9]);
    });
}

#[test]
fn a_guard_that_a_fork_copied_holds_nothing() {
    alone(|| {
        let segment = Segment::create().unwrap();
        let value = Value::new(&segment, 3_u64).unwrap();
        let guard = value.lock().unwrap();
        assert!(in_child(|| {
            // SAFETY: the parent's own guard is another copy, and is not touched here.
            let copy = unsafe { std::ptr::read(&raw const guard) };
            let ours = copy.held.is_ours();
            drop(copy);
            !ours && is_blocked(value.try_lock()) && value.raw().get() == 3
        }));
        assert!(value.is_locked());
        drop(guard);
        assert!(!value.is_locked());
    });
}

#[test]
fn threads_take_turns_and_what_needs_no_lock_is_never_torn() {
    let segment = Segment::create().unwrap();
    let array = Array::<u64>::new(&segment, 9).unwrap();
    let raw = array.raw();
    std::thread::scope(|s| {
        for _ in 0..3 {
            s.spawn(|| {
                for _ in 0..2_000 {
                    let mut guard = array.lock().unwrap();
                    let all: Vec<u64> = guard.to_vec().iter().map(|n| n + 0x1_0000_0001).collect();
                    guard.write_from(0, &all);
                }
            });
        }
        for _ in 0..20_000 {
            let seen = raw.get(8);
            assert_eq!(seen >> 32, seen & 0xFFFF_FFFF, "half of it is another's");
        }
    });
    assert_eq!(array.lock().unwrap().to_vec(), [6_000 * 0x1_0000_0001; 9]);
}

#[test]
fn a_forgotten_guard_is_had_again_by_the_holder_only() {
    let segment = Segment::create().unwrap();
    let value = Value::new(&segment, 7_u32).unwrap();
    let array = ArrayBytes::new(&segment, Layout::new::<u8>(), 2).unwrap();
    let typed = reopen::<Array<u8>>(&array, &segment).unwrap();
    // SAFETY: there is no guard.
    let none = unsafe { (value.assume_locked().is_err(), array.assume_locked().unwrap_err()) };
    assert!(none.0 && matches!(none.1, Error::NotHeld));
    std::mem::forget((value.lock().unwrap(), typed.lock().unwrap()));
    // SAFETY: they were forgotten, each of them once.
    let guards = unsafe { (value.assume_locked().unwrap(), array.assume_locked().unwrap()) };
    assert_eq!((guards.0.get(), guards.1.len()), (7, 2));
    drop(guards);
    assert!(value.try_lock().is_ok() && typed.try_lock().is_ok());
    std::mem::forget(typed.lock().unwrap());
    // SAFETY: it was forgotten.
    drop(unsafe { typed.assume_locked() }.unwrap());
    assert!(!typed.is_locked());
}

#[test]
fn handles_travel() {
    fn travels<T: Send + Sync>() {}
    travels::<Value<u64>>();
    travels::<RawValue<u64>>();
    travels::<Array<u64>>();
    travels::<RawArray<u64>>();
    travels::<ArrayBytes>();
}
