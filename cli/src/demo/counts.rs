//! Words and how often they occur; how that is sent from a worker to the process that started it.
//!
//! ```text
//! words:   | 0 | count: u64 | length: u64 | word … | count: u64 | length: u64 | word … |
//! commit:  | 1 | again: u64 | lines: u64 | bytes: u64 | batch: u64 … |
//! end:     | 2 | first: u64 | last: u64 |
//! ```
//!
//! Numbers have their lowest byte first. A worker sends as many messages of words as it takes, and then a commit: all words since
//! the last one are those of the batches with these numbers. What no commit came for was not counted: its worker was killed.
//! The end is the last message. It says when the worker took its first batch and when its last one, in nanoseconds of the
//! monotonic clock.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::failure::Failure;

/// A message is sent when it has reached this length. More than a pipe's ring holds.
const MESSAGE: usize = 256 << 10;
const WORDS: u8 = 0;
const COMMIT: u8 = 1;
const END: u8 = 2;

/// What a worker does with the lines that it takes.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Work {
    /// It counts their words.
    Count,
    /// It takes them: what moving them costs is all that is left.
    None,
}

/// Words and how often they occur, and in how much.
#[derive(PartialEq, Eq, Debug, Default)]
pub struct Counts {
    words: HashMap<Vec<u8>, u64, RandomState>,
    lines: u64,
    bytes: u64,
}

/// A message, taken apart.
#[derive(PartialEq, Eq, Debug)]
pub enum Part<'a> {
    /// Words, for [`Counts::merge_words`].
    Words(&'a [u8]),
    /// All words since the last commit belong to this.
    Commit(Commit),
    /// There is no more.
    End(Span),
}

/// What a worker has counted since its last commit.
#[derive(PartialEq, Eq, Clone, Debug, Default)]
pub struct Commit {
    /// Whether its one batch had been taken before, by a worker that did not finish it.
    pub again: bool,
    pub lines: u64,
    pub bytes: u64,
    /// The numbers of the batches, where they have some.
    pub batches: Vec<u64>,
}

/// When a worker took its first batch, and its last one: nanoseconds of the monotonic clock, or 0 where there was none.
#[derive(PartialEq, Eq, Clone, Copy, Debug, Default)]
pub struct Span {
    pub first: u64,
    pub last: u64,
}

impl Span {
    /// A batch was taken now.
    pub fn note(&mut self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        self.last = now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64;
        if self.first == 0 {
            self.first = self.last;
        }
    }

    /// Both, one after the other or at once.
    pub fn join(self, other: Self) -> Self {
        match (self.first, other.first) {
            (0, _) => other,
            (_, 0) => self,
            (a, b) => Self { first: a.min(b), last: self.last.max(other.last) },
        }
    }
}

impl Counts {
    /// Takes in whole lines; of the last line the end may be missing.
    pub fn add_lines(&mut self, lines: &[u8], work: Work) {
        let ends = memchr::memchr_iter(b'\n', lines).count() as u64;
        self.lines += ends + u64::from(lines.last().is_some_and(|last| *last != b'\n'));
        self.bytes += lines.len() as u64;
        if work == Work::Count {
            // The end of a line is white space, too.
            let words = lines.split(u8::is_ascii_whitespace);
            words.filter(|word| !word.is_empty()).for_each(|word| self.add(word, 1));
        }
    }

    fn add(&mut self, word: &[u8], times: u64) {
        match self.words.get_mut(word) {
            Some(count) => *count += times,
            None => {
                self.words.insert(word.to_vec(), times);
            }
        }
    }

    /// How many lines were counted.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// How many bytes these lines have.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many different words there are.
    pub fn distinct(&self) -> usize {
        self.words.len()
    }

    /// How many words there are.
    pub fn total(&self) -> u64 {
        self.words.values().sum()
    }

    /// The `n` most frequent words, the most frequent one first; of equally frequent ones that first whose bytes are less.
    pub fn top(&self, n: usize) -> Vec<(&[u8], u64)> {
        let mut all: Vec<_> = self.words.iter().map(|(word, n)| (word.as_slice(), *n)).collect();
        all.sort_unstable_by(|(a, times_a), (b, times_b)| times_b.cmp(times_a).then(a.cmp(b)));
        all.truncate(n);
        all
    }

    /// Gives `send` the messages that say what was counted since the last commit, of these batches. Then nothing is counted.
    pub fn commit(
        &mut self,
        batches: Vec<u64>,
        again: bool,
        mut send: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut message = vec![WORDS];
        for (word, count) in self.words.drain() {
            put(&mut message, count);
            put(&mut message, word.len() as u64);
            message.extend_from_slice(&word);
            if message.len() >= MESSAGE {
                send(&message)?;
                message.truncate(1);
            }
        }
        if message.len() > 1 {
            send(&message)?;
        }
        let mut commit = vec![COMMIT];
        put(&mut commit, again.into());
        put(&mut commit, std::mem::take(&mut self.lines));
        put(&mut commit, std::mem::take(&mut self.bytes));
        batches.into_iter().for_each(|batch| put(&mut commit, batch));
        send(&commit)
    }

    /// Adds the words of a message.
    pub fn merge_words(&mut self, mut entries: &[u8]) -> Result<(), Failure> {
        while !entries.is_empty() {
            let mut entry = || {
                let count = take(&mut entries)?;
                let len = usize::try_from(take(&mut entries)?).ok()?;
                Some((entries.split_off(..len)?, count))
            };
            let (word, count) = entry().ok_or_else(no_counts)?;
            self.add(word, count);
        }
        Ok(())
    }

