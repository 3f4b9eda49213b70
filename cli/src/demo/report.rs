//! What is printed.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::collect::Outcome;
use super::counts::Counts;
use crate::failure::Failure;
use crate::{print, quote};

/// A run and how long it took.
pub struct Run {
    pub counts: Counts,
    /// Batches that were taken again.
    pub again: u64,
    time: Duration,
    /// From the first batch that was taken to the last.
    span: Duration,
    /// The same of a run in which the same lines were only moved.
    moved: Option<Duration>,
}

/// The run over the kernel's pipes, if there was one.
pub enum Comparison {
    Made(Run),
    /// It would have had to read this file a second time.
    Skipped(PathBuf),
}

/// A run in which workers were killed.
pub struct Killed {
    pub workers: usize,
    /// So many were to be killed.
    pub wanted: usize,
    /// Batches that they held, and others took.
    pub again: u64,
    /// Where it is not the only one.
    pub run: Option<Run>,
}

/// All that is known at the end.
pub struct Report<'a> {
    pub files: &'a [PathBuf],
    pub workers: usize,
    pub top: usize,
    pub slipring: Run,
    pub os_pipes: Comparison,
    pub killed: Option<Killed>,
}

/// The JSON object.
#[derive(Serialize)]
struct Object {
    files: Vec<String>,
    workers: usize,
    words: u64,
    distinct_words: usize,
    top: Vec<Word>,
    slipring: Figures,
    /// `null` if left out.
    os_pipes: Option<Figures>,
    /// `null` without `--kill`.
    killed: Option<KilledFigures>,
    /// `null` if there was nothing to compare with.
    equal: Option<bool>,
    /// Why the kernel's pipes were left out.
    note: Option<String>,
}

#[derive(Serialize)]
struct Word {
    word: String,
    count: u64,
}

/// A row of the table.
#[derive(Serialize)]
struct Figures {
    lines: u64,
    bytes: u64,
    /// `null` if there was no such run.
    moved_seconds: Option<f64>,
    moved_lines_per_second: Option<f64>,
    seconds: f64,
    lines_per_second: f64,
}

#[derive(Serialize)]
struct KilledFigures {
    workers: usize,
    batches_taken_again: u64,
    /// Of a run of its own.
    seconds: Option<f64>,
}

impl Run {
    pub fn new(outcome: Outcome, time: Duration) -> Self {
        let Outcome { counts, span, again } = outcome;
        let span = Duration::from_nanos(span.last.saturating_sub(span.first));
        Self { counts, again, time, span, moved: None }
    }

    /// With the time of a run in which the same lines were only moved.
    pub fn with_moved(self, moved: &Self) -> Self {
        Self { moved: Some(moved.span), ..self }
    }

    fn figures(&self) -> Figures {
        let (lines, seconds) = (self.counts.lines(), self.time.as_secs_f64());
        let moved_seconds = self.moved.map(|moved| moved.as_secs_f64());
        let rate = |seconds: f64| lines as f64 / seconds.max(1e-9);
        Figures {
            lines,
            bytes: self.counts.bytes(),
            moved_seconds,
            moved_lines_per_second: moved_seconds.map(rate),
            seconds,
            lines_per_second: rate(seconds),
        }
    }
}

