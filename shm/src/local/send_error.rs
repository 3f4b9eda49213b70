//! A send that failed gives its value back.

use std::fmt;

use crate::Error;

/// What sending a value gives.
///
/// ```
/// use slipring::local::{Queue, SendResult, Sender};
///
/// /// Sends a line, and counts it if it was sent.
/// fn put(lines: &mut Sender<String>, line: &str, count: &mut u32) -> SendResult<String> {
///     lines.try_send(line.to_owned())?;
///     *count += 1;
///     Ok(())
/// }
///
/// let (mut lines, _receiver) = Queue::bounded(1)?;
/// let mut count = 0;
/// put(&mut lines, "one", &mut count)?;
/// assert_eq!(put(&mut lines, "two", &mut count).unwrap_err().value, "two");
/// assert_eq!(count, 1);
/// # Ok::<(), slipring::Error>(())
/// ```
pub type SendResult<T> = Result<(), SendError<T>>;

/// Why a value was not sent, and the value.
///
/// `?` turns it into an [`Error`] where the value is not wanted back.
///
/// ```
/// use slipring::Error;
/// use slipring::local::{Queue, SendError};
///
/// let (mut sender, receiver) = Queue::bounded(1)?;
/// sender.send("one".to_owned())?;
/// let Err(SendError { value, error }) = sender.try_send("two".to_owned()) else { panic!() };
/// assert!(matches!(error, Error::WouldBlock));
/// assert_eq!(value, "two");
/// # Ok::<(), Error>(())
/// ```
pub struct SendError<T> {
    /// What was to be sent.
    pub value: T,
    /// Why it was not.
    pub error: Error,
}

impl<T> From<SendError<T>> for Error {
    fn from(failed: SendError<T>) -> Self {
        failed.error
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T> std::error::Error for SendError<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_its_reason_says() {
        let failed = SendError { value: (), error: Error::Closed };
        assert_eq!(failed.to_string(), Error::Closed.to_string());
        assert_eq!(format!("{failed:?}"), "SendError { error: Closed, .. }");
        assert!(std::error::Error::source(&failed).is_none());
        assert!(matches!(Error::from(failed), Error::Closed));
    }
}
