//! One process's attachment to one segment: its regions, who this process is in it, and which handles it has.
//!
//! # Locks, in the order in which they are taken
//!
//! 1. the list of attachments (fork only),
//! 2. an attachment's `private` lock: threads of this process,
//! 3. the segment's recovery lock: an OFD lock, so the kernel frees it with its holder.
//!
//! Rings, locks and blocks take none of them. Creating, opening and closing objects, joining and burying do.

use std::collections::HashMap;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use slipring_core::directory::ObjectId;
use slipring_core::futex::Scope;
use slipring_core::member::{Identity, MemberState};
use slipring_core::owner::OwnerId;
use slipring_core::primitive::{AtomicU32, AtomicU64, Ordering};

use crate::member::leftovers;
use crate::member::recovery_lock::{self, LONG_PATIENCE, SHORT_PATIENCE};
use crate::memory::{Mapping, Regions, wake_hook};
use crate::object::{Kinds, Role};
use crate::sys::proof::Kept;
use crate::sys::{clock, file, membarrier, process};
use crate::wait::{Place, PrivateLock, SLICE, Spin, SpinPolicy};
use crate::{Error, Result, recovery};

/// Looks for the dead come at most this often from one process.
const REAP_INTERVAL: u64 = 20_000_000;

/// One process's attachment.
#[derive(Debug)]
pub struct Attachment {
    regions: Regions,
    /// What describes the objects in it.
    kinds: Kinds,
    cpus: u32,
    /// Our id in this segment, 0 while we take no part. Changes in a forked child. Private memory.
    me: AtomicU32,
    /// Whether signals end waits. Private memory.
    interruptible: AtomicU32,
    /// When this process last looked for the dead. Private memory.
    last_reap: AtomicU64,
    /// Who was alive when, for those who wait for a lock.
    alive: Alive,
    /// Under the lock: counting, and all that is done under the recovery lock. No foreign code, and no attachment is dropped;
    /// nobody waits for the recovery lock with it.
    pub(crate) private: PrivateLock<Private>,
}

/// What an attachment keeps behind its private lock.
#[derive(Debug, Default)]
pub(crate) struct Private {
    /// How many handles this process has of each side of each object.
    pub(crate) handles: HashMap<(ObjectId, Role), usize>,
    /// How handles made from now on spin.
    spin: SpinPolicy,
    /// What proves our life: a lock of an open file description that is kept.
    pub(crate) proof: Option<Kept>,
    /// During a fork: the child's participant and what proves it.
    pub(crate) embryo: Option<(OwnerId, Kept)>,
}

/// What is in the segment, whoever looks.
impl Deref for Attachment {
    type Target = Regions;

    #[inline]
    fn deref(&self) -> &Regions {
        &self.regions
    }
}

impl Attachment {
    /// Takes part in a mapped segment.
    pub(crate) fn join(mapping: Mapping, kinds: Kinds) -> Result<Self> {
        let attachment = Self::over(mapping, kinds)?;
        let proof = attachment.reopen()?;
        let me = attachment
            .with_recovery(|| attachment.begin_life(proof.as_fd(), identity(), true))??;
        attachment.set_me(Some(me));
        attachment.keep(proof)?;
        Ok(attachment)
    }

    /// Takes part under the id that another process prepared: an embryo whose life `proof` proves.
    pub(crate) fn adopt(
        mapping: Mapping,
        embryo: OwnerId,
        proof: OwnedFd,
        kinds: Kinds,
    ) -> Result<Self> {
        let attachment = Self::over(mapping, kinds)?;
        let record = attachment.record(embryo.index());
        // A process that runs already has its place: this one inherited a stale description.
        let known = record.is_some_and(|r| r.is(embryo) && r.state() == MemberState::Embryo);
        if !known {
            let what = "the place kept for this process in the segment";
            return Err(Error::NotInherited(what.into()));
        }
        attachment.hatch(embryo)?;
        attachment.keep(proof)?;
        Ok(attachment)
    }

