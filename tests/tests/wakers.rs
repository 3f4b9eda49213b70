//! Wakers are foreign code: cloning one, calling it and dropping it may do anything, and end in this library again. None of
//! that happens while a lock of ours is held.

use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};
use std::time::Duration;

use slipring::{ByteQueue, ByteReceiver, ByteSender, Event, Result, Segment};
use slipring_core::primitive::{AtomicU32, Ordering};

const PATIENCE: Duration = Duration::from_secs(20);

/// Runs `scenario` in a thread that is in a runtime, and fails if it hangs.
fn goes_on<R: Send + 'static>(scenario: impl FnOnce() -> R + Send + 'static) -> R {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
    let (done, finished) = mpsc::channel();
    let handle = runtime.handle().clone();
    std::thread::spawn(move || {
        let _inside = handle.enter();
        done.send(catch_unwind(AssertUnwindSafe(scenario))).unwrap();
    });
    let result = finished.recv_timeout(PATIENCE);
    if result.is_err() {
        // It would wait for its driver, which hangs too.
        std::mem::forget(runtime);
        panic!("a thread hangs");
    }
    result.unwrap().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

type Waiting = Pin<Box<dyn Future<Output = Result<Vec<u8>>> + Send>>;

fn queue() -> (ByteSender, ByteReceiver) {
    ByteQueue::bounded(&Segment::create().unwrap(), 4).unwrap()
}

fn receive(receiver: &ByteReceiver) -> Waiting {
    let mut receiver = receiver.try_clone().unwrap();
    Box::pin(async move { receiver.recv_async().await })
}

fn poll(waiting: &mut Waiting, waker: &Waker) -> Poll<Result<Vec<u8>>> {
    waiting.as_mut().poll(&mut Context::from_waker(waker))
}

fn wait_with(waiting: &mut Waiting, waker: &Waker) {
    assert!(poll(waiting, waker).is_pending());
}

/// A task of an executor that keeps tasks in their wakers, as many do: with the last waker the task goes.
struct Task<T>(#[allow(dead_code, reason = "it is kept, and then dropped")] Mutex<T>);

impl<T: Send> Wake for Task<T> {
    fn wake(self: Arc<Self>) {}
}

/// A wait with the last waker that has `owned`.
fn wait_owning<T: Send + 'static>(receiver: &ByteReceiver, owned: T) -> Waiting {
    let (mut waiting, waker) = (receive(receiver), Arc::new(Task(Mutex::new(owned))).into());
    wait_with(&mut waiting, &waker);
    waiting
}

/// One more wait, as what a waker may own.
fn another_wait(receiver: &ByteReceiver) -> Waiting {
    let mut waiting = receive(receiver);
    wait_with(&mut waiting, Waker::noop());
    waiting
}

#[test]
fn a_wait_that_is_dropped_drops_its_waker_which_may_have_another() {
    goes_on(|| {
        let (_sender, receiver) = queue();
        drop(wait_owning(&receiver, another_wait(&receiver)));
    });
}

#[test]
fn a_wait_that_is_polled_anew_drops_its_waker_which_may_have_another() {
    goes_on(|| {
        let (_sender, receiver) = queue();
        let mut waiting = wait_owning(&receiver, another_wait(&receiver));
        wait_with(&mut waiting, Waker::noop());
    });
}

#[test]
fn a_waker_may_have_the_last_handle_of_a_segment() {
    goes_on(|| {
        let ((_sender, receiver), other) = (queue(), queue());
        // This process waited there once.
        drop(another_wait(&other.1));
        drop(wait_owning(&receiver, other));
    });
}

#[test]
fn a_wait_that_is_done_drops_its_waker_which_may_have_another() {
    goes_on(|| {
        let (mut sender, receiver) = queue();
        let mut waiting = wait_owning(&receiver, another_wait(&receiver));
        sender.send(b"a message").unwrap();
        assert!(poll(&mut waiting, Waker::noop()).is_ready());
    });
}

/// What an [`Odd`] waker does when it is cloned, woken or dropped.
#[derive(Default)]
struct Deeds {
    clone: Option<Box<dyn Fn() + Send + Sync>>,
    wake: Option<Box<dyn Fn() + Send + Sync>>,
    drop: Option<Box<dyn Fn() + Send + Sync>>,
}

fn does(deed: &Option<Box<dyn Fn() + Send + Sync>>) {
    if let Some(deed) = deed {
        deed();
    }
}

/// The deeds of a waker with this data, which counts as one more copy of them.
fn deeds_of(data: *const ()) -> ManuallyDrop<Arc<Deeds>> {
    // SAFETY: from `raw`, by whose table this is called; the waker has not been dropped.
    ManuallyDrop::new(unsafe { Arc::from_raw(data.cast()) })
}

fn raw(deeds: &Arc<Deeds>) -> RawWaker {
    static TABLE: RawWakerVTable = RawWakerVTable::new(
        |data| {
            let deeds = deeds_of(data);
            does(&deeds.clone);
            raw(&deeds)
        },
        |data| {
            let deeds = ManuallyDrop::into_inner(deeds_of(data));
            does(&deeds.wake);
            does(&deeds.drop);
        },
        |data| does(&deeds_of(data).wake),
        |data| does(&ManuallyDrop::into_inner(deeds_of(data)).drop),
    );
    RawWaker::new(Arc::into_raw(deeds.clone()).cast(), &TABLE)
}

/// A waker that does as `deeds` say.
fn odd(deeds: &Arc<Deeds>) -> Waker {
    // SAFETY: the table's functions keep the contract of wakers; what they touch may be shared between threads.
    unsafe { Waker::from_raw(raw(deeds)) }
}

/// Something that uses the library: it waits, leaves, and looks.
fn meddle() -> Box<dyn Fn() + Send + Sync> {
    let (sender, receiver) = queue();
    let handles = Mutex::new((sender, receiver));
    Box::new(move || {
        let handles = handles.lock().unwrap();
        drop(another_wait(&handles.1));
        let event = Event::new(&Segment::create().unwrap()).unwrap();
        assert!(slipring::wait_any(&[&event], Duration::from_millis(1)).is_err());
    })
}

#[test]
fn a_waker_may_use_the_library_when_it_is_cloned_woken_and_dropped() {
    goes_on(|| {
        let deeds = Deeds { clone: Some(meddle()), wake: Some(meddle()), drop: Some(meddle()) };
        let deeds = Arc::new(deeds);
        let (mut sender, receiver) = queue();
        let mut waiting = receive(&receiver);
        wait_with(&mut waiting, &odd(&deeds));
        wait_with(&mut waiting, &odd(&deeds));
        sender.send(b"a message").unwrap();
        std::thread::sleep(Duration::from_millis(120));
        drop(waiting);
        // The driver may be calling one just now.
        slipring_tests::wait_until("all wakers to be dropped", PATIENCE, || {
            Arc::strong_count(&deeds) == 1
        });
    });
}

#[test]
fn a_waker_that_panics_as_it_is_cloned_leaves_nothing_behind() {
    goes_on(|| {
        let segment = Segment::create().unwrap();
        let file = rustix::fs::fstat(segment.share_fd().unwrap()).unwrap().st_ino;
        let (mut sender, receiver) = ByteQueue::bounded(&segment, 4).unwrap();
        let deeds =
            Deeds { clone: Some(Box::new(|| panic!("a clone's panic"))), ..Deeds::default() };
        let (deeds, mut waiting) = (Arc::new(deeds), receive(&receiver));
        let waker = odd(&deeds);
        let polled = catch_unwind(AssertUnwindSafe(|| poll(&mut waiting, &waker)));
        assert!(polled.is_err());
        drop((waiting, waker));
        assert_eq!(Arc::strong_count(&deeds), 1);
        // Others wait, and are woken.
        let (woken, mut waiting) = (Arc::new(Woken(AtomicU32::new(0))), receive(&receiver));
        wait_with(&mut waiting, &woken.clone().into());
        sender.send(b"a message").unwrap();
        woken.within(PATIENCE);
        assert!(poll(&mut waiting, Waker::noop()).is_ready());
        drop((waiting, sender, receiver, segment));
        // Whoever waits keeps the segment mapped.
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let is_its = |line: &str| line.split_whitespace().nth(4) == Some(&file.to_string());
        assert!(!maps.lines().any(is_its), "a wait was left behind");
    });
}

/// Whether it was woken.
struct Woken(AtomicU32);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(1, Ordering::Release);
    }
}

