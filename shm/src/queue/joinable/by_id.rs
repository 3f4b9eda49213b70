//! Leases that are ended by their number, or as the oldest one: those of which nobody here has the [`ByteLease`].
//!
//! [`ByteLease`]: super::ByteLease

use super::desk::not_held;
use super::receiver::ByteJoinableReceiver;
use crate::{Error, Result};

impl ByteJoinableReceiver {
    /// Finishes the lease with this id ([`ByteLease::into_id`](super::ByteLease::into_id)).
    ///
    /// # Errors
    ///
    /// [`Error::LeaseEnded`] the second time, and where the item was given back; [`Error::NotYourLease`] for the lease of
    /// another process, and for a number that is no id.
    pub fn task_done(&mut self, id: u64) -> Result<()> {
        let me = self.ready()?;
        let hold = self.desk.table.by_id(id, me).map_err(not_held)?;
        self.desk.finish(hold, me)
    }

    /// Finishes the lease that this process has had for the longest, through whatever handle.
    ///
    /// # Errors
    ///
    /// [`Error::NotYourLease`] where it has none.
    pub fn task_done_oldest(&mut self) -> Result<()> {
        let me = self.ready()?;
        loop {
            let hold = self.desk.table.oldest(me).ok_or(Error::NotYourLease)?;
            match self.desk.finish(hold, me) {
                // Another thread was faster with this one.
                Err(Error::LeaseEnded) => {}
                done => return done,
            }
        }
    }

    /// Finishes an item that another process has, or that nobody has taken yet: for programs in which the process that says
    /// that an item is done is not the one that received it.
    ///
    /// Of the leases that have only a number ([`ByteJoinableReceiver::recv_message`]), in all living processes, that of the
    /// oldest item is ended: if its process is killed, the item does not come back. Where there is none, one of the items that
    /// wait counts as done; the next that is received as a message has no lease then. A [`ByteLease`](super::ByteLease) is
    /// never ended so, nor is an item received as one.
    ///
    /// # Errors
    ///
    /// [`Error::NotYourLease`] where nothing is unfinished.
    ///
    /// # Examples
    ///
    /// ```
    /// use slipring::{ByteJoinableQueue, Segment, Until};
    ///
    /// let segment = Segment::create()?;
    /// let (mut sender, mut receiver) = ByteJoinableQueue::bounded(&segment, 4)?;
    /// sender.send(b"task")?;
    /// receiver.task_done_of_any()?;
    /// assert_eq!((sender.unfinished(), receiver.len()), (0, 1));
    /// let message = receiver.recv_message(&mut Vec::new(), Until::NOW)?;
    /// assert_eq!(message.lease, None);
    /// # Ok::<(), slipring::Error>(())
    /// ```
    pub fn task_done_of_any(&mut self) -> Result<()> {
        self.ready()?;
        self.desk.finish_any()
    }

    /// Gives the item with this id back.
    ///
    /// # Errors
    ///
    /// As [`ByteJoinableReceiver::task_done`].
    pub fn give_back(&mut self, id: u64) -> Result<()> {
        let me = self.ready()?;
        let hold = self.desk.table.by_id(id, me).map_err(not_held)?;
        self.desk.give_back(hold, me)
    }

    /// How many leases this process has.
    pub fn leases(&self) -> u64 {
        self.desk.me().map_or(0, |me| self.desk.table.of(me).count() as u64)
    }
}
