//! Every system call but the futex: thin typed functions, one small file per subject.
//!
//! Nothing here knows what a segment is. Errors are `std::io::Error` as the kernel gave them; whoever calls knows the
//! sentence to put around them. No function retries after `EINTR` unless it says so.

pub(crate) mod cgroup;
pub(crate) mod clock;
pub(crate) mod file;
pub(crate) mod held;
pub(crate) mod inotify;
pub(crate) mod listener;
pub(crate) mod lock;
pub(crate) mod membarrier;
pub(crate) mod memory;
pub(crate) mod name;
pub(crate) mod process;
pub(crate) mod proof;
pub(crate) mod socket;
pub(crate) mod wakeup;
pub(crate) mod watch;
pub(crate) mod window;
