//! What Python objects look like as messages.
//!
//! A message of a queue is *marked* or not. One that is not is plain bytes, and comes out as `bytes`, whoever put it
//! there; so `bytes` are put without a mark. A marked message begins with a tag. Pipes have no marks: what `send` writes
//! is always the tagged form, in which `bytes` have a tag, too.
//!
//! An int of up to 48 bits, the constants and many floats take at most 7 bytes: they travel in a queue's descriptor,
//! without a block. Everything else is pickled with the C pickler, protocol 5, and the reducers that are registered with
//! `multiprocessing` and `copyreg`; the memory of arrays and memoryviews lies beside the pickle and is copied once.
//!
//! | file | what it holds |
//! |---|---|
//! | `tags.rs` | the first byte, and what follows each |
//! | `encode.rs` | objects to messages |
//! | `decode.rs` | messages to objects |
//! | `layout.rs` | where pickle and buffers lie in a message |
//! | `pickling.rs` | the pickler and the unpickler |
//! | `beside.rs` | whose memory lies beside the pickle |
//! | `export.rs` | other objects' memory |
//! | `wire.rs` | both by themselves |
//! | `block.rs` | messages that Python objects lie on |

mod beside;
mod block;
mod decode;
mod encode;
mod export;
mod layout;
mod pickling;
mod tags;
mod wire;

pub use beside::Beside;
pub use block::{Memory, fill_view};
pub use decode::{LONG, MAX_COPY, decode, decode_long};
pub use encode::{BytesAs, Encoded, encode, encode_around};
pub use wire::{decode_message, encode_message};
