//! `membarrier(GLOBAL_EXPEDITED)`: makes every running process that registered execute a full fence.

use std::io;
use std::sync::OnceLock;

/// What the kernel can do, as `MEMBARRIER_CMD_*` bits.
pub(crate) fn query() -> io::Result<u32> {
    call(libc::MEMBARRIER_CMD_QUERY)
}

/// Registers this process to be fenced by [`fence_registered`] of any process. Holds until exec; a child of fork
/// inherits it.
pub(crate) fn register() -> io::Result<()> {
    call(libc::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED).map(drop)
}

/// A full fence here and in every registered process that is running.
pub(crate) fn fence_registered() -> io::Result<()> {
    call(libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED).map(drop)
}

/// Whether this process is registered now: asks, registers and tries, once; a child of fork inherits what its parent
/// found.
pub(crate) fn enable() -> bool {
    static ENABLED: OnceLock<bool> = OnceLock::new();
    *ENABLED.get_or_init(try_to_enable)
}

fn try_to_enable() -> bool {
    let wanted =
        libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED | libc::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED;
    query().is_ok_and(|can| can & wanted as u32 == wanted as u32)
        && register().is_ok()
        && fence_registered().is_ok()
}

fn call(command: libc::c_int) -> io::Result<u32> {
    // SAFETY: membarrier takes three integers and touches no memory of ours.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) };
    u32::try_from(result).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_offers_works() {
        let Ok(can) = query() else {
            println!("skipped: no membarrier on this machine");
            return;
        };
        assert_eq!(enable(), can & libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED as u32 != 0);
        if enable() {
            fence_registered().unwrap();
        }
    }
}
