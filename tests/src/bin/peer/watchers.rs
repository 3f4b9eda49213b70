//! What peers do that wait for several objects at once, or in tasks.

use std::os::fd::AsRawFd;
use std::time::Duration;

use slipring::{
    ByteJoinableReceiver, ByteReceiver, ByteSender, Connection, Error, Event, Inherited, Mutex,
    OrRecover, PipeReader, PipeWriter, Semaphore, Watch, wait_any,
};
use slipring_tests::log::Log;
use slipring_tests::message::{self, MIXED, Stamp};
use slipring_tests::peer::PATIENCE;

use super::command::{Args, inherited, say, sleep_for_ever};

/// Runs `command` if it is one of these.
pub fn run(command: &str, args: &mut Args) -> bool {
    match command {
        "act" => act(args),
        "serve-any" => serve_any(),
        "answer" => answer(),
        "fork-watch" => fork_watch(),
        "idle-watch" => idle_watch(args),
        "no-inotify" => no_inotify(),
        "consume-any" => consume_any(args),
        "release-each" => release_each(args),
        "async-consume" => block_on(async_consume(args)),
        "async-produce" => block_on(async_produce(args)),
        "async-echo" => block_on(async_echo()),
        "async-limited" => block_on(async_limited(args)),
        "async-fork" => async_fork(),
        "async-wait-for-ever" => block_on(async_wait_for_ever()),
        _ => return false,
    }
    true
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future)
}

/// `act WHAT…`: does each of these with what it was given, after a pause, and says so.
fn act(args: &mut Args) {
    let mut inherited = inherited();
    let what: Vec<_> = args.0.by_ref().collect();
    say("ready");
    for what in what {
        std::thread::sleep(Duration::from_millis(10));
        match what.as_str() {
            "send" => inherited.take::<ByteSender>("tx").unwrap().send(b"from a peer").unwrap(),
            "receive" => drop(inherited.take::<ByteReceiver>("rx").unwrap().recv().unwrap()),
            "write" => inherited.take::<PipeWriter>("w").unwrap().send(b"from a peer").unwrap(),
            "read" => {
                let mut reader = inherited.take::<PipeReader>("r").unwrap();
                while reader.recv_until(Duration::from_millis(100)).is_ok() {}
            }
            "release" => inherited.take::<Semaphore>("semaphore").unwrap().release(1).unwrap(),
            "set" => drop(inherited.take::<Event>("event").unwrap().set().unwrap()),
            "lock" => {
                let mutex = inherited.take::<Mutex<u64>>("mutex").unwrap();
                let guard = mutex.lock().or_recover().unwrap();
                say("held");
                std::thread::sleep(Duration::from_millis(30));
                drop(guard);
            }
            "lock-for-ever" => {
                let mutex = inherited.take::<Mutex<u64>>("mutex").unwrap();
                let _guard = mutex.lock().or_recover().unwrap();
                say("held");
                sleep_for_ever();
            }
            "give-back" => {
                let mut tasks = inherited.take::<ByteJoinableReceiver>("tasks").unwrap();
                let lease = tasks.recv().unwrap();
                say("leased");
                std::thread::sleep(Duration::from_millis(30));
                drop(lease);
            }
            "hold" => {
                say("held");
                let _all = hold_all(&mut inherited);
                sleep_for_ever();
            }
            other => panic!("{other:?} is nothing to do"),
        }
        say(&what);
    }
}

/// Sends a message to `tx` for each one that comes from `rx`.
fn answer() {
    let mut inherited = inherited();
    let (mut rx, mut tx): (ByteReceiver, ByteSender) =
        (inherited.take("rx").unwrap(), inherited.take("tx").unwrap());
    say("ready");
    while let Ok(question) = rx.recv() {
        tx.send(&question).unwrap();
    }
}

/// Whether a watch's descriptor is readable, after `wait` at most.
fn is_readable(watch: &mut Watch<Semaphore>, wait: Duration) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
    let fd = PollFd::from_borrowed_fd(watch.as_fd().unwrap(), PollFlags::IN);
    poll(&mut [fd], Some(&wait)).unwrap() > 0
}

/// Waits until what is watched is ready, as an event loop does.
fn await_ready(watch: &mut Watch<Semaphore>) {
    let start = std::time::Instant::now();
    while !watch.ready().unwrap() {
        assert!(start.elapsed() < PATIENCE, "nobody told us");
        is_readable(watch, PATIENCE);
    }
}

/// `idle-watch MILLISECONDS`: says how often it is woken in that time, though nothing happens.
fn idle_watch(args: &mut Args) {
    let segment = slipring_tests::segment();
    let mut watch = Watch::new(Semaphore::new(&segment, 0).unwrap()).unwrap();
    let (start, mut wakes) = (std::time::Instant::now(), 0);
    let end = Duration::from_millis(args.number());
    while start.elapsed() < end {
        wakes += u32::from(is_readable(&mut watch, end.saturating_sub(start.elapsed())));
        assert!(!watch.ready().unwrap());
    }
    say(&wakes.to_string());
}

