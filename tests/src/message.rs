//! Messages that say who sent them, which one of its they are, and whether they are whole.

/// Who sent a message, and its number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Stamp {
    /// The producer.
    pub producer: u32,
    /// Counted from 0 by the producer.
    pub number: u64,
}

/// The size that stands for "of all sizes": inline ones, small ones, some of many pages.
pub const MIXED: usize = 0;
/// The shortest message; it is inline in a descriptor.
pub const SHORTEST: usize = 7;

/// The message with this stamp, of `size` bytes or of [`MIXED`] sizes.
pub fn write(stamp: Stamp, size: usize, into: &mut Vec<u8>) {
    into.clear();
    into.push(u8::try_from(stamp.producer).expect("few producers"));
    into.extend_from_slice(&stamp.number.to_le_bytes()[..6]);
    let size = if size == MIXED { mixed_size(stamp) } else { size };
    into.extend((SHORTEST..size).map(|at| filler(stamp, at)));
}

/// The stamp of a message. Panics where it is torn.
pub fn read(message: &[u8]) -> Stamp {
    assert!(message.len() >= SHORTEST, "a message of {} bytes", message.len());
    let mut number = [0; 8];
    number[..6].copy_from_slice(&message[1..7]);
    let stamp = Stamp { producer: message[0].into(), number: u64::from_le_bytes(number) };
    for (at, byte) in message.iter().enumerate().skip(SHORTEST) {
        assert_eq!(*byte, filler(stamp, at), "{stamp:?} is torn at {at} of {}", message.len());
    }
    stamp
}

/// The key of a message in a priority queue: some are equal.
pub fn key(stamp: Stamp) -> u64 {
    stamp.number * 7 % 5
}

fn filler(stamp: Stamp, at: usize) -> u8 {
    let mixed =
        stamp.number.wrapping_mul(31).wrapping_add(u64::from(stamp.producer) * 7 + at as u64);
    (mixed ^ mixed >> 8) as u8
}

fn mixed_size(stamp: Stamp) -> usize {
    match stamp.number % 16 {
        0 => SHORTEST,
        1..=9 => 64,
        10..=13 => 300,
        14 => 5000,
        _ => 70_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_back_and_a_torn_one_is_noticed() {
        let mut bytes = Vec::new();
        for number in 0..32 {
            let stamp = Stamp { producer: 7, number };
            write(stamp, MIXED, &mut bytes);
            assert_eq!(read(&bytes), stamp);
        }
        write(Stamp { producer: 1, number: 2 }, 100, &mut bytes);
        bytes[50] ^= 1;
        assert!(std::panic::catch_unwind(|| read(&bytes)).is_err());
    }
}
