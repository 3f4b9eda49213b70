//! What a process gone mad writes into a segment, and where.

use std::fs::File;
use std::os::unix::fs::FileExt;

use arbitrary::Arbitrary;
use slipring_core::block::{ClassGeometry, Geometry};
use slipring_core::member::{Holders, Record};
use slipring_core::ring::{chain::Chain, leases};

/// Where the header keeps the size of the segment, the regions' offsets and lengths, and the name.
const RESERVE_AT: u64 = 32;
const REGIONS_AT: u64 = 128;
const NAME_AT: u64 = 256;
const REGIONS: usize = 8;
const PARTICIPANTS: usize = 1;
const DIRECTORY: usize = 4;
const BLOCK_META: usize = 5;
const BLOCK_DATA: usize = 6;
const ARENA: usize = 7;
/// Where the directory's entries begin, and how long one is.
const ENTRIES_AT: u64 = 128;
const ENTRY: u64 = 64;
/// Bytes of an object before its body.
const OBJECT_HEADER: u64 = 2 * size_of::<Holders>() as u64;
/// Where a joinable queue's leases begin in its body, and how long one is.
const LEASES_AT: u64 = ((size_of::<Chain>() + 8).next_multiple_of(align_of::<Chain>())
    + size_of::<leases::Header>()) as u64;
const LEASE: u64 = 64;
/// Bytes between two participants' records.
const RECORD: u64 = 256;
const _: () = assert!(size_of::<Record>() as u64 <= RECORD);

/// One act of scribbling.
#[derive(Arbitrary, Debug)]
pub enum Scribble {
    Bytes {
        at: Place,
        bytes: [u8; 8],
        len: u8,
    },
    Word {
        at: Place,
        word: Word,
    },
    Half {
        at: Place,
        word: u32,
    },
    Add {
        at: Place,
        value: i8,
    },
    Copy {
        from: Place,
        to: Place,
        words: u8,
    },
    Fill {
        at: Place,
        word: Word,
        words: u8,
    },
    /// A participant that nobody is.
    Ghost {
        index: u8,
        epoch: u8,
        embryo: bool,
    },
    /// A whole entry of the directory.
    Forge {
        object: u8,
        kind: Word,
        index: u8,
        epoch: u8,
        offset: Extent,
        len: Extent,
    },
    /// A whole entry of a table of leases.
    Lease {
        object: u8,
        entry: u8,
        word: Word,
        number: u8,
        descriptor: Word,
        order: u8,
    },
}

/// Where an object is said to be, or how long.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Extent {
    Any(u64),
    Units(u8),
    Chunks(u8),
    End(u8),
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
    /// In the body of an object: its first words, mostly, or its header.
    Object {
        object: u8,
        word: u16,
    },
    /// In the directory's entry of an object.
    Entry {
        object: u8,
        word: u8,
    },
    /// What the segment is called.
    Name {
        word: u8,
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
    /// A mutex, a permit: who holds it, with flags or a count.
    Lock {
        index: u8,
        epoch: u8,
        flags: u8,
        count: u8,
    },
    /// An entry of a table of leases.
    Lease {
        index: u8,
        epoch: u8,
        deliveries: u8,
        state: u8,
    },
    /// The top of a stack, or a slot of it.
    Top {
        visit: u8,
        index: u8,
    },
    /// State and kind of an object.
    Kind {
        state: u8,
        kind: u8,
    },
}

