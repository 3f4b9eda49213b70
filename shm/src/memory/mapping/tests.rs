//! Unit tests: files that were made by others, and what is paid for.

use super::*;

/// Any layout fingerprint.
const LAYOUT: u64 = 7;

fn small() -> SegmentOptions {
    SegmentOptions::new().reserve(MIN_RESERVE)
}

/// A file of these bytes, as large as `size`, sealed.
fn file_of(bytes: &[u8], size: u64) -> OwnedFd {
    let file = memory::memfd("test").unwrap();
    memory::set_size(file.as_fd(), size).unwrap();
    file::write_at(file.as_fd(), bytes, 0).unwrap();
    memory::seal_size(file.as_fd()).unwrap();
    file
}

fn header_bytes() -> Vec<u8> {
    let mapping = Mapping::create(small(), LAYOUT).unwrap();
    let mut bytes = vec![0; 256];
    file::read_at(mapping.file().get().unwrap(), &mut bytes, 0).unwrap();
    bytes
}

fn attach(file: &OwnedFd) -> Result<Mapping> {
    Mapping::attach(file.as_fd(), LAYOUT)
}

#[test]
fn two_mappings_of_a_segment_share_memory_and_what_is_paid_for() {
    let one = Mapping::create(small(), LAYOUT).unwrap();
    let two = Mapping::attach(one.file().get().unwrap(), LAYOUT).unwrap();
    let (arena, _) = one.geometry().region(Region::Arena);
    assert_eq!(one.geometry(), two.geometry());
    assert!(!two.is_committed(arena, 1));
    let before = two.committed_bytes();
    one.commit(arena + CHUNK - 1, 2).unwrap();
    assert!(two.is_committed(arena, 2 * CHUNK) && !two.is_committed(arena, 2 * CHUNK + 1));
    assert_eq!(two.committed_bytes(), before + 2 * CHUNK);
    // SAFETY: committed and in bounds; nobody else uses it.
    unsafe {
        one.ptr(arena, 8).unwrap().cast::<u64>().write(77);
        assert_eq!(two.ptr(arena, 8).unwrap().cast::<u64>().read(), 77);
    }
    two.decommit(arena, 2 * CHUNK).unwrap();
    assert!(!one.is_committed(arena, 1));
    one.commit(arena, 8).unwrap();
    // SAFETY: as above.
    assert_eq!(unsafe { one.ptr(arena, 8).unwrap().cast::<u64>().read() }, 0);
}

#[test]
fn nothing_outside_the_file_has_an_address() {
    let mapping = Mapping::create(small(), LAYOUT).unwrap();
    for (offset, len) in [(MIN_RESERVE, 1), (MIN_RESERVE - 1, 2), (u64::MAX, 1), (1, u64::MAX)] {
        assert!(matches!(mapping.ptr(offset, len), Err(Error::Corrupt { .. })));
        assert!(matches!(mapping.commit(offset, len), Err(Error::Corrupt { .. })));
        assert!(!mapping.is_committed(offset, len));
    }
}

#[test]
fn a_budget_is_kept_and_a_wrong_count_is_mended() {
    let mapping = Mapping::create(small().budget(2 << 20), LAYOUT).unwrap();
    let (blocks, _) = mapping.geometry().region(Region::BlockData);
    let error = mapping.commit(blocks, 4 << 20).unwrap_err();
    assert!(matches!(error, Error::Budget { limit, .. } if limit == 2 << 20), "{error}");
    mapping.header().committed.store(u64::MAX / 2, Ordering::Relaxed);
    mapping.commit(blocks, CHUNK).unwrap();
    assert!(mapping.committed_bytes() < 2 << 20);
    let tiny = Mapping::create(small().budget(4096), LAYOUT).unwrap_err();
    assert!(matches!(tiny, Error::Budget { .. }), "{tiny}");
}

