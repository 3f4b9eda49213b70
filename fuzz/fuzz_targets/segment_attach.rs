//! Files and memory that a hostile process wrote: errors and garbage messages are fine; a crash, a panic, a hang or an
//! access out of bounds is not.
//!
//! Either any file at all is attached to, or a segment in use is scribbled over between our own operations on it.
#![no_main]

#[path = "segment_attach/attach.rs"]
mod attach;
#[path = "segment_attach/live.rs"]
mod live;
mod ops;
#[path = "segment_attach/scribble.rs"]
mod scribble;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Input {
    Attach(attach::Input),
    Live(live::Input),
}

fuzz_target!(|input: Input| match input {
    Input::Attach(input) => attach::run(input),
    Input::Live(input) => live::run(input),
});
