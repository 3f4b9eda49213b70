//! Why the program ends without success, and its exit code.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::quote;

/// Why the program ends without success.
#[derive(Debug)]
pub enum Failure {
    /// It was asked for what cannot be done. Nothing was started.
    Usage(String),
    /// The same, and it was said already.
    Told,
    /// Something went wrong on the way.
    Run(String),
    /// Nobody is left to work with. Child processes end with it: whoever started them knows more, and users see a sentence.
    Alone,
    /// Nothing happened for as long as the user wanted to wait.
    Late(String),
    /// A signal asked for the end. Whoever sent it knows.
    Signal(u8),
}

impl Failure {
    /// The exit code of [`Failure::Alone`].
    pub const ALONE: u8 = 3;

    /// What the kernel said about a file.
    pub fn of_file(file: &Path, error: impl Display) -> Self {
        Self::Run(format!("{}: {error}", quote::path(file)))
    }

    /// What the kernel said about the standard output stream.
    pub fn of_output(error: io::Error) -> Self {
        let advice = match error.kind() {
            io::ErrorKind::FileTooLarge => "; the limit of file sizes (`ulimit -f`) is reached",
            _ => "",
        };
        Self::Run(format!("standard output: {error}{advice}"))
    }

    /// The same for users, who do not see [`Failure::ALONE`].
    pub fn for_users(self) -> Self {
        match self {
            Self::Alone => Self::Run("a process that this one works with has ended".to_owned()),
            other => other,
        }
    }

    /// Says it on the standard error stream.
    pub fn tell(&self) -> ExitCode {
        let (code, text) = match self {
            Self::Usage(text) => (2, Some(text)),
            Self::Told => (2, None),
            Self::Run(text) => (1, Some(text)),
            Self::Alone => (Self::ALONE, None),
            Self::Late(text) => (4, Some(text)),
            // As a shell says it.
            Self::Signal(number) => (128 + number, None),
        };
        if let Some(text) = text {
            say(text);
        }
        ExitCode::from(code)
    }
}

/// Says what is wrong on the standard error stream. Where that cannot be said, the exit code is what is left.
pub fn say(text: &str) {
    let _ = io::stderr().write_all(format!("slipring: {}\n", quote::text(text)).as_bytes());
}

impl From<slipring::Error> for Failure {
    fn from(error: slipring::Error) -> Self {
        match error {
            slipring::Error::Disconnected | slipring::Error::Closed => Self::Alone,
            other => Self::Run(other.to_string()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Alone,
            _ => Self::Run(error.to_string()),
        }
    }
}

impl From<rustix::io::Errno> for Failure {
    fn from(error: rustix::io::Errno) -> Self {
        io::Error::from(error).into()
    }
}
