//! A feed of prices: one process sends ticks through a slot ring, another keeps the book and measures how old each tick is
//! when it is seen.
//!
//! `cargo run --release --example market_feed`

use std::env;
use std::process::Command;
use std::time::Duration;

use bytemuck::{Pod, Zeroable};
use slipring::{
    Error, Handoff, Inherited, Result, Segment, SlotReceiver, SlotSender, Slots, SpinPolicy,
};

const TICKS: u64 = 200_000;
const SYMBOLS: u32 = 8;

/// A change of a price: one cache line, with its place in the ring.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Tick {
    number: u64,
    /// When it was sent: nanoseconds of CLOCK_MONOTONIC.
    sent: u64,
    /// In hundredths.
    bid: i64,
    ask: i64,
    symbol: u32,
    size: u32,
}

fn main() -> Result<()> {
    // This program starts itself as the feed: that is handed something.
    match Inherited::from_env() {
        Ok(inherited) => feed(inherited),
        Err(Error::NotInherited(_)) => watch(),
        Err(error) => Err(error),
    }
}

fn watch() -> Result<()> {
    let segment = Segment::create()?;
    // Somebody who waits for prices has a CPU to spare: spin for a while before sleeping.
    segment.set_spin(SpinPolicy::For(Duration::from_micros(200)));
    let (sender, mut receiver): (SlotSender<Tick>, SlotReceiver<Tick>) =
        Slots::new(&segment, 1024)?;
    let mut handoff = Handoff::new(&segment);
    handoff.give("ticks", &sender)?;
    let program = env::current_exe().expect("this program has a path");
    let mut child = handoff.spawn(&mut Command::new(program))?;
    drop(sender);

    let mut book = [(0_i64, 0_i64); SYMBOLS as usize];
    let (mut ages, mut next) = (Vec::with_capacity(TICKS as usize), 0);
    loop {
        let tick = match receiver.recv() {
            Ok(tick) => tick,
            // The feed has ended, or was killed: what it sent has been received.
            Err(Error::Disconnected) => break,
            Err(error) => return Err(error),
        };
        ages.push(now().saturating_sub(tick.sent));
        assert_eq!(tick.number, next, "in order, none lost, none twice");
        next += 1;
        // A peer's word is not to be trusted with an index.
        if let Some(entry) = book.get_mut(tick.symbol as usize) {
            *entry = (tick.bid, tick.ask);
        }
    }
    assert_eq!(next, TICKS);
    ages.sort_unstable();
    let at = |part: usize| Duration::from_nanos(ages[ages.len() * part / 1000]);
    println!(
        "{next} ticks; seen after {:?} (half of them), {:?} (99 %), {:?} (99.9 %)",
        at(500),
        at(990),
        at(999)
    );
    for (symbol, (bid, ask)) in book.iter().enumerate() {
        assert!(bid < ask);
        println!(
            "symbol {symbol}: {}.{:02} / {}.{:02}",
            bid / 100,
            bid % 100,
            ask / 100,
            ask % 100
        );
    }
    assert!(child.wait().is_ok_and(|status| status.success()));
    Ok(())
}

fn feed(mut inherited: Inherited) -> Result<()> {
    inherited.segment().set_spin(SpinPolicy::For(Duration::from_micros(200)));
    let mut ticks: SlotSender<Tick> = inherited.take("ticks")?;
    let mut random = 1_u64;
    let mut price = [10_000_i64; SYMBOLS as usize];
    for number in 0..TICKS {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let symbol = (random >> 33) as u32 % SYMBOLS;
        price[symbol as usize] += (random >> 40) as i64 % 3 - 1;
        let bid = price[symbol as usize].max(100);
        ticks.send(&Tick { number, sent: now(), bid, ask: bid + 2, symbol, size: 100 })?;
        // Ticks come in bursts of ten.
        if number % 10 == 9 {
            let until = now() + 5_000;
            while now() < until {
                std::hint::spin_loop();
            }
        }
    }
    Ok(())
}

/// A clock that all processes share.
fn now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