/// A watch that is forked serves both processes, and neither notices what the other one does with its own.
fn fork_watch() {
    let segment = slipring_tests::segment();
    let (one, done) = (Semaphore::new(&segment, 1).unwrap(), Semaphore::new(&segment, 0).unwrap());
    let (mut watch, mut idle) =
        (Watch::new(one.clone()).unwrap(), Watch::new(one.clone()).unwrap());
    assert!(watch.ready().unwrap() && is_readable(&mut watch, Duration::ZERO));
    let number = watch.as_fd().unwrap().as_raw_fd();
    let child = super::forks::fork(|| {
        assert!(is_readable(&mut watch, Duration::ZERO));
        assert_ne!(watch.as_fd().unwrap().as_raw_fd(), number, "one of its own");
        one.try_acquire().unwrap();
        assert!(!watch.ready().unwrap());
        done.release(1).unwrap();
        await_ready(&mut watch);
        one.try_acquire().unwrap();
        assert!(!watch.ready().unwrap());
        // Dropped here, one that was made anew and one that was not.
        watch = Watch::new(one.clone()).unwrap();
        idle = Watch::new(one.clone()).unwrap();
        done.release(1).unwrap();
        assert!(!watch.ready().unwrap() && !idle.ready().unwrap());
    });
    done.acquire_until(PATIENCE).unwrap();
    assert_eq!(watch.as_fd().unwrap().as_raw_fd(), number);
    assert!(is_readable(&mut watch, Duration::ZERO), "until we have looked ourselves");
    assert!(!watch.ready().unwrap());
    one.release(1).unwrap();
    done.acquire_until(PATIENCE).unwrap();
    // The child has taken what there was, and dropped its own.
    assert!(!watch.ready().unwrap() && !idle.ready().unwrap());
    super::forks::join(child);
    one.release(1).unwrap();
    await_ready(&mut watch);
    await_ready(&mut idle);
    assert!(is_readable(&mut watch, Duration::ZERO) && is_readable(&mut idle, Duration::ZERO));
    say("ok");
}

/// Whatever there is of handles that keep a side.
fn hold_all(inherited: &mut Inherited) -> (Option<ByteSender>, Option<PipeWriter>) {
    (inherited.take("tx").ok(), inherited.take("w").ok())
}

/// Serves whichever of `event`, `semaphore`, `rx`, `r` is ready, until the event is set, and says what it did.
fn serve_any() {
    let mut inherited = inherited();
    let event: Event = inherited.take("event").unwrap();
    let semaphore: Semaphore = inherited.take("semaphore").unwrap();
    let mut rx: ByteReceiver = inherited.take("rx").unwrap();
    let mut reader: PipeReader = inherited.take("r").unwrap();
    say("ready");
    loop {
        match wait_any(&[&event, &semaphore, &rx, &reader], None::<Duration>).unwrap() {
            0 => return say("event"),
            1 if semaphore.try_acquire().is_ok() => say("semaphore"),
            2 if rx.try_recv().is_ok() => say("queue"),
            3 if reader.try_recv().is_ok() => say("pipe"),
            _ => {}
        }
    }
}

/// Waits where no inotify instance is to be had: no descriptor is.
fn no_inotify() {
    let segment = slipring_tests::segment();
    let (event, semaphore) = (Event::new(&segment).unwrap(), Semaphore::new(&segment, 0).unwrap());
    let limits = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let none = rustix::process::Rlimit { current: Some(0), ..limits };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, none).unwrap();
    assert!(matches!(wait_any(&[&event], slipring::Until::NOW), Err(Error::WouldBlock)));
    assert!(wait_any(&[&event, &semaphore], None::<Duration>).is_err());
    let error = block_on_nothing(semaphore.acquire_async());
    assert!(matches!(error, Error::CannotWatch { .. }), "{error}");
    assert!(error.to_string().contains("fs.inotify.max_user_instances"), "{error}");
    semaphore.release(1).unwrap();
    assert_eq!(wait_any(&[&event, &semaphore], None::<Duration>).unwrap(), 1);
    say("ok");
}

