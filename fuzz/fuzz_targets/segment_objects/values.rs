//! Values and arrays.

use std::alloc::Layout;
use std::mem::forget;

use arbitrary::Arbitrary;
use slipring::{Array, ArrayBytes, OrRecover, RawArray, RawValue, Segment, Value};

use crate::limits::{MOST, until};

#[derive(Arbitrary, Debug)]
pub enum Op {
    Update { wait: bool, keep: bool },
    Release,
    Raw,
    Item { index: u8, wait: bool },
    Fill { wait: bool, keep: bool },
    Bytes { at: u8, len: u8 },
    New { len: u16 },
    Drop,
    Look,
}

pub struct Values {
    value: Value<[u16; 5]>,
    number: RawValue<u64>,
    items: Array<u32>,
    numbers: RawArray<u64>,
    bytes: ArrayBytes,
    more: Vec<Array<u8>>,
}

impl Values {
    pub fn new(segment: &Segment) -> Self {
        let item = Layout::from_size_align(12, 4).unwrap();
        Self {
            value: Value::new(segment, [1; 5]).unwrap(),
            number: RawValue::new(segment, 1).unwrap(),
            items: Array::from_slice(segment, &[1, 2, 3]).unwrap(),
            numbers: RawArray::new(segment, 4).unwrap(),
            bytes: ArrayBytes::new(segment, item, 3).unwrap(),
            more: Vec::new(),
        }
    }

    pub fn apply(&mut self, segment: &Segment, op: &Op) {
        match *op {
            Op::Update { wait, keep } => {
                let Ok(mut guard) = self.value.lock_until(until(wait)).or_recover() else { return };
                guard.update(|value| value.map(|item| item.wrapping_add(1)));
                if keep {
                    forget(guard);
                }
            }
            Op::Release => {
                // SAFETY: all guards that are kept were forgotten, and this one ends here.
                drop(unsafe { self.value.assume_locked() });
                // SAFETY: as above.
                drop(unsafe { self.items.assume_locked() });
            }
            Op::Raw => {
                self.number.set(self.number.get().wrapping_add(1));
                self.numbers.fill(3);
                self.value.raw().set([self.number.get() as u16; 5]);
            }
            Op::Item { index, wait } => {
                let Ok(mut guard) = self.items.lock_until(until(wait)).or_recover() else { return };
                let index = usize::from(index) % guard.len();
                guard.set(index, guard.get(index).wrapping_add(1));
            }
            Op::Fill { wait, keep } => {
                let Ok(mut guard) = self.items.lock_until(until(wait)).or_recover() else { return };
                guard.fill(7);
                assert_eq!(guard.to_vec().len(), 3);
                if keep {
                    forget(guard);
                }
            }
            Op::Bytes { at, len } => {
                let at = usize::from(at) % self.bytes.byte_len();
                let len = usize::from(len) % (self.bytes.byte_len() - at);
                self.bytes.write_at(at, &vec![at as u8; len]);
                self.bytes.read_at(at, &mut vec![0; len]);
                drop(self.bytes.lock_until(until(false)));
            }
            Op::New { len } if self.more.len() < MOST => {
                self.more.extend(Array::new(segment, usize::from(len) << (len % 8)));
            }
            Op::New { .. } | Op::Drop => drop(self.more.pop()),
            Op::Look => {
                let _ = format!("{:?} {:?} {:?}", self.value, self.number, self.items);
                let _ = format!("{:?} {:?} {:?}", self.numbers, self.bytes, self.more);
                let _ = (self.numbers.to_vec(), self.value.is_locked(), self.items.is_locked());
                self.more.iter().for_each(|more| drop(more.raw().to_vec()));
            }
        }
    }
}
