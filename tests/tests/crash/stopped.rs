//! Stopped instead of killed: what does not wait for it goes on.

use std::path::Path;
use std::time::{Duration, Instant};

use slipring::Handoff;
use slipring_core::primitive::{AtomicU64, Ordering};
use slipring_tests::message::{self, MIXED, Stamp};
use slipring_tests::peer::Peer;

/// What waits for a stopped process waits longer than this; what is merely slow on a busy machine does not.
pub const STOPPED_FOR_EVER: Duration = Duration::from_secs(2);

/// Says that it is over, also where a check fails.
struct OnDrop<'a>(&'a AtomicU64);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(1, Ordering::Relaxed);
    }
}

/// Starts a victim that stops itself at `point`. `log` is where it writes what it did.
pub fn start_stopping(handoff: Handoff, role: &str, point: &str, log: &Path) -> Peer {
    let stop = format!("{point}#0");
    Peer::start_with(
        handoff,
        &["victim", role, log.to_str().unwrap()],
        &[("SLIPRING_STOP_AT", &stop)],
    )
}

/// We send and receive while `victim` is stopped at the step that it was started for, as if it were not. `receive` takes
/// a message if one comes within a moment. Returns whether the victim came by that step.
pub fn go_on_beside(
    mut victim: Peer,
    what: &str,
    mut receive: impl FnMut() -> bool + Send,
    mut send: impl FnMut(&[u8]),
) -> bool {
    const OURS: u32 = 9;
    let (done, received) = (AtomicU64::new(0), AtomicU64::new(0));
    let mut stopped = false;
    std::thread::scope(|scope| {
        let _done = OnDrop(&done);
        scope.spawn(|| {
            while done.load(Ordering::Relaxed) == 0 {
                received.fetch_add(receive().into(), Ordering::Relaxed);
            }
        });
        let (mut bytes, mut number) = (Vec::new(), 0);
        let mut send = || {
            message::write(Stamp { producer: OURS, number }, MIXED, &mut bytes);
            number += 1;
            let start = Instant::now();
            send(&bytes);
            start.elapsed()
        };
        while !victim.is_stopped() && !victim.has_ended() {
            send();
        }
        stopped = victim.is_stopped();
        if stopped {
            let before = received.load(Ordering::Relaxed);
            let slowest = (0..100).map(|_| send()).max().unwrap();
            assert!(slowest < STOPPED_FOR_EVER, "{what}: {slowest:?} for one message");
            let came = received.load(Ordering::Relaxed) - before;
            assert!(came > 50, "{what}: {came} received");
            victim.signal(rustix::process::Signal::CONT);
        }
        while !victim.has_ended() {
            send();
        }
    });
    stopped
}