#[test]
fn files_that_are_no_segments_are_refused_by_kind() {
    let good = header_bytes();
    let refused = |bytes: &[u8], size| attach(&file_of(bytes, size)).unwrap_err();
    assert!(matches!(refused(b"", 0), Error::Truncated { found: 0, .. }));
    assert!(matches!(refused(&[7; 300], 300), Error::NotASegment { .. }));
    assert!(matches!(refused(&good[..100], 100), Error::Truncated { found: 100, .. }));
    assert!(matches!(refused(&good, MIN_RESERVE - 1), Error::Truncated { .. }));
    let patched = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        refused(&bytes, MIN_RESERVE)
    };
    assert!(matches!(patched(8, 9), Error::AbiVersion { theirs: 9, .. }));
    assert!(matches!(patched(12, 1), Error::HalfMade { creator } if creator == process::pid()));
    assert!(matches!(patched(12, 3), Error::Failed));
    assert!(matches!(patched(12, 77), Error::Corrupt { .. }));
    assert!(matches!(patched(16, good[16] ^ 1), Error::Layout { .. }));
    assert!(matches!(patched(28, 5), Error::Corrupt { .. }));
    assert!(matches!(patched(32, 1), Error::Corrupt { .. }));
    let null = std::fs::File::open("/dev/null").unwrap();
    let error = Mapping::attach(null.as_fd(), LAYOUT).unwrap_err();
    assert!(error.to_string().contains("a character device"), "{error}");
}

#[test]
fn a_memfd_that_can_shrink_is_refused() {
    let file = memory::memfd("test").unwrap();
    file::write_at(file.as_fd(), &header_bytes(), 0).unwrap();
    memory::set_size(file.as_fd(), MIN_RESERVE).unwrap();
    assert!(matches!(attach(&file), Err(Error::NotASegment { .. })));
    let unsealable = rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    file::write_at(unsealable.as_fd(), &header_bytes(), 0).unwrap();
    memory::set_size(unsealable.as_fd(), MIN_RESERVE).unwrap();
    assert!(matches!(attach(&unsealable), Err(Error::NotASegment { .. })));
}

#[test]
fn a_segment_is_made_in_an_empty_file_only() {
    let file = file_of(b"something", 9);
    let error = Mapping::create_in(file.as_fd(), small(), LAYOUT).unwrap_err();
    assert!(matches!(error, Error::NotEmpty { found: 9 }), "{error}");
    let empty = memory::memfd("test").unwrap();
    Mapping::create_in(empty.as_fd(), small(), LAYOUT).unwrap();
    assert!(Mapping::attach(empty.as_fd(), LAYOUT).is_ok());
}

#[test]
fn a_limit_of_file_sizes_makes_a_segment_smaller_and_never_kills() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    crate::sync::testing::alone(|| {
        let limited = |bytes| {
            let limit = Rlimit { current: Some(bytes), maximum: None };
            setrlimit(Resource::Fsize, limit).unwrap();
            Mapping::create(SegmentOptions::new(), LAYOUT)
        };
        let large = Mapping::create(small(), LAYOUT).unwrap();
        let fits = limited(1 << 30).unwrap();
        assert_eq!(fits.geometry().reserve(), 1 << 30);
        let error = limited(MIN_RESERVE - 1).unwrap_err();
        assert!(error.to_string().contains("`ulimit -f`"), "{error}");
        // What is as large as it is already is used as ever.
        let again = Mapping::attach(large.file().get().unwrap(), LAYOUT).unwrap();
        let (arena, len) = again.geometry().region(Region::Arena);
        again.commit(arena + len - CHUNK, CHUNK).unwrap();
        again.decommit(arena + len - CHUNK, CHUNK).unwrap();
    });
}

#[test]
fn an_honest_header_in_a_file_of_holes_is_attached_to_without_a_fault() {
    let file = file_of(&header_bytes(), MIN_RESERVE);
    let mapping = attach(&file).unwrap();
    assert!(!mapping.is_committed(0, 1), "its commit map is a hole: all zero");
}
