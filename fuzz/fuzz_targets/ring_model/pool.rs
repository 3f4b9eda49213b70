//! `block::Pool` against a map of who has which block: no two blocks in use overlap, what was freed is found again,
//! and the death procedure frees exactly what was the dead one's.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::ptr::NonNull;

use arbitrary::Arbitrary;
use slipring_core::block::{
    AllocError, Backing, BlockRef, Geometry, Lookup, Magazines, Pool, Region, Returns,
};
use slipring_core::owner::OwnerId;

use crate::memory::Memory;
use crate::ops::Ops;

/// Room for eleven classes: from a thousand blocks of 64 bytes to one of 64 KiB.
const DATA: usize = 1 << 20;
const META: usize = 16 << 10;
/// The number of the one ring through which blocks are passed on.
const RING: u32 = 7;

#[derive(Arbitrary, Debug)]
pub struct Input {
    ops: Ops<Op>,
}

#[derive(Arbitrary, Debug)]
enum Op {
    Alloc { who: u8, len: Len },
    Many { who: u8, count: u8, len: Len },
    Free { which: u16, now: bool },
    FreeForeign { which: u16, who: u8 },
    Publish { which: u16 },
    Take { who: u8 },
    Flush { who: u8 },
    Die { who: u8 },
}

/// A length in the middle of a class, or at its edge.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Len {
    class: u8,
    less: u8,
}

/// A block in somebody's hands, or in the ring.
struct Used {
    block: BlockRef,
    owner: usize,
    len: u64,
    stamp: u64,
    published: Option<u64>,
}

struct Participant {
    id: OwnerId,
    magazines: Magazines,
    returns: Returns,
}

struct Rig {
    pool: Pool,
    who: [Participant; 3],
    /// By address of the payload.
    used: BTreeMap<usize, Used>,
    /// Positions and addresses, oldest first.
    ring: VecDeque<(u64, usize)>,
    made: u64,
}

/// All memory is there.
struct Paid;

impl Backing for Paid {
    type Error = Infallible;

    fn commit(&self, region: Region, offset: u64, len: u64) -> Result<(), Self::Error> {
        let size = if region == Region::Meta { META } else { DATA };
        assert!(offset + len <= size as u64, "{len} bytes at {offset} of {region:?}");
        Ok(())
    }

    fn is_committed(&self, _: Region, _: u64, _: u64) -> bool {
        true
    }
}

/// What is in the ring, for the death procedure.
struct Published(HashSet<(u64, BlockRef)>);

impl Lookup for Published {
    fn holds(&self, ring: u32, position: u64, block: BlockRef) -> bool {
        ring == RING && self.0.contains(&(position, block))
    }

    fn noted_by_living(&self, _: u32, _: u64) -> bool {
        false
    }
}

pub fn run(input: Input) {
    let (meta, data) = (Memory::new(META, 4096), Memory::new(DATA, 4096));
    let at = |memory: &Memory| NonNull::new(memory.at()).unwrap();
    let geometry = Geometry::new(META as u64, DATA as u64).unwrap();
    // SAFETY: fresh zeroed memory of the sizes that the geometry was made for, which outlives the pool.
    let pool = unsafe { Pool::new(at(&meta), at(&data), geometry) };
    let who = [1, 2, 3].map(|index| Participant::new(OwnerId::new(index, 0)));
    let mut rig = Rig { pool, who, used: BTreeMap::new(), ring: VecDeque::new(), made: 0 };
    for op in input.ops.0 {
        rig.apply(op);
    }
    rig.end();
}

impl Participant {
    fn new(id: OwnerId) -> Self {
        Self { id, magazines: Magazines::default(), returns: Returns::default() }
    }
}