/// What the first poll of a future gives, which must be an error.
fn block_on_nothing(future: impl Future<Output = slipring::Result<()>>) -> Error {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(Err(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// `consume-any LOG`: logs what it receives from `rx1` and `rx2` until both are at their end.
fn consume_any(args: &mut Args) {
    let mut log = Log::append(std::path::Path::new(&args.text()));
    let mut inherited = inherited();
    let mut queues: Vec<ByteReceiver> =
        ["rx1", "rx2"].map(|name| inherited.take(name).unwrap()).into();
    while !queues.is_empty() {
        let all: Vec<_> = queues.iter().map(|rx| rx as &dyn slipring::Waitable).collect();
        let index = wait_any(&all, None::<Duration>).unwrap();
        match queues[index].try_recv() {
            Ok(message) => log.write(message::read(&message)),
            Err(Error::WouldBlock) => {}
            Err(Error::Disconnected | Error::Closed) => drop(queues.remove(index)),
            Err(error) => panic!("{error}"),
        }
    }
}

/// `release-each OBJECTS COUNT`: so many permits to each of the semaphores `0`, `1` …, one at a time.
fn release_each(args: &mut Args) {
    let (objects, count): (u32, u32) = (args.number(), args.number());
    let mut inherited = inherited();
    let all: Vec<Semaphore> =
        (0..objects).map(|n| inherited.take(&n.to_string()).unwrap()).collect();
    for _ in 0..count {
        all.iter().for_each(|semaphore| semaphore.release(1).unwrap());
    }
}

/// `async-consume TASKS LOG`: so many tasks receive from `rx`, and what they get is logged.
async fn async_consume(args: &mut Args) {
    let (tasks, path): (usize, _) = (args.number(), args.text());
    let rx: ByteReceiver = inherited().take("rx").unwrap();
    let tasks: Vec<_> = (0..tasks)
        .map(|_| {
            let (mut rx, mut log) = (rx.try_clone().unwrap(), Log::append(path.as_ref()));
            tokio::spawn(async move {
                loop {
                    match rx.recv_async().await {
                        Ok(message) => log.write(message::read(&message)),
                        Err(Error::Disconnected | Error::Closed) => return,
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    drop(rx);
    say("ready");
    for task in tasks {
        task.await.unwrap();
    }
}

/// `async-produce ID COUNT`: sends so many messages of all sizes to `tx`.
async fn async_produce(args: &mut Args) {
    let (producer, count) = (args.number(), args.number());
    let mut tx: ByteSender = inherited().take("tx").unwrap();
    let mut bytes = Vec::new();
    for number in 0..count {
        message::write(Stamp { producer, number }, MIXED, &mut bytes);
        tx.send_async(&bytes).await.unwrap();
    }
}

/// Sends back what it receives from `pipe`.
async fn async_echo() {
    let mut connection: Connection = inherited().take("pipe").unwrap();
    say("ready");
    loop {
        match connection.recv_async().await {
            Ok(message) => connection.send_async(&message).await.unwrap(),
            Err(Error::Disconnected) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// `async-limited TASKS ROUNDS`: adds one to both words of `mutex`, in tasks.
async fn async_limited(args: &mut Args) {
    let (tasks, rounds): (usize, usize) = (args.number(), args.number());
    let mutex: Mutex<[u64; 2]> = inherited().take("mutex").unwrap();
    let tasks: Vec<_> = (0..tasks)
        .map(|_| {
            let mutex = mutex.clone();
            tokio::spawn(async move {
                for _ in 0..rounds {
                    let mut guard = mutex.lock_async().await.or_recover().unwrap();
                    let [one, two] = guard.get();
                    assert_eq!(one, two, "somebody else is in here");
                    tokio::task::yield_now().await;
                    guard.set([one + 1, two + 1]);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Waits for everything that it was given, in tasks, to be killed.
async fn async_wait_for_ever() {
    let mut inherited = inherited();
    let rx: Option<ByteReceiver> = inherited.take("rx").ok();
    let semaphore: Option<Semaphore> = inherited.take("semaphore").ok();
    let one = tokio::spawn(async move {
        if let Some(mut rx) = rx {
            let _ = rx.recv_async().await;
            sleep_for_ever();
        }
    });
    let two = tokio::spawn(async move {
        if let Some(semaphore) = semaphore {
            let _ = semaphore.acquire_async().await;
            sleep_for_ever();
        }
    });
    tokio::task::yield_now().await;
    say("waiting");
    let _ = tokio::join!(one, two);
}

/// Waits for a message in one task, and forks: the child waits for a permit in a runtime of its own.
fn async_fork() {
    let mut inherited = inherited();
    let mut rx: ByteReceiver = inherited.take("rx").unwrap();
    let semaphore: Semaphore = inherited.take("semaphore").unwrap();
    drop(inherited);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let waiting = runtime.spawn(async move { rx.recv_async().await });
    runtime.block_on(async { tokio::time::sleep(Duration::from_millis(5)).await });
    let child = super::forks::fork(|| {
        block_on(async {
            let acquired = tokio::spawn(async move { semaphore.acquire_async().await });
            tokio::time::sleep(Duration::from_millis(5)).await;
            say("child waits");
            tokio::time::timeout(PATIENCE, acquired).await.unwrap().unwrap().unwrap();
            say("child acquired");
        });
    });
    let received = runtime.block_on(async { tokio::time::timeout(PATIENCE, waiting).await });
    assert_eq!(received.unwrap().unwrap().unwrap(), b"for the parent");
    say("parent received");
    super::forks::join(child);
}
