//! Size classes and where their memory lies. Pure arithmetic, made once per mapping and kept private.
//!
//! Class `c` has blocks of `64 << c` bytes. Up to 4 KiB ("small") a block begins with its control word, so that a
//! small message moves no third cache line; above that the controls stand in a side array, a line each, and the
//! payload is page-aligned.
//!
//! ```text
//! meta region:              | fresh (128 bytes a class; at 64 the next look) | then per class:
//!                           | summary words | bitmap words | controls (large only, 64 bytes each) |
//! data region, per class:   | block 0 | block 1 | ...
//! small block:              | control (16) | payload ...
//! ```

/// Bytes of the smallest block.
const SMALLEST: u64 = 64;
/// Classes whose blocks carry their own control word: 64 B to 4 KiB.
const SMALL_CLASSES: usize = 7;
/// Bytes of a control word pair at the front of a small block.
const CONTROL_BYTES: u64 = 16;
/// Bytes from one control to the next in a side array: a line, so that owners do not share one.
const SIDE_STRIDE: u64 = 64;
/// More blocks than this a descriptor cannot name.
const MAX_BLOCKS: u64 = 1 << 24;
/// Bytes from one class's count of words in use to the next.
const FRESH_STRIDE: u64 = 128;
/// Where in the meta region it stands when free blocks are looked at: a line in what the first count leaves empty.
pub(super) const IDLE: u64 = 64;
/// Bytes of all those counts, at the front of the meta region: the part that is in use from the start.
pub const FRESH_BYTES: u64 = FRESH_STRIDE * MAX_CLASSES as u64;
/// Regions of classes begin at multiples of this, the unit in which segment memory is committed.
const ALIGN: u64 = 64 << 10;

/// The most classes that a pool can have: up to 4 GiB a block.
pub const MAX_CLASSES: usize = 27;
/// The longest payload of any pool.
pub const MAX_BLOCK_LEN: u64 = SMALLEST << (MAX_CLASSES - 1);

/// Where one class lives. Offsets are bytes from the start of the meta region (`fresh`, `summary`, `bitmap` and the
/// controls of large classes) or of the data region.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ClassGeometry {
    /// Number of blocks.
    pub count: u32,
    /// Bitmap words: 64 blocks each.
    pub words: u32,
    /// Bytes from block to block.
    pub stride: u64,
    /// Payload bytes of a block.
    pub payload: u64,
    /// Meta offset of the line that counts words in use.
    pub fresh: u64,
    /// Meta offset of the summary words.
    pub summary: u64,
    /// Meta offset of the bitmap words.
    pub bitmap: u64,
    /// Meta offset of the controls; unused in small classes.
    pub controls: u64,
    /// Data offset of block 0.
    pub data: u64,
}

/// All classes of a pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Geometry {
    classes: [ClassGeometry; MAX_CLASSES],
    used: usize,
}

impl Geometry {
    /// Lays classes out in regions of `meta` and `data` bytes. `None` if not even the small classes fit.
    pub fn new(meta: u64, data: u64) -> Option<Self> {
        let fits = |n: usize| data / n as u64 / ALIGN * ALIGN >= SMALLEST << (n - 1);
        let used = (1..=MAX_CLASSES).rev().find(|&n| fits(n))?;
        if used < SMALL_CLASSES {
            return None;
        }
        let share = data / used as u64 / ALIGN * ALIGN;
        let mut classes = [ClassGeometry::default(); MAX_CLASSES];
        let mut at = FRESH_BYTES;
        for (c, class) in classes.iter_mut().enumerate().take(used) {
            let stride = SMALLEST << c;
            let count = (share / stride).min(MAX_BLOCKS);
            let words = count.div_ceil(64);
            let small = c < SMALL_CLASSES;
            class.count = count as u32;
            class.words = words as u32;
            class.stride = stride;
            class.payload = if small { stride - CONTROL_BYTES } else { stride };
            class.fresh = FRESH_STRIDE * c as u64;
            class.summary = at;
            class.bitmap = class.summary + words.div_ceil(64) * 8;
            class.controls = (class.bitmap + words * 8).next_multiple_of(SIDE_STRIDE);
            class.data = share * c as u64;
            let controls = if small { 0 } else { count * SIDE_STRIDE };
            at = class.controls + controls;
        }
        (at <= meta).then_some(Self { classes, used })
    }

