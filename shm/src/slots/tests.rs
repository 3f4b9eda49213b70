//! Both sides in one process, and a fork.

use std::time::Duration;

use super::*;
use crate::member::Handle;
use crate::object::{Kind, Role};
use crate::sync::testing::{alone, in_child};
use crate::{Error, Until};

const SHORT: Duration = Duration::from_millis(2);

fn ring<T: Pod>(capacity: u64) -> (SlotSender<T>, SlotReceiver<T>) {
    Slots::new(&Segment::create().unwrap(), capacity).unwrap()
}

/// Another handle of the side that `of` is.
fn again(of: &Handle) -> Handle {
    Handle::adopt(of.attachment(), of.id(), Kind::Slots, of.role()).unwrap()
}

#[test]
fn every_capacity_is_exact_and_values_come_in_order() {
    for capacity in 1..=4 {
        let (mut sender, mut receiver) = ring::<u64>(capacity);
        assert_eq!((sender.capacity(), receiver.capacity()), (capacity, capacity));
        for lap in 0..3 {
            assert!(sender.is_empty().unwrap() && receiver.is_empty().unwrap());
            (0..capacity).for_each(|n| sender.try_send(&(lap * capacity + n)).unwrap());
            assert!(sender.is_full().unwrap() && receiver.is_full().unwrap());
            assert!(matches!(sender.try_send(&99), Err(Error::WouldBlock)));
            assert!(matches!(sender.send_until(&99, SHORT), Err(Error::TimedOut)));
            assert_eq!((sender.len().unwrap(), receiver.len().unwrap()), (capacity, capacity));
            (0..capacity).for_each(|n| assert_eq!(receiver.recv().unwrap(), lap * capacity + n));
            assert!(matches!(receiver.try_recv(), Err(Error::WouldBlock)));
            assert!(matches!(receiver.recv_until(SHORT), Err(Error::TimedOut)));
        }
    }
}

#[test]
fn everything_passes_once_between_threads_that_sleep() {
    let (mut sender, mut receiver) = ring::<[u64; 7]>(3);
    std::thread::scope(|s| {
        s.spawn(move || (0..20_000).for_each(|n| sender.send(&[n; 7]).unwrap()));
        (0..20_000).for_each(|n| assert_eq!(receiver.recv().unwrap(), [n; 7]));
        assert!(matches!(receiver.recv(), Err(Error::Disconnected)));
    });
}

#[test]
fn batches_wait_for_their_rest_and_for_their_first() {
    let (mut sender, mut receiver) = ring::<u32>(3);
    assert_eq!(sender.send_batch(&[0, 1, 2, 3, 4], Until::NOW).unwrap(), 3);
    assert!(matches!(sender.send_batch(&[3], SHORT), Err(Error::TimedOut)));
    assert_eq!(sender.send_batch(&[], Until::NOW).unwrap(), 0);
    let mut into = [0; 4];
    assert_eq!(receiver.recv_batch(&mut into, Until::NOW).unwrap(), 3);
    assert_eq!(into[..3], [0, 1, 2]);
    assert_eq!(receiver.recv_batch(&mut [], Until::NEVER).unwrap(), 0);
    assert!(matches!(receiver.recv_batch(&mut into, SHORT), Err(Error::TimedOut)));
    std::thread::scope(|s| {
        let values: Vec<u32> = (0..500).collect();
        let sent = s.spawn(move || sender.send_batch(&values, Until::NEVER));
        let mut next = 0;
        while next < 500 {
            let taken = receiver.recv_batch(&mut into, Until::NEVER).unwrap();
            assert!(into[..taken].iter().copied().eq(next..next + taken as u32));
            next += taken as u32;
        }
        assert_eq!(sent.join().unwrap().unwrap(), 500);
    });
}

#[test]
fn the_receiver_gets_what_is_left_and_then_the_end() {
    let (mut sender, mut receiver) = ring::<u8>(2);
    sender.send(&1).unwrap();
    drop(sender);
    assert_eq!(receiver.try_recv().unwrap(), 1);
    assert!(matches!(receiver.try_recv(), Err(Error::Disconnected)));
    assert!(matches!(receiver.recv_until(SHORT), Err(Error::Disconnected)));
}

#[test]
fn the_sender_learns_that_it_is_alone_with_the_next_value() {
    let (mut sender, receiver) = ring::<u8>(2);
    sender.send(&0).unwrap();
    drop(receiver);
    assert!(matches!(sender.send(&1), Err(Error::Disconnected)), "there is room");
    assert!(matches!(sender.try_send(&2), Err(Error::Disconnected)));
    assert!(matches!(sender.send_batch(&[3, 4], Until::NOW), Err(Error::Disconnected)));
}

#[test]
fn a_sleeper_is_woken_by_the_others_going() {
    for spin in [crate::SpinPolicy::Never, crate::SpinPolicy::Forever] {
        let segment = Segment::create().unwrap();
        segment.attachment().set_spin(spin);
        let (sender, mut receiver) = Slots::<u8>::new(&segment, 1).unwrap();
        let waiting = std::thread::spawn(move || receiver.recv());
        std::thread::sleep(SHORT);
        drop(sender);
        assert!(matches!(waiting.join().unwrap(), Err(Error::Disconnected)));
        let (mut sender, receiver) = Slots::<u8>::new(&segment, 1).unwrap();
        sender.send(&0).unwrap();
        let waiting = std::thread::spawn(move || sender.send(&1));
        std::thread::sleep(SHORT);
        drop(receiver);
        assert!(matches!(waiting.join().unwrap(), Err(Error::Disconnected)));
    }
}

