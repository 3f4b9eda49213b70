//! `Ops`: as many operations as the input holds.

use arbitrary::{Arbitrary, Result, Unstructured};

/// One input operates on at most so many times: longer ones find nothing new, and cost time.
const MAX_OPS: usize = 300;

/// Operations, up to the end of the input. (A `Vec` would toss a coin before each of them, and end early.)
#[derive(Debug)]
pub struct Ops<T>(pub Vec<T>);

impl<'a, T: Arbitrary<'a>> Arbitrary<'a> for Ops<T> {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let mut ops = Vec::new();
        while !u.is_empty() && ops.len() < MAX_OPS {
            ops.push(u.arbitrary()?);
        }
        Ok(Self(ops))
    }
}
