//! Many objects in one step.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList};
use slipring::{Batch, Until};

use crate::blocking::{self, Deadline};
use crate::channel::{self, Channel, Place};
use crate::codec::{BytesAs, Encoded, LONG, MAX_COPY, Memory, decode, decode_long, encode};
use crate::refusal::{Refusal, Side};

/// So many objects are put in one step.
const CHUNK: usize = 1024;
/// And so many bytes of them.
const CHUNK_BYTES: usize = 256 << 10;

/// Objects that are encoded and not put yet.
#[derive(Default)]
struct Bundle<'py> {
    bytes: Vec<u8>,
    /// Where each message ends, and whether it is marked.
    messages: Vec<(usize, bool)>,
    objects: Vec<Bound<'py, PyAny>>,
}

/// Why the filling of a bundle ended.
enum Last<'py> {
    /// It is full.
    More,
    /// There are no more objects.
    End,
    /// An object that is too long for a bundle.
    Long(Bound<'py, PyAny>, Encoded<'py>),
    /// An object that is no message, or there was none to be had.
    Error(PyErr),
}

impl<'py> Bundle<'py> {
    /// Encodes objects until there are enough.
    fn fill(&mut self, objects: &mut Bound<'py, PyIterator>) -> Last<'py> {
        self.bytes.clear();
        self.messages.clear();
        self.objects.clear();
        while self.messages.len() < CHUNK && self.bytes.len() < CHUNK_BYTES {
            let object = match objects.next() {
                Some(Ok(object)) => object,
                Some(Err(error)) => return Last::Error(error),
                None => return Last::End,
            };
            let encoded = match encode(&object, BytesAs::Raw) {
                Ok(encoded) => encoded,
                Err(error) => return Last::Error(error),
            };
            match encoded.as_slice() {
                Some(message) if message.len() <= LONG => {
                    self.bytes.extend_from_slice(message);
                    self.messages.push((self.bytes.len(), encoded.is_marked()));
                    self.objects.push(object);
                }
                _ => return Last::Long(object, encoded),
            }
        }
        Last::More
    }

    /// The messages from number `first` on.
    fn messages(&self, first: usize) -> impl Iterator<Item = (&[u8], bool)> {
        let mut start = if first == 0 { 0 } else { self.messages[first - 1].0 };
        self.messages[first..].iter().map(move |(end, marked)| {
            let message = &self.bytes[start..*end];
            start = *end;
            (message, *marked)
        })
    }

    /// Puts the messages, and counts those that are in the queue, whatever happens.
    fn put(
        &self,
        py: Python<'py>,
        place: &Place,
        deadline: Deadline,
        sent: &mut usize,
    ) -> Result<(), Refusal> {
        if self.messages.is_empty() {
            return Ok(());
        }
        let now = channel::with(py, place, |channel| {
            channel.used = true;
            Ok(channel.tx.send_many(self.messages(0), Until::NOW)?)
        });
        match now {
            Ok(count) => *sent = count,
            Err(Refusal::NotNow) => {}
            Err(why) => return Err(why),
        }
        if *sent == self.messages.len() {
            return Ok(());
        }
        if deadline == Deadline::Now {
            return Err(Refusal::NotNow);
        }
        let messages = Messages { bytes: &self.bytes, ends: &self.messages };
        channel::with_spare_tx(py, place, |tx| {
            while *sent < messages.ends.len() {
                let first = *sent;
                let more = blocking::wait(py, deadline, |until| {
                    tx.send_many(messages.from(first), until)
                })?;
                match more {
                    Some(count) => *sent += count,
                    None => return Ok(None),
                }
            }
            Ok(Some(()))
        })
    }
}

/// The bytes of a bundle alone, for a thread without the interpreter's lock.
struct Messages<'a> {
    bytes: &'a [u8],
    ends: &'a [(usize, bool)],
}

impl<'a> Messages<'a> {
    fn from(&self, first: usize) -> impl Iterator<Item = (&'a [u8], bool)> + use<'a> {
        let (bytes, ends) = (self.bytes, self.ends);
        let mut start = if first == 0 { 0 } else { ends[first - 1].0 };
        ends[first..].iter().map(move |(end, marked)| {
            let message = &bytes[start..*end];
            start = *end;
            (message, *marked)
        })
    }
}

/// Adds to `error` how many objects were put, and those that were not.
fn with_rest<'py>(
    error: PyErr,
    put: usize,
    unsent: Vec<Bound<'py, PyAny>>,
    objects: &Bound<'py, PyIterator>,
) -> PyErr {
    let py = objects.py();
    let attach = || -> PyResult<()> {
        let chain = py.import("itertools")?.getattr("chain")?;
        let value = error.value(py);
        value.setattr("count", put)?;
        value.setattr("rest", chain.call1((PyList::new(py, unsent)?, objects))?)
    };
    match attach() {
        Ok(()) => error,
        // An exception that takes no attributes is raised without them.
        Err(_) => error,
    }
}

