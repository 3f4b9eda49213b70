//! `Queue` and what `JoinableQueue` has besides.

use std::os::fd::{AsRawFd, RawFd};

use pyo3::exceptions::{PyAssertionError, PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};
use slipring::Error;

use crate::attached::Attached;
use crate::blocking::{self, Deadline};
use crate::channel::{self, Channel, Place};
use crate::codec::{BytesAs, Encoded, LONG, Memory, decode, decode_long, encode};
use crate::ends::{Rx, Shape, Tx};
use crate::error::raise;
use crate::family;
use crate::loaned::{self, Loaned};
use crate::many;
use crate::overridden::Method;
use crate::passage::Passage;
use crate::refusal::{Side, unmade};
use crate::watched::Watched;

/// More than a bounded queue can hold: no limit, as where multiprocessing asks for the most that there is.
const NO_LIMIT: i64 = (1 << 26) + 1;

/// A queue of Python objects between processes. Use `slipring.Queue` and `slipring.JoinableQueue`.
#[pyclass(frozen, subclass, generic, module = "slipring._native")]
pub struct Queue {
    place: Place,
}

impl Queue {
    #[inline]
    fn put_until<'py>(
        slf: &Bound<'py, Self>,
        object: &Bound<'py, PyAny>,
        deadline: impl Fn() -> PyResult<Deadline>,
    ) -> PyResult<()> {
        if let Some(loaned) = loaned::loaned_of(object) {
            let put = loaned::put(slf.py(), &slf.get().place, object, loaned.get(), &deadline);
            return match put {
                Ok(true) => Ok(()),
                Ok(false) => Self::put_copy(slf, object, deadline),
                Err(why) => Err(why.raise(slf, Side::Put)),
            };
        }
        Self::put_copy(slf, object, deadline)
    }

    #[inline]
    fn put_copy<'py>(
        slf: &Bound<'py, Self>,
        object: &Bound<'py, PyAny>,
        deadline: impl FnOnce() -> PyResult<Deadline>,
    ) -> PyResult<()> {
        let message = match encode(object, BytesAs::Raw) {
            Ok(message) => message,
            Err(error) => return Self::cannot_pickle(slf, object, error),
        };
        let put = channel::put(slf.py(), &slf.get().place, &message, deadline);
        put.map_err(|why| why.raise(slf, Side::Put))
    }

    /// Asks the hook of that name what to do about an object that is no message. The one of `slipring.Queue` raises.
    #[cold]
    fn cannot_pickle<'py>(
        slf: &Bound<'py, Self>,
        object: &Bound<'py, PyAny>,
        error: PyErr,
    ) -> PyResult<()> {
        if let Err(why) = channel::with(slf.py(), &slf.get().place, |_| Ok(())) {
            return Err(why.raise(slf, Side::Put));
        }
        let is_ordinary = error.is_instance_of::<pyo3::exceptions::PyException>(slf.py());
        match slf.getattr_opt("_on_queue_feeder_error")? {
            Some(hook) if is_ordinary => hook.call1((error, object)).map(drop),
            _ => Err(error),
        }
    }

    fn get_until<'py>(
        slf: &Bound<'py, Self>,
        deadline: impl FnOnce() -> PyResult<Deadline>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, place) = (slf.py(), &slf.get().place);
        let taken = channel::get(py, place, deadline);
        let (message, buffer) = taken.map_err(|why| why.raise(slf, Side::Get))?;
        match message.view {
            Some(view) => {
                channel::give_back(py, place, buffer);
                decode_long(py, Memory::View(view), message.marked)
            }
            None if buffer.len() > LONG => decode_long(py, Memory::Private(buffer), message.marked),
            None => {
                let object = decode(py, &buffer, message.marked);
                channel::give_back(py, place, buffer);
                object
            }
        }
    }

    /// Calls `f` with what watches a side.
    fn watched<R>(
        slf: &Bound<'_, Self>,
        side: Side,
        f: impl FnOnce(&mut Watched) -> Result<R, Error>,
    ) -> PyResult<R> {
        let done = channel::watched(slf.py(), &slf.get().place, side, f);
        done.map_err(|why| why.raise(slf, side))
    }

    /// Has this object be the queue with these sides.
    fn fill(&self, py: Python<'_>, ends: (Tx, Rx)) {
        let channel = Box::new(Channel::new(ends));
        drop(self.place.with(py, |place| place.replace(channel)));
    }

    /// Calls `f` with the channel, be it closed or not.
    fn channel<R>(&self, py: Python<'_>, f: impl FnOnce(&mut Channel) -> R) -> PyResult<R> {
        self.place.with(py, |channel| channel.as_deref_mut().map(f)).ok_or_else(unmade)
    }
}

