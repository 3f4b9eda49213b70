//! One end of a duplex pipe: both halves in one.

use std::os::fd::BorrowedFd;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::end::Sockets;
use super::reader::PipeReader;
use super::writer::PipeWriter;
use crate::codec::{Decode, Encode};
use crate::member::Handle;
use crate::message::{Loan, Message, View};
use crate::wait::Until;
use crate::{Result, Segment};

/// One end of a duplex pipe: a reader and a writer.
///
/// ```
/// use slipring::{Pipe, Segment};
///
/// let segment = Segment::create()?;
/// let (mut client, server) = Pipe::duplex(&segment)?;
/// let (mut requests, mut answers) = server.split();
/// let thread = std::thread::spawn(move || {
///     while let Ok(request) = requests.recv() {
///         answers.send(request.to_ascii_uppercase().as_slice()).unwrap();
///     }
/// });
/// client.send(b"hello")?;
/// assert_eq!(client.recv()?, b"HELLO");
/// drop(client); // the end of file for the other side
/// thread.join().unwrap();
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Debug)]
pub struct Connection {
    reader: PipeReader,
    writer: PipeWriter,
}

impl Connection {
    pub(super) fn new(handle: Handle, sockets: Sockets) -> Result<Self> {
        let reader = PipeReader::new(handle.clone(), sockets.clone())?;
        Ok(Self { reader, writer: PipeWriter::new(handle, sockets)? })
    }

    /// As [`PipeWriter::send`].
    ///
    /// # Errors
    ///
    /// As [`PipeWriter::send`].
    pub fn send(&mut self, message: &[u8]) -> Result<()> {
        self.writer.send(message)
    }

    /// As [`PipeWriter::try_send`].
    ///
    /// # Errors
    ///
    /// As [`PipeWriter::try_send`].
    pub fn try_send(&mut self, message: &[u8]) -> Result<()> {
        self.writer.try_send(message)
    }

    /// As [`PipeWriter::send_until`].
    ///
    /// # Errors
    ///
    /// As [`PipeWriter::send_until`].
    pub fn send_until(&mut self, message: &[u8], until: impl Into<Until>) -> Result<()> {
        self.writer.send_until(message, until)
    }

