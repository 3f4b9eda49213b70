//! Words and how often they occur; how that is sent from a worker to the process that started it.
//!
//! ```text
//! words:  | 0 | count: u64 | length: u64 | word … | count: u64 | length: u64 | word … |
//! end:    | 1 | lines: u64 | bytes: u64 |
//! ```
//!
//! Numbers have their lowest byte first. A worker sends as many messages of the first kind as it takes and then the one
//! of the second kind.

use std::collections::HashMap;

use crate::failure::Failure;

/// A message is sent when it has reached this length. More than a pipe's ring holds.
const MESSAGE: usize = 256 << 10;
const WORDS: u8 = 0;
const END: u8 = 1;

/// Words and how often they occur, and in how much.
#[derive(PartialEq, Eq, Debug, Default)]
pub struct Counts {
    words: HashMap<Vec<u8>, u64>,
    lines: u64,
    bytes: u64,
}

impl Counts {
    /// Counts the words of a line.
    pub fn add_line(&mut self, line: &[u8]) {
        self.lines += 1;
        self.bytes += line.len() as u64;
        let words = line.split(u8::is_ascii_whitespace);
        words.filter(|word| !word.is_empty()).for_each(|word| self.add(word, 1));
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

    /// Gives `send` the messages that `merge` reads.
    pub fn send(&self, mut send: impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
        let mut message = vec![WORDS];
        for (word, count) in &self.words {
            put(&mut message, *count);
            put(&mut message, word.len() as u64);
            message.extend_from_slice(word);
            if message.len() >= MESSAGE {
                send(&message)?;
                message.truncate(1);
            }
        }
        if message.len() > 1 {
            send(&message)?;
        }
        let mut end = vec![END];
        put(&mut end, self.lines);
        put(&mut end, self.bytes);
        send(&end)
    }

    /// Adds what a worker sent. Returns whether that was the last of it.
    pub fn merge(&mut self, message: &[u8]) -> Result<bool, Failure> {
        let done = match message.split_first() {
            Some((&WORDS, entries)) => self.merge_words(entries).map(|()| false),
            Some((&END, numbers)) => self.merge_end(numbers).map(|()| true),
            _ => None,
        };
        done.ok_or_else(|| Failure::Run("a worker sent what are no counts".to_owned()))
    }

    fn merge_words(&mut self, mut entries: &[u8]) -> Option<()> {
        while !entries.is_empty() {
            let count = take(&mut entries)?;
            let len = usize::try_from(take(&mut entries)?).ok()?;
            self.add(entries.split_off(..len)?, count);
        }
        Some(())
    }

    fn merge_end(&mut self, mut numbers: &[u8]) -> Option<()> {
        self.lines += take(&mut numbers)?;
        self.bytes += take(&mut numbers)?;
        numbers.is_empty().then_some(())
    }
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

    fn counts_of(lines: &[&[u8]]) -> Counts {
        let mut counts = Counts::default();
        lines.iter().for_each(|line| counts.add_line(line));
        counts
    }

    #[test]
    fn a_word_is_a_run_of_bytes_other_than_white_space() {
        let counts = counts_of(&[b"  a\xFFb\0c \t a\xFFb\0c,\x0C x\r\n", b"\n", b"\x0Bx"]);
        let top = counts.top(9);
        assert_eq!(top, [(&b"\x0Bx"[..], 1), (b"a\xFFb\0c", 1), (b"a\xFFb\0c,", 1), (b"x", 1)]);
        assert_eq!((counts.lines(), counts.total(), counts.distinct()), (3, 4, 4));
    }

    #[test]
    fn equally_frequent_words_are_in_the_order_of_their_bytes() {
        let counts = counts_of(&[b"b \xFF a B b \xFF Z ab"]);
        let top: Vec<_> = counts.top(4).into_iter().map(|(word, _)| word).collect();
        assert_eq!(top, [&b"b"[..], b"\xFF", b"B", b"Z"]);
    }

    #[test]
    fn what_is_sent_is_what_is_merged() {
        let long = vec![b'y'; 3 * MESSAGE];
        let many: Vec<u8> = (0..99_999).flat_map(|n| format!("{n} ").into_bytes()).collect();
        let counts = counts_of(&[b"", b"one two one", &long, &many]);
        let (mut merged, mut messages, mut ended) = (Counts::default(), 0, false);
        let merge = |message: &[u8]| {
            assert!(!ended, "the end is last");
            messages += 1;
            ended = merged.merge(message)?;
            Ok(())
        };
        counts.send(merge).unwrap();
        assert!(ended && messages > 3, "{messages}");
        assert_eq!(merged, counts);
    }

    #[test]
    fn what_are_no_counts_is_an_error() {
        let mut short = vec![WORDS];
        put(&mut short, 1);
        put(&mut short, 5);
        short.extend_from_slice(b"four");
        let broken = [&b""[..], b"\x02", b"\x00\x01", b"\x01", &[END; 18], &short];
        for message in broken {
            assert!(Counts::default().merge(message).is_err(), "{message:?}");
        }
    }
}