/// A segment's file, and where its regions are.
pub struct Map {
    pub file: File,
    /// Bytes of the segment.
    pub len: u64,
    regions: [(u64, u64); REGIONS],
    /// Offset in the file, and length, of each object's extent, as far as [`Map::survey`] saw them.
    objects: Vec<(u64, u64)>,
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
        Self { file, len, regions, objects: Vec::new(), classes, focus }
    }

    /// Looks where the objects are. Before anything is scribbled.
    pub fn survey(&mut self) {
        let (directory, arena) = (self.regions[DIRECTORY].0, self.regions[ARENA].0);
        let word = |at| u64::from_le_bytes(*self.read(at, 8).first_chunk().unwrap());
        let extent = |entry: u64| {
            let at = directory + ENTRIES_AT + ENTRY * entry;
            (arena + word(at + 16), word(at + 24))
        };
        self.objects = (0..word(directory)).map(extent).collect();
    }

    /// The class in focus.
    pub fn focus(&self) -> &ClassGeometry {
        &self.classes.classes()[self.focus]
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
            Scribble::Ghost { index, epoch, embryo } => {
                let (table, index) = (self.regions[PARTICIPANTS].0, u64::from(index % 8) + 1);
                let state = 2 - u64::from(*embryo);
                let at = table + RECORD * index;
                self.write(at, &(u64::from(epoch % 4) << 32 | state).to_le_bytes());
                let used = u32::from_le_bytes(*self.read(table, 4).first_chunk().unwrap());
                self.write(table, &used.max(index as u32).to_le_bytes());
            }
            Scribble::Forge { object, kind, index, epoch, offset, len } => {
                let at = self.offset(Place::Entry { object: *object, word: 0 });
                let owner = owner(index % 8, epoch % 4) << 32;
                let words = [kind.bits(), owner, offset.bytes(), len.bytes()];
                self.write(at, &words.map(u64::to_le_bytes).concat());
            }
            Scribble::Lease { object, entry, word, number, descriptor, order } => {
                let at = self.offset(Place::Object { object: *object, word: 0 });
                let at = at + LEASES_AT + LEASE * u64::from(entry % 8);
                let (number, order) = (u64::from(*number), u64::from(*order));
                let words = [word.bits(), number, descriptor.bits(), order];
                self.write(at, &words.map(u64::to_le_bytes).concat());
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
            Place::Arena { word } => (self.regions[ARENA].0, word % 512),
            Place::Object { object, word } => {
                let index = usize::from(object).checked_rem(self.objects.len());
                let (start, len) = index.map_or(self.regions[ARENA], |i| self.objects[i]);
                let header = if word % 32 == 1 { 0 } else { OBJECT_HEADER };
                // The first lines, mostly.
                let word = if word % 4 == 0 { word >> 2 } else { word >> 5 & 0xff };
                let words = (len.saturating_sub(header) / 8).clamp(1, 1 << 16);
                (start + header, (u64::from(word) % words) as u16)
            }
            Place::Entry { object, word } => {
                let at = ENTRIES_AT + ENTRY * u64::from(object % 32);
                (self.regions[DIRECTORY].0 + at, u16::from(word % 4))
            }
            Place::Name { word } => (NAME_AT, u16::from(word % 17)),
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

impl Extent {
    fn bytes(self) -> u64 {
        match self {
            Self::Any(bytes) => bytes,
            Self::Units(units) => u64::from(units) << 7,
            Self::Chunks(chunks) => u64::from(chunks) << 16,
            Self::End(units) => (u64::from(units) << 7).wrapping_neg(),
        }
    }
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
                u64::from(ring) << 32 | owner(index, epoch) << 2 | u64::from(state % 4)
            }
            Self::Lock { index, epoch, flags, count } => {
                u64::from(count) << 32 | u64::from(flags % 4) << 30 | owner(index, epoch)
            }
            Self::Lease { index, epoch, deliveries, state } => {
                let owner = owner(index % 4, epoch % 4);
                owner << 19 | u64::from(deliveries) << 3 | u64::from(state % 8)
            }
            Self::Top { visit, index } => u64::from(visit) << 24 | u64::from(index),
            Self::Kind { state, kind } => u64::from(kind % 17) << 32 | u64::from(state % 4),
        }
    }
}

/// The id of a participant, in the life `epoch` of its record.
fn owner(index: u8, epoch: u8) -> u64 {
    u64::from(epoch) << 12 | u64::from(index)
}
