//! What Python objects look like as messages.
//!
//! A message of a queue is *marked* or not. One that is not is plain bytes, and comes out as `bytes`, whoever put it
//! there; so `bytes` are put without a mark. A marked message begins with a tag. Pipes have no marks: what `send` writes
//! is always the tagged form, in which `bytes` have a tag, too.
//!
//! | first byte | what follows |
//! |---|---|
//! | 1 `None`, 2 `True`, 3 `False` | nothing |
//! | 4 int | 1 to 8 bytes, little-endian, signed: as many as the number needs |
//! | 5 float | 0 to 8 bytes, the highest of the double, little-endian: lower ones are 0 |
//! | 6 str | UTF-8 |
//! | 7 bytes, 8 bytearray | the bytes |
//! | 9 pickle with buffers | see `layout.rs` |
//! | 0x80 pickle | a pickle of protocol 2 or later begins with this byte itself |
//!
//! An int of up to 48 bits, the constants and many floats take at most 7 bytes: they travel in a queue's descriptor,
//! without a block. Everything else is pickled with the C pickler, protocol 5, and the reducers that are registered with
//! `multiprocessing` and `copyreg`; buffers that objects offer lie beside the pickle and are copied once.
//!
//! | file | what it holds |
//! |---|---|
//! | `encode.rs` | objects to messages |
//! | `decode.rs` | messages to objects |
//! | `layout.rs` | where pickle and buffers lie in a message |
//! | `pickling.rs` | the pickler and the unpickler |
//! | `export.rs` | other objects' memory |
//! | `wire.rs` | both by themselves |
//! | `block.rs` | messages that Python objects lie on |

mod block;
mod decode;
mod encode;
mod export;
mod layout;
mod pickling;
mod wire;

pub use block::{Memory, fill_view};
pub use decode::{decode, decode_long};
pub use encode::{BytesAs, Encoded, encode, encode_around};
pub use wire::{decode_message, encode_message};

/// Longer messages are copied without the interpreter's lock.
pub const LONG: usize = 64 << 10;
/// Longer messages are not copied out of the queue before they are decoded.
pub const MAX_COPY: usize = 4 << 10;

const NONE: u8 = 1;
const TRUE: u8 = 2;
const FALSE: u8 = 3;
const INT: u8 = 4;
const FLOAT: u8 = 5;
const STR: u8 = 6;
const BYTES: u8 = 7;
const BYTEARRAY: u8 = 8;
const PICKLE_AND_BUFFERS: u8 = 9;
/// The opcode that begins a pickle.
const PICKLE: u8 = 0x80;