impl Rig {
    fn apply(&mut self, op: Op) {
        match op {
            Op::Alloc { who, len } => self.alloc(person(who), self.bytes(len)),
            Op::Many { who, count, len } => {
                (0..count).for_each(|_| self.alloc(person(who), self.bytes(len)));
            }
            Op::Free { which, now } => {
                if let Some(at) = self.pick(which) {
                    self.free(at, now);
                }
            }
            Op::FreeForeign { which, who } => self.free_foreign(which, person(who)),
            Op::Publish { which } => self.publish(which),
            Op::Take { who } => self.take(person(who)),
            Op::Flush { who } => self.flush(person(who)),
            Op::Die { who } => self.die(person(who)),
        }
    }

    /// The length that is meant: up to a few bytes more than the largest block.
    fn bytes(&self, len: Len) -> u64 {
        let classes = self.pool.geometry().classes();
        let class = usize::from(len.class) % (classes.len() + 1);
        match classes.get(class) {
            Some(class) => class.payload.saturating_sub(u64::from(len.less)),
            None => self.pool.geometry().max_len() + u64::from(len.less),
        }
    }

    fn alloc(&mut self, who: usize, len: u64) {
        let block = match self.try_alloc(who, len) {
            Ok(block) => block,
            Err(AllocError::TooLong(max)) => {
                assert!(len > max && max == self.pool.geometry().max_len());
                return;
            }
            Err(AllocError::Exhausted { .. }) => {
                // Others may have free ones in their magazines. When they give them back there must be one, unless
                // every block of the class and of all larger ones is in use.
                (0..self.who.len()).for_each(|who| self.flush(who));
                match self.try_alloc(who, len) {
                    Ok(block) => block,
                    Err(error) => return self.assert_exhausted(len, error),
                }
            }
        };
        let (at, capacity) = (self.address(block), self.pool.capacity(block));
        assert!(capacity >= len && at.is_multiple_of(16));
        let before = self.used.range(..at).next_back();
        assert!(before.is_none_or(|(start, used)| *start as u64 + used.len <= at as u64));
        let behind = self.used.range(at..).next();
        assert!(behind.is_none_or(|(start, _)| at as u64 + capacity <= *start as u64));
        assert_eq!(self.pool.check(block, capacity), Some(block));
        assert_eq!(self.pool.check(block, capacity + 1), None);
        self.made += 1;
        let used = Used { block, owner: who, len: capacity, stamp: self.made, published: None };
        self.stamp(&used);
        self.used.insert(at, used);
    }

    fn try_alloc(&mut self, who: usize, len: u64) -> Result<BlockRef, AllocError<Infallible>> {
        let Participant { id, magazines, .. } = &mut self.who[who];
        self.pool.alloc(magazines, len, *id, &Paid)
    }

    fn assert_exhausted(&self, len: u64, error: AllocError<Infallible>) {
        let own = self.pool.geometry().class_for(len).unwrap();
        let of_class = self.pool.geometry().class(own).unwrap();
        assert_eq!(error, AllocError::Exhausted { block: of_class.payload, count: of_class.count });
        let in_use = self.used.values().filter(|used| used.block.class >= own).count();
        let classes = &self.pool.geometry().classes()[usize::from(own)..];
        assert_eq!(in_use as u32, classes.iter().map(|class| class.count).sum());
    }

    fn free(&mut self, at: usize, now: bool) {
        let used = self.used.remove(&at).unwrap();
        self.assert_stamp(&used);
        let Participant { id, returns, .. } = &mut self.who[used.owner];
        let mut free = || {
            if now {
                self.pool.free_now(used.block, *id)
            } else {
                self.pool.free(returns, used.block, *id)
            }
        };
        assert!(free() && !free(), "once, and not twice");
    }

    /// Nobody frees what is not his, or what he has sent.
    fn free_foreign(&mut self, which: u16, who: usize) {
        let keys: Vec<_> = self.used.values().map(|used| used.block).collect();
        let Some(block) = keys.get(usize::from(which) % keys.len().max(1)).copied() else { return };
        let owner = self.used[&self.address(block)].owner;
        let is_sent = self.used[&self.address(block)].published.is_some();
        if owner != who || is_sent {
            let Participant { id, returns, .. } = &mut self.who[who];
            assert!(!self.pool.free(returns, block, *id) && !self.pool.free_now(block, *id));
        }
    }

