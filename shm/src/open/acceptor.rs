//! Pipes for programs that know nothing of each other but a name: one accepts, others connect.
//!
//! An acceptor is the root object of a named segment (its words: `pipe/listening.rs`), and a listening socket that lies beside
//! the name (`name/socket.rs`). Who connects opens the segment by its name, which tells everything that can be wrong with that, and then
//! connects to the socket. Who accepts makes a pipe in the segment and sends one end through the accepted connection, as
//! any handle is sent through a socket; then that connection is closed. It never waits for the other one: the socket is new
//! and has room.
//!
//! The name, and the socket with it, ends with the last handle of the acceptor; the pipes do not, they are objects of
//! their own.
//!
//! # Crash points
//!
//! | killed | left behind | mended by |
//! |---|---|---|
//! | the creator, before it listens | a name without a socket that listens | whoever opens, creates or connects next |
//! | the acceptor, before the end was sent | a pipe that nobody else has | the procedure; who connected is hung up on and looks again |
//! | the acceptor, after the end was sent | nothing: who connected has an end, and its end of file | |
//! | who connects | a connection that is hung up | the acceptor passes over it; or a pipe at its end of file |

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use crate::member::ticket::{Ticket, Transfer, sealed};
use crate::member::{Handle, Wait};
use crate::object::Kind;
use crate::open::name::{self, Name, socket as named_socket};
use crate::pipe::{Connection, Listening, PARCEL, Pipe, PipeOptions};
use crate::sys::held::HeldFd;
use crate::sys::{clock, file, listener, name as files, socket};
use crate::travel::handoff::Handoff;
use crate::travel::parcel::enclosed::enclosable;
use crate::wait::{Until, sleep_on};
use crate::{Error, Result, Segment};

/// Accepts those who connect to a name, each with a pipe of its own.
///
/// The name is as for all [`Named`](crate::Named) objects: its mode and group say who may connect, it is taken over from the
/// dead, and it goes with the last handle. It cannot persist. Clones, copies in children of a fork, and handles that
/// were handed over ([`Handoff`]) are all acceptors of the same name: each of those who connect is accepted by one of
/// them.
///
/// All pipes are in the acceptor's segment: whoever may connect could damage those of others, too.
///
/// # Examples
///
/// ```
/// use slipring::{Acceptor, Error, Pipe, PipeOptions};
///
/// # let name = format!("doc-acceptor-{}", std::process::id());
/// # let name = name.as_str();
/// // A server …
/// let acceptor = Acceptor::create(name, PipeOptions::new())?;
/// let server = std::thread::spawn(move || -> Result<(), Error> {
///     let mut client = acceptor.accept()?;
///     let request = client.recv()?;
///     client.send(&request.to_ascii_uppercase())
/// });
///
/// // … and a program that knows its name.
/// let mut connection = Pipe::connect(name)?;
/// connection.send(b"hello")?;
/// assert_eq!(connection.recv()?, b"HELLO");
/// assert!(matches!(connection.recv(), Err(Error::Disconnected)), "end of file");
///
/// server.join().unwrap()?;
/// assert!(matches!(Pipe::connect(name), Err(Error::NoSuchName { .. })), "nobody accepts any more");
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct Acceptor {
    /// Before the listener: whoever is hung up on finds the name gone.
    words: Listening,
    listener: Arc<HeldFd>,
}

