//! What is printed.

use serde::Serialize;

use super::measure::{Times, no_times};
use super::setup::{Channel, Setup};
use crate::failure::Failure;
use crate::print;
use crate::seen::{self, table};

/// What was measured of one channel with one size.
pub struct Cell {
    pub setup: Setup,
    rates: Vec<f64>,
    times: Times,
}

impl Cell {
    /// Nothing yet.
    pub fn new(setup: Setup) -> Result<Self, Failure> {
        Ok(Self { setup, rates: Vec::new(), times: no_times()? })
    }

    /// So many messages per second went one way.
    pub fn streamed(&mut self, rate: f64) {
        self.rates.push(rate);
    }

    /// Round trips took so long.
    pub fn returned(&mut self, times: &Times) -> Result<(), Failure> {
        self.times.add(times).map_err(|error| Failure::Run(error.to_string()))
    }

    fn rate(&self) -> f64 {
        let mut rates = self.rates.clone();
        rates.sort_by(f64::total_cmp);
        rates.get(rates.len() / 2).copied().unwrap_or(0.0)
    }
}

/// Everything that was measured.
pub struct Report<'a> {
    pub cpus: Option<[usize; 2]>,
    pub cells: &'a [Cell],
}

/// One row for programs.
#[derive(Serialize)]
struct Row {
    channel: String,
    size: usize,
    messages_per_second: f64,
    bytes_per_second: f64,
    round_trips: u64,
    p50_ns: u64,
    p99_ns: u64,
    p99_9_ns: u64,
    max_ns: u64,
    times_os_pipe: Option<f64>,
}

#[derive(Serialize)]
struct Json {
    cpus: Option<[usize; 2]>,
    cells: Vec<Row>,
}

const HEADING: [&str; 9] =
    ["SIZE", "CHANNEL", "MSG/S", "MB/S", "P50", "P99", "P99.9", "MAX", "VS PIPE"];

impl Report<'_> {
    /// Prints it on the standard output stream.
    pub fn print(&self, json: bool) -> Result<(), Failure> {
        let cells: Vec<_> = self.cells.iter().map(|cell| self.row(cell)).collect();
        if json {
            return print::json(&Json { cpus: self.cpus, cells });
        }
        let place = match self.cpus {
            Some([a, b]) => format!("Between CPUs {a} and {b}"),
            None => "Both processes on one CPU".to_owned(),
        };
        let rows: Vec<_> = cells.iter().map(|row| seen::Row::from(row.cells())).collect();
        print::text(&format!("{place}; round trips in microseconds.\n\n{}", table(&HEADING, &rows)))
    }

    fn row(&self, cell: &Cell) -> Row {
        let Setup { channel, size, .. } = cell.setup;
        let pipe = self
            .cells
            .iter()
            .find(|other| (other.setup.channel, other.setup.size) == (Channel::OsPipe, size));
        let at = |percentile| cell.times.value_at_percentile(percentile);
        Row {
            channel: channel.name(),
            size,
            messages_per_second: cell.rate(),
            bytes_per_second: cell.rate() * size as f64,
            round_trips: cell.times.len(),
            p50_ns: at(50.0),
            p99_ns: at(99.0),
            p99_9_ns: at(99.9),
            max_ns: cell.times.max(),
            times_os_pipe: pipe.map(|pipe| cell.rate() / pipe.rate()),
        }
    }
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let micros = |nanos: u64| format!("{:.2}", nanos as f64 / 1e3);
        vec![
            self.size.to_string(),
            self.channel.clone(),
            format!("{:.0}", self.messages_per_second),
            format!("{:.1}", self.bytes_per_second / 1e6),
            micros(self.p50_ns),
            micros(self.p99_ns),
            micros(self.p99_9_ns),
            micros(self.max_ns),
            self.times_os_pipe.map_or("-".to_owned(), |times| format!("{times:.2}")),
        ]
    }
}
