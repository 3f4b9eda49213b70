//! Locks, semaphores, events, conditions, barriers.

use std::mem::forget;

use arbitrary::Arbitrary;
use slipring::{
    Barrier, BoundedSemaphore, Condvar, Error, Event, Handoff, Mutex, OrRecover, ReentrantMutex,
    Result, Segment, Semaphore,
};

use crate::limits::until;

#[derive(Arbitrary, Debug)]
pub enum Op {
    Lock {
        wait: bool,
        keep: bool,
    },
    Unlock,
    /// Waits for the condition with one lock or the other.
    Wait {
        reentrant: bool,
        wait: bool,
    },
    Notify {
        count: u8,
    },
    Enter {
        wait: bool,
        keep: bool,
    },
    Leave,
    Acquire {
        bounded: bool,
        wait: bool,
    },
    Release {
        bounded: bool,
        count: u8,
    },
    Set {
        on: bool,
    },
    WaitEvent {
        wait: bool,
    },
    Meet {
        wait: bool,
        act: bool,
    },
    Mend {
        abort: bool,
    },
    Look,
}

pub struct Locks {
    mutex: Mutex<[u32; 3]>,
    reentrant: ReentrantMutex,
    semaphore: Semaphore,
    seats: BoundedSemaphore,
    event: Event,
    condvar: Condvar,
    barrier: Barrier,
}

impl Locks {
    pub fn new(segment: &Segment, count: u32) -> Self {
        Self {
            mutex: Mutex::new(segment, [1, 2, 3]).unwrap(),
            reentrant: ReentrantMutex::new(segment).unwrap(),
            semaphore: Semaphore::new(segment, count).unwrap(),
            seats: BoundedSemaphore::new(segment, count).unwrap(),
            event: Event::new(segment).unwrap(),
            condvar: Condvar::new(segment).unwrap(),
            barrier: Barrier::new(segment, count).unwrap(),
        }
    }

    /// `meanwhile` comes while a lock is held.
    pub fn apply(&self, op: &Op, meanwhile: impl Fn()) {
        match *op {
            Op::Lock { wait, keep } => {
                let Ok(mut guard) = self.mutex.lock_until(until(wait)).or_recover() else { return };
                meanwhile();
                guard.set(guard.get().map(|word| word.wrapping_add(1)));
                if keep {
                    forget(guard);
                }
            }
            // SAFETY: all guards that are kept were forgotten, and this one ends here.
            Op::Unlock => drop(unsafe { self.mutex.assume_locked() }),
            Op::Wait { reentrant, wait } => self.wait(reentrant, wait, meanwhile),
            Op::Notify { count } => drop(match count % 4 {
                0 => self.condvar.notify_all(),
                count => self.condvar.notify(count.into()),
            }),
            Op::Enter { wait, keep } => {
                let guard = self.reentrant.lock_until(until(wait)).or_recover();
                meanwhile();
                let _ = (self.reentrant.is_mine(), self.reentrant.try_lock());
                if keep {
                    forget(guard);
                }
            }
            Op::Leave => drop(self.reentrant.assume_locked()),
            Op::Acquire { bounded: true, wait } => drop(self.seats.acquire_until(until(wait))),
            Op::Acquire { wait, .. } => drop(self.semaphore.acquire_until(until(wait))),
            Op::Release { bounded: true, count } => drop(self.seats.release(many(count))),
            Op::Release { count, .. } => drop(self.semaphore.release(many(count))),
            Op::Set { on: true } => drop(self.event.set()),
            Op::Set { .. } => drop(self.event.clear()),
            Op::WaitEvent { wait } => drop(self.event.wait_until(until(wait))),
            Op::Meet { wait, act } => {
                let met = self.barrier.wait_with(until(wait), || {
                    meanwhile();
                    if act { Ok(()) } else { Err(Error::Closed) }
                });
                let _ = met.map(|turn| turn.index());
            }
            Op::Mend { abort: true } => drop(self.barrier.abort()),
            Op::Mend { .. } => drop(self.barrier.reset()),
            Op::Look => self.look(),
        }
    }

    fn wait(&self, reentrant: bool, wait: bool, meanwhile: impl Fn()) {
        if reentrant {
            let Ok(mut guard) = self.reentrant.lock_until(until(wait)).or_recover() else { return };
            meanwhile();
            drop(self.condvar.wait_until(&mut guard, until(wait)));
        } else {
            let Ok(mut guard) = self.mutex.lock_until(until(wait)).or_recover() else { return };
            meanwhile();
            drop(self.condvar.wait_until(&mut guard, until(wait)));
        }
    }

    fn look(&self) {
        let _ = format!("{:?} {:?} {:?}", self.mutex, self.reentrant, self.semaphore);
        let _ = format!("{:?} {:?} {:?} {:?}", self.seats, self.event, self.condvar, self.barrier);
        let _ = (self.mutex.is_locked(), self.reentrant.count(), self.reentrant.is_locked());
        let _ = (self.semaphore.value(), self.seats.value(), self.seats.holders());
        let _ = (self.barrier.n_waiting(), self.barrier.parties(), self.barrier.is_broken());
        let _ = (self.event.is_set(), self.seats.limit());
    }

    pub fn give(&self, handoff: &mut Handoff, what: u8) -> Result<()> {
        match what % 4 {
            0 => handoff.give("mutex", &self.mutex),
            1 => handoff.give("seats", &self.seats),
            2 => handoff.give("barrier", &self.barrier),
            _ => handoff.give("condvar", &self.condvar),
        }
    }
}

/// A few, or far too many.
fn many(count: u8) -> u32 {
    if count < 200 { u32::from(count % 4) } else { u32::MAX - u32::from(count) + 200 }
}
