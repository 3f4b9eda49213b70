//! Connecting to a name: the other side of `acceptor.rs`.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use crate::member::{Attachment, Wait};
use crate::object::{self, Kind};
use crate::open::name::{self, Name, socket as named_socket};
use crate::pipe::{Connection, PARCEL, Pipe, glance_at_acceptor};
use crate::sys::{clock, socket};
use crate::travel::parcel::through::receive_one;
use crate::wait::{Until, sleep_on};
use crate::{Error, Result, Segment};

/// The first wait before another try, and the longest.
const NAPS: (Duration, Duration) = (Duration::from_micros(100), Duration::from_millis(10));

impl Pipe {
    /// Connects to the [`Acceptor`](crate::Acceptor) of this name, and waits until it accepts, for as long as there is one.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchName`] where nobody accepts, or the last one that did has gone before it came to this. [`Error::WrongKind`],
    /// [`Error::ForeignOwner`], [`Error::NotPermitted`], [`Error::BadName`]; as [`Segment::from_fd`] for a file that is
    /// no segment of this version. No descriptors, too many participants.
    pub fn connect<'a>(name: impl Into<Name<'a>>) -> Result<Connection> {
        Self::connect_until(name, Until::NEVER)
    }

    /// The same, waiting until a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`]; and as [`Pipe::connect`]. With [`Until::NOW`] it is [`Error::WouldBlock`], unless
    /// an acceptor that waits is very quick.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use slipring::{Acceptor, Error, Pipe, PipeOptions};
    ///
    /// # let name = format!("doc-connect-{}", std::process::id());
    /// # let name = name.as_str();
    /// let acceptor = Acceptor::create(name, PipeOptions::new())?;
    /// let nobody_accepts = Pipe::connect_until(name, Duration::from_millis(10));
    /// assert!(matches!(nobody_accepts, Err(Error::TimedOut)));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn connect_until<'a>(
        name: impl Into<Name<'a>>,
        until: impl Into<Until>,
    ) -> Result<Connection> {
        let (name, until) = (name.into(), until.into());
        let (mut segment, mut nap) = (name::enter_clean(&name)?, NAPS.0);
        loop {
            crash_point!("connect.visited");
            if let Some(connection) = connect_to(&name, &segment, until)? {
                return Ok(connection);
            }
            sleep(&mut nap, until)?;
            // Mostly the same one, in which this process has a place as long as that is kept.
            segment = name::enter_clean(&name)?;
        }
    }
}

/// Connects to the acceptor that a segment was made for. `None`: try again.
fn connect_to(name: &Name<'_>, segment: &Segment, until: Until) -> Result<Option<Connection>> {
    let attachment = segment.attachment();
    let Some(listens) = listens(attachment)? else {
        name::look_again(name, segment)?;
        return Ok(None);
    };
    // Before that its permissions are not what they are going to be.
    if !listens {
        return Ok(None);
    }
    let Some(socket) = named_socket::connect(name, attachment)? else { return Ok(None) };
    crash_point!("connect.connected");
    receive(&socket, attachment, until)
}

/// Whether the acceptor listens; `None` where it has ended.
fn listens(attachment: &Attachment) -> Result<Option<bool>> {
    let place = match object::find_root(attachment, Kind::Acceptor) {
        Ok((place, _)) => place,
        Err(Error::NoSuchObject) => return Ok(None),
        Err(error) => return Err(error),
    };
    let glance = glance_at_acceptor(attachment, place);
    let glance =
        glance.ok_or(Error::Corrupt { what: "an acceptor is too small for what it is" })?;
    Ok(Some(glance.listens))
}

/// Waits for the end that the acceptor sends. `None`: it has hung up, or all acceptors have gone.
fn receive(socket: &OwnedFd, attachment: &Attachment, until: Until) -> Result<Option<Connection>> {
    let mut wait = Wait::new(attachment, None, until.deadline());
    loop {
        match receive_one(socket, Until::NOW, attachment.kinds()) {
            Ok(mut parcel) => {
                crash_point!("connect.received");
                return parcel.take(PARCEL).map(Some);
            }
            Err(Error::Disconnected) => return Ok(None),
            Err(Error::WouldBlock) if until.is_now() => return Err(Error::WouldBlock),
            Err(Error::WouldBlock) => {}
            Err(error) => return Err(error),
        }
        // Somebody else may have a copy of a dead acceptor's socket, and will never accept.
        if listens(attachment)?.is_none() {
            return Ok(None);
        }
        // What there is, the next look finds.
        let _ = sleep_on(&mut wait, |end| socket::wait_readable(socket.as_fd(), end))?;
    }
}

/// A nap before another try, a longer one each time.
fn sleep(nap: &mut Duration, until: Until) -> Result<()> {
    if until.is_now() {
        return Err(Error::WouldBlock);
    }
    let rest = until.deadline().map_or(Duration::MAX, clock::remaining);
    if rest.is_zero() {
        return Err(Error::TimedOut);
    }
    std::thread::sleep(rest.min(*nap));
    *nap = (*nap * 2).min(NAPS.1);
    Ok(())
}
