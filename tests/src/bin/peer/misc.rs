//! Futexes, memory that runs out.

use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use slipring::{ByteQueue, Error, Segment, SegmentOptions};
use slipring_core::futex::{self, Deadline, Scope};
use slipring_core::primitive::AtomicU32;

use super::command::{Args, say};

/// Runs `command` if it is one of these.
pub fn run(command: &str, args: &mut Args) -> bool {
    match command {
        "futex-wait" => futex_wait(args),
        "full-tmpfs" => full_tmpfs(),
        "too-many" => too_many(),
        _ => return false,
    }
    true
}

/// `futex-wait FD SCOPE`: sleeps on the first word of a file, and says what woke it.
fn futex_wait(args: &mut Args) {
    let fd: i32 = args.number();
    let scope = if args.text() == "shared" { Scope::Shared } else { Scope::Private };
    // SAFETY: the test passes an open descriptor of its own by this number.
    let file = unsafe { OwnedFd::from_raw_fd(fd) };
    let map = memmap2::MmapOptions::new().len(4096).map_raw(&file).unwrap();
    // SAFETY: the page is mapped for as long as this process runs; an atomic may be written by anybody.
    let word = unsafe { &*map.as_mut_ptr().cast::<AtomicU32>() };
    let start = Instant::now();
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let nanos = (now.tv_sec as u64 + 3) * 1_000_000_000 + now.tv_nsec as u64;
    say("waiting");
    let wake = futex::wait(word, 0, scope, Some(Deadline { nanos }));
    say(&format!("{wake:?} {}", start.elapsed().as_millis()));
}

/// Mounts a small tmpfs of its own and fills it through a segment: an error, no signal, and nothing is lost.
fn full_tmpfs() {
    use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
    use rustix::thread::UnshareFlags;

    let root = rustix::process::geteuid().is_root();
    let spaces =
        UnshareFlags::NEWNS | if root { UnshareFlags::empty() } else { UnshareFlags::NEWUSER };
    // SAFETY: this process has one thread and shares nothing that a namespace of its own would change.
    if let Err(error) = unsafe { rustix::thread::unshare_unsafe(spaces) } {
        return say(&format!("skipped: no namespaces: {error}"));
    }
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    let _ = mount_change("/", private);
    if let Err(error) = mount("none", "/mnt", "tmpfs", MountFlags::empty(), Some(c"size=8m")) {
        return say(&format!("skipped: no mount: {error}"));
    }
    let file = std::fs::File::options().read(true).write(true).create_new(true).open("/mnt/s");
    let file = file.unwrap();
    let segment = Segment::create_in(file.as_fd(), SegmentOptions::new().reserve(1 << 30)).unwrap();
    let other = Segment::another_from_fd(&file).unwrap();
    let (mut tx, mut rx) = ByteQueue::bounded(&segment, 64).unwrap();
    let mut sent = 0_u8;
    let error = loop {
        match tx.send(&vec![sent; 1 << 20]) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::NoSpace { .. }), "{error}");
    assert!((2..8).contains(&sent), "{sent} messages of 1 MiB went into 8 MiB");
    assert!(matches!(ByteQueue::bounded(&other, 1 << 20), Err(Error::NoSpace { .. })));
    // The others go on, and what was sent is whole.
    for expected in 0..sent {
        assert!(rx.recv().unwrap().iter().all(|byte| *byte == expected));
    }
    tx.send(&[1; 5000]).unwrap();
    tx.send(&vec![2; 1 << 20]).unwrap();
    assert_eq!(rx.recv().unwrap().len() + rx.recv().unwrap().len(), 5000 + (1 << 20));
    say("ok");
}

/// Attaches until the segment is full of participants.
fn too_many() {
    let limits = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let wanted = rustix::process::Rlimit { current: limits.maximum, ..limits };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, wanted).unwrap();
    let segment = Segment::with(SegmentOptions::new().reserve(64 << 20)).unwrap();
    let fd = segment.share_fd().unwrap();
    let mut all = vec![segment];
    let error = loop {
        match Segment::another_from_fd(&fd) {
            Ok(one_more) => all.push(one_more),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::TooManyParticipants { max: 1023 }), "{error}");
    assert_eq!(all.len(), 1023);
    let (mut tx, mut rx) = ByteQueue::bounded(&all[0], 4).unwrap();
    tx.send(b"the others go on").unwrap();
    assert_eq!(rx.recv().unwrap(), b"the others go on");
    all.pop();
    std::thread::sleep(Duration::from_millis(50));
    assert!(Segment::another_from_fd(&fd).is_ok(), "a place that was left is given again");
    say("ok");
}
