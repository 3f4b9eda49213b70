//! What is between threads holds no descriptor and no mapping of a file. A program of its own: the process must have no
//! other tests.

use std::fs;

use slipring::local::{
    Barrier, BoundedSemaphore, Condvar, Event, Mutex, Pipe, Queue, ReentrantMutex, Semaphore,
};
use slipring::{Error, OrRecover};

/// How many descriptors there are, and how many mappings of files.
fn held() -> (usize, usize) {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let files = maps.lines().filter(|line| line.contains('/')).count();
    (fs::read_dir("/proc/self/fd").unwrap().count(), files)
}

#[test]
fn all_of_it_is_used_and_no_descriptor_and_no_file_is_held() {
    let before = held();
    let (mut sender, mut receiver) = Queue::unbounded().unwrap();
    let (mut here, mut there) = Pipe::<u8>::duplex().unwrap();
    let (mutex, condvar, event) = (Mutex::new(0_u8), Condvar::new(), Event::new());
    let (lock, barrier) = (ReentrantMutex::new(), Barrier::new(2).unwrap());
    let (semaphore, bounded) = (Semaphore::new(0).unwrap(), BoundedSemaphore::new(1).unwrap());
    std::thread::scope(|s| {
        let other = s.spawn(|| -> Result<(), Error> {
            *mutex.lock().or_recover()? += receiver.recv()?;
            condvar.notify_all()?;
            event.wait()?;
            semaphore.release(1)?;
            let value = there.recv()?;
            there.send(value)?;
            barrier.wait()?;
            Ok(())
        });
        sender.send(7).unwrap();
        let mut guard = mutex.lock().unwrap();
        while *guard == 0 {
            condvar.wait(&mut guard).unwrap();
        }
        drop(guard);
        event.set().unwrap();
        semaphore.acquire().unwrap();
        bounded.acquire().unwrap();
        bounded.release(1).unwrap();
        let _both = (lock.lock().unwrap(), lock.lock().unwrap());
        here.send(9).unwrap();
        assert_eq!(here.recv().unwrap(), 9);
        barrier.wait().unwrap();
        other.join().unwrap().unwrap();
    });
    assert_eq!(held(), before, "while all of them live");
    drop((mutex, sender, here));
}