impl Woken {
    fn within(&self, patience: Duration) {
        let begun = std::time::Instant::now();
        while self.0.load(Ordering::Acquire) == 0 {
            assert!(begun.elapsed() < patience, "nobody was woken");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn a_waker_that_panics_as_it_is_woken_keeps_no_other_from_it() {
    goes_on(|| {
        let event = Event::new(&Segment::create().unwrap()).unwrap();
        let wait = || {
            let event = event.clone();
            Box::pin(async move { event.wait_async().await.map(|()| Vec::new()) }) as Waiting
        };
        let deeds =
            Deeds { wake: Some(Box::new(|| panic!("a waker's panic"))), ..Deeds::default() };
        let (odd, mut first, mut second) = (odd(&Arc::new(deeds)), wait(), wait());
        let ((mut sender, receiver), later) = (queue(), Arc::new(Woken(AtomicU32::new(0))));
        let mut third = receive(&receiver);
        wait_with(&mut third, &later.clone().into());
        wait_with(&mut first, &odd);
        let woken = Arc::new(Woken(AtomicU32::new(0)));
        wait_with(&mut second, &woken.clone().into());
        // One change for all: both are told by the driver in one go.
        event.set().unwrap();
        woken.within(PATIENCE);
        // And the driver goes on.
        sender.send(b"a message").unwrap();
        later.within(PATIENCE);
    });
}
