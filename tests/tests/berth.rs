//! Berths: places that are given handles one at a time, for programs that somebody else starts.

use std::alloc::Layout;
use std::os::fd::OwnedFd;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use slipring::handoff::Transfer;
use slipring::{
    Array, ArrayBytes, Barrier, Berth, Boarding, BoundedSemaphore, BytePriorityQueue, ByteQueue,
    ByteReceiver, ByteSender, Condvar, Error, Event, Handoff, JoinableQueue, Mutex, OrRecover,
    Pipe, PipeOptions, PipeReader, PipeWriter, Queue, RawArray, RawValue, ReentrantMutex, Result,
    Segment, Semaphore, Slots, Value,
};
use slipring_tests::berth::Launch;
use slipring_tests::peer::{PATIENCE, Peer};
use slipring_tests::{segment, wait_until};

/// Peers learn of a death within this time.
const SOON: Duration = Duration::from_millis(200);
const MOMENT: Duration = Duration::from_millis(100);

/// So many take part, when the dead are cleaned up after: a fork that starts a program was one, too, for a moment.
fn assert_count(segment: &Segment, count: usize) {
    wait_until("the right number of participants", PATIENCE, || {
        segment.reap();
        segment.participants().len() == count
    });
}

fn assert_alone(segment: &Segment) {
    assert_count(segment, 1);
}

/// Keeps other tests of this program from forking meanwhile: their children would take part in this one's segment.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A copy of a berth's proof, as another process inherits it.
fn proof(berth: &Berth) -> OwnedFd {
    berth.as_fd().try_clone_to_owned().unwrap()
}

fn boarding(berth: &Berth) -> Result<Boarding> {
    Boarding::new(proof(berth), berth.id())
}

/// What a child gets, and this process's ends.
struct Ends {
    segment: Segment,
    tx: ByteSender,
    rx: ByteReceiver,
    reader: PipeReader,
    writer: PipeWriter,
    lock: Mutex<u64>,
}

impl Ends {
    fn new() -> Self {
        let segment = segment();
        let (tx, rx) = ByteQueue::bounded(&segment, 4).unwrap();
        let (reader, writer) = Pipe::one_way(&segment).unwrap();
        let lock = Mutex::new(&segment, 0).unwrap();
        Self { segment, tx, rx, reader, writer, lock }
    }

    /// Starts `board WHAT`, gives up what it was given, and returns what is left here.
    fn board(self, what: &str) -> (Peer, Rest) {
        let launch = Launch::new(&self.segment).give(&self.tx).give(&self.writer).give(&self.lock);
        let peer = launch.start(&["board", what], &[]);
        (peer, self.rest())
    }

    fn rest(self) -> Rest {
        Rest { segment: self.segment, rx: self.rx, reader: self.reader, lock: self.lock }
    }
}

struct Rest {
    segment: Segment,
    rx: ByteReceiver,
    reader: PipeReader,
    lock: Mutex<u64>,
}

impl Rest {
    fn assert_used(&mut self) {
        assert_eq!(self.rx.recv_until(PATIENCE).unwrap(), b"by the queue");
        assert_eq!(self.reader.recv_until(PATIENCE).unwrap(), b"by the pipe");
    }

    fn assert_ended_within(mut self, patience: Duration) {
        let start = Instant::now();
        assert!(matches!(self.rx.recv_until(PATIENCE), Err(Error::Disconnected)));
        assert!(matches!(self.reader.recv_until(PATIENCE), Err(Error::Disconnected)));
        assert!(self.lock.lock_until(PATIENCE).or_recover().is_ok());
        assert!(start.elapsed() < patience, "{:?}", start.elapsed());
        assert_alone(&self.segment);
    }
}

#[test]
fn a_program_that_somebody_else_starts_uses_what_it_was_given() {
    let _alone = alone();
    let (mut peer, mut rest) = Ends::new().board("done");
    rest.assert_used();
    peer.expect("done");
    assert_eq!(rest.lock.lock_until(PATIENCE).unwrap().get(), 1);
    assert_count(&rest.segment, 2);
    assert!(matches!(rest.rx.recv_until(MOMENT), Err(Error::TimedOut)), "it has its sender");
    peer.kill_and_leave();
    rest.assert_ended_within(SOON);
}

