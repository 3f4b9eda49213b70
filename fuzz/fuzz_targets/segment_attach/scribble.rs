//! What a process gone mad writes into a segment, and where.

use std::fs::File;
use std::os::unix::fs::FileExt;

use arbitrary::Arbitrary;
use slipring_core::block::{ClassGeometry, Geometry};

/// Where the header keeps the size of the segment, and the regions' offsets and lengths.
const RESERVE_AT: u64 = 32;
const REGIONS_AT: u64 = 128;
const REGIONS: usize = 8;
const BLOCK_META: usize = 5;
const BLOCK_DATA: usize = 6;

/// One act of scribbling.
#[derive(Arbitrary, Debug)]
pub enum Scribble {
    Bytes { at: Place, bytes: [u8; 8], len: u8 },
    Word { at: Place, word: Word },
    Half { at: Place, word: u32 },
    Add { at: Place, value: i8 },
    Copy { from: Place, to: Place, words: u8 },
    Fill { at: Place, word: Word, words: u8 },
}

/// An offset in the file: near the front of a region, mostly, which is where what is in use lies.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Place {
    Region {
        region: u8,
        word: u16,
    },
    /// In a block of a class.
    Block {
        class: u8,
        word: u16,
    },
    /// Among what the pool knows of the class in focus: the count of words in use, summary, bitmap, its end, controls.
    Class {
        what: u8,
        word: u8,
    },
    /// Among the objects.
    Arena {
        word: u16,
    },
}

/// Words that mean something to somebody.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Word {
    Any(u64),
    Near(i8),
    Bit(u8),
    /// Control of a slot of a queue's ring.
    Slot {
        lap: u16,
        flags: u8,
    },
    /// Header of a record in a pipe's ring.
    Record {
        padding: bool,
        len: u8,
        words: u8,
        kind: u8,
    },
    /// Descriptor of a block.
    Block {
        class: u8,
        index: u16,
        len: u32,
    },
    /// Control of a block, or a lock, of a participant.
    Owner {
        index: u8,
        epoch: u8,
        state: u8,
        ring: u16,
    },
}

/// A segment's file, and where its regions are.
pub struct Map {
    file: File,
    len: u64,
    regions: [(u64, u64); REGIONS],
    classes: Geometry,
    /// Number of the class whose blocks are used and scribbled at most.
    focus: usize,
}

impl Map {
    /// Reads the header of a good segment.
    pub fn of(file: File, focus: u8) -> Self {
        let word = |at| {
            let mut word = [0; 8];
            file.read_exact_at(&mut word, at).unwrap();
            u64::from_le_bytes(word)
        };
        let len = word(RESERVE_AT);
        let regions = std::array::from_fn(|index| {
            let at = REGIONS_AT + 16 * index as u64;
            (word(at), word(at + 8))
        });
        let classes = Geometry::new(regions[BLOCK_META].1, regions[BLOCK_DATA].1).unwrap();
        let focus = usize::from(focus) % classes.classes().len();
        Self { file, len, regions, classes, focus }
    }

    /// The same regions in another file.
    pub fn with_file(self, file: File) -> Self {
        Self { file, ..self }
    }

    /// The class in focus.
    pub fn focus(&self) -> &ClassGeometry {
        &self.classes.classes()[self.focus]
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    /// Bytes of the segment.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Writes through the file, which is the same memory as every mapping of it, and allocates it where it is a hole.
    pub fn apply(&self, scribble: &Scribble) {
        match scribble {
            Scribble::Bytes { at, bytes, len } => {
                let at = self.offset(*at) + u64::from(len >> 4 & 7);
                self.write(at, &bytes[..usize::from(len % 9)]);
            }
            Scribble::Word { at, word } => self.write(self.offset(*at), &word.bits().to_le_bytes()),
            Scribble::Half { at, word } => self.write(self.offset(*at), &word.to_le_bytes()),
            Scribble::Add { at, value } => {
                let at = self.offset(*at);
                let old = u64::from_le_bytes(*self.read(at, 8).first_chunk().unwrap());
                self.write(at, &old.wrapping_add_signed(i64::from(*value)).to_le_bytes());
            }
            Scribble::Copy { from, to, words } => {
                let bytes = self.read(self.offset(*from), 8 * usize::from(*words));
                self.write(self.offset(*to), &bytes);
            }
            Scribble::Fill { at, word, words } => {
                let bytes = word.bits().to_le_bytes().repeat(usize::from(*words));
                self.write(self.offset(*at), &bytes);
            }
        }
    }

    fn offset(&self, place: Place) -> u64 {
        let (start, word) = match place {
            Place::Region { region, word } => {
                (self.regions[usize::from(region) % REGIONS].0, near(word))
            }
            Place::Block { class, word } => {
                let classes = self.classes.classes();
                let class = &classes[usize::from(class) % classes.len()];
                (self.regions[BLOCK_DATA].0 + class.data, near(word))
            }
            Place::Class { what, word } => {
                let class = self.focus();
                let last = class.bitmap + 8 * u64::from(class.words - 1);
                let starts = [class.fresh, class.summary, class.bitmap, last, class.controls];
                let word = u16::from(if what & 64 == 0 { 0 } else { word });
                (self.regions[BLOCK_META].0 + starts[usize::from(what) % starts.len()], word)
            }
            Place::Arena { word } => (self.regions[REGIONS - 1].0, word % 512),
        };
        start + 8 * u64::from(word)
    }

    fn read(&self, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let end = self.len.saturating_sub(at).min(len as u64) as usize;
        self.file.read_exact_at(&mut bytes[..end], at).unwrap();
        bytes
    }

    fn write(&self, at: u64, bytes: &[u8]) {
        let end = self.len.saturating_sub(at).min(bytes.len() as u64) as usize;
        self.file.write_all_at(&bytes[..end], at).unwrap();
    }
}

/// A small number, mostly.
fn near(word: u16) -> u16 {
    if word.is_multiple_of(8) { word } else { word >> 3 & 0xff }
}

impl Word {
    fn bits(self) -> u64 {
        match self {
            Self::Any(word) => word,
            Self::Near(value) => 0_u64.wrapping_add_signed(i64::from(value)),
            Self::Bit(bit) => 1 << (bit % 64),
            Self::Slot { lap, flags } => u64::from(lap) << 2 | u64::from(flags % 4),
            Self::Record { padding, len, words, kind } => {
                // Empty ones, such as hold a descriptor, and any; most span no more than they have to.
                let len = u64::from(if len < 192 { len % 2 * 8 } else { len });
                let more = u64::from(if words < 192 { 0 } else { words % 64 });
                let flags = 1 << 63 | u64::from(padding) << 62;
                flags | len << 34 | (1 + len.div_ceil(8) + more) << 8 | u64::from(kind % 4)
            }
            Self::Block { class, index, len } => {
                u64::from(len) << 31 | u64::from(index) << 7 | u64::from(class % 32) << 2 | 2
            }
            Self::Owner { index, epoch, state, ring } => {
                let owner = u64::from(epoch) << 12 | u64::from(index);
                u64::from(ring) << 32 | owner << 2 | u64::from(state % 4)
            }
        }
    }
}
