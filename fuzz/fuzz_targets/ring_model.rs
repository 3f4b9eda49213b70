//! Sequences of operations on one ring, or on the block pool, against a plain model: one thread, several handles.
//!
//! After every operation its result, and every length that can be asked for, must be what the model says.
#![no_main]

#[path = "../../core/tests/support/memory.rs"]
mod memory;
#[path = "ring_model/mpmc.rs"]
mod mpmc;
mod ops;
#[path = "ring_model/pool.rs"]
mod pool;
#[path = "ring_model/records.rs"]
mod records;
#[path = "ring_model/slots.rs"]
mod slots;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Input {
    Mpmc(mpmc::Input),
    Slots(slots::Input),
    Records(records::Input),
    Pool(pool::Input),
}

fuzz_target!(|input: Input| match input {
    Input::Mpmc(input) => mpmc::run(input),
    Input::Slots(input) => slots::run(input),
    Input::Records(input) => records::run(input),
    Input::Pool(input) => pool::run(input),
});
