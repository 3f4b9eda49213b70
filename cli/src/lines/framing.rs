//! Where a record ends, on the way in and on the way out.

use std::fmt;

/// Bytes of the length before a record of `--frames`.
const HEADER: usize = 4;

/// How records are told from each other in a stream of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// Each ends with this byte, which is no part of it; the last one may lack it.
    EndedBy(u8),
    /// Before each is its length: 4 bytes, the lowest first.
    Counted,
}

/// The options that choose one.
#[derive(Clone, Copy, clap::Args)]
#[group(multiple = false)]
pub struct FramingOptions {
    /// Records end with a NUL byte instead of a line feed.
    #[arg(long, short = '0')]
    null: bool,
    /// Before each record is its length in bytes, as 4 bytes with the lowest first; nothing is between records.
    #[arg(long)]
    frames: bool,
}

impl FramingOptions {
    /// What was chosen.
    pub fn framing(self) -> Framing {
        match self {
            Self { frames: true, .. } => Framing::Counted,
            Self { null: true, .. } => Framing::EndedBy(0),
            Self { .. } => Framing::EndedBy(b'\n'),
        }
    }
}

impl Framing {
    /// What one record is called.
    fn noun(self) -> &'static str {
        match self {
            Self::EndedBy(b'\n') => "line",
            Self::EndedBy(_) => "record",
            Self::Counted => "frame",
        }
    }

    /// Appends `record` to `out`, framed. `false` if it is too long for its length to be written.
    pub fn append(self, record: &[u8], out: &mut Vec<u8>) -> bool {
        match self {
            Self::EndedBy(end) => {
                out.extend_from_slice(record);
                out.push(end);
            }
            Self::Counted => {
                let Ok(len) = u32::try_from(record.len()) else { return false };
                out.extend_from_slice(&len.to_le_bytes());
                out.extend_from_slice(record);
            }
        }
        true
    }
}

/// What is wrong with an input.
#[derive(PartialEq, Eq, Debug)]
pub struct Bad {
    noun: &'static str,
    /// Counted from 1.
    number: u64,
    why: Why,
}

#[derive(PartialEq, Eq, Debug)]
enum Why {
    /// It is at least so long.
    TooLong { len: u64, max: u64 },
    /// The input ends within it.
    CutShort { found: usize, wanted: usize },
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { noun, number, why } = self;
        match why {
            Why::TooLong { len, max } => {
                write!(f, "{noun} {number} has {len} bytes or more; the queue takes up to {max}")
            }
            Why::CutShort { found, wanted } => {
                write!(f, "{noun} {number} is cut short: {found} of its {wanted} bytes are there")
            }
        }
    }
}

/// Cuts an input into records.
#[derive(Debug)]
pub struct Cutter {
    framing: Framing,
    max: u64,
    /// Records so far.
    count: u64,
    /// How much of the beginning of the next record was looked at already: its end is not there.
    looked_at: usize,
}

impl Cutter {
    /// For records of at most `max` bytes.
    pub fn new(framing: Framing, max: u64) -> Self {
        Self { framing, max, count: 0, looked_at: 0 }
    }