    /// Keeps the proof of our life, without a descriptor where that is possible: a program may close those that it does not
    /// know.
    fn keep(&self, proof: OwnedFd) -> Result<()> {
        let kept = Kept::new(proof).map_err(Error::io("keep the proof of life"))?;
        self.private.lock().proof = Some(kept);
        Ok(())
    }

    fn over(mapping: Mapping, kinds: Kinds) -> Result<Self> {
        Ok(Self {
            regions: Regions::commit(mapping)?,
            kinds,
            cpus: process::cpu_count(),
            me: AtomicU32::new(0),
            interruptible: AtomicU32::new(0),
            last_reap: AtomicU64::new(0),
            alive: Alive::new(),
            private: PrivateLock::new(Private::default()),
        })
    }

    /// The regions of the segment.
    #[inline]
    pub(crate) fn regions(&self) -> &Regions {
        &self.regions
    }

    /// What describes the objects in it.
    pub(crate) fn kinds(&self) -> Kinds {
        self.kinds
    }

    /// Our id in this segment.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`] in a child for which no place was to be had.
    #[inline]
    pub(crate) fn me(&self) -> Result<OwnerId> {
        // ORDERING: Relaxed; private memory, changed only while this process has one thread (a fork's child).
        match OwnerId::from_bits(self.me.load(Ordering::Relaxed)) {
            Some(me) => Ok(me),
            // Not `ok_or`: that would build and drop an error in every operation.
            None => Err(Error::Forked),
        }
    }

    pub(crate) fn set_me(&self, me: Option<OwnerId>) {
        // ORDERING: Relaxed; as above.
        self.me.store(me.map_or(0, OwnerId::bits), Ordering::Relaxed);
    }

    pub(crate) fn interruptible(&self) -> bool {
        // ORDERING: Relaxed; private memory.
        self.interruptible.load(Ordering::Relaxed) != 0
    }

    pub(crate) fn set_interruptible(&self, on: bool) {
        // ORDERING: Relaxed; private memory.
        self.interruptible.store(u32::from(on), Ordering::Relaxed);
    }

    /// What a new handle knows of spinning.
    pub(crate) fn new_spin(&self) -> Spin {
        Spin::new(self.private.lock().spin, self.cpus)
    }

    pub(crate) fn set_spin(&self, policy: SpinPolicy) {
        self.private.lock().spin = policy;
    }

    /// Whether this process has a handle of any object in it.
    pub(crate) fn has_handles(&self) -> bool {
        !self.private.lock().handles.is_empty()
    }

    /// Whether `owner` is proven dead. This process never is.
    pub(crate) fn is_dead(&self, owner: OwnerId) -> bool {
        !self.me().is_ok_and(|me| me == owner) && self.record_is_dead(owner)
    }

    /// An embryo for a child of this process. Under the recovery lock.
    pub(crate) fn begin_embryo(&self, proof: BorrowedFd<'_>) -> Result<OwnerId> {
        match self.begin_life(proof, identity(), false) {
            Err(Error::TooManyParticipants { .. }) if self.bury_all_dead() > 0 => {
                self.begin_life(proof, identity(), false)
            }
            begun => begun,
        }
    }

    /// As [`Attachment::reap`], under the recovery lock: for who starts children again and again and never waits in the
    /// segment. Nobody else would look for those that have ended, for the sake of the memory that they had.
    pub(crate) fn reap_held(&self) {
        if self.is_time_to_reap() {
            self.bury_all_dead();
        }
    }

    /// This process is the one that `embryo` was prepared for.
    pub(crate) fn hatch(&self, embryo: OwnerId) -> Result<()> {
        let record = self.record(embryo.index()).ok_or(Error::Forked)?;
        record.adopt(identity());
        crash_point!("attachment.hatch.adopted");
        self.set_me(Some(embryo));
        Ok(())
    }

    /// Gives memory back that lay free for long.
    #[inline]
    pub(crate) fn tidy(&self) {
        if let Ok(me) = self.me() {
            self.regions.tidy(me);
        }
    }

