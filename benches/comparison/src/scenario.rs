//! What is measured: one-way throughput at several sizes, and round trips.

use slipring_benches::stream::Amount;

/// Bytes of a message that makes a round trip.
pub const TRIP_BYTES: usize = 64;

/// One thing that every contender is asked to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scenario {
    /// Messages of so many bytes one way, as fast as they go.
    OneWay(usize),
    /// One message there and back, both sides looking for it all the time.
    Spinning,
    /// One message there and back, both sides asleep until it comes.
    Blocking,
}

impl Scenario {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 7] = [
        Self::OneWay(8),
        Self::OneWay(64),
        Self::OneWay(1 << 10),
        Self::OneWay(64 << 10),
        Self::OneWay(1 << 20),
        Self::Spinning,
        Self::Blocking,
    ];

    /// Its name on the command line and in `results.json`.
    pub fn name(self) -> String {
        match self {
            Self::OneWay(bytes) => format!("one-way-{bytes}"),
            Self::Spinning => "round-trip-spinning".into(),
            Self::Blocking => "round-trip-blocking".into(),
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scenario| scenario.name() == name)
    }

    /// Its heading.
    pub fn title(self) -> String {
        match self {
            Self::OneWay(bytes) => format!("One way, {}", size_name(bytes)),
            Self::Spinning => format!("Round trip of {TRIP_BYTES} B, both sides spin"),
            Self::Blocking => format!("Round trip of {TRIP_BYTES} B, both sides block"),
        }
    }

    /// What to know before one reads its figures.
    pub fn note(self) -> &'static str {
        match self {
            Self::OneWay(_) => {
                "The sender copies each message in, the receiver reads all of it, by a copy or in place. Channels wait \
                 as they do unless told otherwise; iceoryx2, rtrb and ArrayQueue have no way to wait for a message, \
                 so the program looks again, with growing pauses."
            }
            Self::Spinning => {
                "Whoever waits looks again at once; the kernel's channels are told not to block."
            }
            Self::Blocking => {
                "Ours are told to sleep at once, as the kernel's do. crossbeam-channel looks a while before it sleeps, \
                 cannot be told not to, and so hardly ever sleeps here. iceoryx2 sends a message and an event."
            }
        }
    }

    /// Bytes of a message.
    pub fn bytes(self) -> usize {
        match self {
            Self::OneWay(bytes) => bytes,
            Self::Spinning | Self::Blocking => TRIP_BYTES,
        }
    }

    /// Whether messages go there and back.
    pub fn is_round_trip(self) -> bool {
        !matches!(self, Self::OneWay(_))
    }

    /// How many messages a channel holds that counts in messages: the same for all.
    pub fn capacity(self) -> usize {
        match self {
            Self::OneWay(bytes) if bytes > 64 << 10 => 8,
            Self::OneWay(bytes) if bytes > 1 << 10 => 64,
            Self::OneWay(_) => 1024,
            Self::Spinning | Self::Blocking => 16,
        }
    }

    /// `count` messages to be timed, and two laps before, which touch the memory.
    pub fn amount(self, count: u64) -> Amount {
        Amount { warm: 2 * self.capacity() as u64, count }
    }
}

/// "64 KiB", say.
fn size_name(bytes: usize) -> String {
    match bytes {
        b if b >= 1 << 20 => format!("{} MiB", b >> 20),
        b if b >= 1 << 10 => format!("{} KiB", b >> 10),
        b => format!("{b} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::Scenario;

    #[test]
    fn every_scenario_is_found_by_its_name_and_no_two_share_one() {
        for scenario in Scenario::ALL {
            assert_eq!(Scenario::named(&scenario.name()), Some(scenario));
        }
        assert_eq!(Scenario::named("one-way-9"), None);
    }

    #[test]
    fn sizes_are_named_in_the_largest_unit_that_divides_them() {
        assert_eq!(Scenario::OneWay(8).title(), "One way, 8 B");
        assert_eq!(Scenario::OneWay(64 << 10).title(), "One way, 64 KiB");
        assert_eq!(Scenario::OneWay(1 << 20).title(), "One way, 1 MiB");
    }
}
