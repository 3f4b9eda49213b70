//! What is measured: a channel, with messages of one size.

use clap::ValueEnum;

/// What messages go over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Channel {
    Slots,
    Records,
    Queue,
    Pipe,
    OsPipe,
    #[value(name = "socketpair")]
    SocketPair,
}

impl Channel {
    /// What users call it.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// One thing to measure.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub channel: Channel,
    pub size: usize,
    /// Where this process and the other one run, if there are two places.
    pub cpus: Option<[usize; 2]>,
}
