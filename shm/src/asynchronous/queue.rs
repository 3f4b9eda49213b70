//! Queues.

use slipring_core::block::INLINE_MAX;

use super::{unless_blocked, until_done};
use crate::codec::{Decode, Encode};
use crate::message::{Loan, View, decode, encode};
use crate::queue::{ByteReceiver, ByteSender, Receiver, Sender};
use crate::{Result, Until};

impl ByteSender {
    /// As [`ByteSender::send`], in a task. A future that is dropped has sent nothing. See
    /// [`asynchronous`](crate::asynchronous).
    ///
    /// # Errors
    ///
    /// As [`ByteSender::send`]; [`Error::CannotWatch`](crate::Error::CannotWatch),
    /// [`Error::NoRuntime`](crate::Error::NoRuntime).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> slipring::Result<()> {
    /// use slipring::{ByteQueue, Segment};
    ///
    /// let segment = Segment::create()?;
    /// let (mut sender, mut receiver) = ByteQueue::bounded(&segment, 1)?;
    /// sender.send_async(b"first").await?;
    /// let second = tokio::spawn(async move { sender.send_async(b"second, when there is room").await });
    /// assert_eq!(receiver.recv_async().await?, b"first");
    /// assert_eq!(receiver.recv_async().await?, b"second, when there is room");
    /// second.await.unwrap()
    /// # }
    /// ```
    pub async fn send_async(&mut self, message: &[u8]) -> Result<()> {
        if message.len() <= INLINE_MAX {
            return until_done(self, |tx| unless_blocked(tx.try_send(message))).await?;
        }
        // Copied once, however long there is no room.
        let mut loan = self.loan(message.len())?;
        loan.write_at(0, message);
        self.send_loan_async(loan).await
    }

    /// As [`ByteSender::send_loan`], in a task. A future that is dropped has sent nothing, and gives the loan back.
    ///
    /// # Errors
    ///
    /// As [`ByteSender::send_async`], and [`Error::Forked`](crate::Error::Forked) for a loan that was taken before a
    /// fork, or in another segment.
    pub async fn send_loan_async(&mut self, loan: Loan) -> Result<()> {
        until_done(self, |tx| unless_blocked(tx.offer(&loan, Until::NOW))).await??;
        drop(loan.sent());
        Ok(())
    }
}

impl ByteReceiver {
    /// As [`ByteReceiver::recv`], in a task. A future that is dropped has taken nothing. See
    /// [`asynchronous`](crate::asynchronous).
    ///
    /// # Errors
    ///
    /// As [`ByteReceiver::recv`]; [`Error::CannotWatch`](crate::Error::CannotWatch),
    /// [`Error::NoRuntime`](crate::Error::NoRuntime).
    pub async fn recv_async(&mut self) -> Result<Vec<u8>> {
        until_done(self, |rx| unless_blocked(rx.try_recv())).await?
    }

    /// As [`ByteReceiver::recv_view`], in a task. A future that is dropped has taken nothing.
    ///
    /// # Errors
    ///
    /// As [`ByteReceiver::recv_async`].
    pub async fn recv_view_async(&mut self) -> Result<View> {
        until_done(self, |rx| unless_blocked(rx.recv_view_until(Until::NOW))).await?
    }
}

impl<T, C: Encode<T>> Sender<T, C> {
    /// As [`Sender::send`], in a task. A future that is dropped has sent nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`](crate::Error::Encode), and as [`ByteSender::send_async`].
    pub async fn send_async(&mut self, value: &T) -> Result<()> {
        let mut encoded = Vec::new();
        encode::<C, T>(value, &mut encoded)?;
        self.bytes().send_async(&encoded).await
    }
}

impl<T, C: Decode<T>> Receiver<T, C> {
    /// As [`Receiver::recv`], in a task. A future that is dropped has taken nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`](crate::Error::Decode) for a message that is no `T`, which is taken all the same; and as
    /// [`ByteReceiver::recv_async`].
    pub async fn recv_async(&mut self) -> Result<T> {
        decode::<C, T>(&self.bytes().recv_async().await?)
    }
}