    /// Appends the whole records at the front of `bytes` to `records` and returns how many bytes they take. The next
    /// call gets what is left, with more behind it; `is_last` says that there is no more.
    pub fn cut<'a>(
        &mut self,
        bytes: &'a [u8],
        is_last: bool,
        records: &mut Vec<&'a [u8]>,
    ) -> (usize, Option<Bad>) {
        let before = records.len();
        let (used, bad) = match self.framing {
            Framing::EndedBy(end) => self.cut_ended(end, bytes, is_last, records),
            Framing::Counted => self.cut_counted(bytes, is_last, records),
        };
        self.count += (records.len() - before) as u64;
        let number = self.count + 1;
        (used, bad.map(|why| Bad { noun: self.framing.noun(), number, why }))
    }

    fn cut_ended<'a>(
        &mut self,
        end: u8,
        bytes: &'a [u8],
        is_last: bool,
        records: &mut Vec<&'a [u8]>,
    ) -> (usize, Option<Why>) {
        let mut start = 0;
        for at in memchr::memchr_iter(end, &bytes[self.looked_at..]) {
            let at = self.looked_at + at;
            if let Some(why) = self.check(at - start) {
                return (start, Some(why));
            }
            records.push(&bytes[start..at]);
            start = at + 1;
        }
        self.looked_at = bytes.len() - start;
        match self.check(self.looked_at) {
            Some(why) => (start, Some(why)),
            None if is_last && self.looked_at > 0 => {
                records.push(&bytes[start..]);
                (bytes.len(), None)
            }
            None => (start, None),
        }
    }

    fn cut_counted<'a>(
        &self,
        bytes: &'a [u8],
        is_last: bool,
        records: &mut Vec<&'a [u8]>,
    ) -> (usize, Option<Why>) {
        let mut rest = bytes;
        loop {
            let used = bytes.len() - rest.len();
            let Some((header, body)) = rest.split_first_chunk::<HEADER>() else {
                let cut = Why::CutShort { found: rest.len(), wanted: HEADER };
                return (used, (is_last && !rest.is_empty()).then_some(cut));
            };
            let len = u32::from_le_bytes(*header) as usize;
            if let Some(why) = self.check(len) {
                return (used, Some(why));
            }
            let Some((record, behind)) = body.split_at_checked(len) else {
                let cut = Why::CutShort { found: body.len(), wanted: len };
                return (used, is_last.then_some(cut));
            };
            records.push(record);
            rest = behind;
        }
    }

    fn check(&self, len: usize) -> Option<Why> {
        let (len, max) = (len as u64, self.max);
        (len > max).then_some(Why::TooLong { len, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The records of an input that comes in pieces of `piece` bytes, and what is wrong with it.
    fn cut(framing: Framing, max: u64, input: &[u8], piece: usize) -> (Vec<Vec<u8>>, Option<Bad>) {
        let (mut cutter, mut kept, mut all) = (Cutter::new(framing, max), Vec::new(), Vec::new());
        let mut pieces = input.chunks(piece).map(<[u8]>::to_vec).collect::<Vec<_>>();
        pieces.push(Vec::new());
        let last = pieces.len() - 1;
        for (index, piece) in pieces.iter().enumerate() {
            kept.extend_from_slice(piece);
            let mut records = Vec::new();
            let (used, bad) = cutter.cut(&kept, index == last, &mut records);
            all.extend(records.into_iter().map(<[u8]>::to_vec));
            if bad.is_some() {
                return (all, bad);
            }
            kept.drain(..used);
        }
        assert!(kept.is_empty(), "all of it was used");
        (all, None)
    }

    const LINES: Framing = Framing::EndedBy(b'\n');

    #[test]
    fn an_input_gives_the_same_records_in_whatever_pieces_it_comes() {
        for piece in 1..20 {
            let lines = |input| cut(LINES, 99, input, piece);
            assert_eq!(lines(b""), (vec![], None));
            assert_eq!(lines(b"\n"), (vec![vec![]], None));
            let (found, _) = lines(b"one\n\n\xff\0two\r\nthree");
            assert_eq!(found, [&b"one"[..], b"", b"\xff\0two\r", b"three"]);
            let (found, _) = cut(Framing::EndedBy(0), 99, b"a\nb\0\0c\0", piece);
            assert_eq!(found, [&b"a\nb"[..], b"", b"c"]);
            let mut frames = Vec::new();
            for record in [&b"one"[..], b"", b"\n\0\xff", b"a longer record than the others"] {
                assert!(Framing::Counted.append(record, &mut frames));
            }
            let (found, bad) = cut(Framing::Counted, 99, &frames, piece);
            assert_eq!((found.len(), found[2].as_slice(), bad), (4, &b"\n\0\xff"[..], None));
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_number_after_what_is_right() {
        for piece in 1..20 {
            let (found, bad) = cut(LINES, 3, b"one\nmore\ntwo\n", piece);
            assert_eq!(found, [b"one"]);
            let text = bad.unwrap().to_string();
            assert!(text.starts_with("line 2 has 4 bytes or more"), "{text}");
            let frames = [3, 0, 0, 0, b'o', b'n', b'e', 9, 0, 0, 0, b'x'];
            let (found, bad) = cut(Framing::Counted, 9, &frames, piece);
            assert_eq!(found, [b"one"]);
            let text = bad.unwrap().to_string();
            assert_eq!(text, "frame 2 is cut short: 1 of its 9 bytes are there");
            let (_, bad) = cut(Framing::Counted, 9, &frames[..10], piece);
            assert!(bad.unwrap().to_string().contains("3 of its 4"));
            let (found, bad) = cut(Framing::Counted, 8, &frames[..11], piece);
            assert!(found.len() == 1 && bad.unwrap().to_string().contains("9 bytes or more"));
        }
    }
}
