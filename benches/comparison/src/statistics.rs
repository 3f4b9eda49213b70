//! The middle of several values, and percentiles.

/// The value that `percent` of all are at or below, by the nearest rank: always one of them. NaN of none.
pub fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// How many messages the next calibrating sample should have, given that `count` took `elapsed` nanoseconds and
/// `wanted` are wanted. Grows by a hundred at most, because the first messages tell little of the others.
pub fn next_count(count: u64, elapsed: f64, wanted: f64) -> u64 {
    let factor = (wanted / elapsed.max(1.0)).clamp(0.01, 100.0);
    ((count as f64 * factor) as u64).max(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_value_at_the_nearest_rank_whatever_the_order() {
        let values: Vec<_> = (1..=200).rev().map(f64::from).collect();
        assert_eq!([50.0, 99.0, 100.0].map(|p| percentile(&values, p)), [100.0, 198.0, 200.0]);
        assert_eq!(percentile(&[7.0], 99.0), 7.0);
        assert_eq!(percentile(&[7.0], 0.0), 7.0);
        assert!(percentile(&[], 50.0).is_nan());
    }

    #[test]
    fn a_calibration_aims_at_the_wanted_time_but_not_too_far() {
        assert_eq!(next_count(1000, 2e6, 10e6), 5000);
        assert_eq!(next_count(64, 1e3, 1e9), 6400, "a hundred times at most");
        assert_eq!(next_count(64, 1e9, 1e6), 16, "sixteen at least");
        assert_eq!(next_count(64, 0.0, 1e6), 6400);
    }
}
