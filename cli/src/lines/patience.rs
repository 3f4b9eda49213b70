//! How long nothing may happen.

use std::time::{Duration, Instant};

/// A wait for the queue lasts this long at most before the command looks around.
const SLICE: Duration = Duration::from_millis(100);

/// Counts the time in which nothing happens.
#[derive(Debug)]
pub struct Patience {
    limit: Option<Duration>,
    since: Option<Instant>,
}

impl Patience {
    /// For so long; for ever without a limit.
    pub fn new(limit: Option<Duration>) -> Self {
        Self { limit, since: None }
    }

    /// Something happened.
    pub fn renew(&mut self) {
        self.since = None;
    }

    /// How long to wait now; `None` when it is used up.
    pub fn slice(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        let Some(limit) = self.limit else { return Some(SLICE) };
        let left = limit.checked_sub(now - since).filter(|left| !left.is_zero())?;
        Some(left.min(SLICE))
    }
}

/// Seconds as users write them: `5`, `0.25`.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "it is no number of seconds".to_owned())?;
    Duration::try_from_secs_f64(number).map_err(|_| "it is no length of time".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_ends_with_its_limit_and_begins_anew_when_something_happens() {
        let mut none = Patience::new(Some(Duration::ZERO));
        assert_eq!(none.slice(), None);
        assert_eq!(Patience::new(None).slice(), Some(SLICE));
        let mut long = Patience::new(Some(Duration::from_secs(60)));
        assert_eq!(long.slice(), Some(SLICE));
        let mut short = Patience::new(Some(Duration::from_millis(2)));
        while short.slice().is_some() {}
        short.renew();
        assert!(short.slice().is_some());
    }

    #[test]
    fn seconds_are_numbers_that_are_a_time() {
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        assert!(["", "x", "-1", "nan", "1e300"].iter().all(|text| seconds(text).is_err()));
    }
}
