//! Objects by name, objects made in a segment, and what a program inherits.

use std::ffi::c_char;
use std::sync::{Mutex, PoisonError};

use slipring::{
    Barrier, BoundedSemaphore, ByteQueue, ByteReceiver, ByteSender, Condvar, Connection, Error,
    Event, Inherited, Mutex as Lock, Named, Pipe, PipeOptions, PipeReader, PipeWriter,
    QueueOptions, ReentrantMutex, Segment, Semaphore,
};

use crate::args::{name, need, put, slipring_name_options, small, text};
use crate::segment::of_segment;
use crate::status::slipring_status;
use crate::status::{Failure, Outcome, call};
use crate::table::{self, Object, Source, boxed, slipring_handle};

/// What an object is.
#[allow(non_camel_case_types)]
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum slipring_kind {
    /// The sending side of a queue of messages.
    SLIPRING_SENDER = 1,
    /// The receiving side.
    SLIPRING_RECEIVER = 2,
    /// A lock.
    SLIPRING_MUTEX = 3,
    /// A lock that its holder may take again.
    SLIPRING_REENTRANT_MUTEX = 4,
    /// A number of permits, given back by anybody.
    SLIPRING_SEMAPHORE = 5,
    /// A number of permits, never more than it began with.
    SLIPRING_BOUNDED_SEMAPHORE = 6,
    /// A flag to wait for.
    SLIPRING_EVENT = 7,
    /// A condition variable.
    SLIPRING_CONDVAR = 8,
    /// A barrier.
    SLIPRING_BARRIER = 9,
    /// An end of a duplex pipe. Inherited only.
    SLIPRING_PIPE = 10,
    /// The reading end of a one-way pipe. Inherited only.
    SLIPRING_PIPE_READER = 11,
    /// The writing end of a one-way pipe. Inherited only.
    SLIPRING_PIPE_WRITER = 12,
}

use slipring_kind as Kind;

impl Kind {
    const ALL: [Self; 12] = [
        Self::SLIPRING_SENDER,
        Self::SLIPRING_RECEIVER,
        Self::SLIPRING_MUTEX,
        Self::SLIPRING_REENTRANT_MUTEX,
        Self::SLIPRING_SEMAPHORE,
        Self::SLIPRING_BOUNDED_SEMAPHORE,
        Self::SLIPRING_EVENT,
        Self::SLIPRING_CONDVAR,
        Self::SLIPRING_BARRIER,
        Self::SLIPRING_PIPE,
        Self::SLIPRING_PIPE_READER,
        Self::SLIPRING_PIPE_WRITER,
    ];

    /// C can pass any number for an enum.
    fn of(number: u32) -> Outcome<Self> {
        let known = Self::ALL.into_iter().find(|kind| *kind as u32 == number);
        known.ok_or_else(|| {
            Failure::with(
                slipring_status::SLIPRING_E_INVALID,
                format!("{number} is no slipring_kind"),
            )
        })
    }
}

/// How a named object is wanted.
#[derive(Clone, Copy)]
enum How {
    Create,
    Open,
    OpenOrCreate,
}

fn by_name<T: Named>(
    how: How,
    name: slipring::Name<'_>,
    options: impl FnOnce() -> Outcome<T::Options>,
) -> Outcome<T> {
    Ok(match how {
        How::Create => T::create(name, options()?)?,
        How::Open => T::open(name)?,
        How::OpenOrCreate => T::open_or_create(name, options()?)?,
    })
}

fn named(how: How, kind: u32, name: slipring::Name<'_>, n: u64) -> Outcome<Object> {
    let permits = || small(n);
    Ok(match Kind::of(kind)? {
        Kind::SLIPRING_SENDER => {
            Object::Sender(Mutex::new(by_name(how, name, || Ok(queue_options(n)))?))
        }
        Kind::SLIPRING_RECEIVER => {
            let receiver: ByteReceiver = by_name(how, name, || Ok(queue_options(n)))?;
            Object::Receiver(Source::new(receiver).into())
        }
        Kind::SLIPRING_MUTEX => Object::Lock(by_name(how, name, || Ok(()))?),
        Kind::SLIPRING_REENTRANT_MUTEX => Object::ReentrantLock(by_name(how, name, || Ok(()))?),
        Kind::SLIPRING_SEMAPHORE => Object::Semaphore(by_name(how, name, permits)?),
        Kind::SLIPRING_BOUNDED_SEMAPHORE => Object::BoundedSemaphore(by_name(how, name, permits)?),
        Kind::SLIPRING_EVENT => Object::Event(by_name(how, name, || Ok(()))?),
        Kind::SLIPRING_CONDVAR => Object::Condvar(by_name(how, name, || Ok(()))?),
        Kind::SLIPRING_BARRIER => Object::Barrier(by_name(how, name, permits)?),
        Kind::SLIPRING_PIPE | Kind::SLIPRING_PIPE_READER | Kind::SLIPRING_PIPE_WRITER => {
            return Err(Failure::with(slipring_status::SLIPRING_E_INVALID, "a pipe has no name"));
        }
    })
}

