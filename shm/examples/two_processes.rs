//! A parent and a forked child with a queue, a pipe and a mutex between them: all that two processes do with each other, in
//! little. It runs under valgrind: see the chapter "Under valgrind and sanitizers" of the guide.
//!
//! `cargo run --example two_processes`

use std::process::exit;

use slipring::{ByteQueue, Mutex, OrRecover, Pipe, Result, Segment};

const MESSAGES: u64 = 200;
/// Some are in the queue's own slots, some in blocks, some in large ones.
const SIZES: [usize; 4] = [5, 100, 5000, 200_000];

fn main() -> Result<()> {
    let segment = Segment::create()?;
    let (mut sender, mut receiver) = ByteQueue::bounded(&segment, 8)?;
    let (mut here, mut there) = Pipe::duplex(&segment)?;
    let total = Mutex::new(&segment, 0_u64)?;

    // SAFETY: this process has one thread.
    let child = unsafe { libc::fork() };
    if child == 0 {
        drop((receiver, here));
        let done = work(&mut sender, &mut there, &total);
        exit(i32::from(done.is_err()));
    }
    drop((sender, there));

    let mut bytes = 0;
    while let Ok(message) = receiver.recv() {
        assert!(message.iter().all(|byte| *byte == message[0]), "a message arrives whole");
        bytes += message.len() as u64;
        count(&total)?;
    }
    here.send(b"how many bytes?")?;
    let answer = here.recv()?;
    let sent = u64::from_le_bytes(answer.try_into().expect("the child sends a number"));

    let mut status = 0;
    // SAFETY: `status` is a place for it, and `child` a child of this process.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!((status, bytes), (0, sent));
    let total = total.lock().or_recover()?.get();
    assert_eq!(total, 2 * MESSAGES);
    println!("{MESSAGES} messages of {bytes} bytes, counted {total} times by two processes");
    Ok(())
}

fn work(
    sender: &mut slipring::ByteSender,
    pipe: &mut slipring::Connection,
    total: &Mutex<u64>,
) -> Result<()> {
    let mut bytes = 0_u64;
    for number in 0..MESSAGES {
        let message = vec![number as u8; SIZES[number as usize % SIZES.len()]];
        bytes += message.len() as u64;
        sender.send(&message)?;
        count(total)?;
    }
    // Nobody sends any more: that is the end of the parent's loop.
    sender.close();
    assert_eq!(pipe.recv()?, b"how many bytes?");
    pipe.send(&bytes.to_le_bytes())
}

fn count(total: &Mutex<u64>) -> Result<()> {
    let mut total = total.lock().or_recover()?;
    let before = total.get();
    total.set(before + 1);
    Ok(())
}
