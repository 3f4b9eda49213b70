//! Unit tests: arithmetic on the smallest capacities in full, scribbled words, and threads.

use super::*;
use std::collections::VecDeque;
use std::vec;
use std::vec::Vec;

/// Memory for a ring, aligned to a line.
struct Memory {
    _words: Vec<CachePadded<[u64; 16]>>,
    ring: Ring,
}

fn ring(capacity: u64) -> Memory {
    let lines = Ring::bytes(capacity).unwrap().div_ceil(128) + 1;
    let mut words = vec![CachePadded::new([0; 16]); lines];
    let at = NonNull::from(words.as_mut_slice()).cast();
    // SAFETY: aligned to 128, large enough, and kept beside the view.
    let ring = unsafe { Ring::init(at, capacity) }.unwrap();
    Memory { _words: words, ring }
}

/// The position that `n` others come before.
fn nth(ring: &Ring, n: u64) -> u64 {
    ((n / ring.capacity) << ring.shift) | (n % ring.capacity)
}

#[test]
fn capacity_is_exact_and_order_is_kept_over_many_laps() {
    for capacity in [1, 2, 3, 4, 5, 7, 8, 100] {
        let m = ring(capacity);
        let mut model = VecDeque::new();
        let mut n = 0;
        for round in 0..40 {
            for _ in 0..=round % (capacity + 2) {
                let full = model.len() as u64 == capacity;
                match m.ring.push(n, |_| {}) {
                    Ok(_) => model.push_back(n),
                    Err(e) => assert!(full && e == PushError::Full),
                }
                n += 1;
                assert_eq!(m.ring.len(), model.len() as u64);
            }
            for _ in 0..=round % (capacity + 1) {
                let got = m.ring.pop(|_, _| {}).map(|(_, d)| d);
                assert_eq!(got.ok(), model.pop_front());
                assert_eq!(m.ring.is_empty(), model.is_empty());
            }
        }
    }
}

#[test]
fn hints_that_lag_by_anything_cost_steps_and_nothing_else() {
    for capacity in [1_u64, 2, 3] {
        for published in 0..4 * capacity {
            for consumed in published.saturating_sub(capacity)..=published {
                for (tail, head) in
                    (0..=published).flat_map(|t| (0..=consumed).map(move |h| (t, h)))
                {
                    let m = ring(capacity);
                    let mut at = 0;
                    for n in 0..published {
                        if n - at == capacity || at < consumed && n > at {
                            m.ring.pop(|_, _| {}).unwrap();
                            at += 1;
                        }
                        m.ring.push(n, |_| {}).unwrap();
                    }
                    while at < consumed {
                        m.ring.pop(|_, _| {}).unwrap();
                        at += 1;
                    }
                    m.ring.header().tail.store(nth(&m.ring, tail), Ordering::Relaxed);
                    m.ring.header().head.store(nth(&m.ring, head), Ordering::Relaxed);
                    assert_eq!(m.ring.len(), published - at);
                    let pushed = m.ring.push(99, |_| {});
                    assert_eq!(pushed.is_err(), published - at == capacity);
                    if published > at {
                        assert_eq!(m.ring.pop(|_, _| {}).unwrap().1, at);
                    }
                }
            }
        }
    }
}

#[test]
fn a_closed_ring_gives_what_it_holds_and_then_says_so() {
    let m = ring(3);
    assert!(!m.ring.close_if_full(), "not full");
    for n in 0..3 {
        m.ring.push(n, |_| {}).unwrap();
    }
    assert!(m.ring.close_if_full());
    assert!(m.ring.close_if_full(), "again is fine");
    assert_eq!(m.ring.push(9, |_| {}), Err(PushError::Closed));
    for n in 0..3 {
        assert_eq!(m.ring.pop(|_, _| {}).unwrap().1, n);
        assert_eq!(m.ring.push(9, |_| {}), Err(PushError::Closed));
        assert!(m.ring.is_closed());
    }
    assert_eq!(m.ring.pop(|_, _| {}), Err(PopError::Drained));
}

#[test]
fn scribbled_words_give_an_error_or_a_wrong_answer_but_end() {
    let m = ring(3);
    m.ring.push(1, |_| {}).unwrap();
    for garbage in [u64::MAX, 1 << 40, 0xdead_beef, 3] {
        m.ring.header().tail.store(garbage, Ordering::Relaxed);
        m.ring.header().head.store(garbage, Ordering::Relaxed);
        m.ring.slot(0).store_lo(garbage, Ordering::Relaxed);
        let _ = m.ring.push(2, |_| {});
        let _ = m.ring.pop(|_, _| {});
        let _ = (m.ring.len(), m.ring.is_empty(), m.ring.is_closed(), m.ring.close_if_full());
    }
}