#[test]
fn peers_learn_soon_of_a_program_that_is_killed_at_any_stage_of_boarding() {
    let _alone = alone();
    for stage in ["outside", "boarded", "halfway", "aboard", "locked"] {
        let (mut peer, mut rest) = Ends::new().board(stage);
        if stage == "locked" {
            rest.assert_used();
        }
        peer.expect(stage);
        assert!(matches!(rest.rx.recv_until(MOMENT), Err(Error::TimedOut)), "{stage}");
        peer.kill_and_leave();
        rest.assert_ended_within(SOON);
    }
}

#[test]
fn a_program_boards_after_whoever_started_it_was_killed() {
    let _alone = alone();
    let ends = Ends::new();
    let mut handoff = Handoff::new(&ends.segment);
    handoff.give("tx", &ends.tx).unwrap();
    handoff.give("pipe", &ends.writer).unwrap();
    handoff.give("lock", &ends.lock).unwrap();
    let mut parent = Peer::start(handoff, &["launch"]);
    let mut rest = ends.rest();
    parent.expect("started");
    parent.kill_and_leave();
    wait_until("the parent to be gone", PATIENCE, || parent.has_ended());
    rest.assert_used();
    rest.assert_ended_within(PATIENCE);
}

#[test]
fn what_was_given_and_not_taken_is_given_back() {
    let _alone = alone();
    // By the end of the boarding, of the last proof, and of the berth of a program that could not be started.
    let endings: [fn(Berth); 3] = [
        |berth| drop(boarding(&berth).unwrap()),
        |berth| drop(berth),
        |berth| {
            let copy = proof(&berth);
            let id = berth.id();
            berth.abandon();
            assert!(matches!(Boarding::new(copy, id), Err(Error::NotInherited(_))));
        },
    ];
    for end in endings {
        let Ends { segment, tx, mut rx, .. } = Ends::new();
        let mut berth = Berth::new(&segment).unwrap();
        berth.give(&tx).unwrap();
        drop(tx);
        assert!(matches!(rx.recv_until(MOMENT), Err(Error::TimedOut)), "it waits in the berth");
        end(berth);
        let start = Instant::now();
        assert!(matches!(rx.recv_until(PATIENCE), Err(Error::Disconnected)));
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
        assert_alone(&segment);
    }
}

#[test]
fn what_was_given_can_be_given_and_taken_twice() {
    let _alone = alone();
    let Ends { segment, tx, mut rx, .. } = Ends::new();
    let mut berth = Berth::of(&tx).unwrap();
    let (one, two) = (berth.give(&tx).unwrap(), berth.give(&tx).unwrap());
    drop(tx);
    let boarding = boarding(&berth).unwrap();
    assert_eq!(boarding.segment().participants().len(), 2, "this process and the berth");
    for given in [&one.text, &one.text, &two.text] {
        boarding.take::<ByteSender>(given, vec![]).unwrap().send(b"once more").unwrap();
        assert_eq!(rx.recv_until(PATIENCE).unwrap(), b"once more");
    }
    let mut tx: ByteSender = boarding.take(&one.text, vec![]).unwrap();
    drop((boarding, berth));
    tx.send(b"still").unwrap();
    assert_eq!(rx.recv_until(PATIENCE).unwrap(), b"still");
    drop(tx);
    assert!(matches!(rx.recv_until(PATIENCE), Err(Error::Disconnected)));
    assert_alone(&segment);
}

#[test]
fn who_boards_a_berth_that_was_left_is_told_so() {
    let _alone = alone();
    let Ends { segment, tx, rx: _rx, .. } = Ends::new();
    let mut berth = Berth::new(&segment).unwrap();
    let given = berth.give(&tx).unwrap();
    let (first, second) = (boarding(&berth).unwrap(), boarding(&berth).unwrap());
    let mut taken: ByteSender = first.take(&given.text, vec![]).unwrap();
    drop(first);
    let again = second.take::<ByteSender>(&given.text, vec![]);
    assert!(matches!(again, Err(Error::NotInherited(_))), "{again:?}");
    assert!(matches!(boarding(&berth), Err(Error::NotInherited(_))));
    assert!(matches!(berth.give(&tx), Err(Error::NotInherited(_))));
    // Neither this one's end nor the berth's touches somebody who came later.
    let mut other = Berth::new(&segment).unwrap();
    other.give(&tx).unwrap();
    drop(second);
    berth.abandon();
    assert!(boarding(&other).is_ok());
    taken.send(b"still").unwrap();
}