impl Acceptor {
    /// Takes a name. From now on others can connect to it; they wait until they are accepted.
    ///
    /// # Errors
    ///
    /// [`Error::NameTaken`]; [`Error::BadName`], also for a name that is to persist; [`Error::NotPermitted`],
    /// [`Error::NoNames`], [`Error::Capacity`] for a ring that cannot be; no memory, no descriptors; [`Error::NoSuchName`] if
    /// somebody unlinked it at once.
    pub fn create<'a>(name: impl Into<Name<'a>>, options: PipeOptions) -> Result<Self> {
        options.layout()?;
        let name = name.into();
        if name.persists() {
            let why = "a name that is connected to ends with whoever accepts, and cannot persist";
            return Err(Error::BadName { why });
        }
        let words = name::create(&name, |segment| Listening::create(segment, options))?;
        let listener = named_socket::listen(&name, words.handle().attachment())?;
        crash_point!("acceptor.create.listens");
        let acceptor = Self { words, listener: held(listener)? };
        acceptor.words.begin();
        Ok(acceptor)
    }

    /// Waits for somebody to connect, for as long as it takes.
    ///
    /// # Errors
    ///
    /// No memory, no descriptors, too many participants: whoever connected tries again. [`Error::Interrupted`],
    /// [`Error::Forked`].
    pub fn accept(&self) -> Result<Connection> {
        self.accept_until(Until::NEVER)
    }

    /// Accepts somebody who has connected already.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] where there is nobody; and as [`Acceptor::accept`].
    pub fn try_accept(&self) -> Result<Connection> {
        self.accept_until(Until::NOW)
    }

    /// Waits for somebody to connect, or for a deadline. Whoever died while waiting is passed over, and nothing is
    /// waited for that somebody who connected would have to do.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`]; with [`Until::NOW`] it is [`Error::WouldBlock`]. And as [`Acceptor::accept`].
    pub fn accept_until(&self, until: impl Into<Until>) -> Result<Connection> {
        let until = until.into();
        let attachment = self.words.handle().attachment();
        attachment.me()?;
        let mut wait = Wait::new(attachment, None, until.deadline());
        loop {
            let next = listener::accept(self.listening()?);
            match next.map_err(Error::io("accept a connection"))? {
                Some(socket) => match self.welcome(socket.as_fd()) {
                    // It has gone.
                    Err(Error::Disconnected | Error::WouldBlock) => {}
                    welcomed => return welcomed,
                },
                None if until.is_now() => return Err(Error::WouldBlock),
                None => self.wait_for_one(&mut wait)?,
            }
            // However many come and go.
            if !until.is_now() && until.deadline().is_some_and(clock::has_passed) {
                return Err(Error::TimedOut);
            }
        }
    }

    fn wait_for_one(&self, wait: &mut Wait<'_>) -> Result<()> {
        let listener = self.listening()?;
        let found = sleep_on(wait, |end| socket::wait_readable(listener, end))?;
        found.map(drop).map_err(Error::io("wait for a connection"))
    }

    /// Makes a pipe, and sends one end to whoever has the other end of `socket`.
    ///
    /// # Errors
    ///
    /// [`Error::Disconnected`] where that one has gone, or should not have come.
    fn welcome(&self, socket: BorrowedFd<'_>) -> Result<Connection> {
        crash_point!("acceptor.accept.taken");
        let failed = "look at a connection";
        let uid = listener::peer_user(socket).map_err(Error::io(failed))?;
        if !self.admits(uid)? || socket::has_hung_up(socket).map_err(Error::io(failed))? {
            return Err(Error::Disconnected);
        }
        let segment = self.segment();
        let (ours, theirs) = Pipe::duplex_with(&segment, self.words.options())?;
        let mut handoff = Handoff::new(&segment);
        handoff.give(PARCEL, &theirs)?;
        crash_point!("acceptor.accept.made");
        handoff.send_until(socket, Until::NOW)?;
        crash_point!("acceptor.accept.sent");
        self.words.count_one();
        Ok(ours)
    }

    /// The socket.
    fn listening(&self) -> Result<BorrowedFd<'_>> {
        self.listener.get().ok_or(Error::DescriptorsClosed)
    }

    /// Whether a user may have connected. The kernel has looked at the permissions of the socket; this is a second look at
    /// those of the name, which are the same.
    fn admits(&self, uid: u32) -> Result<bool> {
        let status = files::status(self.words.handle().attachment().fd()?);
        let status = status.map_err(Error::io("look at the name"))?;
        let of_others = status.mode & 0o022 != 0;
        Ok(uid == 0 || uid == status.uid || uid == files::user() || of_others)
    }

    /// The segment that the pipes are in: what is made in it can be sent through them.
    pub fn segment(&self) -> Segment {
        Segment::of(self.words.handle().attachment())
    }
}

fn held(listener: OwnedFd) -> Result<Arc<HeldFd>> {
    HeldFd::new(listener).map(Arc::new).map_err(Error::io("look at an acceptor's socket"))
}

/// Readable when somebody waits to be accepted, for event loops. Another acceptor may be faster: then
/// [`Acceptor::try_accept`] says so.
impl AsFd for Acceptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").field("options", &self.words.options()).finish_non_exhaustive()
    }
}

impl sealed::Sealed for Acceptor {
    fn handle_of(&self) -> &Handle {
        self.words.handle()
    }
}

enclosable! { () Acceptor }

impl Transfer for Acceptor {
    fn ticket(&self) -> Result<Ticket> {
        let copy = file::duplicate(self.listening()?);
        let copy = copy.map_err(Error::io("copy an acceptor's socket"))?;
        Ok(Ticket::new(Kind::Acceptor, self.words.handle(), vec![copy]))
    }

    fn from_ticket(ticket: Ticket, segment: &Segment) -> Result<Self> {
        let (handle, fds) = ticket.redeem(segment, Kind::Acceptor)?;
        let only = <[OwnedFd; 1]>::try_from(fds).ok();
        let listener = only.map(|[fd]| fd).filter(|fd| listener::listens(fd.as_fd()));
        let listener =
            listener.ok_or_else(|| Error::NotInherited("the socket of an acceptor".into()))?;
        Ok(Self { words: Listening::from_handle(handle)?, listener: held(listener)? })
    }
}