#[test]
fn a_position_holds_its_descriptor_from_publication_to_consumption_only() {
    let m = ring(2);
    let pos = m.ring.push(7, |_| {}).unwrap();
    assert!(m.ring.holds(pos, |d| d == 7) && !m.ring.holds(pos, |d| d == 8));
    m.ring.pop(|_, _| {}).unwrap();
    assert!(!m.ring.holds(pos, |d| d == 7));
    assert!(!m.ring.holds(u64::MAX, |_| true), "an index out of range is nobody's");
}

#[test]
fn memory_that_holds_no_ring_is_refused() {
    let m = ring(8);
    let at = m.ring.header.cast();
    let len = Ring::bytes(8).unwrap();
    // SAFETY: the memory is live and at least `len` long.
    let attach = |len| unsafe { Ring::attach(at, len) }.map(|r| r.capacity());
    assert_eq!(attach(len), Ok(8));
    assert_eq!(attach(len - 1), Err(AttachError::Truncated));
    assert_eq!(attach(8), Err(AttachError::Truncated));
    for absurd in [0, MAX_CAPACITY + 1, u64::MAX] {
        m.ring.header().capacity.store(absurd, Ordering::Relaxed);
        assert_eq!(attach(len), Err(AttachError::Capacity(absurd)));
    }
}

#[test]
fn threads_lose_and_double_nothing_and_keep_each_producers_order() {
    const EACH: u64 = 20_000;
    for (producers, consumers, capacity) in [(1, 1, 1), (2, 2, 3), (4, 4, 64)] {
        let m = ring(capacity);
        let shared = &m.ring;
        let taken: Vec<Vec<u64>> = std::thread::scope(|s| {
            for p in 0..producers {
                s.spawn(move || {
                    for n in 0..EACH {
                        while shared.push(p << 32 | n, |_| {}).is_err() {
                            std::thread::yield_now();
                        }
                    }
                });
            }
            let share = producers * EACH / consumers;
            let consumer = move || {
                let mut got = Vec::new();
                while (got.len() as u64) < share {
                    match shared.pop(|_, _| {}) {
                        Ok((_, d)) => got.push(d),
                        Err(_) => std::thread::yield_now(),
                    }
                }
                got
            };
            let handles: Vec<_> = (0..consumers).map(|_| s.spawn(consumer)).collect();
            handles.into_iter().map(|h| h.join().unwrap()).collect()
        });
        for got in &taken {
            for p in 0..producers {
                let of_p: Vec<_> = got.iter().filter(|d| *d >> 32 == p).collect();
                assert!(of_p.is_sorted_by(|a, b| a < b));
            }
        }
        let mut all: Vec<_> = taken.into_iter().flatten().collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len() as u64, producers * EACH);
    }
}

/// The control of each slot after `published` and `consumed` positions; `closed` is the position of the mark.
fn controls(capacity: u64, published: u64, consumed: u64, closed: Option<u64>) -> Vec<u64> {
    let of_slot = |count: u64, index: u64| (count + capacity - 1 - index) / capacity;
    let control = |index| {
        let (published, consumed) = (of_slot(published, index), of_slot(consumed, index));
        let mark = if closed.is_some_and(|at| at % capacity == index) { CLOSED } else { 0 };
        consumed << LAP_SHIFT | mark | if published > consumed { FULL } else { 0 }
    };
    (0..capacity).map(control).collect()
}

/// Follows jumps from every hint that lags; returns where each road ends, and what is to be done there.
fn ends<S: Copy>(
    ring: &Ring,
    controls: &[u64],
    done: u64,
    step: impl Fn(u64, u64) -> S,
    jump: impl Fn(S) -> Option<u64>,
) -> Vec<(u64, S)> {
    let from = |hint: u64| {
        let mut pos = nth(ring, hint);
        loop {
            let next = step(controls[ring.index(pos) as usize], pos);
            let Some(to) = jump(next) else { return (ring.ordinal(pos), next) };
            assert!(ring.ordinal(to) > ring.ordinal(pos), "a jump goes on");
            assert!(ring.ordinal(to) <= done, "I3: and never past what is done");
            pos = to;
        }
    };
    (0..=done).map(from).collect()
}

fn tail_ends(ring: &Ring, controls: &[u64], published: u64) -> Vec<(u64, TailStep)> {
    let jump = |step| if let TailStep::Jump(to) = step { Some(to) } else { None };
    ends(ring, controls, published, |control, pos| ring.tail_step(control, pos), jump)
}