#[test]
fn a_handle_of_another_segment_is_not_given() {
    let _alone = alone();
    let (one, two) = (Ends::new(), Ends::new());
    let mut berth = Berth::new(&one.segment).unwrap();
    assert!(berth.has(&one.tx).unwrap() && !berth.has(&two.tx).unwrap());
    assert!(matches!(berth.give(&two.tx), Err(Error::NoSuchObject)));
}

#[test]
fn garbage_boards_nothing_and_takes_nothing() {
    let _alone = alone();
    let ends = Ends::new();
    let segment = &ends.segment;
    let mut berth = Berth::new(segment).unwrap();
    let given = berth.give(&ends.tx).unwrap();
    // Not the place: no id, nobody's, somebody alive, another berth's.
    let other = Berth::new(segment).unwrap();
    for id in [0, 1, u32::MAX, other.id(), berth.id() + (1 << 10), berth.id() ^ 1] {
        let boarded = Boarding::new(proof(&berth), id);
        assert!(matches!(boarded, Err(Error::NotInherited(_))), "{id}: {boarded:?}");
    }
    // Not the proof: of the same segment, of another, of none.
    let same = segment.share_fd().unwrap();
    assert!(matches!(Boarding::new(same, berth.id()), Err(Error::NotInherited(_))));
    let another = slipring_tests::segment();
    let fd = another.share_fd().unwrap();
    assert!(matches!(Boarding::new(fd, berth.id()), Err(Error::NotInherited(_))));
    assert_eq!(another.participants().len(), 1);
    let null = std::fs::File::open("/dev/null").unwrap();
    assert!(matches!(Boarding::new(null.into(), berth.id()), Err(Error::NotASegment { .. })));
    // Not what was given: garbage, another kind, role or object, and things that were not given.
    let aboard = boarding(&berth).unwrap();
    let parts: Vec<&str> = given.text.split(':').collect();
    let (role, id) = (parts[1], parts[2]);
    let not_given = Berth::of(&ends.lock).unwrap().give(&ends.lock).unwrap().text;
    let texts = [
        "",
        ":",
        "::",
        "1",
        "1:0",
        "1:0:",
        "x:0:1",
        "-1:0:1",
        "0:0:0",
        "2:0:0",
        "99:0:1",
        "1:7:1",
        "1:0:18446744073709551616",
        "1:0:18446744073709551615",
        "1:0:1:2",
        "1:0:1:2:3",
        "ü:ß:☃",
    ];
    let changed = [
        format!("5:{role}:{id}"),
        format!("1:1:{id}"),
        format!("1:{role}:{}", id.parse::<u64>().unwrap() + 1),
        format!("{}:1", given.text),
        format!(" {}", given.text),
        not_given,
    ];
    for text in texts.into_iter().chain(changed.iter().map(String::as_str)) {
        let taken = aboard.take::<ByteSender>(text, vec![]);
        assert!(matches!(taken, Err(Error::NotInherited(_))), "{text:?}: {taken:?}");
    }
    assert!(matches!(aboard.take::<Event>(&given.text, vec![]), Err(Error::WrongKind { .. })));
    assert!(matches!(
        aboard.take::<ByteReceiver>(&given.text, vec![]),
        Err(Error::WrongKind { .. })
    ));
    // A pipe without its socket, or with something else.
    let given = berth.give(&ends.writer).unwrap();
    let null = std::fs::File::open("/dev/null").unwrap();
    for fds in [vec![], vec![OwnedFd::from(null)]] {
        let taken = aboard.take::<PipeWriter>(&given.text, fds);
        assert!(matches!(taken, Err(Error::NotInherited(_))), "{taken:?}");
    }
    // After all of that, what was given is there.
    assert!(aboard.take::<PipeWriter>(&given.text, given.fds).is_ok());
}

