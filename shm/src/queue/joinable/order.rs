//! Which item of a queue came first, in one number: the level of its ring in the chain, then its position there.

/// Bits of an item's order that hold its position in a ring; above them is the ring's level.
const POSITION_BITS: u32 = 58;

/// Where in the whole queue a position of the ring of a level comes.
pub(super) fn order_of(level: usize, position: u64) -> u64 {
    (level as u64) << POSITION_BITS | position & ((1 << POSITION_BITS) - 1)
}

/// Level and position of an order.
pub(super) fn position_of(order: u64) -> (usize, u64) {
    ((order >> POSITION_BITS) as usize, order & ((1 << POSITION_BITS) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_tells_level_and_position_and_later_rings_come_later() {
        for (level, position) in [(0, 0), (3, 77), (25, (1 << POSITION_BITS) - 1)] {
            assert_eq!(position_of(order_of(level, position)), (level, position));
        }
        assert!(order_of(0, u64::MAX) < order_of(1, 0));
    }
}
