//! What operations cost that nobody contends for: a loop in a child on one CPU.

use std::time::{Duration, Instant};

use slipring::{ByteQueue, ByteReceiver, ByteSender, Mutex, Named, QueueOptions, Segment};

use crate::cpu;
use crate::processes::{run, span};
use crate::shared::Shared;

/// Nanoseconds of one call of `operation` out of `count`, in a child on a CPU of its own. A tenth more are made before
/// time is counted.
pub fn nanos_of(count: u64, mut operation: impl FnMut(u64)) -> f64 {
    let cpu = cpu::allowed().first().copied();
    let reports = run(&[cpu], |_, gate| {
        (0..count.div_ceil(10)).for_each(&mut operation);
        gate.pass();
        (0..count).for_each(&mut operation);
        [0; 4]
    });
    let elapsed: Duration = span(&reports);
    elapsed.as_nanos() as f64 / count as f64
}

/// Nanoseconds that it takes to open a queue by its name; closing it again is not counted.
///
/// # Panics
///
/// If names cannot be had.
pub fn nanos_of_opening(count: u64) -> f64 {
    let name = format!("bench-{}", std::process::id());
    let receiver = ByteReceiver::create(&name, QueueOptions::bounded(16)).expect("a name");
    let open = || {
        let start = Instant::now();
        let sender = ByteSender::open(&name).expect("it is there");
        let elapsed = start.elapsed();
        drop(sender);
        elapsed
    };
    let _warm: Duration = (0..count.div_ceil(10)).map(|_| open()).sum();
    let all: Duration = (0..count).map(|_| open()).sum();
    drop(receiver);
    all.as_nanos() as f64 / count as f64
}

/// Takes the lock and gives it back.
///
/// # Panics
///
/// If the lock is not to be had.
#[inline]
pub fn lock_and_unlock(mutex: &Mutex<u64>) {
    drop(mutex.lock().expect("nobody died"));
}

/// A robust mutex of the C library between processes: what ours is compared with.
#[derive(Debug)]
pub struct PthreadMutex(Shared);

impl Default for PthreadMutex {
    fn default() -> Self {
        Self::new()
    }
}

impl PthreadMutex {
    /// A free one.
    ///
    /// # Panics
    ///
    /// If the C library has none.
    pub fn new() -> Self {
        let memory = Shared::new(4096);
        let mutex = memory.at().cast::<libc::pthread_mutex_t>().as_ptr();
        // SAFETY: a struct of integers: zero is a value.
        let mut attributes: libc::pthread_mutexattr_t = unsafe { std::mem::zeroed() };
        // SAFETY: valid places: ours, and fresh memory that is larger than a mutex.
        let results = unsafe {
            let at = &raw mut attributes;
            [
                libc::pthread_mutexattr_init(at),
                libc::pthread_mutexattr_setpshared(at, libc::PTHREAD_PROCESS_SHARED),
                libc::pthread_mutexattr_setrobust(at, libc::PTHREAD_MUTEX_ROBUST),
                libc::pthread_mutex_init(mutex, at),
            ]
        };
        assert_eq!(results, [0; 4], "a robust mutex between processes");
        Self(memory)
    }

    /// Takes the lock and gives it back.
    ///
    /// # Panics
    ///
    /// If the lock is not to be had.
    #[inline]
    pub fn lock_and_unlock(&self) {
        let mutex = self.0.at().cast::<libc::pthread_mutex_t>().as_ptr();
        // SAFETY: initialised by `new`, and given back by who took it.
        let results =
            unsafe { [libc::pthread_mutex_lock(mutex), libc::pthread_mutex_unlock(mutex)] };
        assert_eq!(results, [0; 2], "lock and unlock");
    }
}

/// A queue through which one process sends blocks to itself without touching them.
#[derive(Debug)]
pub struct Lending {
    sender: ByteSender,
    receiver: ByteReceiver,
    size: usize,
}

impl Lending {
    /// Blocks of `size` bytes.
    ///
    /// # Panics
    ///
    /// Without memory.
    pub fn new(segment: &Segment, size: usize) -> Self {
        let (sender, receiver) = ByteQueue::bounded(segment, 8).expect("a queue");
        Self { sender, receiver, size }
    }

    /// Loan, send, receive a view, release.
    ///
    /// # Panics
    ///
    /// If what comes is not as long as what was sent.
    #[inline]
    pub fn go_round(&mut self) {
        let loan = self.sender.loan(self.size).expect("memory");
        self.sender.send_loan(loan).expect("room");
        let view = self.receiver.recv_view().expect("a message");
        assert_eq!(view.len(), self.size);
    }
}
