//! A pipe of values between two threads, one-way or duplex.
//!
//! [`crate::pipe`] without a segment, for values instead of bytes: between threads there is nothing to be encoded, and
//! bytes are the values `Vec<u8>`. The two directions of a duplex pipe may carry different types, as requests and answers
//! do. When the last handle of one end is dropped, the other end's reader gets what is left and then
//! [`Error::Disconnected`](crate::Error::Disconnected), the end of file, and its writer gets it at once. What had come for
//! the end that is gone is dropped with it. Where only the reading half of an end is gone, what comes for that end is
//! dropped as it comes.
//!
//! Each direction is a bounded [queue](super::queue). Several threads may use one end; they need not take turns.
//! There is no descriptor to be watched: [`PipeReader::poll`] waits.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::SendResult;
use super::queue::{Presence, Queue, Receiver, Sender};
use crate::Result;
use crate::wait::Until;

/// So many values each way unless told otherwise.
const DEFAULT_CAPACITY: u64 = 1024;

/// Makes pipes: duplex ones whose one end sends `S` and receives `R`, and one-way ones of `S`. See the [module](self).
///
/// ```
/// use slipring::Error;
/// use slipring::local::Pipe;
///
/// let (mut here, mut there) = Pipe::<&str, u32>::duplex()?;
/// here.send("how many?")?;
/// assert_eq!(there.recv()?, "how many?");
/// there.send(7)?;
/// assert_eq!(here.recv()?, 7);
///
/// drop(there);
/// assert!(matches!(here.recv(), Err(Error::Disconnected)), "end of file");
/// let broken = here.send("?").unwrap_err();
/// assert!(matches!(broken.error, Error::Disconnected), "broken pipe");
/// # Ok::<(), Error>(())
/// ```
pub struct Pipe<S, R = S>(PhantomData<(S, R)>);

impl<S: Send, R: Send> Pipe<S, R> {
    /// A pipe whose two ends both send and receive: the first end sends `S`, the second `R`. It holds 1024 values each
    /// way.
    ///
    /// # Errors
    ///
    /// No memory.
    pub fn duplex() -> Result<(Connection<S, R>, Connection<R, S>)> {
        Self::duplex_with(DEFAULT_CAPACITY)
    }

    /// A duplex pipe that holds `capacity` values each way, 1 to 2^26.
    ///
    /// # Errors
    ///
    /// As [`Pipe::duplex`], and [`Error::Capacity`](crate::Error::Capacity).
    pub fn duplex_with(capacity: u64) -> Result<(Connection<S, R>, Connection<R, S>)> {
        let (to_second, from_first) = Queue::bounded(capacity)?;
        let (to_first, from_second) = Queue::bounded(capacity)?;
        Ok((Connection::new(from_second, to_second), Connection::new(from_first, to_first)))
    }
}

impl<T: Send> Pipe<T> {
    /// A pipe in one direction. It holds 1024 values.
    ///
    /// # Errors
    ///
    /// As [`Pipe::duplex`].
    pub fn one_way() -> Result<(PipeReader<T>, PipeWriter<T>)> {
        Self::one_way_with(DEFAULT_CAPACITY)
    }

    /// A one-way pipe that holds `capacity` values, 1 to 2^26.
    ///
    /// # Errors
    ///
    /// As [`Pipe::duplex_with`].
    pub fn one_way_with(capacity: u64) -> Result<(PipeReader<T>, PipeWriter<T>)> {
        let (sender, receiver) = Queue::bounded(capacity)?;
        Ok((PipeReader { receiver, end: None }, PipeWriter { sender, end: None }))
    }
}

impl<S, R> fmt::Debug for Pipe<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pipe")
    }
}

/// The receiving half of an end.
///
/// ```
/// use slipring::Error;
/// use slipring::local::Pipe;
/// use slipring::Until;
///
/// let (mut reader, mut writer) = Pipe::<u32>::one_way()?;
/// assert!(!reader.poll(Until::NOW)?);
/// writer.send(1)?;
/// drop(writer);
/// assert!(reader.poll(Until::NOW)?);
/// assert_eq!(reader.recv()?, 1);
/// assert!(matches!(reader.recv(), Err(Error::Disconnected)), "end of file");
/// # Ok::<(), Error>(())
/// ```
pub struct PipeReader<T> {
    receiver: Receiver<T>,
    /// Keeps the other direction's side of the same end present: an end is gone when both its halves are.
    end: Option<Arc<Presence>>,
}

/// The sending half of an end.
///
/// ```
/// use slipring::Error;
/// use slipring::local::Pipe;
///
/// let (reader, mut writer) = Pipe::<Box<u32>>::one_way_with(1)?;
/// writer.send(Box::new(1))?; // moved, not copied
/// let full = writer.try_send(Box::new(2)).unwrap_err();
/// assert!(matches!(full.error, Error::WouldBlock) && *full.value == 2);
/// drop(reader);
/// assert!(matches!(writer.send(full.value).unwrap_err().error, Error::Disconnected));
/// # Ok::<(), Error>(())
/// ```
pub struct PipeWriter<T> {
    sender: Sender<T>,
    /// As in [`PipeReader`].
    end: Option<Arc<Presence>>,
}