impl Report<'_> {
    /// An error if two runs gave different counts.
    pub fn check(&self) -> Result<(), Failure> {
        if self.are_equal() == Some(false) {
            let text = "not all runs gave the same counts; did a file change?";
            return Err(Failure::Run(text.to_owned()));
        }
        Ok(())
    }

    /// Writes it to the standard output.
    pub fn print(&self, json: bool) -> Result<(), Failure> {
        let mut text = Vec::new();
        if json {
            serde_json::to_writer(&mut text, &self.object()).map_err(io::Error::from)?;
            text.push(b'\n');
        } else {
            self.write_text(&mut text)?;
        }
        // Words are bytes of the user's files, as `cat` would show them.
        print::bytes(&text)
    }

    /// Whether all runs gave the same counts, if there were two.
    fn are_equal(&self) -> Option<bool> {
        let killed = self.killed.as_ref().and_then(|killed| killed.run.as_ref());
        let others: Vec<_> = self.other().into_iter().chain(killed).collect();
        let equal = others.iter().all(|other| other.counts == self.slipring.counts);
        (!others.is_empty()).then_some(equal)
    }

    fn other(&self) -> Option<&Run> {
        match &self.os_pipes {
            Comparison::Made(run) => Some(run),
            Comparison::Skipped(_) => None,
        }
    }

    /// Why there was only one run.
    fn note(&self) -> Option<String> {
        match &self.os_pipes {
            Comparison::Made(_) => None,
            Comparison::Skipped(file) => Some(format!(
                "OS pipes were left out: {} is not a regular file and can be read only once",
                quote::path(file)
            )),
        }
    }

    fn write_text(&self, out: &mut Vec<u8>) -> io::Result<()> {
        for (word, count) in self.slipring.counts.top(self.top) {
            write!(out, "{count} ")?;
            out.extend_from_slice(word);
            out.push(b'\n');
        }
        writeln!(
            out,
            "\n{:<8} {:>12} {:>14} {:>10} {:>12} {:>12}",
            "", "lines", "bytes", "moved in", "counted in", "lines/s"
        )?;
        self.slipring.figures().write_row("slipring", out)?;
        if let Some(other) = self.other() {
            other.figures().write_row("OS pipes", out)?;
        }
        if let Some(killed) = &self.killed {
            writeln!(out, "{}", killed.sentence(self.are_equal()))?;
        }
        if let Some(note) = self.note() {
            writeln!(out, "{note}")?;
        }
        Ok(())
    }

    fn object(&self) -> Object {
        let counts = &self.slipring.counts;
        let lossy = |(word, count): (&[u8], u64)| Word {
            word: String::from_utf8_lossy(word).into_owned(),
            count,
        };
        Object {
            files: self.files.iter().map(|file| file.display().to_string()).collect(),
            workers: self.workers,
            words: counts.total(),
            distinct_words: counts.distinct(),
            top: counts.top(self.top).into_iter().map(lossy).collect(),
            slipring: self.slipring.figures(),
            os_pipes: self.other().map(Run::figures),
            killed: self.killed.as_ref().map(|killed| KilledFigures {
                workers: killed.workers,
                batches_taken_again: killed.again,
                seconds: killed.run.as_ref().map(|run| run.time.as_secs_f64()),
            }),
            equal: self.are_equal(),
            note: self.note(),
        }
    }
}

impl Killed {
    /// What pipes cannot do, in a sentence.
    fn sentence(&self, equal: Option<bool>) -> String {
        let Self { workers, wanted, again, run } = self;
        let workers_were = if *workers == 1 { "worker was" } else { "workers were" };
        let batches = if *again == 1 { "batch" } else { "batches" };
        let time = run
            .as_ref()
            .map_or_else(String::new, |run| format!(" in {:.4} s", run.time.as_secs_f64()));
        let counts = match equal {
            Some(true) => "; the counts are the same",
            Some(false) => "; the counts differ",
            None => "",
        };
        let more = if workers < wanted {
            format!(" There was no time to kill {wanted}.")
        } else {
            String::new()
        };
        format!(
            "slipring: {workers} {workers_were} killed at work, others took {again} {batches} again{time}{counts}.{more}"
        )
    }
}

impl Figures {
    fn write_row(&self, name: &str, out: &mut impl Write) -> io::Result<()> {
        let Self { lines, bytes, moved_seconds, seconds, lines_per_second, .. } = self;
        let moved = moved_seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.4}"));
        writeln!(
            out,
            "{name:<8} {lines:>12} {bytes:>14} {moved:>10} {seconds:>12.4} {lines_per_second:>12.0}"
        )
    }
}
