//! Why the program ends without success, and its exit code.

use std::fmt::Display;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// Why the program ends without success.
#[derive(Debug)]
pub enum Failure {
    /// It was asked for what cannot be done. Nothing was started.
    Usage(String),
    /// Something went wrong on the way.
    Run(String),
    /// Nobody is left to work with. Said by child processes only: whoever started them knows more.
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
        Self::Run(format!("{}: {error}", file.display()))
    }

    /// Says it on the standard error stream.
    pub fn tell(&self) -> ExitCode {
        let code = match self {
            Self::Usage(text) => {
                eprintln!("slipring: {text}");
                2
            }
            Self::Run(text) => {
                eprintln!("slipring: {text}");
                1
            }
            Self::Alone => Self::ALONE,
            Self::Late(text) => {
                eprintln!("slipring: {text}");
                4
            }
            // As a shell says it.
            Self::Signal(number) => 128 + number,
        };
        ExitCode::from(code)
    }
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