    /// Looks for dead participants and repairs what they left, unless this process did so a moment ago; and for memory that
    /// lies free.
    #[cold]
    pub(crate) fn reap(&self) {
        self.tidy();
        if self.is_time_to_reap() {
            self.reap_now();
        }
    }

    /// Whether this process has not looked for the dead for a moment; it is about to.
    fn is_time_to_reap(&self) -> bool {
        let now = clock::now();
        // ORDERING: Relaxed; private memory, a lost update costs one more look.
        if now.wrapping_sub(self.last_reap.load(Ordering::Relaxed)) < REAP_INTERVAL {
            return false;
        }
        self.last_reap.store(now, Ordering::Relaxed);
        true
    }

    /// Looks for dead participants and repairs what they left. Returns how many were buried.
    pub(crate) fn reap_now(&self) -> usize {
        if !self.participants().any(|(id, _)| self.is_dead(id)) {
            return 0;
        }
        // Somebody else is at it, or is stopped in the middle of it: our own operations go on all the same.
        self.try_with_recovery(|| self.bury_all_dead()).unwrap_or(0)
    }

    /// Repairs what the dead left. Under the recovery lock.
    fn bury_all_dead(&self) -> usize {
        let Ok(me) = self.me() else { return 0 };
        if !recovery::is_enabled() {
            return 0;
        }
        let dead: Vec<_> =
            self.participants().map(|(id, _)| id).filter(|id| self.is_dead(*id)).collect();
        dead.into_iter().filter(|id| recovery::bury(self, self.kinds, *id, me)).count()
    }

    /// The same, waiting for whoever is at it.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], as [`Attachment::with_recovery`].
    pub(crate) fn reap_patiently(&self) -> Result<()> {
        if self.participants().any(|(id, _)| self.is_dead(id)) {
            self.with_recovery(|| self.bury_all_dead())?;
        }
        Ok(())
    }

    /// Runs `f` under the recovery lock.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] if a living process keeps the lock for very long: it was stopped.
    pub(crate) fn with_recovery<R>(&self, f: impl FnOnce() -> R) -> Result<R> {
        self.with_recovery_for(LONG_PATIENCE, |_| f())
    }

    /// The same with so much patience, and `f` gets what is behind the private lock. While the recovery lock is another's that
    /// one is free: other threads drop handles meanwhile.
    pub(crate) fn with_recovery_for<R>(
        &self,
        patience: Duration,
        f: impl FnOnce(&mut Private) -> R,
    ) -> Result<R> {
        recovery_lock::with(self.fd()?, patience, || self.private.lock(), |private| f(private))
    }

    /// The same for a caller that holds the private lock: others of this process wait behind it, so it has little patience.
    pub(crate) fn with_recovery_held<R>(
        &self,
        patience: Duration,
        f: impl FnOnce() -> R,
    ) -> Result<R> {
        recovery_lock::with(self.fd()?, patience, || (), |()| f())
    }

    /// Runs `f` under the recovery lock if it is to be had at once: not where a thread of ours waits for it, either.
    fn try_with_recovery<R>(&self, f: impl FnOnce() -> R) -> Option<R> {
        let _private = self.private.try_lock()?;
        self.with_recovery_held(Duration::ZERO, f).ok()
    }

    /// A descriptor of the segment's file with an open file description of its own.
    pub(crate) fn reopen(&self) -> Result<OwnedFd> {
        file::reopen(self.fd()?).map_err(Error::io("reopen the segment"))
    }

    /// Leaving is dying in good order. If the recovery lock is not to be had, the others do it. But of a named segment this
    /// process may be the last participant, which takes the name away.
    fn leave(&self, me: OwnerId) {
        let is_named = self.mapping.header().is_named();
        let patience = if is_named { SHORT_PATIENCE } else { Duration::ZERO };
        let Some(_private) = self.private.try_lock() else { return };
        let _ = self.with_recovery_held(patience, || {
            if is_named {
                self.bury_all_dead();
            }
            recovery::bury(self, self.kinds, me, me)
        });
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let me = self.me().ok();
        if let Some(me) = me {
            self.leave(me);
        }
        if me.is_some() && self.mapping.header().is_named() {
            leftovers::take_away(self.kinds.layout());
        }
        self.kinds.hooks().forget(std::ptr::from_ref(self).addr());
        wake_hook::forget(&self.mapping);
    }
}

