//! What codecs deliver: the value that was sent, or an error, in queues of all kinds and in pipes.
//!
//! | file | what it holds |
//! |---|---|
//! | `everywhere.rs` | a value through each kind of channel |
//! | `attributes.rs` | serde's attributes and types, one by one: the table of the module `codec` |
//! | `channels.rs` | what each channel has beyond sending and receiving; handles; codecs that differ |
//! | `bytes.rs` | values and bytes at random |

mod attributes;
mod bytes;
mod channels;
mod everywhere;
