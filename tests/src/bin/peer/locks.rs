//! What peers do with locks and signals.

use std::time::Duration;

use slipring::{
    Barrier, BoundedSemaphore, Condvar, Error, Event, Mutex, OrRecover, ReentrantMutex,
    SlotReceiver, SlotSender,
};

use super::command::{Args, inherited, say, sleep_for_ever};

/// Runs `command` if it is one of these.
pub fn run(command: &str, args: &mut Args) -> bool {
    match command {
        "count" => count(args),
        "limited" => limited(args),
        "meet" => meet(args),
        "await-event" => await_event(),
        "turns" => turns(args),
        "hold-mutex" => hold_mutex(),
        "hold-reentrant" => hold_reentrant(),
        "slots-produce" => slots_produce(args),
        "slots-consume" => slots_consume(args),
        _ => return false,
    }
    true
}

/// `count ROUNDS`: adds one to both words of `mutex`, again and again.
fn count(args: &mut Args) {
    let rounds: u64 = args.number();
    let mutex: Mutex<[u64; 2]> = inherited().take("mutex").unwrap();
    for _ in 0..rounds {
        let mut guard = mutex.lock().or_recover().unwrap();
        let [one, two] = guard.get();
        assert_eq!(one, two, "somebody else is in here");
        guard.set([one + 1, two + 1]);
    }
}

/// `limited ROUNDS LIMIT`: counts in `mutex` how many are inside of `semaphore` at once.
fn limited(args: &mut Args) {
    let (rounds, limit): (u64, u64) = (args.number(), args.number());
    let mut inherited = inherited();
    let semaphore: BoundedSemaphore = inherited.take("semaphore").unwrap();
    let inside: Mutex<u64> = inherited.take("inside").unwrap();
    let add = |by: i64| {
        let mut guard = inside.lock().or_recover().unwrap();
        let now = guard.get().wrapping_add_signed(by);
        guard.set(now);
        now
    };
    for _ in 0..rounds {
        semaphore.acquire().unwrap();
        assert!(add(1) <= limit, "more than {limit} are inside");
        add(-1);
        semaphore.release(1).unwrap();
    }
}

/// `meet ROUNDS`: at `barrier`, and says how it ended.
fn meet(args: &mut Args) {
    let rounds: u64 = args.number();
    let barrier: Barrier = inherited().take("barrier").unwrap();
    say("coming");
    for _ in 0..rounds {
        if let Err(error) = barrier.wait() {
            return say(&format!("{error:?}"));
        }
    }
    say("met");
}

/// Waits for `event`.
fn await_event() {
    let event: Event = inherited().take("event").unwrap();
    say("waiting");
    event.wait().unwrap();
    say("set");
}

/// `turns WHICH ROUNDS`: takes turns with another process, through `condvar`.
fn turns(args: &mut Args) {
    let (which, rounds): (u64, u64) = (args.number(), args.number());
    let mut inherited = inherited();
    let mutex: Mutex<u64> = inherited.take("mutex").unwrap();
    let condvar: Condvar = inherited.take("condvar").unwrap();
    for _ in 0..rounds {
        let mut guard = mutex.lock().or_recover().unwrap();
        while guard.get() % 2 != which {
            condvar.wait(&mut guard).or_recover().unwrap();
        }
        let next = guard.get() + 1;
        guard.set(next);
        condvar.notify_all().unwrap();
    }
}

fn hold_mutex() {
    let mutex: Mutex<[u64; 2]> = inherited().take("mutex").unwrap();
    let mut guard = mutex.lock().or_recover().unwrap();
    guard.set([1, 2]);
    say("held");
    sleep_for_ever();
}

fn hold_reentrant() {
    let lock: ReentrantMutex = inherited().take("lock").unwrap();
    let _outer = lock.lock().or_recover().unwrap();
    let _inner = lock.lock().or_recover().unwrap();
    say("held");
    sleep_for_ever();
}

/// `slots-produce COUNT`: numbers, one by one and in batches.
fn slots_produce(args: &mut Args) {
    let count: u64 = args.number();
    let mut tx: SlotSender<[u64; 8]> = inherited().take("tx").unwrap();
    let mut number = 0;
    while number < count {
        if number % 7 == 0 && number + 3 <= count {
            let batch = [number, number + 1, number + 2].map(|n| [n; 8]);
            assert_eq!(tx.send_batch(&batch, None::<Duration>).unwrap(), 3);
            number += 3;
        } else {
            tx.send(&[number; 8]).unwrap();
            number += 1;
        }
    }
}

/// `slots-consume COUNT`: checks that the numbers come in order, and then the end.
fn slots_consume(args: &mut Args) {
    let count: u64 = args.number();
    let mut rx: SlotReceiver<[u64; 8]> = inherited().take("rx").unwrap();
    for number in 0..count {
        assert_eq!(rx.recv().unwrap(), [number; 8]);
    }
    assert!(matches!(rx.recv(), Err(Error::Disconnected)));
    say("all");
}
