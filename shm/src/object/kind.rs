//! The kinds of objects: the number that stands in memory, and the name that people read.

/// Makes [`Kind`] from one list, so that no kind can lack its number, its name, or its place in `ALL`.
macro_rules! kinds {
    ($($kind:ident = $number:literal $name:literal;)*) => {
        /// What an object is. The numbers stand in shared memory.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u32)]
        pub(crate) enum Kind {
            $($kind = $number,)*
        }

        impl Kind {
            /// All kinds, in the order in which the layout fingerprint folds their sizes.
            pub(crate) const ALL: &[Self] = &[$(Self::$kind,)*];

            /// What people call it.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }
    };
}

// A new kind goes to the end: the order is that of the layout fingerprint.
kinds! {
    BoundedSemaphore = 13 "bounded semaphore";
    Value = 14 "value";
    Array = 15 "array";
    Queue = 1 "queue";
    Ring = 2 "ring of a queue";
    Ordered = 12 "ordered queue";
    JoinableQueue = 11 "joinable queue";
    Pipe = 3 "pipe";
    Acceptor = 16 "acceptor";
    Slots = 4 "slot ring";
    Mutex = 5 "mutex";
    ReentrantMutex = 6 "reentrant mutex";
    Semaphore = 7 "semaphore";
    Event = 8 "event";
    Condvar = 9 "condition variable";
    Barrier = 10 "barrier";
}

impl Kind {
    /// The kind with this number. Any number is possible.
    pub(crate) fn from_word(word: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| *kind as u32 == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_found_by_its_number_and_no_other_number_is_a_kind() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_word(*kind as u32), Some(*kind));
        }
        let known = (0..1000).filter(|word| Kind::from_word(*word).is_some()).count();
        assert_eq!(known, Kind::ALL.len());
        assert_eq!(Kind::from_word(0), None);
    }
}
