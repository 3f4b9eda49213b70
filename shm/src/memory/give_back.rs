//! When the memory of long messages goes back to the machine: by itself, after a while; at once, where it is asked for or
//! somebody lacks memory.
//!
//! The walk is [`slipring_core::block::give_back`]. Here are its figures. Nobody has the task: whoever allocates
//! a large block, refills his magazine or is about to sleep in the segment spends a look, a load where there is nothing.

use slipring_core::block::Patience;

/// Of a small budget no more than this part is kept in reserve.
const RESERVE_OF_BUDGET: u64 = 16;

/// How long free blocks keep their memory in a segment of this budget, in milliseconds. A block is given back at the first call
/// that comes `idle` after it was freed, or `between` later, if another process has just looked: within a second, where
/// anybody calls. In the crash build everything comes sooner.
pub(crate) fn patience(budget: u64) -> Patience {
    if cfg!(feature = "_crash") {
        return Patience { between: 5, idle: 10, reserve: 0, at_once: 1 << 20 };
    }
    let reserve = (32 << 20).min(budget / RESERVE_OF_BUDGET);
    // A look that gives `at_once` back takes some 20 ms of its caller.
    Patience { between: 200, idle: 600, reserve, at_once: 256 << 20 }
}

#[cfg(all(test, not(feature = "_crash")))]
mod tests {
    use crate::{ByteQueue, ByteReceiver, ByteSender, Error, Segment, SegmentOptions};
    use std::time::{Duration, Instant};

    const MIB: u64 = 1 << 20;
    /// Time enough for what comes within a second.
    const SECOND: Duration = Duration::from_secs(1);

    fn queue(segment: &Segment) -> (ByteSender, ByteReceiver) {
        ByteQueue::bounded(segment, 4).unwrap()
    }

    /// As many messages as fit at a time, twice over.
    fn burst(tx: &mut ByteSender, rx: &mut ByteReceiver, len: usize) {
        for _ in 0..2 {
            for n in 0..4 {
                tx.send(&vec![n; len]).unwrap();
            }
            for n in 0..4 {
                let message = rx.recv().unwrap();
                assert_eq!((message.len(), message[0], message[len - 1]), (len, n, n));
            }
        }
    }

    fn committed(segment: &Segment) -> u64 {
        segment.memory().committed
    }

    #[test]
    fn after_a_burst_one_who_waits_gives_its_memory_back() {
        let segment = Segment::create().unwrap();
        let (mut tx, mut rx) = queue(&segment);
        burst(&mut tx, &mut rx, 48 << 20);
        assert!(committed(&segment) > 192 * MIB);
        // Within a second, on a machine that has time for it.
        let start = Instant::now();
        while committed(&segment) > 2 * MIB && start.elapsed() < 10 * SECOND {
            assert!(matches!(rx.recv_until(SECOND), Err(Error::TimedOut)));
        }
        assert!(committed(&segment) < 2 * MIB, "{}", committed(&segment));
        burst(&mut tx, &mut rx, 48 << 20);
    }

    #[test]
    fn who_only_polls_sends_or_sends_nothing_but_short_messages_does_so_too() {
        type Call = fn(&mut ByteSender, &mut ByteReceiver);
        let calls: [(&str, Call); 3] = [
            ("try_recv", |_, rx| assert!(rx.try_recv().is_err())),
            ("loan", |tx, _| drop(tx.loan(70_000).unwrap())),
            ("short messages", |tx, rx| {
                tx.send(&[7; 100]).unwrap();
                rx.recv().unwrap();
            }),
        ];
        for (what, call) in calls {
            let segment = Segment::create().unwrap();
            let (mut tx, mut rx) = queue(&segment);
            burst(&mut tx, &mut rx, 48 << 20);
            let start = Instant::now();
            while committed(&segment) > 2 * MIB {
                call(&mut tx, &mut rx);
                std::thread::sleep(Duration::from_micros(100));
                assert!(
                    start.elapsed() < 10 * SECOND,
                    "{what}: {} bytes stay",
                    committed(&segment)
                );
            }
            assert!(start.elapsed() >= SECOND / 2, "{what}: it came too early to be steady");
        }
    }

    #[test]
    fn one_who_comes_late_gives_it_back_at_once() {
        let segment = Segment::create().unwrap();
        let (mut tx, mut rx) = queue(&segment);
        burst(&mut tx, &mut rx, 48 << 20);
        std::thread::sleep(SECOND);
        assert!(committed(&segment) > 192 * MIB, "nobody called");
        assert!(rx.try_recv().is_err());
        assert!(committed(&segment) < 2 * MIB, "{}", committed(&segment));
    }

    #[test]
    fn a_small_reserve_stays() {
        let segment = Segment::create().unwrap();
        let (mut tx, mut rx) = queue(&segment);
        burst(&mut tx, &mut rx, MIB as usize);
        let before = committed(&segment);
        assert!(rx.recv_until(SECOND).is_err());
        assert_eq!(committed(&segment), before);
        assert!(segment.trim().unwrap() >= 4 * MIB && segment.trim().unwrap() == 0);
    }

    #[test]
    fn a_stream_with_pauses_shorter_than_the_patience_keeps_its_blocks() {
        let segment = Segment::create().unwrap();
        let (mut tx, mut rx) = queue(&segment);
        let message = vec![7; 48 << 20];
        tx.send(&message).unwrap();
        rx.recv().unwrap();
        let with_one = committed(&segment);
        let start = Instant::now();
        while start.elapsed() < 2 * SECOND {
            tx.send(&message).unwrap();
            rx.recv().unwrap();
            assert_eq!(committed(&segment), with_one);
            assert!(rx.recv_until(Duration::from_millis(60)).is_err());
            assert_eq!(committed(&segment), with_one);
        }
    }

    #[test]
    fn who_lacks_memory_gets_what_lies_free_in_blocks_of_other_sizes() {
        let options = SegmentOptions::new().reserve(1 << 30).budget(8 * MIB);
        let segment = Segment::with(options).unwrap();
        let (mut tx, mut rx) = queue(&segment);
        for len in [MIB, 4 * MIB, 2 * MIB, 6 * MIB, 500_000] {
            tx.send(&vec![1; len as usize]).unwrap();
            assert_eq!(rx.recv().unwrap().len() as u64, len);
        }
        let held = tx.loan(6 << 20).unwrap();
        assert!(matches!(tx.loan(4 << 20), Err(Error::Budget { .. })), "it is in use");
        drop(held);
        tx.loan(4 << 20).unwrap();
    }
}