    fn publish(&mut self, which: u16) {
        let Some(at) = self.pick(which) else { return };
        self.made += 1;
        let (position, used) = (self.made, self.used.get_mut(&at).unwrap());
        let (control, id) = (self.pool.control(used.block), self.who[used.owner].id);
        // An attempt that failed, one that was given up, and the one that does it.
        control.send_at(id, RING, 0);
        control.unsend(id);
        control.send_at(id, RING, position);
        used.published = Some(position);
        self.ring.push_back((position, at));
    }

    fn take(&mut self, who: usize) {
        let Some((position, at)) = self.ring.pop_front() else { return };
        let used = self.used.get_mut(&at).unwrap();
        let (control, me) = (self.pool.control(used.block), self.who[who].id);
        assert!(!control.taken(me, RING, position + 1) && !control.taken(me, RING + 1, position));
        assert!(control.taken(me, RING, position) && control.is_owned_by(me));
        (used.owner, used.published) = (who, None);
        self.assert_stamp(&self.used[&at]);
    }

    fn flush(&mut self, who: usize) {
        let Participant { magazines, returns, .. } = &mut self.who[who];
        self.pool.flush(magazines, returns);
    }

    /// Somebody dies, with all that was private to him, and another comes in his place.
    fn die(&mut self, who: usize) {
        let dead = self.who[who].id;
        self.who[who] = Participant::new(OwnerId::new(dead.index(), dead.epoch() + 1));
        let published = self.used.values().filter_map(|used| Some((used.published?, used.block)));
        let published = Published(published.collect());
        let before = self.used.len();
        self.used.retain(|_, used| used.owner != who || used.published.is_some());
        let repaired = self.pool.recover(dead, &published);
        assert_eq!((repaired.freed, repaired.pending), ((before - self.used.len()) as u64, 0));
        assert_eq!(self.pool.recover(dead, &published).freed, 0, "nothing is left to free");
        self.used.values().for_each(|used| self.assert_stamp(used));
    }

    /// Takes and frees everything: then every block is free.
    fn end(&mut self) {
        while !self.ring.is_empty() {
            self.take(0);
        }
        let all: Vec<_> = self.used.keys().copied().collect();
        all.into_iter().for_each(|at| self.free(at, at % 32 == 0));
        assert!(self.pool.census().all(|(blocks, free, _)| blocks == free));
    }

    /// A block in somebody's hands.
    fn pick(&self, which: u16) -> Option<usize> {
        let held: Vec<_> = self.used.iter().filter(|(_, used)| used.published.is_none()).collect();
        held.get(usize::from(which) % held.len().max(1)).map(|(at, _)| **at)
    }

    fn address(&self, block: BlockRef) -> usize {
        self.pool.payload(block).as_ptr().addr()
    }

    /// Marks the first and the last word of a block.
    fn stamp(&self, used: &Used) {
        for word in self.ends(used) {
            // SAFETY: inside the payload of a block that is in use, aligned to 8.
            unsafe { word.write(used.stamp) };
        }
    }

    fn assert_stamp(&self, used: &Used) {
        for word in self.ends(used) {
            // SAFETY: as in `stamp`.
            assert_eq!(unsafe { word.read() }, used.stamp, "{:?}", used.block);
        }
    }

    fn ends(&self, used: &Used) -> [NonNull<u64>; 2] {
        let first = self.pool.payload(used.block);
        // SAFETY: the payload has `len` bytes, a multiple of 8 and more than that.
        let last = unsafe { first.add(used.len as usize - 8) };
        [first.cast(), last.cast()]
    }
}

fn person(who: u8) -> usize {
    usize::from(who % 3)
}
