//! The first byte of a message: what follows.
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

pub const NONE: u8 = 1;
pub const TRUE: u8 = 2;
pub const FALSE: u8 = 3;
pub const INT: u8 = 4;
pub const FLOAT: u8 = 5;
pub const STR: u8 = 6;
pub const BYTES: u8 = 7;
pub const BYTEARRAY: u8 = 8;
pub const PICKLE_AND_BUFFERS: u8 = 9;
/// The opcode that begins a pickle.
pub const PICKLE: u8 = 0x80;