/// One end of a duplex pipe, which sends `S` and receives `R`: a reader and a writer.
///
/// ```
/// use slipring::local::Pipe;
///
/// let (mut client, server) = Pipe::<String>::duplex()?;
/// let (mut requests, mut answers) = server.split();
/// let thread = std::thread::spawn(move || {
///     while let Ok(request) = requests.recv() {
///         answers.send(request.to_uppercase()).unwrap();
///     }
/// });
/// client.send("hello".to_owned())?;
/// assert_eq!(client.recv()?, "HELLO");
/// drop(client); // the end of file for the other side
/// thread.join().unwrap();
/// # Ok::<(), slipring::Error>(())
/// ```
pub struct Connection<S, R = S> {
    reader: PipeReader<R>,
    writer: PipeWriter<S>,
}

impl<T: Send> PipeReader<T> {
    /// The next value, waiting for one for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`Error::Disconnected`](crate::Error::Disconnected) when nobody has the other end any more and everything was
    /// received: end of file.
    pub fn recv(&mut self) -> Result<T> {
        self.receiver.recv()
    }

    /// The next value, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`](crate::Error::WouldBlock), and as [`PipeReader::recv`].
    pub fn try_recv(&mut self) -> Result<T> {
        self.receiver.try_recv()
    }

    /// The next value, waiting for one until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`](crate::Error::TimedOut), and as [`PipeReader::recv`].
    pub fn recv_until(&mut self, until: impl Into<Until>) -> Result<T> {
        self.receiver.recv_until(until)
    }

    /// Waits until a receive would not wait: a value is there, or the end of file. `false` when the deadline passed.
    ///
    /// # Errors
    ///
    /// None so far.
    pub fn poll(&mut self, until: impl Into<Until>) -> Result<bool> {
        self.receiver.poll(until.into())
    }

    /// Another handle of the same end, for another thread.
    ///
    /// # Errors
    ///
    /// None so far: [`Clone`] is the same.
    pub fn try_clone(&self) -> Result<Self> {
        Ok(self.clone())
    }
}

impl<T: Send> PipeWriter<T> {
    /// Sends `value`, waiting for room for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`Error::Disconnected`](crate::Error::Disconnected) when nobody has the other end any more ("broken pipe"); with
    /// the value. A value that was sent before the other end went may go unread all the same; it is dropped then.
    pub fn send(&mut self, value: T) -> SendResult<T> {
        self.sender.send(value)
    }

    /// Sends `value` if that takes no waiting.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`](crate::Error::WouldBlock), and as [`PipeWriter::send`].
    pub fn try_send(&mut self, value: T) -> SendResult<T> {
        self.sender.try_send(value)
    }

    /// Sends `value`, waiting for room until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`](crate::Error::TimedOut), and as [`PipeWriter::send`].
    pub fn send_until(&mut self, value: T, until: impl Into<Until>) -> SendResult<T> {
        self.sender.send_until(value, until)
    }

    /// Whether the reader has taken everything. A glance: old when it returns.
    pub fn is_empty(&self) -> bool {
        self.sender.is_empty()
    }

    /// Another handle of the same end, for another thread.
    ///
    /// # Errors
    ///
    /// None so far: [`Clone`] is the same.
    pub fn try_clone(&self) -> Result<Self> {
        Ok(self.clone())
    }
}

impl<S: Send, R: Send> Connection<S, R> {
    fn new(receiver: Receiver<R>, sender: Sender<S>) -> Self {
        let (receives, sends) = (receiver.presence().clone(), sender.presence().clone());
        Self {
            reader: PipeReader { receiver, end: Some(sends) },
            writer: PipeWriter { sender, end: Some(receives) },
        }
    }

    /// As [`PipeWriter::send`].
    ///
    /// # Errors
    ///
    /// As [`PipeWriter::send`].
    pub fn send(&mut self, value: S) -> SendResult<S> {
        self.writer.send(value)
    }

    /// As [`PipeWriter::try_send`].
    ///
    /// # Errors
    ///
    /// As [`PipeWriter::try_send`].
    pub fn try_send(&mut self, value: S) -> SendResult<S> {
        self.writer.try_send(value)
    }

    /// As [`PipeWriter::send_until`].
    ///
    /// # Errors
    ///
    /// As [`PipeWriter::send_until`].
    pub fn send_until(&mut self, value: S, until: impl Into<Until>) -> SendResult<S> {
        self.writer.send_until(value, until)
    }

    /// As [`PipeReader::recv`].
    ///
    /// # Errors
    ///
    /// As [`PipeReader::recv`].
    pub fn recv(&mut self) -> Result<R> {
        self.reader.recv()
    }

    /// As [`PipeReader::try_recv`].
    ///
    /// # Errors
    ///
    /// As [`PipeReader::try_recv`].
    pub fn try_recv(&mut self) -> Result<R> {
        self.reader.try_recv()
    }

