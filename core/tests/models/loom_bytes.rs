//! Every interleaving of readers and writers of bytes: nothing of one word is torn, and neighbours stay.

use loom::sync::Arc;
use loom::thread;
use slipring_core::bytes;
use slipring_core::primitive::AtomicU64;

fn words() -> Arc<[AtomicU64; 2]> {
    Arc::new([AtomicU64::new(0), AtomicU64::new(0)])
}

#[test]
fn neighbours_in_one_word_write_at_once_and_both_are_there() {
    loom::model(|| {
        let words = words();
        let other = {
            let words = words.clone();
            thread::spawn(move || bytes::write(&*words, 0, &[1; 4]))
        };
        bytes::write(&*words, 4, &[2; 2]);
        other.join().unwrap();
        let mut all = [0; 8];
        bytes::read(&*words, 0, &mut all);
        assert_eq!(all, [1, 1, 1, 1, 2, 2, 0, 0]);
    });
}

#[test]
fn what_lies_in_one_word_is_seen_whole_and_what_lies_in_two_word_by_word() {
    loom::model(|| {
        let words = words();
        let writer = {
            let words = words.clone();
            thread::spawn(move || bytes::write(&*words, 4, &[7; 8]))
        };
        let mut seen = [0; 8];
        bytes::read(&*words, 4, &mut seen);
        // Legal: nothing yet; the first half; all; and, for nothing is ordered, the second half alone.
        let [first, second] = [&seen[..4], &seen[4..]];
        assert!(
            [first, second].iter().all(|half| **half == [0; 4] || **half == [7; 4]),
            "{seen:?}"
        );
        writer.join().unwrap();
    });
}