fn head_ends(ring: &Ring, controls: &[u64], consumed: u64) -> Vec<(u64, HeadStep)> {
    let jump = |step| if let HeadStep::Jump(to) = step { Some(to) } else { None };
    ends(ring, controls, consumed, |control, pos| ring.head_step(control, pos), jump)
}

#[test]
fn from_every_lagging_hint_the_jumps_end_at_the_first_position_that_is_not_done() {
    for capacity in [1, 2, 3] {
        let m = ring(capacity);
        for published in 0..=4 * capacity {
            for consumed in published.saturating_sub(capacity)..=published {
                let controls = controls(capacity, published, consumed, None);
                let full = published - consumed == capacity;
                let push = if full { TailStep::Full } else { TailStep::Publish };
                for end in tail_ends(&m.ring, &controls, published) {
                    assert_eq!(end, (published, push), "{controls:?}");
                }
                let pop = if published > consumed { HeadStep::Take } else { HeadStep::Empty };
                for end in head_ends(&m.ring, &controls, consumed) {
                    assert_eq!(end, (consumed, pop), "{controls:?}");
                }
            }
        }
    }
}

#[test]
fn from_every_lagging_hint_a_closed_ring_is_found_closed_and_drained_at_its_end() {
    for capacity in [1, 2, 3] {
        let m = ring(capacity);
        for closed in 0..=3 * capacity {
            let published = closed + capacity;
            for consumed in closed..=published {
                let controls = controls(capacity, published, consumed, Some(closed));
                for (_, step) in tail_ends(&m.ring, &controls, published) {
                    assert_eq!(step, TailStep::Closed, "{controls:?}");
                }
                let pop = if published > consumed { HeadStep::Take } else { HeadStep::Drained };
                for end in head_ends(&m.ring, &controls, consumed) {
                    assert_eq!(end, (consumed, pop), "{controls:?}");
                }
            }
        }
    }
}

#[test]
fn positions_split_and_count_without_a_gap() {
    for capacity in [1, 2, 3] {
        let m = ring(capacity);
        let mut pos = 0;
        for n in 0..5 * capacity {
            assert_eq!((m.ring.lap(pos), m.ring.index(pos)), (n / capacity, n % capacity));
            assert_eq!((m.ring.ordinal(pos), m.ring.sane(pos)), (n, pos));
            pos = m.ring.next(pos);
        }
        for garbage in [u64::MAX, u64::MAX - 1, 1 << 63] {
            assert!(m.ring.index(m.ring.sane(garbage)) < capacity);
        }
    }
}

#[test]
fn laps_at_the_end_of_all_numbers_are_corrupt_and_no_circle() {
    for capacity in [1, 2, 3, 4, 5] {
        let ring = ring(capacity).ring;
        for flags in [0, FULL, CLOSED, FULL | CLOSED] {
            let control = u64::MAX << LAP_SHIFT | flags;
            let (mut pos, mut steps) = (0, 0);
            while let TailStep::Jump(to) = ring.tail_step(control, pos) {
                (pos, steps) = (to, steps + 1);
                assert!(steps <= 2 * capacity, "{capacity} {flags}");
            }
            (pos, steps) = (0, 0);
            while let HeadStep::Jump(to) = ring.head_step(control, pos) {
                (pos, steps) = (to, steps + 1);
                assert!(steps <= 2 * capacity, "{capacity} {flags}");
            }
        }
    }
}

#[test]
fn a_hint_that_lags_by_a_whole_large_ring_is_no_damage() {
    // What a process leaves that was stopped between its CAS and the hint, while others went round.
    let capacity = MAX_STEPS + 100;
    let m = ring(capacity);
    for index in 0..capacity {
        // SAFETY: a slot of the ring, which nobody else uses.
        unsafe { m.ring.slots.add(index as usize).write(Pair::new(FULL, index)) };
    }
    assert_eq!(m.ring.push(7, |_| {}), Err(PushError::Full));
    assert_eq!((m.ring.len(), m.ring.is_full()), (capacity, true));
    for index in 0..capacity - 1 {
        // SAFETY: as above. All but the last are taken.
        unsafe { m.ring.slots.add(index as usize).write(Pair::new(taken(FULL), 0)) };
    }
    assert_eq!((m.ring.len(), m.ring.is_empty()), (1, false));
    assert_eq!(m.ring.pop(|_, _| {}), Ok((capacity - 1, capacity - 1)));
    assert_eq!(m.ring.pop(|_, _| {}), Err(PopError::Empty));
}