impl Place for Attachment {
    const SCOPE: Scope = Scope::Shared;
    const SLICE: Option<Duration> = Some(SLICE);

    fn interruptible(&self) -> bool {
        Attachment::interruptible(self)
    }

    fn tidy(&self) {
        Attachment::tidy(self);
    }

    fn reap(&self) {
        Attachment::reap(self);
    }

    fn is_dead(&self, owner: OwnerId) -> bool {
        let now = clock::coarse_millis();
        if self.alive.was(owner, now) {
            return false;
        }
        let is_dead = Attachment::is_dead(self, owner);
        if !is_dead {
            self.alive.note(owner, now);
        }
        is_dead
    }

    fn fence_peers(&self) {
        // Where the call fails the segment would not have said that it is asymmetric; the slice bounds the harm.
        let _ = membarrier::fence_registered();
    }
}

/// Who was alive when. Without it each lock that is contended would cost two system calls: one to ask whether its holder lives,
/// one to sleep. A few participants at a time, in private memory; one that is forgotten is asked about again.
#[derive(Debug)]
struct Alive([AtomicU64; 16]);

impl Alive {
    /// So long somebody who was alive counts as such: half of a slice, so that it is asked again after each sleep.
    const MILLIS: u32 = 25;

    fn new() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    fn was(&self, owner: OwnerId, now: u32) -> bool {
        // ORDERING: Relaxed; a word that stands for itself.
        let seen = self.word(owner).load(Ordering::Relaxed);
        (seen >> 32) as u32 == owner.bits() && now.wrapping_sub(seen as u32) < Self::MILLIS
    }

    fn note(&self, owner: OwnerId, now: u32) {
        let seen = u64::from(owner.bits()) << 32 | u64::from(now);
        // ORDERING: Relaxed; as above.
        self.word(owner).store(seen, Ordering::Relaxed);
    }

    fn word(&self, owner: OwnerId) -> &AtomicU64 {
        &self.0[owner.index() as usize % self.0.len()]
    }
}

/// How a blocking call of this segment's objects waits.
pub(crate) type Wait<'a> = crate::wait::Wait<'a, Attachment>;

/// Who this process is, for people who look: what `/proc` does not tell is 0. Asked once per process; not waited for
/// where a thread of ours, or one that a fork left behind, is just asking.
fn identity() -> Identity {
    // Under the lock: this process's files in `/proc` are read. Nobody waits for it.
    static KNOWN: PrivateLock<Option<Identity>> = PrivateLock::new(None);
    let pid = process::pid();
    let mut known = KNOWN.try_lock();
    let cached = known.as_ref().and_then(|known| **known).filter(|who| who.pid == pid);
    let who = cached.unwrap_or_else(|| Identity {
        pid,
        pid_namespace: process::pid_namespace().unwrap_or(0),
        start_time: process::start_time().unwrap_or(0),
        joined: 0,
    });
    if let Some(known) = &mut known {
        **known = Some(who);
    }
    Identity { joined: clock::now(), ..who }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_alive_counts_as_such_for_a_moment() {
        let (alive, now) = (Alive::new(), 5_000);
        let (one, other) = (OwnerId::new(3, 7), OwnerId::new(3 + 16, 7));
        assert!(!alive.was(one, now) && !alive.was(one, 0));
        alive.note(one, now);
        assert!(alive.was(one, now) && alive.was(one, now + 24));
        assert!(!alive.was(one, now + 25));
        assert!(!alive.was(OwnerId::new(3, 8), now), "the next one with that number");
        alive.note(other, now);
        assert!(alive.was(other, now) && !alive.was(one, now));
    }
}