    /// The classes, smallest first.
    #[inline]
    pub fn classes(&self) -> &[ClassGeometry] {
        &self.classes[..self.used]
    }

    /// The class by number, if there is one.
    #[inline]
    pub fn class(&self, class: u8) -> Option<&ClassGeometry> {
        self.classes().get(usize::from(class))
    }

    /// The smallest class whose payload holds `len` bytes.
    #[inline]
    pub fn class_for(&self, len: u64) -> Option<u8> {
        // First by the block size that holds payload and control, then one down where the control stands aside.
        let with_control = len.saturating_add(CONTROL_BYTES).max(SMALLEST);
        let mut class = (with_control - 1).ilog2() as usize + 1 - SMALLEST.ilog2() as usize;
        if class > SMALL_CLASSES && len <= SMALLEST << (class - 1) {
            class -= 1;
        }
        (class < self.used).then_some(class as u8)
    }

    /// The longest payload that a block of this pool holds.
    pub fn max_len(&self) -> u64 {
        self.classes[self.used - 1].payload
    }

    /// Whether blocks of this class carry their control themselves.
    #[inline]
    pub fn is_small(class: u8) -> bool {
        usize::from(class) < SMALL_CLASSES
    }

    /// Whether blocks of this class are made of whole chunks, which can be committed and given back by themselves.
    #[inline]
    pub fn has_whole_chunks(class: u8) -> bool {
        SMALLEST << class >= ALIGN
    }

    /// How many classes are small.
    pub const fn small_classes() -> usize {
        SMALL_CLASSES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn default_pool() -> Geometry {
        Geometry::new(4 << 30, 96 << 30).unwrap()
    }

    #[test]
    fn every_length_gets_the_smallest_class_that_holds_it() {
        let g = default_pool();
        for (c, class) in g.classes().iter().enumerate() {
            assert_eq!(g.class_for(class.payload), Some(c as u8), "{class:?}");
            let next = (c + 1 < g.classes().len()).then_some(c as u8 + 1);
            assert_eq!(g.class_for(class.payload + 1), next, "{class:?}");
        }
        assert_eq!(g.class_for(0), Some(0));
        assert_eq!(g.class_for(u64::MAX / 2), None);
    }

    #[test]
    fn regions_do_not_overlap_and_stay_inside() {
        for (meta, data) in [(4 << 30, 96 << 30), (2 << 20, 48 << 20), (1 << 30, 10 << 30)] {
            let g = Geometry::new(meta, data).unwrap();
            let (mut meta_end, mut data_end) = (FRESH_BYTES, 0);
            for (c, class) in g.classes().iter().enumerate() {
                assert!(class.summary >= meta_end && class.data >= data_end);
                assert!(class.fresh == c as u64 * 128 && class.summary < class.bitmap);
                assert!(class.bitmap + u64::from(class.words) * 8 <= class.controls);
                let side =
                    if Geometry::is_small(c as u8) { 0 } else { u64::from(class.count) * 64 };
                meta_end = class.controls + side;
                data_end = class.data + u64::from(class.count) * class.stride;
                assert!(class.count >= 1);
            }
            assert!(meta_end <= meta && data_end <= data);
        }
    }

    #[test]
    fn the_default_pool_holds_gigabytes_and_a_tiny_one_is_refused() {
        assert!(default_pool().max_len() >= 2 << 30);
        assert_eq!(Geometry::new(4 << 30, 1 << 10), None);
        assert_eq!(Geometry::new(0, 1 << 30), None);
    }
}
