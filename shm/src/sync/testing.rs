//! What the unit tests of locks and slot rings share.

use std::process::Command;

use slipring_core::owner::OwnerId;

/// Set in a process that runs one test alone.
const ALONE: &str = "SLIPRING_TEST_ALONE";

/// Somebody who never took part, and so is dead.
pub(crate) fn somebody_dead() -> OwnerId {
    OwnerId::new(777, 5)
}

/// Whether `f` is true in a forked child. It must not panic: other threads' locks may be held for ever there.
pub(crate) fn in_child(f: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child runs `f`, which keeps to what is allowed after a fork, and leaves.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let code = i32::from(!f());
        // SAFETY: leaves at once, without running anything of the parent's.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: `status` is a valid place; `child` is a child of ours.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
}

/// Runs a test that forks in a process of its own: the child has a handle of everything that its parent has, and its
/// end is a death, which other tests of this process would see in their segments. Call it with the whole test as a
/// closure.
pub(crate) fn alone<F: FnOnce()>(test: F) {
    if std::env::var_os(ALONE).is_some() {
        return test();
    }
    let name = std::any::type_name::<F>();
    let name = name.trim_start_matches("slipring::").trim_end_matches("::{{closure}}");
    let this = std::env::current_exe().unwrap();
    let run = Command::new(this).args(["--exact", name]).env(ALONE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{name}: {said}");
}