#[test]
fn the_words_that_are_woken_are_those_on_which_the_sides_sleep() {
    let (mut sender, mut receiver) = ring::<u64>(1);
    let words = again(sender.handle());
    let look = end::End::<u64>::new(words).unwrap();
    assert_eq!(look.words().may_sleep(), (false, false));
    assert!(receiver.recv_until(SHORT).is_err());
    assert_eq!(look.words().may_sleep(), (true, false));
    sender.send(&1).unwrap();
    assert!(sender.send_until(&2, SHORT).is_err());
    assert!(look.words().may_sleep().1);
}

#[test]
fn another_type_and_absurd_sizes_are_refused() {
    let segment = Segment::create().unwrap();
    let (sender, receiver) = Slots::<u64>::new(&segment, 3).unwrap();
    let size = SlotSender::<u32>::from_handle(again(sender.handle())).unwrap_err();
    assert!(matches!(size, Error::TypeMismatch { what: "size", ours: 4, theirs: 8 }));
    let align = SlotReceiver::<[u8; 8]>::from_handle(again(receiver.handle())).unwrap_err();
    assert!(matches!(align, Error::TypeMismatch { what: "alignment", ours: 1, theirs: 8 }));
    for capacity in [0, u64::MAX, 1 << 60] {
        let error = Slots::<u64>::new(&segment, capacity).unwrap_err();
        assert!(matches!(error, Error::Capacity { min: 1, .. }), "{error}");
    }
    let error = Slots::<u64>::new(&segment, 1 << 50).unwrap_err();
    assert!(matches!(error, Error::NoPlace { .. }), "{error}");
}

#[test]
fn a_second_handle_of_a_side_has_to_wait_until_the_first_is_dropped() {
    let (mut sender, mut receiver) = ring::<u8>(4);
    let mut second = SlotSender::<u8>::from_handle(again(sender.handle())).unwrap();
    sender.send(&1).unwrap();
    assert!(matches!(second.send(&2), Err(Error::SideInUse)));
    assert!(matches!(second.len(), Err(Error::SideInUse)));
    drop(sender);
    second.send(&2).unwrap();
    let mut heir = SlotReceiver::<u8>::from_handle(again(receiver.handle())).unwrap();
    assert_eq!(receiver.recv().unwrap(), 1);
    assert!(matches!(heir.try_recv(), Err(Error::SideInUse)));
    drop(receiver);
    assert_eq!(heir.recv().unwrap(), 2);
}

#[test]
fn a_sender_that_nobody_used_does_not_take_the_side_away() {
    let (sender, _receiver) = ring::<u8>(4);
    let mut second = SlotSender::<u8>::from_handle(again(sender.handle())).unwrap();
    second.send(&2).unwrap();
    drop(sender);
    second.send(&3).unwrap();
}

#[test]
fn of_a_forks_copies_the_first_one_used_has_the_side_until_its_process_is_dead() {
    alone(|| {
        let (mut sender, mut receiver) = ring::<u32>(8);
        let (mut tell, mut told) = ring::<u8>(1);
        // SAFETY: the child works on its copies and leaves; `waitpid` stands below.
        let child = unsafe { libc::fork() };
        if child == 0 {
            if sender.send(&7).is_err() || tell.send(&1).is_err() {
                // SAFETY: leaves at once, without running anything of the parent's.
                unsafe { libc::_exit(1) };
            }
            loop {
                std::thread::park();
            }
        }
        assert_eq!(told.recv().unwrap(), 1);
        assert!(matches!(sender.try_send(&8), Err(Error::SideInUse)));
        let mut status = 0;
        // SAFETY: `child` is a child of ours that waits for this; `status` is a valid place.
        let reaped = unsafe {
            libc::kill(child, libc::SIGKILL);
            libc::waitpid(child, &raw mut status, 0)
        };
        assert!(reaped == child && libc::WIFSIGNALED(status));
        sender.send(&8).unwrap();
        assert_eq!((receiver.recv().unwrap(), receiver.recv().unwrap()), (7, 8));
    });
}

#[test]
fn a_side_that_is_in_use_is_not_the_childs() {
    alone(|| {
        let (mut sender, mut receiver) = ring::<u32>(8);
        sender.send(&1).unwrap();
        assert_eq!(receiver.recv().unwrap(), 1);
        assert!(in_child(|| {
            let refused = matches!(sender.send(&9), Err(Error::SideInUse))
                && matches!(receiver.try_recv(), Err(Error::SideInUse));
            // Nor does dropping a copy take it away.
            drop((copy(&sender), copy(&receiver)));
            refused
        }));
        sender.send(&2).unwrap();
        assert_eq!(receiver.recv().unwrap(), 2);
        drop(sender);
        assert!(matches!(receiver.recv(), Err(Error::Disconnected)), "the child is dead");
    });
}

/// A copy as a fork makes it.
fn copy<H>(of: &H) -> H {
    // SAFETY: used in a child that leaves without dropping the other copy.
    unsafe { std::ptr::read(of) }
}

#[test]
fn the_sides_travel_between_threads() {
    fn travels<T: Send>() {}
    travels::<SlotSender<u64>>();
    travels::<SlotReceiver<u64>>();
    assert_eq!(ring::<u8>(1).0.handle().role(), Role::First);
}