/// Puts all that `objects` gives. `queue` is the object that the call is of.
pub fn put_many<'py>(
    queue: &Bound<'py, PyAny>,
    place: &Place,
    mut objects: Bound<'py, PyIterator>,
    deadline: Deadline,
) -> PyResult<usize> {
    let py = queue.py();
    channel::with(py, place, |_| Ok(())).map_err(|why| why.raise(queue, Side::Put))?;
    let (mut bundle, mut total) = (Bundle::default(), 0);
    loop {
        let last = bundle.fill(&mut objects);
        let mut sent = 0;
        let put = bundle.put(py, place, deadline, &mut sent);
        total += sent;
        if let Err(why) = put {
            let mut unsent: Vec<_> = bundle.objects.drain(sent..).collect();
            if let Last::Long(object, _) = last {
                unsent.push(object);
            }
            let error = why.raise(queue, Side::Put);
            return Err(with_rest(error, total, unsent, &objects));
        }
        match last {
            Last::More => {}
            Last::End => return Ok(total),
            Last::Error(error) => return Err(with_rest(error, total, Vec::new(), &objects)),
            Last::Long(object, message) => {
                if let Err(why) = channel::put(py, place, &message, || Ok(deadline)) {
                    let error = why.raise(queue, Side::Put);
                    return Err(with_rest(error, total, vec![object], &objects));
                }
                total += 1;
            }
        }
    }
}

/// Takes up to `max` objects out. `queue` is the object that the call is of.
pub fn get_many<'py>(
    queue: &Bound<'py, PyAny>,
    place: &Place,
    max: usize,
    deadline: Deadline,
) -> PyResult<Bound<'py, PyList>> {
    let py = queue.py();
    if max == 0 {
        return Err(PyValueError::new_err("max must be at least 1"));
    }
    let batch = take_many(py, place, max, deadline);
    let mut batch = batch.map_err(|why| why.raise(queue, Side::Get))?;
    let mut leases = Vec::new();
    let objects = decode_all(py, &mut batch, &mut leases);
    let keep = |channel: &mut Option<Box<Channel>>| {
        if let Some(channel) = channel {
            channel.leases.extend(leases);
            channel.batch = Some(batch);
        }
    };
    place.with(py, keep);
    objects
}

/// Takes up to `max` messages.
fn take_many(
    py: Python<'_>,
    place: &Place,
    max: usize,
    deadline: Deadline,
) -> Result<Batch, Refusal> {
    let mut batch = channel::with(py, place, |channel| {
        Ok(channel.batch.take().unwrap_or_else(|| Batch::new(MAX_COPY)))
    })?;
    let now = channel::with(py, place, |channel| {
        Ok(channel.rx.recv_many(&mut batch, max, Until::NOW)?)
    });
    match now {
        Ok(_) => return Ok(batch),
        Err(Refusal::NotNow) if deadline != Deadline::Now => {}
        Err(why) => return Err(why),
    }
    channel::with_spare_rx(py, place, |rx| {
        blocking::wait(py, deadline, |until| rx.recv_many(&mut batch, max, until))
    })?;
    Ok(batch)
}

/// The objects of a batch; the first message that is none is an error, which has the other objects.
fn decode_all<'py>(
    py: Python<'py>,
    batch: &mut Batch,
    leases: &mut Vec<u64>,
) -> PyResult<Bound<'py, PyList>> {
    let objects = PyList::empty(py);
    let mut failed = None;
    for (message, bytes) in batch.drain() {
        leases.extend(message.lease);
        let object = match message.view {
            Some(view) => decode_long(py, Memory::View(view), message.marked),
            None => decode(py, bytes, message.marked),
        };
        match object {
            Ok(object) => objects.append(object)?,
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    match failed {
        None => Ok(objects),
        Some(error) => {
            let _ = error.value(py).setattr("received", objects);
            Err(error)
        }
    }
}