/// Sends a handle through a berth to this very process.
fn through<T: Transfer>(segment: &Segment, handle: T) -> T {
    let mut berth = Berth::of(&handle).unwrap();
    let given = berth.give(&handle).unwrap();
    // Nobody but the berth has it now.
    drop(handle);
    let boarding = boarding(&berth).unwrap();
    let taken = boarding.take(&given.text, given.fds).unwrap();
    drop((boarding, berth));
    assert_eq!(segment.participants().len(), 1);
    taken
}

#[test]
fn every_kind_of_handle_can_be_given() {
    let _alone = alone();
    let segment = &segment();
    let (tx, rx) = Queue::<u32>::bounded(segment, 4).unwrap();
    let (mut tx, mut rx) = (through(segment, tx), through(segment, rx));
    tx.send(&1).unwrap();
    assert_eq!(rx.recv().unwrap(), 1);
    let (tx, rx) = JoinableQueue::<u32>::bounded(segment, 4).unwrap();
    let (mut tx, mut rx) = (through(segment, tx), through(segment, rx));
    tx.send(&2).unwrap();
    rx.recv().unwrap().done().unwrap();
    let (tx, rx) = BytePriorityQueue::bounded(segment, 4).unwrap();
    let (mut tx, mut rx) = (through(segment, tx), through(segment, rx));
    tx.send(3, b"3").unwrap();
    assert_eq!(rx.recv().unwrap(), b"3");
    let (tx, rx) = Slots::<u64>::new(segment, 4).unwrap();
    let (mut tx, mut rx) = (through(segment, tx), through(segment, rx));
    tx.send(&4).unwrap();
    assert_eq!(rx.recv().unwrap(), 4);
    let options = PipeOptions::new().handles(true);
    let (one, two) = Pipe::duplex_with(segment, options).unwrap();
    let (mut one, mut two) = (through(segment, one), through(segment, two));
    one.send_value(&(5_u8, Event::new(segment).unwrap())).unwrap();
    let (number, event): (u8, Event) = two.recv_value(PATIENCE).unwrap();
    assert_eq!((number, through(segment, event).is_set()), (5, false));
    let semaphore = through(segment, BoundedSemaphore::new(segment, 1).unwrap());
    semaphore.acquire().unwrap();
    let semaphore = through(segment, Semaphore::new(segment, 1).unwrap());
    semaphore.acquire().unwrap();
    let lock = through(segment, ReentrantMutex::new(segment).unwrap());
    drop(lock.lock().or_recover().unwrap());
    let condvar = through(segment, Condvar::new(segment).unwrap());
    condvar.notify_all().unwrap();
    let barrier = through(segment, Barrier::new(segment, 1).unwrap());
    barrier.wait().unwrap();
    let value = through(segment, Value::new(segment, 6_u16).unwrap());
    assert_eq!(value.lock().or_recover().unwrap().get(), 6);
    assert_eq!(through(segment, RawValue::new(segment, 7_i64).unwrap()).get(), 7);
    let array = through(segment, Array::from_slice(segment, &[8_u32, 9]).unwrap());
    assert_eq!(array.raw().to_vec(), [8, 9]);
    let array = through(segment, RawArray::from_slice(segment, &[8.5_f64]).unwrap());
    assert_eq!(array.to_vec(), [8.5]);
    let array = ArrayBytes::new(segment, Layout::new::<u16>(), 100).unwrap();
    array.write_at(2, &[1, 2]);
    let array = through(segment, array);
    let mut item = [0; 2];
    array.read_at(2, &mut item);
    assert_eq!((item, array.item(), array.len()), ([1, 2], Layout::new::<u16>(), 100));
}

#[test]
fn berths_that_nobody_boarded_make_room_for_others() {
    let _alone = alone();
    let segment = segment();
    let mut all: Vec<_> = (0..1022).map(|_| Berth::new(&segment).unwrap()).collect();
    assert!(matches!(Berth::new(&segment), Err(Error::TooManyParticipants { .. })));
    all.pop();
    assert!(Berth::new(&segment).is_ok(), "the dead one was cleaned up after");
}