fn queue_options(capacity: u64) -> QueueOptions {
    if capacity == 0 { QueueOptions::unbounded() } else { QueueOptions::bounded(capacity) }
}

unsafe fn find(
    how: How,
    kind: u32,
    text: *const c_char,
    options: *const slipring_name_options,
    n: u64,
    out: *mut slipring_handle,
) -> slipring_status {
    call(|| {
        need([!out.is_null()])?;
        // SAFETY: by the caller's word.
        let object = named(how, kind, unsafe { name(text, options) }?, n)?;
        // SAFETY: by the caller's word.
        unsafe { put(out, table::insert(object)) }
    })
}

/// Makes a new object with this name, and gives a handle of it.
///
/// `kind` is a slipring_kind. `n` is the capacity of a queue in messages (0: no limit), the permits of a semaphore, the parties
/// of a barrier; otherwise it counts for nothing. `options` may be NULL. The name goes with its last handle, unless it is to
/// persist.
///
/// # Safety
///
/// `name` is NULL or ends with a NUL; `options` is NULL or may be read; `out` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slipring_create(
    kind: u32,
    name: *const c_char,
    options: *const slipring_name_options,
    n: u64,
    out: *mut slipring_handle,
) -> slipring_status {
    // SAFETY: by the caller's word.
    unsafe { find(How::Create, kind, name, options, n, out) }
}

/// Gives a handle of the object with this name.
///
/// # Safety
///
/// As slipring_create.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slipring_open(
    kind: u32,
    name: *const c_char,
    options: *const slipring_name_options,
    out: *mut slipring_handle,
) -> slipring_status {
    // SAFETY: by the caller's word.
    unsafe { find(How::Open, kind, name, options, 0, out) }
}

/// Gives a handle of the object with this name, which is made if there is none.
///
/// # Safety
///
/// As slipring_create.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slipring_open_or_create(
    kind: u32,
    name: *const c_char,
    options: *const slipring_name_options,
    n: u64,
    out: *mut slipring_handle,
) -> slipring_status {
    // SAFETY: by the caller's word.
    unsafe { find(How::OpenOrCreate, kind, name, options, n, out) }
}

/// Takes a name away. Whoever has a handle goes on; nobody else finds it.
///
/// # Safety
///
/// `name` is NULL or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slipring_unlink(name: *const c_char) -> slipring_status {
    // SAFETY: by the caller's word.
    call(|| Ok(slipring::unlink(unsafe { text(name) }?)?))
}

/// Makes a queue in a segment: a handle of each side. `capacity` is in messages, 0 for no limit; `max_message` in bytes, 0 for no
/// limit.
///
/// # Safety
///
/// `sender` and `receiver` are NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slipring_queue(
    segment: slipring_handle,
    capacity: u64,
    max_message: u64,
    sender: *mut slipring_handle,
    receiver: *mut slipring_handle,
) -> slipring_status {
    call(|| {
        need([!sender.is_null(), !receiver.is_null()])?;
        let mut options = queue_options(capacity);
        if max_message != 0 {
            options = options.max_message(max_message);
        }
        let (tx, rx) = of_segment(segment, |segment| ByteQueue::with(segment, options))??;
        // SAFETY: by the caller's word.
        unsafe { put(sender, table::insert(Object::Sender(tx.into()))) }?;
        // SAFETY: by the caller's word.
        unsafe { put(receiver, table::insert(Object::Receiver(Source::new(rx).into()))) }
    })
}

/// Makes a pipe in a segment: a handle of each end. `ring` is the bytes of its ring each way, a power of two, 0 for 64 KiB.
/// `duplex` 0: what is sent to the first end is received from the second; otherwise both send and receive.
///
/// # Safety
///
/// `first` and `second` are NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slipring_pipe(
    segment: slipring_handle,
    duplex: u32,
    ring: usize,
    first: *mut slipring_handle,
    second: *mut slipring_handle,
) -> slipring_status {
    call(|| {
        need([!first.is_null(), !second.is_null()])?;
        let mut options = PipeOptions::new();
        if ring != 0 {
            options = options.ring(ring);
        }
        let make = |segment: &Segment| -> Result<[Object; 2], Error> {
            Ok(if duplex != 0 {
                let (one, two) = Pipe::duplex_with(segment, options)?;
                [both(one), both(two)]
            } else {
                let (reader, writer) = Pipe::one_way_with(segment, options)?;
                [write_half(writer), read_half(reader)]
            })
        };
        let [one, two] = of_segment(segment, make)??;
        // SAFETY: by the caller's word.
        unsafe { put(first, table::insert(one)) }?;
        // SAFETY: by the caller's word.
        unsafe { put(second, table::insert(two)) }
    })
}

