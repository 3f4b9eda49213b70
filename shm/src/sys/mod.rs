//! Every system call but the futex: thin typed functions, one small file per subject.
//!
//! Nothing here knows what a segment is. Errors are `std::io::Error` as the kernel gave them; whoever calls knows the
//! sentence to put around them. No function retries after `EINTR` unless it says so.
//!
//! | file | subject |
//! |---|---|
//! | `memory.rs` | shared memory as a file: made, sealed, mapped, paid for, given back |
//! | `pieces.rs` | a file mapped in pieces, as they are used |
//! | `window.rs` | part of a file at an address of its own |
//! | `file.rs` | descriptors and open file descriptions |
//! | `lock.rs` | locks on bytes of a file |
//! | `name.rs` | names of files in a directory |
//! | `socket.rs` | pairs of sockets, and descriptors that travel through them |
//! | `listener.rs` | sockets with a name: one listens, others connect |
//! | `inotify.rs` | the bell of those who watch a segment |
//! | `watch.rs` | one descriptor over a socket |
//! | `wakeup.rs` | flags, timers, and the wait for several descriptors |
//! | `membarrier.rs` | a fence in every process that registered for it |
//! | `process.rs` | which process this is, what forks it, how many CPUs it has |
//! | `cgroup.rs` | the memory limit that the kernel kills for |
//! | `clock.rs` | the clock, and deadlines on it |

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
pub(crate) mod pieces;
pub(crate) mod process;
pub(crate) mod proof;
pub(crate) mod socket;
pub(crate) mod wakeup;
pub(crate) mod watch;
pub(crate) mod window;
