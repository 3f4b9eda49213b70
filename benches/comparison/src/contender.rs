//! Who is compared: ours and the rivals, what each can do, and how a sample of it is taken.

use crate::ends::threads::{self, Array, Channel, Rtrb};
use crate::ends::{kernel, ours};
use crate::exchange::{Site, Timing};
use crate::scenario::Scenario;

/// The longest message that channels of values carry by value here.
const BY_VALUE: usize = 1 << 10;
/// The longest packet that fits a socket's buffer as it comes.
const PACKET: usize = 64 << 10;

/// A channel that takes part.
pub struct Contender {
    /// Its name on the command line and in `results.json`.
    pub name: &'static str,
    /// Its name in the tables.
    pub title: &'static str,
    /// The crate that it comes from; none for the kernel's.
    pub package: Option<&'static str>,
    /// Whether it is one of ours.
    pub ours: bool,
    /// Where its two roles live.
    pub site: Site,
    /// Why it does not take part in a scenario; none where it does.
    pub unfit: fn(Scenario) -> Option<&'static str>,
    /// Takes a sample of so many messages or round trips; none if this build left it out.
    pub sample: Option<fn(Scenario, u64) -> Timing>,
}

/// All of them, ours first.
pub static ALL: [Contender; 13] = [
    ours("slots", "Slots", values_only, ours::slots),
    ours("pipe", "Pipe", always, ours::pipe),
    ours("queue", "Queue", always, ours::queue),
    ours("queue-lent", "Queue, read in place", long_only, ours::lent),
    in_threads("rtrb", "rtrb", never_blocks, threads::sample::<Rtrb>),
    in_threads("crossbeam-queue", "crossbeam ArrayQueue", never_blocks, threads::sample::<Array>),
    in_threads("crossbeam-channel", "crossbeam-channel", always, threads::sample::<Channel>),
    iceoryx("iceoryx2", "iceoryx2 publish-subscribe", always, sample::PUBLISH),
    iceoryx("iceoryx2-request", "iceoryx2 request-response", spinning_only, sample::REQUEST),
    of_kernel("os-pipe", "OS pipe", always, kernel::pipe),
    of_kernel("os-pipe-1m", "OS pipe, buffer of 1 MiB", always, kernel::large_pipe),
    of_kernel("socket-stream", "Unix sockets, SOCK_STREAM", always, kernel::stream),
    of_kernel("socket-packets", "Unix sockets, SOCK_SEQPACKET", packets_only, kernel::packets),
];

/// What a build may leave out.
mod sample {
    use super::{Scenario, Timing};

    #[cfg(feature = "iceoryx2")]
    pub const PUBLISH: Option<fn(Scenario, u64) -> Timing> = Some(crate::ends::iceoryx::publish);
    #[cfg(feature = "iceoryx2")]
    pub const REQUEST: Option<fn(Scenario, u64) -> Timing> = Some(crate::ends::iceoryx::request);
    #[cfg(not(feature = "iceoryx2"))]
    pub const PUBLISH: Option<fn(Scenario, u64) -> Timing> = None;
    #[cfg(not(feature = "iceoryx2"))]
    pub const REQUEST: Option<fn(Scenario, u64) -> Timing> = None;
}

type Unfit = fn(Scenario) -> Option<&'static str>;
type Sample = fn(Scenario, u64) -> Timing;

const fn ours(name: &'static str, title: &'static str, unfit: Unfit, sample: Sample) -> Contender {
    let (package, sample) = (Some("slipring"), Some(sample));
    Contender { name, title, package, ours: true, site: Site::Processes, unfit, sample }
}

/// A crate whose package has the contender's name.
const fn in_threads(
    name: &'static str,
    title: &'static str,
    unfit: Unfit,
    sample: Sample,
) -> Contender {
    let (package, sample) = (Some(name), Some(sample));
    Contender { name, title, package, ours: false, site: Site::Threads, unfit, sample }
}

const fn of_kernel(
    name: &'static str,
    title: &'static str,
    unfit: Unfit,
    sample: Sample,
) -> Contender {
    let sample = Some(sample);
    Contender { name, title, package: None, ours: false, site: Site::Processes, unfit, sample }
}

const fn iceoryx(
    name: &'static str,
    title: &'static str,
    unfit: Unfit,
    sample: Option<Sample>,
) -> Contender {
    let (package, site) = (Some("iceoryx2"), Site::Processes);
    Contender { name, title, package, ours: false, site, unfit, sample }
}

fn always(_: Scenario) -> Option<&'static str> {
    None
}

fn values_only(scenario: Scenario) -> Option<&'static str> {
    (scenario.bytes() > BY_VALUE)
        .then_some("carries values of one size: for long messages there are the others")
}

fn long_only(scenario: Scenario) -> Option<&'static str> {
    let long = scenario.bytes() >= BY_VALUE;
    (!long).then_some("pays for long messages only")
}

fn never_blocks(scenario: Scenario) -> Option<&'static str> {
    (scenario == Scenario::Blocking).then_some("cannot block")
}

fn packets_only(scenario: Scenario) -> Option<&'static str> {
    (scenario.bytes() > PACKET).then_some("a packet has to fit the socket's buffer, some 200 KiB")
}

fn spinning_only(scenario: Scenario) -> Option<&'static str> {
    match scenario {
        Scenario::OneWay(_) => Some("every request has its answer"),
        Scenario::Blocking => Some("cannot block; publish-subscribe with events can"),
        Scenario::Spinning => None,
    }
}

/// The one of this name.
pub fn named(name: &str) -> Option<&'static Contender> {
    ALL.iter().find(|contender| contender.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contender_is_found_by_its_name_and_no_two_share_one() {
        for contender in &ALL {
            assert_eq!(named(contender.name).map(|found| found.title), Some(contender.title));
        }
        assert!(named("nobody").is_none());
    }

    #[test]
    fn every_contender_takes_part_somewhere() {
        for contender in &ALL {
            let fits = |scenario| (contender.unfit)(scenario).is_none();
            assert!(Scenario::ALL.into_iter().any(fits), "{}", contender.name);
        }
    }

    #[test]
    fn every_scenario_compares_one_of_ours_with_a_rival() {
        for scenario in Scenario::ALL {
            let takes_part =
                |ours| ALL.iter().any(|one| one.ours == ours && (one.unfit)(scenario).is_none());
            assert!(takes_part(true) && takes_part(false), "{}", scenario.name());
        }
    }
}
