//! A line on the standard error stream that says how far it is, if that stream is a terminal.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const OF_KNOWN: &str = "{msg}  {bytes} of {total_bytes} [{wide_bar}] {binary_bytes_per_sec}";
const OF_UNKNOWN: &str = "{msg}  {bytes}  {binary_bytes_per_sec}  {elapsed}";
/// How often it changes at most.
const INTERVAL: Duration = Duration::from_millis(100);
/// So many records may pass before it looks at the clock.
const STRIDE: u64 = 256;

/// How far it is. Says nothing where nobody would see it.
#[derive(Debug)]
pub struct Progress {
    line: Option<Line>,
}

#[derive(Debug)]
struct Line {
    bar: ProgressBar,
    records: u64,
    bytes: u64,
    unseen: u64,
    shown: Instant,
    note: Option<String>,
}

impl Progress {
    /// Of `total` bytes, if that is known. `wanted` is what the user and the other streams allow.
    pub fn new(wanted: bool, total: Option<u64>) -> Self {
        let line = (wanted && stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
            let template = if total.is_some() { OF_KNOWN } else { OF_UNKNOWN };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            let shown = Instant::now();
            Line { bar, records: 0, bytes: 0, unseen: 0, shown, note: None }
        });
        Self { line }
    }

    /// So many more.
    pub fn add(&mut self, records: u64, bytes: u64) {
        let Some(line) = &mut self.line else { return };
        line.records += records;
        line.bytes += bytes;
        line.unseen += records;
        if line.unseen >= STRIDE {
            self.look();
        }
    }

    /// A moment to bring it up to date.
    pub fn look(&mut self) {
        if let Some(line) = self.line.as_mut().filter(|line| line.shown.elapsed() >= INTERVAL) {
            line.show();
        }
    }

    /// Says what is waited for; `None` when that is over.
    pub fn note(&mut self, note: impl FnOnce() -> Option<String>) {
        if let Some(line) = &mut self.line {
            line.note = note();
        }
        self.look();
    }
}

impl Line {
    fn show(&mut self) {
        let note = self.note.as_ref().map(|note| format!("; {note}")).unwrap_or_default();
        self.bar.set_message(format!("{} lines{note}", self.records));
        self.bar.set_position(self.bytes);
        self.unseen = 0;
        self.shown = Instant::now();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.note = None;
        self.show();
        self.bar.abandon();
    }
}
