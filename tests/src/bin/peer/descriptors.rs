//! Programs that close all descriptors above 2, as daemons do, and open files of their own, which get the same numbers.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use slipring::{
    Acceptor, ByteQueue, ByteReceiver, ByteSender, Connection, Error, Event, LockError, Mutex,
    Pipe, PipeOptions, Segment, Until,
};
use slipring_tests::log::Directory;

use super::command::{Args, inherited, say, sleep_for_ever};
use super::forks::fork;

/// Runs `command` if it is one of these.
pub fn run(command: &str, args: &mut Args) -> bool {
    match command {
        "closed-descriptors" => closed_descriptors(),
        "closed-pipe" => closed_pipe(),
        "closed-acceptor" => closed_acceptor(args),
        "closed-as-nobody" => closed_as_nobody(),
        "fork-without-descriptors" => fork_without_descriptors(),
        "daemon" => daemon(),
        _ => return false,
    }
    true
}

/// The program's own files, which nobody else may write into, lengthen or lock.
struct Files(Vec<(std::path::PathBuf, File)>);

impl Files {
    const CONTENT: &[u8] = b"mine\n";

    /// Closes all descriptors above 2, and opens files that get their numbers.
    fn in_place_of_all(folder: &Path) -> Self {
        // SAFETY: what had these descriptors is the library, which has to cope with it.
        assert_eq!(unsafe { libc::close_range(3, libc::c_uint::MAX, 0) }, 0);
        let file = |n| {
            let path = folder.join(format!("log{n}"));
            let mut file = File::options();
            let mut file = file.read(true).write(true).create_new(true).open(&path).unwrap();
            file.write_all(Self::CONTENT).unwrap();
            (path, file)
        };
        Self((0..32).map(file).collect())
    }

    /// They are as they were, and not locked by us.
    fn check(&self) {
        for (path, file) in &self.0 {
            let mut content = [0; 64];
            let read = file.read_at(&mut content, 0).unwrap();
            assert_eq!(&content[..read], Self::CONTENT, "{}", path.display());
            let other = File::open(path).unwrap();
            let mut range: libc::flock = libc::flock {
                l_type: libc::F_WRLCK as _,
                l_whence: libc::SEEK_SET as _,
                l_start: 0,
                l_len: 0,
                l_pid: 0,
            };
            let fd = std::os::fd::AsRawFd::as_raw_fd(&other);
            // SAFETY: an open descriptor, and a range that the kernel may write to.
            assert_eq!(unsafe { libc::fcntl(fd, libc::F_OFD_GETLK, &raw mut range) }, 0);
            assert_eq!(range.l_type, libc::F_UNLCK as libc::c_short, "{}", path.display());
        }
    }
}

/// Everything that needs a descriptor, or memory, in the segment.
fn work_in(segment: &Segment, lines: &mut ByteSender) -> Result<(), Error> {
    lines.send(&vec![7; 3 << 20])?;
    let (mut tx, mut rx) = ByteQueue::bounded(segment, 4)?;
    for _ in 0..8 {
        tx.send(&vec![1; 1 << 20])?;
        assert_eq!(rx.recv()?.len(), 1 << 20);
    }
    segment.trim()?;
    let (mut reader, mut writer) = Pipe::one_way(segment)?;
    writer.send(b"through a new pipe")?;
    assert_eq!(reader.recv()?, b"through a new pipe");
    Event::new(segment)?.set()?;
    segment.share_fd()?;
    assert_eq!(segment.participants().iter().filter(|p| p.is_dead).count(), 0);
    Ok(())
}

/// Holds a lock of a segment whose descriptors are closed, then works in the segment, and forks.
fn closed_descriptors() {
    let mut inherited = inherited();
    let segment = inherited.segment().clone();
    let mutex: Mutex<u64> = inherited.take("mutex").unwrap();
    let mut lines: ByteSender = inherited.take("lines").unwrap();
    drop(inherited);
    let folder = Directory::new("closed");
    let files = Files::in_place_of_all(folder.path());
    let mut guard = mutex.lock().unwrap();
    say("held");
    std::thread::sleep(Duration::from_millis(400));
    guard.set(13);
    drop(guard);
    work_in(&segment, &mut lines).unwrap();
    let child = fork(|| {
        mutex.lock().unwrap().set(14);
        lines.send(b"from a child").unwrap();
        files.check();
    });
    super::forks::join(child);
    files.check();
    // What is dropped now must close none of the program's descriptors.
    drop((mutex, lines, segment));
    files.check();
    say("done");
}