    /// Adds the numbers of a commit.
    pub fn merge_commit(&mut self, commit: &Commit) {
        self.lines += commit.lines;
        self.bytes += commit.bytes;
    }
}

/// The last message of a worker.
pub fn end(span: Span) -> Vec<u8> {
    let mut end = vec![END];
    put(&mut end, span.first);
    put(&mut end, span.last);
    end
}

impl<'a> Part<'a> {
    /// What a message says.
    pub fn of(message: &'a [u8]) -> Result<Self, Failure> {
        let part = match message.split_first() {
            Some((&WORDS, entries)) => Some(Self::Words(entries)),
            Some((&COMMIT, numbers)) => commit_of(numbers).map(Self::Commit),
            Some((&END, mut numbers)) => {
                span_of(&mut numbers).filter(|_| numbers.is_empty()).map(Self::End)
            }
            _ => None,
        };
        part.ok_or_else(no_counts)
    }
}

fn commit_of(mut numbers: &[u8]) -> Option<Commit> {
    let again = take(&mut numbers)? != 0;
    let (lines, bytes) = (take(&mut numbers)?, take(&mut numbers)?);
    let mut batches = Vec::with_capacity(numbers.len() / size_of::<u64>());
    while !numbers.is_empty() {
        batches.push(take(&mut numbers)?);
    }
    Some(Commit { again, lines, bytes, batches })
}

fn span_of(numbers: &mut &[u8]) -> Option<Span> {
    Some(Span { first: take(numbers)?, last: take(numbers)? })
}

fn no_counts() -> Failure {
    Failure::Run("a worker sent what are no counts".to_owned())
}

fn put(message: &mut Vec<u8>, number: u64) {
    message.extend_from_slice(&number.to_le_bytes());
}

/// Takes a number from the front of `bytes`.
fn take(bytes: &mut &[u8]) -> Option<u64> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u64::from_le_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts_of(batches: &[&[u8]]) -> Counts {
        let mut counts = Counts::default();
        batches.iter().for_each(|lines| counts.add_lines(lines, Work::Count));
        counts
    }

    #[test]
    fn a_word_is_a_run_of_bytes_other_than_white_space() {
        let counts = counts_of(&[b"  a\xFFb\0c \t a\xFFb\0c,\x0C x\r\n\n", b"\x0Bx"]);
        let top = counts.top(9);
        assert_eq!(top, [(&b"\x0Bx"[..], 1), (b"a\xFFb\0c", 1), (b"a\xFFb\0c,", 1), (b"x", 1)]);
        assert_eq!((counts.lines(), counts.total(), counts.distinct()), (3, 4, 4));
    }

    #[test]
    fn lines_that_are_only_moved_are_lines_all_the_same() {
        let mut counts = Counts::default();
        counts.add_lines(b"one\n\ntwo", Work::None);
        assert_eq!((counts.lines(), counts.bytes(), counts.total()), (3, 8, 0));
    }

    #[test]
    fn equally_frequent_words_are_in_the_order_of_their_bytes() {
        let counts = counts_of(&[b"b \xFF a B b \xFF Z ab"]);
        let top: Vec<_> = counts.top(4).into_iter().map(|(word, _)| word).collect();
        assert_eq!(top, [&b"b"[..], b"\xFF", b"B", b"Z"]);
    }

    #[test]
    fn what_is_committed_is_what_is_merged() {
        let long = vec![b'y'; 3 * MESSAGE];
        let many: Vec<u8> = (0..99_999).flat_map(|n| format!("{n} ").into_bytes()).collect();
        let batches = [&b""[..], b"one two one", &long, &many];
        let (mut merged, mut messages, mut committed) = (Counts::default(), 0, false);
        let merge = |message: &[u8]| {
            assert!(!committed, "the commit is last");
            messages += 1;
            match Part::of(message)? {
                Part::Words(words) => merged.merge_words(words)?,
                Part::Commit(commit) => {
                    assert_eq!((commit.again, &*commit.batches), (true, &[7, 8][..]));
                    merged.merge_commit(&commit);
                    committed = true;
                }
                Part::End(_) => unreachable!("there was none"),
            }
            Ok(())
        };
        let mut counts = counts_of(&batches);
        counts.commit(vec![7, 8], true, merge).unwrap();
        assert!(committed && messages > 3, "{messages}");
        assert_eq!((merged, counts), (counts_of(&batches), Counts::default()));
        assert_eq!(
            Part::of(&end(Span { first: 3, last: 4 })).unwrap(),
            Part::End(Span { first: 3, last: 4 })
        );
    }

    #[test]
    fn spans_are_joined_from_the_first_to_the_last() {
        let (none, early, late) =
            (Span::default(), Span { first: 1, last: 5 }, Span { first: 3, last: 9 });
        assert_eq!(none.join(early), early);
        assert_eq!(early.join(none), early);
        assert_eq!(late.join(early), Span { first: 1, last: 9 });
    }

    #[test]
    fn what_are_no_counts_is_an_error() {
        let broken = [&b""[..], b"\x03", b"\x01", &[COMMIT; 26], &[END; 18]];
        for message in broken {
            assert!(Part::of(message).is_err(), "{message:?}");
        }
        let mut short = Vec::new();
        put(&mut short, 1);
        put(&mut short, 5);
        short.extend_from_slice(b"four");
        for words in [&b"\x01"[..], &short] {
            assert!(Counts::default().merge_words(words).is_err(), "{words:?}");
        }
    }
}
