//! What is printed.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::counts::Counts;
use crate::failure::Failure;
use crate::{print, quote};

/// A run and how long it took.
pub struct Run {
    pub counts: Counts,
    pub time: Duration,
}

/// The run over the kernel's pipes, if there was one.
pub enum Comparison {
    Made(Run),
    /// It would have had to read this file a second time.
    Skipped(PathBuf),
}

/// All that is known at the end.
pub struct Report<'a> {
    pub files: &'a [PathBuf],
    pub workers: usize,
    pub top: usize,
    pub slipring: Run,
    pub os_pipes: Comparison,
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
    messages: u64,
    bytes: u64,
    seconds: f64,
    messages_per_second: f64,
}

impl Run {
    fn figures(&self) -> Figures {
        let (messages, seconds) = (self.counts.lines(), self.time.as_secs_f64());
        let messages_per_second = messages as f64 / seconds.max(1e-9);
        Figures { messages, bytes: self.counts.bytes(), seconds, messages_per_second }
    }
}

impl Report<'_> {
    /// Whether both runs gave the same counts, if there were two.
    pub fn are_equal(&self) -> Option<bool> {
        self.other().map(|other| other.counts == self.slipring.counts)
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
            "\n{:<8} {:>12} {:>14} {:>9} {:>12}",
            "", "messages", "bytes", "seconds", "messages/s"
        )?;
        self.slipring.figures().write_row("slipring", out)?;
        if let Some(other) = self.other() {
            other.figures().write_row("OS pipes", out)?;
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
            equal: self.are_equal(),
            note: self.note(),
        }
    }
}

impl Figures {
    fn write_row(&self, name: &str, out: &mut impl Write) -> io::Result<()> {
        let Self { messages, bytes, seconds, messages_per_second } = self;
        writeln!(
            out,
            "{name:<8} {messages:>12} {bytes:>14} {seconds:>9.4} {messages_per_second:>12.0}"
        )
    }
}
