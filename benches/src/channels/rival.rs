//! crossbeam's `ArrayQueue`, between threads of one process: it cannot go between processes.

use std::sync::Arc;

use crossbeam_queue::ArrayQueue;

use crate::cpu::Patience;
use crate::message::Value;
use crate::stream::{Put, Take};

/// An end of the queue: any number may put and take.
pub struct Array<T>(Arc<ArrayQueue<T>>);

impl<T> Clone for Array<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// A queue that holds `capacity` values: both its ends.
pub fn array<T: Value>(capacity: usize) -> (Array<T>, Array<T>) {
    let end = Array(Arc::new(ArrayQueue::new(capacity)));
    (end.clone(), end)
}

impl<T: Value> Put for Array<T> {
    #[inline]
    fn put(&mut self, number: u64) {
        let mut message = T::of(number);
        let mut patience = Patience::default();
        while let Err(back) = self.0.push(message) {
            message = back;
            patience.wait();
        }
    }
}

impl<T: Value> Take for Array<T> {
    #[inline]
    fn take(&mut self) -> u64 {
        let mut patience = Patience::default();
        loop {
            match self.0.pop() {
                Some(message) => return message.number(),
                None => patience.wait(),
            }
        }
    }
}
