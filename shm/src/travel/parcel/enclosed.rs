//! Handles inside of values: serde sees a number, and the handle goes in the parcel that accompanies the message.
//!
//! A serializer has no place for anything but data. So the tickets are collected beside it, in the thread that encodes,
//! for as long as [`collect`] runs; and handed out beside the deserializer while [`hand_out`] does. Anywhere else a handle
//! cannot be encoded, and the error says where it can.

use std::cell::RefCell;
use std::sync::Arc;
use std::thread::LocalKey;

use serde::{Deserialize, Deserializer, Serializer};

use crate::member::ticket::Transfer;
use crate::message::refuse;
use crate::travel::handoff::{Handoff, Inherited, not_inherited};
use crate::{Error, Result};

/// The tickets of handles in the value that is being encoded.
#[derive(Default)]
struct Outgoing {
    /// One for each segment.
    handoffs: Vec<Handoff>,
    count: u32,
    failure: Option<Error>,
}

/// The handles that came with the value that is being decoded.
#[derive(Default)]
struct Incoming {
    places: Vec<Inherited>,
    failure: Option<Error>,
}

// Borrowed for one handle at a time, while its ticket is made or redeemed: never while serde runs, which is foreign code.
thread_local! {
    static OUTGOING: RefCell<Option<Outgoing>> = const { RefCell::new(None) };
    static INCOMING: RefCell<Option<Incoming>> = const { RefCell::new(None) };
}

/// Runs `encode`, and returns the handles in what it encoded.
pub(crate) fn collect(encode: impl FnOnce() -> Result<()>) -> Result<Vec<Handoff>> {
    let scope = Scope::begin(&OUTGOING, Outgoing::default());
    let encoded = encode();
    let Outgoing { handoffs, failure, .. } = scope.end();
    match failure {
        Some(failure) => Err(failure),
        None => encoded.map(|()| handoffs),
    }
}

/// Runs `decode`, which may take handles out of `places`. Those that it leaves are given back.
pub(crate) fn hand_out<T>(places: Vec<Inherited>, decode: impl FnOnce() -> Result<T>) -> Result<T> {
    let scope = Scope::begin(&INCOMING, Incoming { places, failure: None });
    let decoded = decode();
    match scope.end().failure {
        Some(failure) => Err(failure),
        None => decoded,
    }
}

type Cells<T> = &'static LocalKey<RefCell<Option<T>>>;

/// Something is being collected or handed out. What was before comes back when this ends, also by a panic: a value's own
/// `Serialize` may send another one.
struct Scope<T: Default + 'static> {
    cell: Cells<T>,
    before: Option<T>,
}

impl<T: Default> Scope<T> {
    fn begin(cell: Cells<T>, now: T) -> Self {
        Self { cell, before: cell.replace(Some(now)) }
    }

    fn end(self) -> T {
        self.cell.take().unwrap_or_default()
    }
}

impl<T: Default> Drop for Scope<T> {
    fn drop(&mut self) {
        // Dropped when the cell is free again: handles may be in it.
        drop(self.cell.replace(self.before.take()));
    }
}

/// `Serialize` of a handle.
pub(crate) fn serialize<T: Transfer, S: Serializer>(
    handle: &T,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    let number = OUTGOING.with_borrow_mut(|outgoing| match outgoing {
        Some(outgoing) => outgoing.add(handle).map_err(|error| {
            let text = error.to_string();
            outgoing.failure = Some(error);
            text
        }),
        None => Err(refuse()),
    });
    serializer.serialize_u32(number.map_err(serde::ser::Error::custom)?)
}

/// `Deserialize` of a handle.
pub(crate) fn deserialize<'de, T: Transfer, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<T, D::Error> {
    let number = u32::deserialize(deserializer)?;
    let taken = INCOMING.with_borrow_mut(|incoming| match incoming {
        Some(incoming) => incoming.take(number).map_err(|error| {
            let text = error.to_string();
            incoming.failure = Some(error);
            text
        }),
        None => Err(refuse()),
    });
    taken.map_err(serde::de::Error::custom)
}

impl Outgoing {
    /// Adds a handle, and returns its number in this value.
    fn add(&mut self, handle: &impl Transfer) -> Result<u32> {
        let ticket = handle.ticket()?;
        let attachment = handle.handle_of().attachment();
        let is_its = |handoff: &Handoff| Arc::ptr_eq(handoff.attachment(), attachment);
        let index = self.handoffs.iter().position(is_its).unwrap_or_else(|| {
            self.handoffs.push(Handoff::of(attachment));
            self.handoffs.len() - 1
        });
        let number = self.count;
        self.handoffs[index].add(number.to_string(), ticket);
        self.count += 1;
        Ok(number)
    }
}

impl Incoming {
    fn take<T: Transfer>(&mut self, number: u32) -> Result<T> {
        let name = number.to_string();
        let place = self.places.iter_mut().find(|place| place.names().any(|known| known == name));
        let missing = || not_inherited("a handle that the message speaks of");
        place.ok_or_else(missing)?.take(&name)
    }
}

/// Makes handles part of values that go through pipes.
macro_rules! enclosable {
    (($($generic:tt)*) $handle:ty) => {
        /// Part of a value that goes through a pipe made with
        /// [`PipeOptions::handles`](crate::PipeOptions::handles); elsewhere an error.
        impl<$($generic)*> serde::Serialize for $handle {
            fn serialize<S: serde::Serializer>(
                &self,
                serializer: S,
            ) -> std::result::Result<S::Ok, S::Error> {
                crate::travel::parcel::enclosed::serialize(self, serializer)
            }
        }

        /// Part of a value that came through a pipe; elsewhere an error.
        impl<'de, $($generic)*> serde::Deserialize<'de> for $handle {
            fn deserialize<D: serde::Deserializer<'de>>(
                deserializer: D,
            ) -> std::result::Result<Self, D::Error> {
                crate::travel::parcel::enclosed::deserialize(deserializer)
            }
        }
    };
}
pub(crate) use enclosable;

/// Makes handles transferable whose constructor takes nothing but a [`Handle`](crate::member::Handle).
macro_rules! transfer {
    ($(($($generic:tt)*) $handle:ty, $kind:ident, $of:expr, $from:expr;)*) => {$(
        impl<$($generic)*> crate::member::ticket::sealed::Sealed for $handle {
            fn handle_of(&self) -> &crate::member::Handle {
                let of: fn(&Self) -> &crate::member::Handle = $of;
                of(self)
            }
        }

        crate::travel::parcel::enclosed::enclosable! { ($($generic)*) $handle }

        impl<$($generic)*> crate::member::ticket::Transfer for $handle {
            fn ticket(&self) -> crate::Result<crate::member::ticket::Ticket> {
                let handle = crate::member::ticket::sealed::Sealed::handle_of(self);
                let kind = crate::object::Kind::$kind;
                Ok(crate::member::ticket::Ticket::new(kind, handle, Vec::new()))
            }

            fn from_ticket(
                ticket: crate::member::ticket::Ticket,
                segment: &crate::Segment,
            ) -> crate::Result<Self> {
                let (handle, _) = ticket.redeem(segment, crate::object::Kind::$kind)?;
                let from: fn(crate::member::Handle) -> crate::Result<Self> = $from;
                from(handle)
            }
        }
    )*};
}
pub(crate) use transfer;
