//! One meeting at a barrier, wherever that lies: in a segment, or in the memory of one process.

use slipring_core::futex::Scope;
use slipring_core::sync;
use slipring_core::sync::barrier::MAX_PARTIES;
use slipring_core::sync::{Arrived, BarrierError, Broken, Turn};
use slipring_core::wait::Waiter;

use crate::wait::Stop;
use crate::{Error, Result};

/// A party's part in one meeting.
///
/// ```
/// use slipring::{Barrier, BarrierTurn, Segment};
///
/// let segment = Segment::create()?;
/// let barrier = Barrier::new(&segment, 3)?;
/// let meet = || {
///     let barrier = barrier.clone();
///     std::thread::spawn(move || barrier.wait())
/// };
/// let threads = [meet(), meet(), meet()];
/// let turns: Result<Vec<BarrierTurn>, _> = threads.into_iter().map(|t| t.join().unwrap()).collect();
/// // Exactly one of them does what is to be done once.
/// assert_eq!(turns?.iter().filter(|turn| turn.is_leader()).count(), 1);
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BarrierTurn {
    pub(super) index: u32,
}

impl BarrierTurn {
    /// How many had come before: 0 to `parties - 1`, each once in a meeting.
    pub fn index(self) -> u32 {
        self.index
    }

    /// Whether it came first, as one in each meeting does.
    pub fn is_leader(self) -> bool {
        self.index == 0
    }
}

/// Comes to the barrier and waits for the others; the last one to come runs `action`.
pub(crate) fn meet<W: Waiter<Stop = Stop>>(
    core: &sync::Barrier,
    wait: &mut W,
    action: impl FnOnce() -> Result<()>,
) -> Result<BarrierTurn> {
    let met = core.arrive(wait).and_then(|arrived| match arrived {
        Arrived::Early(turn) => core.wait_for_release(turn, wait).map(Ok),
        Arrived::Last(turn) => {
            let last = Last { core, turn: Some(turn), scope: wait.scope() };
            match action() {
                Ok(()) => last.release().map(Ok).map_err(|Broken| BarrierError::Broken),
                Err(error) => Ok(Err(error)),
            }
        }
    });
    match met {
        Ok(index) => index.map(|index| BarrierTurn { index }),
        // All had come in the moment when the time was over: they went on.
        Err(BarrierError::Stopped { stop: Stop::TimedOut, met: Some(index) }) => {
            Ok(BarrierTurn { index })
        }
        Err(BarrierError::Stopped { stop, .. }) => Err(stop.into()),
        Err(BarrierError::Broken) => Err(Error::BrokenBarrier),
    }
}

/// A core barrier for `parties`.
pub(crate) fn for_parties(parties: u32) -> Result<sync::Barrier> {
    sync::Barrier::new(parties).map_err(|_| Error::Capacity {
        what: "a barrier's number of parties",
        wanted: parties.into(),
        min: 1,
        max: MAX_PARTIES.into(),
    })
}

/// The last one to come, which lets the others go or, dropped, breaks the barrier.
struct Last<'a> {
    core: &'a sync::Barrier,
    turn: Option<Turn>,
    scope: Scope,
}

impl Last<'_> {
    fn release(mut self) -> std::result::Result<u32, Broken> {
        self.turn.take().map_or(Err(Broken), |turn| self.core.release(turn, self.scope))
    }
}

impl Drop for Last<'_> {
    fn drop(&mut self) {
        if let Some(turn) = self.turn.take() {
            self.core.refuse(turn, self.scope);
        }
    }
}
