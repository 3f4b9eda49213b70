//! Every interleaving of the semaphore: permits are counted, and no wake-up is lost.

use crate::waiter::{Impatient, Patient};
use loom::sync::Arc;
use loom::thread;
use slipring_core::futex::Scope;
use slipring_core::primitive::{DataCell, spin_hint};
use slipring_core::sync::{Event, Semaphore};

fn acquire(semaphore: &Semaphore) {
    semaphore.acquire(&mut Patient::new()).unwrap();
}

fn release(semaphore: &Semaphore, permits: u32) {
    semaphore.release(permits, Scope::Private).unwrap();
}

#[test]
fn one_permit_excludes_and_publishes() {
    loom::model(|| {
        let shared = Arc::new((Semaphore::bounded(1, 1).unwrap(), DataCell::new(0)));
        let enter = |shared: &(Semaphore, DataCell<u32>)| {
            acquire(&shared.0);
            shared.1.with_mut(|n| {
                // SAFETY: the only permit is held; that is what the model checks.
                unsafe { *n += 1 }
            });
            release(&shared.0, 1);
        };
        let other = {
            let shared = shared.clone();
            thread::spawn(move || enter(&shared))
        };
        enter(&shared);
        other.join().unwrap();
        assert_eq!(shared.0.value(), 1);
    });
}

/// Two sleepers, and releases of two permits in all: both get one.
fn two_sleepers_of(releases: &'static [u32]) {
    loom::model(move || {
        let semaphore = Arc::new(Semaphore::new(0).unwrap());
        let sleepers: Vec<_> = (0..2)
            .map(|_| {
                let semaphore = semaphore.clone();
                thread::spawn(move || acquire(&semaphore))
            })
            .collect();
        releases.iter().for_each(|permits| release(&semaphore, *permits));
        sleepers.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(semaphore.value(), 0);
    });
}

#[test]
fn two_releases_wake_two_sleepers() {
    two_sleepers_of(&[1, 1]);
}

#[test]
fn one_release_of_two_wakes_two_sleepers() {
    two_sleepers_of(&[2]);
}

#[test]
fn a_release_that_clears_the_mark_forgets_no_sleeper() {
    // The releaser gives more than there are sleepers, so it clears the mark, while another takes and sleeps again.
    loom::model(|| {
        let semaphore = Arc::new(Semaphore::new(0).unwrap());
        let other = {
            let semaphore = semaphore.clone();
            thread::spawn(move || (0..3).for_each(|_| acquire(&semaphore)))
        };
        release(&semaphore, 2);
        release(&semaphore, 1);
        other.join().unwrap();
        assert_eq!(semaphore.value(), 0);
    });
}

#[test]
fn a_wake_up_spent_on_one_who_gives_up_goes_to_the_other() {
    loom::model(|| {
        let semaphore = Arc::new(Semaphore::new(0).unwrap());
        let [gave_up, served] = [(), ()].map(|()| Arc::new(Event::new(false)));
        let impatient = {
            let (semaphore, gave_up) = (semaphore.clone(), gave_up.clone());
            thread::spawn(move || {
                let taken = semaphore.acquire(&mut Impatient).is_ok();
                gave_up.set(Scope::Private);
                taken
            })
        };
        let patient = {
            let (semaphore, served) = (semaphore.clone(), served.clone());
            thread::spawn(move || {
                acquire(&semaphore);
                served.set(Scope::Private);
            })
        };
        release(&semaphore, 1);
        // Legal: the impatient one slept until the permit came, or took it at once. Where it slept first, it gives up,
        // and the wake-up and the permit are the other's.
        let mut left = 0;
        while !gave_up.is_set() && !served.is_set() {
            spin_hint();
        }
        if !gave_up.is_set() {
            // The patient one was served; the impatient one may sleep on.
            release(&semaphore, 1);
            left += 1;
        }
        let taken = impatient.join().unwrap();
        if taken && left == 0 {
            release(&semaphore, 1);
            left += 1;
        }
        patient.join().unwrap();
        assert_eq!(semaphore.value(), left - u32::from(taken));
    });
}
