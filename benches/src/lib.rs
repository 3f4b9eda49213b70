//! What the benchmarks need: processes that start together, messages that are checked, a tag for where the two CPUs
//! are, and rivals.
//!
//! | module | what it holds |
//! |---|---|
//! | [`processes`] | children by fork that pass a gate together and report |
//! | [`stream`] | messages one way, and round trips, over anything that takes and gives messages |
//! | [`message`] | messages that show whether they came whole and in order |
//! | [`channels`] | our rings and channels, the kernel's, and a rival's, as ends of a stream |
//! | [`raw`] | the least that a ring can be: the limit that the others are measured against |
//! | [`alone`] | what operations cost that nobody contends for |
//! | [`probe`] | the round trip of a cache line, which tells near CPUs from far ones |
//! | [`load`] | how much of the machine others used meanwhile |
//! | [`cpu`] | which CPUs there are, and pinning |
//! | [`shared`] | memory that forked children share |

pub mod alone;
pub mod channels;
pub mod cpu;
pub mod load;
pub mod message;
pub mod probe;
pub mod processes;
pub mod raw;
pub mod shared;
pub mod stream;

/// The middle one of several values; `None` of none.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_middle_one_whatever_the_order() {
        assert_eq!(median(vec![9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(vec![]), None);
    }
}
