//! The doorbell under loom: a watched socket is readable whenever a message is there, and never for long without one.

use loom::sync::Arc;
use slipring_core::primitive::{AtomicU32, FenceMode, Ordering};
use slipring_core::sync::Bell;

/// A bell, a ring that is a count, and a socket that is one too.
struct World {
    bell: Bell,
    published: AtomicU32,
    bytes: AtomicU32,
}

impl World {
    fn new() -> Arc<Self> {
        let zero = || AtomicU32::new(0);
        Arc::new(Self { bell: Bell::new(), published: zero(), bytes: zero() })
    }

    fn send(&self) {
        let sent = self.published.load(Ordering::Relaxed);
        // A plain store, as a commit is.
        self.published.store(sent + 1, Ordering::Release);
        if self.bell.ring(FenceMode::Symmetric) {
            self.bytes.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn take_byte(&self) -> bool {
        let bytes = self.bytes.load(Ordering::Acquire);
        bytes > 0 && self.bytes.fetch_sub(1, Ordering::AcqRel) > 0
    }

    /// What a reader does that has taken `taken` messages and found no more.
    fn quiet(&self, taken: u32) -> bool {
        let hushed = self.bell.hush();
        if self.published.load(Ordering::Acquire) > taken {
            self.bell.leave(hushed, || self.take_byte());
            return true;
        }
        self.bell.settle(hushed, || self.take_byte());
        false
    }

    /// Once nobody is at work any more.
    fn check(&self, mut taken: u32, total: u32) {
        while taken < total {
            assert_eq!(self.bytes.load(Ordering::Acquire), 1, "a message, and nothing to be seen");
            taken += 1;
            if taken == total {
                self.quiet(taken);
            }
        }
        if self.bell.may_be_rung() {
            self.quiet(taken);
        }
        assert_eq!(self.bytes.load(Ordering::Acquire), 0, "readable, and nothing there");
        assert!(!self.bell.may_be_rung());
    }
}

/// Two messages come while the reader takes what it finds and quiets the bell whenever it finds nothing.
#[test]
fn a_watched_socket_is_readable_while_a_message_is_there() {
    loom::model(|| {
        let world = World::new();
        world.bell.watch();
        let sender = {
            let world = world.clone();
            loom::thread::spawn(move || {
                world.send();
                world.send();
            })
        };
        // The reader is there when the first message is: its second look is what races with the second one.
        let mut taken = 0;
        while world.published.load(Ordering::Acquire) == 0 {
            loom::thread::yield_now();
        }
        for _ in 0..2 {
            taken += u32::from(world.published.load(Ordering::Acquire) > taken);
            world.quiet(taken);
        }
        sender.join().unwrap();
        world.check(taken, 2);
    });
}

/// A reader that went to sleep finds a byte, or there was no message to wake it for.
#[test]
fn a_sleeper_is_rung_for() {
    loom::model(|| {
        let world = World::new();
        let sender = {
            let world = world.clone();
            loom::thread::spawn(move || world.send())
        };
        let found = world.quiet(0);
        sender.join().unwrap();
        // It did not find the message, so it sleeps now: the byte must be there.
        assert!(found || world.bytes.load(Ordering::Acquire) == 1);
    });
}

/// A message that came before anybody watched can be seen all the same; and one that is gone cannot.
#[test]
fn who_begins_to_watch_sees_what_is_there_already() {
    loom::model(|| {
        let world = World::new();
        let sender = {
            let world = world.clone();
            loom::thread::spawn(move || world.send())
        };
        world.bell.watch();
        // Another process takes the message, and finds none before or after.
        let taken = world.published.load(Ordering::Acquire);
        world.quiet(taken);
        sender.join().unwrap();
        world.check(taken, 1);
    });
}
