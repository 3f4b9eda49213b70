//! What peers do with permits that have owners, and with those that have none.

use std::time::Duration;

use slipring::{BoundedSemaphore, Error, Semaphore};

use super::command::{Args, inherited, say, sleep_for_ever};

const SHORT: Duration = Duration::from_millis(20);

/// Runs `command` if it is one of these.
pub fn run(command: &str, args: &mut Args) -> bool {
    match command {
        "hold-permits" => hold(args),
        "pass-through" => pass_through(),
        "give-signals" => give_signals(args),
        "take-signals" => take_signals(args),
        _ => return false,
    }
    true
}

/// `hold-permits COUNT`: of `seats`, until it is killed.
fn hold(args: &mut Args) {
    let count: u32 = args.number();
    let seats: BoundedSemaphore = inherited().take("seats").unwrap();
    (0..count).for_each(|_| seats.acquire().unwrap());
    say("held");
    sleep_for_ever();
}

/// Takes one of `seats` and gives it back, until it is killed.
fn pass_through() {
    let seats: BoundedSemaphore = inherited().take("seats").unwrap();
    say("begun");
    loop {
        seats.acquire().unwrap();
        seats.release(1).unwrap();
    }
}

/// `give-signals COUNT`: releases `signals` so often, and waits to be killed.
fn give_signals(args: &mut Args) {
    let count: u32 = args.number();
    let signals: Semaphore = inherited().take("signals").unwrap();
    (0..count).for_each(|_| signals.release(1).unwrap());
    say("signalled");
    sleep_for_ever();
}

/// `take-signals COUNT`: acquires `signals` so often, and waits to be killed.
fn take_signals(args: &mut Args) {
    let count: u32 = args.number();
    let signals: Semaphore = inherited().take("signals").unwrap();
    (0..count).for_each(|_| signals.acquire().unwrap());
    say("consumed");
    sleep_for_ever();
}

/// Takes permits in every way, with and without waiting, one and two at a time, and gives them back. Never more than
/// two.
pub fn victim() {
    let seats: BoundedSemaphore = inherited().take("seats").unwrap();
    for round in 0..30 {
        let taken = match round % 3 {
            0 => seats.acquire(),
            1 => seats.try_acquire(),
            _ => seats.acquire_until(SHORT),
        };
        match taken {
            Ok(()) => {}
            Err(Error::WouldBlock | Error::TimedOut) => continue,
            Err(error) => panic!("{error}"),
        }
        let second = seats.acquire_until(SHORT).is_ok();
        std::thread::sleep(Duration::from_micros(300));
        seats.release(1 + u32::from(second)).unwrap();
    }
}
