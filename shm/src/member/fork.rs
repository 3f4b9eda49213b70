//! What a fork does to the segments that a process takes part in.
//!
//! The child is a participant of its own and has every handle that its parent had. It must never be the case that
//! neither of them is seen to have them: so the parent prepares the child's place *before* the fork and proves its life
//! with an open file description that both have mapped for a moment. Whoever dies when, the kernel frees the proof exactly
//! when the child is gone or was never born.
//!
//! | step | where | killed there |
//! |---|---|---|
//! | take the list's and the attachments' private locks | parent, prepare | nothing happened |
//! | open the proof, lock a byte with it, begin an embryo | parent, prepare | the proof goes with the parent: a dead embryo |
//! | give the embryo the handles | parent, prepare | the same |
//! | unmap the proof, unlock | parent, after | the child has it |
//! | open the segment anew, keep the proof from children, hatch, unlock | child | the child's death frees the proof |
//!
//! Threads that the parent had besides the forking one do not exist in the child; what they held of private memory
//! is locked by the forking thread, and what they held in the segment stays the parent's.

use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Once, Weak};
use std::time::Duration;

use slipring_core::owner::OwnerId;

use crate::member::attachment::{Attachment, Private};
use crate::member::recovery_lock::LONG_PATIENCE;
use crate::memory::wake_hook;
use crate::object::{self, Hooks};
use crate::sys::proof::Kept;
use crate::sys::{clock, file, process};
use crate::wait::PrivateLock;
use crate::{Error, Result};

/// An attachment of this process, and the file that it is to: its device and inode, which no other file has while it is
/// mapped.
struct Known {
    file: (u64, u64),
    attachment: Weak<Attachment>,
}

/// Between two tries for a recovery lock that another process has.
const NAP: Duration = Duration::from_micros(100);

/// All attachments of this process, and, during a fork, those that take part in it.
struct List {
    all: Vec<Known>,
    forking: Vec<Arc<Attachment>>,
    /// What else is done at a fork. It came with the first attachment, and cannot come between two steps of a fork: the
    /// list is locked across it.
    hooks: Option<&'static dyn Hooks>,
}

/// Under the lock: the list. Across a fork also the fork handlers of others that were registered before ours: they run between
/// ours, and must not come here.
static LIST: PrivateLock<List> =
    PrivateLock::new(List { all: Vec::new(), forking: Vec::new(), hooks: None });
static HANDLERS: Once = Once::new();

thread_local! {
    /// Forks of this thread are for programs that are started.
    static FOR_PROGRAM: Cell<bool> = const { Cell::new(false) };
}

impl List {
    fn of(&self, file: (u64, u64)) -> Vec<Arc<Attachment>> {
        let of_file = self.all.iter().filter(|known| known.file == file);
        of_file.filter_map(|known| known.attachment.upgrade()).collect()
    }

    fn push(&mut self, attachment: &Arc<Attachment>) {
        let file = attachment.mapping.file().identity();
        // Not each time: there may be many.
        if self.all.len() == self.all.capacity() {
            self.all.retain(|known| known.attachment.strong_count() > 0);
        }
        self.all.push(Known { file, attachment: Arc::downgrade(attachment) });
        self.hooks = Some(attachment.kinds().hooks());
    }
}

/// The one that this process takes part with. A forked child for which no place was to be had takes part with none.
fn in_use(all: &[Arc<Attachment>]) -> Option<&Arc<Attachment>> {
    all.iter().rfind(|attachment| attachment.me().is_ok())
}

/// Has `attachment` take part in the forks of this process.
pub(crate) fn register(attachment: &Arc<Attachment>) -> Result<()> {
    handle_forks()?;
    LIST.lock().push(attachment);
    Ok(())
}

/// The same, unless another thread was faster and this process takes part in that segment already: then with the attachment
/// that is returned.
pub(crate) fn register_only(attachment: &Arc<Attachment>) -> Result<Arc<Attachment>> {
    handle_forks()?;
    let mut list = LIST.lock();
    let others = list.of(attachment.mapping.file().identity());
    let only = in_use(&others).unwrap_or(attachment).clone();
    if Arc::ptr_eq(&only, attachment) {
        list.push(attachment);
    }
    drop(list);
    // Not under the lock: these may be the last references.
    drop(others);
    Ok(only)
}

fn handle_forks() -> Result<()> {
    let mut result = Ok(());
    HANDLERS.call_once(|| result = process::at_fork(prepare, parent, child));
    result.map_err(Error::io("register fork handlers"))
}

/// The attachment that this process has already to the segment in `file`.
pub(crate) fn attached_to(file: BorrowedFd<'_>) -> Result<Option<Arc<Attachment>>> {
    let file = file::identity(file).map_err(Error::io("look at the descriptor"))?;
    // Not under the lock: these may become the last references.
    let all = LIST.lock().of(file);
    Ok(in_use(&all).cloned())
}