    /// As [`PipeWriter::send_value`].
    ///
    /// # Errors
    ///
    /// As [`PipeWriter::send_value`].
    pub fn send_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.writer.send_value(value)
    }

    /// As [`PipeWriter::send_value_until`].
    ///
    /// # Errors
    ///
    /// As [`PipeWriter::send_value_until`].
    pub fn send_value_until<T: Serialize + ?Sized>(
        &mut self,
        value: &T,
        until: impl Into<Until>,
    ) -> Result<()> {
        self.writer.send_value_until(value, until)
    }

    /// As [`PipeWriter::send_value_as`].
    ///
    /// # Errors
    ///
    /// As [`PipeWriter::send_value_as`].
    pub fn send_value_as<T: ?Sized, C: Encode<T>>(&mut self, codec: C, value: &T) -> Result<()> {
        self.writer.send_value_as(codec, value)
    }

    /// As [`PipeWriter::send_value_as_until`].
    ///
    /// # Errors
    ///
    /// As [`PipeWriter::send_value_as_until`].
    pub fn send_value_as_until<T: ?Sized, C: Encode<T>>(
        &mut self,
        codec: C,
        value: &T,
        until: impl Into<Until>,
    ) -> Result<()> {
        self.writer.send_value_as_until(codec, value, until)
    }

    /// As [`PipeWriter::loan`].
    ///
    /// # Errors
    ///
    /// As [`PipeWriter::loan`].
    pub fn loan(&mut self, len: usize) -> Result<Loan> {
        self.writer.loan(len)
    }

    /// As [`PipeWriter::send_loan`].
    ///
    /// # Errors
    ///
    /// As [`PipeWriter::send_loan`].
    pub fn send_loan(&mut self, loan: Loan) -> Result<()> {
        self.writer.send_loan(loan)
    }

    /// As [`PipeReader::recv`].
    ///
    /// # Errors
    ///
    /// As [`PipeReader::recv`].
    pub fn recv(&mut self) -> Result<Vec<u8>> {
        self.reader.recv()
    }

    /// As [`PipeReader::try_recv`].
    ///
    /// # Errors
    ///
    /// As [`PipeReader::try_recv`].
    pub fn try_recv(&mut self) -> Result<Vec<u8>> {
        self.reader.try_recv()
    }

    /// As [`PipeReader::recv_until`].
    ///
    /// # Errors
    ///
    /// As [`PipeReader::recv_until`].
    pub fn recv_until(&mut self, until: impl Into<Until>) -> Result<Vec<u8>> {
        self.reader.recv_until(until)
    }

    /// As [`PipeReader::recv_into`].
    ///
    /// # Errors
    ///
    /// As [`PipeReader::recv_into`].
    pub fn recv_into(&mut self, buffer: &mut Vec<u8>, until: impl Into<Until>) -> Result<usize> {
        self.reader.recv_into(buffer, until)
    }

    /// As [`PipeReader::recv_view`].
    ///
    /// # Errors
    ///
    /// As [`PipeReader::recv_view`].
    pub fn recv_view(&mut self) -> Result<View> {
        self.reader.recv_view()
    }

    /// As [`PipeReader::recv_message`].
    ///
    /// # Errors
    ///
    /// As [`PipeReader::recv_message`].
    pub fn recv_message(
        &mut self,
        buffer: &mut Vec<u8>,
        max_copy: usize,
        until: impl Into<Until>,
    ) -> Result<Message> {
        self.reader.recv_message(buffer, max_copy, until)
    }

    /// As [`PipeReader::recv_value`].
    ///
    /// # Errors
    ///
    /// As [`PipeReader::recv_value`].
    pub fn recv_value<T: DeserializeOwned>(&mut self, until: impl Into<Until>) -> Result<T> {
        self.reader.recv_value(until)
    }

    /// As [`PipeReader::recv_value_as`].
    ///
    /// # Errors
    ///
    /// As [`PipeReader::recv_value_as`].
    pub fn recv_value_as<T, C: Decode<T>>(
        &mut self,
        codec: C,
        until: impl Into<Until>,
    ) -> Result<T> {
        self.reader.recv_value_as(codec, until)
    }

    /// As [`PipeReader::poll`].
    ///
    /// # Errors
    ///
    /// As [`PipeReader::poll`].
    pub fn poll(&mut self, until: impl Into<Until>) -> Result<bool> {
        self.reader.poll(until)
    }

    /// As [`PipeReader::as_fd`].
    ///
    /// # Errors
    ///
    /// As [`PipeReader::as_fd`].
    pub fn as_fd(&mut self) -> Result<BorrowedFd<'_>> {
        self.reader.as_fd()
    }

    pub(crate) fn reader(&self) -> &PipeReader {
        &self.reader
    }

    /// Both halves.
    #[cfg(feature = "tokio")]
    pub(crate) fn halves(&mut self) -> (&mut PipeReader, &mut PipeWriter) {
        (&mut self.reader, &mut self.writer)
    }

    /// Both halves, for two threads. The other end sees this one closed when both are dropped; until then what was sent here
    /// stays, with the handles in it, for either half may become a whole end in another process.
    pub fn split(self) -> (PipeReader, PipeWriter) {
        (self.reader, self.writer)
    }

    /// The segment that the pipe is in.
    pub fn segment(&self) -> Segment {
        self.reader.segment()
    }

    /// Another handle of the same end.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`](crate::Error::Forked).
    pub fn try_clone(&self) -> Result<Self> {
        Ok(Self { reader: self.reader.try_clone()?, writer: self.writer.try_clone()? })
    }
}
