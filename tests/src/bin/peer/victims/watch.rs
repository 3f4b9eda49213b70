//! Victims that watch, and victims that ring for those who do.

use std::time::Duration;

use slipring::{
    ByteReceiver, ByteSender, Event, Mutex, OrRecover, PipeReader, PipeWriter, Semaphore, wait_any,
};
use slipring_tests::message;

use super::common::{SHORT, next};
use crate::command::{Args, inherited};

/// Waits for everything that it was given, again and again, now as a thread, now in a task, and takes what there is.
pub fn wait(_: &mut Args) {
    let mut inherited = inherited();
    let mut rx: ByteReceiver = inherited.take("rx").unwrap();
    let mut reader: PipeReader = inherited.take("r").unwrap();
    let mut writer: PipeWriter = inherited.take("w").unwrap();
    let semaphore: Semaphore = inherited.take("semaphore").unwrap();
    let event: Event = inherited.take("event").unwrap();
    let mutex: Mutex<u64> = inherited.take("mutex").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for round in 0..10 {
        let _ = wait_any(&[&rx, &reader, &semaphore, &event, &mutex], SHORT);
        drop(mutex.try_lock().or_recover());
        let _ = (rx.try_recv(), reader.try_recv(), semaphore.try_acquire(), event.clear());
        runtime.block_on(async {
            tokio::select! {
                _ = rx.recv_async() => {}
                _ = reader.recv_async() => {}
                _ = semaphore.acquire_async() => {}
                _ = event.wait_async() => {}
                guard = mutex.lock_async() => {
                    let guard = guard.or_recover().unwrap();
                    let _ = tokio::time::timeout(SHORT, mutex.lock_async()).await;
                    drop(guard);
                }
                () = tokio::time::sleep(SHORT) => {}
            }
            let sent = writer.send_async(&[1; 60]);
            let _ = tokio::time::timeout(SHORT, sent).await;
        });
        if round % 3 == 0 {
            // Time for the others to wait.
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Makes everything ready that it was given, for others who watch it.
pub fn ring(_: &mut Args) {
    let mut inherited = inherited();
    let mut tx: ByteSender = inherited.take("tx").unwrap();
    let mut writer: PipeWriter = inherited.take("w").unwrap();
    let semaphore: Semaphore = inherited.take("semaphore").unwrap();
    let event: Event = inherited.take("event").unwrap();
    let mutex: Mutex<u64> = inherited.take("mutex").unwrap();
    let (mut in_queue, mut in_pipe, mut bytes) = (0, 0, Vec::new());
    for _ in 0..12 {
        // Each time the others are back to waiting.
        let pause = || std::thread::sleep(Duration::from_millis(1));
        pause();
        next(&mut in_queue, &mut bytes);
        tx.send(&bytes).unwrap();
        pause();
        message::write(message::Stamp { producer: 0, number: in_pipe }, message::MIXED, &mut bytes);
        in_pipe += 1;
        writer.send(&bytes).unwrap();
        pause();
        semaphore.release(1).unwrap();
        pause();
        event.set().unwrap();
        let mut guard = mutex.lock().or_recover().unwrap();
        pause();
        guard.set(guard.get() + 1);
    }
}