fn both(connection: Connection) -> Object {
    let (reader, writer) = connection.split();
    Object::Pipe { reader: Some(boxed(Source::new(reader))), writer: Some(boxed(writer)) }
}

fn read_half(reader: PipeReader) -> Object {
    Object::Pipe { reader: Some(boxed(Source::new(reader))), writer: None }
}

fn write_half(writer: PipeWriter) -> Object {
    Object::Pipe { reader: None, writer: Some(boxed(writer)) }
}

/// Makes a lock, semaphore, event, condition variable or barrier in a segment. `kind` and `n` as for slipring_create.
///
/// # Safety
///
/// `out` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slipring_new(
    segment: slipring_handle,
    kind: u32,
    n: u64,
    out: *mut slipring_handle,
) -> slipring_status {
    call(|| {
        need([!out.is_null()])?;
        let object = of_segment(segment, |segment| new(segment, Kind::of(kind)?, n))??;
        // SAFETY: by the caller's word.
        unsafe { put(out, table::insert(object)) }
    })
}

fn new(segment: &Segment, kind: Kind, n: u64) -> Outcome<Object> {
    Ok(match kind {
        Kind::SLIPRING_MUTEX => Object::Lock(Lock::new(segment, ())?),
        Kind::SLIPRING_REENTRANT_MUTEX => Object::ReentrantLock(ReentrantMutex::new(segment)?),
        Kind::SLIPRING_SEMAPHORE => Object::Semaphore(Semaphore::new(segment, small(n)?)?),
        Kind::SLIPRING_BOUNDED_SEMAPHORE => {
            Object::BoundedSemaphore(BoundedSemaphore::new(segment, small(n)?)?)
        }
        Kind::SLIPRING_EVENT => Object::Event(Event::new(segment)?),
        Kind::SLIPRING_CONDVAR => Object::Condvar(Condvar::new(segment)?),
        Kind::SLIPRING_BARRIER => Object::Barrier(Barrier::new(segment, small(n)?)?),
        _ => {
            let text = "make it with slipring_queue or slipring_pipe: it has two sides";
            return Err(Failure::with(slipring_status::SLIPRING_E_INVALID, text));
        }
    })
}

/// What this program was started with, taken over at the first call. Under the lock: the segments are joined, and handles made.
static INHERITED: Mutex<Option<Inherited>> = Mutex::new(None);

/// Gives the handle that this program was started with under `name`: by a Rust program's `Handoff`. Once for each name. `kind` is
/// what it is.
///
/// # Safety
///
/// `name` is NULL or ends with a NUL; `out` is NULL or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn slipring_inherited(
    kind: u32,
    name: *const c_char,
    out: *mut slipring_handle,
) -> slipring_status {
    call(|| {
        need([!out.is_null()])?;
        // SAFETY: by the caller's word.
        let (kind, name) = (Kind::of(kind)?, unsafe { text(name) }?);
        let mut inherited = INHERITED.lock().unwrap_or_else(PoisonError::into_inner);
        if inherited.is_none() {
            *inherited = Some(Inherited::from_env()?);
        }
        let object = inherited.as_mut().map(|inherited| take(inherited, kind, name));
        let object = object.ok_or(Failure::new(slipring_status::SLIPRING_E_NOT_INHERITED))??;
        // SAFETY: by the caller's word.
        unsafe { put(out, table::insert(object)) }
    })
}

fn take(from: &mut Inherited, kind: Kind, name: &str) -> Outcome<Object> {
    Ok(match kind {
        Kind::SLIPRING_SENDER => Object::Sender(from.take::<ByteSender>(name)?.into()),
        Kind::SLIPRING_RECEIVER => {
            Object::Receiver(Source::new(from.take::<ByteReceiver>(name)?).into())
        }
        Kind::SLIPRING_MUTEX => Object::Lock(from.take(name)?),
        Kind::SLIPRING_REENTRANT_MUTEX => Object::ReentrantLock(from.take(name)?),
        Kind::SLIPRING_SEMAPHORE => Object::Semaphore(from.take(name)?),
        Kind::SLIPRING_BOUNDED_SEMAPHORE => Object::BoundedSemaphore(from.take(name)?),
        Kind::SLIPRING_EVENT => Object::Event(from.take(name)?),
        Kind::SLIPRING_CONDVAR => Object::Condvar(from.take(name)?),
        Kind::SLIPRING_BARRIER => Object::Barrier(from.take(name)?),
        Kind::SLIPRING_PIPE => both(from.take(name)?),
        Kind::SLIPRING_PIPE_READER => read_half(from.take(name)?),
        Kind::SLIPRING_PIPE_WRITER => write_half(from.take(name)?),
    })
}