/// Whether it is of a class of the package itself, whose methods are known.
#[inline]
fn is_plain(queue: &Bound<'_, Queue>) -> bool {
    static PLAIN: PyOnceLock<[Option<Py<PyAny>>; 2]> = PyOnceLock::new();
    let (py, class) = (queue.py(), queue.get_type_ptr());
    let plain = PLAIN.get_or_init(py, || {
        let module = py.import("slipring.queues").ok();
        let class = |name| Some(module.as_ref()?.getattr(name).ok()?.unbind());
        [class("Queue"), class("JoinableQueue")]
    });
    plain.iter().flatten().any(|known| known.as_ptr().cast() == class)
}

/// What the arguments `block` and `timeout` say.
fn deadline_of(
    block: Option<&Bound<'_, PyAny>>,
    timeout: Option<&Bound<'_, PyAny>>,
) -> PyResult<Deadline> {
    let block = block.map_or(Ok(true), |block| block.is_truthy())?;
    let timeout = timeout.map(|timeout| timeout.extract()).transpose()?;
    Ok(Deadline::of(block, timeout))
}

#[pymethods]
impl Queue {
    #[new]
    #[pyo3(signature = (*_args, **_options))]
    fn new(_args: &Bound<'_, PyTuple>, _options: Option<&Bound<'_, PyDict>>) -> Self {
        Self { place: Attached::new(None) }
    }

    /// Makes the queue, or opens the one with this name.
    #[pyo3(signature = (maxsize, name, deliveries=None, leases=None))]
    fn _open(
        &self,
        py: Python<'_>,
        maxsize: i64,
        name: Option<&str>,
        deliveries: Option<u32>,
        leases: Option<u32>,
    ) -> PyResult<()> {
        let capacity = (maxsize > 0 && maxsize < NO_LIMIT).then_some(maxsize.cast_unsigned());
        let tasks = leases.map(|leases| (deliveries, leases));
        let shape = Shape { capacity, tasks };
        let ends = match name {
            Some(name) => py.detach(|| shape.open(name)),
            None => shape.make(family::segment(py)?),
        };
        self.fill(py, ends.map_err(raise)?);
        Ok(())
    }

