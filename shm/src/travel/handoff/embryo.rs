//! Another process's place in a segment, before that process has it.

use std::os::fd::{AsFd, OwnedFd};

use slipring_core::owner::OwnerId;

use crate::Result;
use crate::member::Attachment;

/// Prepares another process's place, as a fork does: an embryo, which `give` has hold what it is to hold, and the proof of
/// its life.
pub(super) fn prepare(
    attachment: &Attachment,
    give: impl Fn(OwnerId),
) -> Result<(OwnerId, OwnedFd)> {
    attachment.me()?;
    let proof = attachment.reopen()?;
    let embryo = attachment.with_recovery(|| -> Result<OwnerId> {
        let embryo = attachment.begin_embryo(proof.as_fd())?;
        give(embryo);
        Ok(embryo)
    })??;
    Ok((embryo, proof))
}
