//! Objects of every kind under a hostile peer: errors and garbage values are fine; a crash, a panic, a hang or an access
//! out of bounds is not.
//!
//! Either a named segment is scribbled over between our own operations on what is in it, and looked at by an observer; or
//! a parcel is changed on its way, and received.
#![no_main]

#[path = "segment_objects/channels.rs"]
mod channels;
#[path = "segment_objects/limits.rs"]
mod limits;
#[path = "segment_objects/locks.rs"]
mod locks;
mod ops;
#[path = "segment_objects/parcel.rs"]
mod parcel;
#[path = "segment_objects/rig.rs"]
mod rig;
#[path = "segment_attach/scribble.rs"]
mod scribble;
#[path = "segment_objects/values.rs"]
mod values;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Input {
    Live(rig::Input),
    Parcel(parcel::Input),
}

fuzz_target!(|input: Input| match input {
    Input::Live(input) => rig::run(input),
    Input::Parcel(input) => parcel::run(input),
});