unsafe extern "C" fn prepare() {
    LIST.lock_for_fork();
    // SAFETY: locked for the fork by this thread, just now.
    unsafe {
        LIST.with_held(|list| {
            list.forking = list.all.iter().filter_map(|known| known.attachment.upgrade()).collect();
            list.forking.iter().for_each(|attachment| prepare_one(attachment));
            list.hooks.into_iter().for_each(|hooks| hooks.prepare_fork());
        });
    }
    wake_hook::lock_for_fork();
}

/// Runs `start`, which forks to start a program. That child takes no part: it is another program in a moment, and until
/// somebody noticed the end of a participant that nobody needed, its handles would keep this process's peers waiting.
pub(crate) fn for_program<R>(start: impl FnOnce() -> R) -> R {
    FOR_PROGRAM.set(true);
    let started = start();
    FOR_PROGRAM.set(false);
    started
}

/// Takes the private lock and prepares the child's place. Where none is to be had the child is told so by
/// [`Error::Forked`]; the fork itself goes on.
fn prepare_one(attachment: &Attachment) {
    if FOR_PROGRAM.get() {
        return attachment.private.lock_for_fork();
    }
    let mut proof = attachment.me().and_then(|_| attachment.reopen()).ok();
    let deadline = clock::deadline_in(LONG_PATIENCE);
    loop {
        attachment.private.lock_for_fork();
        // SAFETY: locked for the fork by this thread, just now.
        let is_settled = unsafe {
            attachment.private.with_held(|private| {
                let Some(fd) = proof.as_ref().map(AsFd::as_fd) else { return true };
                let embryo = conceive(attachment, private, fd);
                let is_settled = !matches!(embryo, Err(Error::TimedOut));
                private.embryo =
                    embryo.ok().and_then(|id| Some((id, Kept::for_child(proof.take()?).ok()?)));
                is_settled
            })
        };
        if is_settled || clock::has_passed(deadline) {
            return;
        }
        // While another process has the recovery lock, other threads of this one drop handles.
        attachment.private.unlock_after_fork();
        std::thread::sleep(NAP);
    }
}

fn conceive(attachment: &Attachment, private: &Private, proof: BorrowedFd<'_>) -> Result<OwnerId> {
    let embryo = attachment.with_recovery_held(Duration::ZERO, || -> Result<OwnerId> {
        attachment.reap_held();
        let embryo = attachment.begin_embryo(proof.as_fd())?;
        for (id, role) in private.handles.keys() {
            object::hold(attachment, *id, *role, embryo);
            crash_point!("fork.prepare.held");
        }
        Ok(embryo)
    })??;
    crash_point!("fork.prepare.done");
    Ok(embryo)
}

unsafe extern "C" fn parent() {
    wake_hook::unlock_after_fork();
    // SAFETY: `prepare` locked the list, and fork runs this handler in the same thread.
    let gone = unsafe {
        LIST.with_held(|list| {
            list.hooks.into_iter().for_each(|hooks| hooks.after_fork_in_parent());
            for attachment in &list.forking {
                // SAFETY: `prepare` locked it in this thread.
                let proof = attachment.private.with_held(|private| private.embryo.take());
                crash_point!("fork.parent.before_close");
                drop(proof);
                attachment.private.unlock_after_fork();
            }
            std::mem::take(&mut list.forking)
        })
    };
    LIST.unlock_after_fork();
    // Not under the lock: these may be the last references.
    drop(gone);
}

unsafe extern "C" fn child() {
    // SAFETY: `prepare` locked the list, and the child's only thread is a copy of the one that did.
    let (gone, hooks) = unsafe {
        LIST.with_held(|list| {
            for attachment in &list.forking {
                // SAFETY: as above.
                attachment.private.with_held(|private| become_child(attachment, private));
                attachment.private.unlock_after_fork();
            }
            (std::mem::take(&mut list.forking), list.hooks)
        })
    };
    LIST.unlock_after_fork();
    wake_hook::unlock_after_fork();
    hooks.into_iter().for_each(|hooks| hooks.after_fork_in_child());
    drop(gone);
}

/// Makes the embryo this process: its proof is kept, and a descriptor of the segment is opened that is not the parent's.
/// Without one left it goes on with none, as where the program has closed it (`memory/reopen.rs`).
fn become_child(attachment: &Attachment, private: &mut Private) {
    // Until it is settled who we are, we are nobody: certainly not our parent. Its proof is not in our memory: there is
    // nothing to be unmapped.
    attachment.set_me(None);
    std::mem::forget(private.proof.take());
    let Some((id, proof)) = private.embryo.take() else {
        // Our copy would keep the parent's recovery lock, if it died with that in its hands.
        attachment.mapping.file().let_go();
        return;
    };
    crash_point!("fork.child.born");
    let parents = attachment.mapping.file();
    match parents.open().and_then(file::reopen) {
        Ok(own) => parents.replace(own),
        Err(_) => parents.let_go(),
    }
    crash_point!("fork.child.replaced");
    private.proof = proof.settle().ok();
    if private.proof.is_none() || attachment.hatch(id).is_err() {
        attachment.set_me(None);
    }
}
