//! A pool of three limited resources (licences, say) for processes that may be killed while they have one: a bounded semaphore
//! gets a dead holder's permit back.
//!
//! `cargo run --example resource_pool`

use std::env;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use slipring::{BoundedSemaphore, Mutex, Named, OrRecover, Result};

const LICENCES: u32 = 3;
const CLIENTS: usize = 6;

fn main() -> Result<()> {
    // This program starts itself as its clients, which find the pool by its name as any other program could.
    match env::var("POOL") {
        Ok(name) => client(&name),
        Err(_) => watch(),
    }
}

fn watch() -> Result<()> {
    let name = format!("licences-{}", std::process::id());
    let pool = BoundedSemaphore::create(&name, LICENCES)?;
    let most = Mutex::create(&format!("{name}-most"), [0_u32; 2])?;

    let mut clients: Vec<Child> = (0..CLIENTS).map(|_| start(&name)).collect();
    std::thread::sleep(Duration::from_millis(100));
    // Three of them are killed, with or without a licence in their hands.
    clients.iter_mut().take(3).for_each(|client| client.kill().expect("a child of ours"));
    for client in &mut clients {
        client.wait().expect("a child of ours");
    }

    // All licences are to be had again: those of the dead too.
    let start = Instant::now();
    for _ in 0..LICENCES {
        pool.acquire_until(Duration::from_secs(5))?;
    }
    println!("all {LICENCES} licences were back after {:?}", start.elapsed());
    pool.release(LICENCES)?;
    let [_, most] = most.lock().or_recover()?.get();
    println!("at most {most} were used at a time");
    assert!((1..=LICENCES).contains(&most));
    Ok(())
}

fn start(name: &str) -> Child {
    let program = env::current_exe().expect("this program has a path");
    Command::new(program).env("POOL", name).spawn().expect("this program starts")
}

/// Uses a licence for a short time, again and again.
fn client(name: &str) -> Result<()> {
    let pool = BoundedSemaphore::open(name)?;
    let in_use = Mutex::<[u32; 2]>::open(&format!("{name}-most"))?;
    for _ in 0..20 {
        pool.acquire()?;
        note(&in_use, LICENCES - pool.value())?;
        std::thread::sleep(Duration::from_millis(10));
        pool.release(1)?;
    }
    Ok(())
}

/// Notes how many licences are used now, and the most that ever were.
fn note(in_use: &Mutex<[u32; 2]>, now: u32) -> Result<()> {
    // Any mixture of old and new is fine: two numbers that each are right.
    let mut guard = in_use.lock().or_recover()?;
    let [_, most] = guard.get();
    guard.set([now, most.max(now)]);
    Ok(())
}