/// An end of a pipe whose socket is closed: messages go on through shared memory, and the end of the handle is the end of
/// the pipe.
fn closed_pipe() {
    let mut inherited = inherited();
    let mut connection: Connection = inherited.take("pipe").unwrap();
    drop(inherited);
    connection.send(b"before").unwrap();
    let folder = Directory::new("closed-pipe");
    let files = Files::in_place_of_all(folder.path());
    assert_eq!(connection.recv().unwrap(), b"after");
    // More than the ring holds: this end waits for room, and the other one for messages.
    for _ in 0..2000 {
        connection.send(&[1; 100]).unwrap();
    }
    let empty = connection.recv_until(Duration::from_millis(30));
    assert!(matches!(empty, Err(Error::TimedOut)), "{empty:?}");
    files.check();
    drop(connection);
    files.check();
    say("done");
    sleep_for_ever();
}

/// An acceptor whose socket is closed.
fn closed_acceptor(args: &mut Args) {
    let acceptor = Acceptor::create(&args.text(), PipeOptions::new()).unwrap();
    let folder = Directory::new("closed-acceptor");
    let files = Files::in_place_of_all(folder.path());
    let accepted = acceptor.accept_until(Duration::from_millis(10)).map(drop);
    assert!(matches!(accepted, Err(Error::DescriptorsClosed)), "{accepted:?}");
    files.check();
    drop(acceptor);
    files.check();
    say("done");
}

/// A process that may not open the segment's file again, and has lost it: what needs no descriptor goes on, the rest is an
/// error, and the others see that it lives.
fn closed_as_nobody() {
    let mut inherited = inherited();
    let segment = inherited.segment().clone();
    let mutex: Mutex<u64> = inherited.take("mutex").unwrap();
    let mut lines: ByteSender = inherited.take("lines").unwrap();
    drop(inherited);
    let folder = std::env::temp_dir();
    // SAFETY: this process has one thread.
    if unsafe { libc::setresuid(65534, 65534, 65534) } != 0 {
        return say("skipped: only root can become somebody else");
    }
    let own = folder.join(format!("slipring-nobody-{}", std::process::id()));
    std::fs::create_dir(&own).unwrap();
    let files = Files::in_place_of_all(&own);
    let mut guard = mutex.lock().unwrap();
    say("held");
    std::thread::sleep(Duration::from_millis(400));
    guard.set(13);
    drop(guard);
    lines.send(&vec![1; 1 << 20]).unwrap();
    let made = Event::new(&segment).map(drop);
    assert!(matches!(made, Err(Error::DescriptorsClosed)), "{made:?}");
    let shared = segment.share_fd().map(drop);
    assert!(matches!(shared, Err(Error::DescriptorsClosed)), "{shared:?}");
    let child = fork(|| {
        assert!(matches!(lines.send(b"x"), Err(Error::Forked)));
        assert!(matches!(mutex.try_lock(), Err(LockError::Failed(Error::Forked))));
    });
    super::forks::join(child);
    files.check();
    let _ = std::fs::remove_dir_all(&own);
    say("done");
    sleep_for_ever();
}

/// Holds a lock, forks a child that can have no place of its own for want of descriptors, and waits to be killed; the child
/// lives on.
fn fork_without_descriptors() {
    let mut inherited = inherited();
    let mutex: Mutex<u64> = inherited.take("mutex").unwrap();
    drop(inherited);
    let guard = mutex.lock().unwrap();
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a limit of this process's own.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const none) }, 0);
    let child = fork(|| {
        assert!(matches!(mutex.try_lock(), Err(LockError::Failed(Error::Forked))));
        std::thread::sleep(Duration::from_secs(30));
    });
    say(&format!("{child}"));
    let _guard = guard;
    sleep_for_ever();
}

/// A library has made a queue and a lock; the program becomes a daemon, and goes on with them and with new ones.
fn daemon() {
    let segment = Segment::create().unwrap();
    let (mut tx, mut rx) = ByteQueue::bounded(&segment, 16).unwrap();
    let mutex = Mutex::new(&segment, 0_u64).unwrap();
    let folder = Directory::new("daemon");
    let path = folder.path().to_owned();
    let first = fork(|| {
        let second = fork(|| {
            let files = Files::in_place_of_all(&path);
            let workers = [1, 2].map(|_| {
                fork(|| {
                    for _ in 0..1000 {
                        let mut guard = mutex.lock().unwrap();
                        let seen = guard.get();
                        guard.set(seen + 1);
                    }
                    tx.send(b"done").unwrap();
                })
            });
            workers.into_iter().for_each(super::forks::join);
            assert_eq!(mutex.lock().unwrap().get(), 2000);
            for _ in 0..2 {
                assert_eq!(rx.recv_until(Duration::from_secs(5)).unwrap(), b"done");
            }
            let own = Segment::create().unwrap();
            let (mut tx, mut rx): (ByteSender, ByteReceiver) = ByteQueue::unbounded(&own).unwrap();
            tx.send(&vec![3; 1 << 20]).unwrap();
            assert_eq!(rx.recv_until(Until::NOW).unwrap().len(), 1 << 20);
            files.check();
        });
        super::forks::join(second);
    });
    super::forks::join(first);
    say("done");
}
