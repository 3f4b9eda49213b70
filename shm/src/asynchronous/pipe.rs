//! Pipes.

use super::{unless_blocked, until_done};
use crate::message::{Loan, View};
use crate::pipe::{Connection, PipeReader, PipeWriter};
use crate::{Result, Until};

impl PipeWriter {
    /// As [`PipeWriter::send`], in a task. A future that is dropped has sent nothing. See
    /// [`asynchronous`](crate::asynchronous).
    ///
    /// # Errors
    ///
    /// As [`PipeWriter::send`]; [`Error::CannotWatch`](crate::Error::CannotWatch),
    /// [`Error::NoRuntime`](crate::Error::NoRuntime).
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> slipring::Result<()> {
    /// use slipring::{Error, Pipe, Segment};
    ///
    /// let segment = Segment::create()?;
    /// let (mut client, mut server) = Pipe::duplex(&segment)?;
    /// let serving = tokio::spawn(async move {
    ///     while let Ok(request) = server.recv_async().await {
    ///         server.send_async(&request.to_ascii_uppercase()).await?;
    ///     }
    ///     Ok::<(), Error>(())
    /// });
    /// client.send_async(b"hello").await?;
    /// assert_eq!(client.recv_async().await?, b"HELLO");
    /// drop(client);
    /// serving.await.unwrap()
    /// # }
    /// ```
    pub async fn send_async(&mut self, message: &[u8]) -> Result<()> {
        if message.len() <= self.max_in_ring() {
            return until_done(self, |writer| unless_blocked(writer.try_send(message))).await?;
        }
        // Copied once, however long there is no room.
        let mut loan = self.loan(message.len())?;
        loan.write_at(0, message);
        self.send_loan_async(loan).await
    }

    /// As [`PipeWriter::send_loan`], in a task. A future that is dropped has sent nothing, and gives the loan back.
    ///
    /// # Errors
    ///
    /// As [`PipeWriter::send_async`], and [`Error::Forked`](crate::Error::Forked) for a loan that was taken before a
    /// fork, or in another segment.
    pub async fn send_loan_async(&mut self, loan: Loan) -> Result<()> {
        until_done(self, |writer| unless_blocked(writer.offer(&loan, Until::NOW))).await??;
        drop(loan.sent());
        Ok(())
    }
}

impl PipeReader {
    /// As [`PipeReader::recv`], in a task. A future that is dropped has taken nothing. See
    /// [`asynchronous`](crate::asynchronous).
    ///
    /// # Errors
    ///
    /// As [`PipeReader::recv`]; [`Error::CannotWatch`](crate::Error::CannotWatch),
    /// [`Error::NoRuntime`](crate::Error::NoRuntime).
    pub async fn recv_async(&mut self) -> Result<Vec<u8>> {
        until_done(self, |reader| unless_blocked(reader.try_recv())).await?
    }

    /// As [`PipeReader::recv_view`], in a task. A future that is dropped has taken nothing.
    ///
    /// # Errors
    ///
    /// As [`PipeReader::recv_async`].
    pub async fn recv_view_async(&mut self) -> Result<View> {
        until_done(self, |reader| unless_blocked(reader.recv_view_until(Until::NOW))).await?
    }
}

impl Connection {
    /// As [`PipeWriter::send_async`].
    ///
    /// # Errors
    ///
    /// As [`PipeWriter::send_async`].
    pub async fn send_async(&mut self, message: &[u8]) -> Result<()> {
        self.halves().1.send_async(message).await
    }

    /// As [`PipeWriter::send_loan_async`].
    ///
    /// # Errors
    ///
    /// As [`PipeWriter::send_loan_async`].
    pub async fn send_loan_async(&mut self, loan: Loan) -> Result<()> {
        self.halves().1.send_loan_async(loan).await
    }

    /// As [`PipeReader::recv_async`].
    ///
    /// # Errors
    ///
    /// As [`PipeReader::recv_async`].
    pub async fn recv_async(&mut self) -> Result<Vec<u8>> {
        self.halves().0.recv_async().await
    }

    /// As [`PipeReader::recv_view_async`].
    ///
    /// # Errors
    ///
    /// As [`PipeReader::recv_async`].
    pub async fn recv_view_async(&mut self) -> Result<View> {
        self.halves().0.recv_view_async().await
    }
}