    /// As [`PipeReader::recv_until`].
    ///
    /// # Errors
    ///
    /// As [`PipeReader::recv_until`].
    pub fn recv_until(&mut self, until: impl Into<Until>) -> Result<R> {
        self.reader.recv_until(until)
    }

    /// As [`PipeReader::poll`].
    ///
    /// # Errors
    ///
    /// As [`PipeReader::poll`].
    pub fn poll(&mut self, until: impl Into<Until>) -> Result<bool> {
        self.reader.poll(until)
    }

    /// Both halves, for two threads. The other end sees this one closed when both are dropped; with the reading half goes
    /// what nobody has read.
    pub fn split(self) -> (PipeReader<R>, PipeWriter<S>) {
        (self.reader, self.writer)
    }

    /// Another handle of the same end.
    ///
    /// # Errors
    ///
    /// None so far: [`Clone`] is the same.
    pub fn try_clone(&self) -> Result<Self> {
        Ok(self.clone())
    }
}

impl<T> Clone for PipeReader<T> {
    fn clone(&self) -> Self {
        Self { receiver: self.receiver.clone(), end: self.end.clone() }
    }
}

impl<T> Clone for PipeWriter<T> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), end: self.end.clone() }
    }
}

impl<S, R> Clone for Connection<S, R> {
    fn clone(&self) -> Self {
        Self { reader: self.reader.clone(), writer: self.writer.clone() }
    }
}

impl<T> fmt::Debug for PipeReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeReader").field("len", &self.receiver.len()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for PipeWriter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipeWriter").field("len", &self.sender.len()).finish_non_exhaustive()
    }
}

impl<S, R> fmt::Debug for Connection<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Connection");
        text.field("reader", &self.reader).field("writer", &self.writer).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::local::SendError;
    use std::time::Duration;

    fn is_eof<T>(result: Result<T>) -> bool {
        matches!(result, Err(Error::Disconnected))
    }

    #[test]
    fn what_was_sent_before_the_end_went_comes_before_the_end_of_file() {
        let (mut reader, mut writer) = Pipe::one_way().unwrap();
        writer.send(vec![1_u8]).unwrap();
        writer.send(vec![2]).unwrap();
        assert!(!writer.is_empty());
        drop(writer);
        assert!(reader.poll(Until::NOW).unwrap());
        assert_eq!((reader.recv().unwrap(), reader.try_recv().unwrap()), (vec![1], vec![2]));
        assert!(reader.poll(Until::NEVER).unwrap(), "the end of file is news");
        assert!(is_eof(reader.recv()) && is_eof(reader.try_recv()));
    }

    #[test]
    fn an_end_is_gone_when_both_its_halves_and_all_their_copies_are() {
        let (mut here, there) = Pipe::<u8, u16>::duplex().unwrap();
        let (reader, mut writer) = there.split();
        let copy = reader.clone();
        drop(reader);
        here.send(1).unwrap();
        drop(copy);
        here.send(2).expect("the writing half still stands for the end");
        writer.send(3).unwrap();
        drop(writer);
        assert!(matches!(here.send(4), Err(SendError { value: 4, error: Error::Disconnected })));
        assert_eq!(here.recv().unwrap(), 3);
        assert!(is_eof(here.recv()));
    }

    #[test]
    fn a_full_pipe_and_an_empty_one_keep_their_deadlines() {
        let short = Duration::from_millis(2);
        let (mut here, mut there) = Pipe::<u8>::duplex_with(1).unwrap();
        assert!(!here.poll(short).unwrap() && !here.poll(Until::NOW).unwrap());
        assert!(matches!(here.try_recv(), Err(Error::WouldBlock)));
        assert!(matches!(here.recv_until(short), Err(Error::TimedOut)));
        here.send(1).unwrap();
        assert!(matches!(here.try_send(2), Err(SendError { error: Error::WouldBlock, .. })));
        let late = here.send_until(2, short);
        assert!(matches!(late, Err(SendError { value: 2, error: Error::TimedOut })));
        assert_eq!(there.recv_until(short).unwrap(), 1);
        assert!(Pipe::<u8>::one_way_with(0).is_err());
    }

    #[test]
    fn several_threads_at_each_end_ask_and_answer() {
        let (client, server) = Pipe::<u64, u64>::duplex_with(4).unwrap();
        let sum: u64 = std::thread::scope(|s| {
            for _ in 0..2 {
                let mut server = server.clone();
                s.spawn(move || {
                    while let Ok(number) = server.recv() {
                        server.send(2 * number).unwrap();
                    }
                });
            }
            drop(server);
            let clients = (0..2).map(|_| {
                let mut client = client.clone();
                s.spawn(move || {
                    let ask = |number| {
                        client.send(number).unwrap();
                        client.recv().unwrap()
                    };
                    (0..3_000).map(ask).sum::<u64>()
                })
            });
            let clients: Vec<_> = clients.collect();
            let sum = clients.into_iter().map(|c| c.join().unwrap()).sum();
            drop(client);
            sum
        });
        assert_eq!(sum, 2 * 2 * (0..3_000).sum::<u64>());
    }
}