    /// Puts an object into the queue. When this returns it is there, for whoever asks.
    ///
    /// Waits for room while the queue is full: for ever, or for `timeout` seconds, or not at all if `block` is false;
    /// then raises `queue.Full`.
    #[pyo3(signature = (obj, block=None, timeout=None), text_signature = "($self, obj, block=True, timeout=None)")]
    fn put<'py>(
        slf: &Bound<'py, Self>,
        obj: &Bound<'py, PyAny>,
        block: Option<&Bound<'py, PyAny>>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        Self::put_until(slf, obj, || deadline_of(block, timeout))
    }

    /// Puts an object into the queue, or raises `queue.Full`: `put(obj, False)`.
    fn put_nowait<'py>(
        slf: &Bound<'py, Self>,
        obj: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        static PUT: Method = Method::new("put");
        let py = slf.py();
        if !is_plain(slf)
            && let Some(put) = PUT.in_place(slf.as_any(), || py.get_type::<Self>())?
        {
            return put.call1((obj, false));
        }
        Self::put_until(slf, obj, || Ok(Deadline::Now))?;
        Ok(py.None().into_bound(py))
    }

    /// Puts what `encode_message` made, or `bytes` that are not marked, or raises `queue.Full`.
    fn _put_message<'py>(
        slf: &Bound<'py, Self>,
        message: &Bound<'py, PyBytes>,
        marked: bool,
    ) -> PyResult<()> {
        let message = Encoded::of_bytes(message, marked);
        let put = channel::put(slf.py(), &slf.get().place, &message, || Ok(Deadline::Now));
        put.map_err(|why| why.raise(slf, Side::Put))
    }

    /// Takes the oldest object out.
    ///
    /// Waits for one while the queue is empty: for ever, or for `timeout` seconds, or not at all if `block` is false;
    /// then raises `queue.Empty`.
    #[pyo3(signature = (block=None, timeout=None), text_signature = "($self, block=True, timeout=None)")]
    fn get<'py>(
        slf: &Bound<'py, Self>,
        block: Option<&Bound<'py, PyAny>>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::get_until(slf, || deadline_of(block, timeout))
    }

    /// Takes the oldest object out, or raises `queue.Empty`: `get(False)`.
    fn get_nowait<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        static GET: Method = Method::new("get");
        if !is_plain(slf)
            && let Some(get) = GET.in_place(slf.as_any(), || slf.py().get_type::<Self>())?
        {
            return get.call1((false,));
        }
        Self::get_until(slf, || Ok(Deadline::Now))
    }

    /// How many objects are in the queue: exact unless somebody puts or gets meanwhile.
    fn qsize(&self, py: Python<'_>) -> PyResult<u64> {
        self.channel(py, |channel| channel.rx.len())
    }

    /// Whether the queue is empty: what any process has put is seen.
    fn empty(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let look = |channel: &mut Channel| (channel.closed && channel.used, channel.rx.len() == 0);
        match slf.get().channel(slf.py(), look)? {
            (true, _) => Err(PyOSError::new_err(format!("Queue {} is closed", slf.repr()?))),
            (false, is_empty) => Ok(is_empty),
        }
    }

    /// Whether the queue is full.
    fn full(&self, py: Python<'_>) -> PyResult<bool> {
        self.channel(py, |channel| channel.tx.is_full())
    }

    /// Says that this process uses the queue no more. What it has put stays, and other processes go on.
    fn close(&self, py: Python<'_>) {
        self.place.with(py, |channel| {
            if let Some(channel) = channel {
                channel.closed = true;
            }
        });
    }

    /// Returns at once, since what was put is in the queue already. Call `close` first.
    fn join_thread(slf: &Bound<'_, Self>) -> PyResult<()> {
        if slf.get().channel(slf.py(), |channel| channel.closed)? {
            return Ok(());
        }
        Err(PyAssertionError::new_err(format!("Queue {} not closed", slf.repr()?)))
    }

    /// Does nothing: no thread holds up the end of this process.
    fn cancel_join_thread(&self) {}

    #[getter]
    fn _closed(&self, py: Python<'_>) -> bool {
        self.place.with(py, |channel| channel.as_ref().is_some_and(|channel| channel.closed))
    }

    #[getter]
    fn _capacity(&self, py: Python<'_>) -> PyResult<Option<u64>> {
        self.channel(py, |channel| channel.tx.capacity())
    }

    /// Says that the work on an object is done: on the one that this process has had for the longest. A process that has
    /// none says it of the oldest that another one has, or of one that nobody has got yet.
    fn _task_done(slf: &Bound<'_, Self>) -> PyResult<()> {
        let done = slf.get().channel(slf.py(), |channel| {
            // Those that are not ours are a forking parent's, or were ended otherwise.
            while let Some(lease) = channel.leases.pop_front() {
                match channel.rx.done(lease) {
                    Err(Error::LeaseEnded | Error::NotYourLease) => {}
                    done => return done,
                }
            }
            match channel.rx.done_oldest() {
                Err(Error::NotYourLease) => channel.rx.done_any(),
                done => done,
            }
        });
        match done? {
            Err(Error::NotYourLease) => {
                Err(PyValueError::new_err("task_done() called too many times"))
            }
            done => done.map_err(raise),
        }
    }

    /// Waits until the work on everything that was put is done.
    #[pyo3(signature = (timeout=None))]
    fn _join(slf: &Bound<'_, Self>, timeout: Option<f64>) -> PyResult<bool> {
        let py = slf.py();
        if slf.get().channel(py, |channel| channel.rx.unfinished())? == 0 {
            return Ok(true);
        }
        let deadline = Deadline::after(timeout);
        // One may join a queue that one has closed.
        let mut tx = slf.get().channel(py, |channel| channel.tx.another())?.map_err(raise)?;
        blocking::wait(py, deadline, |until| tx.join(until)).map(|done| done.is_some())
    }

    #[getter]
    fn _unfinished(&self, py: Python<'_>) -> PyResult<u64> {
        self.channel(py, |channel| channel.rx.unfinished())
    }

    /// Takes the oldest dead letter out: the object, and how often it was delivered.
    fn _take_dead_letter<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<Option<(Bound<'py, PyAny>, u32)>> {
        let py = slf.py();
        let letter = slf.get().channel(py, |channel| channel.rx.take_dead_letter())?;
        let Some(letter) = letter.map_err(raise)? else { return Ok(None) };
        let object = decode_long(py, Memory::Private(letter.message), letter.marked)?;
        Ok(Some((object, letter.deliveries)))
    }

    /// Puts all objects of `iterable`, many in one step, and returns how many there were.
    ///
    /// Waits for room as `put` does. If the time is up, or anything else comes between, the exception says what became
    /// of them: `count` were put, and `rest` gives the others, to be put later.
    #[pyo3(signature = (iterable, block=None, timeout=None), text_signature = "($self, iterable, block=True, timeout=None)")]
    fn put_many<'py>(
        slf: &Bound<'py, Self>,
        iterable: &Bound<'py, PyAny>,
        block: Option<&Bound<'py, PyAny>>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<usize> {
        many::put_many(slf, &slf.get().place, iterable.try_iter()?, deadline_of(block, timeout)?)
    }

    /// Takes the oldest objects out, `max` at most, in one step: a list of at least one.
    ///
    /// Waits for the first one as `get` does, and for no others. If one of them cannot be unpickled, the exception has
    /// the others in `received`.
    #[pyo3(signature = (max, block=None, timeout=None), text_signature = "($self, max, block=True, timeout=None)")]
    fn get_many<'py>(
        slf: &Bound<'py, Self>,
        max: usize,
        block: Option<&Bound<'py, PyAny>>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        many::get_many(slf, &slf.get().place, max, deadline_of(block, timeout)?)
    }

    /// Memory for an array like `template`, whose content does not matter.
    fn _loan(slf: &Bound<'_, Self>, template: &Bound<'_, PyAny>) -> PyResult<Loaned> {
        let loan = loaned::lend(slf.py(), &slf.get().place, template);
        loan.map_err(|why| why.raise(slf, Side::Put))
    }

    /// What is pickled for a process that is being started.
    fn _passage(&self, py: Python<'_>) -> PyResult<Passage> {
        self.channel(py, |channel| Passage::of(channel))?.map_err(raise)
    }

    /// Makes this object one of the queue that arrived.
    fn _arrive(&self, py: Python<'_>, passage: &Passage) -> PyResult<()> {
        self.fill(py, passage.take(py)?);
        Ok(())
    }

    /// A descriptor that is readable while there is something to get, for any selector: nothing is to be read from it.
    ///
    /// Others may be faster: when it is readable, call `get_nowait`. A forked child has another one.
    fn fileno(slf: &Bound<'_, Self>) -> PyResult<RawFd> {
        Self::watched(slf, Side::Get, |watched| Ok(watched.as_fd()?.as_raw_fd()))
    }

    /// The same for room to put something.
    fn _room_fileno(slf: &Bound<'_, Self>) -> PyResult<RawFd> {
        Self::watched(slf, Side::Put, |watched| Ok(watched.as_fd()?.as_raw_fd()))
    }

    /// Whether a get would not wait.
    fn _has_item(slf: &Bound<'_, Self>) -> PyResult<bool> {
        Self::watched(slf, Side::Get, Watched::ready)
    }

    /// Whether a put would not wait.
    fn _has_room(slf: &Bound<'_, Self>) -> PyResult<bool> {
        Self::watched(slf, Side::Put, Watched::ready)
    }
}
