//! Sends readings to a C program (receiver.c beside this) through a queue that both know by name.
//!
//! `cargo run -p slipring-c --example sender -- readings`

use std::env;

use slipring::{ByteSender, Named, QueueOptions, Result};

fn main() -> Result<()> {
    let name = env::args().nth(1).unwrap_or_else(|| "readings".to_owned());
    let mut readings = ByteSender::open_or_create(&name, QueueOptions::bounded(64))?;
    for number in 0..1000_u32 {
        let value = 20.0 + f64::from(number % 11) / 10.0;
        // As `struct reading` in the C program: 16 bytes, numbers in the byte order of the machine.
        let mut message = [0; 16];
        message[..4].copy_from_slice(&7_u32.to_ne_bytes());
        message[4..8].copy_from_slice(&number.to_ne_bytes());
        message[8..].copy_from_slice(&value.to_ne_bytes());
        readings.send(&message)?;
    }
    Ok(())
}
